"""The channel slices of a first stage."""

from dataclasses import replace

import pytest

from benchmark.hfd.autoencoder import SMALL, Autoencoder


@pytest.mark.parametrize(
    "changes", [{"luma": 2, "chroma": 1}, {"slice_ends": (0.5, 0.5, 1.01)}, {"slice_ends": (0.0, 1.01)}]
)
def test_a_slice_without_channels_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="slice_ends"):
        Autoencoder(replace(SMALL, **changes))  # type: ignore[arg-type]
