"""One process for all tests here, of which commands are copies."""

import pytest
from support.zygote import Zygote, commands


@pytest.fixture(scope="session")
def zygote() -> Zygote:
    return commands()
