"""Each write of each command fails once, on a file system that is full: one line, exit code 3, nothing lost."""

import errno
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.small_runs import CODE, EVALUATE, RUN, TRIALS, assert_equal, is_complete, lines, prepare
from support.zygote import Zygote

pytestmark = pytest.mark.long

FAULTY = """
import io, os, runpy, sys
count, last, code, below = 0, {number}, {code}, os.path.realpath({below!r})


def strike(place):
    global count
    if isinstance(place, int):
        try:
            place = os.readlink(f"/proc/self/fd/{{place}}")
        except OSError:
            return
    if not os.path.realpath(place).startswith(below):
        return
    count += 1
    if count == last:
        raise OSError(code, os.strerror(code))


def faulty(module, name, writes=lambda *arguments: True, place=0):
    before = getattr(module, name)

    def instead(*arguments, **more):
        if writes(*arguments):
            strike(arguments[place])
        return before(*arguments, **more)

    setattr(module, name, instead)


for name in ("write", "fsync", "ftruncate", "truncate", "mkdir", "link"):
    faulty(os, name)
for name in ("replace", "rename"):
    faulty(os, name, place=1)
faulty(os, "open", lambda path, flags, *rest: flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
opens = io.open


class Faulty(io.FileIO):
    def write(self, data):
        strike(self.fileno())
        return super().write(data)


def open_faulty(file, mode="r", buffering=-1, *more, **options):
    if not set(mode) & set("wax+"):
        return opens(file, mode, buffering, *more, **options)
    strike(file)
    if "b" not in mode:
        return opens(file, mode, buffering, *more, **options)
    raw = Faulty(file, mode.replace("b", ""), options.get("closefd", True), options.get("opener"))
    return raw if buffering == 0 else io.BufferedWriter(raw)


io.open = open_faulty
__builtins__["open"] = open_faulty
sys.argv = ["benchmark", *{arguments!r}]
try:
    if {script!r}:
        exec({script!r})
    else:
        runpy.run_module("benchmark", run_name="__main__")
finally:
    with opens({counted!r}, "w") as told:
        told.write(str(count))
"""
"""A program that runs a command line or a script, whose write number `number` below a folder fails with `code`."""

CODES = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS)


IN_PYTHON = f"""
import sys
from benchmark.errors import BenchmarkError
try:
    {EVALUATE.strip().replace(chr(10), chr(10) + "    ")}
except BenchmarkError as error:
    print("error:", error, file=sys.stderr)
    sys.exit(error.exit_code)
"""

HERE = (
    "run", "--codec", "jpeg", "--codec", "webp", "--quality", "20,90", "--metric", "psnr", "--metric",
    "./toy.py:Colours", "--metric", "./toy.py:Contrast", "--dataset", "pictures", "--keep-reconstructions",
    "--workers", "1",
)  # fmt: skip
"""A run in the process of the command itself."""

OF_ONE = (
    "run", "--codec", "jpeg", "--codec", "webp", "--quality", "20,90", "--metric", "./toy.py:Colours", "--dataset",
    "pictures", "--keep-reconstructions", "--workers", "1",
)  # fmt: skip
"""One of a single metric, to which another is added: most of the time of that goes into a figure for each."""


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory, zygote: Zygote) -> Path:
    """What runs and other commands need: runs that nothing befell, a history, a baseline, a stream."""
    folder = prepare(tmp_path_factory.mktemp("full"))
    for name in ("here", "other"):
        assert zygote.run(*HERE, "--output", name, folder=folder)[0] == 0
    assert zygote.run(*OF_ONE, "--output", "of-one", folder=folder)[0] == 0
    assert zygote.run(script=IN_PYTHON % ("evaluated", 1), folder=folder)[0] == 0
    assert zygote.run("history", "add", "here", "--file", "h.jsonl", "--commit", "abc", folder=folder)[0] == 0
    assert zygote.run("encode", "pictures/a.png", "a.bin", "--codec", "jpeg", "--quality", "20", folder=folder)[0] == 0
    return folder


