"""Which metrics there are, what they measure, and how one is opened. Importing this imports no torch.

A metric compares one reconstruction with its original (`ImageMetric`), a set of reconstructions with the set of their
originals (`SetMetric`), or sees a reconstruction alone (`NoReferenceMetric`). A metric of sets looks at patches:
`fd-effnet@patch256-hific` names the metric and the rule, a bare name takes the metric's default rule. bpp is not here:
every trial has it.

Each file of this package declares its metrics' facts (`MetricInfo`), and nothing else in the suite knows a metric by
its name. A metric of the user's own comes as `./my_metric.py:MyMetric`, as an entry point of an installed package
(`hfd_benchmark.metrics`), or from Python as an object; `benchmark.metrics.own` says what it must be.
"""

import hashlib

from benchmark.containment import containment_of
from benchmark.errors import UsageError
from benchmark.metrics import (
    distances,
    dists,
    fidelity,
    flip,
    luma,
    no_reference,
    perceptual,
    rate,
    realism,
    recoding,
    similarity,
    ssimulacra,
    structural,
    text,
    video,
)
from benchmark.metrics.info import (
    BETWEEN,
    Features,
    ImageMetric,
    Kind,
    Loads,
    Mapped,
    Margin,
    Metric,
    MetricInfo,
    NoReferenceMetric,
    RecodingMetric,
    SetMetric,
    parse_margin,
)
from benchmark.metrics.patches import PATCH_RULES
from benchmark.registry import Registry, Spec, parse_spec

__all__ = [
    "BETWEEN",
    "DEFAULT_MAP",
    "DEFAULT_METRICS",
    "METRICS",
    "PATCH_RULES",
    "STUDY_METRICS",
    "Features",
    "ImageMetric",
    "Kind",
    "Loads",
    "Mapped",
    "Margin",
    "Metric",
    "MetricInfo",
    "NoReferenceMetric",
    "RecodingMetric",
    "SetMetric",
    "check_metric",
    "default_metrics",
    "file_version",
    "metric_info",
    "modules_of_metric",
    "open_metric",
    "parse_margin",
    "parse_metric",
    "shipped_info",
]

FAMILIES = (
    *(fidelity, luma, structural, perceptual, dists, ssimulacra, flip, similarity, video, text, recoding, no_reference),
    *(realism, distances),
)
"""The files that declare metrics, in the order of `list metrics`."""

_SHIPPED = {info.name: info for family in FAMILIES for info in family.METRICS}  # in the order of `list metrics`

METRICS = Registry("metric", "hfd_benchmark.metrics")
"""Entries are functions or classes `make(**settings)`, which get `device: str` and, of sets, `patches: str | None` if
they have parameters of these names; see `open_metric`."""
for _info in _SHIPPED.values():
    METRICS.add(_info.name, _info.make, _info.summary, _info.needs or None)
MADE_OF_SETTINGS = ("command",)
"""Entries whose facts their settings tell."""
METRICS.add(
    "command",
    "benchmark.metrics.command:command",
    'any program that prints a number; metric="prog {original} {reconstruction}",higher=false',
)
METRICS.with_installed()

DEFAULT_METRICS = ("psnr", "ms_ssim", "lpips", "fd-effnet", "kd-effnet")

DEFAULT_MAP = "lpips"
"""The metric whose map a page has whatever its runs measured."""

STUDY_METRICS = ("psnr", "lpips", "fd-effnet", "kd-effnet")
"""Of the studies, whose runs are many."""


def default_metrics() -> tuple[list[str], list[str]]:
    """The metrics of a run that names none, and notes on what is left out: those whose network is not here."""
    from benchmark.fetching import inception_weights

    beside = [info.name for info in realism.OVER_INCEPTION]
    if inception_weights() is not None:
        return [*DEFAULT_METRICS, *beside], []
    return list(DEFAULT_METRICS), [
        f"{' and '.join(beside)} are left out, their network is not here: python -m benchmark fetch inception gets it"
    ]


