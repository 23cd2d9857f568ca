"""Multiply-accumulates, held against counts by hand."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from benchmark.macs import count_macs


def test_layers_are_counted_as_by_hand() -> None:
    layers = nn.Sequential(nn.Conv2d(3, 8, 5, 2, 2), nn.ConvTranspose2d(8, 4, 4, 2, 1), nn.Linear(16, 10))
    # 8·8 outputs of 8 channels from 3·25; 8·8 inputs of 8 channels to 4·16; 4·16 rows of 16 to 10; two images
    by_hand = 64 * 8 * 75 + 64 * 8 * 64 + 64 * 160
    assert count_macs(lambda: layers(torch.zeros(2, 3, 16, 16))) == 2 * by_hand
    with torch.device("meta"):
        groups = nn.Conv2d(8, 8, 3, padding=1, groups=4)
        assert count_macs(lambda: groups(torch.zeros(1, 8, 5, 7))) == 35 * 8 * 2 * 9


def test_functions_and_inference_mode_are_seen() -> None:
    weight, rows = torch.zeros(5, 3, 3, 3), torch.zeros(4, 7)

    @torch.inference_mode()
    def run() -> None:
        F.conv2d(torch.zeros(1, 3, 6, 6), weight, padding=1)
        rows @ rows.T

    assert count_macs(run) == 36 * 5 * 27 + 4 * 4 * 7


def test_within_modules_each_part_counts_once() -> None:
    """A module in a module, one that a parent calls without its `forward`, and one that runs twice."""

    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 2)))
            self.other = nn.Linear(2, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for layer in self.inner:
                x = layer(x)
            return self.other(self.other(x)[:, :2])

    whole, x = Whole(), torch.zeros(1, 4)
    inner, other = 4 * 4 + 4 * 2, 2 * (2 * 3)
    assert count_macs(lambda: whole(x), [whole]) == count_macs(lambda: whole(x)) == inner + other
    assert count_macs(lambda: whole(x), [whole.inner, whole.inner[1]]) == inner
    assert count_macs(lambda: whole(x), [whole.other]) == other
    assert count_macs(lambda: whole(x), []) == 0


def test_hooks_are_gone_after_an_error() -> None:
    layer = nn.Linear(2, 2)
    with pytest.raises(RuntimeError):
        count_macs(lambda: layer(torch.zeros(1, 3)), [layer])
    assert not layer._forward_pre_hooks
    assert not layer._forward_hooks
    assert count_macs(lambda: layer(torch.zeros(1, 2)), [layer]) == 4
