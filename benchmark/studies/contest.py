"""An even contest of decoders: which principle makes the most of the same bits, network, data and operations?

`python -m benchmark studies contest FOLDER…` trains five objectives (`contestants`) from the same random weights, with
the same U-Net, pairs (x, x̂), optimiser and averaged weights, each to the same number of floating-point operations: one
whose step costs more takes fewer. There are two groups: without any network that was trained to see (`none`), and with
LPIPS's maps in the loss (`lpips`): the same maps with the same weight, of a sample, or of where a step points to.

Each member is a training's folder, OUTPUT/GROUP/MEMBER, with checks along the way on images that are held out. At its
end it is measured once more, with several settings of realism and seeds of the decoder, and on another data set if one
is named. `contest.csv` and `contest.png` are written anew after each member. A contest that was stopped goes on;
members that are finished are not trained again.
"""

import csv
import io
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from benchmark.datasets import limit, open_dataset
from benchmark.errors import BenchmarkError, UsageError
from benchmark.files import write_file
from benchmark.hfd.bases import AutoencoderBase, Base
from benchmark.hfd.first_stage import load_first_stage
from benchmark.hfd.unet import SMALL, UNetConfig
from benchmark.images import load_image
from benchmark.reading import parse_json, read_text, shown, sound
from benchmark.reports.contest import HELD_OUT, draw_contest
from benchmark.studies.contestants import (
    MEMBERS,
    GanTask,
    Judge,
    Judged,
    Judging,
    available,
    operations_per_step,
    seconds_per_step,
)
from benchmark.training.checkpoint import fill_averaged, read_training
from benchmark.training.loop import train
from benchmark.training.options import Options, Schedule
from benchmark.training.precision import AUTO, Precision
from benchmark.training.processes import Processes, open_processes
from benchmark.training.task import DiscriminatorTraining

GROUPS = ("none", "lpips")
"""Without any perceptual network, and with LPIPS's maps."""
TERA = 10**12


@dataclass(frozen=True)
class Contest:
    """What is held equal.

    operations: floating-point ones of each member's training. perceptual: weight of LPIPS's maps in their group.
    checks: along the way. realism: settings at which a finished member is measured, besides its own. seeds: of the
    decoder, then. dataset, limit: measured then too, whole images; "" is none. passes, low: see `make_pairs`.
    """

    operations: float = 250 * TERA
    unet: UNetConfig = SMALL
    batch: int = 16
    crop: int = 64
    learning_rate: float = 8e-4
    discriminator_rate: float = 3e-4
    optimiser: str = "muon"
    precision: Precision = AUTO
    perceptual: float = 1.0
    passes: int = 2
    low: float = 2.0
    checks: int = 5
    judging: Judging = field(default_factory=Judging)
    realism: tuple[float, ...] = (0.5, 1.0)
    seeds: int = 1
    dataset: str = ""
    limit: int = 0
    seed: int = 0


@dataclass(frozen=True)
class Row:
    """One line of the table. group, member: "x̂" is the member that every other starts from.

    step, tera: of the training, and its operations so far in 10¹². finished: the training was at its end. data:
    HELD_OUT or a data set; images: how many. steps: evaluations of the network. realism: the setting; NaN if the
    decoder has none. seed: of the decoder. values: of the metrics.
    """

    group: str
    member: str
    step: int
    tera: float
    finished: bool
    data: str
    images: int
    quality: float
    steps: int
    realism: float
    seed: int
    values: dict[str, float]


@dataclass(frozen=True)
class Plan:
    """What a member will do."""

    group: str
    member: str
    steps: int
    operations: int
    seconds: float | None = None

    def line(self) -> str:
        """For people."""
        costs = "" if self.seconds is None else f", {self.seconds:.2f} s of a processor a step, {self.hours:.2f} h"
        tera = self.operations / TERA
        return (
            f"{self.group}/{self.member}: {self.steps} steps of {tera:.3f} TFLOP, {self.steps * tera:.0f} in all{costs}"
        )

    @property
    def hours(self) -> float:
        """Of one processor, checks aside."""
        return (self.seconds or 0) * self.steps / 3600


def choose(names: Sequence[str], perceptual: str) -> list[tuple[str, str]]:
    """(group, member) of all that take part, the first group first. names: none are all. Raises UsageError."""
    if unknown := [name for name in names if name not in MEMBERS]:
        raise UsageError(f"the contest has no member {unknown[0]!r}; there are {', '.join(MEMBERS)}")
    if perceptual not in (*GROUPS, "both"):
        raise UsageError(f"--perceptual is none, lpips or both, not {perceptual!r}")
    groups = GROUPS if perceptual == "both" else (perceptual,)
    return [(group, name) for group in groups for name in MEMBERS if not names or name in names]


