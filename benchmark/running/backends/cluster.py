"""Doing the trials on a Ray cluster, on one machine or on many; this process alone writes the run folder.

Each actor opens its codecs and metrics once and then does one trial after another. It reads images where they lie,
gets those that the suite made of arrays from here if they are not there, and sends back a trial's record with its
features and kept images, which are written here before the record. No more than `IN_HAND` trials an actor are ever
sent out, so what waits in memory does not grow with the run.

An actor that is gone, with its process or with its node, is replaced. The trials that it had go to whoever is free; a
trial during which `ATTEMPTS` actors have gone is recorded as failed, so that what kills its process (a codec that
crashes, say) ends. Where the same metric was at work each time, the trial is done once more without that metric, whose
value is missing then. A trial is in the folder once: its record comes from the one actor that answered.
"""

import contextlib
import faulthandler
import hashlib
import importlib
import importlib.util
import math
import os
import time
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmark.addresses import Location, absolute, is_stored
from benchmark.codecs import Codec, CodecSpec
from benchmark.datasets.arrays import store
from benchmark.errors import BenchmarkError, UsageError, kind_and_message, needs
from benchmark.guards import crash_place
from benchmark.results import FAILED, Manifest, RunFolder, Trial, TrialKey
from benchmark.running.backends.at_work import Note, note_of, read_note
from benchmark.running.backends.connection import Connection, connecting, first_line
from benchmark.running.backends.processes import modules_of_workers
from benchmark.running.interruption import Stop
from benchmark.running.measurement import Instruments
from benchmark.running.plan import PlannedTrial
from benchmark.running.schedule import Schedule
from benchmark.running.setup import Setup, cores, limit_threads, open_workbench

IN_HAND = 2
"""Trials of one actor: the one that it does and the one that it does next, so that it need not wait for this side."""
CONTENTS = 32
"""Files of arrays that are kept at hand to be sent."""
ATTEMPTS = 3
LAST_WORDS = 100_000
"""Bytes of an actor's log that are looked at for its stack."""
SECONDS_FOR_WORDS = 10.0
SECONDS_BETWEEN_LOOKS = 0.5
"""After which a Ctrl-C is seen though no record has come."""

SECONDS_OF_SILENCE = 10.0
"""After which a cluster without news is asked whether it is still there."""

UNTIMED = "not measured alone: on a cluster"

File = tuple[str, bytes]
"""A file of the run folder: path relative to it, and content."""


@dataclass(frozen=True)
class Reservation:
    """What an actor holds of its node while it lives: CPUs, which are its threads too, and GPUs or a part of one."""

    cpus: float
    gpus: float

    def __str__(self) -> str:
        return f"{self.cpus:g} CPU" + (f" and {self.gpus:g} GPU" if self.gpus else "")


@dataclass(frozen=True)
class Share:
    """The codecs of one reservation: at most `setup.workers` actors do their trials."""

    reservation: Reservation
    setup: Setup


def parse_executor(text: str) -> str | None:
    """None for "local", else where Ray is: "ray" for this machine or $RAY_ADDRESS, or ray://HOST:PORT.

    Raises UsageError on anything else, and if Ray is not installed.
    """
    if text == "local":
        return None
    if text != "ray" and (not text.startswith("ray://") or text == "ray://"):
        raise UsageError(f"--executor {text}: local, ray or ray://HOST:PORT")
    if importlib.util.find_spec("ray") is None:
        raise UsageError(needs(f"--executor {text}", "ray"))
    return text


def check_object(label: str, codec: object) -> None:
    """Raises UsageError if the cluster cannot be sent `codec`."""
    from ray import cloudpickle

    try:
        cloudpickle.dumps(codec)
    except Exception as error:  # anyone's `__reduce__`
        raise UsageError(f"{label} cannot be sent to a cluster: {kind_and_message(error)}") from None


def parse_reservation(text: str | None) -> dict[str, float]:
    """What --reserve says: "cpus=2,gpus=0.25" -> {"cpus": 2.0, "gpus": 0.25}. Raises UsageError."""
    asked: dict[str, float] = {}
    for part in text.split(",") if text else ():
        name, _, number = part.partition("=")
        try:
            amount = float(number)
        except ValueError:
            amount = -1.0
        if name not in ("cpus", "gpus") or name in asked or not 0 <= amount < math.inf:
            raise UsageError(f"--reserve {text}: cpus=N,gpus=N, each once, 0 or more")
        if name == "gpus" and amount > 1 and amount != int(amount):
            raise UsageError(f"--reserve {text}: a part of a GPU is below 1, several are whole")
        asked[name] = amount
    return asked


