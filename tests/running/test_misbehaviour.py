"""Whatever a codec does, the trials of a well-behaved one beside it are those of a run without it."""

import os
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import misbehaving
from support.misbehaving import DEADLY, FAILING, FINE_IMAGES, HARMLESS, IMAGES, STREAMS
from support.pictures import write_pictures

import benchmark
from benchmark.results import Trial
from benchmark.running.run import Request, open_run

pytestmark = pytest.mark.long

FILE = Path(misbehaving.__file__)
FAILED = {**FAILING, **STREAMS, **IMAGES}
FINE = {**HARMLESS, **FINE_IMAGES}


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "pictures", ["a.png", "b.png"])


def trials_of(pictures: Path, output: Path, codecs: Any, **more: Any) -> list[Trial]:
    request = Request(codecs=codecs, only=True, dataset=str(pictures), metrics=["psnr"], output=output)
    with open_run(Request(**{**vars(request), **more})) as run:
        trials = list(run.execute())
    assert run.folder.manifest.status == "complete"
    return trials


def between(*tables: dict[str, Any]) -> Iterator[str]:
    """Specs of the witness, with each trouble between two of them."""
    yield f"{FILE}:Witness:number=0"
    for number, what in enumerate([what for table in tables for what in table], start=1):
        yield f"{FILE}:Trouble:what={what}"
        yield f"{FILE}:Witness:number={number}"


@pytest.mark.parametrize(
    ("workers", "metrics", "limit"),
    [
        pytest.param(1, ["psnr"], 0, marks=pytest.mark.slow),  # without torch at first
        pytest.param(2, ["psnr", "ms_ssim"], 1, marks=pytest.mark.slow),
        (1, ["psnr", "ms_ssim"], 1),  # with it, each trouble before a witness in one and the same process
    ],
)
def test_of_specs(pictures: Path, tmp_path: Path, workers: int, metrics: list[str], limit: int) -> None:
    more = {"workers": workers, "metrics": metrics, "limit": limit}
    trials = trials_of(pictures, tmp_path / "run", list(between(FINE, FAILED)), **more)
    clean = trials_of(pictures, tmp_path / "clean", [f"{FILE}:Witness:number=0"], **more)
    check_equal(trials, clean)


def check_equal(trials: list[Trial], clean: list[Trial]) -> None:
    """Those of all witnesses are those of the clean run; of the others, each fails or is as it should be."""
    there = {trial.image: (trial.bytes, trial.metrics, trial.reasons) for trial in clean}
    assert {trial.error for trial in clean} == {None}
    troubles, wrong = {}, []
    for trial in trials:
        if "Witness" in trial.codec:
            if trial.error is not None or (trial.bytes, trial.metrics, trial.reasons) != there[trial.image]:
                wrong.append((trial.codec, trial.image, trial.error, trial.metrics))
        else:
            troubles[re.split("[= ]", trial.codec)[-1], trial.image] = trial
    assert not wrong
    for (what, image), trial in troubles.items():
        assert (trial.error is None) == (what in FINE), (what, image, trial.error)
        assert trial.error is None or (len(trial.error) < 3000 and trial.error.isprintable()), what


@pytest.mark.slow
def test_of_those_that_end_their_process(pictures: Path, tmp_path: Path) -> None:
    trials = trials_of(pictures, tmp_path / "run", list(between(DEADLY)), workers=2, time_limit=40.0, limit=1)
    clean = trials_of(pictures, tmp_path / "clean", [f"{FILE}:Witness:number=0"], workers=2, limit=1)
    check_equal(trials, clean)
    told = {trial.codec.rpartition("=")[2]: str(trial.error) for trial in trials if "Trouble" in trial.codec}
    assert told.keys() == DEADLY.keys()
    assert all(error.startswith("the worker process ended during this trial: ") for error in told.values())
    for what, words in {
        "segmentation": "signal 11 (SIGSEGV) (misbehaving.py:",
        "abort": "signal 6 (SIGABRT) (misbehaving.py:",
        "killed": "signal 9 (SIGKILL), perhaps for want of memory",
        "ends_in_c": "exit code 0",
        "all_descriptors": "it closed its connection to the run and went on; it was killed",
        "another_program": "it closed its connection to the run and went on; it was killed",
        "never_ends": "no end after 40 seconds; it was killed (misbehaving.py:",
    }.items():
        assert words in told[what], told[what]


@pytest.mark.slow
def test_of_objects_in_this_process(pictures: Path, tmp_path: Path) -> None:
    before = sys.stdout, sys.stderr, dict(os.environ), np.random.get_state()[1].tolist(), Path.cwd()
    codecs: dict[str, Any] = {"Witness 0": misbehaving.Witness()}
    for number, what in enumerate([*FINE, *FAILED], start=1):
        codecs[f"Trouble {what}"] = misbehaving.Trouble(what)
        codecs[f"Witness {number}"] = misbehaving.Witness()
    misbehaving.SEEN.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = benchmark.evaluate(codecs, str(pictures), metrics=["psnr", "ms_ssim"], output=tmp_path / "run")
        clean = benchmark.evaluate({"Witness": misbehaving.Witness()}, str(pictures), metrics=["psnr", "ms_ssim"])
    check_equal(list(results._folder.trials()), list(clean._folder.trials()))
    assert before == (sys.stdout, sys.stderr, dict(os.environ), np.random.get_state()[1].tolist(), Path.cwd())
