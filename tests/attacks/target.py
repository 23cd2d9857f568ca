"""What can be attacked, by name. The targets themselves, and torch, are imported when one of them is first opened."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attacks.mutation import Format


@dataclass(frozen=True)
class Target:
    """One reader or decoder under attack.

    read: what it makes of bytes: an image, or anything else for a reader of headers; raises BenchmarkError. size: the
    (height, width) that the bytes state, asked only when `read` made an image of them. check: of what a reader returned
    for the bytes, what is wrong with it; None for nothing. slowness: how many times the usual time a pixel may take.
    """

    name: str
    seeds: tuple[bytes, ...]
    format: Format
    read: Callable[[bytes], Any]
    size: Callable[[bytes], tuple[int, int]] | None = None
    check: Callable[[bytes, Any], str | None] = lambda data, read: None
    slowness: float = 1


NAMES: dict[str, Callable[[str, Path], Target]] = {}
"""Name of a target -> (name, folder for weights) -> the target."""


def target(*names: str) -> Callable[[Callable[[str, Path], Target]], Callable[[str, Path], Target]]:
    """Makes what it decorates known under `names`."""

    def add(make: Callable[[str, Path], Target]) -> Callable[[str, Path], Target]:
        NAMES.update(dict.fromkeys(names, make))
        return make

    return add


def open_target(name: str, folder: Path) -> Target:
    """The target `name`; its weights are written into `folder` if they are not there."""
    if name not in NAMES:
        importlib.import_module("attacks.targets")
    folder.mkdir(parents=True, exist_ok=True)
    return NAMES[name](name, folder)
