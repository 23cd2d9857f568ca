"""A training that was stopped goes on as if it had not been, and what it makes is a codec."""

import csv
import json
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from support.zygote import Zygote

from benchmark.errors import BenchmarkError, UsageError
from benchmark.hfd.autoencoder import AutoencoderConfig
from benchmark.hfd.codec import hfd, mse
from benchmark.hfd.decoders import KINDS
from benchmark.hfd.decoders.one_step import OneStepRecipe
from benchmark.hfd.training.autoencoder import AutoencoderRecipe, train_autoencoder
from benchmark.hfd.training.decoder import train_decoder
from benchmark.hfd.training.export import export_decoder, export_first_stage, export_trained
from benchmark.hfd.training.synthesis import SynthesisRecipe, train_synthesis
from benchmark.hfd.unet import UNetConfig
from benchmark.training.checkpoint import read_training
from benchmark.training.options import Schedule

pytestmark = pytest.mark.long

TINY = AutoencoderConfig(
    luma=40, chroma=10, widths=(8, 8, 8), hyper_channels=4, features=8, hidden=8, levels=3, slice_ends=(0.1, 1.01)
)
RECIPE = AutoencoderRecipe(steps=6, entropy_steps=2, decay=2, batch=2, crop=64)
QUIET = Console(quiet=True)


def train_tiny(pictures: Path, output: Path, recipe: AutoencoderRecipe = RECIPE) -> Path:
    return train_autoencoder(pictures, output, output.parent / "cache", recipe, QUIET, config=TINY)


