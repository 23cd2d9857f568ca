"""A run from what was asked to its folder: made ready, done trial by trial, summed up and drawn."""

import contextlib
import datetime
import gc
import importlib
import sys
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmark.codecs import Codec, is_foreign, parse_codec_spec
from benchmark.datasets import Dataset, limit, open_dataset, parse_sample, sample
from benchmark.errors import BenchmarkError, UsageError
from benchmark.foreign import ForeignCodec
from benchmark.metrics import check_metric, default_metrics
from benchmark.results import LOCK, PARTIAL, Manifest, Resumption, RunFolder, Trial, TrialKey, locked
from benchmark.running import plan
from benchmark.running.backends import cluster
from benchmark.running.backends import processes as execution
from benchmark.running.backends.connection import connecting
from benchmark.running.interruption import Stop
from benchmark.running.labels import name_codecs, specs_of
from benchmark.running.manifest import codec_record, differences, metric_records, new_manifest, now
from benchmark.running.measurement import Workbench, fresh_openers, load_networks, open_codecs, open_instruments
from benchmark.running.originals import OriginalStore
from benchmark.running.sizes import metrics_without_value
from benchmark.running.target import choose_qualities, parse_target

DEFAULT_DATASET = "photos"
QUICK_LOOK = 8
"""Pictures of the default data set that a run takes if neither --dataset nor --limit is given."""


@dataclass(frozen=True)
class Request:
    """What the user asked for; the fields are the options of `python -m benchmark run`.

    codecs: specs, or objects with `encode` and `decode`, or a mapping of labels to either. labels: "SPEC=Ours".
    dataset: a name as the option has it, or an opened one. metrics: as the option has them, or objects. workers: None
    for as many as `executor` has room for; objects then stay in this process. originals: what earlier runs of this
    process computed of originals, if it is to be kept. here: all trials in this process, with one worker, though a
    codec of somebody else's may crash it. debug: here too, and what a codec raises is raised.
    """

    codecs: "Sequence[str | Codec] | Mapping[str, str | Codec]" = ()
    only: bool = False
    dataset: str | Dataset | None = None
    qualities: Sequence[str] = ()
    metrics: Sequence[Any] = ()
    limit: int | None = None
    sample: str | None = None
    decoder_seeds: str = "0"
    device: str = "cpu"
    output: Path | None = None
    keep_reconstructions: bool = False
    workers: int | None = 1
    executor: str = "local"
    reserve: str | None = None
    timing: int = 0
    bpp: str | None = None
    match: str | None = None
    per: str = "set"
    command: Sequence[str] = ()
    originals: OriginalStore | None = None
    labels: Sequence[str] = ()
    here: bool = False
    debug: bool = False


@dataclass(frozen=True)
class Run:
    """A run that is ready: its folder holds the manifest.

    trials: what is to do. done: how many trials an earlier start left. notes: lines for the user. workbench: opened
    codecs and metrics of this process; None if worker processes do the trials. shares, early: what actors on a cluster
    do, and those that are there already; None if no cluster is in play.
    """

    folder: RunFolder
    trials: Sequence[plan.PlannedTrial]
    done: int
    notes: Sequence[str]
    setup: execution.Setup
    workbench: Workbench | None
    shares: Sequence[cluster.Share] | None = None
    early: cluster.EarlyActors | None = None

    def execute(self, stop: Stop | None = None) -> Generator[Trial, None, None]:
        """Does the trials and yields each record once it is on the disk; the manifest's status follows.

        Once `stop` is asked, the trials in hand end, and KeyboardInterrupt is raised if others are left. Raises
        BenchmarkError, and passes KeyboardInterrupt on; the run can go on later.
        """
        if not self.trials:
            if self.folder.manifest.status != "complete":  # killed between its last trial and the manifest
                self._complete()
            return
        stop = stop or Stop()
        _set_status(self.folder, status="running", finished=None)
        if self.workbench is None:  # this process only waits then
            threading.Thread(target=_import_for_the_summary, name="imports", daemon=True).start()
        if self.shares is not None and self.early is not None:
            records = cluster.execute_on_cluster(self.trials, self.shares, self.folder, stop, self.early)
        elif self.workbench is None:
            records = execution.execute_in_processes(self.trials, self.setup, stop)
        else:
            records = execution.execute_here(self.trials, self.workbench, stop)
        written = 0
        try:
            with contextlib.closing(records):
                for trial in records:
                    self.folder.append(trial)
                    written += 1
                    yield trial
            if written < len(self.trials):
                raise KeyboardInterrupt
            self._complete()
        except BaseException:
            with contextlib.suppress(BenchmarkError):  # a full disk: what was wrong first is what the user must hear
                _set_status(self.folder, status="interrupted", finished=None)
            raise

    def _complete(self) -> None:
        if self.folder.manifest.resumptions:  # only they replace records, and to look takes memory for all of them
            self.folder.drop_replaced()
        _set_status(self.folder, status="complete", finished=now())


