"""Output: whole or what it was before, through links, never in the place of a device."""

import errno
import os
import pty
import pwd
import re
import socket
import stat
import subprocess
import sys
import threading
import tty
from pathlib import Path

import numpy as np
import pytest

from benchmark import files
from benchmark.errors import BenchmarkError, UsageError
from benchmark.files import (
    OF_A_RUN,
    append_line,
    check_apart,
    expanded,
    is_standard_output,
    make_folder,
    replacing,
    write_array,
    write_file,
)
from benchmark.results import FILES

ROOT = Path(__file__).parents[1]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "a.txt"
    with pytest.raises(BenchmarkError, match=r"a\.txt: cannot be written: No such file or directory"):
        write_file(path, b"x")
    write_file(path, "ü", parents=True)
    assert path.read_bytes() == b"\xc3\xbc"
    write_file(path, iter([b"a", b"b"]))
    assert path.read_bytes() == b"ab"
    assert names(path.parent) == ["a.txt"]


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (call, code)
        for call in ("write", "fsync", "replace", "open")
        for code in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS)
        if (call, code) != ("open", errno.EROFS)  # such a file is written in place: see below
    ],
)
def test_what_was_there_stays_where_the_new_cannot_be_written(
    call: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"before")

    def fail(*arguments: object, **more: object) -> None:
        raise OSError(code, os.strerror(code))

    def pieces() -> object:
        yield b"half"
        if call == "write":
            fail()
        yield b"rest"

    if call != "write":
        monkeypatch.setattr(Path if call == "replace" else os, call, fail)
    with pytest.raises(BenchmarkError, match=re.escape(f"a.txt: cannot be written: {os.strerror(code)}")):
        write_file(path, pieces())  # type: ignore[arg-type]
    monkeypatch.undo()
    assert path.read_bytes() == b"before"
    assert names(tmp_path) == ["a.txt"]


def test_a_file_in_a_folder_that_is_closed_is_written_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"

    def closed(target: Path) -> None:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(files, "_partial_beside", closed)
    with pytest.raises(BenchmarkError, match="cannot be written: Permission denied"):
        write_file(path, b"new")
    path.write_bytes(b"before, and longer")
    write_file(path, b"new")
    assert path.read_bytes() == b"new"


def test_a_file_that_is_mounted_is_written_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"before, and longer")

    def busy(self: Path, target: Path) -> None:
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

    monkeypatch.setattr(Path, "replace", busy)
    write_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["a.txt"]


