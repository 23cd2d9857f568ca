"""A reader that closes early changes neither the files nor the exit code."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.baselines import synthetic
from support.zygote import commands

from benchmark.analysis.baseline import write_baseline


def piped(arguments: list[str], folder: Path, both: bool = False) -> int:
    """The exit code of a command whose reader takes one byte and goes. both: errors go to that reader, too.

    In a copy of a process that has imported what commands need.
    """
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    end = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    started = commands().start(*arguments, folder=folder, out="pipe", err="pipe" if both else "errors")
    os.set_blocking(end, True)
    assert os.read(end, 1)
    os.close(end)
    code = started.wait()
    assert both or "Traceback" not in (folder / "errors").read_text()
    return code


def piped_from_its_start(arguments: list[str], folder: Path, both: bool = False) -> int:
    """The same of a Python that begins with the command and ends with it."""
    command = [sys.executable, "-m", "benchmark", *arguments]
    out = subprocess.STDOUT if both else subprocess.PIPE
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=out, bufsize=0)
    assert process.stdout is not None
    process.stdout.read(1)
    process.stdout.close()
    if process.stderr is not None:
        assert b"Traceback" not in process.stderr.read()
        process.stderr.close()
    return process.wait()


@pytest.mark.long
@pytest.mark.parametrize(("loss", "code"), [(0.0, 0), (1.0, 1)])
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("pipe", [piped, pytest.param(piped_from_its_start, marks=pytest.mark.slow)])
def test_a_verdict_and_its_files_survive_their_reader(
    tmp_path: Path, loss: float, code: int, both: bool, pipe: Callable[..., int]
) -> None:
    write_baseline(synthetic(None, stochastic=False), tmp_path / "base.json")
    write_baseline(synthetic(None, stochastic=False, psnr_loss=loss), tmp_path / "new.json")
    arguments = ["compare", "base.json", "new.json", "--all", "--junit", "j.xml", "--markdown", "m.md"]
    assert pipe(arguments, tmp_path, both) == code
    assert (tmp_path / "j.xml").read_text().startswith("<?xml")
    assert "|" in (tmp_path / "m.md").read_text()


def test_a_list_survives_its_reader(tmp_path: Path) -> None:
    assert piped_from_its_start(["list", "codecs"], tmp_path) == 0


def test_errors_keep_their_code(tmp_path: Path) -> None:
    assert piped_from_its_start(["compare", "none", "none"], tmp_path, both=True) == 3
