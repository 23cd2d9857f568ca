import io
import struct
import time
import zlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PillowImage
from torchvision.io import decode_jpeg

from benchmark.baselines.classical import avif, jpeg
from benchmark.errors import BenchmarkError, CorruptStream
from benchmark.hfd.container import MAX_SEED, Container, pack
from benchmark.hfd.embedding import Header, codec_of, embed, extract
from benchmark.running.single import codec_of as codec_of_any

IMAGE = np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8)
PICTURES = {"jpeg": jpeg().encode(IMAGE, 20), "avif": avif().encode(IMAGE, 20)}
LEAST = Header("flow", 64, 3, b"\x01\x02\x03\x04")
HEADER = {"jpeg": 4, "avif": 8}

headers = st.builds(
    Header,
    decoder=st.sampled_from(["flow", "diffusion"]),
    quality_steps=st.integers(0, 255),
    seed=st.integers(0, MAX_SEED),
    weights=st.binary(min_size=4, max_size=4),
)
bases = pytest.mark.parametrize("base", ["jpeg", "avif"])


@bases
@given(header=headers)
def test_round_trip_within_15_bytes(base: str, header: Header) -> None:
    picture = PICTURES[base]
    data = embed(picture, header)
    assert extract(data, base) == (header, picture)
    seed_bytes = 0 if header.seed == 0 else 1 if header.seed < 256 else 2
    assert len(data) - len(picture) == HEADER[base] + 13 + seed_bytes
    assert codec_of(data) == codec_of_any(data) == f"hfd:base={base},decoder={header.decoder}"


@bases
def test_viewers_see_the_same_pixels(base: str) -> None:
    data = embed(PICTURES[base], LEAST)
    with PillowImage.open(io.BytesIO(data)) as with_header, PillowImage.open(io.BytesIO(PICTURES[base])) as without:
        assert with_header.format == base.upper()
        assert np.array_equal(np.asarray(with_header), np.asarray(without))
        assert with_header.info.keys() == without.info.keys()


@pytest.mark.filterwarnings("ignore:The image decoding:DeprecationWarning")
def test_torchvision_sees_the_same_pixels() -> None:
    seen = [
        decode_jpeg(torch.frombuffer(bytearray(data), dtype=torch.uint8))
        for data in (PICTURES["jpeg"], embed(PICTURES["jpeg"], LEAST))
    ]
    assert torch.equal(*seen)


def test_the_jfif_header_stays_first_and_the_segment_is_listed() -> None:
    data = embed(PICTURES["jpeg"], LEAST)
    assert data[:20] == PICTURES["jpeg"][:20]
    with PillowImage.open(io.BytesIO(data)) as picture:
        segments = dict(picture.applist)
    assert list(segments) == ["APP0", "APP9"]
    assert segments["APP9"][:3] == b"HFD"
    assert np.array_equal(jpeg().decode(data), jpeg().decode(PICTURES["jpeg"]))


def test_a_jpeg_without_jfif_header() -> None:
    picture = PICTURES["jpeg"][:2] + PICTURES["jpeg"][20:]
    data = embed(picture, LEAST)
    assert extract(data, "jpeg") == (LEAST, picture)
    assert np.array_equal(jpeg().decode(data), jpeg().decode(picture))


def test_the_avif_boxes_before_ours_keep_their_places() -> None:
    """Their offsets count from the beginning of the file."""
    assert embed(PICTURES["avif"], LEAST).startswith(PICTURES["avif"])


@bases
def test_every_changed_byte_is_noticed(base: str) -> None:
    """Of the image as well: neither format would notice by itself."""
    data = embed(PICTURES[base], LEAST)
    for position in range(len(data)):
        for mask in (0x01, 0x80, 0xFF):
            changed = bytearray(data)
            changed[position] ^= mask
            with pytest.raises(CorruptStream):
                extract(bytes(changed), base)


@bases
def test_truncated_and_continued_files_are_refused(base: str) -> None:
    data = embed(PICTURES[base], LEAST)
    for length in range(len(data)):
        with pytest.raises(CorruptStream):
            extract(data[:length], base)
    for tail in (b"\0", b"\xff\xd9", data, struct.pack(">I", 8) + b"free"):
        with pytest.raises(CorruptStream):
            extract(data + tail, base)


