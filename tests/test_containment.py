"""What foreign code changes in the process is there for it, and for nobody else."""

import builtins
import json
import logging
import math
import os
import resource
import subprocess
import sys
import time
import warnings
import zlib
from multiprocessing import connection
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pydantic
import pytest
import torch
from PIL import Image, ImageFile

from benchmark.containment import Containment
from benchmark.metrics import fidelity


def change(folder: Path) -> None:
    os.chdir(folder)
    logging.basicConfig(level=1, force=True)
    logging.disable(7)
    warnings.simplefilter("error")
    np.seterr(all="raise")
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    Image.MAX_IMAGE_PIXELS = None
    torch.set_default_dtype(torch.float64)
    torch.set_grad_enabled(False)
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.enabled = torch.backends.cudnn.allow_tf32 = False
    torch.backends.mkldnn.enabled = False


def seen() -> tuple[object, ...]:
    with warnings.catch_warnings(record=True) as caught:
        raises = False
        try:
            warnings.warn("a warning", UserWarning, stacklevel=1)
        except UserWarning:
            raises = True
    del caught
    return (
        Path.cwd(),
        (logging.root.level, len(logging.root.handlers), logging.root.manager.disable),
        raises,
        np.geterr()["over"],
        ImageFile.LOAD_TRUNCATED_IMAGES,
        Image.MAX_IMAGE_PIXELS,
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
        torch.are_deterministic_algorithms_enabled(),
        (torch.backends.cudnn.enabled, torch.backends.cudnn.allow_tf32, torch.backends.mkldnn.enabled),
    )


def test_each_finds_what_it_left_and_others_what_was_there(tmp_path: Path) -> None:
    before = seen()
    changed = (tmp_path, (1, 1, 7), True, "raise", True, None, torch.float64, False, True, (False,) * 3)
    one, other = Containment(), Containment()
    with one.inside():
        change(tmp_path)
        assert seen() == changed
    assert seen() == before
    with other.inside():
        assert seen() == before
    with one.inside():
        assert seen() == changed
        warnings.resetwarnings()
    assert seen() == before


def test_what_is_taken_back_is_not_brought_again(tmp_path: Path) -> None:
    home, own = Path.cwd(), Containment()
    with own.inside():
        os.chdir(tmp_path)
    with own.inside():
        os.chdir(home)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    os.chdir(elsewhere)
    try:
        with own.inside():
            assert Path.cwd() == elsewhere
    finally:
        os.chdir(home)


def test_an_error_changes_nothing_of_that(tmp_path: Path) -> None:
    before = seen()

    def fail() -> None:
        with Containment().inside():
            change(tmp_path)
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert seen() == before


def test_a_folder_that_is_gone_is_no_trouble(tmp_path: Path) -> None:
    own = Containment()
    (tmp_path / "gone").mkdir()
    with own.inside():
        os.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    home = Path.cwd()
    with own.inside():
        assert Path.cwd() == home


def test_what_is_printed_leaves_standard_output_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with Containment().inside():
        print("words")
        print("others", file=sys.stderr)
    assert capsys.readouterr() == ("", "words\nothers\n")


