"""The process that decodes mutants: what happens to each, and where it is, so that its death names the mutant.

    python child.py FOLDER PLAN

PLAN is a JSON list of [target, first number, number after the last]. Reports are JSON lines on stdout; the number at
work stands in FOLDER/place. What a library prints goes to FOLDER/said, and is a finding.
"""

import json
import mmap
import os
import re
import resource
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from attacks.limits import (
    ADDRESSES,
    AVAILABLE,
    BLOCK,
    BYTES,
    BYTES_PER_PIXEL,
    OFTEN,
    PLACE,
    REFUSED,
    SECONDS,
    SECONDS_PER_PIXEL,
    SOUND,
    TWICE,
)
from attacks.mutation import mutant
from attacks.target import Target, open_target

from benchmark.errors import BenchmarkError, CorruptStream, UsageError
from benchmark.hfd import memory


def decoded(target: Target, data: bytes, twice: bool = False) -> tuple[str, str]:
    """What comes of `data`: "image", "read", "corrupt" or "refused", or the name of a fault; and a word on it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            result = target.read(data)
    except CorruptStream as error:
        return _one_line(error, "corrupt")
    except UsageError as error:
        return "raised", f"UsageError: {error}"
    except BenchmarkError as error:
        return _one_line(error, "refused") if REFUSED.search(str(error)) else ("raised", f"BenchmarkError: {error}")
    except Warning as error:
        return "warned", f"{type(error).__name__}: {error}"
    except Exception as error:
        return "raised", f"{type(error).__name__}: {error}"
    if target.size is None or target.name.startswith("header-"):
        try:
            wrong = target.check(data, result)
        except Exception as error:
            wrong = f"what was read is refused: {type(error).__name__}: {error}"
        return ("read", "") if wrong is None else ("check", wrong)
    return _image(target, data, result, twice)


def _one_line(error: BenchmarkError, kind: str) -> tuple[str, str]:
    text = str(error)
    return (kind, text) if text and "\n" not in text and len(text) < 700 else ("lines", text)


def _image(target: Target, data: bytes, image: Any, twice: bool) -> tuple[str, str]:
    assert target.size is not None
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        return "size", f"{type(image).__name__} {getattr(image, 'dtype', '')} {getattr(image, 'shape', '')}"
    if tuple(image.shape[:2]) != tuple(target.size(data)):
        return "size", f"{image.shape} where the stream says {target.size(data)}"
    if twice and not np.array_equal(image, target.read(data)):
        return "unstable", "decoded twice, two images"
    height, width = (-(-side // BLOCK) * BLOCK for side in image.shape[:2])
    return "image", f"{height * width}"


def watched(target: Target, data: bytes, twice: bool, said: int, rest: int) -> tuple[str, str]:
    """`decoded`, and faults of time, memory and print. said: the file that print goes to. rest: bytes, the process."""
    begun, printed = time.process_time(), os.fstat(said).st_size
    kind, word = decoded(target, data, twice)
    seconds = time.process_time() - begun
    pixels = int(word) * (2 if twice else 1) if kind == "image" else 0
    taken = peak() - rest
    if taken > BYTES:
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    if seconds > SECONDS + target.slowness * SECONDS_PER_PIXEL * pixels:
        return "slow", f"{seconds:.1f} s; {kind} {word}"
    if taken > BYTES + BYTES_PER_PIXEL * pixels:
        return "memory", f"{taken / 2**20:.0f} MB; {kind} {word}"
    if os.fstat(said).st_size > printed:
        return "printed", f"{os.pread(said, 300, printed)!r}; {kind} {word}"
    return kind, word


def peak() -> int:
    """The most resident memory that the process has had, in bytes."""
    match = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    assert match is not None
    return 1024 * int(match[1])


def run_plan(folder: Path, plan: list[tuple[str, int, int]], report: Callable[[dict[str, Any]], None]) -> None:
    """Decodes all mutants of `plan` and reports counts, seeds and findings."""
    said = os.open(folder / "said", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    os.dup2(said, 1)
    os.dup2(said, 2)
    (folder / "place").write_bytes(PLACE.pack(-1, 0, time.monotonic()))
    with (folder / "place").open("r+b") as file, mmap.mmap(file.fileno(), PLACE.size) as place:
        for index, (name, first, last) in enumerate(plan):
            PLACE.pack_into(place, 0, -1 - index, 0, time.monotonic())
            target = open_target(name, folder / "weights")
            for seed in target.seeds:
                decoded(target, seed)
            report({"target": name, "seeds": [seed.hex() for seed in target.seeds]})
            _run(target, range(first, last), index, place, said, report)


def _run(
    target: Target, numbers: range, index: int, place: mmap.mmap, said: int, report: Callable[[dict[str, Any]], None]
) -> None:
    rest, counts, reported, begun = peak(), Counter[str](), time.monotonic(), os.times()
    for number in numbers:
        PLACE.pack_into(place, 0, index, number, time.monotonic())
        data = mutant(target.name, number, target.seeds, target.format)
        kind, word = watched(target, data, number % TWICE == 0, said, rest)
        counts[kind] += 1
        if kind not in SOUND:
            report({"target": target.name, "number": number, "fault": kind, "word": word[:300], "data": data.hex()})
        if number == numbers[-1] or time.monotonic() - reported > OFTEN:
            now = os.times()
            seconds = now.user + now.system - begun.user - begun.system
            report({"target": target.name, "next": number + 1, "counts": dict(counts), "seconds": seconds})
            counts.clear()
            reported, begun = time.monotonic(), now


def main(folder: str, plan: str) -> None:
    """See the module."""
    reports = os.fdopen(os.dup(1), "w", buffering=1)
    memory.available_bytes = lambda root=Path("/"): AVAILABLE  # type: ignore[assignment,misc]
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + ADDRESSES
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    run_plan(
        Path(folder), [tuple(part) for part in json.loads(plan)], lambda line: print(json.dumps(line), file=reports)
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
