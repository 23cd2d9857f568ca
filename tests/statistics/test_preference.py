"""Strengths from votes: against another library, in closed form, and over simulated votes of known strengths."""

import math

import choix
import numpy as np
import pytest

from benchmark.statistics.preference import ELO, agreement, bradley_terry

TRUTH = np.array([0.9, 0.4, 0.0, -0.3, -1.0])


def _votes(truth: np.ndarray, each: int, generator: np.random.Generator, spread: float = 0.0) -> tuple[list, list]:
    """`each` votes of every pair; with a spread, strengths differ from cluster to cluster, ten votes long."""
    votes, clusters = [], []
    for number in range(each):
        moved = truth + spread * generator.normal(size=truth.size)
        for i in range(truth.size):
            for j in range(i):
                first = generator.random() < 1 / (1 + math.exp(moved[j] - moved[i]))
                votes.append((i, j) if first else (j, i))
                clusters.append(number)
    return votes, clusters


def test_two_items_have_the_logarithm_of_their_odds() -> None:
    votes = [(0, 1)] * 30 + [(1, 0)] * 10
    found = bradley_terry(2, votes, range(40))
    assert found.value[0] - found.value[1] == pytest.approx(math.log(3), abs=1e-9)
    assert ELO * math.log(10) == pytest.approx(400)
    # Var of the log odds: 1/30 + 1/10; the difference is twice an item's strength.
    assert found.covariance[0, 0] == pytest.approx((1 / 30 + 1 / 10) / 4, rel=0.03)  # clusters of one vote: c/(c − 1)


def test_strengths_are_those_of_choix() -> None:
    votes, clusters = _votes(TRUTH, 12, np.random.default_rng(3))
    found = bradley_terry(5, votes, clusters)
    other = choix.opt_pairwise(5, votes, alpha=0, method="Newton-CG", tol=1e-10)
    np.testing.assert_allclose(found.value, other - other.mean(), atol=1e-4)


def test_intervals_hold_the_true_strengths() -> None:
    """In 95 of 100 sets; the larger of two errors is taken, so rather more."""
    generator = np.random.default_rng(11)
    inside = np.zeros(5)
    runs = 300
    for _ in range(runs):
        found = bradley_terry(5, *_votes(TRUTH, 30, generator))
        ends = np.array([found.interval(item) for item in range(5)])
        truth = TRUTH - TRUTH.mean()
        inside += (ends[:, 0] <= truth) & (truth <= ends[:, 1])
    assert (inside / runs > 0.92).all()
    assert inside.sum() / (5 * runs) < 0.99


def test_votes_that_agree_on_a_picture_widen_the_intervals() -> None:
    """Each image is seen often, and moves all its votes: errors of independent votes are too small for that."""
    generator = np.random.default_rng(5)
    votes, clusters = _votes(TRUTH, 12, generator, spread=1.5)
    many, named = votes * 8, clusters * 8
    alike = bradley_terry(5, many, named)
    independent = bradley_terry(5, many, range(len(many)))
    widths = np.sqrt(np.diag(alike.covariance)) / np.sqrt(np.diag(independent.covariance))
    assert widths.min() > 1.5


def test_votes_on_a_single_image_have_the_error_of_independent_ones() -> None:
    """One cluster tells nothing of how clusters differ."""
    found = bradley_terry(2, [(0, 1)] * 30 + [(1, 0)] * 10, [7] * 40)
    assert found.covariance[0, 0] == pytest.approx((1 / 30 + 1 / 10) / 4, rel=1e-9)


@pytest.mark.parametrize(
    "votes", [[(0, 1), (0, 1)], [(0, 1), (1, 0)], [(0, 1), (1, 0), (0, 2)], [(0, 1), (1, 0), (2, 3), (3, 2)], []]
)
def test_no_maximum_is_said(votes: list[tuple[int, int]]) -> None:
    with pytest.raises(ValueError, match=r"never won|must be"):
        bradley_terry(4 if len(votes) == 4 else 3, votes, range(len(votes)))


def test_agreement_is_wilsons() -> None:
    share, low, high = agreement([True] * 8 + [False] * 2)
    assert share == pytest.approx(0.8)
    assert (low, high) == pytest.approx((0.4902, 0.9433), abs=1e-4)  # Wilson's interval of 8 of 10
    assert agreement([True] * 5)[2] == pytest.approx(1)


def test_votes_on_one_image_that_agree_count_as_fewer() -> None:
    """Four images of two votes each that agree: of the 8 votes the design effect leaves 3, and t has 3 degrees."""
    votes = [True, True, False, False] * 2
    share, low, high = agreement(votes, [0, 0, 1, 1, 2, 2, 3, 3])
    t, n = 3.182446, 3
    half = t / (1 + t**2 / n) * math.sqrt(0.25 / n + t**2 / (4 * n**2))
    assert (share, low, high) == pytest.approx((0.5, 0.5 - half, 0.5 + half), abs=1e-6)
    assert agreement(votes, [7] * 8) == agreement(votes)
    with pytest.raises(ValueError, match="cluster for each vote"):
        agreement(votes, [0, 1])
    with pytest.raises(ValueError, match="a vote"):
        agreement([])
