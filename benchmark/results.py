"""The run folder: the records of a run, how they are written so that no kill loses them, and how they are read.

`FILES` names what is in it.

The features and the image of a trial are written before its line, so a line implies them.
"""

import contextlib
import hashlib
import io
import math
import os
import re
import shutil
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from benchmark.compatibility import RUN
from benchmark.errors import BenchmarkError, one_line
from benchmark.files import append_whole, cannot_write, put_whole, sync_folder
from benchmark.locks import LOCK, WRITER, held
from benchmark.reading import LARGEST, brief, decoded, parse_line, parse_record, problem, read_text, shown
from benchmark.reconstructions import Bits
from benchmark.shards import FILES as SHARD
from benchmark.shards import Shards, has_shards, loose, pack

if TYPE_CHECKING:
    import pandas

SCHEMA_VERSION = RUN.writes

FILES = {
    "run.json": "the manifest (`Manifest`): what the run is; replaced atomically",
    "trials.jsonl": "one line per trial (`Trial`), appended and synced as the trial ends",
    "features/": "`KEY/originals/IMAGE.npy` and `KEY/CODEC/QUALITY[/seed-N]/IMAGE.npy`: what metrics of sets need, so "
    "that intervals and new pairings need no image; of a metric without a reference `KEY/originals/IMAGE.json`, its "
    f"value of the original. {SHARD} files of a folder become one, `shard-N.zip`, an archive of them, which "
    "`numpy.load` opens as it is",
    "reconstructions/": "`CODEC/QUALITY[/seed-N]/IMAGE.png` and `CODEC/QUALITY/IMAGE.bin`: decoded images and "
    "bitstreams, with `--keep-reconstructions`",
    "tracebacks/": "`HASH.txt` of what foreign code raised, one per place; a trial's error names its file",
    "leave-one-out.json": "metrics of sets without each image, for intervals and gates; made again from `features/` if "
    "it is missing",
    "summary.csv": "long form, one line per value with its interval; written at the end",
    "speed.csv": "with `--timing`: megapixels a second of encode and decode, median and quartiles",
    "plots/": "curves as PNG and SVG; so-far.png while a run goes on, over the images that are done",
}
"""What lies in a run folder."""

MOST = 2**53
"""The largest whole number in a record: JSON's readers and floats keep it exactly."""

FEWEST_REPEATS = 3
"""Calls of each encode and decode whose time says something: a median and quartiles."""

# NumPy reads a header with ast.literal_eval, and in CPython 3.11 two threads that parse at the same time may fail
# with "SystemError: AST constructor recursion depth mismatch": the depth is kept once for all threads.
_READING_A_HEADER = threading.Lock()

Value = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]

TrialKey = tuple[str, float, int | None, str]
"""(codec's label, quality, decoder seed, image name): what tells the trials of a run apart."""


