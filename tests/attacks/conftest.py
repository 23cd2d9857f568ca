"""One process for all tests here, of which commands are copies."""

from collections.abc import Iterator

import pytest
from support.zygote import Zygote, a_zygote


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    with a_zygote() as zygote:
        yield zygote
