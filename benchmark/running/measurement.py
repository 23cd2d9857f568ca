"""One trial: encode, decode from the bytes alone, check, measure. What goes wrong is said in the trial's record."""

import contextlib
import gc
import hashlib
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial
from statistics import median
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from benchmark.addresses import Location
from benchmark.codecs import Codec, Image, hold_codec, is_unproven, open_afresh, open_codec, parse_codec_spec
from benchmark.elsewhere import Gone, Raised, elsewhere_of
from benchmark.errors import BenchmarkError, Undefined, UsageError, one_line
from benchmark.guards import interrupts, no_exit, own_place, told
from benchmark.images import load_image, png_bytes
from benchmark.metrics import (
    ImageMetric,
    Loads,
    Metric,
    NoReferenceMetric,
    RecodingMetric,
    SetMetric,
    file_version,
    open_metric,
)
from benchmark.metrics.shared import sharing
from benchmark.reading import LARGEST
from benchmark.reconstructions import ELSEWHERE, Reconstructions
from benchmark.redaction import redacted
from benchmark.results import FAILED, RunFolder, Trial
from benchmark.running.interruption import Terminated
from benchmark.running.originals import Kept, OriginalStore
from benchmark.running.plan import PlannedTrial
from benchmark.shortage import is_shortage, shortages

Result = TypeVar("Result")

NO_PATCH = "smaller than a patch: not part of the set"


NO_X_HAT = "the codec has no x_hat: its bits say nothing but the reconstruction"

NOT_COMPARED = "decode by a fresh instance"
"""Among a trial's reasons: why nothing can be said on it."""

SMALLER_PARTS = "smaller parts"
"""Among a trial's reasons: what a device had no memory for, see `shortage`."""


class TrialError(Exception):
    """Why a trial has no values, in one line. The exception behind it, if there is one, is its `__cause__`."""


@dataclass(frozen=True)
class Instruments:
    """Opened metrics by their names. specs: name -> what opened it, None for an object; in the order asked for.

    recoding: those that need the codec besides. broken: those that are not asked, and the reasons that are recorded in
    the values' place. begin: is told which is asked, "" once it has answered.
    """

    image: Mapping[str, ImageMetric]
    set: Mapping[str, SetMetric]
    alone: Mapping[str, NoReferenceMetric] = field(default_factory=dict)
    specs: Mapping[str, str | None] = field(default_factory=dict)
    recoding: Mapping[str, RecodingMetric] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)
    begin: Callable[[str], None] = lambda name: None

    @property
    def all(self) -> dict[str, Metric]:
        """Per-image metrics first."""
        return {**self.image, **self.recoding, **self.alone, **self.set}


def open_codecs(chosen: Mapping[str, Any], device: str) -> dict[str, Codec]:
    """Label -> codec, of specs and of objects. Raises UsageError on an unknown codec or setting, or on what is none."""
    return {label: _opened(codec, label, device) for label, codec in chosen.items()}


def _opened(codec: Any, label: str, device: str) -> Codec:
    if isinstance(codec, str):
        return open_codec(codec, device)
    return cast(Codec, codec) if isinstance(codec, Reconstructions) else hold_codec(codec, label)


def fresh_openers(chosen: Mapping[str, Any], device: str) -> dict[str, Callable[[], Codec] | None]:
    """What `Workbench.fresh` is for these codecs, specs or objects."""
    fresh: dict[str, Callable[[], Codec] | None] = {}
    for label, codec in chosen.items():
        if not isinstance(codec, str):
            fresh[label] = None
        elif is_unproven(parse_codec_spec(codec)):
            fresh[label] = partial(open_afresh, codec, device)
    return fresh


