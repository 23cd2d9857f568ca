"""What a run spends its time on: `python -m benchmark studies profile`, with `--limit N` for N photographs of the set.

The default run's codecs, qualities and metrics, in this process alone. Seconds are of this process's CPU, threads added
up, so that other programs on the machine disturb little. What is neither a codec's nor a metric's is the harness's:
reading images, checking, writing features and records. The last lines compute from them what `MANY` trials take, such
as MS-COCO 30k at one quality; with `--device cuda` the clock's line is the one that counts.
"""

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmark.errors import BenchmarkError
from benchmark.reports.outcome import sum_up
from benchmark.running.backends.here import Here
from benchmark.running.measurement import Instruments, Workbench
from benchmark.running.run import Request, Run, open_run

HARNESS = "harness"
MANY = 30_000


@dataclass
class Spent:
    """Seconds of the CPU by what was done, which grow as a run goes; and of all that together by the clock."""

    cpu: "Counter[str]" = field(default_factory=Counter)
    wall: float = 0.0


class Watched:
    """Another object; those of the methods `names` that it has add their seconds to `spent`, under its `label`."""

    def __init__(self, other: Any, label: str, names: Mapping[str, str], spent: Spent) -> None:
        self._other = other
        for name, what in names.items():
            if (method := getattr(other, name, None)) is not None:
                setattr(self, name, _watched(method, f"{label} {what}", spent))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._other, name)


def _watched(function: Callable[..., Any], key: str, spent: Spent) -> Callable[..., Any]:
    def timed(*arguments: Any, **options: Any) -> Any:
        start, wall = time.process_time(), time.perf_counter()
        try:
            return function(*arguments, **options)
        finally:
            spent.wall += time.perf_counter() - wall
            spent.cpu[key] += time.process_time() - start  # type: ignore[assignment]

    return timed


def watch(run: Run) -> tuple[Run, Spent]:
    """The run with watched codecs and metrics, and what they spend."""
    assert isinstance(run.backend, Here)
    bench = run.backend.workbench
    assert bench is not None
    spent = Spent()
    coding = dict.fromkeys(("encode", "encode_with_estimate", "estimate_bits"), "encode") | {"decode": "decode"}
    image_metrics = {"prepare": "of the original", "compare": "of the reconstruction"}
    instruments = Instruments(
        {name: Watched(metric, name, image_metrics, spent) for name, metric in bench.instruments.image.items()},
        {
            name: Watched(metric, name, {"features": "features"}, spent)
            for name, metric in bench.instruments.set.items()
        },
        {name: Watched(metric, name, {"score": "alone"}, spent) for name, metric in bench.instruments.alone.items()},
        bench.instruments.specs,
        {
            name: Watched(metric, name, {"recode": "again"}, spent)
            for name, metric in bench.instruments.recoding.items()
        },
    )
    codecs = {spec: Watched(codec, spec, coding, spent) for spec, codec in bench.codecs.items()}
    watched = Workbench(
        bench.folder, codecs, instruments, bench.keep_reconstructions, bench.untimed, repeats=bench.repeats
    )
    return replace(run, backend=replace(run.backend, workbench=watched)), spent


@dataclass(frozen=True)
class Profile:
    """Where a run's time went.

    spent: CPU seconds by what was done; start and summary are items of their own. trials: their number. cpu_seconds,
    wall_seconds: of all trials, of the CPU and by the clock. harness_wall: seconds by the clock of the harness in them,
    waiting for the disk included.
    """

    spent: Mapping[str, float]
    trials: int
    cpu_seconds: float
    wall_seconds: float
    harness_wall: float

    @property
    def harness_share(self) -> float:
        """Of the trials' time by the clock."""
        return self.harness_wall / self.wall_seconds

    def per_many(self) -> list[str]:
        """Lines that say how long `MANY` trials take, computed from these."""
        both = (("of the CPU", self.cpu_seconds / self.trials), ("by the clock", self.wall_seconds / self.trials))
        return [f"{1 / each:.2f} trials a second {of}; {MANY:,} take {MANY * each / 3600:.1f} h" for of, each in both]


def profile(request: Request) -> Profile:
    """Does a run and says what it took. Raises BenchmarkError if a trial fails: others would tell of no time."""
    start = time.process_time()
    with open_run(replace(request, here=True)) as ready:
        opened = time.process_time()
        run, spent = watch(ready)
        wall = time.perf_counter()
        trials = list(run.execute())
        done, wall = time.process_time(), time.perf_counter() - wall
        for trial in trials:
            if trial.error is not None:
                raise BenchmarkError(f"{trial.codec}, {trial.image}: {trial.error}")
        cpu: dict[str, float] = dict(spent.cpu)
        cpu[HARNESS] = done - opened - sum(cpu.values())
        cpu["start: opening codecs and metrics"] = opened - start
        sum_up(run.folder)
        cpu["summary and plots"] = time.process_time() - done
    return Profile(cpu, len(trials), done - opened, wall, wall - spent.wall)


def measure(request: Request) -> Profile:
    """`profile` in a folder that is removed; the request's own output does not matter."""
    with tempfile.TemporaryDirectory() as folder:
        return profile(replace(request, output=Path(folder) / "run"))


@dataclass(frozen=True)
class Item:
    """What a run spends time on, its CPU seconds and its share of all of them in per cent."""

    what: str
    seconds: float
    share: float


def items(found: Profile) -> list[Item]:
    """The largest first; the last is the whole."""
    total = sum(found.spent.values())
    largest_first = sorted(found.spent.items(), key=lambda item: -item[1])
    named = [*largest_first, ("CPU in all", total)]
    return [Item(what, round(seconds, 2), round(100 * seconds / total, 1)) for what, seconds in named]


def lines(found: Profile) -> Iterator[str]:
    """Seconds and shares, the largest first; the harness's share; how long many trials take."""
    for item in items(found):
        yield f"{item.seconds:8.2f} s  {item.share:5.1f} %  {item.what}"
    yield f"harness by the clock: {found.harness_wall:.2f} of {found.wall_seconds:.2f} s, {found.harness_share:.1%}"
    yield from found.per_many()
