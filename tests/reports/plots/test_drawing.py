"""Each option, by properties of the figure."""

import math
import stat
import sys
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text
from support.baselines import synthetic
from support.summaries import summary_frame

from benchmark.analysis.inputs import summary_of
from benchmark.analysis.summary import MEAN, ORIGINALS
from benchmark.errors import BenchmarkError, UsageError
from benchmark.reports.plots import PlotOptions, draw, write_plots
from benchmark.reports.plots.axes import ORIGINALS as ORIGINALS_LABEL

CODECS = ("hfd", "jpeg", "webp")


def drawn(metrics: tuple[str, ...] = ("lpips",), *, codecs: tuple[str, ...] = CODECS, **fields: Any) -> Figure:
    return draw([summary_frame(codecs, metrics)], metrics, PlotOptions(**fields))


def names(figure: Figure) -> list[str]:
    """Of the legend, wherever it stands."""
    legends = [*figure.legends, *(axes.get_legend() for axes in figure.axes if axes.get_legend() is not None)]
    return [text.get_text() for legend in legends if legend is not None for text in legend.get_texts()]


def lines(axes: Axes) -> dict[str, Any]:
    return {str(line.get_label()): line for line in axes.lines}


def words(figure: Figure) -> str:
    return " ".join(text.get_text() for text in figure.texts)


def box(figure: Figure, artist: Any) -> Any:
    """In inches, after the layout."""
    figure.draw_without_rendering()
    return artist.get_window_extent().transformed(figure.dpi_scale_trans.inverted())


# Codecs and words


def test_codecs_are_drawn_in_the_order_asked_for_and_look_as_ever() -> None:
    assert names(drawn()) == list(CODECS)
    figure = drawn(codecs=CODECS)
    chosen = draw([summary_frame(CODECS)], ["lpips"], PlotOptions(codecs=("webp", "hfd")))
    assert names(chosen) == ["webp", "hfd"]
    assert list(lines(chosen.axes[0])) == ["webp", "hfd"]
    assert lines(chosen.axes[0])["hfd"].get_color() == lines(figure.axes[0])["hfd"].get_color()


def test_labels_stand_for_codecs_and_may_hold_mathematics() -> None:
    figure = drawn(labels={"hfd": r"Ours ($\lambda$)"})
    assert names(figure) == [r"Ours ($\lambda$)", "jpeg", "webp"]
    texts = figure.legends[0].get_texts()
    assert [text.get_parse_math() for text in texts] == [True, False, False]
    frame = summary_frame(CODECS)
    frame.loc[(frame["codec"] == "webp") & (frame["metric"] == "lpips"), "value"] = math.nan
    assert "no LPIPS for Theirs" in words(draw([frame], ["lpips"], PlotOptions(labels={"webp": "Theirs"})))


def test_two_codecs_of_one_name_are_refused() -> None:
    for labels in ({"hfd": "jpeg"}, {"hfd": "Ours", "webp": "Ours"}):
        with pytest.raises(UsageError, match=r"label '\w+': both hfd and \w+ would be called so"):
            draw([summary_frame(CODECS)], ["lpips"], PlotOptions(labels=labels))
    assert names(draw([summary_frame(CODECS)], ["lpips"], PlotOptions(codecs=("hfd",), labels={"hfd": "jpeg"})))


def test_unknown_names_are_refused() -> None:
    for options in (PlotOptions(codecs=("avif",)), PlotOptions(labels={"avif": "Ours"})):
        with pytest.raises(UsageError, match="'avif' was measured; there are hfd, jpeg, webp"):
            draw([summary_frame(CODECS)], ["lpips"], options)
    with pytest.raises(UsageError, match="ylim of 'psnr': it is not drawn; the metrics are lpips"):
        drawn(ylim={"psnr": (0, 1)})


def test_a_title_is_there_only_if_asked_for() -> None:
    assert "Kodak" in words(drawn(title="Kodak"))
    assert drawn(title="Kodak").get_figheight() > drawn().get_figheight()