def open_instruments(asked: Iterable[str | object], device: str) -> Instruments:
    """The metrics that `asked` names or holds. Raises UsageError on an unknown one, and if two have one name."""
    metrics: dict[str, Metric] = {}
    specs: dict[str, str | None] = {}
    for one in asked:
        metric = _metric(one, device, file_version(one)) if isinstance(one, str) else open_metric(one, device)
        name, spec = metric.info.name, one if isinstance(one, str) else None
        twin = next((other for other in metrics if other.lower() == name.lower()), None)  # names of files
        if twin is not None:
            both = " and ".join(other or f"an object {type(one).__name__}" for other in (specs[twin], spec))
            names = repr(name) if name == twin else f"{twin!r} and {name!r}"
            raise UsageError(f"two metrics are named {names}: {both}; give one of them another name")
        metrics[name], specs[name] = metric, spec
    recoding = {name: metric for name, metric in metrics.items() if isinstance(metric, RecodingMetric)}
    return Instruments(
        {
            name: cast(ImageMetric, metric)
            for name, metric in metrics.items()
            if metric.info.kind == "image" and name not in recoding
        },
        {name: cast(SetMetric, metric) for name, metric in metrics.items() if metric.info.kind == "set"},
        {name: cast(NoReferenceMetric, m) for name, m in metrics.items() if m.info.kind == "no-reference"},
        specs,
        recoding,
    )


@cache
def _metric(name: str, device: str, version: str) -> Metric:
    """Opened once per process: a metric has no state but its network. version: of its file, which may be edited."""
    return open_metric(name, device)


def load_networks(instruments: Instruments) -> None:
    """Loads what metrics need. Raises BenchmarkError, which says how to fetch them, if weights are not there."""
    for metric in instruments.all.values():
        if isinstance(metric, Loads):
            metric.load()


@dataclass
class Prepared:
    """An original that was read: the image, and what each metric needs of it or the reason why it has none."""

    name: str
    image: Image
    metrics: dict[str, Any] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)


@dataclass
class Encoded:
    """What `encode` gave for one codec, quality and image: the bytes, or why there are none.

    repeats: seconds of each call whose time was measured. ways: as `_timed` returns them. estimate: the codec's own of
    its bits, None if it tells none, and then perhaps why not.
    """

    encoding: tuple[str, float, str]
    data: bytes = b""
    repeats: list[float] = field(default_factory=list)
    ways: list[float] = field(default_factory=list)
    estimate: float | None = None
    no_estimate: str = ""
    error: str | None = None