def reservations(codecs: Mapping[str, Codec], device: str, asked: Mapping[str, float]) -> dict[str, Reservation]:
    """Codec spec -> reservation: what was asked for, else the codec's `cpus` and `gpus`, else 1 CPU and, on a GPU, 1.

    Raises UsageError if the device is a GPU and none is reserved.
    """
    gpus = 0.0 if device == "cpu" else 1.0
    found = {
        spec: Reservation(
            asked.get("cpus", float(getattr(codec, "cpus", 1.0))),
            asked.get("gpus", float(getattr(codec, "gpus", gpus)) if gpus else 0.0),
        )
        for spec, codec in codecs.items()
    }
    for spec, own in found.items():
        if gpus and not own.gpus:
            raise UsageError(f"--device {device}: codecs and metrics run on a GPU, but {spec} reserves none")
    return found


class EarlyActors:
    """Actors that begin to import while this process opens its own codecs; of the reservation that codecs have if they
    ask for nothing themselves. None where `begin` was not called."""

    def __init__(self, asked: Mapping[str, float], count: int, modules: Sequence[str]) -> None:
        self.reservation = Reservation(asked.get("cpus", 1.0), 0.0)
        self._count, self._modules = count, list(modules)
        self._actors: list[Any] = []

    def begin(self) -> None:
        """Once there is a cluster; anew if there is another one."""
        self._actors = [_make_actor(self.reservation) for _ in range(self._count)]
        for actor in self._actors:
            actor.load.remote(self._modules)

    def take(self, reservation: Reservation) -> Any | None:
        """One that holds this, if one is left."""
        return self._actors.pop(0) if self._actors and reservation == self.reservation else None

    def end(self) -> None:
        """Those that nobody took make room."""
        while self._actors:
            _kill(self._actors.pop())


def places(reservation: Reservation) -> int:
    """How many actors of `reservation` the nodes hold that are there now; other users' are not looked at."""
    import ray

    count = 0
    for node in ray.nodes():
        if node["Alive"]:
            there = node["Resources"]
            wanted = (("CPU", reservation.cpus), ("GPU", reservation.gpus))
            count += min((int(there.get(name, 0) / amount + 1e-9) for name, amount in wanted if amount), default=1)
    return count


def no_room(reservation: Reservation) -> str:
    """Why no node of the cluster holds an actor of `reservation`; "" if one does."""
    import ray

    if places(reservation):
        return ""
    total = ray.cluster_resources()
    there = f"{total.get('CPU', 0):g} CPU and {total.get('GPU', 0):g} GPU in all"
    return f"no node of the cluster has room for a worker of {reservation}; it has {there}"


class Cluster:
    """The `Backend` of a Ray cluster.

    where: as `parse_executor` has it. asked: what `--reserve` says. workers: None for as many as there is room for.
    """

    codec_device: str | None = "cpu"  # the cluster's devices need not be here

    def __init__(self, where: str, asked: Mapping[str, float], workers: int | None) -> None:
        self._where, self._asked, self._workers = where, asked, workers
        self._early: EarlyActors | None = None
        self._connection: Connection | None = None
        self._shares: Sequence[Share] = ()

    @contextlib.contextmanager
    def prepared(self, setup: Setup, codecs: Iterable[CodecSpec]) -> Iterator[None]:
        """Connects, and lets actors begin to import."""
        count = (self._workers or cores()) if setup.device == "cpu" else 0
        self._early = EarlyActors(self._asked, count, modules_of_workers(codecs, setup.metrics))
        cpus = local_cpus(cores(), [self._early.reservation], self._workers)
        with connecting(self._where, cpus, self._early.begin) as self._connection:
            yield

    def settle(self, setup: Setup, codecs: Mapping[str, Codec]) -> tuple[Setup, list[str]]:
        """Waits for the cluster and shares its room among the codecs."""
        assert self._connection is not None
        reserved = reservations(codecs, setup.device, self._asked)
        self._connection.wait(local_cpus(cores(), reserved.values(), self._workers))
        self._shares, notes = shares_of(reserved, setup, self._workers)
        first = self._shares[0].setup
        return replace(first, codecs=setup.codecs, workers=sum(share.setup.workers for share in self._shares)), notes

    def open(self, folder: RunFolder, codecs: Mapping[str, Codec], instruments: Instruments) -> None:
        """Nothing: each actor opens its own."""

    def execute(self, trials: Sequence[PlannedTrial], folder: RunFolder, stop: Stop) -> Generator[Trial, None, None]:
        """See `execute_on_cluster`."""
        assert self._early is not None
        return execute_on_cluster(trials, self._shares, folder, stop, self._early)


