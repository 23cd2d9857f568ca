import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.errors import UsageError
from benchmark.metrics import PATCH_RULES
from benchmark.metrics.patches import boxes, cut

STEADY = settings(deadline=None, derandomize=True)
SIDES = st.integers(1, 2100)


@pytest.mark.parametrize(
    ("rule", "height", "width", "count"),
    [
        ("patch256-hific", 512, 768, 8),  # Kodak: 24 images give 192
        ("patch256-hific", 768, 512, 8),
        ("patch128-hific", 512, 768, 39),  # 24 images give 936
        ("patch256-nc", 512, 768, 8),
        ("patch256-hific", 256, 256, 1),
        ("patch256-nc", 256, 256, 1),
        ("patch256-hific", 1356, 2040, 59),
        ("patch256-nc", 1356, 2040, 63),
        ("patch256-hific", 640, 640, 5),
        ("patch256-nc", 640, 640, 8),
        ("patch256-nc", 384, 383, 1),
        ("patch256-nc", 384, 384, 2),
        ("patch256-hific", 384, 384, 1),
        ("patch256-hific", 255, 4000, 0),
        ("patch256-nc", 4000, 255, 0),
        ("patch128-hific", 127, 127, 0),
        ("patch64-nc", 512, 768, 173),  # 8·12 + 7·11
        ("patch64-nc", 512, 512, 113),  # kodak@square512 as GLC and CoD cut it
        ("patch64-hific", 512, 768, 173),
        ("patch64-nc", 96, 127, 2),
        ("patch64-nc", 95, 127, 1),
        ("patch64-hific", 127, 127, 1),
        ("patch64-nc", 63, 640, 0),
        ("whole", 17, 5, 1),
    ],
)
def test_known_counts(rule: str, height: int, width: int, count: int) -> None:
    assert len(boxes(rule, height, width)) == count


@given(rule=st.sampled_from(sorted(PATCH_RULES)), height=SIDES, width=SIDES)
@STEADY
def test_patches_are_distinct_and_inside(rule: str, height: int, width: int) -> None:
    found = boxes(rule, height, width)
    assert len(set(found)) == len(found)
    for top, left, tall, wide in found:
        assert 0 <= top <= top + tall <= height
        assert 0 <= left <= left + wide <= width


@pytest.mark.parametrize("size", [64, 256])
@given(scale=st.floats(1, 5), other=st.floats(1, 5))
@STEADY
def test_neural_compression_s_own_unfolding_gives_as_many(size: int, scale: float, other: float) -> None:
    height, width, shift = int(scale * size), int(other * size), size // 2
    picture = torch.empty(1, 1, height, width, device="meta")
    count = torch.nn.functional.unfold(picture, size, stride=size).shape[2]
    if height >= 1.5 * size and width >= 1.5 * size:
        count += torch.nn.functional.unfold(picture[:, :, shift:, shift:], size, stride=size).shape[2]
    assert len(boxes(f"patch{size}-nc", height, width)) == count


@given(height=st.integers(256, 1200), width=st.integers(256, 1200))
@STEADY
def test_the_condition_that_some_leave_out_changes_no_patch(height: int, width: int) -> None:
    """CRDR and RDVQ cut the shifted image wherever a whole patch of it is left."""
    picture = torch.empty(1, 1, height, width, device="meta")
    first = picture.unfold(2, 256, 256).unfold(3, 256, 256)
    shifted = picture[:, :, 128:, 128:]
    rows, columns = max(0, (height - 128) // 256), max(0, (width - 128) // 256)
    count = first.shape[2] * first.shape[3] + rows * columns
    if rows and columns:
        again = shifted.unfold(2, 256, 256).unfold(3, 256, 256)
        assert again.shape[2:4] == (rows, columns)
    assert len(boxes("patch256-nc", height, width)) == count


def test_crops_are_views_in_order() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (300, 260, 3), dtype=np.uint8)
    crops = cut("patch128-hific", picture)
    corners = [(0, 0), (0, 128), (128, 0), (128, 128), (64, 64)]
    assert len(crops) == len(corners)
    for crop, (top, left) in zip(crops, corners, strict=True):
        assert np.shares_memory(crop, picture)
        assert np.array_equal(crop, picture[top : top + 128, left : left + 128])


def test_an_unknown_rule_is_a_usage_error() -> None:
    for rule in ("patch64", "patch100-nc", "patch64-nc "):
        with pytest.raises(UsageError, match=rule):
            boxes(rule, 100, 100)
