import math
import re
import sys
import xml.etree.ElementTree
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from support.summaries import PROTOCOLS, summary_frame

from benchmark.analysis.comparable import one_protocol
from benchmark.errors import BenchmarkError, NotComparable, UsageError
from benchmark.reports.curves import draw_curves
from benchmark.reports.figure_style import figure_style
from benchmark.reports.plots import PlotOptions, draw, write_plots
from benchmark.reports.plots.axes import draw_panel, rate_limits, rate_ticks, vertical_limits
from benchmark.reports.plots.files import save, with_stable_ids
from benchmark.reports.plots.layout import legend_columns
from benchmark.reports.plots.panels import metric_panel, shown
from benchmark.reports.plots.published import published_notes, with_published
from benchmark.reports.plots.text import text_width, wrap
from benchmark.reports.styles import codec_styles


def texts(svg: Path) -> list[str]:
    root = xml.etree.ElementTree.parse(svg).getroot()
    return ["".join(element.itertext()) for element in root.iter("{http://www.w3.org/2000/svg}text")]


def words_of(
    frames: Sequence[pd.DataFrame], metrics: Sequence[str], folder: Path, published: Sequence[str] | None = None
) -> list[str]:
    """Those of the figure of all `metrics`, drawn in one of its formats: nothing else of it is looked at."""
    with figure_style():
        return texts(save(draw(frames, metrics, PlotOptions(published=published)), [folder / "drawn"], ["svg"])[0])


def test_the_files_and_their_sizes(tmp_path: Path) -> None:
    paths = draw_curves([summary_frame(metrics=("lpips", "fd-effnet@patch256-hific"))], ["lpips"], tmp_path / "plots")
    assert [path.name for path in paths] == ["lpips.png", "lpips.svg", "curves.png", "curves.svg"]
    assert sorted(paths) == sorted((tmp_path / "plots").iterdir())
    with Image.open(paths[0]) as picture:
        assert picture.width == pytest.approx(3.4 * 300, abs=1)
        colors = picture.convert("RGB").getcolors(picture.width * picture.height)
        assert colors is not None
        drawn = {color for _, color in colors}
    assert {(0xD5, 0x5E, 0x00), (0x30, 0x30, 0x30)} <= drawn  # the lines of hfd and jpeg


def test_the_words_in_a_plot(tmp_path: Path) -> None:
    frame = summary_frame(("hfd:steps=4,note=$x_1$", "jpeg"), ("lpips", "fd-effnet"))
    words = words_of([frame], ["lpips", "fd-effnet"], tmp_path)
    assert {"hfd:steps=4,note=$x_1$", "jpeg", "Rate (bits per pixel)"} <= set(words)
    assert any("LPIPS" in text and "lower is better" in text for text in words)
    caption = " ".join(words)
    for part in ("tiny 01234567", "n = 8 images (72 patches)", "95 % intervals over images", *PROTOCOLS.values()):
        assert part in caption or part == "ms_ssim/255"


def test_the_same_summaries_give_the_same_bytes(tmp_path: Path) -> None:
    """Those of one metric as files; of several in one figure, where panels share a legend, the drawing."""
    frames = [summary_frame(("hfd", "jpeg", "unheard-of"), ("lpips", "fd-effnet"))]
    one = draw_curves(frames, ["lpips"], tmp_path / "one")
    other = draw_curves(frames, ["lpips"], tmp_path / "other")
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in other]
    for name in ("a", "b"):
        words_of(frames, ["lpips", "fd-effnet"], tmp_path / name)
    assert (tmp_path / "a" / "drawn.svg").read_bytes() == (tmp_path / "b" / "drawn.svg").read_bytes()
    for path in one:
        assert not re.search(rb"20\d\d-\d\d-\d\d", path.read_bytes())


def test_names_inside_a_drawing_do_not_depend_on_digits_that_it_has_not() -> None:
    drawing = b'<path id="p14cd9e7bad"/><path id="mffffffffff" clip-path="url(#p14cd9e7bad)" style="fill: #dddddd"/>'
    again = drawing.replace(b"14cd9e7bad", b"9eb912e600")
    assert with_stable_ids(drawing) == with_stable_ids(again) != drawing
    (first, second), used = re.findall(rb'id="(\S+)"', with_stable_ids(drawing)), with_stable_ids(drawing)
    assert first != second
    assert b'clip-path="url(#%s)" style="fill: #dddddd"' % first in used
    assert not {first, second} & set(re.findall(rb'id="(\S+)"', with_stable_ids(drawing + b"<g/>")))
    assert with_stable_ids(b"<svg/>") == b"<svg/>"


def test_drawing_leaves_matplotlib_as_it_was(tmp_path: Path) -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    pyplot = "matplotlib.pyplot" in sys.modules
    draw_curves([summary_frame()], ["lpips"], tmp_path)
    assert dict(matplotlib.rcParams) == before
    assert ("matplotlib.pyplot" in sys.modules) == pyplot


