"""Codecs that are quick, and codecs that misbehave, for tests of what is around a codec."""

import os
import signal
import struct
import tempfile
import time
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.codecs import CODECS, Codec, Image
from benchmark.errors import CorruptStream, UsageError


@dataclass
class Tiny:
    """Rounds samples to multiples of 2**(8 - quality) and packs them. Counts its calls."""

    stochastic: bool = False
    qualities: tuple[float, ...] = (2, 4)
    encoded: int = 0
    decoded: int = 0

    def encode(self, image: Image, quality: float) -> bytes:
        if not 1 <= quality <= 8:
            raise UsageError(f"tiny: quality {quality:g} is not between 1 and 8")
        self.encoded += 1
        step = 2 ** (8 - int(quality))
        height, width = image.shape[:2]
        body = struct.pack(">III", height, width, step) + zlib.compress((image // step).tobytes(), 1)
        return body + struct.pack(">I", zlib.crc32(body))

    def decode(self, data: bytes, seed: int | None = None) -> Image:
        if len(data) < 16 or zlib.crc32(data[:-4]) != struct.unpack(">I", data[-4:])[0]:
            raise CorruptStream("tiny: not a tiny stream")
        self.decoded += 1
        height, width, step = struct.unpack(">III", data[:12])
        image = np.frombuffer(zlib.decompress(data[12:-4]), np.uint8).reshape(height, width, 3) * np.uint8(step)
        if self.stochastic:
            noise = np.random.default_rng(seed).integers(0, step, image.shape)
            return np.minimum(image + noise, 255).astype(np.uint8)
        return image

    def describe(self) -> dict[str, Any]:
        return {"steps": (1, 2), "kind": type(self).__name__}


class WrongShape(Tiny):
    def decode(self, data: bytes, seed: int | None = None) -> Image:
        return super().decode(data, seed)[:-1]


class WrongType(Tiny):
    def decode(self, data: bytes, seed: int | None = None) -> Image:
        return super().decode(data, seed).astype(np.float32)  # type: ignore[return-value]


class Breaks(Tiny):
    """Cannot encode an image whose first sample is 0."""

    def encode(self, image: Image, quality: float) -> bytes:
        if image[0, 0, 0] == 0:
            raise RuntimeError("a zero\nin the corner")
        return super().encode(image, quality)


class Dies(Tiny):
    """Kills its process on an image whose first sample is 0."""

    def encode(self, image: Image, quality: float) -> bytes:
        if image[0, 0, 0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().encode(image, quality)


class Slow(Tiny):
    def decode(self, data: bytes, seed: int | None = None) -> Image:
        time.sleep(0.05)
        return super().decode(data, seed)


@dataclass
class Waits(Tiny):
    """Makes a file in `folder` when it begins to decode, and takes `seconds` for it."""

    folder: str = "."
    seconds: float = 0

    def decode(self, data: bytes, seed: int | None = None) -> Image:
        tempfile.mkstemp(dir=self.folder, prefix="decoding-")
        end = time.monotonic() + self.seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(left)
        return super().decode(data, seed)


class Vandal(Tiny):
    """Writes into the image that it is given."""

    def encode(self, image: Image, quality: float) -> bytes:
        data = super().encode(image, quality)
        image[:] = 0
        return data


def tiny(device: str = "cpu", note: str = "") -> Codec:
    return Tiny()


def noisy(device: str = "cpu") -> Codec:
    return Tiny(stochastic=True)


def wrong_shape(device: str = "cpu") -> Codec:
    return WrongShape()


def wrong_type(device: str = "cpu") -> Codec:
    return WrongType()


def breaks(device: str = "cpu") -> Codec:
    return Breaks()


def dies(device: str = "cpu") -> Codec:
    return Dies()


def slow(device: str = "cpu") -> Codec:
    return Slow()


def waits(device: str = "cpu", *, folder: str, seconds: str) -> Codec:
    return Waits(folder=folder, seconds=float(seconds))


def vandal(device: str = "cpu") -> Codec:
    return Vandal()


def register() -> None:
    """Makes the fakes known by name; may be called again."""
    for name in ("tiny", "noisy", "wrong_shape", "wrong_type", "breaks", "dies", "slow", "waits", "vandal"):
        CODECS.add(name, f"support.fake_codecs:{name}", "for tests")
