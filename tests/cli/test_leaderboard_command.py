"""leaderboard: the page, refusals, and entries that are verified from their bitstreams."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.baselines import synthetic

from benchmark.analysis.baseline import Point, baseline_json, read_numbers
from benchmark.cli.main import main
from benchmark.datasets import open_dataset
from benchmark.errors import BenchmarkError
from benchmark.studies.verification import verify


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    assert isinstance(caught.value.code, int)
    return caught.value.code


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    paths = []
    for number in range(2):
        path = tmp_path / f"entry-{number}.json"
        path.write_text(baseline_json(synthetic(number, codec=f"<b>codec</b> {number}", seconds=0.5)))
        paths.append(str(path))
    return paths


def test_a_page_without_scripts_that_fetches_nothing(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    costs = tmp_path / "costs.csv"
    costs.write_text("codec,kmac_per_pixel\n<b>codec</b> 0,28.5\n")
    assert call("leaderboard", *files, "-o", str(tmp_path / "board"), "--at-bpp", "0.4", "--costs", str(costs)) == 0
    page = Path(capsys.readouterr().out.strip())
    text = page.read_text()
    assert "&lt;b&gt;codec&lt;/b&gt; 0" in text
    assert "<b>codec" not in text
    assert "<script" not in text
    assert "src=" not in text
    assert "default-src 'none'" in text
    assert "<td>28</td>" in text or "<td>29</td>" in text
    assert "✓" not in text
    assert call("leaderboard", "make", *files, "-o", str(tmp_path / "again"), "--at-bpp", "0.4", "--title", "Ours") == 0
    assert "<h1>Ours</h1>" in (tmp_path / "again" / "index.html").read_text()


def test_costs_of_a_codec_however_its_settings_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entry, costs = tmp_path / "entry.json", tmp_path / "costs.csv"
    entry.write_text(baseline_json(synthetic(0, codec="jpeg", seconds=0.5)))
    costs.write_text("codec,kmac_per_pixel\njpeg:subsampling=4:2:0,31.4\n")
    assert call("leaderboard", entry, "-o", tmp_path / "board", "--at-bpp", "0.4", "--costs", costs) == 0
    assert "<td>31</td>" in Path(capsys.readouterr().out.strip()).read_text()


@pytest.mark.parametrize("content", ["codec,kmac\na,1\n", "codec,kmac_per_pixel\na,much\n"])
def test_costs_that_are_none(
    content: str, files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    costs = tmp_path / "costs.csv"
    costs.write_text(content)
    assert call("leaderboard", *files, "-o", str(tmp_path / "board"), "--costs", str(costs)) == 2
    assert "columns codec and kmac_per_pixel" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ("a,nan\n", "kmac_per_pixel of a is nan"),
        ("a,-3\n", "kmac_per_pixel of a is -3"),
        ("a,inf\n", "kmac_per_pixel of a is inf"),
        ("a,3\na,4\n", "a is there twice, with 3 and 4"),
    ],
)
def test_costs_that_cannot_be_are_named(
    rows: str, why: str, files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    costs = tmp_path / "costs.csv"
    costs.write_text("codec,kmac_per_pixel\n" + rows)
    assert call("leaderboard", *files, "-o", str(tmp_path / "board"), "--costs", str(costs)) == 2
    assert why in capsys.readouterr().err
    assert not (tmp_path / "board").exists()


def test_costs_as_a_spreadsheet_saves_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a byte order mark; and seconds are the median over an even number of images, too."""
    entry, costs = tmp_path / "entry.json", tmp_path / "costs.csv"
    numbers = synthetic(0, codec="ours", n=4)
    points = [point.model_copy(update={"decode_seconds": [8.0, 2.0, 1.0, 4.0]}) for point in numbers.points]
    entry.write_text(baseline_json(numbers.model_copy(update={"points": points})))
    costs.write_text("codec,kmac_per_pixel\nours,31.4\n", encoding="utf-8-sig")
    assert call("leaderboard", entry, "-o", tmp_path / "board", "--at-bpp", "0.4", "--costs", costs) == 0
    text = Path(capsys.readouterr().out.strip()).read_text()
    assert "<td>31</td>" in text
    assert "<td>3</td>" in text


