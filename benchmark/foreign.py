"""Anyone's codec, made fit for the suite: checked when it is opened, kept to itself, known by what it is made of."""

import inspect
import math
import numbers
import re
from collections.abc import Callable, Iterable, Mapping, Set
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.containment import Containment
from benchmark.elsewhere import Elsewhere, StandIn
from benchmark.errors import BenchmarkError, UsageError
from benchmark.guards import no_exit, told
from benchmark.objects import names_of_variables
from benchmark.reading import LARGEST

NEEDED = ("encode", "decode")
"""What a codec must have; all else has a default."""

AMOUNTS = ("header_bytes", "cpus", "gpus")
"""Attributes that are numbers, where a codec has them."""

DEEPEST = 50
"""Levels that a description may be nested."""

WEIGHTS = re.compile(r"[0-9a-f]{8,}|weight|checkpoint|ckpt|sha", re.IGNORECASE)
"""What a description has that tells one set of weights from another."""

Picture = npt.NDArray[np.uint8]


class ForeignCodec:
    """A codec of a file, of a package, or an object: `benchmark.codecs.Codec` whatever it leaves out.

    codec: has at least `encode` and `decode`. what: names it in messages. made_of: what tells it from another version,
    beside its own description. containment: of its code. describes: whether it has a `describe` of its own;
    describes_weights: whether what that returned tells of weights. variables: of the environment, that it names.
    elsewhere: the other interpreter that it runs in, if it does. Raises UsageError on a codec that cannot be used, with
    the part that is wrong.
    """

    def __init__(
        self,
        codec: Any,
        what: str,
        made_of: Callable[[], Mapping[str, Any]] = dict,
        containment: Containment | None = None,
    ) -> None:
        self._codec, self._what, self._made_of = codec, what, made_of
        self._containment = containment or Containment()
        self.elsewhere: Elsewhere | None = codec.elsewhere if isinstance(codec, StandIn) else None
        try:
            with self._containment.inside():
                no_exit(self._read, codec, what)
        except BenchmarkError:
            raise
        except Exception as error:  # properties are code too
            raise BenchmarkError(f"{what}: cannot be used: {told(error)}") from error

    def _read(self, codec: Any, what: str) -> None:
        if lacking := [name for name in NEEDED if not hasattr(codec, name)]:
            raise UsageError(f"{what}: no codec, it has no {', '.join(lacking)}")
        if isinstance(codec, type):
            raise UsageError(f"{what}: a class, not an object of it; write {codec.__name__}(…)")
        for name in (*NEEDED, "estimate_bits", "encode_with_estimate", "describe"):
            if inspect.iscoroutinefunction(getattr(codec, name, None)):
                raise UsageError(f"{what}: {name} is async; it must return its result")
        if not callable(getattr(codec, "describe", dict)):
            raise UsageError(f"{what}: describe is {type(codec.describe).__name__}, not a function that returns a dict")
        self.qualities = _qualities(codec, what)
        self.stochastic = _flag(codec, what)
        self._encode = _call_of_encode(codec, what)
        self._decode = _call_of_decode(codec, what, self.stochastic)
        self.describes_weights = False  # as far as is known before it is asked
        self.describes = callable(getattr(codec, "describe", None))
        self.trained_on = trained_on(codec, what)
        self.variables = names_of_variables(codec, what)
        if hasattr(codec, "scale"):
            self.scale = _scale(codec.scale, what)
        for name in AMOUNTS:
            if hasattr(codec, name):
                setattr(self, name, _amount(getattr(codec, name), f"{what}: {name}"))
        for name in ("estimate_bits", "encode_with_estimate", "x_hat"):
            if callable(method := getattr(codec, name, None)):
                method = method if name == "x_hat" else _second_by_name(method, "quality")
                setattr(self, name, partial(self._contained, method))

    def encode(self, image: Picture, quality: float) -> bytes:
        """What the codec's `encode` returns, whatever it is."""
        data: bytes = self._contained(self._encode, image, quality)
        return data

    def decode(self, data: bytes, seed: int | None = None) -> Picture:
        """What the codec's `decode` returns, whatever it is."""
        image: Picture = self._contained(self._decode, data, seed)
        return image

    def describe(self) -> dict[str, Any]:
        """The codec's own description and what it is made of. Raises BenchmarkError if it is none for a manifest."""
        described: Any = {}
        if self.describes:
            try:
                described = self._contained(self._codec.describe)
            except BenchmarkError as error:
                raise type(error)(f"{self._what}: describe: {error}") from error
            except Exception as error:
                raise BenchmarkError(f"{self._what}: describe: {told(error)}") from error
            if not isinstance(described, Mapping):
                raise BenchmarkError(f"{self._what}: describe returned {type(described).__name__}, not a dict")
        told_of = plain(described, f"{self._what}: describe")
        if self.describes:
            self.describes_weights = bool(WEIGHTS.search(repr(told_of)))
        return {**told_of, **self._made_of()}

    def _contained(self, function: Callable[..., Any], *arguments: Any) -> Any:
        with self._containment.inside():
            return no_exit(function, *arguments)


def trained_on(codec: Any, what: str = "codec") -> tuple[str, ...]:
    """The metrics that the codec's training made small; `taught_by` is an older name of the attribute.

    Raises UsageError unless it is a name or names. what: names the codec in messages.
    """
    names: Any = getattr(codec, "trained_on", getattr(codec, "taught_by", ()))
    if isinstance(names, str):
        return (names,)
    found = tuple(names) if isinstance(names, Iterable) else (names,)
    if not all(isinstance(name, str) for name in found):
        raise UsageError(f"{what}: trained_on is {names!r}, not names of metrics")
    return found


