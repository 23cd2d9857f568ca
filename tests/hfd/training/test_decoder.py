"""What luma and chroma count in the losses of decoders."""

import pytest
import torch

from benchmark.hfd.score import to_luma_chroma
from benchmark.hfd.training.decoder import ScoreRecipe, axis_weights


@pytest.mark.parametrize("chroma", [0, 0.5, 1, 1.5])
def test_axes_weigh_three_together(chroma: float) -> None:
    """So that a greater weight of chroma is a smaller one of luma, and the loss as large for errors that are alike."""
    luma, *both = axis_weights(chroma)
    assert both == [chroma, chroma]
    assert luma + sum(both) == 3


def test_a_grey_error_is_luma_alone() -> None:
    """By default luma's squared error counts four times that of a chroma axis, in units of each one's deviation."""
    grey = torch.full((1, 3, 4, 4), 0.1)
    weights = torch.tensor(axis_weights(ScoreRecipe().chroma))[:, None, None]
    weighed = weights * to_luma_chroma(grey).square()
    assert float(weighed[:, 1:].abs().max()) < 1e-12
    assert float(weights[0] / weights[1]) == 4
