"""Runs with codecs in other interpreters: records, failures, times, identity; the same numbers as in this one."""

import contextlib
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.fake_benchmark import start
from support.pictures import write_pictures

from benchmark import elsewhere
from benchmark.codecs import open_codec
from benchmark.errors import UsageError
from benchmark.results import RunFolder, Trial
from benchmark.running.run import Request, Run, open_run

CODEC = """
import os, signal, sys, zlib
import numpy as np
from beside import OFFSET

class Mine:
    qualities = (1, 2)
    stochastic = True
    def encode(self, image, quality):
        print("coding", image.shape, file=sys.stderr)
        if image[0, 0, 0] == 1: os.kill(os.getpid(), signal.SIGSEGV)
        if image[0, 0, 0] == 2: raise ValueError("no twos")
        head = np.asarray(image.shape[:2], "<u2").tobytes()
        return head + zlib.compress((image // int(4 * quality)).astype(np.uint8).tobytes()) + bytes([int(4 * quality)])
    def decode(self, data, seed):
        height, width = np.frombuffer(data[:4], "<u2")
        image = np.frombuffer(zlib.decompress(data[4:-1]), np.uint8).reshape(height, width, 3)
        noise = np.random.RandomState(seed).randint(0, data[-1], image.shape)
        return (image * data[-1] + OFFSET + noise).clip(0, 255).astype(np.uint8)
    def describe(self): return {"name": "mine"}
"""


@pytest.fixture
def asked(tmp_path: Path) -> Request:
    (tmp_path / "my_codec.py").write_text(CODEC)
    (tmp_path / "beside.py").write_text("OFFSET = 0\n")
    for number, name in ((1, "crash"), (2, "error"), (9, "fine"), (9, "good")):
        write_pictures(tmp_path / "pictures", [f"{name}.png"], corner=number)
    return Request(
        codecs=[spec(tmp_path)],
        only=True,
        dataset=str(tmp_path / "pictures"),
        metrics=["psnr"],
        output=tmp_path / "run",
        here=True,
        decoder_seeds="0,1",
    )


def spec(folder: Path, python: str = sys.executable) -> str:
    return f"{folder}/my_codec.py:Mine@python={python}"


def do(request: Request) -> tuple[Run, list[Trial]]:
    with open_run(request) as run:
        return run, list(run.execute())


def numbers(trials: list[Trial]) -> dict[object, object]:
    return {trial.key[1:]: (trial.bytes, trial.metrics) for trial in trials if trial.error is None}


def test_a_failure_is_of_its_trial_alone_and_says_what_was_printed(asked: Request, tmp_path: Path) -> None:
    run, trials = do(asked)
    assert run.folder.manifest.status == "complete"
    errors = {trial.image: trial.error or "" for trial in trials}
    assert {image for image, error in errors.items() if not error} == {"fine", "good"}
    assert "it ended: signal 11 (SIGSEGV) (my_codec.py:" in errors["crash"]
    assert errors["error"].startswith("encode: ValueError: no twos (my_codec.py:12 in encode); tracebacks/")
    for image, words in (("crash", "Fatal Python error: Segmentation fault"), ("error", "ValueError: no twos")):
        report = (run.folder.path / errors[image].rpartition("; ")[2]).read_text()
        assert words in report
        assert "standard error:\ncoding (16, 24, 3)" in report
    here = replace(asked, codecs=[spec(tmp_path).partition("@")[0]], output=tmp_path / "here", dataset=fine(tmp_path))
    assert numbers(do(here)[1]) == numbers(trials)


def fine(folder: Path) -> str:
    place = folder / "fine images"
    place.mkdir(exist_ok=True)
    for name in ("fine", "good"):
        shutil.copy(folder / "pictures" / f"{name}.png", place)
    return str(place)


def test_times_are_the_codecs_own_and_the_way_is_beside_them(asked: Request, tmp_path: Path) -> None:
    _, trials = do(replace(asked, dataset=fine(tmp_path), timing=3))
    for trial in trials:
        assert trial.transfer_seconds is not None
        assert trial.transfer_seconds > 0
        assert trial.encode_repeats is not None
        assert min(trial.encode_repeats) > 0
    local = replace(
        asked, codecs=[spec(tmp_path).partition("@")[0]], output=tmp_path / "here", dataset=fine(tmp_path), timing=3
    )
    assert {trial.transfer_seconds for trial in do(local)[1]} == {None}


