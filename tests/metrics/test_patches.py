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


@given(height=st.integers(256, 1200), width=st.integers(256, 1200))
@STEADY
def test_neural_compression_s_own_unfolding_gives_as_many(height: int, width: int) -> None:
    picture = torch.empty(1, 1, height, width, device="meta")
    count = torch.nn.functional.unfold(picture, 256, stride=256).shape[2]
    if height >= 1.5 * 256 and width >= 1.5 * 256:
        count += torch.nn.functional.unfold(picture[:, :, 128:, 128:], 256, stride=256).shape[2]
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
    with pytest.raises(UsageError, match="patch64"):
        boxes("patch64", 100, 100)