def test_an_entry_that_does_not_fit_ends_with_4(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = json.loads(Path(files[1]).read_text())
    changed["metrics"]["psnr"]["protocol"] = "psnr/y/uint8/mean-of-db"
    Path(files[1]).write_text(json.dumps(changed))
    assert call("leaderboard", *files, "-o", str(tmp_path / "board")) == 4
    assert "entry-1: psnr is psnr/y/uint8/mean-of-db" in capsys.readouterr().err
    assert not (tmp_path / "board").exists()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two codecs on two images that keeps its streams, and its entry beside it."""
    folder = tmp_path_factory.mktemp("verify")
    (folder / "images").mkdir()
    for number in range(2):
        pixels = np.random.default_rng(number).integers(0, 256, (130, 140, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{number}.png")
    asked = ["--dataset", str(folder / "images"), "--codec", "jpeg", "--codec", "webp", "--quality", "30,60"]
    metrics = ["--metric", "psnr", "--metric", "fd-effnet"]
    made = ["run", "--only", *asked, *metrics, "--keep-reconstructions", "--workers", "1", "-o", str(folder / "run")]
    assert call(*made) == 0
    assert call("baseline", str(folder / "run"), "-o", str(folder / "entry.json")) == 0
    return folder


def test_an_entry_is_verified_from_its_streams(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entry = shutil.copy(run / "entry.json", tmp_path / "entry.json")
    streams = ["--streams", str(run / "run"), "--dataset", str(run / "images")]
    assert call("leaderboard", "verify", str(entry), *streams) == 0
    assert "verified: 8 streams decoded again" in capsys.readouterr().out
    verified = read_numbers(Path(entry)).verified
    assert verified is not None
    assert verified.streams == 8
    assert verified.largest_difference < 1e-5
    assert call("leaderboard", str(entry), "-o", str(tmp_path / "board")) == 0
    assert "✓ verified" in (tmp_path / "board" / "index.html").read_text()


def _lossless(point: Point) -> None:
    point.metrics["psnr"][0] = None
    point.infinite["psnr"] = [0]


FORGERIES: dict[str, tuple[Callable[[Point], object], str]] = {
    "image": (lambda point: point.metrics["psnr"].__setitem__(0, 99.5), "psnr, 0: the entry says 99.5"),
    "set": (lambda point: setattr(point.sets["fd-effnet"], "value", 1.5), "fd-effnet: the entry says 1.5"),
    "interval": (
        lambda point: point.sets["fd-effnet"].without.__setitem__(1, 3.0),
        "fd-effnet without 1: the entry says",
    ),
    "seeds": (lambda point: setattr(point.sets["fd-effnet"], "per_seed", [1.0]), "decoder seed 0: the entry says 1"),
    "patches": (lambda point: setattr(point.sets["fd-effnet"], "n_patches", 7), "fd-effnet, patches: the entry says 7"),
    "lossless": (_lossless, "psnr: infinite on other images than the entry says"),
    "a set less": (lambda point: point.sets.clear(), "fd-effnet: a value in the entry or decoded again"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_an_entry_that_states_other_numbers_is_not_verified(
    forgery: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of values and of what intervals and ranks are computed from."""
    numbers = read_numbers(run / "entry.json")
    harm, said = FORGERIES[forgery]
    harm(numbers.points[0])
    entry = tmp_path / "entry.json"
    entry.write_text(baseline_json(numbers))
    images = open_dataset(str(run / "images"))
    with pytest.raises(BenchmarkError) as caught:
        verify(numbers, run / "run", images)
    assert said in str(caught.value)
    if forgery == "image":
        streams = ["--streams", str(run / "run"), "--dataset", str(run / "images")]
        assert call("leaderboard", "verify", str(entry), *streams) == 3
        assert capsys.readouterr().err.count("\n") == 1
        assert read_numbers(entry).verified is None


def test_streams_that_are_missing_or_others_are_named(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copied = tmp_path / "streams"
    shutil.copytree(run / "run" / "reconstructions", copied)
    entry = shutil.copy(run / "entry.json", tmp_path / "entry.json")
    asked = [str(entry), "--streams", str(copied), "--dataset", str(run / "images")]
    victim = sorted(copied.rglob("*.bin"))[0]
    data = victim.read_bytes()
    victim.unlink()
    assert call("leaderboard", "verify", *asked) == 3
    assert "1 of 4 streams are not there" in capsys.readouterr().err
    victim.write_bytes(data[:-40])
    assert call("leaderboard", "verify", *asked) == 3
    assert capsys.readouterr().err.count("\n") == 1
    assert call("leaderboard", "verify", str(entry), "--streams", str(copied), "--dataset", "photos") == 2
    assert "other images than those of the entry" in capsys.readouterr().err