@bases
def test_other_files_are_named_as_what_they_are(base: str) -> None:
    other = {"jpeg": "avif", "avif": "jpeg"}[base]
    with pytest.raises(CorruptStream, match=f"this is {other.upper()}"):
        extract(embed(PICTURES[other], LEAST), base)
    with pytest.raises(CorruptStream, match=f"--codec {base} decodes it as it is"):
        extract(PICTURES[base], base)
    with pytest.raises(CorruptStream, match="something else"):
        extract(b"\x89PNG", base)
    with pytest.raises(CorruptStream, match="--codec hfd"):
        extract(pack(Container("flow", 1, 1, 0, 0, b"1234", b"")), base)
    assert codec_of(PICTURES[base]) is None
    assert codec_of_any(PICTURES[base]) == base


def test_codec_of_containers_and_foreign_bytes() -> None:
    assert codec_of(pack(Container("diffusion", 1, 1, 0, 0, b"1234", b""))) == "hfd:decoder=diffusion"
    assert codec_of(b"") is None
    assert codec_of(b"\x89PNG") is None


@bases
def test_once_and_only_once(base: str) -> None:
    once = embed(PICTURES[base], LEAST)
    with pytest.raises(BenchmarkError, match="already"):
        embed(once, LEAST)
    added = once[20:38] if base == "jpeg" else once[len(PICTURES[base]) :]
    twice = once[:20] + added + once[20:] if base == "jpeg" else once + added
    with pytest.raises(CorruptStream, match="more than once"):
        extract(twice, base)


def test_what_cannot_be_embedded() -> None:
    with pytest.raises(BenchmarkError, match="only a JPEG or an AVIF"):
        embed(b"RIFF\0\0\0\0WEBP", LEAST)
    with pytest.raises(BenchmarkError, match="seed"):
        embed(PICTURES["jpeg"], Header("flow", 0, MAX_SEED + 1, b"1234"))


def forge(base: str, fields: bytes) -> bytes:
    """The image with these fields and a checksum that fits."""
    picture = PICTURES[base]
    content = fields + struct.pack(">I", zlib.crc32(fields + picture))
    if base == "avif":
        return picture + struct.pack(">I", 8 + len(content)) + b"free" + content
    return picture[:20] + b"\xff\xe9" + struct.pack(">H", 2 + len(content)) + content + picture[20:]


@bases
@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (b"HFD\x21\x40abcd", "version 2"),
        (b"HFD\x10\x40abcd", "decoder 0"),
        (b"HFD\x1f\x40abcd", "decoder 15"),
        (b"HFD\x11\x40abcd\x00", "seed"),
        (b"HFD\x11\x40abcd\x40\x00", "seed"),
        (b"HFD\x11\x40abcd\x01\x00\x00", "16, not 13 to 15"),
        (b"HFD\x11\x40abc", "12, not 13 to 15"),
    ],
)
def test_forged_fields_are_refused(base: str, fields: bytes, words: str) -> None:
    assert extract(forge(base, b"HFD\x11\x40abcd\x3f\xff"), base)[0] == Header("flow", 64, MAX_SEED, b"abcd")
    with pytest.raises(CorruptStream, match=words):
        extract(forge(base, fields), base)


@bases
@given(fields=st.binary(max_size=14))
def test_any_fields_with_a_fitting_checksum_are_read_or_refused(base: str, fields: bytes) -> None:
    try:
        header, picture = extract(forge(base, b"HFD" + fields), base)
    except CorruptStream:
        return
    assert embed(picture, header) == forge(base, b"HFD" + fields)


@given(
    data=st.binary(max_size=200), start=st.sampled_from([b"\xff\xd8\xff", b"\0\0\0\x20ftypavif", b"\xff\xd8\xff\xe9"])
)
@settings(max_examples=200)
def test_foreign_bytes_never_crash(data: bytes, start: bytes) -> None:
    for base in ("jpeg", "avif"):
        with pytest.raises(CorruptStream):
            extract(start + data, base)
    assert codec_of(start + data) is None


@pytest.mark.parametrize(
    ("start", "unit", "base"),
    [
        (b"\xff\xd8", b"\xff\xe9\x00\x09HFD\x11\x40ab", "jpeg"),
        (b"\xff\xd8", b"\xff\xe9\x00\x02", "jpeg"),
        (b"\0\0\0\x0cftypavif", b"\0\0\0\x08free", "avif"),
    ],
)
def test_a_huge_header_is_walked_once(start: bytes, unit: bytes, base: str) -> None:
    """A megabyte of the smallest segments takes 16 times as long as 64 kB; a walk that copied or began again, 256."""

    def seconds(size: int) -> float:
        begun = time.process_time()
        with pytest.raises(CorruptStream):
            extract(start + unit * (size // len(unit)), base)
        return time.process_time() - begun

    assert min(seconds(2**20) for _ in range(2)) < 80 * min(seconds(2**16) for _ in range(3))
