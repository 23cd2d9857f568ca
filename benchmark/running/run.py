"""A run from what was asked to its folder: made ready, done trial by trial, summed up and drawn."""

import contextlib
import datetime
import gc
import sys
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmark.analysis.set_values import check_unchanged
from benchmark.codecs import Codec, is_foreign, parse_codec_spec, parts
from benchmark.datasets import Dataset, limit, open_dataset, parse_sample, sample
from benchmark.elsewhere import Elsewhere, elsewhere_of
from benchmark.errors import BenchmarkError, UsageError, one_line
from benchmark.files import in_place_of_folder
from benchmark.foreign import ForeignCodec
from benchmark.metrics import check_metric, default_metrics, shipped_info
from benchmark.protocols import dataset_of_protocol, protocol_of
from benchmark.reading import in_another_form
from benchmark.reconstructions import Reconstructions
from benchmark.results import OURS, CodecRecord, Manifest, Resumption, RunFolder, Trial, TrialKey, locked
from benchmark.running import plan
from benchmark.running.backends import Backend, cluster
from benchmark.running.backends.cluster import Cluster
from benchmark.running.backends.here import Here
from benchmark.running.backends.processes import Processes, can_be_sent
from benchmark.running.interruption import Stop
from benchmark.running.labels import name_codecs, specs_of, with_marks
from benchmark.running.manifest import codec_record, differences, metric_records, new_manifest, now
from benchmark.running.measurement import open_codecs, open_instruments
from benchmark.running.originals import OriginalStore
from benchmark.running.packing import Packing
from benchmark.running.setup import (
    Setup,
    check_device,
    check_time_limit,
    check_timing,
    default_workers,
    threads_per_process,
)
from benchmark.running.sizes import metrics_without_value
from benchmark.running.target import Target, choose_qualities, parse_target
from benchmark.sources import variables_read

DEFAULT_DATASET = "photos"
QUICK_LOOK = 8
"""Images of the default data set that a run takes if neither --dataset nor --limit is given."""
QUICK_QUALITIES = 4
"""Qualities of a codec, spread evenly over its own, that such a run takes if --quality does not name them."""


