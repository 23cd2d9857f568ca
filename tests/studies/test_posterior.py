"""The four checks of a posterior sample: their arithmetic on known distributions, then the shipped decoders."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.datasets.shipped import FOLDER
from benchmark.errors import BenchmarkError, UsageError
from benchmark.hfd.codec import hfd
from benchmark.hfd.decoders.diffusion import DiffusionSettings
from benchmark.hfd.decoders.one_step import OneStepSettings
from benchmark.images import load_image
from benchmark.metrics.fidelity import psnr_from_mse
from benchmark.studies.posterior import (
    PosteriorChecks,
    check_posterior,
    checked,
    lines,
    mean_checks,
    measure,
    single_step,
    spread,
    squared_error,
)

pytestmark = pytest.mark.long

PHOTO = FOLDER / "ukui-bridgecity.png"


@given(rest=st.floats(0.1, 100), deviation=st.floats(0, 3), samples=st.integers(2, 50))
def test_spread_is_found_from_the_errors_of_one_and_of_many(rest: float, deviation: float, samples: int) -> None:
    variance = rest * deviation**2
    assert spread(rest + variance, rest + variance / samples, samples) == pytest.approx(deviation, abs=1e-5)


def test_spread_of_a_posterior_is_one() -> None:
    """x and the samples are independent draws of one Gaussian, as with the best decoder."""
    generator = np.random.default_rng(0)
    x, *drawn = generator.normal(3, 2, (5, 400_000))
    one = float(np.mean([squared_error(sample, x) for sample in drawn]))
    of_mean = squared_error(np.mean(drawn, axis=0), x)
    assert spread(one, of_mean, 4) == pytest.approx(1, abs=0.02)
    assert psnr_from_mse(4) - psnr_from_mse(one) == pytest.approx(
        3.01, abs=0.02
    )  # against the posterior's mean, whose error is 2²


def test_no_spread_and_nothing_else() -> None:
    assert spread(2.0, 2.0, 4) == 0
    assert spread(2.0, 2.1, 4) == 0
    assert spread(2.0, 1.0, 2) == math.inf


def test_only_a_path_has_a_step_that_is_regression() -> None:
    assert single_step(DiffusionSettings(realism=0.7)) == DiffusionSettings(steps=1, realism=0)
    assert single_step(DiffusionSettings(sampler="noise")) is None
    assert single_step(OneStepSettings()) is None


@pytest.mark.parametrize("spec", [{"decoder": "flow"}, {"decoder": "diffusion", "realism": "1"}, {}])
def test_shipped_decoders_draw_samples(spec: dict[str, str]) -> None:
    """Between the mean and a fault; many make the mean again; one step repairs x̂; what is added fits the bits."""
    found = check_posterior(hfd("cpu", **spec), load_image(PHOTO)[160:288, 200:392], 3, samples=3)
    loss = psnr_from_mse(found.x_hat) - psnr_from_mse(found.sample)
    assert 0.3 < loss < 3.5
    assert psnr_from_mse(found.mean_of_samples) > psnr_from_mse(found.sample) + loss / 3
    assert 0.2 < found.spread < 1
    assert psnr_from_mse(found.again) > psnr_from_mse(found.x_hat) + 3
    if spec:
        assert psnr_from_mse(found.one_step) > psnr_from_mse(found.x_hat) - 0.1
    else:
        assert math.isnan(found.one_step)


def test_noise_of_the_errors_size_passes_them_too() -> None:
    """They are necessary, not sufficient."""
    noise = hfd("cpu", decoder="diffusion", sampler="noise", noise="1")
    found = check_posterior(noise, load_image(PHOTO)[160:288, 200:392], 3, samples=3)
    assert found.spread > 0.7
    assert 1 < psnr_from_mse(found.x_hat) - psnr_from_mse(found.sample) < 3.5


def test_the_mean_over_images_is_of_errors() -> None:
    image = load_image(PHOTO)
    codec = hfd("cpu", decoder="diffusion", sampler="noise", noise="0.3")
    one, other = (check_posterior(codec, image[:64, left : left + 64], 3, samples=2) for left in (0, 300))
    both = mean_checks([one, other])
    assert both.sample == pytest.approx((one.sample + other.sample) / 2)
    assert both.samples == 2
    assert math.isnan(both.one_step)


def test_what_cannot_be_checked_is_refused_before_the_first_line(tmp_path: Path) -> None:
    for wrong, error, message in (
        ({"codecs": ["mse"]}, UsageError, "mse is no hfd codec: it draws no samples of an x̂"),
        ({"qualities": [3, 9]}, UsageError, "quality"),
        ({"samples": 1}, UsageError, "--samples 1: 2 to"),
        ({"codecs": ["hfd"], "images": [tmp_path / "nowhere.png"]}, BenchmarkError, "nowhere.png"),
    ):
        with pytest.raises(error, match=message):
            measure(**wrong)  # type: ignore[arg-type]


def test_lines() -> None:
    checks = PosteriorChecks(255**2 / 1e3, 255**2 / 1e2, 255**2 / 10**2.5, math.nan, 0, 4)
    assert list(lines([checked("hfd", 3, checks)], ["hfd", "hfd:decoder=flow"], 4)) == [
        "PSNR in dB        quality     x̂  sample  mean of 4  spread  one step  again",
        f"hfd                     3  30.00   20.00      25.00  {checks.spread:6.2f}       n/a    inf",
    ]