def faulty(
    zygote: Zygote,
    folder: Path,
    below: str,
    number: int,
    *arguments: str,
    script: str = "",
    code: int = errno.ENOSPC,
) -> tuple[int, str, str, int]:
    """Exit code, output, errors and the number of writes of a command whose write `number` below `below` fails."""
    counted = folder / "counted"
    program = FAULTY.format(
        number=number,
        code=code,
        below=str(folder / below),
        arguments=list(arguments),
        counted=str(counted),
        script=script,
    )
    found = zygote.run(script=program, folder=folder)
    return (*found, int(counted.read_text()))


def chosen(most: int, count: int) -> Iterator[int]:
    """The numbers of the writes that are to fail: all `count`, or `most` of them, spread, first and last included."""
    yield from (
        sorted({1 + round(n * (count - 1) / (most - 1)) for n in range(most)}) if most < count else range(1, count + 1)
    )


@pytest.mark.parametrize("most", [3, pytest.param(10**6, marks=pytest.mark.slow)])
def test_each_write_of_an_evaluation_fails_once(most: int, zygote: Zygote, material: Path) -> None:
    script = IN_PYTHON % ("run", 1)
    run = material / "run"
    count = faulty(zygote, material, "run", 0, script=script)[3]
    for number in chosen(most, count):
        shutil.rmtree(run)
        code, _, errors, _ = faulty(zygote, material, "run", number, script=script, code=CODES[number % 4])
        where = (number, errors)
        if code:  # else it was the making of a folder that is there already
            assert code == 3, where
            assert re.fullmatch(r"error: \S+: cannot be .*\n", errors), where
        kept = lines(run)
        assert not is_complete(run) or len(kept) == TRIALS, where
        code, _, errors, _ = faulty(zygote, material, "run", 0, script=script)
        assert code == 0, where
        assert lines(run)[: len(kept)] == kept, where
        assert_equal(run, material / "evaluated")
    shutil.rmtree(run)


@pytest.mark.slow
@pytest.mark.parametrize("most", [60])
def test_writes_of_a_run_fail_once(most: int, zygote: Zygote, material: Path) -> None:
    run = material / "run"
    count = faulty(zygote, material, "run", 0, *HERE, "--output", "run")[3]
    for number in chosen(most, count):
        shutil.rmtree(run)
        code, _, errors, _ = faulty(zygote, material, "run", number, *HERE, "--output", "run", code=CODES[number % 4])
        where = (number, errors)
        assert "Traceback" not in errors, where
        if code:
            assert code == 3, where
            assert re.match(r"error: \S+: cannot be ", errors.splitlines()[-1]), where
        kept = lines(run)
        assert zygote.run(*HERE, "--output", "run", folder=material)[0] == 0, where
        assert lines(run)[: len(kept)] == kept, where
        assert_equal(run, material / "here", 12)
    shutil.rmtree(run)


COMMANDS = {
    "compare": ("compare", "here", "other", "--junit", "o/j.xml", "--markdown", "o/m.md", "--bencher", "o/b.json",
                "--github-action-benchmark", "o/g"),
    "baseline": ("baseline", "here", "-o", "o/b.json"),
    "history add": ("history", "add", "here", "--file", "o/h.jsonl", "--commit", "def"),
    "history show": ("history", "show", "--file", "h.jsonl", "-o", "o/h.png"),
    "csv": ("export", "here", "--format", "csv", "-o", "o/a.csv"),
    "codec-compare": ("export", "here", "--format", "codec-compare", "-o", "o/c"),
    "parquet": ("export", "here", "--format", "parquet", "-o", "o/a.parquet"),
    "table": ("table", "here", "-o", "o/t.md"),
    "plot": ("plot", "here", "--metric", "psnr", "--output", "o/p"),
    "report": ("report", "here", "--no-maps", "-o", "o/r"),
    "study": ("study", "here", "-o", "o/s", "--within", "1000", "--checks", "0"),
    "encode": ("encode", "pictures/a.png", "o/a.bin", "--codec", "jpeg", "--quality", "20"),
    "decode": ("decode", "a.bin", "o/a.png"),
    "measure": ("measure", "o/here", "--metric", "./other.py:Other"),
}  # fmt: skip