def test_the_caption_can_be_left_out() -> None:
    assert "tiny 01234567" in words(drawn())
    assert "Protocols" in words(drawn())
    figure = drawn(caption=False)
    assert words(figure) == ""
    assert figure.get_figheight() < drawn().get_figheight()


# Sizes


@pytest.mark.parametrize(("count", "width"), [(1, 3.4), (2, 7.0), (3, 7.0)])
def test_width_by_default(count: int, width: float) -> None:
    assert drawn(("lpips", "ms_ssim", "fd-effnet")[:count]).get_figwidth() == width


def test_width_and_height_are_as_asked() -> None:
    figure = drawn(("lpips", "ms_ssim"), width=6.9, height=2.5)
    assert figure.get_size_inches().tolist() == [6.9, 2.5]
    tall, flat = drawn(width=3.3, aspect=1.0, caption=False), drawn(width=3.3, aspect=0.5, caption=False)
    assert tall.get_figheight() - flat.get_figheight() == pytest.approx(3.3 * 0.5)
    with pytest.raises(UsageError, match="height 1: the panels need"):
        drawn(height=1)


def test_several_panels_in_one_column_stand_below_each_other() -> None:
    figure = drawn(("lpips", "ms_ssim", "fd-effnet"), width=3.3, caption=False)
    places = [box(figure, axes) for axes in figure.axes]
    assert places[0].y0 > places[1].y1 > places[2].y1
    assert places[0].x0 == pytest.approx(places[2].x0)


@pytest.mark.long
@pytest.mark.parametrize(
    ("font_size", "caption"),
    [
        (8, True),
        (7, False),
        pytest.param(7, True, marks=pytest.mark.slow),
        pytest.param(8, False, marks=pytest.mark.slow),
    ],
)
def test_a_panel_of_a_column_is_fit_for_a_paper(font_size: int, caption: bool) -> None:
    labels = {"hfd": "Ours, one step", "jpeg": "JPEG", "webp": "WebP"}
    figure = drawn(width=3.3, font_size=font_size, caption=caption, labels=labels)
    [axes] = figure.axes
    panel = box(figure, axes)
    assert panel.height > 0.6 * figure.get_figheight()
    assert panel.width > 0.8 * 3.3
    legend = axes.get_legend()
    assert legend is not None  # inside, so that it takes no height
    inner = box(figure, legend)
    assert panel.x0 <= inner.x0
    assert inner.x1 <= panel.x1
    texts = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    assert min(text.get_fontsize() for text in legend.get_texts()) == font_size
    for text in texts:  # nothing is cut; laid out by now
        place = text.get_window_extent().transformed(figure.dpi_scale_trans.inverted())
        assert place.x0 >= -0.01
        assert place.x1 <= 3.31
        assert place.y0 >= -0.01
        assert place.y1 <= figure.get_figheight() + 0.01


def test_font_size_reaches_all_words() -> None:
    figure = drawn(font_size=10)
    [axes] = figure.axes
    figure.draw_without_rendering()
    assert axes.xaxis.label.get_fontsize() == 10
    assert axes.get_title(loc="left")
    assert axes.get_xticklabels()[0].get_fontsize() == pytest.approx(10 * 6.5 / 7)
    assert names(figure)
    assert figure.legends[0].get_texts()[0].get_fontsize() == 10
    assert max(text.get_fontsize() for text in figure.texts) == pytest.approx(10 * 6 / 7)


# Axes and intervals


def test_the_axis_of_rates_is_logarithmic_or_linear() -> None:
    assert drawn().axes[0].get_xscale() == "log"
    axes = drawn(x_axis="linear").axes[0]
    assert axes.get_xscale() == "linear"
    low, high = axes.get_xlim()
    assert low == 0
    assert high >= 0.99 * 1.2
    near = summary_frame(("hfd",))
    near.loc[near["metric"] == "bpp", "value"] = [1.0, 1.1, 1.2]
    near.loc[near["metric"] == "bpp", ["ci_low", "ci_high"]] = math.nan
    assert draw([near], ["lpips"], PlotOptions(x_axis="linear")).axes[0].get_xlim() == pytest.approx((0.99, 1.21))


