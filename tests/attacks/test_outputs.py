"""Standard output and error of every kind, and outputs that are no files: the verdict's own code, and all files."""

import json
import os
import shutil
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from support.pictures import write_pictures
from support.small_runs import CODE
from support.zygote import Zygote

pytestmark = pytest.mark.long

PICTURES = "Bilder Größe 😀"
RUN = (
    "run", "--codec", "jpeg", "--codec", "webp", "--label", "jpeg=Größe 😀", "--quality", "20,90", "--metric", "psnr",
    "--metric", "./toy.py:Contrast", "--dataset", PICTURES, "--keep-reconstructions", "--workers", "1",
)  # fmt: skip

COMMANDS: dict[str, tuple[str, ...]] = {
    "list": ("list", "codecs"),
    "help": ("run", "--help"),
    "explain": ("explain", "good"),
    "compare": ("compare", "good", "bad", "--all", "--junit", "o/j.xml", "--markdown", "o/m.md"),
    "bd": ("bd", "good", "--anchor", "webp", "--resamples", "100"),
    "images": ("images", "good", "--point", "webp=20"),
    "table": ("table", "good", "--plus-minus"),
    "table to a file": ("table", "good", "-o", "o/t.tex", "--format", "latex"),
    "baseline": ("baseline", "good", "-o", "o/b.json"),
    "export": ("export", "good", "--format", "csv", "-o", "o/a.csv"),
    "history add": ("history", "add", "good", "--file", "o/h.jsonl", "--commit", "def"),
    "history show": ("history", "show", "--file", "h.jsonl", "-o", "o/h.png"),
    "plot": ("plot", "good", "--metric", "psnr", "--output", "o/p"),
    "report": ("report", "good", "--no-maps", "--pictures", "1", "-o", "o/r"),
    "encode": ("encode", f"{PICTURES}/ä😀.png", "o/ä😀.bin", "--codec", "webp", "--quality", "20"),
    "decode": ("decode", "a.bin", "o/ä😀.png"),
    "run": (*RUN, "-o", "o/run"),
    "measure": ("measure", "o/good", "--metric", "./toy.py:Other"),
    "an unknown name": ("run", "--codec", "ä😀", "--dataset", PICTURES),
    "a missing run": ("compare", "ä😀", "ä😀"),
    "an unknown command": ("ä😀",),
}  # fmt: skip
FEW = ("list", "compare", "explain", "encode", "an unknown name")

STREAMS: dict[str, dict[str, object]] = {
    "as usual": {},
    "full": {"out": "/dev/full"},
    "error full": {"err": "/dev/full"},
    "closed": {"out": None},
    "error closed": {"err": None},
    "all closed": {"out": None, "err": None, "into": None},
    "ascii": {"encoding": "ascii"},
    "latin-1": {"encoding": "latin-1"},
    "cp1252": {"encoding": "cp1252"},
    "narrow": {"variables": {"COLUMNS": "20"}},
    "very narrow": {"variables": {"COLUMNS": "1"}},
    "no home": {"variables": {"HOME": None}},
    "no temporary folder": {"variables": {"TMPDIR": "/nowhere/at/all"}},
}


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory, zygote: Zygote) -> Path:
    folder = tmp_path_factory.mktemp("outputs")
    write_pictures(folder / PICTURES, ["ä😀.png", "b.png", "c.png"], (48, 32))
    (folder / "toy.py").write_text(CODE + "\n\nclass Other(Contrast):\n    pass\n")
    assert zygote.run(*RUN, "-o", "good", folder=folder)[0] == 0
    shutil.copytree(folder / "good", folder / "bad")
    trials = [json.loads(line) for line in (folder / "bad" / "trials.jsonl").read_text().splitlines()]
    for trial in trials:
        trial["metrics"]["psnr"] -= 5
    (folder / "bad" / "trials.jsonl").write_text("".join(json.dumps(trial) + "\n" for trial in trials))
    (folder / "bad" / "leave-one-out.json").unlink()
    assert zygote.run("history", "add", "good", "--file", "h.jsonl", "--commit", "abc", folder=folder)[0] == 0
    encoded = zygote.run("encode", f"{PICTURES}/b.png", "a.bin", "--codec", "webp", "--quality", "20", folder=folder)
    assert encoded[0] == 0
    return folder


