import io
import subprocess
import sys
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from PIL import ImageFile

from benchmark.baselines.classical import PillowCodec, Subsampling
from benchmark.codecs import Codec, Image, open_codec
from benchmark.datasets import kodak, open_dataset
from benchmark.errors import BenchmarkError, CorruptStream, UsageError

CODECS = ("jpeg", "webp", "avif")
FAST = {"jpeg": "jpeg", "webp": "webp:method=0", "avif": "avif:speed=10"}


def picture(height: int, width: int, seed: int = 0) -> Image:
    """Smooth colours with some noise: what a photograph is to a codec."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / 24
    phases = generator.uniform(0, 6, 3)
    waves = np.stack([np.sin(x + phase) + np.cos(y * (1 + phase / 6)) for phase in phases], axis=-1)
    noisy: Image = np.clip(128 + 55 * waves + generator.normal(0, 4, waves.shape), 0, 255).round().astype(np.uint8)
    return noisy


def psnr(a: Image, b: Image) -> float:
    error = float(np.mean((a.astype(float) - b.astype(float)) ** 2))
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


@pytest.fixture(params=CODECS)
def codec(request: pytest.FixtureRequest) -> PillowCodec:
    opened = open_codec(FAST[request.param])
    assert isinstance(opened, PillowCodec)
    return opened


@pytest.mark.parametrize("name", CODECS)
def test_default_qualities_spend_more_bits_and_come_closer(name: str) -> None:
    codec = open_codec(FAST[name])
    assert isinstance(codec, Codec)
    assert not codec.stochastic
    image = picture(96, 128)
    streams = [codec.encode(image, quality) for quality in codec.qualities]
    lengths = [len(stream) for stream in streams]
    assert lengths == sorted(set(lengths))
    values = [psnr(image, codec.decode(stream)) for stream in streams]
    assert np.argmin(values) == 0
    assert np.argmax(values) == len(values) - 1
    assert values[-1] > 33


@pytest.mark.parametrize("name", CODECS)
@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(1, 70), st.integers(1, 70), st.integers(0, 99))
def test_any_size_comes_back(name: str, height: int, width: int, seed: int) -> None:
    codec = open_codec(FAST[name])
    image = picture(height, width, seed)
    decoded = codec.decode(codec.encode(image, 90), seed=seed)
    assert decoded.shape == image.shape
    assert decoded.dtype == np.uint8
    assert decoded.flags.writeable
    assert psnr(image, decoded) > 25


def test_arrays_of_any_layout_give_the_same_bytes(codec: PillowCodec) -> None:
    image = picture(24, 40)
    view = np.repeat(np.repeat(image, 2, axis=0), 2, axis=1)[::2, ::2]
    assert not view.flags.c_contiguous
    assert codec.encode(view, 50) == codec.encode(image, 50) == codec.encode(np.asfortranarray(image), 50)
    image.flags.writeable = False
    assert codec.encode(image, 50) == codec.encode(view, 50)


def test_bytes_suffice_in_another_process_and_place(codec: PillowCodec, tmp_path: Path) -> None:
    data = codec.encode(picture(50, 33), 40)
    (tmp_path / "stream").write_bytes(data)
    script = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r})\n"
        "import numpy; from pathlib import Path; from benchmark.codecs import open_codec\n"
        f"decoded = open_codec({codec.format.lower()!r}).decode(Path('stream').read_bytes())\n"
        "numpy.save('decoded.npy', decoded)\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "decoded.npy"), codec.decode(data))


@pytest.mark.parametrize("name", ["jpeg", "avif:speed=10"])
def test_full_chroma_comes_closer_and_costs_more(name: str) -> None:
    y, x = np.mgrid[:64, :64]
    image = np.where(((x // 3 + y // 3) % 2)[..., None] == 0, (255, 0, 0), (0, 0, 255)).astype(np.uint8)
    joint = "," if ":" in name else ":"
    values, lengths = [], []
    for subsampling in get_args(Subsampling):
        codec = open_codec(f"{name}{joint}subsampling={subsampling}")
        data = codec.encode(image, 90)
        values.append(psnr(image, codec.decode(data)))
        lengths.append(len(data))
    assert values[0] < values[1] < values[2]
    assert lengths[0] < lengths[2]
    assert open_codec(name).encode(image, 90) == open_codec(f"{name}{joint}subsampling=4:2:0").encode(image, 90)


def test_settings_reach_the_encoder() -> None:
    image = picture(96, 128)
    assert open_codec("webp").encode(image, 50) == open_codec("webp:method=4").encode(image, 50)
    assert open_codec("webp:method=0").encode(image, 50) != open_codec("webp:method=6").encode(image, 50)
    assert open_codec("avif").encode(image, 50) == open_codec("avif:speed=6").encode(image, 50)
    assert open_codec("avif:speed=2").encode(image, 50) != open_codec("avif:speed=10").encode(image, 50)


@pytest.mark.parametrize(
    "spec",
    [
        "jpeg:subsampling=4:1:1",
        "jpeg:chroma=full",
        "webp:method=7",
        "webp:method=-1",
        "webp:subsampling=4:4:4",
        "avif:speed=11",
        "avif:speed=6.5",
        "avif:speed=",
        "avif:subsampling=4:0:0",
    ],
)
def test_settings_that_cannot_be_meant(spec: str) -> None:
    with pytest.raises(UsageError):
        open_codec(spec)


@pytest.mark.parametrize("quality", [-1, 101, 50.5, float("nan"), float("inf")])
def test_qualities_that_cannot_be_meant(codec: PillowCodec, quality: float) -> None:
    with pytest.raises(UsageError, match="quality"):
        codec.encode(picture(8, 8), quality)


def test_quality_ends(codec: PillowCodec) -> None:
    image = picture(32, 32)
    lowest, highest = (codec.encode(image, quality) for quality in (codec.lowest, float(codec.highest)))
    assert len(lowest) < len(highest)
    assert codec.lowest == (1 if codec.format == "JPEG" else 0)


@pytest.mark.parametrize(
    "array",
    [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), np.uint8), np.zeros((8, 8, 3)), np.zeros((0, 8, 3), np.uint8)],
)
def test_arrays_that_are_no_picture(codec: PillowCodec, array: Image) -> None:
    with pytest.raises(UsageError, match="not a uint8 RGB image"):
        codec.encode(array, 50)


@pytest.mark.parametrize("turn", [False, True])
def test_the_longest_side(codec: PillowCodec, turn: bool) -> None:
    def strip(length: int) -> Image:
        return np.full((1, length, 3) if turn else (length, 1, 3), 99, np.uint8)

    decoded = codec.decode(codec.encode(strip(codec.longest_side), 50))
    assert decoded.shape == strip(codec.longest_side).shape
    with pytest.raises(BenchmarkError, match=f"no side may exceed {codec.longest_side}"):
        codec.encode(strip(codec.longest_side + 1), 50)


def test_more_pixels_than_pillow_opens(codec: PillowCodec, monkeypatch: pytest.MonkeyPatch) -> None:
    data = codec.encode(picture(40, 50), 50)
    monkeypatch.setattr(Pillow, "MAX_IMAGE_PIXELS", 1000)  # Pillow warns from there, and refuses from twice that
    assert codec.decode(data).shape == (40, 50, 3)
    assert codec.encode(picture(40, 50), 50) == data
    with pytest.raises(BenchmarkError, match="megapixels"):
        codec.encode(picture(40, 51), 50)
    monkeypatch.setattr(Pillow, "MAX_IMAGE_PIXELS", 900)
    with pytest.raises(CorruptStream):
        codec.decode(data)


def test_every_truncation_is_refused(codec: PillowCodec) -> None:
    data = codec.encode(picture(24, 40), 60)
    for length in range(len(data)):
        with pytest.raises(CorruptStream):
            codec.decode(data[:length])


def test_a_stream_that_was_mended_or_has_more_behind_it_is_refused(codec: PillowCodec) -> None:
    data = codec.encode(picture(24, 40), 60)
    end = data[-2:] if codec.format == "JPEG" else b""
    for broken in (data + b"\0", data + data, data[: len(data) // 2] + data, data[: len(data) * 3 // 4] + end + end):
        with pytest.raises(CorruptStream):
            codec.decode(broken)


def test_foreign_streams_are_refused(codec: PillowCodec) -> None:
    image = picture(24, 40)
    streams = [open_codec(FAST[name]).encode(image, 60) for name in CODECS if name != codec.format.lower()]
    png = io.BytesIO()
    Pillow.fromarray(image).save(png, "PNG")
    for data in (*streams, png.getvalue(), b"", b"\xff\xd8", b"RIFF\x04\0\0\0WEBP", b"\0\0\0\x08ftyp", b"text" * 99):
        with pytest.raises(CorruptStream):
            codec.decode(data)


def test_pictures_of_another_mode_are_refused(codec: PillowCodec) -> None:
    mode = "L" if codec.format == "JPEG" else "RGBA"
    other = io.BytesIO()
    Pillow.new(mode, (8, 8), 7 if mode == "L" else (1, 2, 3, 4)).save(other, codec.format)
    with pytest.raises(CorruptStream):
        codec.decode(other.getvalue())


@pytest.mark.parametrize("name", CODECS)
@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.data())
def test_damage_ends_in_a_picture_or_a_corrupt_stream(name: str, data: st.DataObject) -> None:
    codec = open_codec(FAST[name])
    stream = bytearray(codec.encode(picture(24, 40), 60))
    for position in data.draw(st.lists(st.integers(0, len(stream) - 1), min_size=1, max_size=4)):
        stream[position] = data.draw(st.integers(0, 255))
    try:
        decoded = codec.decode(bytes(stream))
    except CorruptStream:
        return
    assert decoded.ndim == 3
    assert decoded.dtype == np.uint8


def test_lenient_pillow_is_refused(codec: PillowCodec, monkeypatch: pytest.MonkeyPatch) -> None:
    data = codec.encode(picture(8, 8), 50)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(BenchmarkError, match="LOAD_TRUNCATED_IMAGES"):
        codec.decode(data)


def test_description_names_settings_and_versions() -> None:
    described = open_codec("jpeg:subsampling=4:4:4").describe()
    assert described["settings"] == {"subsampling": "4:4:4"}
    assert {"pillow", "libjpeg_turbo"} <= described["libraries"].keys()
    assert {"pillow", "webp"} <= open_codec("webp").describe()["libraries"].keys()
    assert {"pillow", "avif", "aom", "dav1d"} <= open_codec("avif").describe()["libraries"].keys()


def test_flat_jpeg_pays_for_each_block() -> None:
    data = open_codec("jpeg").encode(np.full((512, 768, 3), 128, np.uint8), 10)
    assert 8 * len(data) / (512 * 768) == pytest.approx(0.138, abs=0.001)


@pytest.mark.skipif(
    not all((kodak.folder() / file).is_file() for file in kodak.FILES),
    reason="Kodak is not fetched (python -m benchmark fetch kodak)",
)
def test_jpeg_on_kodak_is_what_compressai_publishes() -> None:
    codec = open_codec("jpeg")
    images = [np.array(Pillow.open(picture.path)) for picture in open_dataset("kodak").pictures]
    for quality, bpp, decibel in ((5, 0.2212, 23.78), (10, 0.3266, 26.58), (15, 0.4231, None)):
        streams = [codec.encode(image, quality) for image in images]
        rates = [8 * len(data) / image[..., 0].size for data, image in zip(streams, images, strict=True)]
        assert np.mean(rates) == pytest.approx(bpp, rel=0.001)
        if decibel is not None:
            values = [psnr(image, codec.decode(data)) for data, image in zip(streams, images, strict=True)]
            assert np.mean(values) == pytest.approx(decibel, abs=0.15)


@pytest.mark.parametrize(("name", "at", "order"), [("jpeg", 5, "big"), ("webp", 26, "little")])
def test_an_image_for_which_the_bytes_have_no_room_is_refused_unopened(
    name: str, at: int, order: Literal["big", "little"], monkeypatch: pytest.MonkeyPatch
) -> None:
    """JPEG would be filled with grey, WebP allocated: height and width are forged, four bytes in either."""
    codec = open_codec(name)
    data = codec.encode(np.zeros((16, 24, 3), np.uint8), 50)
    start = at + (data.index(b"\xff\xc0") if name == "jpeg" else 0)
    monkeypatch.setattr(Pillow, "open", lambda *_, **__: pytest.fail("it was opened"))
    forged = data[:start] + 2 * (12_000).to_bytes(2, order) + data[start + 4 :]
    with pytest.raises(CorruptStream, match="not one whole"):
        codec.decode(forged)


@pytest.mark.parametrize("name", ["jpeg", "jpeg:subsampling=4:4:4", "webp", "webp:method=0"])
def test_the_smallest_files_of_flat_images_have_room(name: str) -> None:
    codec = open_codec(name)
    for height, width in ((1, 1), (17, 1600), (900, 1300)):
        image = np.full((height, width, 3), 90, np.uint8)
        assert codec.decode(codec.encode(image, codec.qualities[0])).shape == image.shape


def test_a_jpeg2000_of_more_tiles_than_one_is_refused_unopened(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenJPEG would allocate them all."""
    codec = open_codec("jpeg2000")
    data = codec.encode(np.zeros((16, 24, 3), np.uint8), 1)
    monkeypatch.setattr(Pillow, "open", lambda *_, **__: pytest.fail("it was opened"))
    for at in range(8, 40, 4):  # each number of SIZ by itself
        with pytest.raises(CorruptStream, match="not one whole"):
            codec.decode(data[:at] + (1).to_bytes(4, "big") + data[at + 4 :])