def execute_on_cluster(
    trials: Sequence[PlannedTrial], shares: Sequence[Share], folder: RunFolder, stop: Stop, early: EarlyActors
) -> Generator[Trial, None, None]:
    """The records of `trials`, as they end; the files of each are in `folder` before it is handed on.

    Once `stop` is asked, the trials that were sent out end and no other is sent. Raises BenchmarkError as
    `execute_in_processes` does, and if the actors cannot open their codecs.
    """
    import ray

    dispatch = _Dispatch(trials, shares, folder, stop, early)
    try:
        dispatch.begin()
        heard = time.monotonic()
        while references := dispatch.references():
            ready, _ = ray.wait(references, num_returns=1, timeout=SECONDS_BETWEEN_LOOKS)
            for reference in ready:
                yield from dispatch.take(reference)
            dispatch.heed_stop()
            dispatch.heed_limit()
            if ready:
                heard = time.monotonic()
            elif time.monotonic() - heard > SECONDS_OF_SILENCE:
                check_is_there()
                heard = time.monotonic()
    finally:
        dispatch.end()


def check_is_there() -> None:
    """Raises BenchmarkError if the cluster has no node any more: Ray would wait for one for ever."""
    import ray

    try:
        nodes = [node["Alive"] for node in ray.nodes()]
    except Exception as error:  # gRPC's and Ray's
        raise BenchmarkError(f"the cluster does not answer any more: {first_line(error)}") from None
    if not any(nodes):
        raise BenchmarkError("the cluster is gone: none of its nodes is alive")


class Parcel(RunFolder):
    """What a workbench writes, kept in memory to be sent; the run folder may be on another machine."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        super().__init__(path, manifest)
        self.files: list[File] = []
        self.original_is_known = False

    def holds(self, path: Path) -> bool:
        """Asked for an original's features only: two metrics may share them."""
        return self.original_is_known or self._name(path) in (name for name, _ in self.files)

    def _write(self, path: Path, data: bytes | Iterable[bytes]) -> None:
        self.files.append((self._name(path), data if isinstance(data, bytes) else b"".join(data)))

    def _name(self, path: Path) -> str:
        return path.relative_to(self.path).as_posix()


class Bench:
    """An actor's life: `open` once, then `measure` a trial at a time. What a user must hear is returned, not raised."""

    def load(self, modules: Sequence[str]) -> None:
        """Imports. What cannot be imported is reported by `open`."""
        for module in modules:
            with contextlib.suppress(Exception):
                importlib.import_module(module)

    def open(self, setup: Setup, manifest: str, working_folder: str) -> "Place | BenchmarkError":
        """Where this actor is, once its codecs and metrics are open."""
        if Path(working_folder).is_dir():  # relative paths in codec specs then mean what they mean to the user
            os.chdir(working_folder)
        limit_threads(setup.threads)
        self.parcel = Parcel(setup.run, Manifest.model_validate_json(manifest))
        try:
            self.workbench = open_workbench(setup, self.parcel)
        except BenchmarkError as error:
            return error
        place = _here()
        self.note = Note(place.note)
        self.workbench.instruments = replace(self.workbench.instruments, begin=self.note.metric)
        return place

    def measure(
        self,
        planned: PlannedTrial,
        original_is_known: bool,
        content: Sequence[Any] = (),
        broken: Mapping[str, str] | None = None,
    ) -> tuple[Trial, list[File]] | BenchmarkError:
        """content: a reference to the bytes of the original, for where its file is not; or nothing. broken: metrics
        that are not asked, as in `Workbench.measure`."""
        self.parcel.files, self.parcel.original_is_known = [], original_is_known
        self.note.trial(planned.key)
        try:
            if content and isinstance(planned.path, Path) and not planned.path.is_file():
                import ray

                path, _ = store(ray.get(content[0]), planned.path.suffix)
                planned = replace(planned, path=path)
            return self.workbench.measure(planned, broken), self.parcel.files
        except BenchmarkError as error:
            return error


