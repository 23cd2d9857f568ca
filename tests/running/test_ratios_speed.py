"""Whole runs against other ways to the same numbers, as ratios of wall times on this machine.

Each takes minutes and wants the machine to itself: `pytest -m slow -s tests/running/test_ratios_speed.py` prints them
all. RATIO_PICTURES in the environment takes fewer than the 24 images.
"""

import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.datasets import limit, open_dataset
from benchmark.errors import BenchmarkError
from benchmark.running.run import Request, open_run
from benchmark.running.setup import cores
from benchmark.studies import peer_packages
from benchmark.studies.profile import HARNESS, profile

pytestmark = pytest.mark.slow

QUALITIES = ",".join(str(quality) for quality in range(5, 100, 5))
"""19 of them, as CompressAI's published curve of JPEG has."""


@pytest.fixture(scope="module")
def kodak(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the Kodak images; the shipped photographs, of the same size, where these were not fetched."""
    try:
        dataset = open_dataset("kodak")
    except BenchmarkError:
        dataset = open_dataset("photos")
    folder = tmp_path_factory.mktemp("kodak")
    for picture in limit(dataset, int(os.environ.get("RATIO_PICTURES", "0"))).pictures:
        shutil.copy(picture.path, folder / f"{picture.name}{picture.path.suffix}")
    return folder


def seconds(*command: str, folder: Path) -> float:
    """Wall time of a command of Python's."""
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, *command], cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    return time.perf_counter() - start


def ours(folder: Path, kodak: Path, *options: str, workers: int = 2, codec: str = "jpeg") -> float:
    run = folder / f"run{len(list(folder.iterdir()))}"
    command = ("-m", "benchmark", "run", "--only", "--codec", codec, "--dataset", str(kodak), "--output", str(run))
    return seconds(*command, "--workers", str(workers), *options, folder=folder)


def say(what: str, one: float, other: float) -> float:
    """The ratio of one's seconds to the other's."""
    print(f"\n{what}: {one:.1f} s / {other:.1f} s = {one / other:.2f}, on {cores()} cores")
    return one / other


def test_jpeg_with_psnr_and_ms_ssim_against_compressai(kodak: Path, tmp_path: Path) -> None:
    bench = ("-m", "compressai.utils.bench", "jpeg", "-j", "2", "-q", QUALITIES, str(kodak))
    options = ("--quality", QUALITIES, "--metric", "psnr", "--metric", "ms_ssim")
    theirs, own = seconds(*bench, folder=tmp_path), ours(tmp_path, kodak, *options)
    assert say("CompressAI's bench -j 2 / run --workers 2", theirs, own) >= 2


def test_five_metrics_against_one_after_the_other(kodak: Path, tmp_path: Path) -> None:
    theirs = seconds(peer_packages.__file__, "all", str(kodak), QUALITIES, folder=tmp_path)
    own = ours(tmp_path, kodak, "--quality", QUALITIES, workers=min(2, cores()))
    assert say("packages one after the other / run", theirs, own) >= 2


def test_the_harness_around_hfd(kodak: Path, tmp_path: Path) -> None:
    found = profile(Request(codecs=["hfd"], only=True, dataset=str(kodak), limit=2, output=tmp_path / "run"))
    assert say("harness / all trials of hfd, CPU", found.spent[HARNESS], found.cpu_seconds) < 0.03
    assert say("harness / all trials of hfd, clock", found.harness_wall, found.wall_seconds) < 0.03


def cpu_of_trials(request: Request) -> float:
    """Seconds of the CPU that the trials of a run take in this process, which has its networks already."""
    with open_run(replace(request, here=True)) as run:
        start = time.process_time()
        assert all(trial.error is None for trial in run.execute())
        return time.process_time() - start


@pytest.mark.parametrize("qualities", ["50", "20,30,40,50,60,70,80"])
def test_a_second_codec_in_the_folder_of_the_first(qualities: str, tmp_path: Path) -> None:
    """It finds the features of the originals there: what any store of them could save between runs."""
    count = int(os.environ.get("RATIO_PICTURES", "12"))
    asked = Request(["jpeg"], True, "photos@square256", [qualities], limit=count, output=tmp_path / "first")
    cpu_of_trials(asked)
    added = cpu_of_trials(replace(asked, codecs=["jpeg", "webp"]))
    alone = cpu_of_trials(replace(asked, codecs=["webp"], output=tmp_path / "second"))
    share = 1 - added / alone
    print(f"\nwebp at {qualities}: {added:.2f} s beside jpeg, {alone:.2f} s in a folder of its own: {share:.0%} less")
    assert share > 0


@pytest.mark.skipif(cores() < 2, reason="needs two cores")
def test_ray_against_processes(kodak: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    local, cluster = ours(tmp_path, kodak, codec="mse"), ours(tmp_path, kodak, "--executor", "ray", codec="mse")
    assert say("--executor ray / --workers 2", cluster, local) <= 1.1


@pytest.mark.skipif(cores() < 2, reason="needs two cores")
def test_two_workers_against_one(kodak: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread a worker: a single worker would have two, and use both cores where networks run."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    options = ("--quality", QUALITIES)
    one, two = ours(tmp_path, kodak, *options, workers=1), ours(tmp_path, kodak, *options)
    assert say("one worker / two, jpeg with the default metrics", one, two) >= 1.8
