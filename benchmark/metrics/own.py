"""Metrics of the user's own: what a class must be, and how one becomes a metric of the suite.

A metric is a class in a Python file (`--metric ./my_metric.py:MyMetric`, `./my_metric.py:MyMetric:key=value`), the
target of an entry point in the group `hfd_benchmark.metrics`, or an object in a Python program. Annotated parameters of
its constructor are its settings; `device` among them gets --device, and `patches` what follows an @, or None.
Images are uint8 arrays (height, width, 3), RGB. It has one of three functions, which says of what kind it is:

compare(original, reconstruction) -> float
    An image metric. With `prepare(original)` besides, what that returns is made once for each original, and `compare`
    gets it in the original's place.
features(image) -> array (n, d), or (d,) for one
    A metric of sets, with `distance`: "frechet" (FID's), "kernel" (KID's, which is signed), "paired-kernel", or a
    function `distance(originals, reconstructions) -> float` of two lists of such arrays. `features` is given each patch
    of an image, by default the whole image; a class with a constructor parameter `patches` is given whole images and
    cuts them itself. d must be one for all images. Intervals come from leaving out each image; that costs a call of
    `distance` per image, unless the class has `leave_one_out(originals, reconstructions)`. Several threads may call it.
score(reconstruction) -> float
    A metric without a reference. The originals are scored too, once each.

It may have `load()`, called before the first image is at hand. A number may be a Python or NumPy number or anything
with `item()` and no dimensions, such as a torch tensor of shape (). `benchmark.errors.Undefined` says that an image has
no value, and why, and so does NaN or infinity. Whatever else is raised or returned is recorded in that trial in the
value's place; the run goes on, and ends with exit code 3.

Attributes are its facts:

    higher_is_better  True or False: the only one that it must have; with a distance that has a name it is False
    name              key of its values, letters, digits, "." "_" "-"; the class's name (of an entry point, the entry's)
    title, unit       as plots and tables show them; the name, and nothing
    signed            whether values can be negative, so that no share of them is said; True with a kernel distance
    scale             "linear", or "decibel" for a similarity up to 1, drawn as −10·log10(1 − x)
    lowest, highest   ends of its range, None where there is none
    margin            the largest loss that the gate lets pass, "2 %" or in its unit; without it, it is not judged
    words             what `explain` says of it
    protocol          what moves its numbers, such as "v2/luma"; the file's hash and the settings are added
    aspect            "fidelity" (near the original), "perception" (looks near), "realism" (looks real); by kind
    smallest_side     in pixels; an image with a shorter side has no value
    patches           the rule of a metric of sets where no @ follows; "whole"

or they stand in `info`, a `benchmark.metrics.MetricInfo`. The hash is of that file, the modules that it imports from
its folder, and settings that are files.
Of an object its attributes that are numbers, text or truth values count as settings, and what its constructor was given
where it keeps that as `name` or `_name`; a network in it must be told apart by `protocol`, or numbers of two networks
are compared as if they were of one.
"""

import contextlib
import hashlib
import importlib.metadata
import inspect
import math
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from benchmark.containment import Containment
from benchmark.errors import BenchmarkError, Undefined, UsageError
from benchmark.foreign import takes, written
from benchmark.guards import no_exit, told
from benchmark.identity import (
    data_of_code,
    digest_of,
    files_of_setting,
    files_of_variables,
    hashes_of,
    hashes_of_code,
    hashes_of_programs,
    sha256_of,
    variables,
)
from benchmark.metrics.info import BETWEEN, Features, Kind, Metric, MetricInfo, parse_margin
from benchmark.metrics.patches import PATCH_RULES, cut
from benchmark.metrics.realism import DISTANCES
from benchmark.objects import code_hash, names_of_variables, settings_kept, weights_hash
from benchmark.pixels import Image
from benchmark.reading import LARGEST
from benchmark.registry import Registry, Spec
from benchmark.results import FAILED, MetricRecord
from benchmark.sources import modules_beside