def test_other_protocols_are_refused_and_the_part_is_named(tmp_path: Path) -> None:
    other = summary_frame(("mse",))
    other.loc[other["metric"] == "lpips", "protocol"] = "lpips/v0.1/vgg"
    with pytest.raises(NotComparable, match=r"lpips: .*'alex' against 'vgg'"):
        draw_curves([summary_frame(), other], ["lpips"], tmp_path)
    other = summary_frame(("mse",))
    other.loc[other["metric"] == "bpp", "protocol"] = "bpp/estimated"
    with pytest.raises(NotComparable, match=r"bpp: .*'whole' against 'estimated'"):
        draw_curves([summary_frame(), other], ["lpips"], tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("dataset", "message"), [("kodak 99999999", "tiny 01234567 against kodak"), ("tiny 99999999", "fingerprints")]
)
def test_other_data_sets_are_refused(tmp_path: Path, dataset: str, message: str) -> None:
    with pytest.raises(NotComparable, match=message):
        draw_curves([summary_frame(), summary_frame(("mse",), dataset=dataset)], ["lpips"], tmp_path)


def test_what_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'fid'.*: lpips"):
        draw_curves([summary_frame()], ["fid"], tmp_path)
    with pytest.raises(UsageError, match="nothing to draw"):
        draw_curves([], ["lpips"], tmp_path)
    with pytest.raises(BenchmarkError, match="empty"):
        draw_curves([summary_frame().iloc[:0]], ["lpips"], tmp_path)
    frame = summary_frame()
    frame.loc[frame["metric"] == "lpips", ["value", "ci_low", "ci_high"]] = math.nan
    with pytest.raises(BenchmarkError, match="no codec has a value"):
        draw_curves([frame], ["lpips"], tmp_path)


def test_a_codec_without_the_metric_is_named(tmp_path: Path) -> None:
    frame = summary_frame(("hfd", "jpeg", "webp"))
    frame = frame[(frame["codec"] != "webp") | (frame["metric"] == "bpp")]  # no row at all
    jpeg = (frame["codec"] == "jpeg") & (frame["metric"] == "lpips")
    frame.loc[jpeg, ["value", "ci_low", "ci_high"]] = math.nan  # rows without a value
    assert "no LPIPS for jpeg, webp" in " ".join(words_of([frame], ["lpips"], tmp_path))


def test_unequal_sets_are_pointed_out(tmp_path: Path) -> None:
    frame = summary_frame(metrics=("fd-effnet",))
    frame.loc[frame["codec"] == "jpeg", ["n_images", "n_patches"]] = [7, 63]
    caption = " ".join(words_of([frame], ["fd-effnet"], tmp_path))
    assert "n = 7–8 images (63–72 patches)" in caption
    assert "not comparable" in caption


def test_runs_of_one_codec_are_told_apart(tmp_path: Path) -> None:
    other = summary_frame(("hfd",))
    other["value"] *= 1.01
    words = words_of([summary_frame(), summary_frame(("hfd",)), other], ["lpips"], tmp_path)
    labels = [text for text in words if text.startswith(("hfd", "jpeg"))]
    assert labels == ["hfd", "jpeg", "hfd (run 3)"]  # the second run has the first one's numbers


def test_points_are_joined_by_rate_with_gaps_where_a_value_is_missing() -> None:
    frame = summary_frame(("jpeg",)).iloc[::-1]  # a codec whose scale runs downwards
    frame.loc[(frame["metric"] == "lpips") & (frame["quality"] == 2.0), "value"] = math.nan
    [curve] = metric_panel(frame, "lpips").curves
    assert curve.bpp.tolist() == [0.1, 0.3, 0.9]
    assert curve.value[[0, 2]] == pytest.approx([0.4, 0.2])
    assert math.isnan(curve.value[1])


def test_ms_ssim_is_drawn_in_decibels() -> None:
    frame = summary_frame(("jpeg",), ("ms_ssim",))
    rows = frame["metric"] == "ms_ssim"
    frame.loc[rows, ["value", "ci_low", "ci_high"]] = [[0.9, 0.8, 0.99], [0.99, 0.9, 1.01], [0.999, 0.99, 0.9999]]
    panel = metric_panel(frame, "ms_ssim")
    [curve] = panel.curves
    assert curve.value == pytest.approx([10, 20, 30])
    assert curve.low == pytest.approx([-10 * math.log10(0.2), 10, 20])
    assert curve.high[[0, 2]] == pytest.approx([20, 40])
    assert math.isinf(curve.high[1])  # drawn to the edge
    assert "dB" in panel.name
    assert "higher is better" in panel.heading[1]


