"""Decoders that each do one thing wrong, and one that does nothing wrong: what the tests of the engine attack.

Run as a program it is `child.py` with these targets.
"""

import os
import signal
import sys
import time
import warnings
from pathlib import Path
from typing import Any, NoReturn

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from attacks import child
from attacks.formats import FORMATS
from attacks.limits import BYTES, SECONDS
from attacks.target import NAMES, Target

from benchmark.codecs import Image
from benchmark.errors import BenchmarkError, CorruptStream, UsageError
from benchmark.hfd.container import Container, pack

SEED = pack(Container("mse", 8, 8, 0, 0, b"abcd", bytes(100)))
IMAGE = np.zeros((8, 8, 3), np.uint8)


def dies(data: bytes) -> Image:
    if data != SEED:
        os.kill(os.getpid(), signal.SIGSEGV)
    return IMAGE


def hangs(data: bytes) -> Image:
    if data != SEED:
        time.sleep(1000)
    return IMAGE


def eats(data: bytes) -> Image:
    if data != SEED:
        np.ones(BYTES + 2**27, np.uint8)
    raise CorruptStream("no")


def idles(data: bytes) -> Image:
    begun = time.process_time()
    while data != SEED and time.process_time() - begun < 1.1 * SECONDS:
        pass
    raise CorruptStream("no")


def raises(data: bytes) -> NoReturn:
    raise KeyError("no")


def misuses(data: bytes) -> NoReturn:
    raise UsageError("no")


def fails(data: bytes) -> NoReturn:
    raise BenchmarkError("no")


def rambles(data: bytes) -> NoReturn:
    raise CorruptStream("no\nand no")


def warns(data: bytes) -> NoReturn:
    warnings.warn("deprecated", DeprecationWarning, stacklevel=1)
    raise CorruptStream("no")


def prints(data: bytes) -> NoReturn:
    os.write(2, b"libpng warning")
    raise CorruptStream("no")


def resizes(data: bytes) -> Image:
    return np.zeros((9, 8, 3), np.uint8)


def wavers(data: bytes) -> Image:
    return np.random.default_rng().integers(0, 256, (8, 8, 3), dtype=np.uint8)


def decodes(data: bytes) -> Image:
    if data[:3] != b"HFD":
        raise CorruptStream("no")
    return IMAGE


FAULTS = {
    dies: "SIGSEGV",
    hangs: "hang",
    eats: "memory",
    idles: "slow",
    raises: "raised",
    misuses: "raised",
    fails: "raised",
    rambles: "lines",
    warns: "warned",
    prints: "printed",
    resizes: "size",
    wavers: "unstable",
}
"""Decoder -> the fault that is found. Mutant 0 is decoded twice."""


def _open(name: str, folder: Path) -> Target:
    read: Any = globals()[name]
    return Target(name, (SEED,), FORMATS["hfd"], read, lambda data: (8, 8))


NAMES.update({read.__name__: _open for read in (*FAULTS, decodes)})

if __name__ == "__main__":
    child.main(*sys.argv[1:])