_KINDS: Mapping[str, Kind] = {"compare": "image", "features": "set", "score": "no-reference"}
_ASPECTS = {"image": "perception", "set": "realism", "no-reference": "realism"}
_TYPES: Mapping[str, tuple[type, ...]] = {
    "name": (str,),
    "title": (str,),
    "unit": (str,),
    "higher_is_better": (bool,),
    "signed": (bool,),
    "lowest": (int, float, type(None)),
    "highest": (int, float, type(None)),
    "words": (str,),
    "protocol": (str,),
    "smallest_side": (int,),
}
_DIRECTION = "higher_is_better"
_CALLS = {
    "compare": ("original", "reconstruction"),
    "prepare": ("original",),
    "score": ("reconstruction",),
    "features": ("image",),
    "distance": ("originals", "reconstructions"),
    "leave_one_out": ("originals", "reconstructions"),
    "load": (),
}
"""What each function of a metric is given."""
_CHOICES = {"scale": ("linear", "decibel"), "aspect": ("fidelity", "perception", "realism")}

RANGE_SLACK = 1e-4
"""By so much, relative to an end beyond 1, a value may lie outside its range: sums of float32 round so."""

_TAKEN = (
    *("bpp", "bpp_estimated", "seconds", "encode_seconds", "decode_seconds", "bd-rate", "curves", "originals"),
    *("codec", "quality", "decoder_seed", "image", "height", "width", "bytes", "error", "value"),
    *("method", "size", "pixels", "name", "description"),
)
"""What tables, settings and files call other things."""


class Failed(Undefined):
    """A metric of the user's own that broke down on an image: recorded there, and the run ends with exit code 3."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{FAILED}{what}")


@dataclass(eq=False)
class OwnImageMetric:
    """`compare` of the user's class, as an ImageMetric."""

    info: MetricInfo
    protocol: str
    theirs: Any
    containment: Containment = field(default_factory=Containment)

    def load(self) -> None:
        _load(self)

    def prepare(self, original: Image) -> Any:
        """What `prepare` of the class returns, or a copy of the original, which its code may write to."""
        if hasattr(self.theirs, "prepare"):
            return _called(self, "prepare", self.theirs.prepare, original.copy())
        return original

    def compare(self, prepared: Any, reconstruction: Image) -> float:
        """Raises Failed if the class raises, or returns no number."""
        mine, other = copied(prepared), reconstruction.copy()
        value = number(_called(self, "compare", self.theirs.compare, mine, other), "compare")
        return in_range(value, self.info, "compare")


@dataclass(eq=False)
class OwnNoReferenceMetric:
    """`score` of the user's class, as a NoReferenceMetric."""

    info: MetricInfo
    protocol: str
    feature_key: str
    theirs: Any
    containment: Containment = field(default_factory=Containment)

    def load(self) -> None:
        _load(self)

    def score(self, image: Image) -> float:
        """Raises Failed if the class raises, or returns no number."""
        return in_range(number(_called(self, "score", self.theirs.score, image.copy()), "score"), self.info, "score")


