"""What must be said beside the numbers of a run's codecs: what they were trained on, and who has looked at them."""

import shlex
from collections.abc import Iterator

from benchmark.reconstructions import ELSEWHERE, WORDS
from benchmark.results import Manifest


def codec_notes(manifest: Manifest) -> list[str]:
    """Lines for the end of a run."""
    return [*_flattered(manifest), *_made_elsewhere(manifest), *_unaudited(manifest)]


def flatters(trained_on: list[str], metrics: list[str]) -> list[str]:
    """Those of `metrics` that a codec trained on `trained_on` made small; patch rules aside."""
    return [name for name in metrics if name in trained_on or name.partition("@")[0] in trained_on]


def _flattered(manifest: Manifest) -> Iterator[str]:
    by_metrics: dict[str, list[str]] = {}
    for codec, record in manifest.codecs.items():
        if names := flatters(record.trained_on, list(manifest.metrics)):
            by_metrics.setdefault(", ".join(names), []).append(codec)
    for measured, codecs in by_metrics.items():
        many = len(codecs) > 1
        yield (
            f"{' and '.join(codecs)} {'were' if many else 'was'} trained on {measured}, by which "
            f"{'they are' if many else 'it is'} judged here: the figures flatter {'them' if many else 'it'}, "
            "and distances between features of another network may profit as well"
        )


def _made_elsewhere(manifest: Manifest) -> Iterator[str]:
    for codec, record in manifest.codecs.items():
        if record.bits != "real":
            yield f"{codec}: its images were {ELSEWHERE}; its bits are {WORDS[record.bits]}"


def _unaudited(manifest: Manifest) -> Iterator[str]:
    for codec, record in manifest.codecs.items():
        if record.audited is False and record.bits == "real":
            spec = record.spec_or(codec)
            how = "an audit needs its codec spec" if spec is None else f"python -m benchmark audit {shlex.quote(spec)}"
            yield f"{codec} has not been audited: {how}"