@dataclass(frozen=True)
class Request:
    """What the user asked for; the fields are the options of `python -m benchmark run`.

    codecs: specs, or objects with `encode` and `decode`, or a mapping of labels to either. labels: "SPEC=Ours".
    dataset: a name as the option has it, or an opened one. metrics: as the option has them, or objects. workers: None
    for as many as `executor` has room for; objects then stay in this process. originals: what earlier runs of this
    process computed of originals, if it is to be kept. here: all trials in this process, with one worker, though a
    codec of somebody else's may crash it. debug: here too, and what a codec raises is raised. without_script: as in
    `Setup`. protocol: the name of a paper's set-up; `metrics` are then further ones.
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
    without_script: bool = False
    protocol: str | None = None
    time_limit: float | None = None


@dataclass(frozen=True)
class Run:
    """A run that is ready: its folder holds the manifest.

    trials: what is to do. done: how many trials an earlier start left. notes: lines for the user. backend: does them.
    """

    folder: RunFolder
    trials: Sequence[plan.PlannedTrial]
    done: int
    notes: Sequence[str]
    setup: Setup
    backend: Backend

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
        records = self.backend.execute(self.trials, self.folder, stop)
        written = 0
        packing = Packing(self.folder)
        try:
            with contextlib.closing(records):
                for trial in records:
                    self.folder.append(trial)
                    packing.add(trial)
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
        self.folder.pack_rest()
        _set_status(self.folder, status="complete", finished=now())


@contextlib.contextmanager
def open_run(request: Request) -> Iterator[Run]:
    """Makes a run ready in its folder, which nobody else may write to inside the `with`.

    A folder that holds a run of the same plan goes on where it was; trials that ended with an error are done again, and
    codecs and decoder seeds that the plan has besides are added.
    Raises UsageError, before anything is written, on an invalid argument and on a folder with another run in it.
    """
    notes: list[str] = []
    request = _under_protocol(request, notes)
    where, reserve = _check_request(request)
    target = parse_target(request.bpp, request.match, request.per)
    chosen = name_codecs(request.codecs, request.only, request.labels, target)
    marks = with_marks(chosen)
    specs = {label: parse_codec_spec(text) for label, text in specs_of(chosen).items()}
    if target is not None:
        match = next((label for label, spec in chosen.items() if spec == target.match), target.match)
        target = replace(target, match=marks.get(match or "", match))
    asked = plan.parse_qualities(request.qualities, {label: specs.get(label) for label in chosen})
    asked = {marks[label]: qualities for label, qualities in asked.items()}
    specs = {marks[label]: spec for label, spec in specs.items()}
    chosen = {marks[label]: codec for label, codec in chosen.items()}
    seeds = plan.parse_seeds(request.decoder_seeds)
    names, left_out = _choose_metrics(request.metrics)
    notes.extend(left_out)
    notes.extend(plan.left_out(request.codecs, request.only))
    backend, workers = _choose_backend(request, chosen, names, where, reserve, notes)
    check_timing(request.timing, workers)
    dataset = _open_limited(request, notes)
    path = _dated() if request.output is None else request.output
    _check_place(path)
    setup = Setup(
        run=path,
        codecs=chosen,
        metrics=tuple(names),
        device=request.device,
        keep_reconstructions=request.keep_reconstructions,
        workers=workers,
        threads=threads_per_process(workers),
        timing=request.timing,
        without_script=request.without_script,
        time_limit=request.time_limit,
    )
    with contextlib.ExitStack() as held:
        held.enter_context(backend.prepared(setup, specs.values()))
        device = backend.codec_device or request.device
        check_device(device)
        codecs = open_codecs(chosen, device)
        instruments = open_instruments(names, device)
        quick = request.dataset is None and request.limit is None and request.sample is None
        qualities = _choose_qualities(codecs, asked, target, dataset, quick, notes)
        records = {
            label: codec_record(label, specs.get(label), codec, qualities[label]) for label, codec in codecs.items()
        }
        notes += _undescribed(codecs, records)
        notes += _unnamed_variables(codecs, chosen)
        notes += _unmatched(codecs, dataset)
        planned = plan.plan_trials(
            [(picture.name, picture.path) for picture in dataset.pictures],
            qualities,
            {label: seeds if codec.stochastic else (None,) for label, codec in codecs.items()},
            dataset.preparation,
            {picture.name: picture.sha256 for picture in dataset.pictures},
        )
        setup, found = backend.settle(setup, codecs)
        notes.extend(found)
        of_metrics = metric_records(instruments)
        manifest = new_manifest(
            dataset,
            records,
            {name: of_metrics[name] for name in instruments.specs},
            decoder_seeds=seeds,
            device=request.device,
            keep_reconstructions=request.keep_reconstructions,
            workers=setup.workers,
            threads=setup.threads,
            timing=request.timing,
            command=request.command,
            protocol=request.protocol,
        )
        held.enter_context(locked(path))
        folder, done = _create_or_resume(path, manifest, notes)
        trials = [_pinned(trial, codecs[trial.codec]) for trial in plan.remaining(planned, done)]
        if trials and request.originals is None:  # in a training loop, nobody asks again and again
            notes.extend(metrics_without_value(instruments, dataset))
        there = [other for codec in codecs.values() if (other := elsewhere_of(codec)) is not None]
        held.callback(_close, there)
        backend.open(folder, codecs, instruments)
        if not isinstance(backend, Here):
            _close(there)
        del codecs, instruments  # worker processes open their own
        _free_memory()
        try:
            yield Run(folder, trials, len(done), notes, setup, backend)
        finally:
            folder.close()


def _pinned(trial: plan.PlannedTrial, codec: Codec) -> plan.PlannedTrial:
    """With what a reconstruction from elsewhere is as the run begins."""
    if not isinstance(codec, Reconstructions):
        return trial
    return replace(trial, made=codec.identity(trial.image, trial.quality))


def _check_request(request: Request) -> tuple[str | None, Mapping[str, float]]:
    """Where the cluster is, None for this machine, and what each worker holds there. Raises UsageError."""
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
    check_time_limit(request.time_limit)
    if request.debug and request.time_limit is not None:
        raise UsageError("--debug does all trials in this process, where --time-limit cannot end one")
    return where, reserve


def _choose_backend(
    request: Request,
    chosen: Mapping[str, Any],
    metrics: Sequence[Any],
    where: str | None,
    reserve: Mapping[str, float],
    notes: list[str],
) -> tuple[Backend, int]:
    """Who does the trials, and how many workers; notes for the user.

    metrics: specs, or objects. Foreign code gets a process of its own, which it may crash. A codec that is an object
    stays here if it must, or if nobody asked for workers; a metric that is one always does.
    """
    made_here = [type(metric).__name__ for metric in metrics if not isinstance(metric, str)]
    objects = {label: codec for label, codec in chosen.items() if not isinstance(codec, str)}
    alone = request.timing or request.debug or request.here or (objects and where is None)
    workers = request.workers or (1 if alone else default_workers())
    if where is not None:
        for label, codec in objects.items():
            cluster.check_object(label, codec)
        if made_here:
            raise UsageError(f"the metric {made_here[0]} is an object of this process; a cluster needs ./file.py:Name")
        return Cluster(where, reserve, request.workers), workers
    limited = request.time_limit is not None
    kept = [label for label, codec in objects.items() if (workers > 1 or limited) and not can_be_sent(codec)]
    if limited and (kept or made_here):
        what = kept[0] if kept else f"the metric {made_here[0]}"
        raise UsageError(f"a time limit needs processes of their own, and {what} is an object of this one")
    if kept:
        notes.append(f"{kept[0]} cannot be sent to other processes; all trials are done in this one")
        workers = 1
    if made_here and workers > 1:
        notes.append(f"the metric {made_here[0]} is an object of this process, so it does all trials itself")
        workers = 1
    if workers > 1 or limited:
        return Processes(), workers
    foreign = any(isinstance(codec, str) and is_foreign(parse_codec_spec(codec)) for codec in chosen.values())
    foreign |= any(shipped_info(metric) is None for metric in metrics if isinstance(metric, str))
    if request.here or request.debug or objects or made_here or not foreign:
        return Here(request.originals, request.debug), 1
    return Processes(), 1


def _choose_qualities(
    codecs: Mapping[str, Codec],
    asked: Mapping[str, Sequence[float]],
    target: Target | None,
    dataset: Dataset,
    quick: bool,
    notes: list[str],
) -> dict[str, Sequence[float]]:
    """Of each codec: those asked for, its own, or what a search for `target` finds. Raises UsageError if none.

    quick: of its own a few.
    """
    qualities: Mapping[str, Sequence[float]] = {
        label: asked.get(label, tuple(codec.qualities)) for label, codec in codecs.items()
    }
    if target is not None:
        qualities, found = choose_qualities(target, codecs, asked, dataset)
        notes.extend(found)
    elif quick:
        fewer = {label: _spread(own) for label, own in qualities.items() if label not in asked}
        qualities = {**qualities, **fewer}
        if shorter := [label for label, own in fewer.items() if len(own) < len(codecs[label].qualities)]:
            notes.append(
                f"a quick look too at {QUICK_QUALITIES} qualities of {', '.join(shorter)}; --limit 0 takes all"
            )
    for label in (label for label in qualities if not qualities[label]):
        raise UsageError(f"{label} names no qualities of its own; --quality gives some")
    return dict(qualities)


def _spread(qualities: Sequence[float]) -> Sequence[float]:
    """`QUICK_QUALITIES` of them, the first and the last among these; all if there are no more."""
    last = len(qualities) - 1
    if last < QUICK_QUALITIES:
        return qualities
    return tuple(qualities[round(place * last / (QUICK_QUALITIES - 1))] for place in range(QUICK_QUALITIES))


def _undescribed(codecs: Mapping[str, Codec], records: Mapping[str, CodecRecord]) -> Iterator[str]:
    """A line for each codec of others whose weights a later start cannot tell from new ones."""
    for label, codec in codecs.items():
        described: Any = records[label].description
        for own, description in zip(_inside(codec), (described, described.get("reference", {})), strict=False):
            if isinstance(own, ForeignCodec):
                yield from _undescribed_weights(label, own, description)


def _inside(codec: Codec) -> tuple[Codec, ...]:
    """`codec`, or those that it is made of: a search goes along another one, and may hold a second against it."""
    inside: tuple[Codec, ...] = getattr(codec, "inside", (codec,))
    return inside


def _undescribed_weights(label: str, codec: ForeignCodec, description: Mapping[str, Any]) -> Iterator[str]:
    known = [part for part in ("settings_sha256", "files_sha256", "weights_sha256") if part in description]
    if not codec.describes:
        if known:
            known_by = "only the files that it names are in the record, so a change of others is not noticed"
        else:
            known_by = "its weights are not in the record, so a changed checkpoint is not noticed"
        yield f"{label} has no describe(): {known_by}"
    elif not known and not codec.describes_weights:
        how = "name their file in a setting, or their hash in describe()"
        yield f"{label} describes no weights: if it has any, {how}, or a changed checkpoint is not noticed"


def _unnamed_variables(codecs: Mapping[str, Codec], chosen: Mapping[str, Any]) -> Iterator[str]:
    """A line for each codec of a file whose code reads environment variables that it does not name."""
    for label, codec in codecs.items():
        if not isinstance(chosen[label], str):
            continue
        specs = list(parts(parse_codec_spec(chosen[label])))
        for own, spec in zip(_inside(codec), specs[1:] or specs, strict=False):
            if spec.file is None or not isinstance(own, ForeignCodec):
                continue
            if names := [name for name in variables_read(spec.file) if name not in own.variables]:
                verb = "it is" if len(names) == 1 else "they are"
                yield (
                    f"{label} reads {', '.join(names)} of the environment: {verb} not in the record, so a change is "
                    f"not noticed, unless the codec names {'it' if len(names) == 1 else 'them'} in `environment`"
                )


def _unmatched(codecs: Mapping[str, Codec], dataset: Dataset) -> Iterator[str]:
    """Lines on what is missing in sets of reconstructions, and on what of them is not taken. Raises UsageError if all
    are missing."""
    wanted = [picture.name for picture in dataset.pictures]
    for label, codec in codecs.items():
        if not isinstance(codec, Reconstructions):
            continue
        lacking = [name for name in wanted if name not in codec.names]
        if len(lacking) == len(wanted):
            there = f"{sorted(codec.names)[0]!r}" if codec.names else "nothing"
            raise UsageError(
                f"{label}: no reconstruction is called like an image of {dataset.name}: there is {there}, and "
                f"{wanted[0]!r} is wanted; the part of the path that is the name is where the pattern has {{name}}"
                f"{in_another_form(wanted[0], codec.names)}"
            )
        if lacking:
            more = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
            form = next((words for name in lacking if (words := in_another_form(name, codec.names))), "")
            yield f"{label}: {len(lacking)} of {len(wanted)} images are missing: {', '.join(lacking[:3])}{more}{form}"
        if others := codec.others(wanted):
            more = f" and {len(others) - 3} more" if len(others) > 3 else ""
            yield f"{label}: not taken, since {dataset.name} has no such image: {', '.join(others[:3])}{more}"
        yield from (f"{label}: {line}" for line in codec.passed_over)


def _close(there: Sequence[Elsewhere]) -> None:
    """Ends the processes in other interpreters that this one has started; what they hold is free for the workers'."""
    for one in there:
        one.close()