def done(zygote: Zygote, material: Path, name: str, **streams: object) -> tuple[int, str, str, list[str]]:
    """Exit code, output, errors and the files of a command."""
    output = material / "o"
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir()
    if name == "measure":
        shutil.copytree(material / "good", output / "good")
    code, out, errors = zygote.run(*COMMANDS[name], folder=material, **streams)
    return code, out, errors, sorted(path.relative_to(output).as_posix() for path in output.rglob("*"))


@pytest.fixture(scope="module")
def usual(zygote: Zygote, material: Path) -> dict[str, tuple[int, str, str, list[str]]]:
    return {}


def as_usual(
    usual: dict[str, tuple[int, str, str, list[str]]], zygote: Zygote, material: Path, name: str
) -> tuple[int, str, str, list[str]]:
    if name not in usual:
        usual[name] = done(zygote, material, name)
    return usual[name]


@pytest.mark.parametrize("stream", [name for name in STREAMS if name != "as usual"])
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in FEW else pytest.mark.slow) for name in COMMANDS]
)
def test_whatever_the_streams_are(
    name: str,
    stream: str,
    zygote: Zygote,
    material: Path,
    usual: dict[str, tuple[int, str, str, list[str]]],
) -> None:
    expected, said, complained, files = as_usual(usual, zygote, material, name)
    assert expected == {"compare": 1, "an unknown name": 2, "a missing run": 3, "an unknown command": 2}.get(name, 0)
    assert "Traceback" not in complained, complained
    code, out, errors, there = done(zygote, material, name, **STREAMS[stream])
    assert "Traceback" not in errors + out, errors
    assert "Exception" not in errors, errors
    assert there == files
    if stream == "full" and said and expected == 0:
        assert code == 3
        assert errors.splitlines()[-1] == "error: standard output cannot be written: No space left on device"
    else:
        assert code == expected, errors
    if stream in ("ascii", "latin-1", "cp1252") and said:
        assert out.count("\n") == said.count("\n")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in FEW else pytest.mark.slow) for name in COMMANDS]
)
def test_a_reader_that_takes_one_byte_and_goes(
    name: str,
    zygote: Zygote,
    material: Path,
    usual: dict[str, tuple[int, str, str, list[str]]],
) -> None:
    expected, _said, _complained, files = as_usual(usual, zygote, material, name)
    pipe = material / "pipe"
    pipe.unlink(missing_ok=True)
    os.mkfifo(pipe)

    def read() -> None:
        with pipe.open("rb") as reader:
            reader.read(1)

    for streams in ({"out": "pipe"}, {"err": "pipe"}):
        thread = threading.Thread(target=read)
        thread.start()
        code, _, errors, there = done(zygote, material, name, **streams)
        thread.join(600)
        assert code == expected, errors
        assert "Traceback" not in errors
        assert there == files


