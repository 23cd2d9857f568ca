"""The bitstream: it decodes to what was encoded, and is as long as the probabilities say."""

import contextlib
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.hific_checkpoints import SMALL, fill_by_rule

from benchmark.baselines.hific.coder import (
    CDF_BITS,
    MAX_SCALE,
    LatentCoder,
    hyper_tables,
    latent_tables,
    nearest_row,
)
from benchmark.baselines.hific.density import MIN_SCALE, FactorisedDensity, latent_likelihood
from benchmark.baselines.hific.model import Hific
from benchmark.errors import BenchmarkError, CorruptStream


def make(likelihood: str) -> tuple[Hific, LatentCoder]:
    model = Hific(replace(SMALL, likelihood=likelihood)).eval().requires_grad_(False)
    fill_by_rule(model)
    return model, LatentCoder(model)


@pytest.fixture(scope="module")
def gaussian() -> tuple[Hific, LatentCoder]:
    return make("gaussian")


def plausible_latents(model: Hific, rows: int, columns: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(y, ẑ) drawn from what the model believes, so that the stream's length is near its entropy."""
    generator = np.random.default_rng(seed)
    density = model.Hyperprior.hyperlatent_likelihood
    grid = torch.arange(-60.0, 61)
    pmf = density.interval(grid.expand(SMALL.hyper, 1, -1))[:, 0].double().numpy()
    shape = (rows // 4, columns // 4)
    channels = [generator.choice(grid.numpy(), shape, p=row / row.sum()) for row in pmf]
    z_hat = torch.from_numpy(np.stack(channels))[None].float()
    mean, scale = model.mean_and_scale(z_hat)
    draw = generator.logistic if model.config.likelihood == "logistic" else generator.normal
    return torch.from_numpy(draw(mean.numpy(), scale.numpy())).float(), z_hat


@pytest.mark.parametrize("likelihood", ["gaussian", "logistic"])
def test_length_is_within_one_per_cent_of_the_estimate(likelihood: str) -> None:
    model, coder = make(likelihood)
    for seed, (rows, columns) in enumerate([(8, 8), (16, 24), (32, 48)]):
        y, z_hat = plausible_latents(model, rows, columns, seed)
        stream, y_hat = coder.encode(y, z_hat)
        mean, scale = model.mean_and_scale(z_hat)
        estimate = float(model.estimate(y_hat, z_hat, mean, scale)) / 8
        assert estimate > 100
        assert abs(len(stream) - estimate) <= 0.01 * estimate + 16


def test_decoder_has_what_the_encoder_had(gaussian: tuple[Hific, LatentCoder]) -> None:
    model, coder = gaussian
    y, z_hat = plausible_latents(model, 12, 8, 5)
    stream, y_hat = coder.encode(y, z_hat)
    assert torch.equal(coder.decode(stream, 12, 8), y_hat)
    assert float((y_hat - y).abs().max()) <= 0.5 + 1e-5


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 3.0, 60.0, 5000.0]))
@settings(max_examples=20, deadline=None)
def test_latents_beyond_the_tables_are_coded_too(gaussian: tuple[Hific, LatentCoder], seed: int, spread: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    y = torch.randn(1, SMALL.latents, 8, 12, generator=generator) * spread
    z_hat = torch.round(torch.randn(1, SMALL.hyper, 2, 3, generator=generator) * spread)
    stream, y_hat = gaussian[1].encode(y, z_hat)
    assert torch.equal(gaussian[1].decode(stream, 8, 12), y_hat)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e9])
def test_latents_of_damaged_weights_are_refused(gaussian: tuple[Hific, LatentCoder], bad: float) -> None:
    y, z_hat = torch.zeros(1, SMALL.latents, 8, 8), torch.zeros(1, SMALL.hyper, 2, 2)
    with pytest.raises(BenchmarkError, match="damaged"):
        gaussian[1].encode(y + bad, z_hat)
    with pytest.raises(BenchmarkError, match="damaged"):
        gaussian[1].encode(y, z_hat + bad)


@given(st.binary(max_size=200))
@settings(max_examples=40, deadline=None)
def test_forged_streams_decode_or_are_refused(gaussian: tuple[Hific, LatentCoder], stream: bytes) -> None:
    with contextlib.suppress(CorruptStream):
        assert gaussian[1].decode(stream, 8, 8).shape == (1, SMALL.latents, 8, 8)


@pytest.mark.parametrize("likelihood", ["gaussian", "logistic"])
def test_latent_tables_hold_the_distributions(likelihood: str) -> None:
    tables = latent_tables(likelihood)
    scales = np.geomspace(MIN_SCALE, MAX_SCALE, len(tables.cdfs))
    for row in (0, 20, 60, 90):
        cdf, offset = np.array(tables.cdfs[row]), tables.offsets[row]
        assert cdf[0] == 0
        assert cdf[-1] == 1 << CDF_BITS
        assert (np.diff(cdf) > 0).all()
        symbols = torch.arange(offset, offset + len(cdf) - 2, dtype=torch.float64)[None, None, None]
        scale = torch.tensor(scales[row], dtype=torch.float64)
        pmf = latent_likelihood(symbols, torch.zeros_like(symbols), scale, likelihood).flatten().numpy()
        frequencies = np.diff(cdf)[:-1] / 2**CDF_BITS
        entropy = -(pmf * np.log2(pmf)).sum()
        assert (pmf * np.log2(pmf / frequencies)).sum() < 0.002 * entropy + 2e-4
        assert pmf.sum() > 1 - 2**-15


def test_hyper_tables_hold_the_density() -> None:
    density = FactorisedDensity(6)
    fill_by_rule(density)
    with torch.no_grad():
        density.b_3[0] += 40  # far from 0: the table begins elsewhere  # type: ignore[operator]
        tables = hyper_tables(density.requires_grad_(False))
        for channel, (cdf, offset) in enumerate(zip(tables.cdfs, tables.offsets, strict=True)):
            symbols = torch.arange(offset, offset + len(cdf) - 2).float()
            pmf = density.interval(symbols.expand(6, 1, -1))[channel, 0].numpy()
            assert pmf.sum() == pytest.approx(1, abs=2**-CDF_BITS * 1.5)
            assert np.diff(cdf)[:-1] / 2**CDF_BITS == pytest.approx(pmf, abs=60 / 2**CDF_BITS)
    assert tables.offsets[0] + len(tables.cdfs[0]) < tables.offsets[1] + len(tables.cdfs[1])


def test_nearest_row() -> None:
    rows = 128
    scales = torch.from_numpy(np.geomspace(MIN_SCALE, MAX_SCALE, rows))
    assert nearest_row(scales).tolist() == list(range(rows))
    half_step = math.sqrt(float(scales[1] / scales[0]))
    assert nearest_row(scales[:-1] * half_step * 1.001).tolist() == list(range(1, rows))
    assert nearest_row(scales[:-1] * half_step / 1.001).tolist() == list(range(rows - 1))
    assert nearest_row(torch.tensor([0.11, 1e9])).tolist() == [0, rows - 1]
