import colorsys
import itertools

import pytest

from benchmark.reports.anchors import KINDS
from benchmark.reports.styles import PUBLISHED_STYLES, STYLES, codec_styles, mixed


def test_a_codec_looks_the_same_whatever_is_drawn_beside_it() -> None:
    alone = codec_styles(["hfd"])["hfd"]
    assert codec_styles(["bmshj2018-hyperprior", "hfd:steps=4", "hfd", "jpeg"])["hfd"] == alone == STYLES["hfd"]
    assert codec_styles(["unheard-of"])["unheard-of"] == codec_styles(["unheard-of", "jpeg", "mse"])["unheard-of"]


def hue(color: str) -> float:
    return colorsys.rgb_to_hsv(*(int(color[place : place + 2], 16) for place in (1, 3, 5)))[0]


def test_settings_keep_the_hue_and_hollow_the_marker() -> None:
    for label in ("hfd:decoder=diffusion,steps=50", "hfd (run 2)"):
        style = codec_styles([label, "hfd"])[label]
        assert hue(style.color) == pytest.approx(hue(STYLES["hfd"].color), abs=0.01)
        assert style.marker != STYLES["hfd"].marker
        assert not style.filled


def test_variants_of_a_codec_differ_in_shade() -> None:
    styles = codec_styles(["hfd", *(f"hfd:decoder={kind}" for kind in ("flow", "diffusion", "one-step"))])
    assert len({style.color for style in styles.values()}) == 4
    variants = codec_styles([f"jpeg:subsampling={name}" for name in ("4:2:0", "4:2:2", "4:4:4")])
    values = sorted(int(style.color[1:3], 16) for style in variants.values())
    assert min(b - a for a, b in itertools.pairwise(values)) > 30


def test_codecs_of_the_users_own_have_colours_of_their_own() -> None:
    labels = ["Ours", "JPEG", "WebP", "a", "b", "c", "d"]  # as many as there are colours
    styles = codec_styles([*labels, "Ours:steps=4", "jpeg"])
    assert len({styles[label].color for label in labels}) == len(labels)
    assert hue(styles["Ours:steps=4"].color) == pytest.approx(hue(styles["Ours"].color), abs=0.01)
    assert styles["jpeg"] == STYLES["jpeg"]


def test_mixing() -> None:
    assert mixed("#D55E00", 0) == "#D55E00"
    assert mixed("#D55E00", 1) == "#FFFFFF"
    assert mixed("#80FF00", -0.5) == "#408000"


def test_no_two_codecs_share_a_marker_in_grey() -> None:
    labels = [*STYLES, *(f"hfd:steps={n}" for n in range(5)), *(f"jpeg:q={n}" for n in range(4)), *"abcdefg"]
    styles = codec_styles(labels)
    assert len({(style.marker, style.filled) for style in styles.values()}) == len(labels)


def test_more_codecs_than_styles_are_still_drawn() -> None:
    assert len(codec_styles([f"hfd:steps={n}" for n in range(50)])) == 50


def test_published_curves_are_grey_thin_and_without_markers() -> None:
    assert set(PUBLISHED_STYLES) == set(KINDS)
    assert len({style.dashes for style in PUBLISHED_STYLES.values()}) == len(PUBLISHED_STYLES)
    for style in PUBLISHED_STYLES.values():
        assert len({style.color[1:3], style.color[3:5], style.color[5:7]}) == 1
        assert style.dashes
        assert not style.marker
        assert style.width < min(other.width for other in STYLES.values())
