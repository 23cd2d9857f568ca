"""How networks of CompressAI that are made of latent codecs nest their strings and shapes.

`compress` gives lists of strings and shapes whose nesting is the network's own. A stream needs neither: the nesting is
the same for each image, and shapes are in proportion to its size. Both are learnt from one small image.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from benchmark.errors import CorruptStream

SIDE = 256
"""Of the image that is tried: a multiple of the strides and windows of all networks."""
LENGTH = 4
"""Bytes of a string's length."""


@dataclass(frozen=True)
class Layout:
    """strings: nested lists with None for each string. shape: of an image of SIDE × SIDE, as `compress` gives it."""

    strings: Any
    shape: Any

    def packed(self, strings: Any) -> bytes:
        """The strings in one: lengths of all but the last, then all. Raises CorruptStream if they nest otherwise."""
        found = list(_leaves(strings))
        if _emptied(strings) != self.strings:
            raise CorruptStream("the network nests the strings of this image in another way than those of the first")
        return b"".join(len(one).to_bytes(LENGTH, "big") for one in found[:-1]) + b"".join(found)

    def unpacked(self, data: bytes) -> list[bytes]:
        """The strings, in the order in which `nested` takes them. Raises CorruptStream."""
        lengths = sum(1 for _ in _leaves(self.strings)) - 1
        at, found = LENGTH * lengths, []
        if len(data) < at:
            raise CorruptStream("the lengths of its strings are truncated")
        for i in range(lengths):
            length = int.from_bytes(data[LENGTH * i : LENGTH * (i + 1)], "big")
            if length > len(data) - at:
                raise CorruptStream(f"a string of {length} bytes in {len(data) - at}")
            found.append(data[at : at + length])
            at += length
        return [*found, data[at:]]

    def nested(self, strings: list[bytes]) -> Any:
        """As `decompress` wants them."""
        return _filled(self.strings, iter(strings))

    def shape_of(self, height: int, width: int) -> Any:
        """As `decompress` wants it. height, width: of the padded image."""
        return _scaled(self.shape, height, width)


def layout_of(network: Any, device: torch.device) -> Layout:
    """The layout that the network has on a grey image."""
    with torch.no_grad():
        coded = network.compress(torch.full((1, 3, SIDE, SIDE), 0.5, device=device))
    return Layout(_emptied(coded["strings"]), coded["shape"])


def _leaves(strings: Any) -> Iterator[Any]:
    if isinstance(strings, list | tuple):
        for one in strings:
            yield from _leaves(one)
    else:
        yield strings


def _emptied(strings: Any) -> Any:
    return [_emptied(one) for one in strings] if isinstance(strings, list | tuple) else None


def _filled(strings: Any, by: Iterator[bytes]) -> Any:
    return next(by) if strings is None else [_filled(one, by) for one in strings]


def _scaled(shape: Any, height: int, width: int) -> Any:
    if isinstance(shape, dict):
        return {key: _scaled(one, height, width) for key, one in shape.items()}
    if all(isinstance(one, int) for one in shape):
        return torch.Size([*shape[:-2], shape[-2] * height // SIDE, shape[-1] * width // SIDE])
    return [_scaled(one, height, width) for one in shape]
