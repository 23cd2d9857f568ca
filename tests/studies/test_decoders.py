"""What the comparison of decoders computes: cost, who sends the same bytes, where to look."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.fake_codecs import Tiny
from support.pictures import write_pictures
from support.records import trial

from benchmark.errors import BenchmarkError, UsageError
from benchmark.foreign import trained_on
from benchmark.studies.decoders import check_codecs, check_images, cost_of, most_detailed, same_bytes


class WithNetwork(Tiny):
    """Its decoder runs a convolution and a matrix product, in inference mode and not through their modules alone."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.parts = {"networks": [torch.nn.Conv2d(3, 5, 3, padding=1), torch.nn.Linear(7, 2)]}
        self.again = self.parts["networks"][0]  # the same parameters once more
        self.steps = steps

    def decode(self, data: bytes, seed: int | None = None) -> np.ndarray:
        image = super().decode(data, seed)
        convolution, linear = self.parts["networks"]
        with torch.inference_mode():
            for _ in range(self.steps):
                torch.nn.functional.conv2d(torch.zeros(1, 3, *image.shape[:2]), convolution.weight, padding=1)
            linear(torch.zeros(4, 7))
        return image


@pytest.mark.parametrize("steps", [1, 3])
def test_cost_counts_what_decode_computes(steps: int) -> None:
    cost = cost_of(WithNetwork(steps), 2, side=32)
    assert cost.kmac == pytest.approx((steps * 32 * 32 * 5 * 27 + 4 * 7 * 2) / 32**2 / 1000)
    assert cost.parameters == 5 * 27 + 5 + 7 * 2 + 2
    nothing = cost_of(Tiny(), 2, side=32)
    assert (nothing.parameters, nothing.kmac) == (0, 0)


def test_same_bytes() -> None:
    def of(codec: str, *lengths: int) -> list:
        return [trial(codec, quality, bytes=n) for quality, n in enumerate(lengths, start=1)]

    assert same_bytes([*of("jpeg", 9, 8), *of("mse", 4, 5), *of("hfd", 4, 5), *of("other", 4, 6)]) == ["mse", "hfd"]
    assert same_bytes([]) == []
    assert same_bytes([*of("mse", 4, 5), *of("fewer", 4)]) == ["mse"]


@given(st.integers(0, 6), st.integers(0, 9), st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_the_crop_holds_the_detail(row: int, column: int, seed: int) -> None:
    image = np.full((120, 160, 3), 100, np.uint8)
    top, left = 16 * row, 16 * column
    image[top : top + 16, left : left + 16] = np.random.default_rng(seed).integers(0, 256, (16, 16, 3))
    found = most_detailed(image, 32)
    assert found[0] <= top
    assert found[1] <= left
    assert top + 16 <= found[0] + 32
    assert left + 16 <= found[1] + 32
    assert most_detailed(image[:20, :20], 32) == (0, 0)


def test_what_cannot_be_compared_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        BenchmarkError, match=r"hific-small:weights=.*cannot be compared: there are no weights.*--codec"
    ):
        check_codecs(["jpeg", f"hific-small:weights={tmp_path / 'none'}"], "cpu")
    with pytest.raises(UsageError, match="codec"):
        check_codecs(["no-such-codec"], "cpu")
    assert list(check_codecs(["tiny", "noisy"], "cpu")) == ["tiny", "noisy"]


def test_who_learned_by_a_metric_tells_it() -> None:
    codecs = check_codecs(["mse", "hfd", "hfd:decoder=diffusion", "hific-small", "bpp:hfd"], "cpu")
    assert {spec: trained_on(codec) for spec, codec in codecs.items() if trained_on(codec)} == {
        "hfd": ("lpips",),
        "hific-small": ("lpips",),
        "bpp:hfd": ("lpips",),
    }


def test_an_image_that_is_not_there_is_named(tmp_path: Path) -> None:
    write_pictures(tmp_path, ["a.png", "b.png"])
    check_images(["a", "b"], str(tmp_path), 0)
    check_images([], "no-such-set", 0)
    with pytest.raises(UsageError, match=r"--image c: the data set has no such image; there are a, b$"):
        check_images(["a", "c"], str(tmp_path), 0)
    with pytest.raises(UsageError, match="--image b"):
        check_images(["b"], str(tmp_path), 1)