def test_ranges_of_axes() -> None:
    figure = drawn(("lpips", "ms_ssim"), xlim=(0.2, 0.5), ylim={"lpips": (0.1, 0.6)})
    first, second = figure.axes
    assert first.get_xlim() == second.get_xlim() == (0.2, 0.5)
    assert first.get_ylim() == (0.1, 0.6)
    assert second.get_ylim() != (0.1, 0.6)
    bars = [part for part in first.collections if isinstance(part, LineCollection)]
    ends = np.concatenate([segment for part in bars for segment in part.get_segments() if len(segment)])
    assert np.nanmin(ends[:, 1]) >= 0.1
    assert np.nanmax(ends[:, 1]) <= 0.6


@pytest.mark.parametrize(("kind", "bars", "bands"), [("bars", 6, 0), ("bands", 0, 3), ("none", 0, 0)])
def test_intervals(kind: str, bars: int, bands: int) -> None:
    figure = drawn(intervals=kind)
    parts = figure.axes[0].collections
    assert sum(isinstance(part, LineCollection) for part in parts) == bars  # across and upwards, of three codecs
    assert sum(isinstance(part, PolyCollection) for part in parts) == bands
    assert ("intervals over images" in words(figure)) == (kind != "none")


def test_a_band_spans_the_interval() -> None:
    figure = drawn(codecs=("hfd",), intervals="bands", ylim={"lpips": (0, 1)})
    [band] = figure.axes[0].collections
    points = band.get_paths()[0].vertices
    assert points[:, 1].max() == pytest.approx(0.4 * 1.1)
    assert points[:, 1].min() == pytest.approx(0.2 * 0.9)
    assert (points[:, 0].min(), points[:, 0].max()) == pytest.approx((0.1, 0.9))


# Legend


@pytest.mark.parametrize("place", ["above", "below", "inside", "none"])
def test_places_of_the_legend(place: str) -> None:
    figure = drawn(legend=place)
    [axes] = figure.axes
    panel = box(figure, axes)
    assert names(figure) == ([] if place == "none" else list(CODECS))
    if place == "none":
        return
    legend = axes.get_legend() if place == "inside" else figure.legends[0]
    middle = (box(figure, legend).y0 + box(figure, legend).y1) / 2
    where = "above" if middle > panel.y1 else "below" if middle < panel.y0 else "inside"
    assert where == place


# Styles


def test_a_style_of_the_user_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "paper.mplstyle"
    file.write_text(
        "font.size: 9\naxes.grid: False\naxes.spines.top: True\nlines.linewidth: 2.5\nlegend.frameon: True\n"
        "axes.prop_cycle: cycler('color', ['112233', '445566', '778899'])\n"
    )
    figure = drawn(style=file)
    [axes] = figure.axes
    assert [to_hex(line.get_color()) for line in axes.lines] == ["#112233", "#445566", "#778899"]
    assert axes.lines[0].get_linewidth() == 2.5
    assert axes.spines["top"].get_visible()
    assert not any(line.get_visible() for line in axes.get_xgridlines())
    assert figure.legends[0].get_frame_on()
    assert axes.xaxis.label.get_fontsize() == 9
    assert axes.lines[0].get_marker() != axes.lines[1].get_marker()  # what the style leaves open


def test_the_suites_own_looks_do_not_depend_on_the_users_parameters() -> None:
    with matplotlib.rc_context({"axes.grid": False, "font.size": 20}):
        [axes] = drawn().axes
        assert all(line.get_visible() for line in axes.get_xgridlines())
        assert axes.xaxis.label.get_fontsize() == 7
        [axes] = drawn(style="current").axes
        assert not any(line.get_visible() for line in axes.get_xgridlines())
        assert axes.xaxis.label.get_fontsize() == 20


def test_an_unknown_style_is_refused() -> None:
    with pytest.raises(UsageError, match="neither a file"):
        drawn(style="papre")


# Axes of the user's own


