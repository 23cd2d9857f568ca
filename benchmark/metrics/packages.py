"""Metrics that a package computes: its version stands in the protocol, and a package that is not there is named."""

import importlib.metadata
from collections.abc import Sequence
from dataclasses import replace

from benchmark.errors import BenchmarkError, Undefined, needs
from benchmark.metrics.info import MetricInfo
from benchmark.metrics.pairs import check_picture
from benchmark.pixels import Image


def version_of(info: MetricInfo, distribution: str) -> str:
    """The version of the installed package. Raises BenchmarkError, with the command that brings it, without one."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        raise BenchmarkError(needs(info.name, info.needs)) from None


def by_package(info: MetricInfo, distribution: str, settings: Sequence[str]) -> tuple[MetricInfo, str]:
    """The facts with words for the package's version, and the protocol: name, settings, package and version.

    Raises BenchmarkError if the package is not installed.
    """
    part = f"{distribution}-{version_of(info, distribution)}"
    with_version = replace(info, parts={**info.parts, part: "computed by this version of the package"})
    return with_version, "/".join([info.name, *settings, part])


def check_side(info: MetricInfo, image: Image) -> None:
    """Raises Undefined if a side of `image` is below the metric's smallest, BenchmarkError if it is no image."""
    check_picture(image)
    height, width = image.shape[:2]
    if min(height, width) < info.smallest_side:
        raise Undefined(
            f"{info.title} needs both sides of at least {info.smallest_side} pixels, this is {width}x{height}"
        )
