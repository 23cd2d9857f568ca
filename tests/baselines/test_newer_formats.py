"""JPEG XL and JPEG 2000: what `test_classical` asks of the older formats, on scales that are no integers."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from benchmark.baselines.classical import PillowCodec
from benchmark.codecs import Codec, Image, open_codec
from benchmark.errors import BenchmarkError, CorruptStream, UsageError

CASES = {"jxl:effort=1": 60.0, "jpeg2000": 4.0, "jpeg2000:control=psnr": 40.0}
"""Codec spec -> a good quality."""


def picture(height: int, width: int, seed: int = 0) -> Image:
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / 24
    waves = np.stack([np.sin(x + phase) + np.cos(y * 1.3 + phase) for phase in generator.uniform(0, 6, 3)], axis=-1)
    noisy: Image = np.clip(128 + 55 * waves + generator.normal(0, 4, waves.shape), 0, 255).round().astype(np.uint8)
    return noisy


def psnr(a: Image, b: Image) -> float:
    error = float(np.mean((a.astype(float) - b.astype(float)) ** 2))
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


@pytest.fixture(params=CASES)
def spec(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def codec(spec: str) -> PillowCodec:
    opened = open_codec(spec)
    assert isinstance(opened, PillowCodec)
    assert isinstance(opened, Codec)
    return opened


def test_default_qualities_spend_more_bits_and_come_closer(codec: PillowCodec) -> None:
    image = picture(256, 320)
    streams = [codec.encode(image, quality) for quality in codec.qualities]
    lengths = [len(stream) for stream in streams]
    assert lengths == sorted(set(lengths))
    values = [psnr(image, codec.decode(stream)) for stream in streams]
    assert (np.argmin(values), np.argmax(values)) == (0, len(values) - 1)
    assert values[-1] > 33


def test_jpeg_2000_keeps_to_its_bits_and_to_its_decibels() -> None:
    image = picture(256, 320)
    bits = open_codec("jpeg2000")
    for bpp in (0.2, 1.0, 3.0):
        assert 8 * len(bits.encode(image, bpp)) / (256 * 320) == pytest.approx(bpp, rel=0.02)
    decibels = open_codec("jpeg2000:control=psnr")
    for wanted in (28.0, 36.0):
        assert psnr(image, decibels.decode(decibels.encode(image, wanted))) == pytest.approx(wanted, abs=1)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.sampled_from(list(CASES)), st.integers(1, 70), st.integers(1, 70))
def test_any_size_comes_back(spec: str, height: int, width: int) -> None:
    codec = open_codec(spec)
    image = picture(height, width)
    decoded = codec.decode(codec.encode(image, CASES[spec]))
    assert decoded.shape == image.shape
    assert decoded.dtype == np.uint8
    assert decoded.flags.writeable


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 3000, 3), (3000, 1, 3)])
def test_thin_pictures(codec: PillowCodec, spec: str, shape: tuple[int, int, int]) -> None:
    image = np.full(shape, 99, np.uint8)
    decoded = codec.decode(codec.encode(image, CASES[spec]))
    assert decoded.shape == shape
    assert psnr(decoded, image) > 30


def test_bytes_suffice_in_another_process(codec: PillowCodec, spec: str, tmp_path: Path) -> None:
    data = codec.encode(picture(50, 33), CASES[spec])
    (tmp_path / "stream").write_bytes(data)
    script = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r})\n"
        "import numpy; from pathlib import Path; from benchmark.codecs import open_codec\n"
        f"numpy.save('decoded.npy', open_codec({spec.partition(':')[0]!r}).decode(Path('stream').read_bytes()))\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "decoded.npy"), codec.decode(data))


def test_every_truncation_is_refused(codec: PillowCodec, spec: str) -> None:
    data = codec.encode(picture(24, 40), CASES[spec])
    for length in range(len(data)):
        with pytest.raises(CorruptStream):
            codec.decode(data[:length])


def test_bytes_behind_the_end(codec: PillowCodec, spec: str) -> None:
    data = codec.encode(picture(24, 40), CASES[spec])
    if spec.startswith("jxl"):  # as the module says
        np.testing.assert_array_equal(codec.decode(data + b"more"), codec.decode(data))
        return
    for broken in (data + b"\0", data + data, data + b"\xff\xd9"):
        with pytest.raises(CorruptStream):
            codec.decode(broken)


def test_foreign_streams_are_refused(codec: PillowCodec, spec: str) -> None:
    image = picture(24, 40)
    others = [open_codec(name).encode(image, CASES[name]) for name in CASES if name[:4] != spec[:4]]
    png = io.BytesIO()
    Pillow.fromarray(image).save(png, "PNG")
    for data in (*others, open_codec("jpeg").encode(image, 50), png.getvalue(), b"", b"\xff\x0a", b"\xff\x4f\xff\x51"):
        with pytest.raises(CorruptStream):
            codec.decode(data)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.sampled_from(list(CASES)), st.data())
def test_damage_ends_in_a_picture_or_a_corrupt_stream(spec: str, data: st.DataObject) -> None:
    codec = open_codec(spec)
    stream = bytearray(codec.encode(picture(24, 40), CASES[spec]))
    for position in data.draw(st.lists(st.integers(0, len(stream) - 1), min_size=1, max_size=4)):
        stream[position] = data.draw(st.integers(0, 255))
    try:
        decoded = codec.decode(bytes(stream))
    except CorruptStream:
        return
    assert decoded.ndim == 3
    assert decoded.dtype == np.uint8


def test_a_header_of_a_giant_is_refused_before_anything_is_allocated() -> None:
    bits, place = 0, 0
    for value, count in ((0, 1), (3, 2), (2**30 - 1, 30), (1, 3)):  # not small, 30 bits, height, square
        bits |= value << place
        place += count
    with pytest.raises(CorruptStream):
        open_codec("jxl").decode(b"\xff\x0a" + bits.to_bytes(10, "little") + bytes(50))
    siz = bytearray(open_codec("jpeg2000").encode(picture(24, 40), 4))
    siz[8:16] = b"\x00\x0f\xff\xff" * 2  # Xsiz, Ysiz
    with pytest.raises(CorruptStream):
        open_codec("jpeg2000").decode(bytes(siz))


@pytest.mark.parametrize(
    "spec",
    ["jxl:effort=0", "jxl:effort=10", "jxl:speed=1", "jpeg2000:control=size", "jpeg2000:layers=2"],
)
def test_settings_that_cannot_be_meant(spec: str) -> None:
    with pytest.raises(UsageError):
        open_codec(spec)


@pytest.mark.parametrize("quality", [-1, 0, 100.5, float("nan"), float("inf")])
def test_qualities_that_cannot_be_meant(quality: float) -> None:
    for spec in CASES:
        if (spec, quality) == ("jxl:effort=1", 0):
            continue
        with pytest.raises(UsageError, match="is not a number from"):
            open_codec(spec).encode(picture(8, 8), quality)


def test_settings_reach_the_encoder() -> None:
    image = picture(96, 128)
    assert open_codec("jxl").encode(image, 50) == open_codec("jxl:effort=7").encode(image, 50)
    assert open_codec("jxl:effort=1").encode(image, 50) != open_codec("jxl").encode(image, 50)
    assert open_codec("jxl").encode(image, 50.5) != open_codec("jxl").encode(image, 50)


def test_description_names_libraries() -> None:
    assert "pillow-jxl-plugin" in open_codec("jxl").describe()["libraries"]
    assert "jpg_2000" in open_codec("jpeg2000").describe()["libraries"]


def test_without_the_plugin_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_jxl", None)
    with pytest.raises(BenchmarkError, match="pillow-jxl-plugin"):
        open_codec("jxl")
