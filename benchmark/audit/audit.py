"""An audit in order: open the codec, do everything with it, judge, report."""

import contextlib
import fcntl
import math
import secrets
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import numpy as np

from benchmark.audit import elsewhere, processes
from benchmark.audit.checks import CHECKS, common_trouble, judge
from benchmark.audit.child import Operation
from benchmark.audit.evidence import Evidence, Plan, begin, expected_seconds, gather, in_order
from benchmark.audit.pictures import AuditPicture, odd_pictures, ordinary_pictures
from benchmark.audit.processes import MARK, Session, Surroundings, perform
from benchmark.audit.report import Report, as_json, as_text, rates
from benchmark.codecs import IMAGES, open_codec, parse_codec_spec
from benchmark.datasets import Dataset, limit, open_dataset
from benchmark.errors import BenchmarkError, UsageError
from benchmark.files import in_place_of_folder, make_folder, write_file
from benchmark.reconstructions import Reconstructions
from benchmark.running import provenance
from benchmark.running.plan import parse_qualities
from benchmark.running.setup import threads_per_process
from benchmark.strays import end_marked

DEFAULT_DATASET = "photos"
REPORT, RECORD = "audit.txt", "audit.json"


@dataclass(frozen=True)
class Request:
    """What the user asked for; the fields are the options of `python -m benchmark audit`.

    devices: the first is the codec's, the others are those to decode across. child: as in `Surroundings`.
    """

    codec: str
    dataset: str = DEFAULT_DATASET
    limit: int = 2
    qualities: Sequence[str] = ()
    devices: Sequence[str] = ()
    damages: int = 60
    seconds: float = 300.0
    output: Path | None = None
    child: Sequence[str] = processes.CHILD


