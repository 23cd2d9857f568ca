"""Tensors in half precision, in fewer bytes: the bytes of each number apart from each other, compressed (zlib).

First bytes, with sign and exponent, are much alike, second ones are not; apart, the first ones compress. A file of
packed tensors is a safetensors file like any other: a packed one is a row of bytes in it, and the metadata's `packed`
has the shapes.
"""

import json
import math
import zlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from benchmark.reading import parse_json

PACKED = "packed"
"""Among the metadata: name -> shape of each packed tensor, in JSON."""

SMALLEST = 1024
"""Numbers; a smaller tensor stays as it is."""

LARGEST_RATIO = 16
"""A tensor that becomes smaller than by this is not packed: so no file can claim much more than it holds."""

HALF = 11
"""Significant bits of a number in half precision, the first of them implied."""


def rounded(tensor: Tensor, bits: int) -> Tensor:
    """A tensor in half precision with each number rounded to so many significant bits, at most `HALF`."""
    if bits >= HALF:
        return tensor
    mantissa, exponent = torch.frexp(tensor.double())
    return torch.ldexp((mantissa * 2**bits).round() / 2**bits, exponent).half()


def pack(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors, those in half precision packed where that is worth it, and what the metadata must have for it."""
    out, shapes = dict(tensors), {}
    for name, tensor in tensors.items():
        if tensor.dtype == torch.float16 and tensor.numel() >= SMALLEST:
            planes = tensor.contiguous().view(torch.uint8).reshape(-1, 2).t().contiguous()
            data = zlib.compress(planes.numpy().tobytes(), 9)
            if planes.numel() / LARGEST_RATIO <= len(data) < planes.numel():
                out[name], shapes[name] = torch.frombuffer(bytearray(data), dtype=torch.uint8), list(tensor.shape)
    return out, {PACKED: json.dumps(shapes)} if shapes else {}


def unpack(tensors: Mapping[str, Tensor], shapes: Any) -> dict[str, Tensor]:
    """The tensors that `pack` was given. shapes: what its metadata say, read.

    Raises ValueError on what no `pack` has made.
    """
    out = dict(tensors)
    if not isinstance(shapes, dict):
        raise ValueError(f"{PACKED}: no table of shapes")
    for name, shape in shapes.items():
        if not isinstance(shape, list) or not all(type(side) is int and side > 0 for side in shape):
            raise ValueError(f"{PACKED}: {name}: {shape!r} is no shape")
        data = tensors.get(name)
        if data is None or data.dtype != torch.uint8 or data.ndim != 1:
            raise ValueError(f"{PACKED}: {name} is no row of bytes")
        size = 2 * math.prod(shape)
        if size > LARGEST_RATIO * data.numel():
            raise ValueError(f"{PACKED}: {name} has too few bytes for {shape}")
        out[name] = _planes(name, data.numpy().tobytes(), size).t().contiguous().view(torch.float16).reshape(shape)
    return out


def unpacked(tensors: Mapping[str, Tensor], metadata: Mapping[str, str], place: str) -> dict[str, Tensor]:
    """`unpack` by what a file's metadata say; place: the file. Raises BenchmarkError and ValueError."""
    if PACKED not in metadata:
        return dict(tensors)
    return unpack(tensors, parse_json(metadata[PACKED], f"{place}, {PACKED}", finite=False))


def _planes(name: str, data: bytes, size: int) -> Tensor:
    """The first bytes of all numbers and the second ones, (2, size/2), uint8."""
    stream = zlib.decompressobj()
    try:
        plain = stream.decompress(data, size)
    except zlib.error as error:
        raise ValueError(f"{PACKED}: {name}: {error}") from None
    if len(plain) != size or stream.decompress(stream.unconsumed_tail, 1) or not stream.eof or stream.unused_data:
        raise ValueError(f"{PACKED}: {name} does not have the {size} bytes of its shape")
    return torch.frombuffer(bytearray(plain), dtype=torch.uint8).reshape(2, -1)
