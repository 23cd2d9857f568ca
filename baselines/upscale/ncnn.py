"""Weights of a chain of convolutions as ncnn keeps them: a `.param` file lists layers, a `.bin` holds their numbers.

Formats: https://github.com/Tencent/ncnn/wiki/param-and-model-file-structure. A line of the text is
`Convolution name inputs outputs blobs… key=value…`; of the keys are read 0 (filters), 1 (size of the kernel), 5 (has a
bias) and 6 (numbers in the kernel). In the binary file each convolution has a flag, its kernel and its bias, in the
order of the text: flag 0 is float32, 0x01306B47 is float16, whose bytes are filled up to a multiple of four; a bias has
no flag and is float32.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmark.errors import BenchmarkError
from benchmark.reading import brief, read_text

MAGIC = "7767517"
FLOAT32, FLOAT16 = 0, 0x01306B47
MOST = 2**28
"""Numbers of one kernel."""


@dataclass(frozen=True)
class Convolution:
    """weight (filters, inputs, size, size) and bias (filters), float32."""

    weight: Tensor
    bias: Tensor


def read_convolutions(path: Path) -> list[Convolution]:
    """The convolutions of `path`, a `.bin` with its `.param` beside it, in the order of the network.

    Raises BenchmarkError, one line, on files that are not there, damaged, of other layers with weights, or with numbers
    that are not finite.
    """
    layers = _layers(path.with_suffix(".param"))
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BenchmarkError(f"{path}: cannot be read: {error.strerror}") from None
    found, at = [], 0
    for name, filters, size, numbers in layers:
        if len(data) < at + 4:
            raise BenchmarkError(f"{path} ends before the convolution {name}")
        (flag,) = struct.unpack_from("<I", data, at)
        if flag not in (FLOAT32, FLOAT16):
            raise BenchmarkError(f"{path}: {name} is kept as {flag:#010x}, neither float32 nor float16")
        kind = np.dtype("<f4" if flag == FLOAT32 else "<f2")
        bias_at = at + 4 + -(-numbers * kind.itemsize // 4) * 4
        end = bias_at + 4 * filters
        if end > len(data):
            raise BenchmarkError(f"{path} ends inside the convolution {name}")
        weight = np.frombuffer(data, kind, numbers, at + 4).astype(np.float32)
        bias = np.frombuffer(data, "<f4", filters, bias_at).astype(np.float32)
        if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
            raise BenchmarkError(f"{path}: {name} has values that are not finite")
        shape = (filters, numbers // (filters * size * size), size, size)
        found.append(Convolution(torch.from_numpy(weight).reshape(shape), torch.from_numpy(bias)))
        at = end
    if at != len(data):
        raise BenchmarkError(f"{path} has {len(data)} bytes, its convolutions take {at}")
    return found


_WITHOUT_WEIGHTS = ("Input", "Split", "Concat", "Eltwise", "BinaryOp", "Interp", "ReLU")


def _layers(path: Path) -> list[tuple[str, int, int, int]]:
    """(name, filters, size of the kernel, numbers in the kernel) of each convolution."""
    try:
        lines = read_text(path).splitlines()
    except FileNotFoundError:
        raise BenchmarkError(f"there is no {path}, which says how the network's .bin is read") from None
    if not lines or lines[0].strip() != MAGIC:
        raise BenchmarkError(f"{path} is no .param file of ncnn: it does not begin with {MAGIC}")
    found = []
    for number, line in enumerate(lines[2:], 3):
        words = line.split()
        if not words or words[0] in _WITHOUT_WEIGHTS:
            continue
        if words[0] != "Convolution":
            raise BenchmarkError(f"{path}, line {number}: a layer {words[0]}, which this reader does not know")
        try:
            settings = dict(word.split("=", 1) for word in words[4 + int(words[2]) + int(words[3]) :])
            filters, size, bias, numbers = (int(settings.get(key, "0")) for key in ("0", "1", "5", "6"))
        except (ValueError, IndexError) as error:
            raise BenchmarkError(f"{path}, line {number}: no sound line of a layer: {brief(error)}") from None
        sound = filters >= 1 and size >= 1 and 1 <= numbers <= MOST and numbers % (filters * size * size) == 0
        if not sound or bias != 1:
            raise BenchmarkError(f"{path}, line {number}: {filters} filters of size {size} with {numbers} numbers")
        found.append((words[1], filters, size, numbers))
    return found
