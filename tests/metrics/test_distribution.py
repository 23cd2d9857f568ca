"""Features here are seeded Gaussian numbers; sets are lists of arrays, one an image."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import kernel_poly, kid_features_to_metric, mmd2

from benchmark.errors import Undefined
from benchmark.metrics.distribution import (
    frechet_distance,
    frechet_leave_one_out,
    kernel_distance,
    kernel_leave_one_out,
    paired_kernel_distance,
    paired_kernel_leave_one_out,
)

Features = npt.NDArray[np.floating[Any]]
Distance = Callable[[Sequence[Features], Sequence[Features]], float]
LeaveOneOut = Callable[[Sequence[Features], Sequence[Features]], npt.NDArray[np.float64]]

ALL = [
    (frechet_distance, frechet_leave_one_out),
    (kernel_distance, kernel_leave_one_out),
    (paired_kernel_distance, paired_kernel_leave_one_out),
]
DISTANCES = [whole for whole, _ in ALL]

STEADY = settings(deadline=None, derandomize=True)
COUNTS = st.lists(st.integers(0, 4), min_size=3, max_size=6).filter(lambda counts: sum(counts) - max(counts) >= 2)


def pair(counts: Sequence[int], dimension: int, seed: int = 0, shift: float = 0.5) -> tuple[list[Features], ...]:
    """Correlated features of originals, and the same with something added."""
    random = np.random.default_rng(seed)
    mixing = random.normal(size=(dimension, dimension)) / np.sqrt(dimension)
    originals = [random.normal(size=(count, dimension)) @ mixing + 1 for count in counts]
    reconstructions = [x + shift * random.normal(size=x.shape) + shift for x in originals]
    return originals, reconstructions


def with_moments(mean: Features, root: Features, n: int, seed: int) -> Features:
    """n rows whose sample mean and covariance are exactly `mean` and rootᵀ·root."""
    noise = np.random.default_rng(seed).normal(size=(n, len(mean)))
    whitened = np.linalg.qr(noise - noise.mean(0))[0] * np.sqrt(n - 1)
    features: Features = whitened @ root + mean
    return features


# Fréchet distance


@pytest.mark.parametrize("n", [13, 40, 500])
def test_frechet_of_gaussians_with_common_axes(n: int) -> None:
    deviations_x, deviations_y = np.linspace(0.1, 3, 12), np.linspace(2, 0.5, 12)
    mean_x, mean_y = np.linspace(-1, 1, 12), np.linspace(4, 2, 12)
    x = with_moments(mean_x, np.diag(deviations_x), n, 0)
    y = with_moments(mean_y, np.diag(deviations_y), n, 1)
    expected = ((mean_x - mean_y) ** 2).sum() + ((deviations_x - deviations_y) ** 2).sum()
    assert frechet_distance([x], [y]) == pytest.approx(expected, rel=1e-10)


def test_frechet_of_gaussians_with_different_axes() -> None:
    random = np.random.default_rng(5)
    root_x, root_y, mean = random.normal(size=(6, 6)), random.normal(size=(6, 6)), random.normal(size=6)
    x, y = with_moments(mean, root_x, 30, 0), with_moments(np.zeros(6), root_y, 50, 1)
    sigma_x, sigma_y = root_x.T @ root_x, root_y.T @ root_y
    cross = float(np.trace(sqrtm(sigma_x @ sigma_y)).real)
    expected = mean @ mean + np.trace(sigma_x) + np.trace(sigma_y) - 2 * cross
    assert frechet_distance([x], [y]) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize(("n", "dimension"), [(60, 150), (150, 150), (400, 60)])
def test_frechet_equals_torch_fidelity(n: int, dimension: int) -> None:
    x, y = pair([n], dimension)
    statistics = [fid_features_to_statistics(torch.from_numpy(features[0])) for features in (x, y)]
    expected = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-5)


def test_frechet_does_not_change_where_its_computation_does() -> None:
    x, y = pair([40], 39)
    padded = [[np.pad(features[0], ((0, 0), (0, 5)))] for features in (x, y)]  # more dimensions, the same distance
    assert frechet_distance(*padded) == pytest.approx(frechet_distance(x, y), rel=1e-10)


@given(counts=COUNTS, dimension=st.sampled_from([2, 5, 40]), seed=st.integers(0, 1000))
@STEADY
def test_frechet_of_identical_sets_is_zero(counts: list[int], dimension: int, seed: int) -> None:
    x, _ = pair(counts, dimension, seed)
    assert abs(frechet_distance(x, x)) < 1e-6


def test_frechet_of_identical_large_features_is_zero() -> None:
    x = [1000 + 100 * np.random.default_rng(k).random((30, 500), dtype=np.float32) for k in range(4)]
    assert abs(frechet_distance(x, x)) < 1e-6


# Kernel distance


def test_kernel_distance_equals_torch_fidelity() -> None:
    x, y = pair([50, 70, 30], 100)
    expected = kid_features_to_metric(
        *(torch.from_numpy(np.concatenate(features)) for features in (x, y)),
        kid_subsets=1,
        kid_subset_size=150,
        verbose=False,
    )
    assert kernel_distance(x, y) == pytest.approx(expected["kernel_inception_distance_mean"], rel=1e-9)


def test_kernel_distance_is_what_torch_fidelity_s_subsets_estimate() -> None:
    x, y = pair([600, 600], 12, shift=0.1)
    subsets = 20
    found = kid_features_to_metric(
        *(torch.from_numpy(np.concatenate(features)) for features in (x, y)),
        kid_subsets=subsets,
        kid_subset_size=1000,
        verbose=False,
    )
    error = found["kernel_inception_distance_std"] / np.sqrt(subsets)
    assert abs(kernel_distance(x, y) - found["kernel_inception_distance_mean"]) < 4 * error


def test_paired_kernel_distance_equals_torch_fidelity() -> None:
    x, y = pair([5, 7, 3], 10)
    a, b = np.concatenate(x), np.concatenate(y)
    kernels = (kernel_poly(a, a), kernel_poly(a, b), kernel_poly(b, b))
    assert paired_kernel_distance(x, y) == pytest.approx(mmd2(*kernels, mmd_est="u-statistic"), rel=1e-9)


@given(counts=COUNTS, seed=st.integers(0, 1000))
@STEADY
def test_identical_sets_are_zero_to_the_u_statistic_and_below_to_the_unbiased_one(counts: list[int], seed: int) -> None:
    x, _ = pair(counts, 6, seed)
    assert paired_kernel_distance(x, x) == pytest.approx(0, abs=1e-9)
    assert kernel_distance(x, x) < 0


def test_the_u_statistic_needs_pairs() -> None:
    x, y = pair([3, 4], 5)
    with pytest.raises(Undefined, match="same patches"):
        paired_kernel_distance(x, [y[0], y[1][:3]])
    assert np.isfinite(kernel_distance(x, [y[0], y[1][:3]]))


# All of them


@pytest.mark.parametrize("distance", DISTANCES)
@given(counts=COUNTS, dimension=st.sampled_from([3, 30]), seed=st.integers(0, 1000))
@settings(STEADY, max_examples=25)
def test_neither_order_nor_precision_nor_side_matters(
    distance: Distance, counts: list[int], dimension: int, seed: int
) -> None:
    x, y = pair(counts, dimension, seed)
    value = distance(x, y)
    scale = 1 + abs(value)
    order = np.random.default_rng(seed).permutation(len(counts))
    assert distance([x[i] for i in order], [y[i] for i in order]) == pytest.approx(value, abs=1e-9 * scale)
    assert distance(y, x) == pytest.approx(value, abs=1e-9 * scale)
    single = [[features.astype(np.float32) for features in side] for side in (x, y)]
    assert distance(*single) == pytest.approx(value, abs=1e-3 * scale)


@pytest.mark.parametrize(("distance", "leave_one_out"), ALL)
@given(counts=COUNTS, dimension=st.sampled_from([2, 4, 30]), seed=st.integers(0, 1000))
@settings(STEADY, max_examples=25)
def test_leaving_one_out_is_the_distance_of_the_others(
    distance: Distance, leave_one_out: LeaveOneOut, counts: list[int], dimension: int, seed: int
) -> None:
    x, y = pair(counts, dimension, seed)
    values = leave_one_out(x, y)
    assert values.shape == (len(counts),)
    for image, count in enumerate(counts):
        others = [i for i in range(len(counts)) if i != image]
        if count:
            expected = distance([x[i] for i in others], [y[i] for i in others])
            assert values[image] == pytest.approx(expected, rel=1e-6, abs=1e-6)
        else:
            assert np.isnan(values[image])


@pytest.mark.parametrize(("distance", "leave_one_out"), ALL)
def test_too_few_patches_have_no_value(distance: Distance, leave_one_out: LeaveOneOut) -> None:
    x, y = pair([1, 0], 4)
    with pytest.raises(Undefined, match="at least 2 patches"):
        distance(x, y)
    with pytest.raises(Undefined, match="without images"):
        distance([], [])
    x, y = pair([1, 1], 4)
    distance(x, y)
    with pytest.raises(Undefined, match="at least 2 patches"):
        leave_one_out(x, y)


@pytest.mark.parametrize(("distance", "leave_one_out"), ALL)
def test_the_input_stays_as_it_was(distance: Distance, leave_one_out: LeaveOneOut) -> None:
    x, y = pair([5], 4)  # one image: nothing need be copied to be put together
    x[0].setflags(write=False)
    y[0].setflags(write=False)
    before = x[0].copy()
    distance(x, y)
    assert np.array_equal(x[0], before)