def test_no_process_outlives_its_run(asked: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one of the run and the fresh instance that decodes its first stream again; each loads the codec once."""
    started = []

    def start(*arguments: Any, **named: Any) -> Any:
        started.append(real(*arguments, **named))
        return started[-1]

    real = subprocess.Popen
    monkeypatch.setattr(elsewhere.subprocess, "Popen", start)
    do(replace(asked, dataset=fine(tmp_path)))
    ours = [one for one in started if sys.executable in one.args]
    assert len(ours) == 2
    assert all(one.poll() is not None for one in ours)


def test_another_codec_in_its_place_is_another_run(asked: Request, tmp_path: Path) -> None:
    asked = replace(asked, dataset=fine(tmp_path))
    run, _ = do(asked)
    (record,) = run.folder.manifest.codecs.values()
    assert record.description["elsewhere"]["command"] == sys.executable
    assert record.description["packages"] == {"numpy": np.__version__}
    assert record.audited is False
    (tmp_path / "beside.py").write_text("OFFSET = 1\n")
    with pytest.raises(UsageError, match="holds another run"), open_run(asked):
        pass


# Real environments


@pytest.fixture(scope="module")
def environments(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Version of NumPy -> interpreter, of environments with nothing else."""
    place = tmp_path_factory.mktemp("environments")
    found = {}
    for version in ("1.26.4", "2.2.6"):
        subprocess.run([sys.executable, "-m", "venv", place / version], check=True)
        python = place / version / "bin" / "python"
        line = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", f"numpy=={version}"]
        if subprocess.run(line, capture_output=True, check=False).returncode:
            pytest.skip("pip installs nothing here")
        found[version] = python
    return found


@pytest.mark.slow
def test_environments_with_other_versions_give_the_same(
    asked: Request, tmp_path: Path, environments: dict[str, Path]
) -> None:
    asked = replace(asked, dataset=fine(tmp_path), here=False)
    here = do(replace(asked, codecs=[spec(tmp_path).partition("@")[0]], output=tmp_path / "here"))[1]
    for workers, (version, python) in enumerate(environments.items(), start=1):
        run, trials = do(
            replace(asked, codecs=[spec(tmp_path, str(python))], output=tmp_path / version, workers=workers)
        )
        assert numbers(trials) == numbers(here)
        assert len(trials) == 8
        (record,) = run.folder.manifest.codecs.values()
        assert record.description["packages"] == {"numpy": version}


PYTHONS = {
    name: found for name in ("3.8", "3.9", "3.10", "3.12", "3.13", "3.14") if (found := shutil.which(f"python{name}"))
}


@pytest.mark.slow
@pytest.mark.parametrize("version", ["3.8", "3.9", "3.10", "3.12", "3.13", "3.14"])
def test_each_version_of_python_that_is_here_gives_the_same(asked: Request, tmp_path: Path, version: str) -> None:
    python = PYTHONS.get(version)
    if python is None:
        pytest.skip(f"there is no python{version}")
    subprocess.run([python, "-m", "venv", tmp_path / "environment"], check=True)
    found = tmp_path / "environment" / "bin" / "python"
    line = [found, "-m", "pip", "install", "-q", "--disable-pip-version-check", "numpy"]
    if subprocess.run(line, capture_output=True, check=False).returncode:
        pytest.skip("pip installs nothing here")
    there, here = (open_codec(text) for text in (spec(tmp_path, str(found)), spec(tmp_path).partition("@")[0]))
    image = np.random.default_rng(0).integers(3, 256, (30, 20, 3), dtype=np.uint8)
    data = there.encode(image, 2)
    np.testing.assert_array_equal(there.decode(data, 3), here.decode(here.encode(image, 2), 3))
    assert there.describe()["elsewhere"]["python"].startswith(version)
    with pytest.raises(Exception, match=r"no twos \(my_codec.py:12 in encode\)"):
        there.encode(image * 0 + 2, 1)


@pytest.mark.slow
def test_a_cluster_does_the_same(asked: Request, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    asked = replace(asked, dataset=fine(tmp_path), here=False)
    here = do(replace(asked, codecs=[spec(tmp_path).partition("@")[0]], output=tmp_path / "here"))[1]
    run, trials = do(replace(asked, executor="ray", workers=2))
    assert run.folder.manifest.status == "complete"
    assert numbers(trials) == numbers(here)


@pytest.mark.slow
def test_the_command_line_does_the_same_and_nothing_is_left(asked: Request, tmp_path: Path) -> None:
    """With a time limit, in processes of their own."""
    place = fine(tmp_path)
    line = ["run", "--only", "--codec", f"./my_codec.py:Mine@python={sys.executable},timeout=600", "--dataset", place]
    line += ["--metric", "psnr", "--workers", "2", "--time-limit", "60", "--output", "there"]
    process = start(*line, folder=tmp_path)
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    trials = list(RunFolder.open(tmp_path / "there").trials())
    assert len(trials) == 4
    assert {trial.error for trial in trials} == {None}
    psutil = pytest.importorskip("psutil")
    left = []
    for one in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            left += [one.cmdline()] if Path(one.cwd()).is_relative_to(tmp_path) else []
    assert left == []
