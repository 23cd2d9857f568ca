"""What luma and chroma count in the losses of decoders."""

import pytest

from benchmark.hfd.training.decoder import axis_weights


@pytest.mark.parametrize("chroma", [0, 0.5, 1, 1.5])
def test_axes_weigh_three_together(chroma: float) -> None:
    """So that a greater weight of chroma is a smaller one of luma, and the loss as large for errors that are alike."""
    luma, *both = axis_weights(chroma)
    assert both == [chroma, chroma]
    assert luma + sum(both) == 3