def audit(request: Request, tell: Callable[[str], None]) -> tuple[Report, Path]:
    """The report and the folder in which it lies; `tell` gets a line on each thing that begins.

    Raises UsageError on an invalid argument, BenchmarkError if the codec cannot be opened or an image cannot be read.
    """
    if request.limit < 0 or request.damages < 0 or not 0 < request.seconds < math.inf:
        raise UsageError("--limit and --damages are 0 or more, --seconds is a time above 0")
    spec = parse_codec_spec(request.codec)
    asked = parse_qualities(request.qualities, {spec.text: spec}).get(spec.text, ())
    folder = _folder(request, spec.label)
    dataset = limit(open_dataset(request.dataset), request.limit)
    if spec.name == IMAGES:
        if request.devices:
            raise UsageError("--device: these images were decoded elsewhere, and on which device nobody can know")
        tell(f"reads the images of {request.codec}: there is nothing that codes them")
        return _written(_of_images(request, asked, dataset), folder)
    ordinary = ordinary_pictures(dataset)
    device = request.devices[0] if request.devices else "cpu"

    def surroundings(codec: str, **differences: object) -> Surroundings:
        return Surroundings(codec, child=request.child, **differences)  # type: ignore[arg-type]

    with _place() as root, _heeding_sigterm():
        tell(f"opens {request.codec}")
        where = surroundings(request.codec, device=device, seconds=request.seconds)
        tried, seconds = _tried(where, ordinary, asked, root)
        opened = tried.opened
        if opened.trouble is not None:
            kind = UsageError if opened.trouble.kind == "usage" else BenchmarkError
            raise kind(f"{request.codec}: {opened.trouble.message}")
        if not (asked or opened.qualities):
            raise UsageError(f"{request.codec} names no qualities of its own; --quality does")
        seed = secrets.randbits(32)
        plan = Plan(
            codec=request.codec,
            pictures=[*ordinary, *odd_pictures(ordinary[0].image, seed)],
            qualities=asked,
            device=device,
            other_devices=request.devices[1:],
            threads=threads_per_process(1),
            damages=request.damages,
            seconds=request.seconds,
            originals=[p.path.resolve() for p in dataset.pictures if isinstance(p.path, Path)],
            surroundings=surroundings,
        )
        evidence = begin(plan, opened, root)
        if all(outcome.trouble is None for outcome in tried.outcomes):
            encode, decode = (outcome.seconds for outcome in tried.outcomes)
            opening = max(0.0, seconds - encode - decode)
            expected = expected_seconds(evidence, opening, encode, decode, ordinary[0].image.size // 3)
            tell(f"takes about {_duration(expected)}")
        else:
            calls = 3 * (len(evidence.cases) + len(evidence.rated))
            most = f"none of about {calls} calls may take over {request.seconds:g} s"
            tell(f"how long it takes is not known, the first call failed; {most}")
        interrupt: BaseException | None = None
        try:
            gather(evidence, tell)
            _refuse_usage(evidence)
        except KeyboardInterrupt as stopped:
            if not evidence.steps:
                raise
            interrupt, evidence.stopped = stopped, True
        report = Report(
            request.codec,
            {
                **_about(evidence),
                "dataset": dataset.name,
                "fingerprint": dataset.fingerprint,
                "pictures": len(ordinary),
                "random_seed": seed,
            },
            judge(evidence),
            rates(evidence),
            complete=interrupt is None,
            common=common_trouble(evidence),
        )
    _written(report, folder)
    if interrupt is not None:
        tell(f"stopped; what is known by now is in {folder / REPORT}")
        raise interrupt
    return report, folder


def _written(report: Report, folder: Path) -> tuple[Report, Path]:
    make_folder(folder)
    write_file(folder / REPORT, as_text(report).encode())
    write_file(folder / RECORD, as_json(report).encode())
    return report, folder


def _of_images(request: Request, asked: Sequence[float], dataset: Dataset) -> Report:
    """Of reconstructions that were made elsewhere."""
    codec = open_codec(request.codec)
    assert isinstance(codec, Reconstructions)
    qualities = tuple(in_order(asked, codec.qualities))
    found = elsewhere.look(codec, qualities, dataset)
    about = {
        "device": "none",
        "qualities": list(qualities),
        "odd_pictures": 0,
        "description": codec.describe(),
        "packages": provenance.packages(),
        "machine": provenance.machine(),
        "dataset": dataset.name,
        "fingerprint": dataset.fingerprint,
        "pictures": len(dataset.pictures),
    }
    return Report(
        request.codec,
        about,
        elsewhere.judge_images(codec, qualities, found, [question.name for question in CHECKS]),
        elsewhere.rates_of(found),
        elsewhere=True,
    )


def _tried(
    where: Surroundings, ordinary: Sequence[AuditPicture], asked: Sequence[float], root: Path
) -> tuple[Session, float]:
    """What a process makes of the first image at the middle quality, and its seconds: how long all will take."""
    picture, data, again = (root / name for name in ("first.npy", "first.bin", "first-decoded.npy"))
    np.save(picture, ordinary[0].image, allow_pickle=False)
    quality = sorted(asked)[(len(asked) - 1) // 2] if asked else None
    began = time.monotonic()
    operations = [Operation("encode", str(picture), str(data), quality), Operation("decode", str(again), str(data))]
    return perform(where, operations, root), time.monotonic() - began


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


class Terminated(KeyboardInterrupt):
    """SIGTERM came: what is known is written first, as after Ctrl-C."""


@contextlib.contextmanager
def _heeding_sigterm() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


PREFIX = "benchmark-audit-"
OWNED = "owned"
"""A file in the folder of an audit that is locked while the audit lives."""


@contextlib.contextmanager
def _place() -> Iterator[Path]:
    """A new folder of this audit's own, removed at the end; what killed audits have left goes first."""
    _sweep(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as temporary:
        root = Path(temporary).resolve()
        with (root / OWNED).open("wb") as owned:
            fcntl.flock(owned, fcntl.LOCK_EX)
            try:
                yield root
            finally:
                end_marked(MARK, str(root))


def _sweep(folder: Path) -> None:
    """Removes the folders of audits that have died, with the processes that they left."""
    for path in folder.glob(f"{PREFIX}*"):
        # One of somebody else, one at work, and one that is too young to have its lock stay.
        with contextlib.suppress(OSError), (path / OWNED).open("rb") as owned:
            fcntl.flock(owned, fcntl.LOCK_EX | fcntl.LOCK_NB)
            end_marked(MARK, str(path.resolve()))
            shutil.rmtree(path, ignore_errors=True)


def _folder(request: Request, label: str) -> Path:
    folder = request.output or Path("results") / f"audit-{label}"
    if (other := in_place_of_folder(folder)) is not None:
        raise UsageError(f"--output {folder}: {other}, not a folder")
    if folder.is_dir():
        others = sorted(entry.name for entry in folder.iterdir() if entry.name not in (REPORT, RECORD))
        if others:
            raise UsageError(f"--output {folder}: neither empty nor an audit; it holds {others[0]}")
    return folder


def _refuse_usage(evidence: Evidence) -> None:
    """A quality out of range is the user's mistake if the user named it: then nothing that follows means anything."""
    if not evidence.plan.qualities:
        return
    for (_, (name, _)), step in evidence.steps.items():
        trouble = step.outcome.trouble
        if trouble is not None and trouble.kind == "usage" and not evidence.pictures[name].odd:
            raise UsageError(f"{evidence.plan.codec}: {trouble.message}")


def _about(evidence: Evidence) -> dict[str, object]:
    commit, dirty = provenance.checkout()
    plan, opened = evidence.plan, evidence.opened
    return {
        "device": plan.device,
        "other_devices": dict(evidence.devices),
        "qualities": list(evidence.qualities),
        "odd_pictures": sum(picture.odd for picture in plan.pictures),
        "stochastic": opened.stochastic,
        "description": opened.description,
        "threads": dict(evidence.threads),
        "damages": len(evidence.damaged),
        "packages": provenance.packages(),
        "machine": provenance.machine(),
        "git_commit": commit,
        "git_dirty": dirty,
    }