class Record(BaseModel):
    """JSON has no infinity and no NaN, and an unknown field is a mistake or another schema: both are refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Trial(Record):
    """One image through one codec at one quality, and for a stochastic decoder one decoder seed."""

    codec: str = Field(description="label: the codec spec as the user wrote it, or another name that the user gave it")
    quality: float = Field(description="on the codec's own scale")
    decoder_seed: int | None = Field(default=None, ge=0, le=MOST, description="null for a deterministic codec")
    image: str = Field(description="the image's name in the data set")
    height: int | None = Field(
        default=None, ge=1, le=MOST, description="of the original, in pixels; null if it could not be read"
    )
    width: int | None = Field(
        default=None, ge=1, le=MOST, description="of the original, in pixels; null if it could not be read"
    )
    bytes: int | float | None = Field(
        default=None,
        ge=0,
        le=MOST,
        description="length of the whole byte string that decode is given; a fraction where bits are stated",
    )
    bpp: float | None = Field(default=None, ge=0, description="8 * bytes / (height * width)")
    bpp_estimated: Value | None = Field(
        default=None,
        ge=0,
        description="by the codec's own entropy model, its known header counted; null if it tells none",
    )
    metrics: dict[str, Value | None] = Field(default_factory=dict, description="per-image metrics, by name")
    reasons: dict[str, str] = Field(
        default_factory=dict,
        description="why a metric or a time is null, by name; besides, what the codec or the device did otherwise",
    )
    encode_seconds: float | None = Field(
        default=None, ge=0, description="wall time of encode, median of the repeats, or null"
    )
    decode_seconds: float | None = Field(
        default=None, ge=0, description="wall time of decode, median of the repeats, or null"
    )
    encode_repeats: list[float] | None = Field(default=None, description="seconds of each repeat; null if not measured")
    decode_repeats: list[float] | None = Field(default=None, description="seconds of each repeat; null if not measured")
    transfer_seconds: float | None = Field(
        default=None,
        ge=0,
        description="of one encode and decode on the way to and from another interpreter, no part of their times; "
        "null if not measured, or where the codec runs in the suite's own",
    )
    error: str | None = Field(default=None, description="one line: why there are no values; null if there are")

    @property
    def key(self) -> TrialKey:
        """(codec, quality, decoder seed or None, image): what tells a trial from the others of its run."""
        return (self.codec, self.quality, self.decoder_seed, self.image)

    @property
    def broken(self) -> str | None:
        """What went wrong, in one line: the trial, or a metric of it; None if nothing did."""
        if self.error is not None:
            return self.error
        broken = ((name, why.removeprefix(FAILED)) for name, why in self.reasons.items() if why.startswith(FAILED))
        return next((f"{name}: {why}" for name, why in broken), None)


def _inside(path: str) -> str:
    """`path` if it is one below a folder, and none that leads out of it: a run folder may come from anybody."""
    if not path or path.startswith("/") or {".", ".."} & set(path.split("/")) or not path.isprintable() or "\\" in path:
        raise ValueError(f"{path!r} is no name of a file or folder inside of the run")
    return path


class PictureRecord(Record):
    """An image of the data set."""

    name: str = Field(description="unique within the data set")
    sha256: str = Field(description="of the file's bytes")
    path: str | None = Field(default=None, description="where it was read; a hint, its identity is the hash")


class DatasetRecord(Record):
    """The data set of a run."""

    name: str = Field(description="as it is labelled in every table")
    fingerprint: str = Field(description="hash of the preparation and of the images' names and hashes, in order")
    preparation: str = Field(description='what was done to each image before coding, "none" if nothing')
    pictures: list[PictureRecord] = Field(description="in order")


class CodecRecord(Record):
    """A codec of a run."""

    label: str = Field(description="the codec's name in the run made safe for a path and unique")
    qualities: list[float] = Field(description="that were asked for, from few bits to many")
    stochastic: bool = Field(description="whether decode depends on a seed")
    description: dict[str, Any] = Field(description="settings, library versions, hash of the weights")
    spec: str | None = Field(
        default=None, description="codec spec; null for an object, and in older runs, where the name is the spec"
    )
    trained_on: list[str] = Field(default_factory=list, description="metrics that its training made small")
    audited: bool | None = Field(
        default=None, description="whether an audit of this very codec was found; null for the suite's own"
    )

    bits: Bits = Field(default="real", description="how its bits came about; real where a record does not say it")

    def spec_or(self, name: str) -> str | None:
        """The codec spec, where `name` is the codec's in the run; None for an object."""
        return self.spec or (None if "object" in self.description else name)


