"""Trainings that are killed, shared by processes, or leave steps out: nothing is lost, and nothing depends on it."""

import csv
import json
import math
import os
import signal
import socket
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from PIL import Image
from rich.console import Console
from safetensors.torch import load_file
from support import tiny_training
from support.tiny_training import RECIPE, TINY, TINY_ELIC, options_for, train_tiny
from support.zygote import Started, Zygote
from typer.testing import CliRunner

from benchmark.cli.main import app
from benchmark.errors import BenchmarkError, UsageError
from benchmark.hfd.codec import mse
from benchmark.hfd.training.autoencoder import (
    AutoencoderTask,
    parameter_groups,
    replay_autoencoder,
    train_autoencoder,
)
from benchmark.hfd.training.export import export_first_stage
from benchmark.reports.training import draw_training
from benchmark.training import replay as replaying
from benchmark.training.checkpoint import read_training
from benchmark.training.loop import train
from benchmark.training.options import Schedule
from benchmark.training.processes import open_processes
from benchmark.training.replay import replay

pytestmark = pytest.mark.long

QUIET = Console(quiet=True)


def rows(path: Path) -> list[dict[str, str]]:
    """The lines of a table, without the time."""
    with path.open(newline="") as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


PROGRAM = f"import runpy; runpy.run_path({tiny_training.__file__!r}, run_name='__main__')"


@pytest.fixture(scope="module")
def shared(pictures: Path, tmp_path_factory: pytest.TempPathFactory, coding: Zygote) -> Path:
    """A training of two processes and one that was killed; they run at the same time."""
    folder = tmp_path_factory.mktemp("trainings")

    def start(name: str, *arguments: str, **variables: str) -> Started:
        told = f"told-{name}-{variables.get('RANK', '')}"
        variables["OMP_NUM_THREADS"] = "1"
        more = {"out": told, "err": told, "variables": variables, "script": PROGRAM}
        return coding.start(str(pictures), str(folder / name), *arguments, folder=folder, **more)

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    common = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "ACCELERATE_USE_CPU": "true"}
    ranks = [start("two", **common, RANK=rank, LOCAL_RANK=rank, LOCAL_WORLD_SIZE="2") for rank in "01"]
    killed = start("killed", "7")
    assert killed.wait(600) == -signal.SIGKILL
    assert [process.wait(600) for process in ranks] == [0, 0], (folder / "told-two-0").read_text()
    return folder


def test_a_killed_training_goes_on_as_if_it_had_not_been(pictures: Path, shared: Path, tmp_path: Path) -> None:
    assert [row["step"] for row in rows(shared / "killed" / "log.csv")] == ["2", "4", "6"]
    train_tiny(pictures, shared / "killed")
    train_tiny(pictures, tmp_path / "whole")
    for name in ("averaged", "best", "last"):
        whole, killed = (
            load_file(folder / f"{name}.safetensors") for folder in (tmp_path / "whole", shared / "killed")
        )
        assert whole.keys() == killed.keys()
        assert all(torch.equal(whole[key], killed[key]) for key in whole)
    for name in ("log.csv", "checks.csv"):
        assert rows(tmp_path / "whole" / name) == rows(shared / "killed" / name)
    assert not list((shared / "killed").glob("*.partial"))


def test_two_processes_do_what_one_does_with_the_union_of_their_batches(
    pictures: Path, shared: Path, tmp_path: Path
) -> None:
    ranks = [load_file(shared / "two" / f"rank-{rank}.safetensors") for rank in (0, 1)]
    assert all(torch.equal(ranks[0][name], ranks[1][name]) for name in ranks[0])
    one = dict(train_tiny(pictures, tmp_path / "one", accumulate=2).network.named_parameters())
    alone = dict(train_tiny(pictures, tmp_path / "alone").network.named_parameters())
    assert all(torch.allclose(one[name], ranks[0][name], rtol=1e-4, atol=1e-6) for name in one)
    assert not all(torch.allclose(one[name], alone[name], rtol=1e-4, atol=1e-6) for name in one)
    for ours, theirs in zip(rows(tmp_path / "one" / "log.csv"), rows(shared / "two" / "log.csv"), strict=True):
        assert {key: float(value) for key, value in theirs.items()} == pytest.approx(
            {key: float(value) for key, value in ours.items()}, rel=1e-3
        )
    with pytest.raises(UsageError, match=r"steps have 2 batches, here they have 1: .*--accumulate"):
        train_tiny(pictures, shared / "two")


