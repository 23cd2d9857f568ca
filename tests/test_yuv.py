"""Images as planes of samples: known answers of H.273, bounds of the rounding, other people's conversions."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from benchmark.errors import CorruptStream
from benchmark.yuv import LAYOUTS, Format, Layout, Matrix, Range, from_yuv, to_yuv

COLOURS = {
    "white": (255, 255, 255),
    "black": (0, 0, 0),
    "grey": (128, 128, 128),
    "red": (255, 0, 0),
    "green": (0, 255, 0),
    "blue": (0, 0, 255),
}

KNOWN = {
    # the bars of BT.709 and BT.601 in the range of television, and JPEG's (T.871)
    ("bt709", "limited"): [
        (235, 128, 128),
        (16, 128, 128),
        (126, 128, 128),
        (63, 102, 240),
        (173, 42, 26),
        (32, 240, 118),
    ],
    ("bt601", "limited"): [
        (235, 128, 128),
        (16, 128, 128),
        (126, 128, 128),
        (81, 90, 240),
        (145, 54, 34),
        (41, 240, 110),
    ],
    ("bt601", "full"): [(255, 128, 128), (0, 128, 128), (128, 128, 128), (76, 85, 255), (150, 44, 21), (29, 255, 107)],
}


def patch(colour: tuple[int, int, int], height: int = 2, width: int = 2) -> np.ndarray:
    return np.full((height, width, 3), colour, dtype=np.uint8)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(("matrix", "range_"), KNOWN)
def test_known_colours_have_their_known_samples(matrix: Matrix, range_: Range) -> None:
    for colour, expected in zip(COLOURS.values(), KNOWN[matrix, range_], strict=True):
        for layout in ("yuv444p8", "yuv420p8"):
            data = to_yuv(patch(colour), Format(layout, matrix, range_))  # type: ignore[arg-type]
            assert (data[0], data[4], data[-1]) == expected, colour


def test_ten_bits_are_little_endian_words() -> None:
    white = np.frombuffer(to_yuv(patch((255, 255, 255)), Format("yuv444p10")), "<u2")
    assert white.tolist() == 4 * [1023] + 8 * [512]
    limited = np.frombuffer(to_yuv(patch((255, 255, 255)), Format("yuv444p10", "bt709", "limited")), "<u2")
    assert limited.tolist() == 4 * [940] + 8 * [512]
    red = np.frombuffer(to_yuv(patch((255, 0, 0)), Format("yuv420p10")), "<u2")
    assert red.tolist() == 4 * [217] + [395, 1023]  # 0.2126 * 1023; 512 - 117.2; 512 + 511.5, which 1023 ends


@pytest.mark.parametrize("matrix", ["bt709", "bt601"])
@pytest.mark.parametrize("range_", ["full", "limited"])
def test_ten_bits_lose_nothing(matrix: Matrix, range_: Range) -> None:
    """Half a step of each of three samples is less than half a step of an 8-bit colour."""
    steps = np.array([0, 1, 2, 31, 64, 100, 127, 128, 129, 180, 200, 253, 254, 255], dtype=np.uint8)
    grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
    for image in (grid, noise(64, 61)):
        height, width = image.shape[:2]
        format_ = Format("yuv444p10", matrix, range_)
        np.testing.assert_array_equal(from_yuv(to_yuv(image, format_), width, height, format_), image)


@pytest.mark.slow
@pytest.mark.parametrize("matrix", ["bt709", "bt601"])
@pytest.mark.parametrize("range_", ["full", "limited"])
def test_ten_bits_lose_nothing_of_any_colour(matrix: Matrix, range_: Range) -> None:
    format_ = Format("yuv444p10", matrix, range_)
    blue = np.arange(256, dtype=np.uint8)
    for red in range(256):
        image = np.stack(np.broadcast_arrays(np.uint8(red), blue[:, None], blue), axis=-1)
        np.testing.assert_array_equal(from_yuv(to_yuv(image, format_), 256, 256, format_), image)


@pytest.mark.parametrize(("range_", "most"), [("full", 1), ("limited", 2)])
def test_eight_bits_lose_no_more_than_their_steps(range_: Range, most: int) -> None:
    format_ = Format("yuv444p8", "bt709", range_)
    image = noise(64, 61)
    back = from_yuv(to_yuv(image, format_), 61, 64, format_)
    assert 0 < np.abs(back.astype(int) - image).max() <= most


def test_greys_survive_halved_chroma() -> None:
    image = np.repeat(noise(7, 9)[:, :, :1], 3, axis=2)
    for layout in LAYOUTS:
        format_ = Format(layout)  # type: ignore[arg-type]
        back = from_yuv(to_yuv(image, format_), 9, 7, format_)
        np.testing.assert_array_equal(back, image)


def test_halved_chroma_is_the_mean_of_four_and_comes_back_bilinear() -> None:
    """At the middle of four samples: linear ramps of chroma stay what they are inside of the image."""
    image = np.zeros((8, 32, 3), np.uint8) + 100
    image[..., 2] += (4 * np.arange(32)).astype(np.uint8)
    format_ = Format("yuv420p10", "bt709", "full")
    data = np.frombuffer(to_yuv(image, format_), "<u2")
    blue = data[8 * 32 : 8 * 32 + 4 * 16].reshape(4, 16)
    whole = np.frombuffer(to_yuv(image, Format("yuv444p10")), "<u2")[8 * 32 : 2 * 8 * 32].reshape(8, 32).astype(float)
    assert np.abs(blue - (whole[::2, ::2] + whole[::2, 1::2]) / 2).max() <= 1
    back = from_yuv(data.tobytes(), 32, 8, format_).astype(int)
    assert np.abs(back - image)[:, 1:-1].max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (1, 4), (5, 3), (6, 8)])
def test_any_size_comes_back(size: tuple[int, int]) -> None:
    image = patch((200, 30, 90), *size)
    for layout in LAYOUTS:
        format_ = Format(layout)  # type: ignore[arg-type]
        data = to_yuv(image, format_)
        columns, rows = format_.size(size[1], size[0])
        samples = columns * rows * (1.5 if format_.halved else 3)
        assert len(data) == samples * (2 if format_.bits == 10 else 1)
        back = from_yuv(data, size[1], size[0], format_)
        assert back.shape == image.shape
        assert np.abs(back.astype(int) - image).max() <= 1


def test_what_is_no_single_image_is_refused() -> None:
    format_ = Format("yuv420p10")
    data = to_yuv(noise(6, 8), format_)
    for wrong in (data[:-1], data + data, b""):
        with pytest.raises(CorruptStream, match=r"bytes where one image, yuv420p10 of 8x6 pixels, has 144"):
            from_yuv(wrong, 8, 6, format_)
    with pytest.raises(CorruptStream, match="a sample of 1024, more than 10 bits hold"):
        from_yuv(b"\0\4" + data[2:], 8, 6, format_)


def test_the_record_says_what_moves_the_samples() -> None:
    assert Format("yuv444p10").describe() == {"matrix": "bt709", "range": "full"}
    assert Format("yuv420p8", "bt601", "limited").describe()["chroma"] == "centre"


def test_jpegs_own_conversion_is_the_same_but_for_its_rounding() -> None:
    """Oracle: Pillow's YCbCr is T.871's, BT.601 in full range, in fixed point."""
    from PIL import Image as Pillow

    image = noise(64, 64)
    planes = np.frombuffer(to_yuv(image, Format("yuv444p8", "bt601", "full")), np.uint8).reshape(3, 64, 64)
    theirs = np.moveaxis(np.asarray(Pillow.fromarray(image).convert("YCbCr")), 2, 0)
    assert np.abs(planes.astype(int) - theirs).max() <= 1


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("matrix", ["bt709", "bt601"])
@pytest.mark.parametrize("range_", ["full", "limited"])
def test_ffmpeg_converts_alike(tmp_path: Path, layout: Layout, matrix: Matrix, range_: Range) -> None:
    """Oracle: FFmpeg's swscale: fixed point, so within two steps of 8 bits; its filter of chroma is another."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("needs ffmpeg")
    image = np.kron(noise(4, 4), np.ones((32, 32, 1), np.uint8))
    (tmp_path / "in.rgb").write_bytes(image.tobytes())
    pixels = f"{layout.rpartition('p')[0]}p{'' if layout.endswith('p8') else '10le'}"
    scale = f"out_color_matrix={matrix}:out_range={range_}:flags=bicubic+accurate_rnd+full_chroma_int"
    line = ["ffmpeg", "-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "128x128", "-i", "in.rgb"]
    line += ["-vf", f"scale={scale},format={pixels}", "-f", "rawvideo", "out.yuv"]
    subprocess.run(line, cwd=tmp_path, check=True)
    kind = "<u2" if layout.endswith("10") else "u1"
    theirs = np.frombuffer((tmp_path / "out.yuv").read_bytes(), kind).astype(int)
    ours = np.frombuffer(to_yuv(image, Format(layout, matrix, range_)), kind).astype(int)
    assert theirs.shape == ours.shape
    step = 4 if layout.endswith("10") else 1
    luma = 128 * 128
    assert np.abs(ours - theirs)[:luma].max() <= 2 * step
    inside = np.abs(ours - theirs)[luma:]  # chroma that is halved is the same inside of blocks of 32 pixels
    assert np.quantile(inside, 0.4 if layout.startswith("yuv420") else 1) <= 2 * step


@pytest.mark.slow
@pytest.mark.parametrize("matrix", ["bt709", "bt601"])
@pytest.mark.parametrize("range_", ["full", "limited"])
def test_colour_science_converts_alike(matrix: Matrix, range_: Range) -> None:
    """Oracle: the package colour-science, exact but for ties."""
    colour = pytest.importorskip("colour")
    image = noise(64, 64)
    weights = colour.WEIGHTS_YCBCR["ITU-R BT.709" if matrix == "bt709" else "ITU-R BT.601"]
    theirs = colour.RGB_to_YCbCr(
        image / 255, K=weights, in_bits=10, in_legal=False, out_bits=10, out_legal=range_ == "limited", out_int=True
    )
    ours = np.frombuffer(to_yuv(image, Format("yuv444p10", matrix, range_)), "<u2").reshape(3, 64, 64)
    difference = np.abs(np.moveaxis(theirs, 2, 0).astype(int) - ours)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.01