def test_what_a_kill_has_left_is_taken_by_the_next(tmp_path: Path) -> None:
    script = "import os; from pathlib import Path; from benchmark.files import replacing\n"
    script += "with replacing(Path('a.txt')) as file: file.write_bytes(b'half'); os._exit(9)"
    assert subprocess.run([sys.executable, "-c", script], cwd=tmp_path).returncode == 9
    assert names(tmp_path) == [".a.txt.partial"]
    write_file(tmp_path / "a.txt", b"whole")
    assert names(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").read_bytes() == b"whole"


def test_two_who_write_one_file_at_once_both_write_it_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with replacing(path) as first, replacing(path) as second:
        assert first != second
        second.write_bytes(b"second")
        first.write_bytes(b"first")
        write_file(path, b"third")
        assert path.read_bytes() == b"third"
    assert path.read_bytes() == b"first"  # the last to end
    assert names(tmp_path) == ["a.txt"]


def test_a_long_name_and_a_link_under_the_name_of_the_part(tmp_path: Path) -> None:
    long, theirs = tmp_path / ("a" * 250), tmp_path / "theirs"
    write_file(long, b"x")
    (tmp_path / ".b.partial").symlink_to(theirs)
    write_file(tmp_path / "b", b"x")
    assert names(tmp_path) == [".b.partial", "a" * 250, "b"]


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_the_umask_says_who_may_read_a_new_file_and_an_old_one_keeps_its_mode(umask: int, tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.touch()
    old.chmod(0o660)
    before = os.umask(umask)
    try:
        write_file(tmp_path / "new", b"x")
        write_file(old, b"x")
        write_array(tmp_path / "new.npy", np.zeros(3))
        append_line(tmp_path / "lines", b"x")
    finally:
        os.umask(before)
    for name in ("new", "new.npy", "lines"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o666 & ~umask
    assert stat.S_IMODE(old.stat().st_mode) == 0o660


def test_a_link_is_followed_and_stays_also_one_that_leads_nowhere_yet(tmp_path: Path) -> None:
    target, link = tmp_path / "folder" / "target", tmp_path / "link"
    target.parent.mkdir()
    link.symlink_to(Path("folder") / "target")
    for data in (b"first", b"second"):
        write_file(link, data)
        assert link.is_symlink()
        assert target.read_bytes() == data
    with replacing(link) as file:
        file.write_bytes(b"third")
    assert link.is_symlink()
    assert target.read_bytes() == b"third"
    assert names(target.parent) == ["target"]


def test_links_in_a_circle_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(BenchmarkError, match="cannot be written: Too many levels of symbolic links"):
        write_file(tmp_path / "a", b"x")


def test_a_pipe_and_a_device_are_written_to_and_stay(tmp_path: Path) -> None:
    pipe, data = tmp_path / "pipe", bytes(range(256)) * 1000
    os.mkfifo(pipe)
    for write in (lambda: write_file(pipe, data), lambda: append_line(pipe, data), lambda: _replace(pipe, data)):
        received: list[bytes] = []
        reader = threading.Thread(target=lambda received=received: received.append(pipe.read_bytes()))
        reader.start()
        write()
        reader.join(600)
        assert received[0].removesuffix(b"\n") == data.removesuffix(b"\n")
        assert pipe.is_fifo()
    write_file(Path(os.devnull), data)
    _replace(Path(os.devnull), data)
    append_line(Path(os.devnull), data)
    assert Path(os.devnull).is_char_device()
    terminal, other = pty.openpty()
    tty.setraw(other)
    write_file(Path(os.ttyname(other)), b"image")
    assert os.read(terminal, 10) == b"image"
    os.close(terminal)
    os.close(other)


def _replace(path: Path, data: bytes) -> None:
    with replacing(path) as file:
        file.write_bytes(data)


def test_a_full_device_is_one_line() -> None:
    for write in (write_file, append_line, _replace):
        with pytest.raises(BenchmarkError, match=r"^/dev/full: cannot be written: No space left on device$"):
            write(Path("/dev/full"), b"data")


def test_a_folder_a_disk_and_a_socket_are_no_output(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "socket"))
    kinds = {"folder": "is a folder; name a file", "socket": "is a socket, not a file"}
    try:
        os.mknod(tmp_path / "disk", stat.S_IFBLK | 0o600, os.makedev(240, 7))
        kinds["disk"] = "is a disk, not a file"
    except PermissionError:
        pass
    for name, why in kinds.items():
        with pytest.raises(UsageError, match=why):
            write_file(tmp_path / name, b"data")
        with pytest.raises(UsageError, match=why):
            _replace(tmp_path / name, b"data")
    assert names(tmp_path) == sorted(kinds)
    assert names(tmp_path / "folder") == []


def test_a_file_a_device_and_a_dangling_link_are_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nowhere")
    for path, why in {
        tmp_path / "file": "a file",
        tmp_path / "link": "a link that leads nowhere",
        Path(os.devnull): "a device or a pipe",
    }.items():
        with pytest.raises(UsageError, match=f"{why}, not a folder"):
            make_folder(path)
    assert make_folder(tmp_path / "a" / "b").is_dir()


@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link"])
def test_standard_output_is_appended_to_by_whatever_name(name: str, tmp_path: Path) -> None:
    """Opened anew by its name, a file that the shell has opened would be cut off and written over."""
    (tmp_path / "link").symlink_to("/dev/stdout")
    (tmp_path / "out").write_text("before\n")
    script = (
        "import sys; from pathlib import Path; from benchmark.files import write_file\n"
        f"print('first'); write_file(Path({name!r}), b'data\\n'); print('last')"
    )
    with (tmp_path / "out").open("ab") as out:
        subprocess.run([sys.executable, "-c", script], cwd=tmp_path, stdout=out, check=True)
    assert (tmp_path / "out").read_text() == "before\nfirst\ndata\nlast\n"
    assert is_standard_output(Path(name) if name != "link" else tmp_path / "link")
    assert not (tmp_path / "-").exists()


def test_lines_are_appended_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lines"
    append_line(path, b"one")
    path.write_bytes(b"one")  # as an editor may leave it
    append_line(path, b"two")
    assert path.read_bytes() == b"one\ntwo\n"
    write, calls = os.write, []

    def half(descriptor: int, data: bytes) -> int:
        calls.append(data)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, data[:2])

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(BenchmarkError, match="lines: cannot be written: No space left on device"):
        append_line(path, b"three")
    assert path.read_bytes() == b"one\ntwo\n"


def test_a_library_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="library"), replacing(tmp_path / "a") as file:  # noqa: PT012
        file.write_bytes(b"half")
        raise ValueError("library")
    assert names(tmp_path) == []


