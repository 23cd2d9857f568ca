"""A damaged image file is refused, or gives the very samples of the whole one: no other outcome.

Formats without checksums cannot tell one value from another: there, only what is missing is noticed.
"""

import json
import random
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from benchmark.errors import BenchmarkError
from benchmark.image_files import tiff
from benchmark.images import load_image, png_bytes

pytestmark = pytest.mark.long

FOLDER = Path(__file__).parent / "odd_images"
FILES = FOLDER / "files"
READ = [name for name, case in json.loads((FOLDER / "images.json").read_text("utf-8")).items() if "pixels" in case]
ENDS = {"png": b"\0\0\0\0IEND\xaeB`\x82", "jpeg": b"\xff\xd9", "gif": b"\0;"}
"""What makes the end of a cut file look right."""
PLAIN = ("pnm/p2", "pnm/p3")
"""Whose last number may have lost digits, which nothing tells."""


def outcome(path: Path, data: bytes) -> npt.NDArray[np.uint8] | None:
    """The image in `data`; None if it is refused, in one line that names the file."""
    path.write_bytes(data)
    try:
        return load_image(path)
    except BenchmarkError as error:
        refusal = str(error)
    assert refusal.startswith(f"{path}: ")
    assert "\n" not in refusal
    return None


def cuts(name: str, data: bytes, places: list[int]) -> Iterator[bytes]:
    for place in places:
        if not (name.startswith(PLAIN) and place > len(data) - 8):
            yield data[:place]
            yield data[:place] + ENDS.get(name.partition("/")[0], b"")


def check_cuts(name: str, places: list[int], path: Path) -> None:
    data, whole = (FILES / name).read_bytes(), load_image(FILES / name)
    for cut in cuts(name, data, places):
        image = outcome(path, cut)
        assert image is None or np.array_equal(image, whole), len(cut)


@pytest.mark.parametrize("name", READ)
def test_a_cut_file_is_refused_or_lost_no_sample(name: str, tmp_path: Path) -> None:
    size = (FILES / name).stat().st_size
    check_cuts(name, [size // 2, size * 7 // 8, size - 3], tmp_path / "cut")


@pytest.mark.slow
@pytest.mark.parametrize("name", READ)
def test_a_file_cut_anywhere_is_refused_or_lost_no_sample(name: str, tmp_path: Path) -> None:
    """60 places, evenly, and each of the last 32 bytes."""
    size = (FILES / name).stat().st_size
    places = {*range(0, size, max(1, size // 60)), *range(max(0, size - 32), size)}
    check_cuts(name, sorted(places), tmp_path / "cut")


@pytest.mark.parametrize("name", ["webp/whole", "webp/lossy", "webp/lossless"])
def test_a_webp_that_is_cut_and_whose_sizes_are_made_to_fit(name: str, tmp_path: Path) -> None:
    data, whole = (FILES / f"{name}.webp").read_bytes(), load_image(FILES / f"{name}.webp")
    (size,) = struct.unpack_from("<I", data, 16)
    for part in range(2, size, max(2, size // 40)):
        body = data[20 : 20 + part] + bytes(part % 2)
        cut = b"RIFF" + struct.pack("<I", 12 + len(body)) + data[8:16] + struct.pack("<I", part) + body
        image = outcome(tmp_path / "cut", cut)
        assert image is None or np.array_equal(image, whole), part


@pytest.mark.parametrize("name", ["lossless", "lossy-420", "grey", "alpha-opaque", "icc"])
def test_an_avif_whose_item_says_that_it_is_shorter(name: str, tmp_path: Path) -> None:
    data = (FILES / f"avif/{name}.avif").read_bytes()
    start = data.index(b"mdat") + 4
    extent = data.index(struct.pack(">I", start), data.index(b"iloc"))
    (size,) = struct.unpack_from(">I", data, extent + 4)
    for part in range(size // 4, size, max(1, size // 40)):
        assert outcome(tmp_path / "cut", data[: extent + 4] + struct.pack(">I", part) + data[extent + 8 :]) is None


@pytest.mark.parametrize("name", [name for name in READ if name.startswith("png/") and "trailing" not in name])
def test_every_flipped_bit_of_a_png_is_noticed(name: str, tmp_path: Path) -> None:
    data = (FILES / name).read_bytes()
    for place in random.Random(name).sample(range(8 * len(data)), 12):
        flipped = bytearray(data)
        flipped[place // 8] ^= 1 << place % 8
        assert outcome(tmp_path / "flipped", bytes(flipped)) is None, place


@pytest.mark.parametrize("layout", ["chunky", "planar", "tiles", "planar-tiles"])
def test_every_flipped_bit_of_deflated_samples_is_noticed(layout: str, tmp_path: Path) -> None:
    data = (FILES / f"tiff/rgb8-{layout}-deflate.tif").read_bytes()
    whole = load_image(FILES / f"tiff/rgb8-{layout}-deflate.tif")
    for start, size in tiff._places(tiff.directory(data)):
        for place in random.Random(start).sample(range(8 * start, 8 * (start + size)), 12):
            flipped = bytearray(data)
            flipped[place // 8] ^= 1 << place % 8
            image = outcome(tmp_path / "flipped", bytes(flipped))
            assert image is None or np.array_equal(image, whole), place


@pytest.mark.parametrize("name", READ)
def test_flipped_bits_make_one_line_or_an_image(name: str, tmp_path: Path) -> None:
    data, generator = (FILES / name).read_bytes(), random.Random(name)
    for _ in range(6):
        flipped = bytearray(data)
        for place in generator.sample(range(min(len(data), 400)), min(3, len(data))):
            flipped[place] = generator.randrange(256)
        image = outcome(tmp_path / "flipped", bytes(flipped))
        assert image is None or (image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3)


@pytest.mark.slow
@pytest.mark.parametrize("name", READ)
def test_many_flipped_bytes_make_one_line_or_an_image(name: str, tmp_path: Path) -> None:
    data, generator = (FILES / name).read_bytes(), random.Random(name)
    for _ in range(80):
        flipped = bytearray(data)
        for place in generator.sample(range(len(data)), min(generator.choice([1, 2, 8]), len(data))):
            flipped[place] = generator.randrange(256)
        image = outcome(tmp_path / "flipped", bytes(flipped))
        assert image is None or (image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3)


def test_a_png_that_unpacks_to_more_than_its_rows_is_refused_soon(tmp_path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    whole = png_bytes(np.zeros((4, 4, 3), np.uint8))
    bomb = whole[:33] + chunk(b"IDAT", zlib.compress(bytes(10**8), 9)) + chunk(b"IEND", b"")
    path = tmp_path / "bomb.png"
    path.write_bytes(bomb)
    with pytest.raises(BenchmarkError, match="more image data than rows"):
        load_image(path)
