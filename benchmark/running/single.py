"""One image, coded or decoded for its own sake."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.codecs import Image, is_foreign, open_codec, parse_codec_spec
from benchmark.errors import BenchmarkError, UsageError
from benchmark.guards import no_exit, told
from benchmark.images import load_image
from benchmark.running.setup import check_device

SIGNATURES = (
    (0, b"\xff\xd8\xff", "jpeg"),
    (8, b"WEBP", "webp"),
    (4, b"ftypavif", "avif"),
    (0, b"\xff\x0a", "jxl"),
    (0, b"\xff\x4f\xff\x51", "jpeg2000"),
    (0, b"HIC", "hific"),
    (0, b"SDL", "sd-latent"),
    (0, b"MSI", "msillm"),
)
"""(offset, bytes, codec) of the formats that are not our own container."""


def encode_picture(path: Path, codec: str, quality: float, device: str) -> tuple[bytes, float]:
    """(bytes, bits per pixel) of the image in `path`. Raises BenchmarkError."""
    check_device(device)
    opened = open_codec(codec, device)
    image = load_image(path)
    data = _of_foreign(codec, opened.encode, image, quality)
    if type(data) is not bytes:
        raise BenchmarkError(f"{codec}: encode returned {type(data).__name__}, not bytes")
    return data, 8 * len(data) / (image.shape[0] * image.shape[1])


def decode_file(path: Path, codec: str | None, seed: int | None, device: str) -> Image:
    """The image that the bytes in `path` hold, uint8 (height, width, 3).

    codec: None for the one that the bytes name. Raises CorruptStream, which names the file, on damaged bytes and
    BenchmarkError on bytes that no codec of the suite has written.
    """
    check_device(device)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BenchmarkError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        name = codec_of(data) if codec is None else codec
    except BenchmarkError as error:
        raise type(error)(f"{path}: {error}") from None
    if name is None:
        raise BenchmarkError(f"{path}: no codec of the suite wrote this file; --codec names one")
    try:
        opened = open_codec(name, device)
    except UsageError:
        raise
    except BenchmarkError as error:
        if codec is None and (weights := weights_of(data)) is not None:
            raise type(error)(f"{path} was made with weights {weights}, which are not here: {error}") from None
        raise
    try:
        image = _of_foreign(name, opened.decode, data, seed)
    except UsageError:
        raise
    except BenchmarkError as error:
        raise type(error)(f"{path}: {error}") from None
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        found = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise BenchmarkError(f"{path}: decode returned {found}, not uint8 (height, width, 3)")
    return image


def _of_foreign(codec: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """What `function` returns. What anyone's code raises is raised as BenchmarkError."""
    try:
        return no_exit(function, *arguments)
    except BenchmarkError:
        raise
    except Exception as error:
        if not is_foreign(parse_codec_spec(codec)):
            raise  # a mistake of the suite's own
        raise BenchmarkError(f"{codec}: {told(error)}") from error


def weights_of(data: bytes) -> str | None:
    """The eight hex digits that name the weights of a stream of HFD or of a small copy, None for any other.

    Raises CorruptStream.
    """
    from benchmark.baselines.upscale import container as small_copies
    from benchmark.hfd import container, embedding

    if data[:3] == small_copies.MAGIC:
        return small_copies.unpack(data).weights.hex() or None
    base = embedding.base_of(data)
    if base is None:
        return container.unpack(data).weights.hex() if data[:3] == container.MAGIC else None
    return embedding.extract(data, base)[0].weights.hex() if embedding.codec_of(data) is not None else None


def codec_of(data: bytes) -> str | None:
    """The name of the codec that wrote `data`, by the signature in its first bytes; None if it has none.

    A JPEG or AVIF file that carries HFD's bytes is `hfd`'s. Raises CorruptStream on a damaged container or such file.
    """
    from benchmark.baselines.upscale.container import codec_of as codec_of_small_copy
    from benchmark.hfd.embedding import codec_of as codec_of_hfd

    if (name := codec_of_hfd(data) or codec_of_small_copy(data)) is not None:
        return name
    for offset, signature, codec in SIGNATURES:
        if data[offset : offset + len(signature)] == signature:
            return codec
    return None
