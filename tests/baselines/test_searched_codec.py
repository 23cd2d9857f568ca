"""A codec at the bits that are wanted, image by image."""

import itertools
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.baselines.target import TargetCodec, candidates, closest
from benchmark.codecs import Codec, Image, open_codec
from benchmark.errors import UsageError


def picture(seed: int, noise: float = 8) -> Image:
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:96, :128] / 24
    waves = np.stack([np.sin(x + phase) + np.cos(y + phase) for phase in generator.uniform(0, 6, 3)], axis=-1)
    image: Image = np.clip(128 + 50 * waves + generator.normal(0, noise, waves.shape), 0, 255).astype(np.uint8)
    return image


def bpp(data: bytes) -> float:
    return 8 * len(data) / (96 * 128)


@given(st.lists(st.floats(0.01, 10), min_size=1, max_size=40), st.floats(0.01, 10), st.booleans())
def test_the_closest_is_found_in_few_steps(rates: list[float], wanted: float, falls: bool) -> None:
    rates = sorted(rates, reverse=falls)
    asked: set[float] = set()

    def rate(index: float) -> float:
        asked.add(index)
        return rates[int(index)]

    found = closest([float(index) for index in range(len(rates))], rate, wanted)
    best = min(abs(np.log(value / wanted)) for value in rates)
    assert abs(np.log(rates[int(found)] / wanted)) == pytest.approx(best)
    assert len(asked) <= 2 + np.ceil(np.log2(max(2, len(rates))))


def test_candidates_follow_the_scale() -> None:
    assert candidates(open_codec("jpeg")) == list(range(1, 101))
    fine = candidates(open_codec("jxl"))
    assert (fine[0], fine[-1], fine == sorted(set(fine))) == (0, 99, True)
    wide = candidates(open_codec("jpeg2000"))
    assert (wide[0], wide[-1]) == (0.01, 24)
    assert max(b / a for a, b in itertools.pairwise(wide)) < 1.05
    assert candidates(open_codec("tiny")) == [2, 4]  # without a scale: its qualities
    with pytest.raises(UsageError, match="names no qualities"):
        candidates(open_codec('command:enc="true {in} {out} {q}",dec="true {in} {out}"'))


@pytest.mark.parametrize("qualities", ["30 60 90", "40 30 20", "10 20 5", "10 90", "1 2 3 4"])
def test_three_qualities_are_no_scale(qualities: str) -> None:
    """Each quality is tried, of a codec and of one that is held against it."""
    line = f'command:enc="true {{in}} {{out}} {{q}}",dec="true {{in}} {{out}}",qualities="{qualities}"'
    if qualities == "10 20 5":
        with pytest.raises(UsageError, match="up or down, each once"):
            open_codec(line)
        return
    wanted = [float(one) for one in qualities.split()]
    codec = open_codec(line)
    assert not hasattr(codec, "scale")
    assert candidates(codec) == wanted
    assert candidates(open_codec(f"match:jpeg~{line}")) == wanted
    assert candidates(open_codec(f'{line},scale="1 9 4"')) == [1, 5, 9]


@pytest.mark.parametrize("scale", [(1000.0, 1001.0, 0.0), (0.12345, 0.12346, 0.0), (2.0, 2.0, 0.0), (0.0, 1e-9, 0.0)])
def test_a_narrow_scale_is_searched_inside_of_it(scale: tuple[float, float, float]) -> None:
    codec = SimpleNamespace(qualities=(), scale=scale)
    found = candidates(cast(Codec, codec))
    assert found == sorted(set(found))
    assert (found[0], found[-1]) == scale[:2]
    assert len(found) > 100 or scale[0] == scale[1]


@pytest.mark.parametrize("spec", ["jpeg", "webp:method=0"])
def test_bits_are_met_per_picture_and_the_stream_is_the_codecs_own(spec: str) -> None:
    codec, searched = open_codec(spec), open_codec(f"bpp:{spec}")
    assert isinstance(searched, Codec)
    for image in (picture(0, 2), picture(1, 20)):
        for wanted in (1.0, 2.0):
            data = searched.encode(image, wanted)
            assert bpp(data) == pytest.approx(wanted, rel=0.15)
            np.testing.assert_array_equal(searched.decode(data), codec.decode(data))
            others = [bpp(codec.encode(image, quality)) for quality in candidates(codec)]
            assert abs(np.log(bpp(data) / wanted)) <= min(abs(np.log(other / wanted)) for other in others) + 0.03


def test_bits_that_a_codec_cannot_spend_are_met_as_well_as_it_can() -> None:
    image = picture(0)
    assert open_codec("bpp:jpeg").encode(image, 0.01) == open_codec("jpeg").encode(image, 1)
    assert open_codec("bpp:jpeg").encode(image, 24) == open_codec("jpeg").encode(image, 100)


def test_another_codecs_bits_are_met_per_picture() -> None:
    reference, searched = open_codec("jpeg"), open_codec("match:webp:method=0~jpeg")
    assert isinstance(searched, TargetCodec)
    assert searched.qualities == reference.qualities
    for image in (picture(0, 2), picture(1, 20)):
        for quality in (30, 70):
            wanted = bpp(reference.encode(image, quality))
            assert bpp(searched.encode(image, quality)) == pytest.approx(wanted, rel=0.1)
    described = searched.describe()
    assert described["target"] == "bits of jpeg, per image"
    assert described["reference"] == reference.describe()


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("bpp:", "a spec is name"),
        ("bpp:jepg", "did you mean jpeg"),
        ("bpp:bpp:jpeg", "a search inside a search"),
        ("match:jpeg", "write match:SPEC~REFERENCE"),
        ("match:jpeg~match:jpeg~webp", "there is|a search inside|no setting|not key=value|a spec is"),
    ],
)
def test_what_cannot_be_meant(spec: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        open_codec(spec)


@pytest.mark.parametrize("quality", [0, -1, 25])
def test_bits_that_cannot_be_meant(quality: float) -> None:
    with pytest.raises(UsageError, match="bits per pixel lie above 0, at most 24"):
        open_codec("bpp:jpeg").encode(picture(0), quality)