@dataclass
class Workbench:
    """Opened codecs and metrics, and what the last trials left that the next ones can use.

    untimed: why no time is recorded ("" if it is). repeats: calls whose time is measured, after one call of encode and
    decode for each codec. fresh: codecs whose first trial is decoded once more, by an instance that never encoded; None
    for an object, of which there is no other: it decodes again after it has encoded something else. debug: what codecs
    and metrics raise is raised. is_interrupt: whether a KeyboardInterrupt is the user's.
    """

    folder: RunFolder
    codecs: Mapping[str, Codec]
    instruments: Instruments
    keep_reconstructions: bool
    untimed: str
    repeats: int = 1
    originals: OriginalStore | None = None
    fresh: Mapping[str, Callable[[], Codec] | None] = field(default_factory=dict)
    debug: bool = False
    is_interrupt: Callable[[], bool] = lambda: True
    _stateful: dict[str, str | None] = field(default_factory=dict)
    _tracebacks: set[str] = field(default_factory=set)
    _prepared: Prepared | None = None
    _unreadable: tuple[str, str] | None = None
    _encoded: Encoded | None = None
    _warm: frozenset[str] = frozenset()

    def measure(self, planned: PlannedTrial, broken: Mapping[str, str] | None = None) -> Trial:
        """The record of a trial; its features, and its image if it is to be kept, are in the folder by then.

        broken: metrics that are not asked, as in `Instruments`. Raises UsageError, which concerns every image: a
        quality out of range, say.
        """
        trial = Trial(
            codec=planned.codec, quality=planned.quality, decoder_seed=planned.decoder_seed, image=planned.image
        )
        try:
            with shortages() as short, interrupts(self.is_interrupt), self._without(broken or {}):
                original = self._original(planned)
                trial.height, trial.width = original.image.shape[:2]
                self._fill(trial, planned, original)
            if short:
                trial.reasons[SMALLER_PARTS] = "; ".join(short.values())
        except TrialError as failure:
            if self.debug and failure.__cause__ is not None:
                raise failure.__cause__ from None
            trial = self._failed(trial, one_line(failure) + self._told_in_full(planned, failure))
        except KeyboardInterrupt as interrupt:
            if self.debug or isinstance(interrupt, Terminated) or self.is_interrupt():
                raise
            unasked = TrialError(f"KeyboardInterrupt, which nobody asked for ({own_place(interrupt)})")
            unasked.__cause__ = interrupt
            trial = self._failed(trial, str(unasked) + self._told_in_full(planned, unasked))
        return trial

    @contextlib.contextmanager
    def _without(self, broken: Mapping[str, str]) -> Iterator[None]:
        whole, self.instruments = self.instruments, replace(self.instruments, broken=broken)
        try:
            yield
        finally:
            self.instruments = whole
            if broken:
                self._prepared = None  # it lacks what they would have made of the original

    def _failed(self, trial: Trial, error: str) -> Trial:
        return Trial(
            codec=trial.codec,
            quality=trial.quality,
            decoder_seed=trial.decoder_seed,
            image=trial.image,
            height=trial.height,
            width=trial.width,
            error=error,
        )

    def _told_in_full(self, planned: PlannedTrial, failure: TrialError) -> str:
        """Where the traceback is, if an exception of foreign code is behind `failure`: one file for each place."""
        error = failure.__cause__
        details = getattr(error, "details", "") if isinstance(error, Raised | Gone) else ""
        if error is None or (isinstance(error, BenchmarkError) and not details):
            return ""
        if isinstance(error, Raised | Gone):
            key = [type(error).__qualname__, planned.codec, *error.where]
        else:
            frames = traceback.extract_tb(error.__traceback__)
            key = [type(error).__qualname__, *(f"{frame.filename}:{frame.lineno}" for frame in frames)]
        name = f"{hashlib.sha256(' '.join(key).encode()).hexdigest()[:8]}.txt"
        path = self.folder.traceback_path(name)
        if name not in self._tracebacks:
            self._tracebacks.add(name)
            seed = "" if planned.decoder_seed is None else f", decoder seed {planned.decoder_seed}"
            head = f"{planned.codec}, quality {planned.quality:g}{seed}, image {planned.image}\n\n"
            text = redacted(head + (details or "".join(traceback.format_exception(error))))
            self.folder.write_bytes(path, text.encode(errors="backslashreplace"))
        return f"; {path.relative_to(self.folder.path).as_posix()}"

    def _fill(self, trial: Trial, planned: PlannedTrial, original: Prepared) -> None:
        codec = self.codecs[planned.codec]
        if isinstance(codec, Reconstructions):
            self._fill_from_elsewhere(trial, planned, original, codec)
            return
        if (stateful := self._stateful.get(planned.codec)) is not None:
            raise TrialError(stateful)
        if not self.untimed and planned.codec not in self._warm:
            # The first call pays for memory, caches and kernels that later calls find ready.
            self._warm |= {planned.codec}
            _decode(codec, _encode(codec, original.image, planned.quality)[0], planned.decoder_seed)
        encoded = self._encode(planned, codec, original)
        if encoded.error is not None:
            raise TrialError(encoded.error)
        reconstruction, repeats, ways = self._timed(codec, lambda: _decode(codec, encoded.data, planned.decoder_seed))
        reconstruction = _checked(reconstruction, original.image, "decode returned")
        if planned.codec in self.fresh and planned.codec not in self._stateful:
            self._compare_with_fresh(trial, planned, encoded.data, reconstruction, original.image)
        pixels = original.image.shape[0] * original.image.shape[1]
        trial.bytes = len(encoded.data)
        trial.bpp = 8 * len(encoded.data) / pixels
        if encoded.estimate is not None:
            trial.bpp_estimated = encoded.estimate / pixels
        elif encoded.no_estimate:
            trial.reasons["bpp_estimated"] = encoded.no_estimate
        if self.untimed:
            trial.reasons |= {"encode_seconds": self.untimed, "decode_seconds": self.untimed}
        else:
            trial.encode_repeats, trial.decode_repeats = encoded.repeats, repeats
            trial.encode_seconds, trial.decode_seconds = median(encoded.repeats), median(repeats)
            if ways:
                trial.transfer_seconds = median(encoded.ways) + median(ways)
        measure_pair(self.folder, self.instruments, trial, original, reconstruction)
        measure_recoding(self.instruments, trial, codec, encoded.data, reconstruction)
        if self.keep_reconstructions:
            self.folder.write_bytes(self.folder.bitstream_path(trial.key), encoded.data)
            self.folder.write_bytes(self.folder.reconstruction_path(trial.key), png_bytes(reconstruction))

    def _fill_from_elsewhere(
        self, trial: Trial, planned: PlannedTrial, original: Prepared, codec: Reconstructions
    ) -> None:
        """As `_fill` does, of an image that nothing here has decoded."""
        try:
            found = codec.reconstruction(planned.image, planned.quality)
        except UsageError:
            raise
        except BenchmarkError as error:
            raise TrialError(one_line(error)) from None
        if planned.made and codec.identity(planned.image, planned.quality) != planned.made:
            what = f"the reconstruction of {planned.image} at quality {planned.quality:g}"
            raise TrialError(f"{what}: it or its bits have changed since the run began")
        reconstruction = _checked(found.image, original.image, "the reconstruction is")
        trial.bytes = found.bytes
        trial.bpp = 8 * found.bytes / (original.image.shape[0] * original.image.shape[1])
        trial.reasons |= dict.fromkeys(("encode_seconds", "decode_seconds"), self.untimed or ELSEWHERE)
        measure_pair(self.folder, self.instruments, trial, original, reconstruction)
        for name in self.instruments.recoding:
            _enter(trial, name, None, f"it needs the codec: {ELSEWHERE}")
        if self.keep_reconstructions:
            if found.stream is not None:
                self.folder.write_bytes(self.folder.bitstream_path(trial.key), found.stream.read_bytes())
            self.folder.write_bytes(self.folder.reconstruction_path(trial.key), png_bytes(reconstruction))

    def _compare_with_fresh(
        self, trial: Trial, planned: PlannedTrial, data: bytes, reconstruction: Image, original: Image
    ) -> None:
        """Decodes `data` once more, without what `encode` may have left. Raises TrialError if that is needed."""
        codec, opener = self.codecs[planned.codec], self.fresh[planned.codec]
        self._stateful[planned.codec] = None
        with _freed():
            try:
                if opener is None:
                    found = "after another image was encoded, decode"
                    _encode(codec, np.ascontiguousarray(np.rot90(original)[::2]), planned.quality)
                    other = codec
                else:
                    found = "a fresh instance"
                    other = opener()
            except (TrialError, BenchmarkError) as error:
                trial.reasons[NOT_COMPARED] = one_line(error)
                return
            try:
                again = _checked(_decode(other, data, planned.decoder_seed), original, "decode returned")
                difference = int((again != reconstruction).sum())
                found += f" gives another image: {difference} of {again.size} samples differ"
            except TrialError as failure:
                if is_shortage(failure.__cause__):
                    trial.reasons[NOT_COMPARED] = one_line(failure)
                    return
                difference, found = 1, f"{found} fails: {failure}"
            del other
        if not difference:
            return
        if opener is not None and not _repeats(codec, data, planned.decoder_seed, reconstruction):
            trial.reasons[NOT_COMPARED] = "decode does not give the same image twice"
            return
        self._stateful[planned.codec] = f"decode depends on state that encode left: {found}"
        raise TrialError(f"decode depends on state that encode left: {found}")

    def _original(self, planned: PlannedTrial) -> Prepared:
        name = planned.image
        if self._unreadable is not None and self._unreadable[0] == name:
            raise TrialError(self._unreadable[1])
        if self._prepared is None or self._prepared.name != name:
            self._prepared = None  # the old one may be large
            try:
                self._prepared = self._prepare(name, planned.path, planned.preparation, planned.sha256)
            except TrialError as failure:
                self._unreadable = (name, str(failure) + self._told_in_full(planned, failure))
                raise
        return self._prepared

    def _prepare(self, name: str, path: Location, preparation: str, sha256: str | None) -> Prepared:
        if self.originals is None:
            return prepare(self.folder, self.instruments, name, _load(path, preparation, sha256))
        kept = self.originals.get(path, preparation) or Kept(_load(path, preparation, sha256))
        prepared = prepare(self.folder, self.instruments, name, kept.image, kept)
        self.originals.put(path, preparation, kept)
        return prepared

    def _encode(self, planned: PlannedTrial, codec: Codec, original: Prepared) -> Encoded:
        if self._encoded is None or self._encoded.encoding != planned.encoding:
            try:
                (data, bits), repeats, ways = self._timed(
                    codec, lambda: _encode(codec, original.image, planned.quality)
                )
                estimate, why = _estimate(codec, original.image, planned.quality, bits)
                self._encoded = Encoded(planned.encoding, data, repeats, ways, estimate, why)
            except TrialError as failure:
                if self.debug:
                    raise
                self._encoded = Encoded(planned.encoding, error=str(failure) + self._told_in_full(planned, failure))
        return self._encoded

    def _timed(self, codec: Codec, call: Callable[[], Result]) -> tuple[Result, list[float], list[float]]:
        """What the last of `repeats` calls returns, and the seconds of each; one call, and none, if untimed.

        Of a codec in another interpreter, the way there and back is no part of them; those seconds come last.
        """
        if self.untimed:
            return call(), [], []
        repeats, ways = [], []
        for _ in range(self.repeats):
            _synchronise()
            before = _on_the_way(codec)
            start = time.perf_counter()
            result = call()
            _synchronise()
            seconds = time.perf_counter() - start
            if before is not None and (after := _on_the_way(codec)) is not None:
                ways.append(after - before)
                seconds -= ways[-1]
            repeats.append(seconds)
        return result, repeats, ways