def test_points_without_a_place_on_the_axes_are_left_out(tmp_path: Path) -> None:
    frame = summary_frame(("hfd", "jpeg"), ("ms_ssim",))
    frame.loc[(frame["metric"] == "ms_ssim") & (frame["codec"] == "jpeg"), "value"] = 1.0
    frame.loc[(frame["metric"] == "bpp") & (frame["codec"] == "hfd") & (frame["quality"] == 1.0), "value"] = 0.0
    assert "no MS-SSIM for jpeg" in " ".join(words_of([frame], ["ms_ssim"], tmp_path))
    [curve] = metric_panel(frame, "ms_ssim").curves
    assert np.isfinite(curve.value).tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.09, 1.3, [0.1, 0.2, 0.5, 1.0]),
        (0.07, 2.5, [0.1, 0.2, 0.5, 1.0, 2.0]),
        (0.012, 12.0, [0.1, 1.0, 10.0]),
        (0.25, 1.0, [0.3, 0.4, 0.5, 0.7, 1.0]),
    ],
)
def test_rate_ticks_are_round(low: float, high: float, ticks: list[float]) -> None:
    assert rate_ticks(low, high) == pytest.approx(ticks)


@pytest.mark.parametrize("bpp", np.geomspace(0.01, 30, 40))
def test_a_single_point_has_ticks_and_room(bpp: float) -> None:
    frame = summary_frame(("jpeg",)).iloc[:2].copy()
    frame.loc[frame["metric"] == "bpp", ["value", "ci_low", "ci_high"]] = [bpp, -bpp, 3 * bpp]
    low, high = rate_limits(metric_panel(frame, "lpips").curves)
    assert 0 < low < bpp < high
    assert high / low >= 3.99
    assert len(rate_ticks(low, high)) >= 2


def test_wide_intervals_do_not_flatten_the_points() -> None:
    bottom, top = vertical_limits(np.array([1.0, 2.0]), np.array([-1000.0, 1000.0]))
    assert -0.5 < bottom < 1
    assert 2 < top < 3.5
    assert vertical_limits(np.array([1.0]), np.array([])) == pytest.approx((0.885, 1.115))
    assert vertical_limits(np.array([0.0]), np.array([])) == pytest.approx((-1.15, 1.15))


def test_long_labels_stay_inside_the_figure() -> None:
    with figure_style():
        assert legend_columns([text_width("hfd:decoder=diffusion,steps=50", 7.0)] * 4, 3.4) == 1
        assert legend_columns([text_width(name, 7.0) for name in ("hfd", "mse", "jpeg", "webp")], 7.0) == 4
        for text in ("photos[quick look, 8 of 24] 1a2b3c4d · " * 6, "hfd:weights=" + "x" * 200):
            lines = wrap(text, 3.3, 6.0)
            assert max(text_width(line, 6.0) for line in lines) <= 3.3
            assert "".join(lines).replace(" ", "") == text.replace(" ", "")


# Published curves


def kodak_frame(metrics: Sequence[str] = ("psnr",), **changes: Any) -> pd.DataFrame:
    """Three points of jpeg and mse as if measured on Kodak, in the middle of what is published."""
    frame = summary_frame(("mse", "jpeg"), metrics, **({"dataset": "kodak 88970ca5", "n_images": 24} | changes))
    for metric, protocol, level in (
        ("psnr", "psnr/rgb/uint8/mean-of-db", 26),
        ("ms_ssim", "ms_ssim/rgb/uint8/pytorch-msssim/range255", 0.9),
        ("bpp", "bpp/whole-byte-string/original-pixels", 0),
    ):
        rows = frame["metric"] == metric
        frame.loc[rows, "protocol"] = protocol
        if metric != "bpp":
            step = 4 if metric == "psnr" else 0.03
            values = level + step * (frame.loc[rows, "quality"] - 1)
            frame.loc[rows, ["value", "ci_low", "ci_high"]] = np.column_stack([values, values - 0.01, values + 0.01])
            frame.loc[rows, "higher_is_better"] = True
    return frame


def test_published_curves_are_named_beside_their_lines_and_their_sources_below(tmp_path: Path) -> None:
    words = words_of([kodak_frame()], ["psnr"], tmp_path, published=())
    for label in ("bmshj2018-hyperprior", "mbt2018-mean", "cheng2020-attn", "ELIC", "JPEG 4:2:0", "WebP", "BPG 4:4:4"):
        assert words.count(label) == 1
    assert {"published: classical", "published: learned for distortion"} <= set(words)
    caption = " ".join(words)
    for part in ("CompressAI", "He et al. 2022", "averaging rule", "entropy-coded payload"):
        assert part in caption
    assert "ublished" not in " ".join(words_of([kodak_frame()], ["psnr"], tmp_path))