FILES: dict[str, tuple[str, ...]] = {
    "compare --junit": ("compare", "good", "good", "--junit"),
    "compare --markdown": ("compare", "good", "good", "--markdown"),
    "compare --bencher": ("compare", "good", "good", "--bencher"),
    "table": ("table", "good", "-o"),
    "baseline": ("baseline", "good", "-o"),
    "export": ("export", "good", "--format", "csv", "-o"),
    "benchmark-xl": ("export", "good", "--format", "benchmark-xl", "-o"),
    "parquet": ("export", "good", "--format", "parquet", "-o"),
    "history add": ("history", "add", "good", "--commit", "def", "--file"),
    "history show": ("history", "show", "--file", "h.jsonl", "-o"),
    "encode": ("encode", "--codec", "webp", "--quality", "20", f"{PICTURES}/b.png"),
    "decode": ("decode", "a.bin"),
}
"""Commands that write one file, which their last argument names."""
NAMED = {"history show": ".png", "decode": ".png"}
FOLDERS: dict[str, tuple[str, ...]] = {
    "plot": ("plot", "good", "--metric", "psnr", "--output"),
    "report": ("report", "good", "--no-maps", "-o"),
    "codec-compare": ("export", "good", "--format", "codec-compare", "-o"),
    "github-action-benchmark": ("compare", "good", "good", "--github-action-benchmark"),
    "run": (*RUN, "-o"),
    "audit": ("audit", "jpeg", "--limit", "1", "--quality", "20", "--dataset", PICTURES, "--output"),
}
FEW_FILES = ("compare --junit", "baseline", "encode", "history add", "plot")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in FEW_FILES else pytest.mark.slow) for name in FILES]
)
def test_an_output_that_is_no_file_is_written_through_or_refused(name: str, zygote: Zygote, material: Path) -> None:
    place, suffix = material / "o", NAMED.get(name, "")
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()

    def run(output: str) -> tuple[int, str, str]:
        found = zygote.run(*FILES[name], output, folder=material)
        assert "Traceback" not in found[2], found
        return found

    assert run(f"o/plain{suffix}")[0] == 0
    content = (place / f"plain{suffix}").read_bytes()

    def same(data: bytes) -> bool:
        return data == content if name != "history add" else data.count(b"\n") == 1  # it says when it was added

    for link, target in ((f"link{suffix}", f"target{suffix}"), (f"again{suffix}", f"plain{suffix}")):
        (place / link).symlink_to(target)
        expected = 2 if name == "history add" and target.startswith("plain") else 0  # it has that commit
        assert run(f"o/{link}")[0] == expected
        assert (place / link).is_symlink()
        assert same((place / target).read_bytes())

    (place / f"folder{suffix}").mkdir()
    code, _, errors = run(f"o/folder{suffix}")
    assert (code, errors.count("\n")) == (2, 1) or (name == "history add" and code in (2, 3)), errors
    assert not [*(place / f"folder{suffix}").iterdir()]

    if name == "history add":  # it reads first what it adds to
        return
    pipe = place / f"pipe{suffix}"
    os.mkfifo(pipe)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()))
    reader.start()
    assert run(f"o/pipe{suffix}")[0] == 0
    reader.join(600)
    assert same(received[0])
    assert stat.S_ISFIFO(pipe.stat().st_mode)

    device = place / f"device{suffix}"
    try:
        os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(1, 7))  # that of /dev/full
    except PermissionError:
        device.symlink_to("/dev/full")
    code, _, errors = run(f"o/device{suffix}")
    assert (code, errors.splitlines()[-1]) == (
        3,
        f"error: o/device{suffix}: cannot be written: No space left on device",
    )
    assert stat.S_ISCHR(device.stat().st_mode)
    if not suffix:
        for standard in ("-", "/dev/stdout"):
            code, out, _ = run(standard)
            assert code == 0
            if name not in ("parquet", "encode"):
                assert content.decode() in out
            else:
                assert (material / "out").read_bytes() == content
        assert not (material / "-").exists()
    assert [path.name for path in place.iterdir() if "partial" in path.name] == []


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in FEW_FILES else pytest.mark.slow) for name in FOLDERS]
)
def test_an_output_folder_that_is_none_is_refused(name: str, zygote: Zygote, material: Path) -> None:
    place = material / "o"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    (place / "file").write_bytes(b"theirs")
    (place / "dangling").symlink_to("nowhere")
    os.mkfifo(place / "pipe")
    for output in ("file", "dangling", "pipe"):
        code, _, errors = zygote.run(*FOLDERS[name], f"o/{output}", folder=material)
        assert code == 2, (output, errors)
        assert errors.splitlines()[-1].startswith("error: "), errors
    assert sorted(path.name for path in place.iterdir()) == ["dangling", "file", "pipe"]
    assert (place / "file").read_bytes() == b"theirs"


@pytest.mark.slow
@pytest.mark.parametrize("home", ["none", "a file", "read-only", "no variables"])
def test_a_home_that_is_none(home: str, material: Path, tmp_path: Path) -> None:
    """In a process that imports everything there: matplotlib and torch keep caches at home."""
    place = tmp_path / "home"
    if home == "a file":
        place.touch()
    elif home == "read-only":
        place.mkdir(mode=0o555)
    root = Path(__file__).parents[2]
    variables = {} if home == "no variables" else {"HOME": str(place), "PATH": os.environ["PATH"]}
    variables |= {"XDG_CACHE_HOME": str(place / "cache")} if home == "a file" else {}
    for command in (("plot", "good", "--metric", "psnr", "--output", str(tmp_path / "p")), ("list", "datasets")):
        process = subprocess.run(
            [sys.executable, "-m", "benchmark", *command],
            cwd=material,
            env=variables | {"PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
        )
        assert process.returncode == 0, process.stderr
        assert "Traceback" not in process.stderr
    assert (tmp_path / "p" / "psnr.svg").exists()
