"""The opponent of the one-step decoder: its balance, its losses, and whether it learns what is to be seen."""

from math import log

import pytest
import torch
from torch import Tensor

from benchmark.hfd.training.critic import (
    MAP_CHANNELS,
    MOVED,
    Condition,
    Critic,
    Evidence,
    balanced,
    critic_loss,
    frozen,
    generator_loss,
)


def seeded(*shape: int, seed: int = 0) -> Tensor:
    """Normal numbers."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def unit_maps(count: int, seed: int) -> list[Tensor]:
    """As LPIPS's network gives them for 64×64 pixels, but random."""
    sides = (15, 7, 3, 3, 3)
    raw = [seeded(count, c, side, side, seed=seed + c) for c, side in zip(MAP_CHANNELS, sides, strict=True)]
    return [one / one.norm(dim=1, keepdim=True) for one in raw]


def condition(count: int) -> Condition:
    """Of grey pictures of 64×64 at quality 1."""
    return Condition(
        torch.zeros(count, 3, 64, 64), unit_maps(count, 9), torch.zeros(count, 1, 64, 64), torch.zeros(count)
    )


def test_the_balance_is_of_lengths_for_each_crop() -> None:
    output = seeded(2, 3, 4, 4).requires_grad_()
    similar, deceiving = seeded(2, 3, 4, 4, seed=1), 1000 * seeded(2, 3, 4, 4, seed=2)
    total = balanced(output, (output * similar).sum(), (output * deceiving).sum(), 0.5)
    (gradient,) = torch.autograd.grad(total, output)
    for n in range(2):
        expected = similar[n] + 0.5 * similar[n].norm() / deceiving[n].norm() * deceiving[n]
        assert torch.allclose(gradient[n], expected, rtol=1e-4, atol=1e-5)


def test_what_the_critic_does_not_see_is_left_to_the_scores() -> None:
    output = seeded(2, 3, 4, 4).requires_grad_()
    similar = seeded(2, 3, 4, 4, seed=1)
    total = balanced(output, (output * similar).sum(), (output[:1]).sum(), 2.0)
    (gradient,) = torch.autograd.grad(total, output)
    assert torch.allclose(gradient[1], similar[1])


def test_a_critic_that_says_nothing() -> None:
    """Logits of 0 cost log 2 each, on six sides, and have no slope."""
    critic = Critic()
    with torch.no_grad():
        for layer in (critic.pixels[-1], *(head[-1] for head in critic.heads)):  # type: ignore[index]
            layer.weight.zero_()
            layer.bias.zero_()
    real = Evidence(seeded(2, 3, 64, 64), unit_maps(2, 1))
    loss, figures = critic_loss(critic, real, real, condition(2))
    assert float(loss.detach()) == pytest.approx(6 * 2 * log(2), rel=1e-5)
    assert figures["critic_slope"] == 0
    assert torch.allclose(generator_loss(critic(real, condition(2))), torch.full((2,), log(2)))


def test_moved_by_as_much_as_is_said() -> None:
    evidence = Evidence(torch.zeros(4, 3, 64, 64), [torch.zeros(4, c, 15, 15) for c in MAP_CHANNELS])
    torch.manual_seed(0)
    moved = evidence.moved()
    assert float(moved.r.std()) == pytest.approx(MOVED, rel=0.03)
    for one in moved.maps:  # the length of a place's noise
        assert float(one.square().sum(1).mean().sqrt()) == pytest.approx(MOVED, rel=0.03)


def test_it_learns_which_texture_is_too_weak_and_says_so() -> None:
    """Originals have noise of deviation 1, what is made half of it: the gradient asks for more."""
    torch.manual_seed(0)
    critic, maps = Critic((8, 8, 8), 8), unit_maps(4, 1)
    optimiser = torch.optim.Adam(critic.parameters(), 3e-3, betas=(0.0, 0.99))
    told = condition(4)
    for step in range(60):
        real, made = (Evidence(k * seeded(4, 3, 64, 64, seed=2 * step + n), maps) for n, k in enumerate((1.0, 0.5)))
        loss, figures = critic_loss(critic, real, made, told)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    assert figures["critic_pixels"] < 0.5
    r = (0.5 * seeded(4, 3, 64, 64, seed=1000)).requires_grad_()
    with frozen(critic):
        generator_loss(critic(Evidence(r, maps), told)).sum().backward()  # type: ignore[no-untyped-call]
    assert r.grad is not None
    assert float((r * r.grad).sum()) < 0
    assert all(p.requires_grad for p in critic.parameters())


def test_gradients_go_through_a_frozen_critic_and_leave_none_in_it() -> None:
    critic = Critic((8, 8, 8), 8)
    r = seeded(1, 3, 64, 64).requires_grad_()
    with frozen(critic):
        generator_loss(critic(Evidence(r, unit_maps(1, 1)), condition(1))).sum().backward()  # type: ignore[no-untyped-call]
    assert r.grad is not None
    assert float(r.grad.abs().max()) > 0
    assert all(p.grad is None for p in critic.parameters())
