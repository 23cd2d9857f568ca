"""The curves of a run that goes on: over the images that are done, said so, and no other value than theirs."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.analysis.summary import summary_so_far, write_summary
from benchmark.cli.main import main
from benchmark.reports import so_far
from benchmark.reports.so_far import SoFar, so_far_path
from benchmark.running.run import Request, Run, open_run


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(5):
        pixels = np.random.default_rng(number).integers(0, 256, (32, 48, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


@contextlib.contextmanager
def ready(images: Path, output: Path) -> Iterator[Run]:
    codecs, metrics = ("jpeg", "webp"), ("psnr", "gram-mmd")
    with open_run(
        Request(codecs=codecs, dataset=str(images), qualities=("10,80",), metrics=metrics, output=output)
    ) as run:
        yield run


def test_it_is_drawn_as_images_double(images: Path, tmp_path: Path) -> None:
    with ready(images, tmp_path / "run") as run:
        watched = SoFar(run.folder, [trial.image for trial in run.trials], patience=0)
        drawn = [(trial.image, line) for trial, line in watched.watch(run.execute()) if line]
        assert [image for image, _ in drawn] == ["0", "1", "3"]
        assert [line.rpartition("(")[2] for _, line in drawn] == [f"{n} of 5 images)" for n in (1, 2, 4)]
        assert Image.open(so_far_path(run.folder)).format == "PNG"


def test_a_run_that_goes_on_counts_what_is_there(images: Path, tmp_path: Path) -> None:
    with ready(images, tmp_path / "run") as run, contextlib.closing(run.execute()) as trials:
        for _ in range(9):  # two images of four trials, and one of the third
            next(trials)
    with ready(images, tmp_path / "run") as run:
        watched = SoFar(run.folder, [trial.image for trial in run.trials], patience=0)
        lines = [line for _, line in watched.watch(run.execute()) if line]
    assert [line.rpartition("(")[2] for line in lines] == ["3 of 5 images)"]


def test_quick_runs_and_whole_ones_have_none(images: Path, tmp_path: Path) -> None:
    with ready(images, tmp_path / "run") as run:
        watched = SoFar(run.folder, [trial.image for trial in run.trials], patience=3600)
        assert not any(line for _, line in watched.watch(run.execute()))


def test_values_are_those_of_a_run_of_these_images(images: Path, tmp_path: Path) -> None:
    with ready(images, tmp_path / "run") as run:
        list(run.execute())
        part = summary_so_far(run.folder, {"0", "1"})
    assert not (tmp_path / "run" / "summary.csv").exists()
    for number in range(2, 5):
        (images / f"{number}.png").unlink()
    with ready(images, tmp_path / "two") as run:
        list(run.execute())
        whole = write_summary(run.folder)
    assert set(whole["metric"]) - set(part["metric"]) == {"gram-mmd"}
    alike = whole[whole["metric"] != "gram-mmd"].drop(columns="dataset").reset_index(drop=True)
    assert part.drop(columns="dataset").equals(alike)


def test_a_figure_that_cannot_be_written_ends_nothing(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ready(images, tmp_path / "run") as run:
        (tmp_path / "run" / "plots").write_text("in the way")
        watched = SoFar(run.folder, [trial.image for trial in run.trials], patience=0)
        lines = [line for _, line in watched.watch(run.execute())]
    assert len(lines) == 20
    assert [line.partition(":")[0] for line in lines if line] == ["note"] * 3


def test_the_command_shows_it_and_takes_it_away(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(so_far, "PATIENCE", 0.0)
    arguments = ["run", "--only", "--codec", "jpeg", "--quality", "10,80", "--metric", "psnr", "--workers", "1"]
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--dataset", str(images), "-o", str(tmp_path / "run")])
    assert ended.value.code == 0
    said = capsys.readouterr().err
    assert "so-far.png (2 of 5 images)" in said
    assert [path.name for path in (tmp_path / "run" / "plots").glob("so-far*")] == []
