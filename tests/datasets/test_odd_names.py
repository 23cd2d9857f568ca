"""Names and folders that tools break on: each image counts once, and every later file and table holds its name."""

import csv
import io
import json
import os
import re
import shutil
import unicodedata
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from benchmark.cli.main import main
from benchmark.datasets import open_dataset
from benchmark.errors import BenchmarkError, UsageError, printable
from benchmark.images import load_image
from benchmark.reports import spreadsheets
from benchmark.results import RunFolder

pytestmark = pytest.mark.long


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BENCHMARK_CACHE", str(tmp_path / "cache"))


def write(path: Path | str, shade: int = 0, side: int = 8) -> Path:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    shades = np.arange(side * side * 3).reshape(side, side, 3) + 5 * shade
    Image.fromarray((shades % 256).astype(np.uint8)).save(path, "PNG")
    return path


def names(spec: str) -> list[str]:
    return [picture.name for picture in open_dataset(spec).pictures]


# What counts as one image


def test_hard_links_count_once_and_it_is_said() -> None:
    write("x/b.png")
    os.link("x/b.png", "x/a.png")
    os.link("x/b.png", "x/c.png")
    write("x/d.png", 1)
    for spec in ("x", "x/*.png", "x/**/*.png"):
        assert names(spec) == ["a", "d"]
        assert open_dataset(spec).notes[0] == "2 more paths lead to the same files by links; each file counts once"


def test_links_within_a_folder_count_once_under_the_files_own_name() -> None:
    write("x/b.png")
    Path("x/a.png").symlink_to("b.png")
    for spec in ("x", "x/*.png"):
        assert names(spec) == ["b"]
        assert open_dataset(spec).notes[0].startswith("1 more paths lead to the same files")


def test_a_list_that_names_a_file_and_its_hard_link() -> None:
    write("x/a.png")
    os.link("x/a.png", "x/b.png")
    Path("list.txt").write_text("x/a.png\nx/b.png\n")
    with pytest.raises(UsageError, match=r"line 2: x/b\.png a second time"):
        open_dataset("list.txt")


def test_a_list_that_names_a_link_that_leads_nowhere() -> None:
    Path("b.png").symlink_to(".git/annex/objects/gone")
    Path("list.txt").write_text("b.png\n")
    with pytest.raises(BenchmarkError, match=r"b\.png: a link to \.git/annex/objects/gone, which is not there"):
        open_dataset("list.txt")


def test_upper_and_lower_case_are_two_files_and_suffixes_have_either() -> None:
    for n, name in enumerate(("A.PNG", "a.png", "b.Jpg", "c.TIFF")):
        write(f"x/{name}", n)
    assert names("x") == ["A", "a", "b", "c"]
    assert names("x/*") == ["A", "a", "b", "c"]


def test_names_that_differ_in_unicode_normalisation_only() -> None:
    composed, apart = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))
    write(f"x/{composed}.png", 1)
    write(f"x/{apart}.png", 2)
    if len(os.listdir("x")) == 1:  # noqa: PTH208
        pytest.skip("this file system takes them for one name")
    dataset = open_dataset("x")
    assert {picture.name for picture in dataset.pictures} == {composed, apart}
    assert len({picture.sha256 for picture in dataset.pictures}) == 2