@dataclass(eq=False)
class OwnSetMetric:
    """`features` of the user's class, as a SetMetric. cuts: whether the class cuts its patches itself. begin: is told
    the name of each function of the class that compares sets, before it is called."""

    info: MetricInfo
    protocol: str
    feature_key: str
    theirs: Any
    cuts: bool
    distance_name: str | None
    containment: Containment = field(default_factory=Containment)
    begin: Callable[[str], None] = lambda name: None
    _dimensions: list[int] = field(default_factory=list)

    def load(self) -> None:
        _load(self)

    def features(self, image: Image) -> npt.NDArray[np.float32]:
        """(n, dimension); (0, 0) if no patch fits. Raises Failed on anything else than finite numbers of one shape."""
        rule = self.info.patches
        parts = [image] if self.cuts or rule is None else cut(rule, image)
        rows = [self._rows(_called(self, "features", self.theirs.features, part.copy())) for part in parts]
        return np.concatenate(rows) if rows else np.empty((0, 0), dtype=np.float32)

    def distance(self, originals: Sequence[Features], reconstructions: Sequence[Features]) -> float:
        """Raises Undefined on too few patches, BenchmarkError if the class's own distance breaks down."""
        if self.distance_name is not None:
            return DISTANCES[self.distance_name].whole(originals, reconstructions)
        return self._distance(list(originals), list(reconstructions))

    def leave_one_out(
        self, originals: Sequence[Features], reconstructions: Sequence[Features]
    ) -> npt.NDArray[np.float64]:
        """(n_images,), as a SetMetric has it."""
        if self.distance_name is not None:
            return DISTANCES[self.distance_name].leave_one_out(originals, reconstructions)
        before, after = list(originals), list(reconstructions)
        if hasattr(self.theirs, "leave_one_out"):
            self.begin("leave_one_out")
            own = copied(before), copied(after)
            try:
                values = np.asarray(_inside(self, self.theirs.leave_one_out, *own), dtype=np.float64)
            except Undefined:
                raise
            except Exception as error:
                raise BenchmarkError(f"{self.info.name}: leave_one_out: {told(error)}") from error
            if values.shape != (len(before),):
                raise BenchmarkError(
                    f"{self.info.name}: leave_one_out returned shape {values.shape}, not ({len(before)},)"
                )
            if not (np.abs(values) <= LARGEST).all():  # as a distance that has no value
                raise Undefined(f"leave_one_out returned {values[~(np.abs(values) <= LARGEST)][0]}")
            return values
        return np.array(
            [self._distance(before[:i] + before[i + 1 :], after[:i] + after[i + 1 :]) for i in range(len(before))]
        )

    def _distance(self, originals: list[Features], reconstructions: list[Features]) -> float:
        self.begin("distance")
        own = copied(originals), copied(reconstructions)  # which its code may write to, as where it normalises
        try:
            value = number(_inside(self, self.theirs.distance, *own), "distance")
            value = in_range(value, self.info, "distance")
        except Failed as failure:
            raise BenchmarkError(f"{self.info.name}: {str(failure).removeprefix(FAILED)}") from None
        except Undefined:
            raise
        except Exception as error:
            raise BenchmarkError(f"{self.info.name}: distance: {told(error)}") from error
        if not abs(value) <= LARGEST:
            raise Undefined(f"the value is {value}")
        return value

    def _rows(self, found: Any) -> npt.NDArray[np.float32]:
        try:
            rows = np.asarray(found.detach().cpu() if hasattr(found, "detach") else found)
            real = np.issubdtype(rows.dtype, np.floating) or np.issubdtype(rows.dtype, np.integer)
        except (TypeError, ValueError) as error:
            raise Failed(f"features returned {_told(found)}: {told(error)}") from None
        if rows.ndim not in (1, 2) or not real or rows.shape[-1] == 0:
            raise Failed(f"features returned {_told(found)}, not numbers of shape (n, d) or (d,)")
        rows = rows.reshape(-1, rows.shape[-1]).astype(np.float32)
        if not np.isfinite(rows).all():
            raise Failed("features returned values that are not finite")
        if not self._dimensions:
            self._dimensions.append(rows.shape[1])
        if rows.shape[1] != self._dimensions[0]:
            raise Failed(f"features returned {rows.shape[1]} numbers for a patch, {self._dimensions[0]} for others")
        return rows


def copied(thing: Any) -> Any:
    """Arrays and tensors, and those in lists, tuples and dictionaries, as copies; anything else as it is."""
    if isinstance(thing, np.ndarray):
        return thing.copy()
    if hasattr(thing, "detach") and hasattr(thing, "clone"):
        return thing.clone()
    if type(thing) in (list, tuple):
        return type(thing)(copied(one) for one in thing)
    if type(thing) is dict:
        return {key: copied(one) for key, one in thing.items()}
    return thing