@contextlib.contextmanager
def open_run(request: Request) -> Iterator[Run]:
    """Makes a run ready in its folder, which nobody else may write to inside the `with`.

    A folder that holds a run of the same plan goes on where it was; trials that ended with an error are done again, and
    codecs and decoder seeds that the plan has besides are added.
    Raises UsageError, before anything is written, on what cannot be meant and on a folder with another run in it.
    """
    if request.workers is not None and request.workers < 1:
        raise UsageError(f"--workers {request.workers}: at least 1")
    where = cluster.parse_executor(request.executor)
    if where is None and request.reserve is not None:
        raise UsageError("--reserve says what workers on a cluster hold; it goes with --executor ray")
    reserve = cluster.parse_reservation(request.reserve)
    if where is not None and ":" in request.device:
        raise UsageError(f"--device {request.device}: which GPU a worker gets is the cluster's choice; say cuda")
    if where is not None and request.timing:
        raise UsageError(f"--timing with --executor {request.executor}: time is measured alone, in this process")
    if request.debug and (where is not None or (request.workers or 1) > 1):
        raise UsageError("--debug raises what a codec raises, in this process; leave --workers and --executor out")
    target = parse_target(request.bpp, request.match, request.per)
    chosen = name_codecs(request.codecs, request.only, request.labels, target)
    specs = {label: parse_codec_spec(text) for label, text in specs_of(chosen).items()}
    if target is not None:
        target = replace(target, match=next((k for k, spec in chosen.items() if spec == target.match), target.match))
    asked = plan.parse_qualities(request.qualities, {label: specs.get(label) for label in chosen})
    seeds = plan.parse_seeds(request.decoder_seeds)
    names, notes = _choose_metrics(request.metrics)
    notes.extend(plan.left_out(request.codecs, request.only))
    workers, here = _place(request, chosen, where is not None, notes)
    if objects := [type(one).__name__ for one in names if not isinstance(one, str)]:
        if where is not None:
            raise UsageError(f"the metric {objects[0]} is an object of this process; a cluster needs ./file.py:Name")
        if workers > 1:
            notes.append(f"the metric {objects[0]} is an object of this process, so it does all trials itself")
        workers, here = 1, True
    execution.check_timing(request.timing, workers)
    dataset = _open_limited(request, notes)
    if where is None and not here:
        execution.prepare_processes(specs.values(), names, execution.threads_per_process(workers))
    with contextlib.ExitStack() as held:
        connection = early = None
        if where is not None:
            count = (request.workers or execution.cores()) if request.device == "cpu" else 0
            early = cluster.EarlyActors(reserve, count, execution.modules_of_workers(specs.values(), names))
            cpus = cluster.local_cpus(execution.cores(), [early.reservation], request.workers)
            connection = held.enter_context(connecting(where, cpus, early.begin))
        device = "cpu" if where is not None else request.device  # the cluster's devices need not be here
        execution.check_device(device)
        codecs = open_codecs(chosen, device)
        instruments = open_instruments(names, device)
        notes += [
            f"{label} has no describe(): its weights are not in the record, so a changed checkpoint is not noticed"
            for label, codec in codecs.items()
            if isinstance(codec, ForeignCodec) and not codec.describes
        ]
        qualities = {text: asked.get(text, tuple(codec.qualities)) for text, codec in codecs.items()}
        if target is not None:
            qualities, found = choose_qualities(target, codecs, asked, dataset)
            notes.extend(found)
        for text in (text for text in qualities if not qualities[text]):
            raise UsageError(f"{text} names no qualities of its own; --quality gives some")
        records = metric_records(instruments)
        planned = plan.plan_trials(
            [(picture.name, picture.path) for picture in dataset.pictures],
            qualities,
            {text: seeds if codec.stochastic else (None,) for text, codec in codecs.items()},
            dataset.preparation,
        )
        path = _dated() if request.output is None else request.output
        _check_place(path)
        setup = execution.Setup(
            run=path,
            codecs=chosen,
            metrics=tuple(one for one in names if isinstance(one, str)),
            device=request.device,
            keep_reconstructions=request.keep_reconstructions,
            workers=workers,
            threads=execution.threads_per_process(workers),
            timing=request.timing,
        )
        shares = None
        if connection is not None:
            reserved = cluster.reservations(codecs, request.device, reserve)
            connection.wait(cluster.local_cpus(execution.cores(), reserved.values(), request.workers))
            shares, found = cluster.shares_of(reserved, setup, request.workers)
            notes.extend(found)
            setup = shares[0].setup
        manifest = new_manifest(
            dataset,
            {label: codec_record(label, specs.get(label), codec, qualities[label]) for label, codec in codecs.items()},
            {name: records[name] for name in instruments.specs},
            decoder_seeds=seeds,
            device=request.device,
            keep_reconstructions=request.keep_reconstructions,
            workers=setup.workers if shares is None else sum(share.setup.workers for share in shares),
            threads=setup.threads,
            timing=request.timing,
            command=request.command,
        )
        held.enter_context(locked(path))
        folder, done = _create_or_resume(path, manifest, notes)
        workbench = None
        trials = plan.remaining(planned, done)
        if trials and request.originals is None:  # in a training loop, nobody asks again and again
            notes.extend(metrics_without_value(instruments, dataset))
        if here:
            load_networks(instruments)
            workbench = Workbench(
                folder,
                codecs,
                instruments,
                request.keep_reconstructions,
                execution.untimed(workers, request.timing),
                repeats=request.timing,
                originals=request.originals,
                fresh=fresh_openers(chosen, device),
                debug=request.debug,
            )
        del codecs, instruments  # worker processes open their own
        _free_memory()
        try:
            yield Run(folder, trials, len(done), notes, setup, workbench, shares, early)
        finally:
            folder.close()