def prepare(folder: RunFolder, instruments: Instruments, name: str, image: Image, kept: Kept | None = None) -> Prepared:
    """What the metrics need of an original, once for all codecs. Its features are in the folder when this returns.

    kept: what is known of it already, and gets what is computed here, but not by objects: see `Kept`. Raises TrialError
    if a metric breaks down.
    """
    with sharing():
        return _prepare(folder, instruments, name, image, kept)


def _prepare(folder: RunFolder, instruments: Instruments, name: str, image: Image, kept: Kept | None) -> Prepared:
    lasting, passing = Kept(image) if kept is None else kept, Kept(image)
    objects = {metric_name for metric_name, spec in instruments.specs.items() if spec is None}
    prepared = Prepared(name, image)
    for metric_name, metric in instruments.image.items():
        kept = passing if metric_name in objects else lasting
        if metric.protocol not in kept.prepared and metric.protocol not in kept.reasons:
            try:
                kept.prepared[metric.protocol] = _asked(instruments, metric_name, metric.prepare, image)
            except Undefined as reason:
                kept.reasons[metric.protocol] = one_line(reason)
        if metric.protocol in kept.reasons:
            prepared.reasons[metric_name] = kept.reasons[metric.protocol]
        else:
            prepared.metrics[metric_name] = kept.prepared[metric.protocol]
    for metric_name, set_metric in instruments.set.items():
        kept = passing if metric_name in objects else lasting
        path = folder.original_features_path(set_metric.feature_key, name)
        if not folder.holds(path):
            try:
                if set_metric.feature_key not in kept.features:
                    kept.features[set_metric.feature_key] = _features(instruments, metric_name, set_metric, image)
                folder.write_features(path, kept.features[set_metric.feature_key])
            except Undefined as reason:
                prepared.reasons[metric_name] = one_line(reason)
    for metric_name, alone in instruments.alone.items():
        kept = passing if metric_name in objects else lasting
        if not folder.holds(folder.original_value_path(alone.feature_key, name)):
            if alone.feature_key not in kept.values:
                kept.values[alone.feature_key] = _value(instruments, metric_name, alone.score, image)
            folder.write_original_value(alone.feature_key, name, *kept.values[alone.feature_key])
    return prepared


