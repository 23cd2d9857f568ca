"""What is seen while a codec is at work."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmark.watching import watched


def test_files_that_are_read_and_written(tmp_path: Path) -> None:
    there, new, moved = tmp_path / "there", tmp_path / "new", tmp_path / "moved"
    there.write_text("x")
    changed = there.stat().st_ctime
    with watched() as seen:
        there.read_text()
        with there.open("ab"):
            pass
        np.save(new, np.zeros(1), allow_pickle=False)
        there.rename(moved)
        (tmp_path / "folder").mkdir()
        os.close(os.open(tmp_path / "low", os.O_CREAT | os.O_WRONLY))
    (tmp_path / "after").touch()
    assert seen.read == {str(there): changed}
    created = [str(tmp_path / name) for name in ("new.npy", "moved", "folder", "low")]
    assert seen.wrote == [str(there), *created]
    assert seen.created == created


def test_relative_names_are_of_the_folder_at_that_time(tmp_path: Path) -> None:
    before = Path.cwd()
    try:
        os.chdir(tmp_path)
        with watched() as seen:
            Path("side").write_text("x")
    finally:
        os.chdir(before)
    assert seen.created == [str(tmp_path / "side")]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with watched() as seen, pytest.raises(FileNotFoundError):
        (tmp_path / "nothing").read_text()
    assert seen.read == {str(tmp_path / "nothing"): None}


def test_programs_and_connections() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, watched() as seen:
        address = server.getsockname()
        socket.create_connection(address).close()
        subprocess.run([sys.executable, "-c", ""], check=True)
    assert seen.connections == [str(address)]
    assert sys.executable in seen.programs