def _place(request: Request, chosen: Mapping[str, Any], on_cluster: bool, notes: list[str]) -> tuple[int, bool]:
    """How many workers there are, and whether the one does its trials in this process; notes for the user.

    Foreign code gets a process of its own, which it may crash. An object stays here if it must, or if nobody asked for
    workers.
    """
    objects = {label: codec for label, codec in chosen.items() if not isinstance(codec, str)}
    alone = request.timing or request.debug or request.here or (objects and not on_cluster)
    workers = request.workers or (1 if alone else execution.default_workers())
    if on_cluster:
        for label, codec in objects.items():
            cluster.check_object(label, codec)
        return workers, False
    kept = [label for label, codec in objects.items() if workers > 1 and not execution.can_be_sent(codec)]
    if kept:
        notes.append(f"{kept[0]} cannot be sent to other processes; all trials are done in this one")
        workers = 1
    if workers > 1:
        return workers, False
    foreign = any(isinstance(codec, str) and is_foreign(parse_codec_spec(codec)) for codec in chosen.values())
    return 1, bool(request.here or request.debug or objects or not foreign)


def _free_memory() -> None:
    """Of a GPU: what codecs and metrics held that were opened here and are gone."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        gc.collect()
        torch.cuda.empty_cache()


def _import_for_the_summary() -> None:
    """What the end of a run imports, a second of pandas and matplotlib; what cannot be imported is said there."""
    for module in ("benchmark.analysis.summary", "benchmark.reports.curves"):
        with contextlib.suppress(Exception):
            importlib.import_module(module)


def _choose_metrics(asked: Sequence[Any]) -> tuple[list[Any], list[str]]:
    """The metrics' specs and objects, without bpp, which is always there; and notes for the user."""
    chosen = [one for place, one in enumerate(asked) if one != "bpp" and one not in asked[:place]]
    for one in chosen:
        if isinstance(one, str):
            check_metric(one)
    return (chosen, []) if asked else default_metrics()


