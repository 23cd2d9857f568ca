"""Diffusion from noise to the picture's residual: schedule, loss and samplers.

v-prediction (Salimans & Ho, "Progressive Distillation", 2022) on a shifted cosine schedule (Hoogeboom, Heek, Salimans,
"simple diffusion", 2023). Everything is written for the residual r = (x − x̂)/σ_r, where σ_r is the deviation of the
first stage's error at that quality and place: diffusing it with shift s = 1 is the process on the picture with a
schedule shifted to s ≈ σ_r, far towards less noise, since x̂ already holds the coarse content.

    z_t = α_t·r + σ_t·ε,   σ_t/α_t = s·tan(πt/2),   α_t² + σ_t² = 1,
    target v = α_t·ε − σ_t·r,   t from 1 (noise) to 0.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

Prediction = Callable[[Tensor, Tensor], Tensor]
"""(z_t (N, 3, H, W), angle (N,)) -> v (N, 3, H, W); see `angle`."""

Noise = Callable[[int], Tensor]
"""The standard normal noise (N, 3, H, W) of a step; 0 is the start's, k that which step k injects."""


def alpha_sigma(t: float, shift: float) -> tuple[float, float]:
    """α_t and σ_t for t in [0, 1]; logSNR(t) = −2·(ln tan(πt/2) + ln s)."""
    ratio = shift * math.tan(math.pi * t / 2)
    alpha = 1 / math.sqrt(1 + ratio * ratio)
    return alpha, ratio * alpha


def angle(t: float, shift: float) -> float:
    """2/π·atan(σ_t/α_t) in [0, 1]: how a network is told the level of noise. It is t for shift 1.

    So a network can be sampled on another schedule than it was trained on.
    """
    return 2 / math.pi * math.atan(shift * math.tan(math.pi * t / 2))


def diffuse(r: Tensor, noise: Tensor, t: Tensor, shift: float) -> tuple[Tensor, Tensor, Tensor]:
    """z_t, the target v and SNR(t) (N,) of r and noise (N, 3, H, W) at t (N,), strictly between 0 and 1."""
    ratio = shift * torch.tan(math.pi * t / 2)
    alpha = (1 + ratio.square()).rsqrt()
    a, s = alpha[:, None, None, None], (ratio * alpha)[:, None, None, None]
    return a * r + s * noise, a * noise - s * r, ratio.square().reciprocal()


def loss(
    predict: Prediction, r: Tensor, noise: Tensor, t: Tensor, shift: float, weight: Tensor, largest_snr: float = 5.0
) -> Tensor:
    """Squared error of v, (N,), with min-SNR weighting (Hang et al., 2023): as if r were predicted, weight min(SNR, 5).

    r: residual, noise: standard normal, both (N, 3, H, W); t (N,); weight: of each error, anything that broadcasts.
    An error in v of size e is one in r of size σ_t·e, so min(SNR, 5) on r is min(SNR, 5)/(SNR + 1) on v.
    """
    z, v, snr = diffuse(r, noise, t, shift)
    snr_weight = snr.clamp(max=largest_snr) / (snr + 1)
    told = 2 / math.pi * torch.atan(snr.rsqrt())
    return snr_weight * (weight * (predict(z, told) - v).square()).mean((1, 2, 3))


def time_steps(steps: int) -> list[float]:
    """1 = t_0 > … > t_steps = 0, evenly spaced."""
    return [1 - k / steps for k in range(steps)] + [0.0]


def predict_r(predict: Prediction, z: Tensor, t: float, shift: float) -> tuple[Tensor, Tensor]:
    """E[r | z_t] and E[ε | z_t], both (N, 3, H, W)."""
    alpha, sigma = alpha_sigma(t, shift)
    v = predict(z, torch.full((len(z),), angle(t, shift), device=z.device))
    return (alpha * z).sub_(v, alpha=sigma), (sigma * z).add_(v, alpha=alpha)


def ancestral_step(
    z: Tensor, r_hat: Tensor, t: float, s: float, shift: float, interpolation: float, noise: Tensor
) -> Tensor:
    """z_s from z_t and the estimate of r, for 0 < s < t: q(z_s | z_t, r_hat) with a deviation between two bounds.

    interpolation: 0 is the lower bound σ_{t|s}·σ_s/σ_t (right for a known r), 1 the upper one σ_{t|s} (right for r of
    unit variance), between them geometric (Nichol & Dhariwal, "Improved DDPM", 2021, equation 15). noise: standard
    normal.
    """
    (alpha_t, sigma_t), (alpha_s, sigma_s) = alpha_sigma(t, shift), alpha_sigma(s, shift)
    alpha_ts = alpha_t / alpha_s
    variance_ts = sigma_t**2 - alpha_ts**2 * sigma_s**2  # of z_t given z_s
    mean = (alpha_ts * sigma_s**2 / sigma_t**2 * z).add_(r_hat, alpha=alpha_s * variance_ts / sigma_t**2)
    lower, upper = math.sqrt(variance_ts) * sigma_s / sigma_t, math.sqrt(variance_ts)
    return mean.add_(noise, alpha=upper**interpolation * lower ** (1 - interpolation))


def sample_ancestral(
    predict: Prediction, noise: Noise, times: Sequence[float], shift: float, interpolation: float = 0.0
) -> Tensor:
    """r from noise(0) along `times`: one evaluation a step, fresh noise between two of them. One step is E[r | x̂]."""
    z = noise(0)
    for k, (t, s) in enumerate(pairwise(times), 1):
        r_hat = predict_r(predict, z, t, shift)[0]
        if s == 0:
            return r_hat
        z = ancestral_step(z, r_hat, t, s, shift, interpolation, noise(k))
    return z


def sample_ddim(predict: Prediction, noise: Noise, times: Sequence[float], shift: float) -> Tensor:
    """r from noise(0) along `times`, deterministic (Song, Meng, Ermon, "DDIM", 2021): one evaluation a step."""
    z = noise(0)
    for t, s in pairwise(times):
        r_hat, epsilon = predict_r(predict, z, t, shift)
        alpha_s, sigma_s = alpha_sigma(s, shift)
        z = (alpha_s * r_hat).add_(epsilon, alpha=sigma_s)
    return z
