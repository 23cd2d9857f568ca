"""The container of a small copy: 14 bytes around it for an upscaler without weights, 18 with them, for 768×512.

| bytes | field |
| --- | --- |
| 3 | magic `SMC` |
| 1 | version (high four bits) and upscaler (low four, the place in `UPSCALERS`) |
| 1 | format of the copy (high four, the place in `FORMATS`) and factor (low four) |
| 1-3 | height of the image, varint |
| 1-3 | width, varint |
| 4 | identity of the weights; not for `lanczos` |
| 1-2 | steps, varint; this and the next two for `stable-diffusion` only |
| 1-2 | noise level, varint |
| 1-2 | seed, varint |
| n | the copy, a file of its format |
| 4 | CRC-32 of everything before |
"""

from dataclasses import dataclass

from benchmark.errors import BenchmarkError, CorruptStream
from benchmark.hfd.container import MAX_PIXELS, MAX_SEED, MAX_SIDE, read_varint, varint
from benchmark.sealed import body_of, sealed

MAGIC, VERSION = b"SMC", 1
UPSCALERS = ("lanczos", "realesrgan", "stable-diffusion")
SPECS = ("upscale:by=lanczos", "upscale:by=realesrgan", "sd-upscale")
"""The codec spec that decodes a stream of each of UPSCALERS."""
FORMATS = ("avif", "jxl")
FACTORS = (2, 8)
"""The smallest and the largest number of pixels of the image, in each direction, for one of the copy."""
MAX_STEPS, MAX_NOISE_LEVEL = 1000, 350
"""The noise level as the pipeline has it."""
SHORTEST = 4 + 1 + 2 + 4


@dataclass(frozen=True)
class Container:
    """What a stream holds. weights: four bytes, none for `lanczos`; steps, noise_level, seed: of `stable-diffusion`."""

    upscaler: str
    format: str
    factor: int
    height: int
    width: int
    copy: bytes
    weights: bytes = b""
    steps: int = 0
    noise_level: int = 0
    seed: int = 0


def check_size(height: int, width: int) -> None:
    """Raises BenchmarkError on an image too large."""
    if not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE) or height * width > MAX_PIXELS:
        raise BenchmarkError(
            f"an image of {width}x{height} is too large: sides up to {MAX_SIDE}, {MAX_PIXELS // 10**6} megapixels "
            "in all"
        )


def pack(container: Container) -> bytes:
    """The byte string. Raises BenchmarkError on an image too large."""
    check_size(container.height, container.width)
    kind = UPSCALERS.index(container.upscaler)
    parts = [
        MAGIC,
        bytes([VERSION << 4 | kind, FORMATS.index(container.format) << 4 | container.factor]),
        varint(container.height),
        varint(container.width),
        container.weights,
    ]
    if container.upscaler == "stable-diffusion":
        parts += [varint(container.steps), varint(container.noise_level), varint(container.seed)]
    body = b"".join([*parts, container.copy])
    return sealed(body)


def unpack(data: bytes) -> Container:
    """The fields of `data`. Raises CorruptStream with the reason if it is not a whole and sound container."""
    body = body_of(data, MAGIC, "stream of a small copy", SHORTEST)
    kind, form, factor = data[3] & 15, data[4] >> 4, data[4] & 15
    if kind >= len(UPSCALERS):
        raise CorruptStream(f"the stream asks for upscaler {kind}, which this program does not know")
    if form >= len(FORMATS) or not FACTORS[0] <= factor <= FACTORS[1]:
        raise CorruptStream(f"the stream claims a copy of format {form} and factor {factor}, which no encoder writes")
    height, at = read_varint(body, 5)
    width, at = read_varint(body, at)
    if not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE) or height * width > MAX_PIXELS:
        raise CorruptStream(f"the stream claims an image of {width}x{height}, beyond what any encoder writes")
    weights = b""
    if UPSCALERS[kind] != "lanczos":
        weights, at = body[at : at + 4], at + 4
        if at > len(body):
            raise CorruptStream("the stream's header is truncated")
    steps = noise_level = seed = 0
    if UPSCALERS[kind] == "stable-diffusion":
        steps, at = read_varint(body, at)
        noise_level, at = read_varint(body, at)
        seed, at = read_varint(body, at)
        if not (1 <= steps <= MAX_STEPS and noise_level <= MAX_NOISE_LEVEL and seed <= MAX_SEED):
            raise CorruptStream(
                f"the stream claims {steps} steps, noise level {noise_level} and seed {seed}, beyond what any "
                "encoder writes"
            )
    return Container(
        UPSCALERS[kind], FORMATS[form], factor, height, width, body[at:], weights, steps, noise_level, seed
    )


def codec_of(data: bytes) -> str | None:
    """The codec spec that decodes `data`, None if it is no such container. Raises CorruptStream."""
    return SPECS[UPSCALERS.index(unpack(data).upscaler)] if data[: len(MAGIC)] == MAGIC else None


def check_weights(container: Container, upscaler: str, weights: bytes) -> None:
    """Raises CorruptStream, with what to do, if the stream is not for this upscaler with these weights."""
    spec = SPECS[UPSCALERS.index(container.upscaler)]
    if container.upscaler != upscaler:
        raise CorruptStream(f"the stream is for `{spec}`; decode it with --codec {spec}")
    if container.weights != weights:
        raise CorruptStream(
            f"the stream was made with weights {container.weights.hex()}, these are {weights.hex()}; "
            "name the right ones with the codec's setting `weights`"
        )