class MetricRecord(Record):
    """A metric of a run: all that a report must know of it. Older runs have the first five fields alone."""

    protocol: str = Field(description="everything that moves the number; other protocols are not comparable")
    unit: str = Field(description="of the value, empty for a pure number")
    higher_is_better: bool = Field(description="direction")
    kind: Literal["image", "set", "no-reference"] = Field(
        description="one value per image, one value per set, or one value per image without an original"
    )
    feature_key: str | None = Field(
        default=None,
        description="folder under features/ of a set metric's features, or of a no-reference metric's values of the "
        "originals; null for kind image",
    )
    title: str | None = Field(default=None, description="as plots call it; null in a record without the fields below")
    lowest: float | None = Field(default=None, description="end of the range; null if there is none")
    highest: float | None = Field(default=None, description="end of the range; null if there is none")
    default_patches: str | None = Field(default=None, description="patch rule that the bare name means")
    patches: str | None = Field(default=None, description="patch rule of a metric of sets; null for other kinds")
    signed: bool = Field(default=False, description="whether values can be negative, so that a share means nothing")
    scale: Literal["linear", "decibel"] = Field(default="linear", description='of plots; "decibel" is -10 log10(1 - x)')
    margin: str | float | None = Field(default=None, description="largest loss that the gate lets pass; null for none")
    tolerance: str | float | None = Field(default=None, description="the same where no chance is in the number")
    words: str = Field(default="", description="what `explain` says of the metric")
    parts: dict[str, str] = Field(default_factory=dict, description="what `explain` says of the protocol's parts")
    aspect: Literal["fidelity", "perception", "realism"] = Field(default="realism", description="what it tells")
    infinite: str = Field(default="", description="reason recorded in place of an infinitely good value")
    pooled: Literal["", "mse"] = Field(default="", description='"mse": the value of the mean error is given besides')
    smallest_side: int = Field(default=1, description="in pixels; an image with a shorter side has no value")
    elsewhere: dict[str, str] = Field(default_factory=dict, description="tool: what its files call the metric")
    spec: str | None = Field(default=None, description="what opens it again; null for an object of a Python program")
    distance: str | None = Field(default=None, description="distance of a metric of sets of the user's own, by name")


class OriginalValue(Record):
    """What a metric without a reference says of an original."""

    value: float | None = Field(description="null if there is none")
    reason: str = Field(description="why there is none; empty if there is one")


FAILED = "failed: "
"""How the reason begins where a metric broke down, as opposed to having no value."""


class Resumption(Record):
    """A later start of the same run."""

    time: str = Field(description="ISO 8601, UTC")
    command: list[str] = Field(description="command line")
    git_commit: str | None = Field(
        description="of the suite's checkout, or of what pip installed from git; null for a release"
    )
    git_dirty: bool | None = Field(description="whether tracked files differed from the commit")
    workers: int = Field(description="processes")


class Manifest(Record):
    """What a run is: enough to know whether it can go on, and whether it may be compared with another."""

    schema_version: int = Field(default=SCHEMA_VERSION, description="of this record and of trials.jsonl")
    command: list[str] = Field(description="command line of the first start")
    git_commit: str | None = Field(
        description="of the suite's checkout, or of what pip installed from git; null for a release"
    )
    git_dirty: bool | None = Field(description="whether tracked files differed from the commit")
    packages: dict[str, str] = Field(description="versions of Python and of the packages that can move a number")
    environment: dict[str, str] = Field(
        default_factory=dict, description="variables that choose the arithmetic of libraries, those that are set"
    )
    machine: dict[str, str | int | None] = Field(description="system, processor, cores, memory in bytes")
    threads: int = Field(description="per process")
    workers: int = Field(description="processes; times are measured with 1 only")
    timing: int = Field(default=0, description="repeats of each encode and decode whose time is measured; 0 for none")
    device: str = Field(description="of codecs and metrics")
    dataset: DatasetRecord = Field(description="the images")
    codecs: dict[str, CodecRecord] = Field(description="by label, in the order of the tables")
    metrics: dict[str, MetricRecord] = Field(
        description="by name as the user asked; bpp is always there and not listed"
    )
    decoder_seeds: list[int] = Field(description="of stochastic codecs")
    protocol: str | None = Field(default=None, description="the paper's set-up that was asked for; null for none")
    keep_reconstructions: bool = Field(default=False, description="whether images and bitstreams are kept")
    status: Literal["running", "complete", "interrupted"] = Field(default="running", description="of the last start")
    started: str = Field(description="ISO 8601, UTC")
    finished: str | None = Field(default=None, description="ISO 8601, UTC; null until complete")
    resumptions: list[Resumption] = Field(default_factory=list, description="later starts, in order")

    @field_validator("codecs")
    @classmethod
    def _labels_are_names_of_folders(cls, codecs: dict[str, CodecRecord]) -> dict[str, CodecRecord]:
        for record in codecs.values():
            if "/" in _inside(record.label):
                raise ValueError(f"{record.label!r} is no name of a folder")
        return codecs

    @field_validator("metrics")
    @classmethod
    def _features_are_inside(cls, metrics: dict[str, MetricRecord]) -> dict[str, MetricRecord]:
        for record in metrics.values():
            if record.feature_key is not None:
                _inside(record.feature_key)
        return metrics

    @model_validator(mode="after")
    def _no_contradiction(self) -> Self:
        unique("dataset.pictures", [picture.name for picture in self.dataset.pictures])
        unique("decoder_seeds", self.decoder_seeds)
        unique("labels of codecs", [record.label for record in self.codecs.values()])
        if any(seed < 0 for seed in self.decoder_seeds):
            raise ValueError("decoder_seeds: a seed is negative")
        for name, codec in self.codecs.items():
            unique(f"qualities of {name}", codec.qualities)
        if any(metric.kind == "set" and metric.feature_key is None for metric in self.metrics.values()):
            raise ValueError("a metric of sets has no feature_key")
        return self