def _free_memory() -> None:
    """Of a GPU: what codecs and metrics held that were opened here and are gone."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        gc.collect()
        torch.cuda.empty_cache()


def _under_protocol(request: Request, notes: list[str]) -> Request:
    """`request` with the data set and the metrics of its protocol. Raises UsageError on another data set."""
    if request.protocol is None:
        return request
    protocol = protocol_of(request.protocol)
    asked = request.dataset
    name = dataset_of_protocol(protocol, asked.name.partition("[")[0] if isinstance(asked, Dataset) else asked)
    dataset = asked if isinstance(asked, Dataset) else name
    own = protocol.metrics_of(name)
    metrics = list(dict.fromkeys([*own, *request.metrics]))
    notes.append(f"protocol {protocol.name}: {protocol.title}; {name}; {', '.join(own)}")
    notes.extend(f"protocol {protocol.name} leaves open or differs: {what}" for what in protocol.left_open)
    if request.limit or request.sample is not None:
        notes.append(f"a part of the images: published figures of {protocol.title} are of all of them")
    return replace(request, dataset=dataset, metrics=metrics)


def _choose_metrics(asked: Sequence[Any]) -> tuple[list[Any], list[str]]:
    """The metrics' specs and objects, without bpp, which is always there; and notes for the user."""
    chosen = [one for place, one in enumerate(asked) if one != "bpp" and one not in asked[:place]]
    for one in chosen:
        if isinstance(one, str):
            check_metric(one)
    return (chosen, []) if asked else default_metrics()


