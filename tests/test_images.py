"""What is read as an image, with which samples, and what is refused."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image, ImageCms, ImageFile, ImageOps, PngImagePlugin, TiffImagePlugin

from benchmark import images
from benchmark.errors import BenchmarkError
from benchmark.images import image_of, load_image, png_bytes, write_png

RGB = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def saved(path: Path, picture: Image.Image, **options: object) -> Path:
    picture.save(path, **options)
    return path


def png(path: Path, depth: int, colour_type: int, channels: int, width: int = 3, height: int = 2) -> Path:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    rows = (b"\0" + bytes(width * channels * depth // 8)) * height if width * height < 10**6 else b""
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return path


@settings(max_examples=30)
@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))))
def test_png_keeps_every_sample(image: npt.NDArray[np.uint8]) -> None:
    import io

    assert np.array_equal(np.asarray(Image.open(io.BytesIO(png_bytes(image)))), image)


def test_a_written_picture_is_read_again_and_can_be_changed(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", RGB)
    read = load_image(tmp_path / "a.png")
    assert np.array_equal(read, RGB)
    read[0, 0, 0] = 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_grey_palette_and_bilevel_become_rgb(tmp_path: Path) -> None:
    grey = RGB[..., 0]
    assert np.array_equal(load_image(saved(tmp_path / "l.png", Image.fromarray(grey))), np.stack([grey] * 3, axis=-1))
    few = Image.fromarray(RGB // 128 * 255)
    assert np.array_equal(load_image(saved(tmp_path / "p.png", few.quantize(8))), np.asarray(few))
    bilevel = load_image(saved(tmp_path / "1.png", Image.fromarray(grey > 99)))
    assert np.array_equal(bilevel[..., 1], np.where(grey > 99, 255, 0))


@pytest.mark.parametrize("suffix", ["bmp", "ppm", "tif", "gif"])
def test_other_lossless_formats(tmp_path: Path, suffix: str) -> None:
    image = RGB // 128 * 255
    assert np.array_equal(load_image(saved(tmp_path / f"a.{suffix}", Image.fromarray(image))), image)


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it rotated by 90 degrees clockwise
    path = saved(tmp_path / "a.png", Image.fromarray(RGB), exif=exif)
    assert np.array_equal(load_image(path), np.rot90(RGB, -1))


def test_an_opaque_alpha_channel_is_dropped(tmp_path: Path) -> None:
    opaque = np.dstack([RGB, np.full(RGB.shape[:2], 255, np.uint8)])
    assert np.array_equal(load_image(saved(tmp_path / "a.png", Image.fromarray(opaque))), RGB)
    assert np.array_equal(
        load_image(saved(tmp_path / "b.png", Image.fromarray(RGB[..., 0]).convert("LA")))[..., 2], RGB[..., 0]
    )


def refused() -> dict[str, tuple[Image.Image, str, dict[str, object]]]:
    seen_through = Image.fromarray(np.dstack([RGB, RGB[..., :1]]))
    return {
        "alpha.png": (seen_through, "transparent", {}),
        "key.png": (Image.fromarray(RGB), "transparent", {"transparency": tuple(map(int, RGB[0, 0]))}),
        "cmyk.jpg": (Image.fromarray(RGB).convert("CMYK"), "CMYK", {}),
        "float.tif": (Image.fromarray(RGB[..., 0].astype(np.float32)), "8 bits", {}),
        "deep.tif": (Image.fromarray(RGB[..., 0].astype(np.uint16) * 256), "8 bits", {}),
        "moving.gif": (
            Image.fromarray(RGB),
            "2 frames",
            {"save_all": True, "append_images": [Image.fromarray(255 - RGB)]},
        ),
        "pages.tif": (
            Image.fromarray(RGB),
            "2 frames or pages",
            {"save_all": True, "append_images": [Image.fromarray(255 - RGB)]},
        ),
    }


@pytest.mark.parametrize("name", refused())
def test_what_has_no_honest_conversion_is_refused(tmp_path: Path, name: str) -> None:
    picture, reason, options = refused()[name]
    with pytest.raises(BenchmarkError, match=f"{name}.*{reason}"):
        load_image(saved(tmp_path / name, picture, **options))


@pytest.mark.parametrize(("colour_type", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_16_bits_are_refused_and_8_are_not(tmp_path: Path, colour_type: int, channels: int) -> None:
    with pytest.raises(BenchmarkError, match="more than 8 bits"):
        load_image(png(tmp_path / "deep.png", 16, colour_type, channels))
    if channels in (1, 3):
        assert load_image(png(tmp_path / "plain.png", 8, colour_type, channels)).shape == (2, 3, 3)


def test_deep_ppm_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.ppm").write_bytes(b"P6\n2 2\n65535\n" + bytes(24))
    with pytest.raises(BenchmarkError, match="more than 8 bits"):
        load_image(tmp_path / "a.ppm")


def test_decompression_bombs_are_refused_before_they_are_unpacked(tmp_path: Path) -> None:
    side = int(images.MAX_PIXELS**0.5) + 1
    for width, height in [(side, side), (2 * side, 2 * side), (images.MAX_PIXELS + 1, 1)]:
        with pytest.raises(BenchmarkError, match="pixels"):
            load_image(png(tmp_path / "bomb.png", 8, 2, 3, width, height))


def test_100_megapixels_are_read(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.new("1", (10_000, 10_000), 1).save(path, compress_level=1)
    assert images.MAX_PIXELS >= 10**8
    image = load_image(path)
    assert image.shape == (10_000, 10_000, 3)
    assert image[0, 0, 0] == image[-1, -1, 2] == 255


@pytest.mark.parametrize("size", [(1, 1), (3000, 1), (1, 3000)])
def test_tiny_and_thin_pictures_are_read(tmp_path: Path, size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    assert np.array_equal(load_image(saved(tmp_path / "a.png", Image.fromarray(image))), image)


def test_the_content_counts_not_the_suffix(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(RGB).save(path, "PNG")
    assert np.array_equal(load_image(path), RGB)


def test_samples_are_taken_as_they_are_whatever_the_profile_says(tmp_path: Path) -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    path = saved(tmp_path / "a.png", Image.fromarray(RGB), icc_profile=lab)
    with Image.open(path) as opened:
        assert opened.info["icc_profile"] == lab
    assert np.array_equal(load_image(path), RGB)


def test_of_a_phones_several_pictures_the_first_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    first = Image.fromarray(np.full((16, 16, 3), 200, np.uint8))
    first.save(path, "MPO", save_all=True, append_images=[Image.new("RGB", (16, 16))], quality=95)
    assert np.abs(load_image(path).astype(int) - 200).max() < 5


@pytest.mark.parametrize("suffix", ["png", "webp", "avif"])
def test_moving_pictures_are_refused(tmp_path: Path, suffix: str) -> None:
    frames = [Image.fromarray(np.full((16, 16, 3), shade, np.uint8)) for shade in (0, 255)]
    frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:], duration=100)
    with pytest.raises(BenchmarkError, match="2 frames or pages"):
        load_image(tmp_path / f"a.{suffix}")


@pytest.mark.parametrize("mode", ["CMYK", "LAB"])
def test_other_colour_spaces_are_refused(tmp_path: Path, mode: str) -> None:
    picture = Image.fromarray(RGB)
    if mode == "LAB":
        profiles = [ImageCms.createProfile(name) for name in ("sRGB", "LAB")]
        picture = ImageCms.applyTransform(picture, ImageCms.buildTransform(*profiles, "RGB", "LAB"))
    else:
        picture = picture.convert(mode)
    with pytest.raises(BenchmarkError, match=f"colour mode {mode}"):
        load_image(saved(tmp_path / "a.tif", picture))


@pytest.mark.parametrize(("suffix", "part"), [("jpg", 0.6), ("webp", 0.6), ("avif", 0.6), ("tif", 0.6), ("bmp", 0.6)])
def test_truncated_files_are_refused(tmp_path: Path, suffix: str, part: float) -> None:
    path = saved(tmp_path / f"a.{suffix}", Image.fromarray(np.resize(RGB, (64, 64, 3))))
    data = path.read_bytes()
    path.write_bytes(data[: int(part * len(data))])
    with pytest.raises(BenchmarkError, match=r"cannot be read|not an image"):
        load_image(path)


# What Pillow alone takes for something else


def planar_tiff(path: Path, bits: int, sample_format: int | None = None) -> Path:
    """An uncompressed TIFF of 2x2 in three planes; every sample is 2."""
    size = 4 * bits // 8
    start = 8 + 2 + 12 * 11 + 4 + 6 + 24
    plane = (2).to_bytes(bits // 8, "little") * 4
    data = struct.pack("<3H", bits, bits, bits)
    data += struct.pack("<6I", *(start + n * size for n in range(3)), size, size, size)
    at = 8 + 2 + 12 * 11 + 4
    entries = [
        (256, 3, 1, 2), (257, 3, 1, 2), (258, 3, 3, at), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 3, at + 6),
        (277, 3, 1, 3), (278, 3, 1, 2), (279, 4, 3, at + 18), (284, 3, 1, 2), (339, 3, 1, sample_format or 1),
    ]  # fmt: skip
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    path.write_bytes(b"II*\0" + struct.pack("<I", 8) + directory + bytes(4) + data + 3 * plane)
    return path


def test_planes_of_16_bits_are_refused_and_of_8_read(tmp_path: Path) -> None:
    assert np.array_equal(load_image(planar_tiff(tmp_path / "a.tif", 8)), np.full((2, 2, 3), 2))
    with pytest.raises(BenchmarkError, match="more than 8 bits"):
        load_image(planar_tiff(tmp_path / "b.tif", 16))


def grey_png(path: Path, depth: int, levels: list[int], key: int | None = None) -> Path:
    """A grey PNG of one row of `levels`, `depth` bits each; key: the transparent level."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    text = "".join(f"{level:0{depth}b}" for level in levels)
    row = int(text.ljust(-(-len(text) // 8) * 8, "0"), 2).to_bytes(-(-len(text) // 8), "big")
    transparent = [] if key is None else [chunk(b"tRNS", struct.pack(">H", key))]
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", len(levels), 1, depth, 0, 0, 0, 0))
    parts = [header, *transparent, chunk(b"IDAT", zlib.compress(b"\0" + row)), chunk(b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return path


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_the_transparent_level_of_a_grey_png_is_on_its_own_scale(tmp_path: Path, depth: int) -> None:
    highest = 2**depth - 1
    levels = sorted({0, 1, highest // 2, highest})
    for key in levels:
        with pytest.raises(BenchmarkError, match="transparent"):
            load_image(grey_png(tmp_path / "a.png", depth, levels, key))
        if depth > 1:  # the bits above a sample's do not count
            with pytest.raises(BenchmarkError, match="transparent"):
                load_image(grey_png(tmp_path / "a.png", depth, levels, key + 2 ** (depth + 1)))
        others = [level for level in levels if level != key]
        read = load_image(grey_png(tmp_path / "b.png", depth, others, key))
        assert read[0, :, 1].tolist() == [level * 255 // highest for level in others]


def test_the_bits_above_a_transparent_colours_do_not_count(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", Image.fromarray(RGB), transparency=tuple(map(int, RGB[0, 0])))
    data = bytearray(path.read_bytes())
    start = data.index(b"tRNS")
    data[start + 4] = 1  # the high byte of red
    data[start + 10 : start + 14] = struct.pack(">I", zlib.crc32(data[start : start + 10]))
    path.write_bytes(data)
    with pytest.raises(BenchmarkError, match="transparent"):
        load_image(path)


def test_signed_samples_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.tif", Image.fromarray(RGB[..., 0]), tiffinfo={339: 1})
    assert np.array_equal(load_image(path)[..., 0], RGB[..., 0])
    data = bytearray(path.read_bytes())
    entry = data.index(struct.pack("<HHI", 339, 3, 1))
    data[entry + 8 : entry + 10] = struct.pack("<H", 2)
    path.write_bytes(data)
    with pytest.raises(BenchmarkError, match="no unsigned integers"):
        load_image(path)


def test_a_bmp_of_16_bits_a_pixel_has_5_and_6_a_channel(tmp_path: Path) -> None:
    reds, greens, blues = np.array([0, 9, 31, 31]), np.array([0, 20, 63, 0]), np.array([0, 30, 31, 1])
    pixels = (reds << 11 | greens << 5 | blues).astype("<u2").tobytes()
    information = struct.pack("<IiiHHIIiiII", 40, 4, -1, 1, 16, 3, len(pixels), 2835, 2835, 0, 0)
    masks = struct.pack("<III", 0xF800, 0x07E0, 0x001F)
    body = information + masks
    header = b"BM" + struct.pack("<IHHI", 14 + len(body) + len(pixels), 0, 0, 14 + len(body))
    (tmp_path / "a.bmp").write_bytes(header + body + pixels)
    expected = np.stack([reds * 255 / 31, greens * 255 / 63, blues * 255 / 31], axis=-1)
    assert np.abs(load_image(tmp_path / "a.bmp")[0] - expected).max() < 1


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_truncated_files_are_refused_whatever_pillow_is_told(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path / f"a.{suffix}", Image.fromarray(np.resize(RGB, (64, 64, 3))))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 5])
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with Image.open(path) as picture:
        picture.load()  # so Pillow would take it
    for _ in range(2):
        with pytest.raises(BenchmarkError, match="cannot be read"):
            load_image(path)
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True  # it is not ours to change
    with Image.open(path) as picture, pytest.raises(BenchmarkError, match="cannot be read"):
        image_of(picture)


def test_a_picture_that_pillow_holds_is_read_as_its_file(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = saved(tmp_path / "a.png", Image.fromarray(RGB), exif=exif)
    with Image.open(path) as picture:
        assert np.array_equal(image_of(picture), load_image(path))
    assert np.array_equal(image_of(Image.fromarray(RGB[..., 0])), np.stack([RGB[..., 0]] * 3, axis=-1))
    with Image.open(png(tmp_path / "deep.png", 16, 2, 3)) as picture, pytest.raises(BenchmarkError, match="8 bits"):
        image_of(picture)
    with pytest.raises(BenchmarkError, match="colour mode CMYK"):
        image_of(Image.new("CMYK", (3, 3)))


# Preparation


def test_an_image_that_is_too_small_is_named(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", Image.fromarray(RGB))
    with pytest.raises(BenchmarkError, match=r"/a\.png: 7x5 is smaller than 6x6"):
        load_image(path, "crop6")
    assert np.array_equal(load_image(path, "crop5"), RGB[:, 1:6])


def test_square256_is_the_centre_resized(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (300, 421, 3), dtype=np.uint8)
    path = saved(tmp_path / "a.png", Image.fromarray(image))
    expected = Image.fromarray(image[:, 60:360]).resize((256, 256), Image.Resampling.LANCZOS)
    assert np.array_equal(load_image(path, "square256"), np.asarray(expected))


def test_square256_leaves_a_picture_of_that_size_alone(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (256, 300, 3), dtype=np.uint8)
    assert np.array_equal(load_image(saved(tmp_path / "a.png", Image.fromarray(image)), "square256"), image[:, 22:278])
    flat = np.full((3, 1000, 3), 77, np.uint8)
    assert np.array_equal(
        load_image(saved(tmp_path / "b.png", Image.fromarray(flat)), "square256"), np.full((256, 256, 3), 77)
    )


def test_square256_turns_the_picture_first_and_makes_grey_rgb(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    grey = np.random.default_rng(0).integers(0, 256, (256, 260), dtype=np.uint8)
    path = saved(tmp_path / "a.png", Image.fromarray(grey), exif=exif)
    assert np.array_equal(load_image(path, "square256")[..., 1], np.rot90(grey, -1)[2:258])


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"", "not an image"), (b"hello", "not an image"), (png_bytes(RGB)[:-30], "cannot be read"), (None, "no such")],
)
def test_broken_files_are_one_line(tmp_path: Path, data: bytes | None, reason: str) -> None:
    path = tmp_path / "a.png"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(BenchmarkError, match=reason) as caught:
        load_image(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@settings(max_examples=60)
@given(st.data())
def test_a_damaged_file_is_a_picture_or_a_benchmark_error(data: st.DataObject) -> None:
    import tempfile

    whole = bytearray(png_bytes(RGB))
    for _ in range(3):
        whole[data.draw(st.integers(8, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with tempfile.NamedTemporaryFile(suffix=".png") as file:
        Path(file.name).write_bytes(whole)
        try:
            image = load_image(Path(file.name))
        except BenchmarkError:
            return
    assert image.dtype == np.uint8
    assert image.shape[2] == 3


def test_writing_where_nothing_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"a\.png: cannot be written"):
        write_png(tmp_path / "missing" / "a.png", RGB)


def png_with(image: np.ndarray, *chunks: tuple[bytes, bytes], behind: bool = False) -> bytes:
    """A PNG of `image` with other chunks before its data, or behind them."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG")
    data = stream.getvalue()
    added = b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )
    place = data.index(b"IEND") - 4 if behind else data.index(b"IDAT") - 4
    return data[:place] + added + data[place:]


@pytest.mark.parametrize("behind", [False, True])
def test_a_long_text_in_a_png_is_passed_over(tmp_path: Path, behind: bool) -> None:
    image = np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)
    text = b"workflow\0\0" + zlib.compress(b"x" * 3_000_000)
    plain = (b"tEXt", b"prompt\0" + b"x" * 900_000)
    (tmp_path / "a.png").write_bytes(png_with(image, (b"zTXt", text), *[plain] * 80, behind=behind))
    assert np.array_equal(load_image(tmp_path / "a.png"), image)
    bomb = b"text\0\1\0\0\0" + zlib.compress(b"x" * 80_000_000)
    (tmp_path / "b.png").write_bytes(png_with(image, (b"iTXt", bomb), behind=behind))
    with pytest.raises(BenchmarkError, match="too large"):
        load_image(tmp_path / "b.png")


@pytest.mark.parametrize("exif", [b"junk", b"", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\0\x05\x01\x12"])
def test_exif_that_cannot_be_read_turns_nothing(tmp_path: Path, exif: bytes) -> None:
    image = np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)
    (tmp_path / "a.png").write_bytes(png_with(image, (b"eXIf", exif)))
    assert np.array_equal(load_image(tmp_path / "a.png"), image)


@pytest.mark.parametrize(
    ("tag", "value", "words"),
    [(254, 1, "a reduced copy of another"), (254, 4, "the mask of another"), (255, 2, "a reduced copy"), (254, 2, "")],
)
def test_a_tiff_whose_first_image_is_not_the_image(tmp_path: Path, tag: int, value: int, words: str) -> None:
    image = np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)
    info = TiffImagePlugin.ImageFileDirectory_v2()
    info[tag] = value
    Image.fromarray(image).save(tmp_path / "a.tif", tiffinfo=info)
    if words:
        with pytest.raises(BenchmarkError, match=words):
            load_image(tmp_path / "a.tif")
    else:
        assert np.array_equal(load_image(tmp_path / "a.tif"), image)


@pytest.mark.parametrize(
    "written",
    [
        b'<a tiff:Orientation="6"/>',
        b"<a tiff:Orientation='6'/>",
        b'<a tiff:Orientation = "6" />',
        b"<tiff:Orientation>6</tiff:Orientation>",
        b"<tiff:Orientation> 6 </tiff:Orientation>",
    ],
)
@pytest.mark.parametrize("form", ["PNG", "WEBP", "AVIF"])
def test_orientation_in_xmp_is_applied_however_xml_writes_it(form: str, written: bytes, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 24, 3)).astype(np.uint8)
    path = tmp_path / "a"
    options: dict[str, Any] = {"xmp": written} if form != "PNG" else {"pnginfo": PngImagePlugin.PngInfo()}
    if form == "PNG":
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", written.decode())
    lossless: dict[str, Any] = {"WEBP": {"lossless": True, "exact": True}, "AVIF": {"quality": 100}}.get(form, {})
    Image.fromarray(pixels).save(path, form, **options, **lossless)
    plain = load_image(path)
    with Image.open(path) as held:
        held.load()
        info = dict(held.info)
        assert np.array_equal(image_of(held), plain)
        assert held.info == info  # the holder's own
    if form == "AVIF":  # where properties alone turn an image
        assert plain.shape == pixels.shape
    else:
        assert np.array_equal(plain, np.rot90(pixels, -1))


@pytest.mark.parametrize("written", [b'<a tiff:Orientation="6"/>', b"<a tiff:Orientation='6'/>"])
def test_an_image_that_says_twice_how_it_is_turned_is_turned_once(written: bytes, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 24, 3)).astype(np.uint8)
    exif = Image.Exif()
    exif[274] = 6
    for form, options in {
        "TIFF": {"tiffinfo": {700: written, 274: 6}},
        "WEBP": {"xmp": written, "exif": exif, "lossless": True, "exact": True},
    }.items():
        Image.fromarray(pixels).save(tmp_path / form, form, **options)  # type: ignore[arg-type]
        assert np.array_equal(load_image(tmp_path / form), np.rot90(pixels, -1))
        with Image.open(tmp_path / form) as held:
            turned = ImageOps.exif_transpose(held)
            assert np.array_equal(image_of(turned), np.rot90(pixels, -1))
            assert np.array_equal(image_of(held), np.rot90(pixels, -1))