def number(value: Any, what: str) -> float:
    """`value` as a float, if it is one number. Raises Failed."""
    if isinstance(value, bool | np.bool_):
        raise Failed(f"{what} returned {value}, not a number")
    if isinstance(value, int | float | np.integer | np.floating):
        try:
            return float(value)
        except OverflowError:
            raise Failed(f"{what} returned a whole number beyond what a float holds") from None
    if hasattr(value, "item") and tuple(getattr(value, "shape", ("unknown",))) == ():
        return number(value.item(), what)
    raise Failed(f"{what} returned {_told(value)}, not a number")


def in_range(value: float, info: MetricInfo, what: str) -> float:
    """`value`, if it lies in the range that the metric declares, rounding aside. Raises Failed."""
    if not math.isfinite(value):  # an image without a value
        return value
    for end, beyond in ((info.lowest, -1), (info.highest, 1)):
        if end is not None and beyond * (value - end) > RANGE_SLACK * max(1.0, abs(end)):
            side = "lowest" if beyond < 0 else "highest"
            raise Failed(f"{what} returned {value:.7g}, but its {side} is {end:g}")
    return value


_OBJECTS: dict[str, OwnSetMetric] = {}


def object_of(protocol: str) -> OwnSetMetric | None:
    """The metric of sets of that protocol that this process was given as an object; no spec could open it again."""
    return _OBJECTS.get(protocol)


def from_record(info: MetricInfo, record: MetricRecord) -> OwnSetMetric:
    """A metric of sets as far as its record goes: its distance over stored features, without the user's code."""
    assert record.distance is not None
    return OwnSetMetric(info, record.protocol, str(record.feature_key), None, False, record.distance)


def adopted(
    theirs: Any,
    shipped: Mapping[str, MetricInfo],
    spec: Spec | None = None,
    patches: str | None = None,
    registry: Registry | None = None,
    containment: Containment | None = None,
) -> Metric:
    """The user's object as a metric of the suite. spec: that it was opened with; None for one from a Python program.
    containment: of its code, by now.

    Raises UsageError, in one line, on what is no metric and on a name that is taken.
    """
    what = f"metric {spec.text if spec is not None else type(theirs).__name__}"
    containment = containment or Containment()
    try:
        with containment.inside():
            found = no_exit(_adopted, theirs, what, shipped, spec, patches, registry)
    except BenchmarkError:
        raise
    except Exception as error:  # properties are code too
        raise BenchmarkError(f"{what}: cannot be used: {told(error)}") from error
    found.containment = containment
    if spec is None and isinstance(found, OwnSetMetric):
        _OBJECTS[found.protocol] = found
    metric: Metric = found
    return metric


def _adopted(
    theirs: Any,
    what: str,
    shipped: Mapping[str, MetricInfo],
    spec: Spec | None,
    patches: str | None,
    registry: Registry | None,
) -> OwnImageMetric | OwnNoReferenceMetric | OwnSetMetric:
    if isinstance(theirs, type):
        raise UsageError(f"{what}: a class, not an object: {theirs.__name__}()")
    kind = _kind(theirs, what)
    installed = spec is not None and spec.file is None
    _check_calls(theirs, what)
    info = _info(theirs, kind, what, spec.name if spec is not None and installed else type(theirs).__name__)
    if installed and spec is not None:
        info = replace(info, name=spec.name)
    check_name(info.name, what, shipped)
    if kind != "set" and patches is not None:
        raise UsageError(f"{what}: it compares whole images; only metrics of sets have patches")
    declared = [str(theirs.protocol)] if getattr(theirs, "protocol", "") else []
    own = _identity(theirs, spec, bool(declared), registry, names_of_variables(theirs, what))
    settings = [f"{key}={value}" for key, value in sorted(spec.settings.items())] if spec is not None else []
    parts = {**info.parts, **own.words, **dict.fromkeys(settings, "a setting of it")}
    info = replace(info, parts=parts)
    after = [*declared, *settings, *own.words]
    if kind == "image":
        return OwnImageMetric(info, "/".join([info.name, *after]), theirs)
    if kind == "no-reference":
        protocol = "/".join([info.name, *after])
        return OwnNoReferenceMetric(info, protocol, _key(info.name, protocol), theirs)
    return _set_metric(theirs, info, patches, after, what)