def test_a_metric_in_axes_of_ones_own() -> None:
    figure = Figure(figsize=(5, 4))
    axes = figure.subplots(1, 2)
    options = PlotOptions(codecs=("jpeg", "hfd"), labels={"hfd": "Ours"}, title="mine")
    assert draw([summary_frame(CODECS)], ["lpips"], options, ax=axes[1]) is figure
    assert not axes[0].lines
    assert list(lines(axes[1])) == ["jpeg", "Ours"]
    assert axes[1].get_ylabel() == "LPIPS ↓"
    assert axes[1].get_xlabel() == "Rate (bits per pixel)"
    assert axes[1].get_title() == "mine"
    assert names(figure) == ["jpeg", "Ours"]
    assert figure.get_size_inches().tolist() == [5, 4]
    assert axes[1].spines["top"].get_visible()  # looks of the user's, not the suite's
    draw([summary_frame(CODECS)], ["lpips"], PlotOptions(legend="none"), ax=axes[0])
    assert axes[0].get_legend() is None


@pytest.mark.parametrize(
    ("metrics", "fields", "message"),
    [
        (("lpips", "ms_ssim"), {}, "one metric, not 2"),
        (("lpips",), {"width": 3.3}, "width: axes of your own"),
        (("lpips",), {"legend": "above"}, "inside or none"),
    ],
)
def test_what_axes_of_ones_own_cannot_take(metrics: tuple[str, ...], fields: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        draw([summary_frame(CODECS, metrics)], metrics, PlotOptions(**fields), ax=Figure().add_subplot())


# Originals


def test_the_value_of_the_originals_is_a_dashed_line() -> None:
    frame = summary_frame(("hfd", "jpeg"))
    rows = frame[frame["metric"] == "lpips"].assign(aggregation=ORIGINALS, value=0.1, ci_low=0.09, ci_high=0.11)
    figure = draw([pd.concat([frame, rows], ignore_index=True)], ["lpips"])
    assert names(figure) == ["hfd", "jpeg", ORIGINALS_LABEL]
    line = lines(figure.axes[0])[ORIGINALS_LABEL]
    assert line.get_ydata() == pytest.approx(np.full(2, 0.1))
    assert line.get_linestyle() == "--"
    assert line.get_linewidth() < lines(figure.axes[0])["hfd"].get_linewidth()
    bottom, top = figure.axes[0].get_ylim()
    assert bottom < 0.1 < top
    assert set(frame["aggregation"]) == {MEAN}
    assert ORIGINALS_LABEL not in names(draw([frame], ["lpips"]))


# Differences


def test_differences_from_a_codec() -> None:
    runs = [synthetic(codec="jpeg"), synthetic(codec="hfd", psnr_loss=0.5), synthetic(codec="webp", psnr_loss=-1)]
    summaries = [summary_of(run) for run in runs]
    options = PlotOptions(relative_to="jpeg", labels={"jpeg": "JPEG", "hfd": "Ours"})
    figure = draw(summaries, ["psnr", "fd-effnet"], options, numbers=runs)
    assert names(figure) == ["Ours", "webp"]
    first, second = figure.axes
    assert lines(first)["Ours"].get_ydata() == pytest.approx(np.full(3, -0.5))
    assert lines(first)["webp"].get_ydata() == pytest.approx(np.full(3, 1.0))
    assert lines(second)["Ours"].get_ydata() == pytest.approx(np.zeros(3))
    assert "PSNR minus that of JPEG (dB)" in first.get_title(loc="left")
    assert "paired 95 % intervals" in words(figure)
    assert first.get_ylim()[0] < -0.5
    zero = [line for line in first.lines if set(line.get_ydata()) == {0}]
    assert len(zero) == 1


def test_differences_need_numbers_and_another_codec() -> None:
    run = synthetic(codec="jpeg")
    with pytest.raises(UsageError, match="a run folder or a baseline file is needed"):
        draw([summary_of(run)], ["psnr"], PlotOptions(relative_to="jpeg"))
    with pytest.raises(UsageError, match="no codec beside 'jpeg'"):
        draw([summary_of(run)], ["psnr"], PlotOptions(relative_to="jpeg"), numbers=[run])
    with pytest.raises(UsageError, match="'hfd' was measured"):
        draw([summary_of(run)], ["psnr"], PlotOptions(relative_to="hfd"), numbers=[run])
    far = synthetic(codec="far", rate=100)
    with pytest.raises(BenchmarkError, match="no difference in PSNR for far: no common rate"):
        draw([summary_of(run), summary_of(far)], ["psnr"], PlotOptions(relative_to="jpeg"), numbers=[run, far])


# Files


def test_files_of_each_format(tmp_path: Path) -> None:
    frame = summary_frame(CODECS)
    paths = write_plots([frame], ["lpips"], tmp_path, PlotOptions(formats=("pdf", "png")))
    assert [path.name for path in paths] == ["lpips.pdf", "lpips.png", "curves.pdf", "curves.png"]
    assert sorted(paths) == sorted(tmp_path.iterdir())
    assert paths[0].read_bytes().startswith(b"%PDF")
    assert b"/CreationDate" not in paths[0].read_bytes()
    assert b"/Type3" not in paths[0].read_bytes()
    again = write_plots([frame], ["lpips"], tmp_path / "again", PlotOptions(formats=("pdf",)))
    assert again[0].read_bytes() == paths[0].read_bytes()


def test_files_of_differences_have_names_of_their_own(tmp_path: Path) -> None:
    runs = [synthetic(codec="jpeg"), synthetic(codec="hfd")]
    options = PlotOptions(relative_to="jpeg", formats=("svg",))
    paths = write_plots([summary_of(run) for run in runs], ["psnr"], tmp_path, options, numbers=runs)
    assert [path.name for path in paths] == ["psnr-relative-to-jpeg.svg", "curves-relative-to-jpeg.svg"]


def test_pgf_without_tex_is_refused_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BenchmarkError, match="xelatex, which is not installed"):
        write_plots([summary_frame()], ["lpips"], tmp_path / "plots", PlotOptions(formats=("png", "pgf")))
    assert not (tmp_path / "plots").exists()


