"""What the commands that do a run share: notes, progress, the command that goes on, and failed trials."""

import contextlib
import importlib
import os
import shlex
import threading
import traceback
from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console

from benchmark.cli.progress import track
from benchmark.errors import BenchmarkError, UsageError
from benchmark.reports.so_far import SoFar
from benchmark.results import RunFolder, Trial
from benchmark.running.backends.here import Here
from benchmark.running.interruption import finishing_trials
from benchmark.running.run import Request, Run, open_run

SHOWN_FAILURES = 20


@contextlib.contextmanager
def finished_run(request: Request, console: Console, *, draw: bool = False) -> Iterator[RunFolder]:
    """Does what `request` asks for and shows on `console` how far it is; the run's folder, nobody else's in the `with`.

    draw: the curves of the images that are done, now and then.
    Where it is interrupted or stops, the command that goes on is shown before the error is passed on. Raises as
    `open_run` and `Run.execute` do.
    """
    with open_run(request) as ready:
        for note in ready.notes:
            console.print(note, markup=False)
        try:
            if not isinstance(ready.backend, Here):  # this process only waits then
                threading.Thread(target=_import_the_end, name="imports", daemon=True).start()
            with finishing_trials(_tell) as stop, contextlib.closing(ready.execute(stop)) as trials:
                shown = _drawn(trials, ready, console) if draw else trials
                track(shown, len(ready.trials), console)
        except (KeyboardInterrupt, BenchmarkError, OSError) as error:
            if request.debug:
                traceback.print_exc()  # of these, others see the message only
            elif isinstance(error, OSError):
                raise
            if not isinstance(error, UsageError):
                again = [*request.command, *([] if request.output else ["--output", str(ready.folder.path)])]
                what = "interrupted" if isinstance(error, KeyboardInterrupt) else "stopped; nothing written is lost"
                console.print(f"{what}; to go on: {shlex.join(again)}", markup=False)
            raise
        yield ready.folder


def _drawn(trials: Iterable[Trial], ready: Run, console: Console) -> Iterator[Trial]:
    for trial, line in SoFar(ready.folder, (trial.image for trial in ready.trials)).watch(trials):
        if line is not None:
            console.print(line, markup=False)
        yield trial


def _import_the_end() -> None:
    """What the end of a run imports, a second of pandas and matplotlib; what cannot be imported is said there."""
    with contextlib.suppress(Exception):
        importlib.import_module("benchmark.reports.outcome")


def show_failures(failed: Sequence[str], folder: RunFolder, console: Console) -> None:
    """The first lines of `failed`, and where the others are."""
    for line in failed[:SHOWN_FAILURES]:
        console.print(f"failed: {line}", markup=False)
    if len(failed) > SHOWN_FAILURES:
        console.print(f"failed: and {len(failed) - SHOWN_FAILURES} more, in {folder.path / 'trials.jsonl'}")


def _tell() -> None:
    """Called from a signal handler, where a write through Python's buffers could meet one that is under way."""
    os.write(2, b"\nfinishing the trial in hand; Ctrl-C again stops at once\n")