@dataclass(frozen=True)
class Place:
    """Where an actor is: Ray's id of the node, and the file there that has its last words, "" if it has none."""

    node: str
    log: str

    @property
    def note(self) -> str:
        """The file beside its log that tells what it is at; Ray takes no other name than a log's for one."""
        return f"{self.log}.at-work" if self.log else ""


@dataclass(frozen=True)
class Remains:
    """What an actor that is gone has left: its stack if it crashed, the trial that it did and the metric at work."""

    stack: str = ""
    trial: str = ""
    metric: str = ""


def _here() -> Place:
    """Of this actor, whose stack is written to its log if it crashes."""
    import ray

    log = ""
    with contextlib.suppress(OSError, ValueError):
        faulthandler.enable(2)
        log = os.readlink("/proc/self/fd/2")  # noqa: PTH115
    return Place(ray.get_runtime_context().get_node_id(), log)


def _remains(place: Place) -> Remains:
    """As its files on this machine have them."""
    stack = ""
    with contextlib.suppress(OSError), Path(place.log).open("rb") as stream:
        stream.seek(max(0, stream.seek(0, os.SEEK_END) - LAST_WORDS))
        _, fatal, words = stream.read().decode(errors="replace").rpartition("Fatal Python error")
        stack = fatal + words if fatal else ""
    return Remains(stack, *read_note(place.note))


def remains_of(place: Place | None) -> Remains:
    """What is left of an actor there; nothing if its node is gone."""
    if place is None or not place.log:
        return Remains()
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    if Path(place.log).is_file():
        return _remains(place)
    with contextlib.suppress(Exception):  # the node may be gone
        there = NodeAffinitySchedulingStrategy(place.node, soft=False)
        reader: Any = ray.remote(_remains)
        found: Remains = ray.get(
            reader.options(num_cpus=0, scheduling_strategy=there).remote(place), timeout=SECONDS_FOR_WORDS
        )
        return found
    return Remains()


@dataclass
class _Actor:
    """number: of its place in the schedule. sent: the trials that it has, in the order in which it does them.

    since: when it began the first of them, in seconds of `time.monotonic`. late: the trial for which it was ended, as
    that took too long. cause: why it is gone; stack: of its process, if that crashed.
    """

    number: int
    share: int
    handle: Any
    sent: list[PlannedTrial] = field(default_factory=list)
    gone: bool = False
    place: Place | None = None
    since: float = 0.0
    late: TrialKey | None = None
    cause: str = ""
    stack: str = ""


