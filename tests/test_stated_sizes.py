"""Files whose header states another size than their data has: refused, whether rows are missing or left over.

What is right follows from each format's own arithmetic: data of 24x16 samples is not of 24x15, nor of 22x16. Where data
comes in blocks, a size within the same blocks cannot be told from the true one.
"""

import io
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmark.errors import BenchmarkError
from benchmark.images import load_image

WIDTH, HEIGHT = 24, 16


def samples(width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def written(name: str, image: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, name, **options)
    return buffer.getvalue()


def restated(name: str, data: bytes, width: int, height: int) -> bytes:
    """`data`, a file of the format `name`, with another size in its header."""
    out = bytearray(data)
    if name == "PNG":
        out[16:24] = struct.pack(">II", width, height)
        out[29:33] = struct.pack(">I", zlib.crc32(out[12:29]))
    elif name == "JPEG":
        found = re.search(rb"\xff[\xc0-\xc2]\x00[\x11\x0b]\x08", data)
        assert found is not None
        out[found.end() : found.end() + 4] = struct.pack(">HH", height, width)
    elif name == "BMP":
        out[18:26] = struct.pack("<ii", width, height)
    elif name == "PPM":
        return re.sub(rb"^(P\d\s)\d+ \d+", rb"\g<1>%d %d" % (width, height), data)
    elif name == "GIF":
        out[6:10] = struct.pack("<HH", width, height)
        at = data.index(b",\0\0\0\0" + data[6:10]) + 5
        out[at : at + 4] = out[6:10]
    elif name == "WEBP":
        lossy = data[12:16] == b"VP8 "
        if lossy:
            out[26:30] = struct.pack("<HH", width, height)
        else:
            (packed,) = struct.unpack_from("<I", data, 21)
            out[21:25] = struct.pack("<I", packed & ~0xFFFFFFF | (width - 1) | (height - 1) << 14)
    elif name == "AVIF":
        at = data.index(b"ispe") + 8
        out[at : at + 8] = struct.pack(">II", width, height)
    elif name == "TIFF":
        (at,) = struct.unpack_from("<I", data, 4)
        for entry in range(at + 2, at + 2 + 12 * struct.unpack_from("<H", data, at)[0], 12):
            tag, kind = struct.unpack_from("<HH", data, entry)
            if tag in (256, 257):
                struct.pack_into("<H" if kind == 3 else "<I", out, entry + 8, {256: width, 257: height}[tag])
    return bytes(out)


GREY = samples()[..., 0]
EXACT = {
    "PNG": written("PNG", samples()),
    "PNG, grey": written("PNG", GREY),
    "BMP": written("BMP", samples()),
    "BMP, grey": written("BMP", GREY),
    "PPM": written("PPM", samples()),
    "PPM, grey": written("PPM", GREY),
    "PPM, plain": b"P3\n24 16\n255\n" + b" ".join(b"%d" % value for value in samples().ravel()) + b"\n",
    "PPM, digits": b"P1\n24 16\n" + b"".join(b"%d" % (value > 99) for value in GREY.ravel()) + b"\n",
    "GIF": written("GIF", GREY),
    "WEBP, lossless": written("WEBP", samples(), lossless=True),
    "AVIF": written("AVIF", samples(), quality=90),
    **{
        f"TIFF, {compression}": written("TIFF", samples(), compression=compression)
        for compression in ("raw", "tiff_lzw", "packbits", "tiff_adobe_deflate", "lzma", "jpeg")
    },
}
BLOCKS = {
    "JPEG": written("JPEG", samples(64, 48), quality=90),
    "JPEG, whole colour": written("JPEG", samples(64, 48), quality=60, subsampling=0),
    "JPEG, progressive": written("JPEG", samples(64, 48), quality=90, progressive=True),
    "JPEG, grey": written("JPEG", samples(64, 48)[..., 1]),
    "JPEG, restarts": written("JPEG", samples(64, 48), restart_marker_rows=1),
    "WEBP": written("WEBP", samples(64, 48), quality=90),
}
"""64x48, in blocks of 16 at most."""


def refusal(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    with pytest.raises(BenchmarkError) as caught:
        load_image(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("kind", EXACT)
def test_a_row_or_some_columns_more_or_fewer(kind: str, tmp_path: Path) -> None:
    data, name = EXACT[kind], kind.partition(",")[0]
    (tmp_path / "whole").write_bytes(data)
    assert load_image(tmp_path / "whole").shape == (HEIGHT, WIDTH, 3)
    assert restated(name, data, WIDTH, HEIGHT) == data
    for width, height in ((24, 15), (24, 17), (24, 8), (24, 32), (20, 16), (28, 16), (12, 16), (48, 16)):
        assert "image" in refusal(tmp_path / "other", restated(name, data, width, height)), (width, height)


@pytest.mark.parametrize("kind", BLOCKS)
def test_a_row_of_blocks_more_or_fewer(kind: str, tmp_path: Path) -> None:
    data, name = BLOCKS[kind], kind.partition(",")[0]
    (tmp_path / "whole").write_bytes(data)
    assert load_image(tmp_path / "whole").shape == (48, 64, 3)
    for width, height in ((64, 32), (64, 64), (64, 16), (64, 96), (48, 48), (80, 48), (32, 48), (128, 48)):
        assert "image" in refusal(tmp_path / "other", restated(name, data, width, height)), (width, height)


def test_sound_files_of_any_kind_are_read(tmp_path: Path) -> None:
    """What is left over is looked for by taking data away, which must never pass for left over where it is needed."""
    y, x = np.mgrid[:40, :40]
    kinds = [samples(40, 40), np.full((40, 40, 3), 77, np.uint8), np.stack([x * 5, y * 6, x + y], -1).astype(np.uint8)]
    kinds.append(np.where((y > 20)[..., None], np.uint8(9), kinds[1]))
    path = tmp_path / "sound"
    for image in kinds:
        for width, height in ((40, 40), (17, 33), (1, 1), (8, 40)):
            part = np.ascontiguousarray(image[:height, :width])
            for quality in (1, 90):
                for more in (
                    {},
                    {"optimize": True},
                    {"progressive": True},
                    {"restart_marker_blocks": 2, "optimize": True},
                ):
                    path.write_bytes(written("JPEG", part, quality=quality, **more))
                    assert load_image(path).shape == (height, width, 3)
                path.write_bytes(written("WEBP", part, quality=quality))
                assert load_image(path).shape == (height, width, 3)


def tiff_of(strips: list[bytes], rows: int, height: int, offsets: int | None = None) -> bytes:
    """Raw, grey, 24 samples a row. offsets: how many strips it says that there are."""
    count = len(strips) if offsets is None else offsets
    tags = [
        *((256, 1, WIDTH), (257, 1, height), (258, 1, 8), (259, 1, 1), (262, 1, 1), (277, 1, 1), (278, 1, rows)),
        *((273, count, None), (279, count, None)),
    ]
    lists = 8 + 2 + 12 * len(tags) + 4
    start = lists + 8 * count
    places = [start + sum(map(len, strips[:n])) for n in range(count)]
    sizes = [len(strip) for strip in (*strips, *([strips[-1]] * count))[:count]]
    directory = struct.pack("<H", len(tags))
    for tag, number, value in sorted(tags, key=lambda each: each[0]):
        if value is None:
            own = places if tag == 273 else sizes
            value = own[0] if count == 1 else lists + (0 if tag == 273 else 4 * count)
        directory += struct.pack("<HHII", tag, 4, number, value)
    listed = struct.pack(f"<{2 * count}I", *places, *sizes)
    return b"II*\0" + struct.pack("<I", 8) + directory + bytes(4) + listed + b"".join(strips)


def test_strips_of_a_tiff(tmp_path: Path) -> None:
    rows, path = [row.tobytes() for row in GREY], tmp_path / "strips"
    short, full = [b"".join(rows[:8]), b"".join(rows[8:14])], [b"".join(rows[:8]), b"".join(rows[8:])]
    for strips in (short, full):  # some writers fill the last one up
        path.write_bytes(tiff_of(strips, 8, 14))
        np.testing.assert_array_equal(load_image(path)[..., 0], GREY[:14])
    assert "more image data than rows" in refusal(path, tiff_of([full[0], full[1][:-24]], 8, 14))
    assert "more image data than rows" in refusal(path, tiff_of(full, 7, 14))
    assert "2 strips or tiles, where there should be 1" in refusal(path, tiff_of(full, 8, 8))
    assert "where there should be 3" in refusal(path, tiff_of(full, 8, 20))