def shipped_info(name: str) -> MetricInfo | None:
    """The facts about bpp or a metric that comes with the suite, patches allowed; None for any other name."""
    base, at, patches = name.partition("@")
    if name == rate.BPP.name:
        return rate.BPP
    if base not in _SHIPPED or (at and (patches not in PATCH_RULES or _SHIPPED[base].kind != "set")):
        return None
    return _SHIPPED[base].over(patches or None)


def parse_metric(name: str) -> tuple[Spec, str | None]:
    """`name`, `name:key=value`, `./file.py:Name` or `./file.py:Name:key=value`, each with `@patches` or without: the
    parsed spec, and the patches or None.

    Raises UsageError on an unknown metric or rule, on a file without such a class, and on patches of a metric that is
    known to look at whole images; BenchmarkError if a file cannot be run.
    """
    text, at, patches = name.rpartition("@")
    if not at or any(mark in patches for mark in '/":='):  # of a path, or of a quoted setting
        text, at, patches = name, "", ""
    base = text.partition(":")[0]
    if not base.endswith(".py") and base not in METRICS:
        METRICS.load(base)  # raises, with the nearest names
    spec = parse_spec(text, "metric")
    if "patches" in spec.settings:
        raise UsageError(f"{name!r}: patches follow an @: {spec.name}@{spec.settings['patches']}")
    if spec.name not in _SHIPPED:
        with containment_of(spec.file).inside(opening=True):
            METRICS.load(spec.name)
    if not at:
        return spec, None
    if spec.name in _SHIPPED and _SHIPPED[spec.name].kind != "set":
        raise UsageError(f"{name!r}: {spec.name} compares whole images; only metrics of sets have patches")
    if patches not in PATCH_RULES:
        raise UsageError(f"{name!r}: no patch rule is named {patches!r}; there are {', '.join(PATCH_RULES)}")
    return spec, patches


def check_metric(name: str) -> None:
    """Raises as `parse_metric` does; opens nothing."""
    if shipped_info(name) is None:
        parse_metric(name)


def metric_info(name: str) -> MetricInfo:
    """The facts about `name`, patches allowed; of a shipped metric without opening it. Raises as `open_metric` does."""
    return shipped_info(name) or open_metric(name).info


def open_metric(metric: str | object, device: str = "cpu") -> Metric:
    """The metric that `metric` names, patches and settings allowed, or that it is: an object of the user's own.

    Its networks run on `device`, a name that torch knows. Raises UsageError as `parse_metric` does, and on a class that
    is no metric (`benchmark.metrics.own` says what one is); BenchmarkError if it cannot be opened.
    """
    from benchmark.metrics.own import adopted, check_name

    if not isinstance(metric, str):
        return adopted(metric, _SHIPPED)
    spec, patches = parse_metric(metric)
    given = {"device": device, "patches": patches}
    if spec.name in _SHIPPED:
        shipped: Metric = METRICS.make(spec, given)
        return shipped
    if spec.name in MADE_OF_SETTINGS:
        if patches is not None:
            raise UsageError(f"{metric!r}: {spec.name} compares whole images; only metrics of sets have patches")
        of_settings: Metric = METRICS.make(spec, given)
        check_name(of_settings.info.name, f"metric {spec.text}", _SHIPPED)
        return of_settings
    containment = containment_of(spec.file).copy()  # the file was run by `parse_metric`
    with containment.inside(opening=True):
        made = METRICS.make(spec, given)
    return adopted(made, _SHIPPED, spec, patches, METRICS, containment)


def file_version(name: str) -> str:
    """The hash of the file that `name` names a metric of; empty for a metric that is in no file of the user's."""
    if shipped_info(name) is not None:
        return ""
    file = parse_metric(name)[0].file
    return "" if file is None else hashlib.sha256(file.read_bytes()).hexdigest()


def modules_of_metric(name: str) -> list[str]:
    """What a process that measures with it imports, as far as that is known without opening it."""
    info = shipped_info(name)
    if info is not None:
        return [info.make.partition(":")[0], *info.packages]
    spec, _ = parse_metric(name)
    return [METRICS.module(spec.name)] if spec.name in METRICS else []