# Checks


def _qualities(codec: Any, what: str) -> tuple[float, ...]:
    given = getattr(codec, "qualities", ())
    shown = " ".join(repr(given).split())
    numeric = f"{what}: qualities is {shown}, not a list of numbers"
    if isinstance(given, Mapping | Set):
        raise UsageError(f"{what}: qualities is {shown}, which has no order; make it a list of numbers")
    try:
        found = tuple(given)
    except TypeError:
        raise UsageError(numeric) from None
    for quality in found:
        if not _is_number(quality):
            raise UsageError(numeric)
    ordered = tuple(float(quality) for quality in found)
    if ordered not in (tuple(sorted(set(ordered))), tuple(sorted(set(ordered), reverse=True))):
        raise UsageError(f"{what}: qualities is {shown}; they go from few bits to many, up or down, each once")
    return ordered


def _amount(value: Any, what: str) -> float:
    if not _is_number(value) or value < 0:
        raise UsageError(f"{what} is {value!r}, not a number from 0 on")
    return int(value) if isinstance(value, numbers.Integral) else float(value)


def _scale(value: Any, what: str) -> tuple[float, float, float]:
    parts = tuple(value) if isinstance(value, Iterable) else ()
    if len(parts) != 3 or not all(map(_is_number, parts)) or parts[0] > parts[1] or parts[2] < 0:
        raise UsageError(f"{what}: scale is {value!r}, not (lowest, highest, step)")
    lowest, highest, step = map(float, parts)
    return lowest, highest, step


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


def _flag(codec: Any, what: str) -> bool:
    stochastic = getattr(codec, "stochastic", False)
    if not isinstance(stochastic, bool | np.bool_):
        raise UsageError(f"{what}: stochastic is {stochastic!r}, not True or False")
    return bool(stochastic)


def _call_of_encode(codec: Any, what: str) -> Callable[..., Any]:
    encode: Callable[..., Any] = codec.encode
    found = _second_by_name(encode, "quality")
    if found is encode and not takes(encode, None, 1.0):
        raise UsageError(f"{what}: encode must take (image, quality), it is {written(encode, 'encode')}")
    return found


def _second_by_name(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """`function`, whose second argument goes to its parameter `name` where another one stands second."""
    second = _second(function)
    if second is None or second.name == name or name not in inspect.signature(function).parameters:
        return function
    if not takes(function, None, **{name: None}):
        return function
    return lambda first, value: function(first, **{name: value})


def _second(function: Callable[..., Any]) -> inspect.Parameter | None:
    """The parameter that a second argument goes to, as far as the function tells."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    places = [one for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    return places[1] if len(places) > 1 else None


def _call_of_decode(codec: Any, what: str, stochastic: bool) -> Callable[[bytes, int | None], Any]:
    decode: Callable[..., Any] = codec.decode
    if (by_name := _second_by_name(decode, "seed")) is not decode:
        return by_name
    if takes(decode, b"", None):
        second = _second(decode)
        if not stochastic and second is not None and second.default is not second.empty and "seed" not in second.name:
            return lambda data, seed: decode(data)  # a setting of its own, which None would replace
        return decode
    if takes(decode, b"", seed=None):
        return lambda data, seed: decode(data, seed=seed)
    found = written(decode, "decode")
    if not takes(decode, b""):
        raise UsageError(f"{what}: decode must take (data, seed), it is {found}")
    if stochastic:
        raise UsageError(f"{what}: stochastic, but decode takes no seed; it must take (data, seed), it is {found}")
    return lambda data, seed: decode(data)


def takes(function: Any, *arguments: Any, **named: Any) -> bool:
    """Whether `function` can be called so, as far as it tells."""
    if not callable(function):
        return False
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # of a function in C, which tells nothing
        return True
    try:
        signature.bind(*arguments, **named)
    except TypeError:
        return False
    return True


def written(function: Any, name: str) -> str:
    """How its definition begins, or what it is instead."""
    return f"{name}{inspect.signature(function)}" if callable(function) else f"{type(function).__name__}"


def plain(value: Any, what: str, field: str = "") -> Any:
    """`value` in JSON's types. Raises BenchmarkError that names the field whose value has none."""
    if field.count(".") + field.count("[") > DEEPEST:
        first = "".join(re.findall(r"^[^.\[]*(?:\[\d+\])?", field))
        raise BenchmarkError(f"{what}: field {first!r} is nested too deeply, or holds itself")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise BenchmarkError(f"{what}: field {field!r} is {float(value)}, not a JSON value")
        return float(value)
    if isinstance(value, int):
        if abs(value) > LARGEST:
            raise BenchmarkError(f"{what}: field {field!r} is a whole number beyond what a float holds")
        return int(value)
    if isinstance(value, str):
        return _written(value, what, field)
    if isinstance(value, list | tuple):
        return [plain(item, what, f"{field}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise BenchmarkError(f"{what}: field {field!r} has the key {key!r}, which is no string")
            _written(key, what, field)
        return {str(key): plain(item, what, f"{field}.{key}" if field else str(key)) for key, item in value.items()}
    raise BenchmarkError(f"{what}: field {field!r} is {type(value).__name__}, not a JSON value")


def _written(text: str, what: str, field: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BenchmarkError(f"{what}: field {field!r} is {text[:40]!r}, which UTF-8 cannot write") from None
    return str(text)
