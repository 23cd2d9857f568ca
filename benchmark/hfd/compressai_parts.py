"""The parts of CompressAI that streams are made of, without the rest of it.

`import compressai` imports its data sets of point clouds, and with them PyTorch Geometric, torchvision and torch's
compiler, which take longer than torch itself: each process that codes or decodes would wait for them. Entropy models
ask the package which coder is in use as they are made, so that it has to have the answer; and of SciPy's statistics
they use a quantile when tables are made anew.
"""

from benchmark.deferred import defer

CODERS = ("ans",)
"""What CompressAI has where nobody has installed or chosen another."""

defer("scipy.stats")
defer("compressai", get_entropy_coder=lambda: CODERS[0], available_entropy_coders=lambda: list(CODERS))

from compressai._CXX import pmf_to_quantized_cdf  # noqa: E402
from compressai.ans import BufferedRansEncoder, RansDecoder  # noqa: E402
from compressai.entropy_models import EntropyBottleneck, EntropyModel, GaussianConditional  # noqa: E402
from compressai.ops import LowerBound, quantize_ste  # noqa: E402
from compressai.ops.bound_ops import LowerBoundFunction  # noqa: E402

__all__ = [
    "BufferedRansEncoder",
    "EntropyBottleneck",
    "EntropyModel",
    "GaussianConditional",
    "LowerBound",
    "LowerBoundFunction",
    "RansDecoder",
    "pmf_to_quantized_cdf",
    "quantize_ste",
]
