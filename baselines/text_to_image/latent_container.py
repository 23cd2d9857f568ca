"""The container of `sd-latent`: 15 bytes around its payload for 768×512, 18 with cleaning.

| bytes | field |
| --- | --- |
| 3 | magic `SDL` |
| 1 | version (high four bits), and 1 where the latents are cleaned, else 0 |
| 1-3 | height, varint |
| 1-3 | width, varint |
| 1 | quality: (quality − 1)·32 |
| 4 | identity of the weights |
| 1-2 | steps, varint; this and the next two only where the latents are cleaned |
| 1 | strength in per cent |
| 1-2 | seed, varint |
| n | payload |
| 4 | CRC-32 of everything before |
"""

from dataclasses import dataclass

from benchmark.baselines.upscale.container import MAX_STEPS, check_size
from benchmark.errors import CorruptStream
from benchmark.hfd.container import MAX_PIXELS, MAX_SEED, MAX_SIDE, read_varint, varint
from benchmark.sealed import body_of, sealed

MAGIC, VERSION = b"SDL", 1
SHORTEST = 4 + 2 + 1 + 4 + 4


@dataclass(frozen=True)
class Container:
    """What a stream holds. quality_steps: (quality − 1)·32. weights: four bytes. steps: 0 without cleaning."""

    height: int
    width: int
    quality_steps: int
    weights: bytes
    payload: bytes
    steps: int = 0
    strength: int = 0
    seed: int = 0


def pack(container: Container) -> bytes:
    """The byte string. Raises BenchmarkError on an image too large."""
    check_size(container.height, container.width)
    parts = [
        MAGIC,
        bytes([VERSION << 4 | (container.steps > 0)]),
        varint(container.height),
        varint(container.width),
        bytes([container.quality_steps]),
        container.weights,
    ]
    if container.steps:
        parts += [varint(container.steps), bytes([container.strength]), varint(container.seed)]
    body = b"".join([*parts, container.payload])
    return sealed(body)


def unpack(data: bytes) -> Container:
    """The fields of `data`. Raises CorruptStream with the reason if it is not a whole and sound container."""
    body = body_of(data, MAGIC, "stream of sd-latent", SHORTEST)
    cleaned = data[3] & 15
    if cleaned > 1:
        raise CorruptStream(f"the stream is of kind {cleaned}, which this program does not know")
    height, at = read_varint(body, 4)
    width, at = read_varint(body, at)
    if not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE) or height * width > MAX_PIXELS:
        raise CorruptStream(f"the stream claims an image of {width}x{height}, beyond what any encoder writes")
    if len(body) < at + 5:
        raise CorruptStream("the stream's header is truncated")
    quality_steps, weights, at = body[at], body[at + 1 : at + 5], at + 5
    steps = strength = seed = 0
    if cleaned:
        steps, at = read_varint(body, at)
        strength, at = (body[at] if at < len(body) else 0), at + 1
        seed, at = read_varint(body, at)
        if not (1 <= steps <= MAX_STEPS and strength <= 100 and seed <= MAX_SEED) or int(steps * (strength / 100)) < 1:
            raise CorruptStream(
                f"the stream claims {steps} steps of strength {strength} % and seed {seed}, beyond what any encoder "
                "writes"
            )
    return Container(height, width, quality_steps, weights, body[at:], steps, strength, seed)
