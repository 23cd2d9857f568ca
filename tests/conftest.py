"""Puts this folder on the path, for `support`, and makes the fake codecs known by name."""

from pathlib import Path

import pytest
from support import fake_codecs

IN_CHECKOUT = (Path(__file__).parents[1] / "datasets" / "shipped.py").is_file()

fake_codecs.register()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests may be run from a copy of this folder, on an installed suite."""
    if not IN_CHECKOUT:
        for item in items:
            if item.get_closest_marker("checkout") is not None:
                item.add_marker(pytest.mark.skip(reason="about files of the checkout that are not installed"))