def unique(what: str, values: Sequence[object]) -> None:
    """Raises ValueError if one of `values` is there twice."""
    if len(set(values)) < len(values):
        twice = next(value for value in values if values.count(value) > 1)
        raise ValueError(f"{what}: {brief(repr(twice))} is there twice")


PARTIAL = ".partial"
OURS = (LOCK, WRITER, PARTIAL)
"""What lies in a run folder before there is a run in it."""


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Makes the folder `path` if need be and holds it for this process alone.

    Raises BenchmarkError if another process holds it, or if it cannot be written.
    """
    with held(path):
        try:
            yield
        finally:
            shutil.rmtree(path / PARTIAL, ignore_errors=True)


class RunFolder:
    """A run on disk. `create` or `open` it; write only inside `locked(path)`."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self._manifest = manifest
        self._appending: io.FileIO | None = None
        self._shards = Shards()

    @classmethod
    def create(cls, path: Path, manifest: Manifest) -> Self:
        """A new run at `path`, whose manifest is written. Raises BenchmarkError if there are trials already."""
        folder = cls(path, manifest)
        try:
            empty = next(folder.each_trial(), None) is None
        except BenchmarkError:  # damaged trials, or of another run
            empty = False
        if not empty:
            raise BenchmarkError(f"{path}: holds a run already")
        try:
            path.mkdir(parents=True, exist_ok=True)
            (path / "trials.jsonl").unlink(missing_ok=True)  # a kill may have left the beginning of a line
            for leftover in (
                "features",
                "reconstructions",
                "tracebacks",
            ):  # of a run that was killed before its first trial ended
                if (path / leftover).exists():
                    shutil.rmtree(path / leftover)
        except OSError as error:
            raise BenchmarkError(f"{path}: cannot be made a run folder: {error.strerror}") from None
        folder.write_manifest(manifest)
        return folder

    @classmethod
    def open(cls, path: Path) -> Self:
        """The run at `path`. Raises BenchmarkError if there is none, if it is damaged or its schema is another."""
        try:
            text = read_text(path / "run.json")
        except FileNotFoundError:
            raise BenchmarkError(f"{shown(path)}: no run.json there, so no run folder") from None
        return cls(path, parse_record(Manifest, text, shown(path / "run.json"), "a manifest", RUN))

    @property
    def manifest(self) -> Manifest:
        return self._manifest

    @property
    def summary_path(self) -> Path:
        return self.path / "summary.csv"

    def write_manifest(self, manifest: Manifest) -> None:
        """Replaces run.json: a reader sees the old one or the new one, never a part. It is of this version's schema."""
        manifest = manifest.model_copy(update={"schema_version": SCHEMA_VERSION})
        self._write(self.path / "run.json", (manifest.model_dump_json(indent=2) + "\n").encode())
        self._manifest = manifest

    def close(self) -> None:
        """Closes trials.jsonl, if it is open for appending."""
        if self._appending is not None:
            self._appending.close()
            self._appending = None

    def append(self, trial: Trial) -> None:
        """Adds one line to trials.jsonl; it is on the disk when this returns, and no part of it if this raises.

        A torn last line is cut off first. Raises BenchmarkError if the disk is full, say.
        """
        path = self.path / "trials.jsonl"
        try:
            if self._appending is None:
                if path.exists():
                    os.truncate(path, max((end for _, end, _ in self.each_trial()), default=0))
                self._appending = path.open("ab", buffering=0)  # a buffer would keep what could not be written
                sync_folder(self.path)
            append_whole(self._appending.fileno(), trial.model_dump_json().encode() + b"\n")
        except OSError as error:
            raise cannot_write(path, error) from None

    def drop_replaced(self) -> None:
        """Rewrites trials.jsonl without the records that a later one of the same key has replaced, if there are any."""
        places: dict[TrialKey, int] = {}
        written = 0
        for start, _, trial in self.each_trial():
            places[trial.key] = start
            written += 1
        if len(places) < written:
            self._replace_trials(self.trials_at(places.values()))

    def trials(self) -> list[Trial]:
        """All trials, in the order in which they ended; of two with one key the later.

        A last line that a kill tore is left out. Raises BenchmarkError on any other line that is no trial.
        """
        return list({trial.key: trial for _, _, trial in self.each_trial()}.values())

    def each_trial(self) -> Iterator[tuple[int, int, Trial]]:
        """(start and end of its line in trials.jsonl, trial), one by one as they were written, replaced ones included.

        A last line that a kill tore is left out. Raises BenchmarkError on any other line that is no trial, or one that
        contradicts itself or the manifest.
        """
        path = self.path / "trials.jsonl"
        if not path.exists():
            return
        start, plan = 0, _Plan(self.manifest)
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    return
                try:
                    trial = _parse_trial(line)
                except ValueError as error:
                    if not file.readline().endswith(b"\n"):
                        return
                    raise BenchmarkError(f"{shown(path)}, line {number}: not a trial: {problem(error)}") from None
                if wrong := plan.contradiction(trial):
                    raise BenchmarkError(f"{shown(path)}, line {number}: {wrong}")
                yield start, start + len(line), trial
                start += len(line)

    def trials_at(self, starts: Iterable[int]) -> Iterator[Trial]:
        """The trials whose lines begin there, as `each_trial` says."""
        with (self.path / "trials.jsonl").open("rb") as file:
            for start in starts:
                file.seek(start)
                yield _parse_trial(file.readline())

    def rewrite(self, trials: Sequence[Trial]) -> None:
        """Replaces trials.jsonl as a whole, atomically."""
        self._replace_trials(trials)

    def _replace_trials(self, trials: Iterable[Trial]) -> None:
        self.close()
        self._write(self.path / "trials.jsonl", (trial.model_dump_json().encode() + b"\n" for trial in trials))

    def frame(self) -> "pandas.DataFrame":
        """The trials, one row each, sorted as the manifest orders codecs, qualities, seeds and images.

        Columns: codec, quality, decoder_seed (nullable Int64), image, height, width, bytes (nullable Int64; Float64
        where stated bits are no whole bytes), bpp,
        one column a per-image metric, encode_seconds, decode_seconds (float, NaN where null), error (str or None).
        """
        import pandas

        names = [name for name, metric in self.manifest.metrics.items() if metric.kind != "set"]
        before = ["codec", "quality", "decoder_seed", "image", "height", "width", "bytes", "bpp"]
        after = ["encode_seconds", "decode_seconds", "error"]
        rows = [
            [getattr(trial, field) for field in before]
            + [trial.metrics.get(name) for name in names]
            + [getattr(trial, field) for field in after]
            for trial in self._ordered(self.trials())
        ]
        frame = pandas.DataFrame(rows, columns=[*before, *names, *after])
        whole = ["decoder_seed", "height", "width", "bytes"]
        real = ["quality", "bpp", *names, "encode_seconds", "decode_seconds"]
        types = dict.fromkeys(whole, "Int64") | dict.fromkeys(real, "float64")
        if any(isinstance(row[before.index("bytes")], float) for row in rows):  # stated, and no whole number
            types["bytes"] = "Float64"
        return frame.astype(types)

    def _ordered(self, trials: Sequence[Trial]) -> list[Trial]:
        codecs = {codec: index for index, codec in enumerate(self.manifest.codecs)}
        images = {picture.name: index for index, picture in enumerate(self.manifest.dataset.pictures)}
        return sorted(
            trials,
            key=lambda trial: (
                codecs.get(trial.codec, len(codecs)),
                trial.quality,
                -1 if trial.decoder_seed is None else trial.decoder_seed,
                images.get(trial.image, len(images)),
            ),
        )

    def original_features_path(self, feature_key: str, image: str) -> Path:
        return self.path / "features" / feature_key / "originals" / f"{path_name(image)}.npy"

    def original_value_path(self, feature_key: str, image: str) -> Path:
        """Of a metric without a reference: what it says of the original."""
        return self.original_features_path(feature_key, image).with_suffix(".json")

    def knows_original(self, image: str) -> bool:
        """Whether all that is kept of this original, for any metric, is there."""
        keys = {(m.feature_key, m.kind) for m in self.manifest.metrics.values() if m.feature_key is not None}
        return all(
            self.holds((self.original_features_path if kind == "set" else self.original_value_path)(key, image))
            for key, kind in keys
        )

    def features_path(self, feature_key: str, trial: TrialKey) -> Path:
        return self.path / "features" / feature_key / self._place(trial, f"{path_name(trial[3])}.npy")

    def traceback_path(self, name: str) -> Path:
        return self.path / "tracebacks" / name

    def reconstruction_path(self, trial: TrialKey) -> Path:
        return self.path / "reconstructions" / self._place(trial, f"{path_name(trial[3])}.png")

    def bitstream_path(self, trial: TrialKey) -> Path:
        """One for all decoder seeds."""
        codec, quality, _, image = trial
        return self.path / "reconstructions" / self._place((codec, quality, None, image), f"{path_name(image)}.bin")

    def holds(self, path: Path) -> bool:
        """Whether the file of features, or of a value of an original, is there, whole: in its place or in a shard."""
        if path.exists():
            return True
        try:
            return self._shards.holds(path)
        except (OSError, ValueError) as error:
            raise self._unreadable(path, error) from None

    def pack(self, paths: Iterable[Path]) -> None:
        """Puts these files below `features/`, which nobody writes any more, into shards. Raises BenchmarkError."""
        folders: dict[Path, list[str]] = {}
        for path in paths:
            folders.setdefault(path.parent, []).append(path.name)
        for folder, names in folders.items():
            try:
                self._partial.mkdir(exist_ok=True)
                pack(folder, names, self._partial)
            except OSError as error:
                raise cannot_write(folder, error) from None
            finally:
                self._shards.forget(folder)

    def pack_rest(self) -> None:
        """Leaves no folder below `features/` with more than a shard's number of files: for a run that has ended."""
        for place, _, _ in os.walk(self.path / "features"):
            folder = Path(place)
            names = loose(folder)
            if len(names) >= SHARD or (names and has_shards(folder)):
                self.pack(folder / name for name in names)

    def write_features(self, path: Path, features: npt.NDArray[Any]) -> None:
        """features: (patches, dimension), kept as float32 at a `features_path`; the file is whole or not there.

        Behind the array, where NumPy reads no further, stands a hash of it and of its place in the run.
        """
        buffer = io.BytesIO()
        np.save(buffer, np.ascontiguousarray(features, dtype=np.float32))
        array = buffer.getvalue()
        self._write(path, array + self._seal(path)(array))

    def read_features(self, path: Path) -> npt.NDArray[np.float32]:
        """float32 (patches, dimension). Raises BenchmarkError if the file is missing or damaged, or was written as that
        of another image, codec or quality."""
        try:
            return _features_of(self._read(path), self._seal(path))
        except (OSError, ValueError, EOFError) as error:
            raise self._unreadable(path, error) from None

    def _read(self, path: Path) -> bytes:
        """What a file below `features/` holds, in its place or in a shard. Raises OSError, ValueError."""
        try:
            return path.read_bytes()
        except FileNotFoundError:
            data = self._shards.read(path)
            if data is None:
                raise
            return data

    def _unreadable(self, path: Path, error: Exception) -> BenchmarkError:
        reason = error.strerror if isinstance(error, OSError) else error
        return BenchmarkError(f"{shown(path)}: features cannot be read: {brief(reason)}")

    def _seal(self, path: Path) -> Callable[[bytes], bytes]:
        """The hash of an array's file and its place in the run."""
        place = path.relative_to(self.path).as_posix().encode("utf-8", "surrogateescape")
        return lambda array: hashlib.sha256(place + b"\0" + array).digest()

    def write_original_value(self, feature_key: str, image: str, value: float | None, reason: str) -> None:
        """Keeps what a metric without a reference says of an original: a finite value, or None and the reason."""
        text = OriginalValue(value=value, reason=reason).model_dump_json()
        self._write(self.original_value_path(feature_key, image), text.encode() + b"\n")

    def read_original_value(self, feature_key: str, image: str) -> float | None:
        """What `write_original_value` kept; None also where nothing was. Raises BenchmarkError on a damaged file."""
        path = self.original_value_path(feature_key, image)
        try:
            text = read_text(path)
        except FileNotFoundError:
            try:
                data = self._shards.read(path)
            except (OSError, ValueError) as error:
                raise self._unreadable(path, error) from None
            if data is None:
                return None
            text = decoded(data, shown(path))
        return parse_record(OriginalValue, text, shown(path), "a value of an original").value

    def write_bytes(self, path: Path, data: bytes | Iterable[bytes]) -> None:
        """A file inside the run folder, whole or not there. data: at once, or in pieces."""
        self._write(path, data)

    def _place(self, trial: TrialKey, name: str) -> Path:
        codec, quality, seed, _ = trial
        folder = Path(self.manifest.codecs[codec].label) / quality_name(quality)
        return folder / name if seed is None else folder / f"seed-{seed}" / name

    @property
    def _partial(self) -> Path:
        """Files that are not whole yet; what a kill leaves here is nobody's."""
        return self.path / PARTIAL

    def _write(self, path: Path, data: bytes | Iterable[bytes]) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._partial.mkdir(exist_ok=True)
            put_whole(self._partial, path, data)
        except OSError as error:
            raise cannot_write(path, error) from None


