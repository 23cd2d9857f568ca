"""Work that a device has no memory for is done in smaller parts, and told: a trial's record says so.

A GPU's memory is shared with other programs, so what fits in one trial may not fit in the next.
"""

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeVar

from benchmark.errors import BenchmarkError, one_line

if TYPE_CHECKING:  # torch takes seconds to import
    from torch import OutOfMemoryError

Result = TypeVar("Result")

_TOLD: ContextVar[dict[str, str] | None] = ContextVar("shortages", default=None)


@contextmanager
def shortages() -> Iterator[dict[str, str]]:
    """What `tell` says inside, of this thread: subject -> the last line on it."""
    told: dict[str, str] = {}
    token = _TOLD.set(told)
    try:
        yield told
    finally:
        _TOLD.reset(token)


def tell(subject: str, line: str) -> None:
    """Says that work was done in smaller parts: to `shortages`, or once as a warning where nobody collects them."""
    told = _TOLD.get()
    if told is None:
        warnings.warn(line, RuntimeWarning, stacklevel=2)
    else:
        told[subject] = line


def attempted(work: Callable[..., Result], *arguments: object) -> "Result | OutOfMemoryError":
    """What `work` returns; the error, without what it held, if a device has no memory for it.

    The memory of a CPU is no device's: what is wrong there is raised.
    """
    import torch

    try:
        return work(*arguments)
    except torch.OutOfMemoryError as error:
        short = torch.OutOfMemoryError(one_line(error))  # that one's frames hold the tensors of `work`
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()  # pieces that are free and too small to be of use
    return short


def is_shortage(error: BaseException | None) -> bool:
    """Whether `error` says that memory is short, of a device or of the machine."""
    return isinstance(error, MemoryError) or "out of memory" in str(error)


def refuse_shortage(place: object, error: BaseException) -> None:
    """Raises BenchmarkError if a device has no memory for what the file `place` holds, which is no fault of that."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(error, torch.OutOfMemoryError):
        raise BenchmarkError(f"{place}: the device has no memory for it: {one_line(error)}") from error