class _Dispatch:
    """Who does what: actors that open, trials that were sent, and what is left in each share's schedule."""

    def __init__(
        self,
        trials: Sequence[PlannedTrial],
        shares: Sequence[Share],
        folder: RunFolder,
        stop: Stop,
        early: EarlyActors,
    ) -> None:
        self._shares, self._folder, self._stop, self._early = shares, folder, stop, early
        self._schedules = [Schedule(t for t in trials if t.codec in share.setup.codecs) for share in shares]
        self._left = [sum(t.codec in share.setup.codecs for t in trials) for share in shares]
        self._opening: dict[Any, _Actor] = {}
        self._sent: dict[Any, tuple[_Actor, PlannedTrial]] = {}
        self._losses: Counter[tuple[TrialKey, str]] = Counter()  # by trial, and metric at work or ""
        self._broken: dict[TrialKey, dict[str, str]] = {}
        self._failed_openings = 0
        self._contents: dict[Path, Any] = {}
        pictures = folder.manifest.dataset.model_copy(update={"pictures": []})  # 30,000 hashes that no actor reads
        self._manifest = folder.manifest.model_copy(update={"dataset": pictures}).model_dump_json()

    def begin(self) -> None:
        """Asks for all actors; they come as the cluster has room for them."""
        for share, left in enumerate(self._left):
            for number in range(min(self._shares[share].setup.workers, left)):
                self._start(share, number)
        self._early.end()

    def references(self) -> list[Any]:
        """What is waited for."""
        return [*self._opening, *self._sent]

    def take(self, reference: Any) -> Iterator[Trial]:
        """What has ended: an opening, or a trial, whose record is yielded once its files are written."""
        if reference in self._opening:
            self._take_opening(self._opening.pop(reference), _outcome(reference))
            return
        actor, planned = self._sent.pop(reference)
        had = tuple(actor.sent)
        actor.sent.remove(planned)
        actor.since = time.monotonic()
        outcome = _outcome(reference)
        if isinstance(outcome, BenchmarkError):
            raise outcome
        if isinstance(outcome, _Loss):
            if not actor.gone:
                self._charge(actor, had, outcome)
            yield from self._lose(actor, planned)
            return
        trial, files = outcome
        for name, data in files:
            self._folder.write_bytes(self._folder.path / name, data)
        yield trial
        self._supply(actor)

    def heed_stop(self) -> None:
        """Actors that are still opening are not waited for."""
        if self._stop.asked:
            for actor in self._opening.values():
                _kill(actor.handle)
            self._opening.clear()

    def heed_limit(self) -> None:
        """An actor whose trial takes too long is ended; its trial then comes back as a loss."""
        for actor in {id(a): a for a, _ in self._sent.values()}.values():
            limit = self._shares[actor.share].setup.time_limit
            if limit is not None and actor.late is None and time.monotonic() - actor.since > limit:
                actor.late = actor.sent[0].key
                _kill(actor.handle)

    def end(self) -> None:
        for actor in {id(a): a for a in (*self._opening.values(), *(a for a, _ in self._sent.values()))}.values():
            _kill(actor.handle)

    def _start(self, share: int, number: int) -> None:
        wanted, setup = self._shares[share].reservation, self._shares[share].setup
        actor = _Actor(number, share, self._early.take(wanted) or _make_actor(wanted))
        self._opening[actor.handle.open.remote(setup, self._manifest, str(Path.cwd()))] = actor

    def _take_opening(self, actor: _Actor, outcome: Any) -> None:
        if isinstance(outcome, BenchmarkError):
            raise outcome
        if isinstance(outcome, _Loss):
            self._failed_openings += 1
            if self._failed_openings >= ATTEMPTS:
                raise BenchmarkError(f"a worker ended while it was loading codecs: {outcome.cause}")
            if not self._stop.asked:
                self._start(actor.share, actor.number)
            return
        self._failed_openings = 0
        actor.place = outcome
        self._supply(actor)

    def _supply(self, actor: _Actor) -> None:
        """Sends trials until the actor has its share in hand; an actor for which none is left goes, and makes room."""
        schedule = self._schedules[actor.share]
        while not (actor.gone or self._stop.asked) and len(actor.sent) < IN_HAND:
            planned = schedule.next(actor.number)
            if planned is None:
                break
            arguments = _absolute(planned), self._knows(planned.image), self._content(planned.path)
            reference = actor.handle.measure.remote(*arguments, self._broken.get(planned.key))
            if not actor.sent:
                actor.since = time.monotonic()
            self._sent[reference] = (actor, planned)
            actor.sent.append(planned)
        if not actor.sent and not actor.gone:
            actor.gone = True
            _kill(actor.handle)

    def _charge(self, actor: _Actor, had: Sequence[PlannedTrial], loss: "_Loss") -> None:
        """The actor is gone: it was the trial that it had in hand, whichever comes back first."""
        actor.gone = True
        _kill(actor.handle)
        self._schedules[actor.share].put_back(actor.number)
        left = remains_of(actor.place)
        noted = [planned.key for planned in had if note_of(planned.key) == left.trial]
        in_hand = noted[0] if noted else had[0].key
        limit = self._shares[actor.share].setup.time_limit
        if actor.late is None:
            actor.cause, actor.stack, losses = loss.cause, left.stack, 1
        else:  # it may have ended that trial just before, and begun the next one, which was given no time
            actor.cause, losses = f"no end after {limit:g} seconds; it was killed", ATTEMPTS * (actor.late == in_hand)
        broken = self._broken.get(in_hand, {})
        metric = left.metric if noted and left.metric not in broken else ""
        self._losses[in_hand, metric] += losses
        if metric and self._losses[in_hand, metric] >= ATTEMPTS:
            why = f"{FAILED}the worker process ended in it: {self._told(actor)}"
            self._broken[in_hand] = {**broken, metric: why}

    def _lose(self, actor: _Actor, planned: PlannedTrial) -> Iterator[Trial]:
        """The trial goes to another actor, unless it was the one in hand `ATTEMPTS` times, and not for a metric."""
        if self._losses[planned.key, ""] >= ATTEMPTS:
            workers = "the worker" if actor.late else f"{ATTEMPTS} workers"
            yield Trial(
                codec=planned.codec,
                quality=planned.quality,
                decoder_seed=planned.decoder_seed,
                image=planned.image,
                error=f"{workers} ended during this trial: {self._told(actor)}",
            )
        else:
            self._schedules[actor.share].put_back(actor.number, [planned])
        if not actor.sent and not self._stop.asked and self._schedules[actor.share].has_more(actor.number):
            self._start(actor.share, actor.number)

    def _told(self, actor: _Actor) -> str:
        """Why it is gone, and where in the user's code, with the file of the run that has the whole stack.

        For a trial's record alone: a run that lost a worker, and no trial, has no such file.
        """
        if not actor.stack:
            return actor.cause
        content = actor.stack.encode(errors="replace")
        path = self._folder.traceback_path(f"{hashlib.sha256(content).hexdigest()[:8]}.txt")
        self._folder.write_bytes(path, content)
        place = crash_place(actor.stack)
        return f"{actor.cause}{f' ({place})' if place else ''}; {path.relative_to(self._folder.path).as_posix()}"

    def _content(self, path: Location) -> list[Any]:
        """Of an array's file, which no other machine has, a reference for the actor to get if it needs it; else none.

        Trials come image by image, so the latest few are kept for the next trial; Ray keeps those that are under way.
        """
        import ray

        if not isinstance(path, Path) or not is_stored(path):
            return []
        if path not in self._contents:
            if len(self._contents) == CONTENTS:
                del self._contents[next(iter(self._contents))]
            try:
                self._contents[path] = ray.put(path.read_bytes())
            except OSError:
                return []  # the trial says so
        return [self._contents[path]]

    def _knows(self, image: str) -> bool:
        return self._folder.knows_original(image)