def _features_of(data: bytes, seal: Callable[[bytes], bytes]) -> npt.NDArray[np.float32]:
    """The array in `data`. Runs of version 0.2.0 and before have no hash behind it. Raises ValueError, EOFError."""
    if not data.startswith(b"\x93NUMPY"):  # NumPy would take an archive of arrays, or a pickle, too
        raise ValueError("it is no array of NumPy's")
    file = io.BytesIO(data)
    with _READING_A_HEADER:
        version = np.lib.format.read_magic(file)  # type: ignore[no-untyped-call]
        if version != (1, 0):
            raise ValueError(f"an array of NumPy's format {version[0]}.{version[1]}, not 1.0")
        try:
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)  # type: ignore[no-untyped-call]
        except ValueError:
            raise
        except Exception as error:  # NumPy reads it as Python, whose tokenizer and parser raise errors of their own
            raise ValueError(f"its header is damaged: {one_line(error)}") from error
    if dtype != np.dtype("<f4") or len(shape) != 2 or fortran:
        raise ValueError(f"{dtype} numbers of shape {shape}, not float32 (patches, dimension)")
    start, size = file.tell(), 4 * math.prod(shape)
    array, rest = data[: start + size], data[start + size :]
    if len(array) < start + size:
        raise ValueError(f"the file is truncated: {len(data)} bytes, {start + size} are needed")
    if rest and rest != seal(array):
        raise ValueError("its hash does not fit: it was changed, or is of another image, codec or quality")
    features = np.frombuffer(array, "<f4", offset=start).reshape(shape).copy()
    if not np.isfinite(features).all():
        raise ValueError("a feature is not finite")
    return features