@pytest.mark.parametrize("most", [2, pytest.param(10**6, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", COMMANDS)
def test_each_write_of_a_command_fails_once(name: str, most: int, zygote: Zygote, material: Path) -> None:
    """What was there before the command is there after it, old or new, and whole."""
    command, output = COMMANDS[name], material / "o"
    if name == "measure":
        (material / "other.py").write_text(CODE.replace("Contrast", "Other"))
    if name == "study" and zygote.run(*command, folder=material)[0]:
        pytest.skip("the small run has no pairs at equal bits")
    begin(output, material)
    code, _, errors, count = faulty(zygote, material, "o", 0, *command)
    assert code == 0, errors
    new = contents(output)
    begin(output, material)
    old = contents(output)
    for number in chosen(min(most, 60) if name in ("report", "study", "measure") else most, count):
        begin(output, material)
        code, _, errors, _ = faulty(zygote, material, "o", number, *command, code=CODES[number % 4])
        where = (number, errors)
        assert "Traceback" not in errors, where
        there = contents(output)
        assert not [place for place in there if place.endswith(".partial") or "/.partial" in place], where
        for place, content in there.items():
            if place == "h.jsonl":  # an entry says when it was added
                assert content.startswith(old[place]), where
                assert content.endswith(b"\n"), where
                continue
            assert content in (old.get(place), new.get(place)) or place.endswith(("run.json", ".lock")), (place, where)
        assert set(old) <= set(there), where
        if code == 0:
            assert set(there) == set(new), where
            continue
        assert code == 3, where
        assert re.match(r"error: \S+: cannot be ", errors.splitlines()[-1]), where
        assert sum(line.startswith("error") for line in errors.splitlines()) == 1, where
        code, _, errors, _ = faulty(zygote, material, "o", 0, *command)
        assert code == 0, (number, errors)
        assert set(contents(output)) == set(new), where
    shutil.rmtree(output)


def begin(output: Path, material: Path) -> None:
    """An output folder with what earlier commands have left."""
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir()
    for name in ("j.xml", "m.md", "b.json", "h.png", "a.csv", "a.parquet", "t.md", "a.bin", "a.png"):
        (output / name).write_bytes(b"before")
    shutil.copy(material / "h.jsonl", output / "h.jsonl")
    shutil.copytree(material / "of-one", output / "here")


def contents(output: Path) -> dict[str, bytes]:
    return {path.relative_to(output).as_posix(): path.read_bytes() for path in output.rglob("*") if path.is_file()}


@pytest.mark.parametrize("sizes", [[200], pytest.param([*range(40, 700, 24)], marks=pytest.mark.slow)])
@pytest.mark.parametrize("start", ["run", "evaluate"])
def test_file_systems_of_all_sizes(sizes: list[int], start: str, zygote: Zygote, material: Path) -> None:
    """The same on a file system that is truly full. sizes: in kB."""
    small = material / "small"
    small.mkdir(exist_ok=True)
    if (
        shutil.which("mount") is None
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=40k", "tmpfs", str(small)], capture_output=True
        ).returncode
    ):
        pytest.skip("no file system may be mounted here")

    def once() -> tuple[int, str, str]:
        if start == "run":
            return zygote.run(*RUN, "--workers", "1", "--output", "small/run", folder=material)
        return zygote.run(script=IN_PYTHON % ("small/run", 1), folder=material)

    if start == "run" and not (material / "whole").exists():
        assert zygote.run(*RUN, "--workers", "1", "--output", "whole", folder=material)[0] == 0
    stopped = 0
    try:
        for size in sizes:
            subprocess.run(["mount", "-o", f"remount,size={size}k", str(small)], check=True)
            code, _, errors = once()
            kept = lines(small / "run")
            assert "Traceback" not in errors, (size, errors)
            if code:
                stopped += 1
                assert code == 3, (size, errors)
                assert "No space left on device" in errors.splitlines()[-1], (size, errors)
            subprocess.run(["mount", "-o", "remount,size=20m", str(small)], check=True)
            assert once()[0] == 0
            assert lines(small / "run")[: len(kept)] == kept, size
            assert_equal(small / "run", material / ("whole" if start == "run" else "evaluated"))
            shutil.rmtree(small / "run")
    finally:
        subprocess.run(["umount", str(small)], check=True)
    assert stopped