def _set_metric(theirs: Any, info: MetricInfo, patches: str | None, after: list[str], what: str) -> OwnSetMetric:
    distance = getattr(theirs, "distance", None)
    named = distance if isinstance(distance, str) else None
    if not callable(distance) and named not in DISTANCES:
        raise UsageError(
            f"{what}: distance is {distance!r}; it must be {', '.join(map(repr, DISTANCES))}, or a function"
        )
    if named is not None and named != "frechet" and not hasattr(theirs, "signed"):
        info = replace(info, signed=True)
        _check_margin(info, what)
    base = info.name
    estimator = "own-distance" if named is None else f"{named}{DISTANCES[named].estimator}".replace("/", "-")
    words = "by a distance of its own" if named is None else f"by the {named} distance, as the suite computes it"
    info = replace(info.over(patches), parts={**info.parts, **PATCH_RULES, estimator: words})
    protocol = "/".join([base, str(info.patches), estimator, *after])
    cuts = "patches" in inspect.signature(type(theirs)).parameters
    return OwnSetMetric(info, protocol, _key(f"{base}.{info.patches}", protocol), theirs, cuts, named)


def _key(name: str, protocol: str) -> str:
    return f"{name}.{hashlib.sha256(protocol.encode()).hexdigest()[:8]}"


def _kind(theirs: Any, what: str) -> Kind:
    found = [name for name in _KINDS if callable(getattr(theirs, name, None))]
    if len(found) != 1:
        has = f"it has {' and '.join(found)}" if found else "it has none of them"
        raise UsageError(
            f"{what}: no metric; one has compare(original, reconstruction), features(image) or "
            f"score(reconstruction), and {has}"
        )
    return _KINDS[found[0]]


def _check_calls(theirs: Any, what: str) -> None:
    """Raises UsageError unless its functions can be called as they will be."""
    for name, parameters in _CALLS.items():
        function = getattr(theirs, name, None)
        if function is None or (name == "distance" and isinstance(function, str)):
            continue
        if inspect.iscoroutinefunction(function):
            raise UsageError(f"{what}: {name} is async; it must return its result")
        if not takes(function, *parameters):
            raise UsageError(f"{what}: {name} must take ({', '.join(parameters)}), it is {written(function, name)}")


def _info(theirs: Any, kind: Kind, what: str, name: str) -> MetricInfo:
    """The facts that the object declares; the others are plain."""
    declared = getattr(theirs, "info", None)
    if isinstance(declared, MetricInfo):
        facts = {f.name: getattr(declared, f.name) for f in fields(MetricInfo)}
    else:
        names = (*(f.name for f in fields(MetricInfo)), "protocol")
        facts = {key: getattr(theirs, key) for key in names if hasattr(theirs, key)}
    for key, types in _TYPES.items():
        value = facts.get(key)
        if isinstance(value, np.bool_):
            facts[key] = value = bool(value)
        if key in facts and (not isinstance(value, types) or (bool not in types and isinstance(value, bool))):
            kinds = " or ".join("None" if one is type(None) else one.__name__ for one in types)
            raise UsageError(f"{what}: {key} is {value!r}, not {kinds}")
    for key, choices in _CHOICES.items():
        if key in facts and facts[key] not in choices:
            raise UsageError(f"{what}: {key} is {facts[key]!r}; it must be {' or '.join(map(repr, choices))}")
    distance = getattr(theirs, "distance", None)
    if kind == "set" and isinstance(distance, str) and distance in DISTANCES and facts.setdefault(_DIRECTION, False):
        raise UsageError(f"{what}: lower is better with distance {distance!r}: higher_is_better = False, or nothing")
    if _DIRECTION not in facts:
        raise UsageError(f"{what}: says not whether higher is better: higher_is_better = True or False")
    for key in ("title", "unit", "words", "protocol"):
        if not str(facts.get(key) or "").isprintable():
            raise UsageError(f"{what}: {key} is {facts[key]!r}; it must be one line that can be printed")
    parts = facts.get("parts", {})
    if not isinstance(parts, Mapping) or not all(isinstance(one, str) for pair in parts.items() for one in pair):
        raise UsageError(f"{what}: parts is {parts!r}, not a dict of the protocol's parts and their words")
    rule = facts.get("patches") or facts.get("default_patches") or "whole"
    if kind == "set" and (not isinstance(rule, str) or rule not in PATCH_RULES):
        raise UsageError(f"{what}: patches is {rule!r}; there are {', '.join(PATCH_RULES)}")
    info = MetricInfo(
        facts.get("name") or name,
        facts.get("title") or facts.get("name") or name,
        kind,
        facts.get("unit", ""),
        facts["higher_is_better"],
        facts.get("lowest"),
        facts.get("highest"),
        default_patches=str(rule) if kind == "set" else None,
        signed=facts.get("signed", False),
        scale=facts.get("scale", "linear"),
        margin=facts.get("margin"),
        words=facts.get("words") or f"a metric of the user's own, {BETWEEN[kind]}",
        parts=dict(parts),
        aspect=facts.get("aspect", _ASPECTS[kind]),
        smallest_side=facts.get("smallest_side", 1),
    )
    _check_range(info, what)
    if info.scale == "decibel" and not info.higher_is_better:
        raise UsageError(f"{what}: scale 'decibel' is for a similarity up to 1, where higher is better")
    _check_margin(info, what)
    return info