def measure_pair(
    folder: RunFolder, instruments: Instruments, trial: Trial, original: Prepared, reconstruction: Image
) -> None:
    """Enters each metric into `trial`: a value, or null with the reason. Writes the features of set metrics.

    Raises TrialError if a metric breaks down.
    """
    with sharing():
        _measure_pair(folder, instruments, trial, original, reconstruction)


def measure_recoding(instruments: Instruments, trial: Trial, codec: Codec, data: bytes, reconstruction: Image) -> None:
    """Enters each metric that needs the codec into `trial`. data: the trial's bytes. Raises TrialError."""

    def encode(image: Image) -> bytes:
        return _encode(codec, image, trial.quality)[0]

    for name, metric in instruments.recoding.items():
        x_hat = getattr(codec, "x_hat", None)
        if x_hat is None:
            _enter(trial, name, None, NO_X_HAT)
        else:
            try:
                value = _value(instruments, name, metric.recode, encode, x_hat, data, reconstruction)
            except TrialError as failure:
                value = None, f"{FAILED}{failure}"
            _enter(trial, name, *value)


def _measure_pair(
    folder: RunFolder, instruments: Instruments, trial: Trial, original: Prepared, reconstruction: Image
) -> None:
    for name, metric in instruments.image.items():
        if name in original.reasons:
            _enter(trial, name, None, original.reasons[name])
        else:
            _enter(trial, name, *_value(instruments, name, metric.compare, original.metrics[name], reconstruction))
    for name, alone in instruments.alone.items():
        _enter(trial, name, *_value(instruments, name, alone.score, reconstruction))
    patches: dict[str, int] = {}  # metrics of one feature key share their features
    for name, set_metric in instruments.set.items():
        key = set_metric.feature_key
        if name in original.reasons:
            trial.reasons[name] = original.reasons[name]
            continue
        if key not in patches:
            try:
                features = _features(instruments, name, set_metric, reconstruction)
            except Undefined as reason:
                trial.reasons[name] = one_line(reason)
                continue
            folder.write_features(folder.features_path(key, trial.key), features)
            patches[key] = len(features)
        if not patches[key]:
            trial.reasons[name] = NO_PATCH


