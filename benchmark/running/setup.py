"""What one worker needs, wherever it is: what it opens, on which device, with how many threads."""

import math
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits  # type: ignore[import-not-found,import-untyped]  # has no hints

from benchmark.errors import UsageError, one_line
from benchmark.results import FEWEST_REPEATS, RunFolder
from benchmark.running.manifest import check_same
from benchmark.running.measurement import Workbench, fresh_openers, load_networks, open_codecs, open_instruments

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Setup:
    """What a worker process needs to open its own codecs and metrics.

    codecs: label -> spec, or an object. untimed: as in `Workbench`, if it is known. without_script: the program that
    asks is somebody's script or notebook, which no worker runs again. time_limit: seconds that a trial may take, None
    for no limit.
    """

    run: Path
    codecs: Mapping[str, Any]
    metrics: tuple[str, ...]
    device: str
    keep_reconstructions: bool
    workers: int
    threads: int
    timing: int = 0
    untimed: str = ""
    without_script: bool = False
    time_limit: float | None = None


def cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0))


def default_workers() -> int:
    """One a core, four at most: each needs a gigabyte for its networks."""
    return min(4, cores())


def threads_per_process(workers: int) -> int:
    """The cores that this process may use, shared among the workers; fewer if OMP_NUM_THREADS says so."""
    share = max(1, cores() // workers)
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return min(share, int(asked)) if asked.isdecimal() and int(asked) else share


def check_device(device: str) -> None:
    """Raises UsageError if torch cannot use `device`. "cpu" imports nothing."""
    if device == "cpu":
        return
    import torch

    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        first_sentence = one_line(error).partition(". ")[0]  # torch goes on with all that it was built with
        raise UsageError(f"--device {device}: {first_sentence}") from None


def device_of_worker(number: int, device: str) -> str:
    """Of worker `number` on this machine: with `device` "cuda" and several GPUs these in turn."""
    if device != "cuda":
        return device
    import torch

    count = torch.cuda.device_count()
    return f"cuda:{number % count}" if count > 1 else device


def limit_threads(threads: int) -> None:
    """Of this process, whatever was loaded before."""
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    threadpool_limits(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)


def open_workbench(setup: Setup, folder: RunFolder) -> Workbench:
    """Codecs and metrics of a worker that writes into `folder`. Raises BenchmarkError, also where they are others by
    now than those that the run began with: a worker may take the place of one that died long after."""
    instruments = open_instruments(setup.metrics, setup.device)
    load_networks(instruments)
    codecs = open_codecs(setup.codecs, setup.device)
    check_same(folder.manifest, codecs, instruments)
    return Workbench(
        folder,
        codecs,
        instruments,
        setup.keep_reconstructions,
        untimed=setup.untimed or untimed(setup.workers, setup.timing),
        repeats=setup.timing,
        fresh=fresh_openers(setup.codecs, setup.device),
        is_interrupt=lambda: False,  # Ctrl-C is not heard here
    )


def untimed(workers: int, timing: int) -> str:
    """Why no time is recorded, "" if it is. timing: calls whose time is asked for."""
    if workers > 1:
        return f"not measured alone: {workers} workers"
    return "" if timing else f"not asked for: --timing {FEWEST_REPEATS} measures it"


def check_time_limit(seconds: float | None) -> None:
    """Raises UsageError unless it is None or a time."""
    if seconds is not None and not 0 < seconds < math.inf:
        raise UsageError(f"--time-limit {seconds:g}: seconds that a trial may take, above 0")


def check_timing(timing: int, workers: int) -> None:
    """Raises UsageError on too few repeats, or with several workers."""
    if timing and timing < FEWEST_REPEATS:
        raise UsageError(f"--timing {timing}: at least {FEWEST_REPEATS} calls, for a median and quartiles")
    if timing and workers > 1:
        raise UsageError(f"--timing with --workers {workers}: time is measured alone, with --workers 1")
