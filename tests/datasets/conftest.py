"""Tests here are about what is read, those of plots elsewhere."""

import pytest


@pytest.fixture(autouse=True)
def nothing_is_drawn(undrawn: None) -> None:
    """As `undrawn` says."""