def test_only_the_named_ones_are_drawn(tmp_path: Path) -> None:
    draw_curves([kodak_frame()], ["psnr"], tmp_path, published=("mbt2018-mean", "hific"))
    words = texts(tmp_path / "psnr.svg")
    assert {"mbt2018-mean", "HiFiC", "published: learned for realism"} <= set(words)
    assert "WebP" not in words


def test_published_curves_do_not_stretch_the_axes_nor_carry_intervals() -> None:
    from matplotlib.figure import Figure

    plain = metric_panel(kodak_frame(), "psnr")
    [filled] = with_published([plain], ("jpeg", "bpg"), "kodak 88970ca5", one_protocol(kodak_frame(), "bpp"))
    drawn = []
    for panel in (plain, filled):
        axes = Figure().add_subplot()
        draw_panel(axes, panel, codec_styles(["mse", "jpeg"]), PlotOptions())
        drawn.append(axes)
    without, beside = drawn
    assert beside.get_xlim() == without.get_xlim()
    assert beside.get_ylim() == without.get_ylim()
    assert len(beside.collections) == len(without.collections)
    new = beside.lines[: len(beside.lines) - len(without.lines)]
    assert len(new) == 2
    measured = beside.lines[-1]
    assert all(line.get_linewidth() < measured.get_linewidth() for line in new)
    assert all(line.get_zorder() < measured.get_zorder() for line in new)
    assert max(new[1].get_xdata()) > beside.get_xlim()[1]


def test_published_ms_ssim_is_drawn_in_decibels() -> None:
    assert shown("decibel", (0.9, 0.99)) == pytest.approx([10, 20])
    assert shown("linear", (30.0, 0.9)) == pytest.approx([30, 0.9])


def test_panels_that_nothing_fits_say_so(tmp_path: Path) -> None:
    frame = kodak_frame(("psnr", "fd-effnet", "lpips"))
    frame.loc[frame["metric"] == "lpips", "protocol"] = "lpips/v0.1/alex"
    options = PlotOptions(published=("hific", "jpeg"), formats=("svg",))
    write_plots([frame], ["psnr", "fd-effnet", "lpips"], tmp_path, options)
    assert "ublished" not in " ".join(texts(tmp_path / "fd-effnet.svg"))
    caption = " ".join(texts(tmp_path / "curves.svg"))
    assert "nothing in FD-EffNet; nothing in LPIPS" in caption
    assert "hific in LPIPS, its protocol lpips/?/? does not state" in caption


def test_what_a_source_leaves_open_in_one_metric_is_said_of_that_metric() -> None:
    frame = kodak_frame(("psnr", "lpips"))
    frame.loc[frame["metric"] == "lpips", "protocol"] = "lpips/v0.1/alex"
    panels = [metric_panel(frame, metric) for metric in ("psnr", "lpips")]
    rate = one_protocol(frame, "bpp")
    note, *_ = published_notes(with_published(panels, ("ms-illm",), "kodak 88970ca5", rate), PlotOptions())
    assert note.count("MS-ILLM in ") == 2
    assert "MS-ILLM in LPIPS: Muckley et al. 2023" in note
    assert note.index("rounding to 8 bits") < note.index("MS-ILLM in LPIPS") < note.index("version of LPIPS")


def test_published_curves_outside_the_axes_are_pointed_out(tmp_path: Path) -> None:
    frame = kodak_frame()
    frame.loc[frame["metric"] == "psnr", ["value", "ci_low", "ci_high"]] -= 20
    words = words_of([frame], ["psnr"], tmp_path, published=("jpeg", "elic"))
    assert "ELIC" not in words
    assert "outside the axes: JPEG 4:2:0 in PSNR, ELIC in PSNR" in " ".join(words)


@pytest.mark.parametrize(
    ("changes", "published", "message"),
    [
        ({"dataset": "photos 01234567"}, (), "there are none of PSNR on photos"),
        ({"n_images": 23}, (), "over 24 images, here 23"),
        ({"n_images": 23}, ("elic",), "figures of elic can.*over 24 images, here 23"),
        ({}, ("elic", "nobody"), "figures of nobody can"),
    ],
)
def test_published_figures_that_fit_nowhere_are_refused(
    tmp_path: Path, changes: dict[str, Any], published: tuple[str, ...], message: str
) -> None:
    with pytest.raises(NotComparable, match=message):
        draw_curves([kodak_frame(**changes)], ["psnr"], tmp_path, published=published)
    assert not list(tmp_path.iterdir())


def test_with_published_curves_the_same_summaries_give_the_same_bytes(tmp_path: Path) -> None:
    paths = [draw_curves([kodak_frame()], ["psnr"], tmp_path / name, published=("elic", "jpeg")) for name in "ab"]
    assert [path.read_bytes() for path in paths[0]] == [path.read_bytes() for path in paths[1]]