def test_the_first_batch_is_that_of_a_training_in_one_part() -> None:
    """Trainings that began before steps had parts go on."""
    seeds = [np.random.default_rng(key).integers(2**62) for key in ([3, 7], [3, 7, 0], [3, 7, 1])]
    assert seeds[0] == seeds[1] != seeds[2]


def train_with_limit(
    pictures: Path, output: Path, largest_norm: float, seed: int = 5, steps: int = 4
) -> AutoencoderTask:
    torch.manual_seed(0)
    task = AutoencoderTask(pictures, output.parent / "cache", TINY, RECIPE)
    options = replace(options_for(output, accumulate=2), largest_norm=largest_norm, seed=seed)
    train(task, Schedule(steps, 1e-3), options, QUIET, groups=parameter_groups)
    return task


def test_steps_left_out_are_kept_and_can_be_replayed(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "KEPT_LEFT_OUT", 3)
    output = tmp_path / "t"
    task = train_with_limit(pictures, output, 1e-6)
    kept = sorted((output / "left-out").iterdir())
    assert [path.name for path in kept] == [f"step-{n}.safetensors" for n in range(3)]
    log = rows(output / "log.csv")
    assert [(row["step"], row["left_out"]) for row in log] == [("2", "2"), ("4", "2")]
    # nothing moved, so the weights are those of the beginning
    tensors, evidence = read_training(kept[1])
    assert all(torch.equal(tensors[name], p) for name, p in task.network.named_parameters())
    assert (evidence["seed"], evidence["step"], evidence["parts"]) == (5, 1, 2)
    parts = list(replay(task, kept[1]))
    assert len(parts) == 2
    for key, value in evidence["figures"].items():
        assert np.mean([part.figures[key] for part in parts]) == pytest.approx(value, rel=1e-6)
    gradients = [part.norm for part in parts]
    assert evidence["norm"] <= np.mean(gradients) * (1 + 1e-6)  # of a mean of vectors
    assert evidence["norm"] >= abs(gradients[0] - gradients[1]) / 2
    again, step, _ = replay_autoencoder(kept[1], pictures, tmp_path / "cache")
    assert step == 1
    torch.manual_seed(parts[0].noise)
    crops = again.each_crop(step, *parts[0].batch)
    assert np.mean([crop["bpp"] for crop in crops]) == pytest.approx(parts[0].figures["bpp"], rel=1e-5)


