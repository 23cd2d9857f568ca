"""Small ESRGAN networks of random weights, in ncnn's files, written from the format's description."""

import struct
from pathlib import Path

import numpy as np

WIDTH, GROWTH = 8, 4


def write_esrgan(path: Path, blocks: int = 1, half: bool = True, seed: int = 0) -> Path:
    """Writes `path`, a `.bin`, and its `.param`: an RRDBNet with `blocks` blocks. half: kernels in float16."""
    sizes = [(3, WIDTH)]
    for _ in range(3 * blocks):
        sizes += [(WIDTH + k * GROWTH, GROWTH if k < 4 else WIDTH) for k in range(5)]
    sizes += [(WIDTH, WIDTH)] * 4 + [(WIDTH, 3)]
    random = np.random.default_rng(seed)
    lines, data = ["Input data 0 1 b0"], b""
    for number, (inputs, outputs) in enumerate(sizes):
        kernel = random.normal(0, 0.8 / np.sqrt(9 * inputs), outputs * inputs * 9).astype("<f4")
        bias = np.full(outputs, 0.1)
        lines.append(
            f"Convolution conv{number} 1 1 b{number} b{number + 1} 0={outputs} 1=3 4=1 5=1 6={kernel.size} 9=2 "
            "-23310=1,2.000000e-01"
        )
        kept = kernel.astype("<f2" if half else "<f4").tobytes()
        data += struct.pack("<I", 0x01306B47 if half else 0) + kept + bytes(-len(kept) % 4)
        data += bias.astype("<f4").tobytes()
    path.write_bytes(data)
    path.with_suffix(".param").write_text("\n".join(["7767517", f"{len(lines)} {len(lines)}", *lines]) + "\n")
    return path
