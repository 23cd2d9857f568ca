"""How far a run is: a bar on a terminal, a plain line every few seconds elsewhere."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from benchmark.results import Trial, quality_name

SECONDS_BETWEEN_LINES = 5.0


def track(trials: Iterable[Trial], total: int, console: Console) -> None:
    """Takes all `total` trials and shows on `console` the last one, the count and the time left."""
    if not total:
        return
    if console.is_terminal:
        _bar(trials, total, console)
    else:
        _lines(trials, total, console)


def shown(console: Console) -> Callable[[Sequence[Any], str], Iterable[Any]]:
    """A function that hands items on and shows their count under a name: a bar on a terminal, elsewhere a line every
    few seconds."""

    def track_items(items: Sequence[Any], name: str) -> Iterator[Any]:
        if not console.is_terminal:
            last = time.monotonic()
            for done, item in enumerate(items):
                if time.monotonic() - last >= SECONDS_BETWEEN_LINES:
                    last = time.monotonic()
                    console.print(f"{name}: {done} of {len(items)}", markup=False)
                yield item
            return
        columns = (TextColumn("{task.description}", markup=False), MofNCompleteColumn(), BarColumn())
        with Progress(*columns, console=console, transient=True) as progress:
            yield from progress.track(items, description=name)

    return track_items


def _bar(trials: Iterable[Trial], total: int, console: Console) -> None:
    columns = (MofNCompleteColumn(), BarColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("opening codecs and metrics", total=total)
        for done, left, trial in _timed(trials, total):
            progress.update(task, completed=done, description=f"{left}  {_name(trial)}")


def _lines(trials: Iterable[Trial], total: int, console: Console) -> None:
    last = time.monotonic()
    console.print(f"{total} trials to do", markup=False)
    for done, left, trial in _timed(trials, total):
        if time.monotonic() - last >= SECONDS_BETWEEN_LINES or done == total:
            last = time.monotonic()
            console.print(f"{done} of {total} trials, {left}: {_name(trial)}", markup=False)


def _timed(trials: Iterable[Trial], total: int) -> Iterator[tuple[int, str, Trial]]:
    """(number, time left, trial), by the mean since the first: start-up is no measure, and within one image the
    codecs' times differ too much for a shorter memory."""
    first = 0.0
    for done, trial in enumerate(trials, start=1):
        if done == 1:
            first = time.monotonic()
            left = "just begun" if total > 1 else "done"
        else:
            seconds = (time.monotonic() - first) / (done - 1) * (total - done)
            left = f"{timedelta(seconds=round(seconds))} left"
        yield done, left, trial


def _name(trial: Trial) -> str:
    seed = "" if trial.decoder_seed is None else f" seed {trial.decoder_seed}"
    return f"{trial.codec} quality {quality_name(trial.quality)}{seed}, {trial.image}"
