"""An audit in order: open the codec, do everything with it, judge, report."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.audit import processes
from benchmark.audit.checks import judge
from benchmark.audit.evidence import Evidence, Plan, gather
from benchmark.audit.pictures import odd_pictures, ordinary_pictures
from benchmark.audit.processes import Surroundings, perform
from benchmark.audit.report import Report, as_json, as_text, rates
from benchmark.codecs import parse_codec_spec
from benchmark.datasets import limit, open_dataset
from benchmark.errors import BenchmarkError, UsageError
from benchmark.images import write_file
from benchmark.running import provenance
from benchmark.running.plan import parse_qualities
from benchmark.running.setup import threads_per_process

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

    Raises UsageError on what cannot be meant, BenchmarkError if the codec cannot be opened or a picture cannot be read.
    """
    if request.limit < 0 or request.damages < 0 or request.seconds <= 0:
        raise UsageError("--limit and --damages are 0 or more, --seconds is more than 0")
    spec = parse_codec_spec(request.codec)
    asked = parse_qualities(request.qualities, {spec.text: spec}).get(spec.text, ())
    folder = _folder(request, spec.label)
    dataset = limit(open_dataset(request.dataset), request.limit)
    ordinary = ordinary_pictures(dataset)
    device = request.devices[0] if request.devices else "cpu"

    def surroundings(codec: str, **differences: object) -> Surroundings:
        return Surroundings(codec, child=request.child, **differences)  # type: ignore[arg-type]

    with tempfile.TemporaryDirectory(prefix="benchmark-audit-", ignore_cleanup_errors=True) as temporary:
        root = Path(temporary).resolve()
        tell(f"opens {request.codec}")
        opened = perform(surroundings(request.codec, device=device), [], root).opened
        if opened.trouble is not None:
            kind = UsageError if opened.trouble.kind == "usage" else BenchmarkError
            raise kind(f"{request.codec}: {opened.trouble.message}")
        if not (asked or opened.qualities):
            raise UsageError(f"{request.codec} names no qualities of its own; --quality does")
        plan = Plan(
            codec=request.codec,
            pictures=[*ordinary, *odd_pictures(ordinary[0].image)],
            qualities=asked,
            device=device,
            other_devices=request.devices[1:],
            threads=threads_per_process(1),
            damages=request.damages,
            seconds=request.seconds,
            originals=[p.path.resolve() for p in dataset.pictures if isinstance(p.path, Path)],
            surroundings=surroundings,
        )
        evidence = gather(plan, opened, root, tell)
        _refuse_usage(evidence)
        report = Report(
            request.codec,
            {
                **_about(evidence),
                "dataset": dataset.name,
                "fingerprint": dataset.fingerprint,
                "pictures": len(ordinary),
            },
            judge(evidence),
            rates(evidence),
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BenchmarkError(f"{folder}: cannot be made: {error.strerror}") from None
    write_file(folder / REPORT, as_text(report).encode())
    write_file(folder / RECORD, as_json(report).encode())
    return report, folder


def _folder(request: Request, label: str) -> Path:
    folder = request.output or Path("results") / f"audit-{label}"
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--output {folder}: a file, not a folder")
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
