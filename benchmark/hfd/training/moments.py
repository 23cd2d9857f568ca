"""The Fréchet distance between what a network makes and photographs, as a loss.

    FD(m, C) = |m − m_r|² + tr(C + C_r − 2·(C_r^½·C·C_r^½)^½)

for features of mean m and covariance C, where photographs have m_r and C_r. A batch is too small to know C, so the
moments are averages over the last batches; each batch moves them, along the slopes

    ∂FD/∂m = 2·(m − m_r),    ∂FD/∂C = I − C_r^½·(C_r^½·C·C_r^½)^(−½)·C_r^½.

The energy score asks of each crop what could stand at its places; this asks whether the crops together are as varied
as photographs. (Mathiasen & Hvilshøj, "Backpropagating through Fréchet Inception Distance", arXiv 2009.14075, 2020,
take the slope within a batch.)
"""

from dataclasses import dataclass

import torch
from torch import Tensor

KEPT = 192
"""Principal components of the features: with photographs 90 % of the variance of AlexNet's pooled maps."""
WINDOW = 1500
"""The moments remember about so many crops."""
ENOUGH = 4
"""They say nothing before there were so many crops for each component."""
SMALLEST = 1e-6
"""Of the largest: smaller eigenvalues of C are raised to it, so that the slope stays finite."""


@dataclass(frozen=True)
class FeatureSpace:
    """The features of photographs, standardised and seen along their principal components.

    centre, deviation: (D,), of each feature; basis: (D, K); variances: (K,), C_r, which is diagonal there; m_r is 0.
    """

    centre: Tensor
    deviation: Tensor
    basis: Tensor
    variances: Tensor

    def project(self, features: Tensor) -> Tensor:
        """(N, D) -> (N, K), float64."""
        return ((features.double() - self.centre) / self.deviation) @ self.basis


def fit_space(features: Tensor, kept: int) -> FeatureSpace:
    """The space of photographs with these features (N, D), along the `kept` components of most variance."""
    features = features.double()
    centre, deviation = features.mean(0), features.std(0) + 1e-6
    standardised = (features - centre) / deviation
    values, vectors = torch.linalg.eigh(standardised.T @ standardised / len(features))
    return FeatureSpace(centre, deviation, vectors[:, -kept:], values[-kept:])


def frechet_slopes(mean: Tensor, covariance: Tensor, variances: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """FD (), its slope in m (K,) and in C (K, K), of features with these moments against N(0, diag(variances))."""
    root = variances.sqrt()
    values, vectors = torch.linalg.eigh(root[:, None] * covariance * root)
    roots = values.clamp(min=SMALLEST * float(values.max())).sqrt()
    distance = mean.square().sum() + covariance.trace() + variances.sum() - 2 * roots.sum()
    inverse_root = (vectors / roots) @ vectors.T
    slope = torch.eye(len(mean), dtype=mean.dtype, device=mean.device) - root[:, None] * inverse_root * root
    return distance, 2 * mean, slope


class RunningMoments:
    """The moments of what the network made lately, for several groups of crops each by itself.

    state: tensors that change in place; with them a training can go on.
    """

    def __init__(self, space: FeatureSpace, groups: int) -> None:
        self.space = space
        components, device = len(space.variances), space.variances.device
        self.state = {
            "mean": torch.zeros(groups, components, dtype=torch.float64, device=device),
            "second": torch.zeros(groups, components, components, dtype=torch.float64, device=device),
            "weight": torch.zeros(groups, dtype=torch.float64, device=device),
            "seen": torch.zeros(groups, dtype=torch.float64, device=device),
        }
        self.distances = [0.0] * groups

    def loss(self, features: Tensor, groups: Tensor) -> Tensor:
        """What moves FD of each group by a crop: (N,); 0 while too few were seen.

        features: (N, D); groups: (N,), whole numbers. The crops enter the moments, and their slope is that of FD with
        those: 2·(m − m_r)·f + (f − m)ᵀ·∂FD/∂C·(f − m).
        """
        projected = self.space.project(features)
        losses = projected.new_zeros(len(projected))
        for group in groups.unique().tolist():
            own = groups == group
            moments = self._enter(projected[own].detach(), group)
            if moments is None:
                continue
            mean, covariance = moments
            distance, slope, second_slope = frechet_slopes(mean, covariance, self.space.variances)
            self.distances[group] = float(distance)
            apart = projected[own] - mean
            losses[own] = apart @ slope + (apart @ second_slope * apart).sum(1)
        return losses.float()

    def _enter(self, crops: Tensor, group: int) -> tuple[Tensor, Tensor] | None:
        """Mean and covariance with `crops` (N, K) among them, None while there are too few."""
        mean, second, weight, seen = (self.state[key][group] for key in ("mean", "second", "weight", "seen"))
        share = 1 - (1 - 1 / WINDOW) ** len(crops)
        mean.lerp_(crops.mean(0), share)
        second.lerp_(crops.T @ crops / len(crops), share)
        weight.lerp_(torch.ones_like(weight), share)
        seen += len(crops)
        if float(seen) < ENOUGH * crops.shape[1]:
            return None
        centre = mean / weight
        return centre, second / weight - torch.outer(centre, centre)
