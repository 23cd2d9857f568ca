"""Numbers in files. Each function raises IndexError beyond the end, so that nothing is read that is not there."""

from typing import Literal

from benchmark.errors import BenchmarkError

Order = Literal["big", "little"]


def number(data: bytes, at: int, size: int, order: Order) -> int:
    """The unsigned integer of `size` bytes at `at`."""
    return int.from_bytes(part(data, at, size), order)


def part(data: bytes, at: int, size: int) -> bytes:
    """`size` bytes at `at`."""
    if at < 0 or size < 0 or at + size > len(data):
        raise IndexError(at)
    return data[at : at + size]


def damaged(what: str) -> BenchmarkError:
    """The refusal of a damaged file."""
    return BenchmarkError(f"cannot be read as an image: damaged, {what}")


def too_deep() -> BenchmarkError:
    """The refusal of samples of more than 8 bits."""
    return BenchmarkError("more than 8 bits a channel; convert it to 8 bits first")
