"""Two who would write: the second is told so in one line, which says who the first is; the dead hold nothing."""

import errno
import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark import locks
from benchmark.errors import BenchmarkError
from benchmark.locks import LOCK, WRITER, held

HOLDS = "import sys, time; from pathlib import Path; from benchmark.locks import held\nwith held(Path(sys.argv[1])): "
HOLDS += "print('held', flush=True); time.sleep(600)"


def holder(folder: Path) -> "subprocess.Popen[str]":
    process = subprocess.Popen([sys.executable, "-c", HOLDS, folder], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_the_second_is_told_who_the_first_is_until_that_is_killed(tmp_path: Path) -> None:
    first = holder(tmp_path)
    told = f"another process is writing this run: process {first.pid} on {re.escape(socket.gethostname())} since 2"
    for _ in range(2):
        with pytest.raises(BenchmarkError, match=told), held(tmp_path):
            pass
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert (tmp_path / LOCK).read_bytes()  # the dead one's text is still there
    with held(tmp_path):
        assert json.loads((tmp_path / LOCK).read_bytes())["process"] == os.getpid()
    assert (tmp_path / LOCK).read_bytes() == b""


@pytest.mark.parametrize("text", [b"", b"\xff", b"[]", b'{"process": "x"}'])
def test_what_the_lock_says_counts_for_nothing(text: bytes, tmp_path: Path) -> None:
    (tmp_path / LOCK).write_bytes(text)
    with held(tmp_path), pytest.raises(BenchmarkError, match="another process is writing this run"), held(tmp_path):
        pass


@pytest.mark.parametrize("code", [errno.ENOTSUP, errno.ENOSYS, errno.ENOLCK])
class TestWithoutLocks:
    """A file system that has no locks."""

    @pytest.fixture(autouse=True)
    def no_locks(self, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(file: object, how: int) -> None:
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(fcntl, "flock", refuse)

    def test_one_at_a_time(self, tmp_path: Path) -> None:
        with held(tmp_path):
            told = rf"process {os.getpid()} on .*; this file system has no locks, .* remove .*\{WRITER}$"
            with pytest.raises(BenchmarkError, match=told), held(tmp_path):
                pass
        assert not (tmp_path / WRITER).exists()
        with held(tmp_path):
            pass

    def test_a_dead_process_of_this_machine_holds_nothing(self, tmp_path: Path) -> None:
        ended = subprocess.Popen([sys.executable, "-c", ""])
        ended.wait()
        write(tmp_path, process=ended.pid)
        with held(tmp_path):
            pass

    def test_a_later_process_of_the_same_number_holds_nothing(self, tmp_path: Path) -> None:
        write(tmp_path, process=os.getpid(), began="another boot 17")
        with held(tmp_path):
            pass

    def test_a_process_of_another_machine_may_still_be_there(self, tmp_path: Path) -> None:
        write(tmp_path, process=2**22 + 1, host="elsewhere")
        with pytest.raises(BenchmarkError, match="on elsewhere since"), held(tmp_path):
            pass

    @pytest.mark.parametrize("text", [b"", b"{}", b'{"host": 1}'])
    def test_a_file_that_says_nothing_is_left_to_the_user(self, text: bytes, tmp_path: Path) -> None:
        (tmp_path / WRITER).write_bytes(text)
        told = "another process is writing this run; this file system has no locks"
        with pytest.raises(BenchmarkError, match=told), held(tmp_path):
            pass
        assert (tmp_path / WRITER).read_bytes() == text


def write(folder: Path, **changes: object) -> None:
    (folder / WRITER).write_text(json.dumps({**locks._me(), "since": "2026", **changes}))


def test_another_failure_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(file: object, how: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", fail)
    with pytest.raises(BenchmarkError, match=r"\.lock: cannot be locked: Input/output error"), held(tmp_path):
        pass
