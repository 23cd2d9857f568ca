"""A benchmark of learned image compression: bits, distortion and realism of any codec, with intervals.

`evaluate` runs codecs on images, `load` reads a run, and both return `Results`; `compare` judges one run by another.
`open_codec`, `open_dataset`, `dataset_of` and `open_metric` give the parts. Everything else is private by convention.
"""

import importlib
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmark.analysis.comparison import Comparison
    from benchmark.api import Results, compare, evaluate, load
    from benchmark.codecs import Codec, Image, open_codec
    from benchmark.datasets import Dataset, dataset_of, open_dataset
    from benchmark.errors import BenchmarkError, CorruptStream, NotComparable, Undefined, UsageError
    from benchmark.metrics import ImageMetric, MetricInfo, NoReferenceMetric, SetMetric, open_metric
    from benchmark.reports.plots import PlotOptions
    from benchmark.results import Trial

# CompressAI decorates with it when it is imported; nothing that a user of this suite could mend
warnings.filterwarnings("ignore", message=r"`torch\.jit\.script` is deprecated", category=FutureWarning)

# In a checkout the folders datasets/, baselines/ and reports/ lie beside this one, not in it. An editable install knows
# that; any other, started in the checkout's folder, finds this file there and must be told.
_CHECKOUT = Path(__file__).resolve().parents[1]
if (_CHECKOUT / "pyproject.toml").is_file() and (_CHECKOUT / "datasets" / "shipped.py").is_file():
    __path__.append(str(_CHECKOUT))

__all__ = [
    "BenchmarkError",
    "Codec",
    "Comparison",
    "CorruptStream",
    "Dataset",
    "Image",
    "ImageMetric",
    "MetricInfo",
    "NoReferenceMetric",
    "NotComparable",
    "PlotOptions",
    "Results",
    "SetMetric",
    "Trial",
    "Undefined",
    "UsageError",
    "compare",
    "dataset_of",
    "evaluate",
    "load",
    "open_codec",
    "open_dataset",
    "open_metric",
]

_PLACES = {
    "benchmark.analysis.comparison": ("Comparison",),
    "benchmark.api": ("Results", "compare", "evaluate", "load"),
    "benchmark.codecs": ("Codec", "Image", "open_codec"),
    "benchmark.datasets": ("Dataset", "dataset_of", "open_dataset"),
    "benchmark.errors": ("BenchmarkError", "CorruptStream", "NotComparable", "Undefined", "UsageError"),
    "benchmark.metrics": ("ImageMetric", "MetricInfo", "NoReferenceMetric", "SetMetric", "open_metric"),
    "benchmark.reports.plots": ("PlotOptions",),
    "benchmark.results": ("Trial",),
}


def __getattr__(name: str) -> Any:
    """Public names are imported when they are first used: the command line starts without them."""
    for module, names in _PLACES.items():
        if name in names:
            return getattr(importlib.import_module(module), name)
    raise AttributeError(f"module 'benchmark' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
