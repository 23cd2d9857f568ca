"""What a run is to do: which codecs at which qualities, with which seeds, on which images, in which order."""

import difflib
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from benchmark.addresses import Location
from benchmark.codecs import CODECS, CodecSpec
from benchmark.errors import UsageError, needs
from benchmark.results import TrialKey

FIRST = "hfd"
"""The codec that the suite exists for; it leads every table."""

COMPANIONS = ("mse", "hific-small", "jpeg")
"""A curve alone says nothing: these stand beside a single codec."""


@dataclass(frozen=True, slots=True)
class PlannedTrial:
    """One trial to do: the codec's label, quality, decoder seed, and the image with its file and its preparation.

    sha256: what the file was when the data set was opened, so that one that is replaced since is not measured. made:
    the same of a reconstruction that was made elsewhere, `Reconstructions.identity`; "" if there is none.
    """

    codec: str
    quality: float
    decoder_seed: int | None
    image: str
    path: Location
    preparation: str = "none"
    sha256: str | None = None
    made: str = ""

    @property
    def key(self) -> TrialKey:
        return (self.codec, self.quality, self.decoder_seed, self.image)

    @property
    def encoding(self) -> tuple[str, float, str]:
        """What the trials that share one byte string have in common."""
        return (self.codec, self.quality, self.image)


def choose_codecs(asked: Sequence[str], only: bool) -> list[str]:
    """The codec specs of a run, without repetition, hfd first.

    None asked for: hfd. One: `COMPANIONS` beside it, those that are installed, unless `only`. Several: these.
    """
    specs = list(dict.fromkeys(asked)) or [FIRST]
    if len(specs) == 1 and not only:
        specs += [name for name in COMPANIONS if name not in specs and CODECS.lacks(name) is None]
    return sorted(specs, key=lambda spec: spec.partition(":")[0] != FIRST)


def left_out(asked: Sequence[Any] | Mapping[str, Any], only: bool) -> list[str]:
    """A note on the companions that `choose_codecs` would add if the package that they need were installed.

    asked: what `running.labels.name_codecs` takes.
    """
    if only or isinstance(asked, Mapping) or not all(isinstance(codec, str) for codec in asked) or len(set(asked)) > 1:
        return []
    lacking = {name: package for name in COMPANIONS if name not in asked and (package := CODECS.lacks(name))}
    return [f"left out: {', '.join(lacking)}; {needs('each', next(iter(lacking.values())))}"] if lacking else []


def parse_qualities(options: Iterable[str], codecs: Mapping[str, CodecSpec | None]) -> dict[str, tuple[float, ...]]:
    """What the --quality options ask for: label -> qualities, ascending; a codec that is not asked is not there.

    codecs: label -> spec, None for an object. An option is "1,2" (all codecs), "hfd=1,3" (by codec name),
    "hfd:decoder=flow=1,3" (by codec spec) or "Ours=1,3" (by label). The most particular option wins: label, spec, name,
    all. Raises UsageError on anything else.
    """
    keys = {
        label: [label] if spec is None else list(dict.fromkeys((label, spec.text, spec.name)))
        for label, spec in codecs.items()
    }
    by_key: dict[str, list[float]] = {}
    for option in options:
        key, _, numbers = option.rpartition("=")
        if "=" in option and not any(key in names for names in keys.values()):
            known = list(dict.fromkeys(name for names in keys.values() for name in reversed(names)))
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise UsageError(f"--quality {option}: this run has no codec {key!r}; {hint}")
        by_key.setdefault(key, []).extend(_numbers(option, numbers))
    asked: dict[str, tuple[float, ...]] = {}
    for label, names in keys.items():
        for key in (*names, ""):
            if key in by_key:
                asked[label] = tuple(sorted(set(by_key[key])))
                break
    return asked


def parse_seeds(text: str) -> tuple[int, ...]:
    """ "0,1,2" -> (0, 1, 2), without repetition. Raises UsageError."""
    try:
        seeds = tuple(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError:
        raise UsageError(f"--decoder-seeds {text}: not whole numbers with commas between them") from None
    if min(seeds) < 0:
        raise UsageError(f"--decoder-seeds {text}: a seed is 0 or more")
    return seeds


def plan_trials(
    pictures: Iterable[tuple[str, Location]],
    qualities: Mapping[str, Sequence[float]],
    seeds: Mapping[str, Sequence[int | None]],
    preparation: str = "none",
    hashes: Mapping[str, str] = MappingProxyType({}),
) -> list[PlannedTrial]:
    """All trials, image by image, so that an original is read and prepared once for all codecs.

    pictures: (name, file). qualities, seeds: by label; the seeds of a deterministic codec are [None]. hashes: by image.
    """
    return [
        PlannedTrial(codec, float(quality), seed, image, path, preparation, hashes.get(image))
        for image, path in pictures
        for codec in qualities
        for quality in qualities[codec]
        for seed in seeds[codec]
    ]


def remaining(plan: Iterable[PlannedTrial], done: Collection[TrialKey]) -> list[PlannedTrial]:
    """The trials of `plan` whose key is not in `done`, in order."""
    known = set(done)
    return [trial for trial in plan if trial.key not in known]


def _numbers(option: str, text: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"--quality {option}: {text!r} is not numbers with commas between them") from None
    if not all(math.isfinite(number) for number in numbers):
        raise UsageError(f"--quality {option}: a quality is a finite number")
    return numbers