@pytest.fixture(scope="module")
def trained(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The averaged weights of a training of RECIPE, in the folder of all that it has written. Nobody changes them."""
    return train_tiny(pictures, tmp_path_factory.mktemp("trained") / "whole")


def test_resumed_equals_uninterrupted(pictures: Path, tmp_path: Path, trained: Path) -> None:
    whole = load_file(trained)
    train_tiny(pictures, tmp_path / "parts", replace(RECIPE, steps=3, decay=0))
    parts = load_file(train_tiny(pictures, tmp_path / "parts"))
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    other = load_file(train_autoencoder(pictures, tmp_path / "b", tmp_path / "cache", RECIPE, QUIET, 1, TINY))
    assert not all(torch.equal(whole[name], other[name]) for name in whole)


@pytest.mark.parametrize("form", ["averaged", "weights file"])
def test_begins_with_earlier_weights(pictures: Path, tmp_path: Path, trained: Path, form: str) -> None:
    earlier = trained
    expected = load_file(earlier)
    if form == "weights file":
        export_first_stage(earlier, tmp_path / "first-stage.safetensors")
        earlier = tmp_path / "first-stage.safetensors"
    frozen = replace(RECIPE, steps=1, learning_rate=0.0)
    begun = train_autoencoder(pictures, tmp_path / "b", tmp_path / "cache", frozen, QUIET, config=TINY, start=earlier)
    for name, tensor in load_file(begun).items():
        assert torch.allclose(tensor, expected[name], rtol=1e-3, atol=1e-6), name


def test_schedule() -> None:
    schedule = Schedule(steps=100, learning_rate=1.0, warm_up=10, decay=40)
    rates = [schedule.at(step) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9:61] == [1.0] * 52
    assert rates[61:] == sorted(rates[61:], reverse=True)
    assert rates[100] == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("kind", "enlarged"), [("flow", None), ("diffusion", None), ("one-step", ()), ("one-step", (2, 3)), ("energy", ())]
)
def test_from_pictures_to_codecs(
    pictures: Path,
    tmp_path: Path,
    trained: Path,
    kind: str,
    enlarged: tuple[int, ...] | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In the precision that was asked for; "auto" is what the processor is quick at, here float32."""
    monkeypatch.setattr("benchmark.training.precision.quick_at_bfloat16", lambda device: False)
    export_first_stage(trained, tmp_path / "first.safetensors")
    precision = "auto" if kind != "one-step" else "float32" if enlarged else "bf16"
    own = {} if enlarged is None else {"enlarged": enlarged}
    crop = 32 * max(enlarged or (1,))
    recipe = (
        KINDS[kind]
        .load()
        .recipe(steps=4, decay=2, batch=1, crop=crop, passes=1, precision=precision, accumulate=2, **own)
    )
    unet = UNetConfig(channels=(8, 12), blocks_down=(1, 1), blocks_up=(1,), embedding=16)
    first, weights = tmp_path / "first.safetensors", tmp_path / "decoder.safetensors"
    decoder = train_decoder(kind, first, pictures, tmp_path / kind, tmp_path / "cache", recipe, QUIET, unet=unet)
    export_decoder(decoder, weights, steps=2)
    image = np.asarray(Image.open(pictures / "0.png"))
    base = mse("cpu", first_stage=first)
    codec = hfd("cpu", first_stage=first, decoder=kind, weights=weights)
    assert codec.decode(codec.encode(image, 2)).shape == image.shape
    x_hat = base.decode(base.encode(image, 3))
    assert np.mean((x_hat.astype(float) - image) ** 2) < 400
    with (tmp_path / kind / "checks.csv").open() as file:
        row = next(csv.DictReader(file))
    steps = 1 if kind == "one-step" else 4
    assert {"lpips_0", f"lpips_{steps}", "psnr_0", f"psnr_{steps}"} <= row.keys()
    described = json.loads((tmp_path / kind / "recipe.json").read_text())
    assert described["parts"] == 2
    assert described["unet_precision"] == ("bf16" if precision == "bf16" else "float32")


def test_a_state_with_figures_of_other_names_goes_on(pictures: Path, tmp_path: Path) -> None:
    """Each figure is the mean over the steps that have it: a log may get other columns while a training pauses."""
    train_tiny(pictures, tmp_path / "a", replace(RECIPE, steps=3, decay=0))
    last = tmp_path / "a" / "last.safetensors"
    with safe_open(last, "pt") as file:
        metadata = json.loads(file.metadata()["training"])
    assert [sorted(figures) for figures in metadata["figures"]] == [["bpp", "gradient_norm", "loss", "psnr"]] * 3
    for figures in metadata["figures"]:
        figures["other"] = figures.pop("psnr")
    save_file(load_file(last), last, metadata={"training": json.dumps(metadata)})
    train_tiny(pictures, tmp_path / "a", replace(RECIPE, steps=50, decay=0))
    with (tmp_path / "a" / "log.csv").open() as file:
        row = next(csv.DictReader(file))
    assert float(row["other"]) == pytest.approx(np.mean([figures["other"] for figures in metadata["figures"]]))
    assert float(row["psnr"]) > 0


def test_several_folders_and_options_that_do_nothing(pictures: Path, tmp_path: Path) -> None:
    """A training of two folders has the images of both; an export refuses what does not belong to it."""
    (tmp_path / "more").mkdir()
    for n in range(2):
        (tmp_path / "more" / f"{n}.png").write_bytes((pictures / f"{n}.png").read_bytes())
    folders = [pictures, tmp_path / "more"]
    first = tmp_path / "first.safetensors"
    trained = train_autoencoder(folders, tmp_path / "a", tmp_path / "cache", RECIPE, QUIET, config=TINY)
    export_first_stage(trained, first)
    assert read_training(trained)[1]["pictures"] == 3  # of 3 + 2 images the first of each folder is held out
    recipe = SynthesisRecipe(steps=1, decay=0, batch=1, crop=64, passes=1)
    synthesis = train_synthesis(first, folders, tmp_path / "s", tmp_path / "cache", recipe, QUIET)
    assert read_training(synthesis)[1]["pairs"] == 3
    unet = UNetConfig(channels=(8, 12), blocks_down=(1, 1), blocks_up=(1,), embedding=16)
    one_step = OneStepRecipe(steps=1, decay=0, batch=1, crop=32, passes=1)
    decoder = train_decoder("one-step", first, folders, tmp_path / "d", tmp_path / "cache", one_step, QUIET, unet=unet)
    assert read_training(decoder)[1]["pairs"] == 3
    for path, arguments, words in [
        (trained, {"sampling_steps": 2}, "--sampling-steps belongs to a decoder that samples in steps"),
        (decoder, {"sampling_steps": 2}, "--sampling-steps belongs to a decoder that samples in steps"),
        (trained, {"begun": first}, "--begun belongs to a decoder"),
        (decoder, {"first_stage": first}, "--first-stage belongs to a synthesis transform"),
        (trained, {"share": 0.5}, "--share needs a synthesis transform or decoder"),
        (decoder, {"begun": decoder}, "say how much of the new weights with --share"),
    ]:
        with pytest.raises(UsageError, match=words):
            export_trained(path, tmp_path / "none.safetensors", **arguments)
    assert not (tmp_path / "none.safetensors").exists()


def test_refusals(pictures: Path, tmp_path: Path) -> None:
    train_tiny(pictures, tmp_path / "a", replace(RECIPE, steps=1))
    with pytest.raises(UsageError, match="something else"):
        train_tiny(pictures, tmp_path / "a", replace(RECIPE, batch=4))
    (tmp_path / "empty").mkdir()
    with pytest.raises(BenchmarkError, match="no images"):
        train_tiny(tmp_path / "empty", tmp_path / "b")
    tensors = load_file(tmp_path / "a" / "averaged.safetensors")
    tensors["log_gain"][0, 0] = float("nan")
    save_file(tensors, tmp_path / "nan.safetensors", metadata={"kind": "first stage", "configuration": "{}"})
    with pytest.raises(BenchmarkError, match="log_gain has values that are not finite"):
        mse("cpu", first_stage=tmp_path / "nan.safetensors")


def test_an_interrupt_ends_it_cleanly(pictures: Path, tmp_path: Path, coding: Zygote) -> None:
    words = ("train", "autoencoder", str(pictures), "--output", "trained", "--steps", "100000", "--threads", "1")
    process = coding.start(*words, folder=tmp_path, variables={"BENCHMARK_CACHE": str(tmp_path)})
    begun = tmp_path / "trained" / "recipe.json"
    while not begun.exists() and process.running():
        time.sleep(0.05)
    process.signal(signal.SIGINT)
    assert process.wait(600) == 0, (tmp_path / "err").read_text()
    assert (tmp_path / "trained" / "last.safetensors").exists()
    assert (tmp_path / "trained" / "first-stage.safetensors").exists()