# What matplotlib asks of TeX: to end at \@@end, else to say a line when it is ready, and the metrics of each text.
TEX = """#!{python}
import sys
print("This is a TeX for tests", end="\\n*", flush=True)
for line in sys.stdin:
    if "@@end" in line:
        break
    if "pgf_backend_query_start" in line:
        print("pgf_backend_query_start", end="\\n*", flush=True)
    elif "sbox0" in line:
        print("20.0pt,5.0pt,1.0pt\\n", end="\\n*", flush=True)
"""


def test_pgf_is_written_with_escaped_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "xelatex"
    program.write_text(TEX.format(python=sys.executable))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path))
    options = PlotOptions(formats=("pgf",), caption=False, labels={"jpeg": r"$\alpha$"})
    [path, _] = write_plots([summary_frame(("own_codec", "jpeg"))], ["lpips"], tmp_path / "plots", options)
    text = path.read_text()
    assert r"\begin{pgfpicture}" in text
    assert r"own\_codec" in text
    assert r"$\alpha$" in text.replace(r"\displaystyle ", "")
    assert r"$\downarrow$ lower is better" in text


def test_a_style_that_needs_tex_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BenchmarkError, match=r"text\.usetex: matplotlib measures text with latex, which"):
        write_plots([summary_frame()], ["lpips"], tmp_path / "plots", PlotOptions(style={"text.usetex": True}))


def test_a_tex_that_fails_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "lualatex"
    program.write_text(f"#!{sys.executable}\nraise SystemExit(1)\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path))
    options = PlotOptions(formats=("pgf",), style={"pgf.texsystem": "lualatex"})
    with pytest.raises(BenchmarkError, match="TeX cannot set the text of the figure"):
        write_plots([summary_frame()], ["lpips"], tmp_path / "plots", options)
    assert not list(tmp_path.glob("plots/*"))


def test_metrics_whose_names_differ_in_signs_alone_have_a_file_each(tmp_path: Path) -> None:
    """And a metric of the name of the figure of all."""
    metrics = ["a+b", "a b", "curves"]
    paths = write_plots([summary_frame(metrics=metrics)], metrics, tmp_path, PlotOptions(formats=("svg",)))
    assert [path.name for path in paths] == ["a-b.svg", "a-b-2.svg", "curves-2.svg", "curves.svg"]
    assert len({path.read_bytes() for path in paths}) == 4