def _open_limited(request: Request, notes: list[str]) -> Dataset:
    if request.limit is not None and request.limit < 0:
        raise UsageError(f"--limit {request.limit}: a number of images, 0 for all")
    if request.sample is not None:
        if request.limit is not None:
            raise UsageError("--sample and --limit both choose images; give one of them")
        number, seed = parse_sample(request.sample)
        asked = _opened(request.dataset or DEFAULT_DATASET, notes)
        return sample(asked, number, seed)
    if request.dataset is not None:
        return limit(_opened(request.dataset, notes), request.limit or 0)
    dataset = open_dataset(DEFAULT_DATASET)
    limited = limit(dataset, QUICK_LOOK if request.limit is None else request.limit)
    if request.limit is None:
        counts = f"{len(limited.pictures)} of the {len(dataset.pictures)} images of {dataset.name}"
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
    if (other := in_place_of_folder(path)) is not None:
        raise UsageError(f"--output {path}: {other}, not a folder")
    if path.is_dir() and not (path / "run.json").exists():
        others = sorted(entry.name for entry in path.iterdir() if entry.name not in OURS)
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
    try:
        check_unchanged(folder)
    except BenchmarkError as error:  # a kill at the run's end leaves that too, and this start sums up anew
        notes.append(one_line(error))
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
