"""The decoder `flow`: rectified flow from the reconstruction to the image.

Liu, Gong, Liu, "Flow Straight and Fast", 2022, on the pairs (x̂, x) that the first stage provides; a little noise is
added to x̂ so that one x̂ can become many images (PMRF, Ohayon et al., 2024). Everything is written for the residual
r = (x − x̂)/σ_r, where σ_r is the deviation of the first stage's error at that quality and place:

    z_0 = κ·n,   z_t = (1 − t)·z_0 + t·r,   target v = r − z_0,   dz/dt = v_θ(z_t, x̂, t, quality).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from benchmark.hfd.decoders.decoder import Decoder
from benchmark.hfd.sampling import Noise, Predict, Realism, Recording, Sampler, Steps
from benchmark.hfd.score import ScoreNetwork
from benchmark.hfd.training.conversion import begin_flow
from benchmark.hfd.training.decoder import DecoderRecipe, PathTask
from benchmark.hfd.unet import UNetConfig

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


# The codec's side


class FlowNetwork(ScoreNetwork):
    """A `ScoreNetwork` that says the flow's velocity, preconditioned for a start with noise of deviation `kappa`."""

    def __init__(self, config: UNetConfig, levels: int, kappa: float) -> None:
        super().__init__(config, levels)
        self.kappa = kappa

    def interpret(self, output: Tensor, z: Tensor, t: Tensor) -> Tensor:
        """The velocity at z (N, 3, H, W) and t (N,)."""
        return precondition(output, z, t, self.kappa)


@dataclass(frozen=True)
class FlowSettings:
    """How the flow is sampled. noise: κ, deviation of the start's noise in units of σ_r; realism: see `__call__`."""

    steps: Steps = 4
    sampler: Annotated[Literal["euler", "heun"], Field(description="method that solves the differential equation")] = (
        "euler"
    )
    noise: Annotated[float, Field(ge=0, le=2, description="deviation of the start's noise over that of x̂'s error")] = (
        1.0
    )
    realism: Realism = 1.0

    @classmethod
    def of(cls, configuration: Mapping[str, Any]) -> "FlowSettings":
        """The defaults of a weights file."""
        steps, kappa = int(configuration["steps"]), float(configuration["kappa"])
        return cls(steps, noise=kappa, realism=float(configuration.get("realism", 1)))

    @classmethod
    def configuration(cls, training: Mapping[str, Any], steps: int) -> dict[str, Any]:
        """Steps, and κ as it was trained."""
        return {"steps": steps, "kappa": training["kappa"]}

    def idle(self) -> dict[str, str]:
        """All settings count."""
        return {}

    def __call__(self, predict: Predict, noise: Noise) -> Tensor:
        """A sample of r for realism 1, E[r | x̂] for 0, which takes one step, and between them the blend of the two.

        The mean is the end point that the sampler's first step points to, so a blend takes no step more.
        """
        z_0 = self.noise * noise(0)
        sample = {"euler": sample_euler, "heun": sample_heun}[self.sampler]
        if self.realism == 1:
            return sample(predict, z_0, time_steps(self.steps))
        if self.realism == 0:
            return sample_euler(predict, z_0, time_steps(1))
        recording = Recording(predict)
        r = sample(recording, z_0, time_steps(self.steps))
        assert recording.first is not None
        return torch.lerp(z_0 + recording.first, r, self.realism)


# Its training


@dataclass(frozen=True)
class FlowRecipe(DecoderRecipe):
    """How the flow is trained.

    late: density of t is proportional to (1 − t)^(1/late − 1); 1 is uniform, larger values train the end of the path
    more, smaller ones its beginning. A sampler with K Euler steps never looks beyond t = 1 − 1/K, so few steps want a
    value below 1.
    """

    kappa: Annotated[float, Field(ge=0.01, description="deviation of the start's noise over that of x̂'s error")] = 1.0
    late: Annotated[float, Field(ge=0.01, description="of the times: below 1 more of them near the start")] = 0.8


class FlowTask(PathTask[FlowRecipe]):
    """`Task` of the rectified-flow decoder: flow matching."""

    kind = "flow"

    def make_network(self, unet: UNetConfig, levels: int) -> ScoreNetwork:
        """The untrained network."""
        return FlowNetwork(unet, levels, self.recipe.kappa)

    def objective(self, predict: Predict, r: Tensor, places: Tensor, axes: Tensor) -> Tensor:
        """Squared error of the velocity."""
        t = 1 - (1 - places) ** self.recipe.late
        return loss(predict, r, torch.randn_like(r), self.recipe.kappa, t, axes)

    def end_point(self, output: Tensor, z: Tensor, t: Tensor) -> Tensor:
        """z_t + (1 − t)·v."""
        return z + (1 - t)[:, None, None, None] * output

    def sampler(self, steps: int) -> Sampler:
        """Euler's method."""
        return FlowSettings(steps, noise=self.recipe.kappa, realism=1.0)

    def describe_kind(self) -> dict[str, Any]:
        """Noise of the start and density of t."""
        return {"kappa": self.recipe.kappa, "late": self.recipe.late}


def network_of(unet: UNetConfig, levels: int, configuration: Mapping[str, Any]) -> FlowNetwork:
    """The network, preconditioned for the κ of `configuration`."""
    return FlowNetwork(unet, levels, float(configuration["kappa"]))


DECODER = Decoder(FlowSettings, network_of, FlowTask, FlowRecipe, begin_flow)
