from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import torch
from matplotlib.figure import Figure
from support.pictures import write_pictures

from benchmark.errors import UsageError
from benchmark.studies.seams import Seams, border_gradient, column_gradient, decode, draw, lines

pytestmark = pytest.mark.long


def test_gradients_of_known_columns() -> None:
    """A ramp of 0.01 a column with a step of 0.5 at column 8."""
    x = (0.01 * torch.arange(16.0) + 0.5 * (torch.arange(16) >= 8)).expand(1, 3, 4, 16)
    assert column_gradient(x).tolist() == pytest.approx([0.01] * 7 + [0.51] + [0.01] * 7, abs=1e-6)
    assert border_gradient(x, 8) == pytest.approx(0.51, abs=1e-6)
    assert border_gradient(x, 4) == pytest.approx((0.01 + 0.51 + 0.01) / 3, abs=1e-6)


def test_the_plot_has_each_picture_above_its_gradients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = torch.rand(1, 3, 16, 24, generator=torch.Generator().manual_seed(0)) - 0.5
    figures: list[Figure] = []
    monkeypatch.setattr(plt, "close", figures.append)
    draw(whole, [("half", whole * 0.5)], 8, tmp_path / "seams.png")
    top, below = figures[0].axes[:2], figures[0].axes[2:]
    assert [axis.get_title() for axis in top] == ["whole", "half"]
    for axis, ratio in zip(below, (1, 0.5), strict=True):
        line, *borders = axis.lines
        assert line.get_ydata() == pytest.approx([ratio] * 23, abs=1e-5)
        assert [border.get_xdata()[0] for border in borders] == [7, 15]
    height, width = plt.imread(tmp_path / "seams.png").shape[:2]
    assert (width, height) == (2 * 5 * 110, 5.5 * 110)


def test_lines_of_known_seams() -> None:
    ramp = (0.01 * torch.arange(32.0)).expand(1, 3, 4, 32)
    stepped = ramp + 0.02 * (torch.arange(32) >= 16)
    assert list(lines(Seams(ramp, [("as it is", ramp), ("stepped", stepped)], 16))) == [
        "as it is: gradient across borders 1.00000 of the whole image's, largest difference 0.00000 levels",
        "stepped: gradient across borders 3.00000 of the whole image's, largest difference 5.10000 levels",
    ]


def test_what_has_no_tiles_is_refused(tmp_path: Path) -> None:
    write_pictures(tmp_path, ["small.png"])
    with pytest.raises(UsageError, match="--tile 24: a multiple of 16"):
        decode(tile=24)
    with pytest.raises(UsageError, match=r"small\.png: the image must have 384x256 pixels or more"):
        decode(tmp_path / "small.png")
