"""Lets a test that measures time run alone while others run side by side (pytest-xdist).

Every test holds a shared lock, one that is marked `alone` an exclusive one. Who waits for a lock holds the turnstile,
so that a stream of short tests cannot keep one that is to be alone waiting for ever.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def turn(folder: Path, *, alone: bool) -> Iterator[None]:
    """folder: shared by all processes of this session. A process that ends sets its locks free."""
    with (folder / "turnstile").open("w") as turnstile, (folder / "tests").open("w") as tests:
        fcntl.flock(turnstile, fcntl.LOCK_EX)
        fcntl.flock(tests, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(turnstile, fcntl.LOCK_UN)
        yield
