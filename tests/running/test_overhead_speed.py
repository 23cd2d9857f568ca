"""Seconds of the harness itself, around codecs and metrics that cost next to nothing; `--benchmark-only` shows them."""

import itertools
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from support import fake_codecs
from support.baselines import synthetic
from support.pictures import write_pictures

from benchmark.analysis.comparison import compare
from benchmark.analysis.margins import Gate
from benchmark.analysis.rate_differences import rate_differences
from benchmark.reports.outcome import sum_up
from benchmark.running.run import Request, open_run

PICTURES = 10


@pytest.fixture
def request_of(tmp_path: Path) -> "itertools.count[int]":
    fake_codecs.register()
    write_pictures(tmp_path / "pictures", [f"{number}.png" for number in range(PICTURES)])
    return itertools.count()


def request(folder: Path, number: int) -> Request:
    return Request(
        codecs=["tiny"], only=True, dataset=str(folder / "pictures"), metrics=["bpp"], output=folder / f"run{number}"
    )


def test_trials(benchmark: BenchmarkFixture, request_of: "itertools.count[int]", tmp_path: Path) -> None:
    def run() -> int:
        with open_run(request(tmp_path, next(request_of))) as ready:
            return sum(trial.error is None for trial in ready.execute())

    assert benchmark.pedantic(run, rounds=3, warmup_rounds=1) == 2 * PICTURES


def test_summary(benchmark: BenchmarkFixture, request_of: "itertools.count[int]", tmp_path: Path) -> None:
    with open_run(request(tmp_path, next(request_of))) as ready:
        assert len(list(ready.execute())) == 2 * PICTURES
        frame = benchmark.pedantic(sum_up, (ready.folder,), rounds=3, warmup_rounds=1).summary
    assert len(frame) == 4


def test_compare(benchmark: BenchmarkFixture) -> None:
    base, new = synthetic(1, n=24, qualities=7), synthetic(2, n=24, qualities=7)
    comparison = benchmark.pedantic(compare, (base, new, Gate()), rounds=3, warmup_rounds=1)
    assert len(comparison.rows) == 7 * 4 + 3


def test_rate_differences(benchmark: BenchmarkFixture) -> None:
    one, other = synthetic(codec="jpeg", n=24), synthetic(codec="avif", n=24, rate=0.9)
    numbers = one.model_copy(update={"points": [*one.points, *other.points], "codecs": one.codecs | other.codecs})
    rows = benchmark.pedantic(
        rate_differences, (numbers, "jpeg", ["psnr"]), {"resamples": 200}, rounds=2, warmup_rounds=1
    )
    assert len(rows) == 1