WRITERS = re.compile(r"""\.write_text\(|\.savefig\(|\bsave_file\(|np\.save\(|\.to_csv\(\w*path|open\((\w+, )?"[wax]""")
ALLOWED = {
    "benchmark/files.py",
    "benchmark/audit/evidence.py",  # the audit's own temporary folder
    "benchmark/audit/audit.py",  # its lock
    "benchmark/audit/child.py",
    "benchmark/audit/processes.py",
    "benchmark/cli/streams.py",  # standard output and error
    "benchmark/fetching.py",  # NAME.part, which goes on
    "benchmark/locks.py",
    "benchmark/children.py",  # the stack of a crash, temporary
    "benchmark/results.py",  # trials.jsonl, and the lock
    "benchmark/studies/device.py",  # Linux's own file that starts a count anew
    "benchmark/training/plan.py",  # an archive, through `replacing`
    "reports/crops.py",  # into memory
    "benchmark/worker.py",  # in another interpreter, which has nothing of the suite: a temporary folder
    "datasets/archives.py",  # a temporary folder that takes its place as a whole
    "reports/plots/files.py",  # into memory
}


@pytest.mark.checkout
def test_every_output_goes_through_this_module() -> None:
    found = {
        path.relative_to(ROOT).as_posix()
        for room in ("benchmark", "datasets", "baselines", "reports")
        for path in (ROOT / room).rglob("*.py")
        if WRITERS.search(path.read_text(encoding="utf-8"))
        and "recipes" not in path.parts  # their classes run elsewhere, and import nothing of the suite
    }
    assert found == ALLOWED


def test_a_name_that_begins_like_a_home_folder_is_a_name_where_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder `~backup`, or a user without an entry and without $HOME, as containers start programs."""
    from benchmark.fetching import cache_folder, make_folder

    monkeypatch.setenv("HOME", str(tmp_path))
    assert expanded("~/a") == tmp_path / "a"
    assert expanded("~no-such-user/a") == Path("~no-such-user/a")

    def unknown(user: int) -> None:
        raise KeyError(user)

    monkeypatch.delenv("HOME")
    monkeypatch.delenv("BENCHMARK_CACHE", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.chdir(tmp_path)
    assert not cache_folder().exists()  # it can be asked for what is there
    with pytest.raises(BenchmarkError, match="no such home folder; BENCHMARK_CACHE names"):
        make_folder(cache_folder())
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_is_an_input_or_a_file_of_a_run_is_refused(tmp_path: Path) -> None:
    """`encode a.png a.png` would lose the image, `baseline RUN -o RUN/run.json` the run."""
    image, run = tmp_path / "a.png", tmp_path / "run"
    image.write_bytes(b"pixels")
    (tmp_path / "link").symlink_to(image)
    os.link(image, tmp_path / "hard")
    for name in ("a.png", "link", "hard", "no/../a.png"):
        with pytest.raises(UsageError, match="is what is read; name another file"):
            check_apart(tmp_path / name, tmp_path / "b.png", tmp_path / "link")
    run.mkdir()
    (run / "run.json").write_text("{}")
    (tmp_path / "short").symlink_to(run)
    for name in ("run/trials.jsonl", "run/features/key/a.npy", "short/run.json"):
        with pytest.raises(UsageError, match="is a file of the run in"):
            check_apart(tmp_path / name, image)
    assert {*OF_A_RUN, "plots"} == {name.rstrip("/") for name in FILES}
    for free in (tmp_path / "run" / "baseline.json", tmp_path / "new.png", Path("/dev/null"), Path("-")):
        check_apart(free, image, run, "/dev/null")


@pytest.mark.parametrize(
    "arguments",
    [
        ("encode", "--codec", "jpeg", "--quality", "50", "a.png", "./a.png"),
        ("decode", "a.png", "a.png"),
        ("import", "a.png", "-o", "a.png"),
        ("compare", "a.png", "b.png", "--junit", "a.png"),
        ("history", "add", "a.png", "--file", "a.png"),
        ("train", "export", "a.png", "a.png"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_no_command_writes_over_what_it_reads(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from benchmark.cli.main import main

    monkeypatch.chdir(tmp_path)
    Path("a.png").write_bytes(b"pixels")
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "is what is read; name another file" in capsys.readouterr().err
    assert Path("a.png").read_bytes() == b"pixels"