class Arena:
    """The contest at work: base, folders, and what every member shares."""

    def __init__(
        self,
        contest: Contest,
        base: Path | Base,
        folders: Sequence[Path],
        pairs: Path,
        output: Path,
        console: Console,
    ) -> None:
        """base: a base, or the weights file of a first stage. pairs: where pairs are looked for, and kept.

        Metrics whose networks are not here are left out, with a note. Raises UsageError on an invalid contest.
        """
        if not contest.operations > 0:
            raise UsageError(f"a contest of {contest.operations:g} operations trains nothing")
        if any(steps < 1 for steps in contest.judging.steps) or 1 not in contest.judging.steps:
            raise UsageError("numbers of steps are whole, at least 1, and 1 is among them")
        self.contest, self.folders, self.pairs, self.output, self.console = contest, folders, pairs, output, console
        self.processes: Processes = open_processes(contest.precision)
        self.base = AutoencoderBase(*load_first_stage(base, self.processes.device)) if isinstance(base, Path) else base
        self.last_metrics, notes = available((*contest.judging.metrics, "dists"))
        if lost := [name for name in contest.judging.metrics if name not in self.last_metrics]:
            raise BenchmarkError(f"the contest is judged by {lost[0]}: {notes[0]}")
        for note in notes:
            console.print(note, markup=False)
        self._judges: dict[str, Judge] = {}

    def task(self, group: str, member: str) -> Judged:
        """The task of a member, its network with the weights that all begin with."""
        contest, chosen = self.contest, MEMBERS[member]
        recipe = chosen.recipe(
            learning_rate=contest.learning_rate,
            batch=contest.batch,
            crop=contest.crop,
            optimiser=contest.optimiser,  # type: ignore[arg-type]
            passes=contest.passes,
            low=contest.low,
            precision=contest.precision,
            perceptual=contest.perceptual if group == "lpips" else 0.0,
        )
        torch.manual_seed(contest.seed)
        device = self.processes.device
        unet = contest.unet
        return chosen.task(
            self.base, self.folders, self.pairs, unet, recipe, self.console, device, judging=contest.judging
        )

    def plan(self, group: str, member: str, timed: bool = False) -> Plan:
        """How many steps a member will take. timed: and how long one is, on this machine."""
        return self._plan(group, member, self.task(group, member), timed)

    def _plan(self, group: str, member: str, task: Judged, timed: bool = False) -> Plan:
        task.network.to(self.processes.device)
        if isinstance(task, GanTask):
            task.gan.discriminator.to(self.processes.device)
        operations = operations_per_step(task)
        steps = max(1, round(self.contest.operations / operations))
        return Plan(group, member, steps, operations, seconds_per_step(task) if timed else None)

    def run(self, group: str, member: str) -> list[Row] | None:
        """Trains a member to its end and measures it, or reads what a finished one left; None if it was stopped."""
        folder = self.output / group / member
        if (rows := self._finished(folder)) is not None:
            return rows
        task = self.task(group, member)
        plan = self._plan(group, member, task)
        self.console.print(plan.line(), markup=False)
        contest = self.contest
        options = Options(
            folder,
            contest.seed,
            ema_decay=0.999,
            clip=1.0,
            check_every=math.ceil(plan.steps / contest.checks),
            checkpoint_seconds=120,
            optimiser=contest.optimiser,
        )
        warm_up, decay = min(300, 1 + plan.steps // 10), plan.steps // 4
        schedule = Schedule(plan.steps, contest.learning_rate, warm_up, decay)
        discriminator = None
        if isinstance(task, GanTask):
            rates = Schedule(plan.steps, contest.discriminator_rate, warm_up, decay)
            discriminator = DiscriminatorTraining(task.gan.discriminator, task.gan.loss, rates)
        averaged = train(task, schedule, options, self.console, None, self.processes, discriminator)
        tensors, recipe = read_training(averaged)
        if recipe["step"] < plan.steps:
            return None
        fill_averaged(task.network, tensors, averaged)
        task.network.eval()
        rows = [*self._along_the_way(folder, plan, task), *self._at_the_end(plan, task)]
        write_file(folder / "rows.json", json.dumps([row.__dict__ for row in rows], indent=1) + "\n")
        return rows

    def _identity(self) -> dict[str, Any]:
        """What must be equal for finished members to be one contest."""
        told = {field.name: getattr(self.contest, field.name) for field in fields(Contest)}
        told |= {"unet": self.contest.unet.as_json(), "judging": vars(self.contest.judging), **self.base.record()}
        return json.loads(json.dumps(told))  # type: ignore[no-any-return]

    def open(self) -> None:
        """Makes the output folder and says there what the contest is. Raises UsageError if it is another's."""
        path = self.output / "contest.json"
        if path.is_file():
            before = parse_json(read_text(path), shown(path), finite=False)
            if not isinstance(before, dict):
                raise BenchmarkError(f"{shown(path)}: not the description of a contest")
            if differing := sorted(k for k, v in self._identity().items() if before.get(k) != v):
                raise UsageError(
                    f"{self.output} holds a contest with another {', '.join(differing)}; choose another output"
                )
        write_file(path, json.dumps(self._identity(), indent=1) + "\n", parents=True)

    def _finished(self, folder: Path) -> list[Row] | None:
        path = folder / "rows.json"
        if not path.is_file():
            return None
        with sound(shown(path), "what a finished member of a contest left"):
            return [Row(**row) for row in json.loads(path.read_text())]

    # Rows

    def _along_the_way(self, folder: Path, plan: Plan, task: Judged) -> Iterator[Row]:
        """Of checks.csv; those of x̂ once."""
        with (folder / "checks.csv").open(newline="") as file:
            checks = list(csv.DictReader(file))
        for check in checks:
            step = int(check["step"])
            for steps in task.numbers_of_steps():
                for quality in task.judge.qualities:
                    values = {name: float(check[f"q{quality:g}.{name}_{steps}"]) for name in task.judge.metrics}
                    yield self._row(
                        plan, step, False, HELD_OUT, task.judge, quality, steps, own_realism(task), 0, values
                    )

    def _at_the_end(self, plan: Plan, task: Judged) -> Iterator[Row]:
        """With all metrics, settings of realism, seeds, and data; with x̂ itself as 0 steps."""
        own = own_realism(task)
        dials = [None] if math.isnan(own) else [None, *(one for one in self.contest.realism if one != own)]
        for data in (HELD_OUT, *([self.contest.dataset] if self.contest.dataset else [])):
            judge = self._judge(data, task)
            for quality, values in judge.of_x_hat().items():
                yield self._row(plan, plan.steps, True, data, judge, quality, 0, math.nan, 0, values)
            for steps in task.numbers_of_steps():
                for realism in dials:
                    for seed in range(self.contest.seeds):
                        found = judge.measure(task.decoder(steps, realism).sample, seed)
                        for quality, values in found.items():
                            dial = own if realism is None else realism
                            yield self._row(plan, plan.steps, True, data, judge, quality, steps, dial, seed, values)

    def _judge(self, data: str, task: Judged) -> Judge:
        """What judges finished members: on the images of the checks, or on whole images of a data set."""
        if data not in self._judges:
            if data == HELD_OUT:
                images: Sequence[Any] = task.judge.images
            else:
                images = [load_image(image.path) for image in limit(open_dataset(data), self.contest.limit).pictures]
            self._judges[data] = Judge(self.base, images, self.contest.judging.places, self.last_metrics)
        return self._judges[data]

    def _row(
        self,
        plan: Plan,
        step: int,
        finished: bool,
        data: str,
        judge: Judge,
        quality: float,
        steps: int,
        realism: float,
        seed: int,
        values: dict[str, float],
    ) -> Row:
        member = plan.member if steps else "x̂"
        tera = round(step * plan.operations / TERA, 6)
        count = len(judge.images)
        return Row(plan.group, member, step, tera, finished, data, count, quality, steps, realism, seed, values)


def own_realism(task: Judged) -> float:
    """The realism at which its sampler works unasked; NaN if it has no such setting."""
    return float(getattr(task.sampler(1), "realism", math.nan))


def run(
    contest: Contest,
    base: Path | Base,
    folders: Sequence[Path],
    pairs: Path,
    output: Path,
    members: Sequence[tuple[str, str]],
    console: Console,
) -> list[Path]:
    """Holds the contest; returns the paths of table and figure. Fewer members than asked for if it was stopped."""
    arena = Arena(contest, base, folders, pairs, output, console)
    arena.open()
    written: list[Path] = []
    rows: list[Row] = []
    for group, member in members:
        found = arena.run(group, member)
        if found is None:
            console.print("stopped; the same command goes on")
            break
        rows += found
        written = write_contest(rows, output)
    return written


def write_contest(rows: Sequence[Row], output: Path) -> list[Path]:
    """`contest.csv` and, of it, `contest.png`; x̂ once for each group, data and quality."""
    unique = list({_key(row): row for row in rows}.values())
    metrics = list(dict.fromkeys(name for row in unique for name in row.values))
    columns = [field.name for field in fields(Row) if field.name != "values"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*columns, *metrics])
    for row in unique:
        writer.writerow([_cell(getattr(row, name)) for name in columns] + [_cell(row.values.get(m)) for m in metrics])
    table, figure = output / "contest.csv", output / "contest.png"
    write_file(table, text.getvalue(), parents=True)
    draw_contest(table, figure)
    return [table, figure]


def _key(row: Row) -> tuple[Any, ...]:
    if row.steps == 0:
        return row.group, row.data, row.quality
    return tuple(str(getattr(row, field.name)) for field in fields(Row) if field.name != "values")


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return f"{value:.6g}" if isinstance(value, float | np.floating) else str(value)