def test_replay_as_a_command(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCHMARK_CACHE", str(tmp_path))
    train_with_limit(pictures, tmp_path / "t", 1e-6, steps=1)
    file = tmp_path / "t" / "left-out" / "step-0.safetensors"
    result = CliRunner().invoke(app, ["train", "replay", str(file), "--images", str(pictures)])
    assert result.exit_code == 0, result.output
    _, evidence = read_training(file)
    lines = result.output.splitlines()
    assert lines[0].startswith("step 0, batch 1 of 2: gradient norm ")
    assert sum(line.startswith("  crop ") for line in lines) == 2 * RECIPE.batch
    norms = [float(line.split("norm ")[1].split()[0]) for line in lines if line.startswith("step")]
    assert math.hypot(*norms) >= evidence["norm"]
    (tmp_path / "fewer").mkdir()
    for name in ("0.png", "1.png"):
        (tmp_path / "fewer" / name).write_bytes((pictures / name).read_bytes())
    with pytest.raises(BenchmarkError, match="1 training images, the training had 2"):
        replay_autoencoder(file, tmp_path / "fewer", tmp_path / "cache")
    with pytest.raises(BenchmarkError, match="no step that a training"):
        replay_autoencoder(tmp_path / "t" / "averaged.safetensors", pictures, tmp_path / "cache")


def test_a_step_left_out_counts_and_the_rest_goes_on(pictures: Path, tmp_path: Path) -> None:
    """Nothing left out: nothing kept. The log of an earlier version gets the column."""
    output = tmp_path / "t"
    train_with_limit(pictures, output, 1e9, steps=2)
    assert not (output / "left-out").exists()
    assert rows(output / "log.csv")[0]["left_out"] == "0"
    log = output / "log.csv"
    log.write_text("\n".join(line.rsplit(",", 1)[0] for line in log.read_text().splitlines()) + "\n")
    assert "left_out" not in log.read_text()
    train_with_limit(pictures, output, 1e9, steps=4)
    assert [row["left_out"] for row in rows(log)] == ["", "0"]
    assert float(rows(log)[1]["loss"]) > 0
    with pytest.raises(UsageError, match="with seed 5, not 6"):
        train_with_limit(pictures, output, 1e9, seed=6, steps=6)


def test_a_gradient_that_is_not_finite_ends_it(pictures: Path, tmp_path: Path) -> None:
    class Broken(AutoencoderTask):
        def loss(self, step: int, *batch: torch.Tensor) -> tuple[torch.Tensor, dict[str, float]]:
            loss, figures = super().loss(step, *batch)
            return loss * (math.nan if step == 1 else 1), figures

    task = Broken(pictures, tmp_path / "cache", TINY, RECIPE)
    with pytest.raises(BenchmarkError, match="gradient of step 1 is not finite"):
        train(task, Schedule(4, 1e-3), options_for(tmp_path / "t"), QUIET, groups=parameter_groups)


def test_paper_from_pictures_to_codec(pictures: Path, tmp_path: Path) -> None:
    recipe = replace(RECIPE, steps=3, entropy_steps=0, precision="bf16", batch=1)
    output = tmp_path / "t"
    averaged = train_autoencoder(pictures, output, tmp_path / "cache", recipe, QUIET, config=TINY_ELIC)
    export_first_stage(averaged, tmp_path / "paper.safetensors")
    codec = mse("cpu", model="paper", first_stage=tmp_path / "paper.safetensors")
    image = np.asarray(Image.open(pictures / "0.png"))
    assert codec.decode(codec.encode(image, 2)).shape == image.shape
    assert json.loads((output / "recipe.json").read_text())["autoencoder"]["architecture"] == "paper"
    assert {"bpp_3", "psnr_3", "score"} <= rows(output / "checks.csv")[0].keys()
    small = replace(recipe, precision="float32")
    with pytest.raises(UsageError, match="training of something else"):
        train_autoencoder(pictures, output, tmp_path / "cache", small, QUIET, config=TINY)


@pytest.mark.parametrize(("count", "drawn"), [(0, 0), (1, 1), (3, 3), (400, 8)])
def test_a_long_training_shows_a_few_of_its_checks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, drawn: int
) -> None:
    """Of 400 checks eight, the first and the last among them."""
    (tmp_path / "log.csv").write_text("step,loss,left_out\n50,3.0,0\n100,,50\n150,2.0,0\n")
    if count:
        checks = "".join(f"{n + 1},0.1,25,0.2,27\n" for n in range(count))
        (tmp_path / "checks.csv").write_text("step,bpp_1,psnr_1,bpp_2,psnr_2\n" + checks)
    labels: list[str] = []
    plot = Axes.plot

    def spy(axes: Axes, *arguments: object, **options: object) -> object:
        labels.append(str(options.get("label")))
        return plot(axes, *arguments, **options)

    monkeypatch.setattr(Axes, "plot", spy)
    draw_training(tmp_path, tmp_path / "curves.png")
    shown = [label for label in labels if label.startswith("step ")]
    assert len(shown) == drawn
    if count:
        assert (shown[0], shown[-1]) == ("step 1", f"step {count}")


@pytest.mark.parametrize(
    ("config", "changes", "words"),
    [
        (TINY_ELIC, {"entropy_steps": 0, "crop": 96}, "paper model takes crops whose side is a multiple of 64"),
        (TINY, {"crop": 40}, "small model takes crops whose side is a multiple of 16"),
        (TINY_ELIC, {"entropy_steps": 5}, "leave out --entropy-steps"),
        (TINY, {"precision": "bf16"}, "small model trains in float32"),
    ],
)
def test_recipes_that_cannot_be_meant(
    pictures: Path, tmp_path: Path, config: object, changes: dict[str, object], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        AutoencoderTask(pictures, tmp_path / "cache", config, replace(RECIPE, **changes))  # type: ignore[arg-type]


def test_settings_of_accelerate_are_not_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    with pytest.raises(UsageError, match="mixed precision bf16, this command to float32"):
        open_processes("float32")
    assert open_processes("bf16").count == 1
    monkeypatch.delenv("ACCELERATE_MIXED_PRECISION")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(UsageError, match=r"needs the package accelerate: pip install 'hfd-benchmark\[train\]'"):
        open_processes()
    assert os.environ["WORLD_SIZE"] == "2"
