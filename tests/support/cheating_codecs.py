"""A plain codec that is honest, and codecs built to cheat or to fail: an audit must catch each of these.

Each is opened from this file (`cheating_codecs.py:SideFile`), so the file imports nothing of the tests.
"""

import ctypes
import os
import pickle
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.codecs import Image
from benchmark.errors import CorruptStream, UsageError

HEADER = struct.Struct(">HHB")


class Honest:
    """Rounds samples to multiples of 2**(8 - quality), deflates them, and guards the stream with a checksum."""

    qualities: tuple[float, ...] = (1, 3, 5)
    stochastic = False
    header_bytes = HEADER.size + 4

    def encode(self, image: Image, quality: float) -> bytes:
        if quality not in range(1, 9):
            raise UsageError(f"quality {quality:g} is not a whole number from 1 to 8")
        step = 2 ** (8 - int(quality))
        return self.pack(HEADER.pack(*image.shape[:2], step - 1) + zlib.compress((image // step).tobytes(), 1))

    def decode(self, data: bytes, seed: int | None = None) -> Image:
        body = self.unpack(data)
        height, width, less = HEADER.unpack_from(body)
        samples = np.frombuffer(zlib.decompress(body[HEADER.size :]), np.uint8)
        return samples.reshape(height, width, 3) * np.uint8(min(less + 1, 255))

    def pack(self, body: bytes) -> bytes:
        return body + struct.pack(">I", zlib.crc32(body))

    def unpack(self, data: bytes) -> bytes:
        if len(data) < HEADER.size + 4 or zlib.crc32(data[:-4]) != struct.unpack(">I", data[-4:])[0]:
            raise CorruptStream("a checksum that is wrong")
        return data[:-4]

    def describe(self) -> dict[str, Any]:
        return {}


class HonestEstimate(Honest):
    def estimate_bits(self, image: Image, quality: float) -> float:
        return 8 * (len(self.encode(image, quality)) - self.header_bytes)


# What the issue of honest numbers names


class SideFile(Honest):
    """Keeps the original in a file; the stream has its name. folder: where; none for the temporary folder."""

    def __init__(self, folder: str = "") -> None:
        self.folder = folder

    def encode(self, image: Image, quality: float) -> bytes:
        data = super().encode(image, 8)
        name = f"kept-{zlib.crc32(data):08x}"
        (Path(self.folder or tempfile.gettempdir()) / name).write_bytes(data)
        return self.pack(name.encode() + bytes(int(quality)))

    def decode(self, data: bytes, seed: int | None = None) -> Image:
        name = self.unpack(data).rstrip(b"\0").decode()
        return super().decode((Path(self.folder or tempfile.gettempdir()) / name).read_bytes())


class ForgivingSideFile(SideFile):
    """Codes honestly but coarsely, and takes the file where it finds it, in a folder that was there before."""

    def encode(self, image: Image, quality: float) -> bytes:
        data = Honest.encode(self, image, quality)
        with (Path(self.folder) / "kept").open("ab") as file:
            file.write(data)
        return data

    def decode(self, data: bytes, seed: int | None = None) -> Image:
        (Path(self.folder) / "kept").read_bytes()
        return Honest.decode(self, data)


class KnowsOriginals(Honest):
    """Looks the original up among the images in `folder`."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def decode(self, data: bytes, seed: int | None = None) -> Image:
        for path in Path(self.folder).iterdir():
            path.read_bytes()
        return super().decode(data)


class NeedsEncoder(Honest):
    """Sends a number; the images stay in memory."""

    def __init__(self) -> None:
        self.pictures: list[Image] = []

    def encode(self, image: Image, quality: float) -> bytes:
        known = [np.array_equal(image, picture) for picture in self.pictures]
        if not any(known):
            self.pictures.append(image.copy())
            known.append(True)
        return self.pack(bytes([known.index(True)]) * int(4 + quality))

    def decode(self, data: bytes, seed: int | None = None) -> Image:
        return self.pictures[self.unpack(data)[0]]


# Information beside the bytes


class ShortStream(Honest):
    """Keeps the image where no watch over Python's files can see it: a program puts it into `folder`."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def encode(self, image: Image, quality: float) -> bytes:
        data = super().encode(image, quality)
        key = f"{zlib.crc32(data):08x}"
        subprocess.run(["sh", "-c", f"cat > {self.folder}/{key}"], input=data, check=True)
        return self.pack(key.encode() + bytes(int(quality)))

    def decode(self, data: bytes, seed: int | None = None) -> Image:
        key = self.unpack(data).rstrip(b"\0").decode()
        found = subprocess.run(["sh", "-c", f"cat {self.folder}/{key}"], capture_output=True, check=True)
        return super().decode(found.stdout)


class NominalBits(Honest):
    """Sends as many bytes as it says to spend, none of which says anything: the image stays in memory."""

    def encode(self, image: Image, quality: float) -> bytes:
        self.last = image
        return bytes(int(quality) * image.shape[0] * image.shape[1] // 80 + 1)

    def decode(self, data: bytes, seed: int | None = None) -> Image:
        return self.last


class KeepsInNames(Honest):
    """Names of folders in `folder` hold the image; the stream says where they begin."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    def encode(self, image: Image, quality: float) -> bytes:
        data = super().encode(image, quality)
        key = f"{zlib.crc32(data):08x}"
        for place in range(0, len(data), 100):
            (self.folder / f"{key}-{place:06}-{data[place : place + 100].hex()}").mkdir(exist_ok=True)
        return self.pack(key.encode() + bytes(int(quality)))

    def decode(self, data: bytes, seed: int | None = None) -> Image:
        key = self.unpack(data).rstrip(b"\0").decode()
        names = sorted(name for name in os.listdir(self.folder) if name.startswith(key))  # noqa: PTH208
        return super().decode(bytes.fromhex("".join(name.rpartition("-")[2] for name in names)))


class SizeElsewhere(Honest):
    """The stream holds samples alone; the size is what encode saw last, or that of the paper's images."""

    size = (64, 64)

    def encode(self, image: Image, quality: float) -> bytes:
        self.size = (image.shape[0], image.shape[1])
        step = 2 ** (8 - int(quality))
        return self.pack(bytes([step - 1]) + zlib.compress((image // step).tobytes(), 1))

    def decode(self, data: bytes, seed: int | None = None) -> Image:
        body = self.unpack(data)
        samples = np.frombuffer(zlib.decompress(body[1:]), np.uint8) * np.uint8(body[0] + 1)
        return np.resize(samples, (*self.size, 3))


class Pickles(Honest):
    """Sends a dictionary as Python writes it."""

    def pack(self, body: bytes) -> bytes:
        return super().pack(pickle.dumps({"strings": [[body]], "shape": (1, 1), "codec": type(self).__name__ * 40}))

    def unpack(self, data: bytes) -> bytes:
        body: bytes = pickle.loads(super().unpack(data))["strings"][0][0]
        return body


class IgnoresQuality(Honest):
    def encode(self, image: Image, quality: float) -> bytes:
        return super().encode(image, 4)


class PadsQuality(Honest):
    """Codes all alike and fills up, so that the rate looks as if it followed the quality."""

    def encode(self, image: Image, quality: float) -> bytes:
        return super().encode(image, 4) + bytes(int(quality))

    def decode(self, data: bytes, seed: int | None = None) -> Image:
        return super().decode(data.rstrip(b"\0"))


class TurnsQuality(Honest):
    """More quality, fewer bits."""

    def encode(self, image: Image, quality: float) -> bytes:
        return super().encode(image, 6 - quality)


class EstimatedBits(HonestEstimate):
    """Says that it takes a fifth less than it does."""

    def estimate_bits(self, image: Image, quality: float) -> float:
        return 0.8 * super().estimate_bits(image, quality)


class ShortBytes(bytes):
    def __len__(self) -> int:
        return super().__len__() // 2


class LyingLength(Honest):
    """Returns bytes whose length is a lie."""

    def encode(self, image: Image, quality: float) -> bytes:
        return ShortBytes(super().encode(image, quality))


class NotDeterministic(Honest):
    def pack(self, body: bytes) -> bytes:
        return super().pack(body + os.urandom(2))


class NotDeterministicAcrossProcesses(Honest):
    """The same within a process, as what hangs on hash seeds or addresses is."""

    def __init__(self) -> None:
        self.salt = os.urandom(2)

    def pack(self, body: bytes) -> bytes:
        return super().pack(body + self.salt)


class BreaksOnOddSizes(Honest):
    def encode(self, image: Image, quality: float) -> bytes:
        if image.shape[0] % 2 or image.shape[1] % 2:
            raise ValueError("could not broadcast")
        return super().encode(image, quality)


class CrashesOnOddSizes(Honest):
    """Takes its process with it."""

    def encode(self, image: Image, quality: float) -> bytes:
        if image.shape[0] % 2 and image.shape[1] % 2:
            ctypes.string_at(0)
        return super().encode(image, quality)


class PadsOddSizes(Honest):
    """Forgets to cut off what it added."""

    def encode(self, image: Image, quality: float) -> bytes:
        height, width = image.shape[:2]
        return super().encode(np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge"), quality)


class RefusesThin(Honest):
    """Says what it cannot do: no cheat, but an image less in every table."""

    def encode(self, image: Image, quality: float) -> bytes:
        if min(image.shape[:2]) < 4:
            raise UsageError("sides of at least 4")
        return super().encode(image, quality)


class FourFaults(IgnoresQuality, EstimatedBits, NotDeterministic, BreaksOnOddSizes):
    """Each of which a check of its own has to find, whatever the others find."""


# More of the kind


class DependsOnOrder(Honest):
    """Adds a part of the last image that it decoded."""

    def __init__(self) -> None:
        self.last = 0

    def decode(self, data: bytes, seed: int | None = None) -> Image:
        image = super().decode(data)
        result = np.minimum(image, 250) + np.uint8(self.last)
        self.last = int(image.mean()) % 5
        return result.astype(np.uint8)


class DependsOnThreads(Honest):
    def decode(self, data: bytes, seed: int | None = None) -> Image:
        image = super().decode(data)
        return image if os.environ["OMP_NUM_THREADS"] == "1" else 255 - image


class HidesSeed(Honest):
    """Calls itself deterministic and is not."""

    def decode(self, data: bytes, seed: int | None = None) -> Image:
        return super().decode(data) ^ np.uint8((seed or 0) & 1)


class Noisy(Honest):
    """A stochastic decoder, as it should be."""

    stochastic = True

    def decode(self, data: bytes, seed: int | None = None) -> Image:
        image = super().decode(data)
        return np.random.default_rng(seed or 0).integers(0, 2, image.shape, dtype=np.uint8) ^ image


class IgnoresSeed(Honest):
    """Calls itself stochastic and is not."""

    stochastic = True


class NotRepeatable(Noisy):
    """A stochastic decoder that does not keep to its seed."""

    def decode(self, data: bytes, seed: int | None = None) -> Image:
        return super().decode(data, int.from_bytes(os.urandom(4), "big"))


class EncodesByThreads(Honest):
    """Other bytes with other thread counts, decodable all the same."""

    def pack(self, body: bytes) -> bytes:
        return super().pack(body + os.environ["OMP_NUM_THREADS"].encode())


class FallingQuality(Honest):
    """An honest codec whose best quality is the lowest number."""

    qualities = (5, 3, 1)

    def encode(self, image: Image, quality: float) -> bytes:
        return super().encode(image, 6 - quality)


class LeavesProcess(Honest):
    def encode(self, image: Image, quality: float) -> bytes:
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        return super().encode(image, quality)


class NoChecksum(Honest):
    """Believes what it reads: allocates, waits and crashes as a damaged stream tells it to."""

    def pack(self, body: bytes) -> bytes:
        return struct.pack(">I", 0) + body

    def unpack(self, data: bytes) -> bytes:
        if data[0]:
            np.ones(data[0] << 30, np.uint8)
        if data[1]:
            time.sleep(3600)
        if data[2]:
            ctypes.string_at(0)
        return data[4:]


class TrustsSizes(Honest):
    """Fills up what is missing: takes any stream for an image of the size that it begins with."""

    def unpack(self, data: bytes) -> bytes:
        return data[:-4]

    def decode(self, data: bytes, seed: int | None = None) -> Image:
        if len(data) < HEADER.size:
            raise CorruptStream("no header")
        height, width, _ = HEADER.unpack_from(data)
        return np.zeros((height, width, 3), np.uint8)


class GuessesSizes(Honest):
    """Decodes a cut stream to a cut image."""

    def decode(self, data: bytes, seed: int | None = None) -> Image:
        try:
            return super().decode(data)
        except CorruptStream:
            return np.zeros((1, max(len(data), 1), 3), np.uint8)


class DependsOnDevice(Honest):
    """Decodes what its own device coded, and something else from another's."""

    def __init__(self, device: str) -> None:
        if device == "absent":
            raise UsageError("there is no device 'absent'")
        self.device = device.encode()

    def pack(self, body: bytes) -> bytes:
        return super().pack(body + self.device)

    def decode(self, data: bytes, seed: int | None = None) -> Image:
        image = super().decode(data)
        return image if self.unpack(data).endswith(self.device) else 255 - image


class CannotOpen(Honest):
    def __init__(self) -> None:
        raise RuntimeError("weights that are not there")


class DiesOpening(Honest):
    def __init__(self) -> None:
        os._exit(7)


class Surroundings(Honest):
    """Decodes to nothing but says where it is."""

    def decode(self, data: bytes, seed: int | None = None) -> Image:
        names = ("HOME", "TMPDIR", "OMP_NUM_THREADS", "PYTHONHASHSEED")
        raise CorruptStream(" ".join([*(os.environ[name] for name in names), str(Path.cwd()), tempfile.gettempdir()]))


class CrashesOpening(Honest):
    def __init__(self) -> None:
        ctypes.string_at(0)