@dataclass(frozen=True)
class _Loss:
    """No answer: the actor, its node or the memory for its answer is gone."""

    cause: str


def _outcome(reference: Any) -> Any:
    """What an actor answered, or _Loss. Raises RuntimeError with the traceback of a mistake in the suite."""
    import ray
    from ray.exceptions import ObjectStoreFullError, OutOfDiskError, RayError, RayTaskError

    try:
        return ray.get(reference)
    except RayTaskError as error:
        if isinstance(error.cause, ObjectStoreFullError | OutOfDiskError):
            return _Loss(first_line(error.cause))
        raise RuntimeError(f"in a worker on the cluster:\n{error}") from None
    except RayError as error:
        return _Loss(first_line(error))


def _make_actor(reservation: Reservation) -> Any:
    import ray

    make = ray.remote(Bench).options(num_cpus=reservation.cpus, num_gpus=reservation.gpus, max_restarts=0)
    return make.remote()


def _kill(handle: Any) -> None:
    import ray

    with contextlib.suppress(Exception):  # it may be gone, and the cluster with it
        ray.kill(handle)


def _absolute(planned: PlannedTrial) -> PlannedTrial:
    return replace(planned, path=absolute(planned.path))


def shares_of(reserved: Mapping[str, Reservation], setup: Setup, workers: int | None) -> tuple[list[Share], list[str]]:
    """Codecs of one reservation together; and notes for the user. workers: None for as many as there is room for.

    Raises BenchmarkError if there is no room for one and none was asked for by number.
    """
    shares, notes = [], []
    for reservation in dict.fromkeys(reserved.values()):
        codecs = tuple(spec for spec, own in reserved.items() if own == reservation)
        full = no_room(reservation)
        if full and workers is None:
            raise BenchmarkError(full)
        if full:
            notes.append(f"{full}; the run waits for one")
        count = places(reservation) if workers is None else workers
        threads = max(1, int(reservation.cpus))
        own = replace(
            setup,
            codecs={label: setup.codecs[label] for label in codecs},
            workers=count,
            threads=threads,
            untimed=UNTIMED,
        )
        shares.append(Share(reservation, own))
    return shares, notes


def local_cpus(cores: int, reserved: Iterable[Reservation], workers: int | None) -> int:
    """CPUs of a cluster on this machine: its cores, or more if that many workers were asked for."""
    wanted = max((math.ceil(own.cpus * (workers or 1)) for own in reserved), default=1)
    return max(cores, wanted)
