"""What foreign code changes in the process stays with it: each piece of it finds what it left, others what was there.

A codec or metric may change the working folder, turn warnings into errors, let Pillow read truncated files or change
torch's default dtype, and mean it for itself. Without this, the next trial of another codec would have to live with it.
"""

import contextlib
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class _Part:
    """A part of the process's state. module: that must be imported, else the state is `default`."""

    get: Callable[[Any], Any]
    set: Callable[[Any, Any], object]
    module: str = "sys"
    default: Any = None


def _folder(module: Any) -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109  # it may be gone, and a Path of it would be no better
    except OSError:
        return None


def _set_folder(module: Any, folder: str | None) -> None:
    if folder is not None:
        with contextlib.suppress(OSError):
            os.chdir(folder)


def _set_filters(module: Any, filters: list[Any]) -> None:
    warnings.resetwarnings()  # which also makes Python forget what it decided by the filters of before
    warnings.filters.extend(filters)  # type: ignore[attr-defined]


_PARTS: Mapping[str, _Part] = {
    "working folder": _Part(_folder, _set_folder),
    "warnings": _Part(lambda module: list(warnings.filters), _set_filters),
    "NumPy's errors": _Part(lambda module: np.geterr(), lambda module, value: np.seterr(**value)),
    "Pillow's truncated files": _Part(
        lambda module: module.LOAD_TRUNCATED_IMAGES,
        lambda module, value: setattr(module, "LOAD_TRUNCATED_IMAGES", value),
        "PIL.ImageFile",
        False,
    ),
    "Pillow's largest image": _Part(
        lambda module: module.MAX_IMAGE_PIXELS,
        lambda module, value: setattr(module, "MAX_IMAGE_PIXELS", value),
        "PIL.Image",
        89_478_485,
    ),
    "torch's dtype": _Part(
        lambda torch: str(torch.get_default_dtype()),
        lambda torch, value: torch.set_default_dtype(getattr(torch, value.removeprefix("torch."))),
        "torch",
        "torch.float32",
    ),
    "torch's gradients": _Part(
        lambda torch: torch.is_grad_enabled(), lambda torch, value: torch.set_grad_enabled(value), "torch", True
    ),
    "torch's deterministic algorithms": _Part(
        lambda torch: torch.are_deterministic_algorithms_enabled(),
        lambda torch, value: torch.use_deterministic_algorithms(value),
        "torch",
        False,
    ),
}


def _state() -> dict[str, Any]:
    return {name: _read(part) for name, part in _PARTS.items()}


def _read(part: _Part) -> Any:
    module = sys.modules.get(part.module)
    try:
        return part.get(module)
    except AttributeError:  # not imported, or in the middle of it
        return part.default


def _install(state: Mapping[str, Any]) -> None:
    for name, value in state.items():
        module = sys.modules.get(_PARTS[name].module)
        if module is not None and _read(_PARTS[name]) != value:
            _PARTS[name].set(module, value)


class Containment:
    """The state that one piece of foreign code lives in."""

    def __init__(self) -> None:
        self._own: dict[str, Any] = {}

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """Inside, the process is as this piece of code left it; afterwards as it was before.

        What is printed inside goes to standard error: standard output belongs to the command's result.
        """
        before = _state()
        _install(self._own)
        try:
            with contextlib.redirect_stdout(sys.stderr):
                yield
        finally:
            after = _state()
            self._own = {name: value for name, value in after.items() if value != before[name]}
            _install({name: before[name] for name in self._own})
