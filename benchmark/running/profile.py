"""What a run spends its time on: `python -m benchmark.running.profile`, with `--limit N` for N photographs of the set.

The default run's codecs, qualities and metrics, in this process alone. Seconds are of this process's CPU, threads added
up, so that other programs on the machine disturb little. What is neither a codec's nor a metric's is the harness's:
reading pictures, checking, writing features and records.
"""

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmark.running.measurement import Instruments, Workbench
from benchmark.running.run import Request, Run, open_run, summarise

HARNESS = "harness"


class Watched:
    """Another object, whose methods `names` add their seconds to `spent` under its `label` and their name."""

    def __init__(self, other: Any, label: str, names: Mapping[str, str], spent: "Counter[str]") -> None:
        self._other = other
        for name, what in names.items():
            setattr(self, name, _watched(getattr(other, name), f"{label} {what}", spent))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._other, name)


def _watched(function: Callable[..., Any], key: str, spent: "Counter[str]") -> Callable[..., Any]:
    def timed(*arguments: Any, **options: Any) -> Any:
        start = time.process_time()
        try:
            return function(*arguments, **options)
        finally:
            spent[key] += time.process_time() - start  # type: ignore[assignment]

    return timed


def watch(run: Run) -> tuple[Run, "Counter[str]"]:
    """The run with watched codecs and metrics, and the seconds by what they did, which grow as it goes."""
    bench = run.workbench
    assert bench is not None
    spent: Counter[str] = Counter()
    coding = {"encode": "encode", "decode": "decode"}
    image_metrics = {"prepare": "of the original", "compare": "of the reconstruction"}
    instruments = Instruments(
        {name: Watched(metric, name, image_metrics, spent) for name, metric in bench.instruments.image.items()},
        {
            name: Watched(metric, name, {"features": "features"}, spent)
            for name, metric in bench.instruments.set.items()
        },
    )
    codecs = {spec: Watched(codec, spec, coding, spent) for spec, codec in bench.codecs.items()}
    watched = Workbench(
        bench.folder, codecs, instruments, bench.keep_reconstructions, bench.untimed, repeats=bench.repeats
    )
    return replace(run, workbench=watched), spent


def profile(request: Request) -> "Counter[str]":
    """CPU seconds of a run by what it did; its start and its summary are items of their own."""
    start = time.process_time()
    with open_run(request) as ready:
        opened = time.process_time()
        run, spent = watch(ready)
        for _ in run.execute():
            pass
        done = time.process_time()
        spent[HARNESS] = done - opened - sum(spent.values())  # type: ignore[assignment]
        spent["start: opening codecs and metrics"] = opened - start  # type: ignore[assignment]
        summarise(run.folder)
        spent["summary and plots"] = time.process_time() - done  # type: ignore[assignment]
    return spent


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmark.running.profile", description=__doc__)
    parser.add_argument("--limit", type=int, default=2, help="photographs (2)")
    parser.add_argument("--codec", action="append", help="codec spec; may be repeated (hfd, with mse and jpeg)")
    parser.add_argument("--metric", action="append", help="metric; may be repeated (the default ones)")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        request = Request(
            codecs=asked.codec or (), metrics=asked.metric or (), limit=asked.limit, output=Path(folder) / "run"
        )
        spent = profile(request)
    total = sum(spent.values())
    for what, seconds in spent.most_common():
        print(f"{seconds:8.2f} s  {100 * seconds / total:5.1f} %  {what}")
    print(f"{total:8.2f} s  100.0 %  CPU in all")


if __name__ == "__main__":
    main()
