"""A large run at a small size: its parts, its ending, a start that goes on."""

from pathlib import Path

import pytest
from support.drawn_features import DIMENSION, PATCHES, DrawnFeatures

from benchmark.cli.main import main
from benchmark.errors import BenchmarkError, UsageError
from benchmark.images import load_image
from benchmark.studies.coverage import read_table
from benchmark.studies.scale import Part, draw_images, end, lines, measure

pytestmark = pytest.mark.long


def test_parts_of_a_run_and_its_ending(tmp_path: Path) -> None:
    said = list(lines(measure(22, tmp_path, 1, ("psnr",)), tmp_path))
    assert [line.split()[:2] for line in said[1:4]] == [["0-", "2"], ["2-", "4"], ["4-", "6"]]
    assert said[10].split()[:2] == ["18-", "21"]
    assert said[-2].startswith("summary and plots: ")
    files = sum(path.is_file() for path in (tmp_path / "run").rglob("*"))
    assert said[-1].startswith(f"run folder: {files} files, ")
    assert end(tmp_path).files == files
    assert list(measure(22, tmp_path, 1, ("psnr",))) == []  # all is done
    with pytest.raises(UsageError, match=r"holds another run|other images"):
        list(measure(30, tmp_path, 1, ("psnr",)))


def test_a_start_that_was_stopped_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw_images(tmp_path / "images", 20)
    with pytest.raises(BenchmarkError, match="stopped after 1 of 20 trials; the same command goes on"):
        list(measure(20, tmp_path, 1, ("psnr",), minutes=0))
    words = ["studies", "scale", "--images", "20", "--metric", "psnr", "--workers", "1", "-o", str(tmp_path)]
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 0, capsys.readouterr().err
    found = read_table(Part, tmp_path / "scale.csv")
    assert (found[0].first, found[-1].end, len(found)) == (1, 19, 9)  # the first part was not done in one go
    assert "-" not in capsys.readouterr().out.splitlines()[-1]


def test_images_differ_and_are_drawn_once(tmp_path: Path) -> None:
    draw_images(tmp_path, 3)
    first = (tmp_path / "0.jpg").read_bytes()
    (tmp_path / "0.jpg").write_bytes(b"kept")
    draw_images(tmp_path, 4)
    assert (tmp_path / "0.jpg").read_bytes() == b"kept"
    assert len({path.read_bytes() for path in tmp_path.iterdir()} | {first}) == 5
    assert load_image(tmp_path / "1.jpg").shape == (256, 256, 3)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--images", "20", "--minutes", "1"], "which --output keeps"),
        (["--images", "5"], "Invalid value for '--images'"),
    ],
)
def test_what_cannot_be_meant(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["studies", "scale", *words])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_drawn_features_have_the_size_of_fd_effnet(tmp_path: Path) -> None:
    draw_images(tmp_path, 2)
    one, other = (DrawnFeatures().features(load_image(tmp_path / f"{number}.jpg")) for number in range(2))
    assert one.shape == (PATCHES, DIMENSION)
    assert (one != other).any()


@pytest.mark.slow
def test_a_trial_takes_as_long_at_the_end_as_at_the_beginning(tmp_path: Path) -> None:
    """`pytest -m slow -s tests/studies/test_scale.py` prints it; features of this size without their network."""
    metrics = ("psnr", f"{Path(__file__).parents[1]}/support/drawn_features.py:DrawnFeatures")
    parts = list(measure(3000, tmp_path, 2, metrics))
    for part in parts:
        print(part)
    early, late = parts[1], parts[-1]
    assert late.cpu_seconds < 1.1 * early.cpu_seconds
    assert late.megabytes < early.megabytes + 20
    ending = end(tmp_path)
    print(ending)
    assert ending.files < 40
