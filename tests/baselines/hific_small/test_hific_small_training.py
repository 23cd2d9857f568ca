"""A training with a discriminator that was stopped goes on as if it had not been, and what it makes is a codec."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console
from safetensors.torch import load_file

from benchmark.baselines.hific_small.adversarial import LatentAdversarialLoss
from benchmark.baselines.hific_small.codec import hific_small
from benchmark.baselines.hific_small.network import GeneratorConfig
from benchmark.baselines.hific_small.training import (
    HificSmallRecipe,
    HificSmallTask,
    export_generator,
    train_hific_small,
)
from benchmark.errors import UsageError
from benchmark.hfd.bases import AutoencoderBase
from benchmark.hfd.container import QUALITY_STEPS
from benchmark.hfd.first_stage import load_first_stage
from benchmark.hfd.training.latents import decode_latents, make_latents, random_latent_crops
from benchmark.hfd.training.pairs import make_pairs
from benchmark.training.checkpoint import read_training
from benchmark.training.crops import open_pictures

pytestmark = pytest.mark.long

QUIET = Console(quiet=True)
CONFIG = GeneratorConfig(latents=60, levels=3, channels=(16, 12, 8, 8), blocks=(1, 1, 1, 1), embedding=8)
RECIPE = HificSmallRecipe(steps=1, gan_steps=2, decay=0, gan_decay=1, batch=2, crop=64, passes=1)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gan-pictures")
    generator = np.random.default_rng(0)
    for n in range(3):
        coarse = generator.integers(0, 256, (20, 24, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((288, 272), Image.Resampling.BICUBIC).save(folder / f"{n}.png")
    return folder


def trained(
    first_stage: Path, pictures: Path, output: Path, recipe: HificSmallRecipe = RECIPE, start: Path | None = None
) -> Path:
    cache = output.parent / "cache"
    return train_hific_small(first_stage, pictures, output, cache, recipe, QUIET, config=CONFIG, start=start)


def test_resumed_gan_equals_uninterrupted(small_first_stage: Path, pictures: Path, tmp_path: Path) -> None:
    whole = trained(small_first_stage, pictures, tmp_path / "whole")
    trained(small_first_stage, pictures, tmp_path / "parts", replace(RECIPE, gan_steps=1, gan_decay=0))
    parts = trained(small_first_stage, pictures, tmp_path / "parts")
    for name in ("averaged", "last"):
        one, other = (load_file(path.with_name(f"{name}.safetensors")) for path in (whole, parts))
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one)
    # The discriminator with its optimiser and the vectors of its spectral norm is a part of the state.
    assert {
        "weight/opponent.conv1.weight_orig",
        "exp_avg/opponent.conv1.bias",
        "buffer/opponent.conv1.weight_u",
    } <= one.keys()
    assert (tmp_path / "parts" / "1-similar" / "averaged.safetensors").is_file()


def test_the_gan_alone_from_earlier_weights_and_the_codec(
    small_first_stage: Path, pictures: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="a GAN begins with"):
        trained(small_first_stage, pictures, tmp_path / "none", replace(RECIPE, steps=0))
    similar = trained(small_first_stage, pictures, tmp_path / "a", replace(RECIPE, gan_steps=0))
    assert similar.parent.name == "1-similar"
    averaged = trained(small_first_stage, pictures, tmp_path / "b", replace(RECIPE, steps=0), similar)
    before, recipe = read_training(similar)
    after, gan_recipe = read_training(averaged)
    assert (recipe["adversarial"], gan_recipe["adversarial"]) == (0, RECIPE.adversarial)
    assert any(not torch.equal(before[name], after[name]) for name in before)
    export_generator(averaged, tmp_path / "g.safetensors")
    codec = hific_small("cpu", first_stage=small_first_stage, weights=tmp_path / "g.safetensors")
    image = np.asarray(Image.open(pictures / "0.png"))
    decoded = codec.decode(codec.encode(image, 3))
    assert np.mean((decoded.astype(float) - image) ** 2) < 400


@pytest.fixture(scope="module")
def task(small_first_stage: Path, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> HificSmallTask:
    cache = tmp_path_factory.mktemp("cache")
    torch.manual_seed(0)
    return HificSmallTask(small_first_stage, pictures, cache, CONFIG, RECIPE, QUIET, torch.device("cpu"))


def test_latents_of_a_crop_are_the_streams(small_first_stage: Path, pictures: Path, tmp_path: Path) -> None:
    base = AutoencoderBase(*load_first_stage(small_first_stage))
    pairs = make_pairs(base, open_pictures(pictures, tmp_path), tmp_path, 1, QUIET)
    store = make_latents(base, pairs, tmp_path, QUIET)
    again = make_latents(base, pairs, tmp_path, QUIET)
    assert np.array_equal(store.values, again.values)
    x, x_hat, quality, y_hat = random_latent_crops(store, np.random.default_rng(3), 4, 64)
    assert (x.shape, x_hat.shape, y_hat.shape) == ((4, 3, 64, 64), (4, 3, 64, 64), (4, 60, 4, 4))
    for n in range(4):
        index = pairs.qualities.index(float(quality[n]))
        picture = torch.from_numpy(np.array(pairs.pair(index)[0])).permute(2, 0, 1)[None] / 255 - 0.5
        whole = decode_latents(base, picture, float(quality[n]))
        synthesised = base.first_stage.synthesise(
            whole, *picture.shape[-2:], round((float(quality[n]) - 1) * QUALITY_STEPS)
        )
        places = [
            (row, column)
            for row in range(whole.shape[-2] - 3)
            for column in range(whole.shape[-1] - 3)
            if torch.allclose(whole[0, :, row : row + 4, column : column + 4], y_hat[n], rtol=1e-3, atol=1e-4)
        ]
        assert len(places) == 1
        at = np.s_[..., 16 * places[0][0] : 16 * places[0][0] + 64, 16 * places[0][1] : 16 * places[0][1] + 64]
        assert torch.allclose(synthesised[at][0], x_hat[n], atol=1e-3)
        assert torch.allclose(picture[at][0], x[n])


def test_gradients_stay_with_their_network(task: HificSmallTask) -> None:
    task.gan = LatentAdversarialLoss(task.latent_deviation, task.base.levels)
    batch = task.batch(np.random.default_rng(0))
    with torch.no_grad():
        task.network.exit.weight.normal_(0, 0.1)
    discriminator = task.gan.discriminator
    task.loss(0, *batch)[0].backward()
    assert all(p.grad is None for p in discriminator.parameters())
    assert all(p.grad is not None for p in task.network.parameters())
    before = [p.grad.clone() for p in task.network.parameters() if p.grad is not None]
    vectors = discriminator.conv1.weight_u.clone()
    task.gan.loss(0, *batch)[0].backward()
    assert all(p.grad is not None for p in discriminator.parameters())
    assert not torch.equal(vectors, discriminator.conv1.weight_u)
    after = [p.grad for p in task.network.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    task.gan = None


def test_the_discriminator_learns_to_tell_and_knows_the_latents(task: HificSmallTask) -> None:
    torch.manual_seed(0)
    gan = LatentAdversarialLoss(task.latent_deviation, task.base.levels)
    x, _, quality, y_hat = task.batch(np.random.default_rng(0))
    condition = gan.condition(y_hat, quality)
    assert condition.shape[1] == y_hat.shape[1] + 1
    assert 0.3 < float(condition[:, :-1].square().mean().sqrt()) < 3
    noisy = x + 0.3 * torch.randn_like(x)
    optimiser = torch.optim.Adam(gan.discriminator.parameters(), 2e-3)
    losses = []
    for _ in range(12):
        gan.against_generator(2 * x, 2 * noisy, condition)
        optimiser.zero_grad()
        loss, figures = gan.loss(0)
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] - 0.01
    assert figures["d_real"] > figures["d_generated"]


def test_qualities_count_alike(task: HificSmallTask) -> None:
    weights = task.quality_weight(torch.tensor([1.0, 2.0, 3.0]))
    lam = [task.base.first_stage.model.lam(q) for q in (1, 2, 3)]
    assert weights[1] == pytest.approx(1)
    assert float(weights[2] / weights[0]) == pytest.approx((lam[2] / lam[0]) ** 0.45)
    with pytest.raises(UsageError, match="multiple of 16"):
        HificSmallTask(Path(), Path(), Path(), CONFIG, replace(RECIPE, crop=72), QUIET, torch.device("cpu"))