def test_few_descriptors_are_enough(capsys: pytest.CaptureFixture[str]) -> None:
    """As after `ulimit -n 64`; with more, the copy of standard output lies above those that code counts on."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, before[1]))
    try:
        with Containment().inside():
            print("inside")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert "inside" not in capsys.readouterr().out


def test_threads_of_one_piece_of_code_are_inside_together_and_others_wait() -> None:
    import threading

    one, other = Containment(), Containment()
    order: list[str] = []
    together, entered = threading.Barrier(2, timeout=600), threading.Event()

    def of_one() -> None:
        with one.inside():
            together.wait()
            entered.set()
            together.wait()
            order.append("one")

    def of_other() -> None:
        entered.wait(60)
        with other.inside():
            order.append("other")

    threads = [threading.Thread(target=work) for work in (of_one, of_one, of_other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(600)
    assert order == ["one", "one", "other"]


def test_a_copy_begins_where_the_other_is_and_goes_its_own_way() -> None:
    base = Containment()
    with base.inside():
        os.environ["OF_THE_FILE"] = "1"
    one, other = base.copy(), base.copy()
    with one.inside():
        assert os.environ["OF_THE_FILE"] == "1"
        os.environ["OF_THE_FILE"] = "2"
    with other.inside():
        assert os.environ["OF_THE_FILE"] == "1"
    assert "OF_THE_FILE" not in os.environ


def test_code_inside_code_sees_its_own_state(tmp_path: Path) -> None:
    home = Path.cwd()
    outer, inner = Containment(), Containment()
    with outer.inside():
        os.chdir(tmp_path)
        with inner.inside():
            assert Path.cwd() == tmp_path
            os.chdir("/")
        assert Path.cwd() == tmp_path
    assert Path.cwd() == home


def test_functions_and_methods_that_are_patched_stay_patched_for_that_code_alone() -> None:
    def nothing(*all_of_them: object, **named: object) -> None: ...

    places: list[tuple[Any, str]] = [
        *((Path, name) for name in ("write_text", "exists", "open")),
        *(
            (json, "dumps"),
            (pydantic.BaseModel, "model_dump_json"),
            (connection.Connection, "send"),
            (os, "replace"),
            (builtins, "open"),
            (zlib, "compress"),
            (np.linalg, "norm"),
            (time, "time"),
        ),
        *((Image.Image, "save"), (torch.Tensor, "numpy"), (torch.nn.Module, "__call__"), (fidelity, "Psnr")),
    ]
    before = [getattr(owner, name) for owner, name in places]
    own, other = Containment(), Containment()
    with own.inside():
        for owner, name in places:
            setattr(owner, name, nothing)
        del Path.is_file, math.sqrt
    assert [getattr(owner, name) for owner, name in places] == before
    assert Path(__file__).is_file()
    assert math.sqrt(4) == 2
    with other.inside():
        assert [getattr(owner, name) for owner, name in places] == before
    with own.inside():
        assert {getattr(owner, name) for owner, name in places} == {nothing}
        assert not hasattr(math, "sqrt")
    assert [getattr(owner, name) for owner, name in places] == before


def test_a_module_that_is_being_imported_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json.__spec__, "_initializing", True, raising=False)
    monkeypatch.setattr(json, "dumps", json.dumps)
    with Containment().inside():
        own = json.dumps = lambda value: "as its import goes on"
    assert json.dumps is own


def test_settings_of_plots_are_the_suite_s() -> None:
    size = matplotlib.rcParams["font.size"]
    with Containment().inside():
        matplotlib.rcParams["font.size"] = size + 5
    assert matplotlib.rcParams["font.size"] == size


def test_a_working_folder_that_is_removed_is_left(tmp_path: Path) -> None:
    home = Path.cwd()
    with Containment().inside():
        (tmp_path / "gone").mkdir()
        os.chdir(tmp_path / "gone")
        (tmp_path / "gone").rmdir()
    assert Path.cwd() == home


LATER = """
import atexit, os, sys, threading, time
from benchmark.containment import Containment

def leave():
    time.sleep(0.1)
    os._exit(0)

with Containment().inside():
    threading.Thread(target=leave).start()
    for function in (leave, lambda: sys.exit(0), lambda: os._exit(0), lambda: 1 / 0):
        atexit.register(function)
    if os.fork() == 0:
        os._exit(5)
    ended = os.waitstatus_to_exitcode(os.wait()[1])
time.sleep(0.3)
os._exit(7) if len(sys.argv) > 1 else sys.exit(ended)
"""


def test_a_thread_or_the_end_of_python_does_not_end_the_process_with_another_code() -> None:
    ended = subprocess.run([sys.executable, "-c", LATER], capture_output=True, text=True, check=False)
    assert ended.returncode == 5
    assert "a thread calls os._exit(0)" in ended.stderr
    told = [line for line in ended.stderr.splitlines() if line.startswith("at the end of Python: ")]
    assert [line.partition(": ")[2].partition(" (")[0] for line in told] == [
        "ZeroDivisionError: division by zero",
        "RuntimeError: it calls os._exit(0)",
        "RuntimeError: it calls sys.exit(0)",
        "RuntimeError: it calls os._exit(0)",
    ]
    assert subprocess.run([sys.executable, "-c", LATER, "x"], capture_output=True, check=False).returncode == 7