def _check_range(info: MetricInfo, what: str) -> None:
    ends = [end for end in (info.lowest, info.highest) if end is not None]
    if not all(map(math.isfinite, ends)) or (len(ends) == 2 and ends[0] >= ends[1]):
        raise UsageError(f"{what}: its range is {info.lowest} to {info.highest}; None where there is no end")
    if info.smallest_side < 1:
        raise UsageError(f"{what}: smallest_side is {info.smallest_side}, not a number of pixels from 1 on")


def _check_margin(info: MetricInfo, what: str) -> None:
    if info.margin is None:
        return
    try:
        margin = parse_margin(info.margin)
    except ValueError as error:
        raise UsageError(f"{what}: margin: {error}") from None
    if margin.relative and info.signed:
        raise UsageError(f"{what}: its values may be 0 or negative, so its margin is no share: {info.margin}")


def check_name(name: str, what: str, shipped: Mapping[str, MetricInfo]) -> None:
    """Raises UsageError if no metric but the suite's may be called so, or none at all."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}", name):
        raise UsageError(f"{what}: its name {name!r} must be of letters, digits, '.', '_' and '-', 60 at most")
    if name.lower() in (taken.lower() for taken in shipped):
        raise UsageError(f"{what}: its name {name!r} is that of a metric of the suite; give it another")
    if name.lower() in _TAKEN:
        raise UsageError(f"{what}: its name {name!r} means something else in tables and files; give it another")


def _hashes_of_settings(theirs: Any, spec: Spec, folders: Sequence[Path]) -> dict[str, str]:
    """Of the files that the settings of a metric of a file name, and the defaults of those that were left out."""
    texts: dict[str, str] = {}
    with contextlib.suppress(TypeError, ValueError):
        parameters = inspect.signature(type(theirs)).parameters.values()
        texts = {one.name: str(one.default) for one in parameters if isinstance(one.default, str | Path)}
    texts |= dict(spec.settings)
    return hashes_of(
        {f"{key}/{path.name}": path for key, text in texts.items() for path in files_of_setting(text, folders).values()}
    )


@dataclass(frozen=True)
class _Identity:
    """Parts of a protocol, and what `explain` says of them."""

    words: dict[str, str]


def _identity(
    theirs: Any, spec: Spec | None, declared: bool, registry: Registry | None, named: tuple[str, ...]
) -> _Identity:
    """What tells two versions of the code apart: the file's hash, or for a package that declares none its version."""
    surroundings = {**variables(named), **files_of_variables(named)}
    if spec is not None and spec.file is not None:
        modules = modules_beside(spec.file)
        parts = {
            "": sha256_of(spec.file),
            **hashes_of_code(spec.file, modules),
            **hashes_of_programs(spec.file),
            **hashes_of(data_of_code(spec.file)),
            **_hashes_of_settings(theirs, spec, [spec.file.parent]),
            **surroundings,
        }
        others = ", ".join(name for name in parts if name)
        if not others:
            digest, what = parts[""][:16], f"{spec.file.name} with this SHA-256"
        else:
            listing = "\n".join(f"{sha256} {Path(name).name}" for name, sha256 in parts.items())
            digest = hashlib.sha256(listing.encode()).hexdigest()[:16]
            what = f"{spec.file.name} and {others}, whose hashes have this SHA-256"
        return _Identity({f"file-{digest}": f"computed by {what} (its first 16 digits)"})
    if spec is not None:
        group = registry.entry_points if registry is not None else None
        points = importlib.metadata.entry_points(group=group or "", name=spec.name)
        found = next((point.dist for point in points if point.dist is not None), None)
        if found is not None and not declared:
            return _Identity({f"{found.name}-{found.version}": "computed by this version of the package"})
        if found is not None or declared:
            return _Identity({})
    settings = {
        f"{key}={value}": "a setting of it"
        for key, value in sorted(getattr(theirs, "__dict__", {}).items())
        if isinstance(value, str | int | float)
        and not key.startswith("_")
        and key not in _TYPES
        and key not in _CHOICES
    }
    there = {word.partition("=")[0] for word in settings}
    for key, value in sorted(settings_kept(theirs).items()):
        if key not in there and key not in (*_TYPES, *_CHOICES):
            settings[_word_of_setting(key, value)] = "a setting of it"
    source = code_hash(type(theirs))
    if source is None:
        return _Identity({f"unknown-{uuid.uuid4().hex[:8]}": "of code that cannot be read, so comparable with nothing"})
    weights = weights_hash(theirs)
    if weights:
        settings[f"weights-{weights[:16]}"] = "weights with this SHA-256 (its first 16 digits)"
    if surroundings:
        settings[f"environment-{digest_of(surroundings)[:16]}"] = f"of {', '.join(surroundings)}, by their hash"
    code = f"code-{source[:16]}"
    return _Identity({**settings, code: "computed by code with this SHA-256 (its first 16 digits)"})