def path_name(name: str) -> str:
    """An image's name made safe for a path; a hash keeps names apart that would become one."""
    safe = re.sub(r"[^A-Za-z0-9._=-]+", "-", name).strip("-.")
    if safe == name and len(safe) <= 100:
        return safe
    return f"{safe[:80]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def rate_text(bpp: float) -> str:
    """Bits per pixel with three decimals, and three digits that count below 0.01, where codecs differ in those."""
    decimals = 3 if bpp >= 0.01 or bpp <= 0 else 2 - math.floor(math.log10(bpp))
    return f"{bpp:.{decimals}f}"


def quality_name(quality: float) -> str:
    """3.0 -> "3", 0.25 -> "0.25": for tables and paths; different numbers have different names."""
    return str(int(quality)) if float(quality).is_integer() else repr(float(quality))


def _parse_trial(line: bytes) -> Trial:
    """Raises ValueError on anything else."""
    trial = parse_line(Trial, line)
    trial.codec, trial.image = sys.intern(trial.codec), sys.intern(trial.image)
    return trial


class _Plan:
    """What a manifest says of the trials that its run has."""

    def __init__(self, manifest: Manifest) -> None:
        self._images = {picture.name for picture in manifest.dataset.pictures}
        self._codecs = {name: (record.stochastic, {*record.qualities}) for name, record in manifest.codecs.items()}
        self._stated = {name for name, record in manifest.codecs.items() if record.bits in ("stated", "nominal")}
        self._seeds = {*manifest.decoder_seeds}
        self._metrics = [name for name, record in manifest.metrics.items() if record.kind != "set"]

    def contradiction(self, trial: Trial) -> str:
        """What keeps `trial` from being one of the run, or from being whole, in one line; empty if nothing does."""
        stochastic, qualities = self._codecs.get(trial.codec, (False, None))
        if qualities is None:
            return f"of the codec {brief(repr(trial.codec))}, which run.json does not name"
        if trial.quality not in qualities:
            return f"of {brief(trial.codec)} at quality {quality_name(trial.quality)}, which run.json does not name"
        if trial.image not in self._images:
            return f"of the image {brief(repr(trial.image))}, which run.json does not name"
        if (trial.decoder_seed in self._seeds) != stochastic or (trial.decoder_seed is None) == stochastic:
            return f"of the decoder seed {trial.decoder_seed}, which run.json does not name for {brief(trial.codec)}"
        if trial.error is not None:
            return ""
        if trial.bytes is None or trial.bpp is None or trial.height is None or trial.width is None:
            return "neither an error nor the bytes of a stream, its bpp, and height and width of the image"
        if not isinstance(trial.bytes, int) and trial.codec not in self._stated:
            return f"{trial.bytes:g} bytes: of {brief(trial.codec)}, whose bits are not stated, they are a whole number"
        bpp = 8 * trial.bytes / (trial.height * trial.width)
        if abs(trial.bpp - bpp) > 1e-9 * bpp:
            return f"bpp is {trial.bpp:g}, but {trial.bytes} bytes for {trial.width}x{trial.height} are {bpp:g}"
        for name in self._metrics:
            if trial.metrics.get(name) is None and name not in trial.reasons:
                return f"neither a value of {brief(name)} nor a reason why there is none"
        return ""