def _open_limited(request: Request, notes: list[str]) -> Dataset:
    if request.limit is not None and request.limit < 0:
        raise UsageError(f"--limit {request.limit}: a number of pictures, 0 for all")
    if request.sample is not None:
        if request.limit is not None:
            raise UsageError("--sample and --limit both choose pictures; give one of them")
        number, seed = parse_sample(request.sample)
        asked = _opened(request.dataset or DEFAULT_DATASET, notes)
        return sample(asked, number, seed)
    if request.dataset is not None:
        return limit(_opened(request.dataset, notes), request.limit or 0)
    dataset = open_dataset(DEFAULT_DATASET)
    limited = limit(dataset, QUICK_LOOK if request.limit is None else request.limit)
    if request.limit is None:
        counts = f"{len(limited.pictures)} of the {len(dataset.pictures)} pictures of {dataset.name}"
        notes.append(f"a quick look at {counts}; --limit 0 takes all")
    return limited


def _opened(dataset: str | Dataset, notes: list[str]) -> Dataset:
    opened = dataset if isinstance(dataset, Dataset) else open_dataset(dataset)
    notes.extend(opened.notes)
    return opened


def _dated() -> Path:
    """A new folder results/DATE-TIME."""
    name = datetime.datetime.now().strftime("%Y-%m-%d-%H%M%S")
    path = Path("results") / name
    number = 2
    while path.exists():
        path = Path("results") / f"{name}-{number}"
        number += 1
    return path


def _check_place(path: Path) -> None:
    if path.exists() and not path.is_dir():
        raise UsageError(f"--output {path}: a file, not a folder")
    if path.is_dir() and not (path / "run.json").exists():
        others = sorted(entry.name for entry in path.iterdir() if entry.name not in (LOCK, PARTIAL))
        if others:
            raise UsageError(f"--output {path}: neither empty nor a run; it holds {others[0]}")


def _create_or_resume(path: Path, manifest: Manifest, notes: list[str]) -> tuple[RunFolder, set[TrialKey]]:
    """The folder, and its trials that need not be done again."""
    if not (path / "run.json").exists():
        return RunFolder.create(path, manifest), set()
    folder = RunFolder.open(path)
    succeeded = {trial.key: trial.broken is None for _, _, trial in folder.each_trial()}
    if not succeeded:
        return RunFolder.create(path, manifest), set()
    there = folder.manifest
    different = differences(there, manifest)
    if different:
        raise UsageError(f"--output {path}: holds another run; {'; '.join(different)}")
    notes.append(f"goes on in {path}: {len(succeeded)} trials are there")
    added = [text for text in manifest.codecs if text not in there.codecs]
    added += [f"decoder seed {seed}" for seed in manifest.decoder_seeds if seed not in there.decoder_seeds]
    if added:
        notes.append(f"added to the run: {', '.join(added)}")
    if (there.git_commit, there.git_dirty) != (manifest.git_commit, manifest.git_dirty):
        notes.append(f"the run was started from another state of the code: {there.git_commit or 'unknown'}")
    done = {key for key, success in succeeded.items() if success}
    if len(done) < len(succeeded):
        notes.append(f"{len(succeeded) - len(done)} of them failed and are done again")
    resumption = Resumption(
        time=manifest.started,
        command=manifest.command,
        git_commit=manifest.git_commit,
        git_dirty=manifest.git_dirty,
        workers=manifest.workers,
    )
    update: dict[str, Any] = {
        "codecs": manifest.codecs,
        "decoder_seeds": manifest.decoder_seeds,
        "resumptions": [*there.resumptions, resumption],
    }
    if added:
        update |= {"status": "interrupted", "finished": None}
    folder.write_manifest(there.model_copy(update=update))
    return folder, done


def _set_status(folder: RunFolder, *, status: str, finished: str | None) -> None:
    folder.write_manifest(folder.manifest.model_copy(update={"status": status, "finished": finished}))