def test_a_list_whose_names_have_another_form_of_unicode() -> None:
    composed, apart = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))
    write(f"x/{apart}.png", 1)
    if Path(f"x/{composed}.png").exists():
        pytest.skip("this file system takes them for one name")
    Path("list.txt").write_text(f"x/{composed}.png\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"line 1: there is no file .*looks the same, in another form of Unicode"):
        open_dataset("list.txt")
    Path("list.txt").write_text("x/e.png\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"there is no file \S+e\.png$"):
        open_dataset("list.txt")


def test_brackets_of_a_name_within_a_pattern() -> None:
    write("a[1]/x.png", 1)
    meant = r"; what is called a\[1\] itself is meant by 'a\[\[\]1\]/\*\.png'"
    with pytest.raises(UsageError, match=f"no image has such a path .*{meant}"):
        open_dataset("a[1]/*.png")
    write("a1/y.png", 2)
    dataset = open_dataset("a[1]/*.png")
    assert [picture.name for picture in dataset.pictures] == ["y"]
    assert any(re.search(meant, note) for note in dataset.notes)
    dataset = open_dataset("a[[]1]/*.png")
    assert [picture.name for picture in dataset.pictures] == ["x"]
    assert dataset.notes == ()


@pytest.mark.parametrize("spec", ["x", "x/*", "list.txt", "file://{}/x"])
def test_files_of_one_content_count_each_and_it_is_said(spec: str, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        write(f"x/{name}.png", shade=0 if name != "c" else 1)
    Path("list.txt").write_text("x/a.png\nx/b.png\nx/c.png\n", encoding="utf-8")
    dataset = open_dataset(spec.format(tmp_path))
    assert len(dataset.pictures) == 3
    assert [note for note in dataset.notes if note.endswith("1 of 3 images is the same as others")] == list(
        dataset.notes
    )
    assert dataset.notes
    Path("x/b.png").unlink()
    Path("list.txt").write_text("x/a.png\nx/c.png\n", encoding="utf-8")
    assert open_dataset(spec.format(tmp_path)).notes == ()


# What is not taken is said


def test_images_of_other_kinds_are_counted() -> None:
    write("x/a.png")
    for name in (
        "b.jfif",
        "c.HEIC",
        "d.heic",
        "e.tga",
        "f.exr",
        "g.jxl",
        "h.gif",
        ".hidden.heic",
        "notes.txt",
        "README",
    ):
        Path("x", name).write_bytes(b"content")
    said = "7 images of other kinds were passed over (.exr 1, .gif 1, .heic 2, .jfif 1, .jxl 1, .tga 1); the suffixes"
    for spec in ("x", "x/*", "x/**"):
        assert names(spec) == ["a"]
        assert open_dataset(spec).notes[0].startswith(said)
    assert open_dataset("x/*.png").notes == ()


@pytest.mark.parametrize("spec", ["x", "x/*"])
def test_a_folder_of_other_kinds_only_says_so(spec: str) -> None:
    Path("x").mkdir()
    Path("x/a.heic").write_bytes(b"content")
    with pytest.raises(UsageError, match=r"no image .*1 image of another kind was passed over \(\.heic 1\)"):
        open_dataset(spec)


@pytest.mark.parametrize("spec", ["x", "x/*", "x/*.png", "x/**/*.png", "x/**"])
def test_content_that_dvc_keeps_elsewhere_is_an_error(spec: str) -> None:
    write("x/a.png")
    Path("x/b.png.dvc").write_text("outs:\n- md5: 0\n  path: b.png\n")
    with pytest.raises(BenchmarkError, match=r"x/b\.png: not there, only its \.dvc file; get it with: dvc pull"):
        open_dataset(spec)
    write("x/b.png", 1)
    assert names(spec) == ["a", "b"]


@pytest.mark.parametrize("spec", ["x/*/a.png", "x/s*/*.png", "*/*/*.png", "x/**/*.png"])
def test_a_folder_on_the_way_that_cannot_be_read(spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write("x/open/a.png")
    write("x/secret/a.png", 1)
    scandir, lstat, iterdir = os.scandir, os.lstat, Path.iterdir

    def check(path: object) -> None:
        if "secret" in Path(str(path)).parts:
            raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", lambda path=".": (check(path), scandir(path))[1])
    monkeypatch.setattr(
        os, "lstat", lambda path, **more: (Path(path).name == "a.png" and check(path), lstat(path, **more))[1]
    )
    monkeypatch.setattr(Path, "iterdir", lambda path: (check(path), iterdir(path))[1])
    with pytest.raises(BenchmarkError, match=r"x/secret(/a\.png)?: cannot be read: Permission denied"):
        open_dataset(spec)


def test_a_file_that_vanishes_while_the_folder_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    write("x/a.png")
    is_file = Path.is_file

    def vanishing(path: Path) -> bool:
        found = is_file(path)
        if path.name == "a.png":
            path.unlink()
        return found

    monkeypatch.setattr(Path, "is_file", vanishing)
    with pytest.raises(BenchmarkError, match=r"x/a\.png: cannot be read: No such file"):
        open_dataset("x/*.png")


@pytest.mark.parametrize("place", ["x", os.devnull])
def test_what_is_no_file_is_refused_at_once(place: str) -> None:
    Path("x").mkdir()
    with pytest.raises(BenchmarkError, match=r"is no file|Is a directory"):
        load_image(Path(place))


# Lists


@pytest.mark.parametrize("name", ["a\nb.png", "a\\b.png", "a\r\\n.png"])
@pytest.mark.parametrize("tagged", [False, True])
def test_names_that_sha256sum_escapes(name: str, tagged: bool) -> None:
    write(name)
    digest = open_dataset(".").pictures[0].sha256
    escaped = name.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    line = f"\\SHA256 ({escaped}) = {digest}" if tagged else f"\\{digest}  {escaped}"
    Path("list.txt").write_text(line + "\n", newline="")
    dataset = open_dataset("list.txt")
    assert [picture.path for picture in dataset.pictures] == [Path(name)]


# Names in tables, files and terminals

ODD = {
    "a,b", 'quote"d', "it's", "-dash", "--output=x", "a b", " lead", "tab\tbed", "line\nbreak", "return\rhere",
    "\x1b[31mred\x1b[0m", "bell\x07", "[bold]x", "[x]", "50%_&$#{}^~", "back\\slash", "pipe|pipe", "<b>html",
    "*star*", "`tick`", "=1+1", "@sum", "écran", "日本語", "😀", "rtl\u202egnp.exe", "line\u2028sep", "nul", "con",
    "x" * 200, "ß" * 100,
}  # fmt: skip


def test_control_characters_are_written_out() -> None:
    assert printable("a\nb\tc\x1b[0m\x7f\u2028\u202e") == "a\\nb\\tc\\x1b[0m\\x7f\\u2028\\u202e"
    assert printable("écran 日本語 😀 e\u0301 👩\u200d👩") == "écran 日本語 😀 e\u0301 👩\u200d👩"
    assert printable(os.fsdecode(b"caf\xe9\n")) == "caf\\xe9\\n"


def test_a_refusal_is_one_line_whatever_the_name() -> None:
    Path("a\nb\x1b.png").write_bytes(b"no image")
    with pytest.raises(BenchmarkError, match=r"^a\\nb\\x1b\.png: not an image") as caught:
        load_image(Path("a\nb\x1b.png"))
    assert str(caught.value).isprintable()


def command(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    out = capsys.readouterr()
    assert "Traceback" not in out.err
    return int(ended.value.code or 0), out.out


def measured(capsys: pytest.CaptureFixture[str], dataset: str, run: str) -> int:
    return command(
        capsys, "run", "--only", "--codec", "jpeg", "--quality", "50", "--metric", "psnr", "--workers", "1",
        "--dataset", dataset, "--keep-reconstructions", "--output", run,
    )[0]  # fmt: skip


def test_a_bad_image_with_a_line_break_in_its_name_is_recorded(capsys: pytest.CaptureFixture[str]) -> None:
    write("x/a.png")
    Path("x/bad\nline.png").write_bytes(b"no image")
    assert measured(capsys, "x", "run") == 3
    errors = {trial.image: trial.error for trial in RunFolder.open(Path("run")).trials()}
    assert errors["a"] is None
    assert "bad\\nline.png: not an image" in str(errors["bad\\nline"])


def test_a_run_and_all_that_follows_hold_every_name(capsys: pytest.CaptureFixture[str]) -> None:
    for n, name in enumerate(sorted(ODD)):
        write(f"x/{name}.png", n)
    wanted = {printable(name) for name in ODD}
    assert measured(capsys, "x", "new") == 0
    shutil.copytree("new", "old")
    folder = RunFolder.open(Path("new"))
    trials = {trial.image: trial for trial in folder.trials()}
    assert trials.keys() == wanted
    for name in wanted:
        assert load_image(folder.reconstruction_path(trials[name].key)).shape == (8, 8, 3)
    code, shown = command(capsys, "images", "new", "--point", "jpeg=50")
    assert code == 0
    assert "\x1b[31m" not in shown
    assert "\x07" not in shown
    assert command(capsys, "export", "new", "--format", "csv", "--output", "long.csv")[0] == 0
    rows = list(csv.DictReader(io.StringIO(Path("long.csv").read_text(encoding="utf-8"))))
    assert {spreadsheets.cell(name) for name in wanted} <= {row["image"] for row in rows}
    for form in ("benchmark-xl", "codec-compare", "compressai"):
        assert command(capsys, "export", "new", "--format", form, "--output", form)[0] == 0
    code, _ = command(capsys, "compare", "old", "new", "--all", "--markdown", "m.md", "--junit", "j.xml")
    assert code == 0
    ElementTree.parse("j.xml")
    assert command(capsys, "report", "new", "--output", "page")[0] == 0
    assert "<b>html" not in Path("page/index.html").read_text(encoding="utf-8")
    assert json.loads(Path("new/run.json").read_text(encoding="utf-8"))