def _enter(trial: Trial, name: str, value: float | None, reason: str) -> None:
    trial.metrics[name] = value
    if value is None:
        trial.reasons[name] = reason


def _asked(instruments: Instruments, name: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """What `function` of the metric `name` returns. Raises Undefined and TrialError."""
    if name in instruments.broken:
        raise Undefined(instruments.broken[name])
    instruments.begin(name)
    try:
        return _guarded(name, function, *arguments, answers=(Undefined,))
    finally:
        instruments.begin("")


def _value(
    instruments: Instruments, name: str, function: Callable[..., float], *arguments: Any
) -> tuple[float | None, str]:
    """What the metric `name` returns; None, and the reason, where it has no value."""
    try:
        value = float(_asked(instruments, name, function, *arguments))
    except Undefined as reason:
        return None, one_line(reason)
    return (value, "") if abs(value) <= LARGEST else (None, f"the value is {value}")


def _features(instruments: Instruments, name: str, metric: SetMetric, image: Image) -> npt.NDArray[np.float32]:
    features: npt.NDArray[np.float32] = _asked(instruments, name, metric.features, image)
    return features


def _encode(codec: Codec, image: Image, quality: float) -> tuple[bytes, Any]:
    """The bytes, and the codec's estimate of their bits if it gives that with them, else None.

    The codec gets a copy: the original stays what it is for the others.
    """
    bits = None
    if callable(both := getattr(codec, "encode_with_estimate", None)):
        found = _guarded("encode_with_estimate", both, image.copy(), quality)
        if not isinstance(found, tuple) or len(found) != 2:
            raise TrialError(f"encode_with_estimate returned {type(found).__name__}, not bytes and bits")
        data, bits = found
    else:
        data = _guarded("encode", codec.encode, image.copy(), quality)
    if type(data) is not bytes:  # a subclass could say another length than it has
        raise TrialError(f"encode returned {type(data).__name__}, not bytes")
    return data, bits


def _decode(codec: Codec, data: bytes, seed: int | None) -> Image:
    picture: Image = _guarded("decode", codec.decode, data, seed)
    return picture


def _repeats(codec: Codec, data: bytes, seed: int | None, reconstruction: Image) -> bool:
    try:
        return np.array_equal(_decode(codec, data, seed), reconstruction)
    except TrialError:
        return False


def _estimate(codec: Codec, image: Image, quality: float, given: Any) -> tuple[float | None, str]:
    """The codec's own estimate of the whole stream's bits; None if it makes none, and why not if it tried.

    given: what `_encode` got with the bytes.
    """
    name = "estimate_bits" if given is None else "encode_with_estimate"
    if given is None and not callable(getattr(codec, name, None)):
        return None, ""
    try:
        said = _guarded(name, getattr(codec, name), image.copy(), quality) if given is None else given
        bits = _guarded(name, float, said)
    except TrialError as failure:
        return None, str(failure)
    if not abs(bits) <= LARGEST:
        return None, f"{name}: the value is {bits}"
    return bits + 8 * int(getattr(codec, "header_bytes", 0)), ""


def _on_the_way(codec: Codec) -> float | None:
    """Seconds that calls have spent so far between this process and the interpreter in which the codec runs.

    None for a codec of this process.
    """
    there = elsewhere_of(codec)
    return None if there is None else there.seconds_on_the_way


@contextlib.contextmanager
def _freed() -> Iterator[None]:
    """Afterwards what was made inside and is not used is free, perhaps gigabytes, before anything else wants room.

    What was there before is not looked through, which takes long once torch is there.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.collect()
        gc.unfreeze()


def _synchronise() -> None:
    """Waits until the GPU has done what it was given, if torch is there and uses one."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.synchronize()


def _guarded(
    what: str, function: Callable[..., Any], *arguments: Any, answers: tuple[type[BenchmarkError], ...] = ()
) -> Any:
    """What `function` returns. Codecs and metrics are anyone's code: what they raise becomes this trial's failure.

    UsageError, which concerns every trial, `answers` and KeyboardInterrupt are passed on.
    """
    passed_on: tuple[type[Exception], ...] = (UsageError, TrialError, *answers)
    try:
        return no_exit(function, *arguments)
    except passed_on:
        raise
    except BenchmarkError as error:
        raise TrialError(f"{what}: {one_line(error)}") from error
    except Exception as error:
        raise TrialError(f"{what}: {told(error)}") from error


def _load(path: Location, preparation: str, sha256: str | None) -> Image:
    try:
        return load_image(path, preparation, sha256)
    except BenchmarkError as error:
        raise TrialError(one_line(error)) from None


def _checked(reconstruction: Any, original: Image, what: str) -> Image:
    """A copy of what `decode` returned: the codec may go on writing to its own. Raises TrialError if it is no image.

    what: how the message begins.
    """
    if not isinstance(reconstruction, np.ndarray) or isinstance(reconstruction, np.ma.MaskedArray):
        raise TrialError(f"{what} {type(reconstruction).__name__}, not a uint8 array (height, width, 3)")
    if reconstruction.shape != original.shape or reconstruction.dtype != np.uint8:
        found = f"{reconstruction.dtype} {reconstruction.shape}"
        raise TrialError(f"{what} {found}, but the original is uint8 {original.shape}")
    return np.array(reconstruction, order="C", copy=True, subok=False)