def _word_of_setting(key: str, value: Any) -> str:
    """A part of a protocol: the value, or its hash where it is long."""
    text = str(value)
    return f"{key}={text}" if len(text) <= 40 else f"{key}={digest_of({key: text})[:16]}"


class _Contained(Protocol):
    @property
    def theirs(self) -> Any: ...
    @property
    def info(self) -> MetricInfo: ...
    @property
    def containment(self) -> Containment: ...


def _inside(metric: _Contained, function: Callable[..., Any], *arguments: Any) -> Any:
    with metric.containment.inside():
        return no_exit(function, *arguments)


def _load(metric: _Contained) -> None:
    if not hasattr(metric.theirs, "load"):
        return
    try:
        _inside(metric, metric.theirs.load)
    except BenchmarkError:
        raise
    except Exception as error:
        raise BenchmarkError(f"{metric.info.name}: load: {told(error)}") from error


def _called(metric: _Contained, what: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """What the user's function returns. Whatever it raises is Failed, but for Undefined and UsageError."""
    try:
        return _inside(metric, function, *arguments)
    except (Undefined, UsageError):
        raise
    except Exception as error:
        raise Failed(f"{what}: {told(error)}") from error


def _told(value: Any) -> str:
    """What kind of thing it is, and its shape if it has one."""
    shape = getattr(value, "shape", None)
    told = f"{value!r}" if isinstance(value, str) and len(value) < 40 else type(value).__name__
    return told if shape is None else f"{told} of shape {tuple(cast(Sequence[int], shape))}"
