"""Scores from pairwise votes: the model of Bradley & Terry by maximum likelihood, with standard errors.

Numbers only: items are 0 … n − 1, and a vote is a winner and a loser.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse.csgraph import connected_components

from benchmark.statistics.quantiles import normal_quantile, student_quantile

Vector = npt.NDArray[np.float64]

ELO = 400 / math.log(10)
"""Elo points of a unit of strength: 400 points more win ten votes for each that they lose."""
_TOLERANCE, _STEPS = 1e-12, 200


@dataclass(frozen=True)
class Strengths:
    """value (n,): logarithms of the strengths, which sum to 0. covariance (n, n): of their errors."""

    value: Vector
    covariance: Vector

    def interval(self, item: int, confidence: float = 0.95) -> tuple[float, float]:
        """Of an item's strength against the mean of all."""
        half = normal_quantile((1 + confidence) / 2) * math.sqrt(max(self.covariance[item, item], 0.0))
        return float(self.value[item] - half), float(self.value[item] + half)


def bradley_terry(n: int, votes: npt.ArrayLike, clusters: npt.ArrayLike) -> Strengths:
    """Strengths s of n items from votes (m, 2), winner and loser: P(i wins over j) = 1 / (1 + exp(s_j − s_i)).

    Sources: Bradley & Terry, Rank Analysis of Incomplete Block Designs (1952); Ford (1957) for when the maximum exists.
    clusters (m,): votes with the same number may agree with each other, as votes on one image do. An item's variance
    is the larger of two: that of independent votes, the inverse of the information, and that of clusters, the sandwich
    (Liang & Zeger 1986) times c/(c − 1) for c clusters. Raises ValueError if the maximum does not exist: if items can
    be parted into two groups, one of which never won over the other.
    """
    pairs = np.asarray(votes, dtype=np.int64).reshape(-1, 2)
    groups = np.asarray(clusters)
    if n < 2 or len(pairs) == 0 or groups.shape != (len(pairs),):
        raise ValueError("there must be two items, a vote, and a cluster for each vote")
    won = np.zeros((n, n))
    np.add.at(won, (pairs[:, 0], pairs[:, 1]), 1)
    parts, _ = connected_components(won, directed=True, connection="strong")
    if parts > 1:
        raise ValueError("some items never won, or never lost, against all others")
    played = won + won.T
    strength = np.zeros(n)
    likelihood = _log_likelihood(strength, won)
    for _ in range(_STEPS):
        expected = played * _wins(strength)
        gradient = won.sum(axis=1) - expected.sum(axis=1)
        step = np.linalg.pinv(_information(strength, played), hermitian=True) @ gradient
        # The likelihood is concave, so a step that is halved often enough rises.
        while (risen := _log_likelihood(strength + step, won)) < likelihood - 1e-12 * abs(likelihood):
            step /= 2
        strength = strength + step - (strength + step).mean()
        likelihood = risen
        if np.abs(step).max() < _TOLERANCE * max(1.0, float(np.abs(strength).max())) or np.abs(step).max() < 1e-10:
            break
    inverse = np.linalg.pinv(_information(strength, played), hermitian=True)
    return Strengths(strength, _larger(inverse, _sandwich(strength, pairs, groups, inverse)))


def _wins(strength: Vector) -> Vector:
    """(n, n): the chance that row wins over column."""
    chance: Vector = 1 / (1 + np.exp(strength[None, :] - strength[:, None]))
    return chance


def _information(strength: Vector, played: Vector) -> Vector:
    chance = _wins(strength)
    weights = played * chance * chance.T
    information: Vector = np.diag(weights.sum(axis=1)) - weights
    return information


def _log_likelihood(strength: Vector, won: Vector) -> float:
    return float(-(won * np.logaddexp(0, strength[None, :] - strength[:, None])).sum())


def _sandwich(strength: Vector, pairs: npt.NDArray[np.int64], groups: npt.NDArray[np.int64], inverse: Vector) -> Vector:
    names, group = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        return np.zeros_like(inverse)
    unexpected = 1 - _wins(strength)[pairs[:, 0], pairs[:, 1]]
    scores = np.zeros((len(names), len(strength)))
    np.add.at(scores, (group, pairs[:, 0]), unexpected)
    np.add.at(scores, (group, pairs[:, 1]), -unexpected)
    sandwich: Vector = inverse @ (scores.T @ scores) @ inverse * len(names) / (len(names) - 1)
    return sandwich


def _larger(one: Vector, other: Vector) -> Vector:
    """Correlations of `one`, with the larger of the two variances."""
    scale = np.sqrt(np.maximum(np.diag(other) / np.diag(one), 1))
    larger: Vector = one * scale[:, None] * scale[None, :]
    return larger


def agreement(
    votes: Sequence[bool], clusters: npt.ArrayLike | None = None, confidence: float = 0.95
) -> tuple[float, float, float]:
    """The share of true ones with its interval: share, low, high.

    clusters: as in `bradley_terry`; None where votes have nothing in common. The interval is Wilson's of 1927, with the
    number of votes over the design effect in place of their number, and the quantile of Student's t, c − 1 degrees of
    freedom for c clusters (Korn & Graubard 1998). The design effect is the variance of clusters over that of
    independent votes, and at least 1. Without clusters, and of a single one, whose effect is not known, it is 1, with
    the normal quantile. Raises ValueError on no vote.
    """
    said = np.asarray(votes, dtype=np.float64)
    groups = np.zeros(said.shape) if clusters is None else np.asarray(clusters)
    if not said.size or groups.shape != said.shape:
        raise ValueError("there must be a vote, and a cluster for each vote")
    share = float(said.mean())
    names, group = np.unique(groups, return_inverse=True)
    count, n = len(names), float(said.size)
    quantile = normal_quantile((1 + confidence) / 2)
    if count > 1:
        quantile = student_quantile((1 + confidence) / 2, count - 1)
        of_clusters = np.bincount(group, said - share)
        variance = count / (count - 1) * float(of_clusters @ of_clusters) / n**2
        if 0 < share < 1:
            n /= max(variance / (share * (1 - share) / n), 1.0)
    centre = (share + quantile**2 / (2 * n)) / (1 + quantile**2 / n)
    half = quantile / (1 + quantile**2 / n) * math.sqrt(share * (1 - share) / n + quantile**2 / (4 * n**2))
    return share, centre - half, centre + half
