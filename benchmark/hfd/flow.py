"""Rectified flow from the reconstruction to the picture: schedule, loss and sampler.

Liu, Gong, Liu, "Flow Straight and Fast", 2022, on the pairs (x̂, x) that the first stage provides; a little noise is
added to x̂ so that one x̂ can become many pictures (PMRF, Ohayon et al., 2024). Everything is written for the residual
r = (x − x̂)/σ_r, where σ_r is the deviation of the first stage's error at that quality and place:

    z_0 = κ·n,   z_t = (1 − t)·z_0 + t·r,   target v = r − z_0,   dz/dt = v_θ(z_t, x̂, t, quality).
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

Velocity = Callable[[Tensor, Tensor], Tensor]
"""(z_t (N, 3, H, W), t (N,)) -> velocity (N, 3, H, W)."""


def interpolate(z_0: Tensor, r: Tensor, t: Tensor) -> Tensor:
    """z_t = (1 − t)·z_0 + t·r; z_0 and r (N, 3, H, W), t (N,) in [0, 1]."""
    t = t[:, None, None, None]
    return (1 - t) * z_0 + t * r


def precondition(output: Tensor, z: Tensor, t: Tensor, kappa: float) -> Tensor:
    """The velocity from a network's output of about unit deviation: v = c_skip(t)·z_t + c_out(t)·output.

    c_skip·z_t is the best linear estimate of v for r and z_0 of deviations 1 and κ, independent of each other; c_out
    is the deviation of what it leaves. So at t = 0 the network has to say E[r | x̂] and need not copy the noise (the
    reasoning of Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models", 2022, appendix
    B.6, for this path). output and z (N, 3, H, W), t (N,).
    """
    t = t[:, None, None, None]
    variance = ((1 - t) * kappa) ** 2 + t**2
    return (t - (1 - t) * kappa**2) / variance * z + kappa / variance.sqrt() * output


def loss(velocity: Velocity, r: Tensor, noise: Tensor, kappa: float, t: Tensor, weight: Tensor) -> Tensor:
    """Mean squared error of the velocity, (N,). r: residual, noise: standard normal, both (N, 3, H, W); t (N,).

    weight: of each error, anything that broadcasts to r.
    """
    z_0 = kappa * noise
    return (weight * (velocity(interpolate(z_0, r, t), t) - (r - z_0)).square()).mean((1, 2, 3))


def time_steps(steps: int) -> list[float]:
    """0 = t_0 < … < t_steps = 1, evenly spaced."""
    return [k / steps for k in range(steps + 1)]


def sample_euler(velocity: Velocity, z_0: Tensor, times: Sequence[float]) -> Tensor:
    """r from z_0 along `times`, by Euler's method: one evaluation a step. One step is E[r | x̂], the regression."""
    z = z_0
    for t, following in pairwise(times):
        z = torch.add(z, velocity(z, torch.full((len(z),), t, device=z.device)), alpha=following - t)
    return z


def sample_heun(velocity: Velocity, z_0: Tensor, times: Sequence[float]) -> Tensor:
    """r from z_0 along `times`, by Heun's method: two evaluations a step."""
    z = z_0
    for t, following in pairwise(times):
        step = following - t
        v = velocity(z, torch.full((len(z),), t, device=z.device))
        ahead = velocity(z + step * v, torch.full((len(z),), following, device=z.device))
        z = z + step * (v + ahead) / 2
    return z
