"""Metrics without a reference, through the user's own pyiqa: NIQE, CLIP-IQA, MUSIQ, MANIQA.

pyiqa's licences (PolyForm Noncommercial 1.0.0, and NTU S-Lab's for parts) allow no commercial use, so it is no
dependency and no extra of the suite, and no code of it stands here: who may use it installs it, and it is called. It
downloads weights by itself.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import importlib.util
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from benchmark.errors import BenchmarkError, kind_and_message
from benchmark.guards import no_exit
from benchmark.metrics.info import MetricInfo
from benchmark.metrics.packages import check_side
from benchmark.metrics.tensors import unit_tensor
from benchmark.pixels import Image

PACKAGE = "pyiqa"


def _info(
    name: str,
    title: str,
    words: str,
    source: str,
    *,
    higher: bool,
    highest: float | None = None,
    trained_on: dict[str, str] | None = None,
) -> MetricInfo:
    return MetricInfo(
        name,
        title,
        "no-reference",
        "",
        higher,
        0.0 if highest is not None else None,
        highest,
        words=f"{words}, of each image alone, then the mean",
        parts={**(trained_on or {}), "rgb": "of RGB in [0, 1]"},
        smallest_side=96 if name == "niqe" else 1,
        signed=highest is None,
        packages=("torch", "benchmark.metrics.inference"),
        make=f"benchmark.metrics.no_reference:make_{name}",
        summary=f"{title}, without a reference; through your own {PACKAGE}, which is not for commercial use",
        identical="what it says of the original, which stands beside it",
        device="any",
        source=f"{source}; your own {PACKAGE}",
    )


NIQE = _info(
    "niqe",
    "NIQE",
    "distance from statistics of natural images",
    "Mittal et al. 2013, doi:10.1109/LSP.2012.2227726",
    higher=False,
)
CLIPIQA = _info(
    "clipiqa",
    "CLIP-IQA",
    "what CLIP says of its quality",
    "Wang et al. 2023, arXiv:2207.12396",
    higher=True,
    highest=1.0,
)
MUSIQ = _info(
    "musiq",
    "MUSIQ",
    "what a multi-scale transformer says of its quality",
    "Ke et al. 2021, arXiv:2108.05997",
    higher=True,
    trained_on={"koniq10k": "trained on KonIQ-10k, the package's default"},
)
MANIQA = _info(
    "maniqa",
    "MANIQA",
    "what an attention network says of its quality",
    "Yang et al. 2022, arXiv:2204.08958",
    higher=True,
    trained_on={"koniq10k": "trained on KonIQ-10k, the package's default"},
)
METRICS = (NIQE, CLIPIQA, MUSIQ, MANIQA)


@dataclass(frozen=True)
class NoReference:
    """What pyiqa's metric of that name says of an image."""

    info: MetricInfo
    protocol: str
    feature_key: str
    device: str

    @cached_property
    def network(self) -> Any:
        """pyiqa's metric. Raises BenchmarkError if it cannot be made, for want of weights say."""
        import torch

        try:
            import pyiqa

            made = no_exit(lambda: pyiqa.create_metric(self.info.name, device=torch.device(self.device)))
        except Exception as error:
            raise BenchmarkError(
                f"{self.info.name}: your {PACKAGE} cannot make it: {kind_and_message(error)}"
            ) from error
        if bool(made.lower_better) is self.info.higher_is_better:
            raise BenchmarkError(
                f"{self.info.name}: your {PACKAGE} says that the opposite is better; its version does not fit"
            )
        return made

    def load(self) -> None:
        """Makes pyiqa's metric, before any image is at hand. It may download its weights."""
        _ = self.network

    def score(self, image: Image) -> float:
        """The value. Raises Undefined if a side is too short."""
        from benchmark.metrics.inference import exact_inference

        check_side(self.info, image)
        import torch

        with exact_inference(), torch.random.fork_rng(devices=[]):  # some of its metrics set the random numbers
            return float(self.network(unit_tensor(image, self.device)))


def _version() -> str | None:
    """Of the installed pyiqa; None if there is none."""
    try:
        return importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        if importlib.util.find_spec(PACKAGE) is None:
            return None
    return str(getattr(importlib.import_module(PACKAGE), "__version__", "unknown"))  # a checkout on the path


def _make(info: MetricInfo, device: str) -> NoReference:
    version = _version()
    if version is None:
        raise BenchmarkError(
            f"{info.name} is computed by your own {PACKAGE}, which is not installed; the suite cannot bring it, its "
            f"licence (PolyForm Noncommercial) forbids commercial use. If you may use it: pip install {PACKAGE}"
        )
    part = f"{PACKAGE}-{version}"
    protocol = "/".join([info.name, *info.parts, part])
    key = f"{info.name}.{hashlib.sha256(protocol.encode()).hexdigest()[:8]}"
    facts = replace(info, parts={**info.parts, part: "computed by this version of the package"})
    return NoReference(facts, protocol, key, device)


def make_niqe(device: str = "cpu") -> NoReference:
    """Opens NIQE."""
    return _make(NIQE, device)


def make_clipiqa(device: str = "cpu") -> NoReference:
    """Opens CLIP-IQA."""
    return _make(CLIPIQA, device)


def make_musiq(device: str = "cpu") -> NoReference:
    """Opens MUSIQ."""
    return _make(MUSIQ, device)


def make_maniqa(device: str = "cpu") -> NoReference:
    """Opens MANIQA."""
    return _make(MANIQA, device)
