"""What `benchmark.children.Apart` calls in tests; another process imports it."""

import os
import time
from collections.abc import Callable
from typing import Any

from benchmark.errors import BenchmarkError, UsageError


def opened(how: str = "") -> Callable[[Any, Callable[[str], None]], Any]:
    if how == "refuses":
        raise UsageError("it does not open")
    if how == "dies":
        os.kill(os.getpid(), 9)

    def function(argument: Any, goes: Callable[[str], None]) -> Any:
        match argument:
            case "environment":
                return dict(os.environ)
            case "dies":
                goes("a part of it")
                os.kill(os.getpid(), 9)
            case "hangs":
                time.sleep(1000)
            case "raises":
                raise BenchmarkError("no")
            case "mistaken":
                raise KeyError("a mistake")
        return argument

    return function
