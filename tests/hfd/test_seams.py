from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import torch

from benchmark.hfd.seams import border_gradient, column_gradient, draw


def test_gradients_of_known_columns() -> None:
    """A ramp of 0.01 a column with a step of 0.5 at column 8."""
    x = (0.01 * torch.arange(16.0) + 0.5 * (torch.arange(16) >= 8)).expand(1, 3, 4, 16)
    assert column_gradient(x).tolist() == pytest.approx([0.01] * 7 + [0.51] + [0.01] * 7, abs=1e-6)
    assert border_gradient(x, 8) == pytest.approx(0.51, abs=1e-6)
    assert border_gradient(x, 4) == pytest.approx((0.01 + 0.51 + 0.01) / 3, abs=1e-6)


def test_the_plot_has_each_picture_above_its_gradients(tmp_path: Path) -> None:
    whole = torch.rand(1, 3, 16, 24, generator=torch.Generator().manual_seed(0)) - 0.5
    draw(whole, [("a", whole), ("b", whole * 0.5)], 8, tmp_path / "seams.png")
    height, width = plt.imread(tmp_path / "seams.png").shape[:2]
    assert (width, height) == (3 * 5 * 110, 5.5 * 110)
