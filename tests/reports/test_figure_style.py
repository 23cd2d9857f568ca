from pathlib import Path

import matplotlib
import pytest

from benchmark.errors import UsageError
from benchmark.reports.figure_style import CURRENT, TEXT, StyleChoice, figure_style


def test_parameters_are_afterwards_as_they_were() -> None:
    before = dict(matplotlib.rcParams)
    with figure_style(9, {"axes.grid": False}):
        assert matplotlib.rcParams["font.size"] == 9
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("kind", ["mapping", "file", "name"])
def test_what_a_style_sets_goes_before_the_suites_looks(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "paper.mplstyle"
    file.write_text("axes.grid: False\nfont.size: 9\naxes.facecolor: E5E5E5\n")
    styles: dict[str, StyleChoice] = {
        "mapping": {"axes.grid": False, "font.size": 9, "axes.facecolor": "#E5E5E5"},
        "file": file,
        "name": "grayscale",
    }
    with figure_style(style=styles[kind]):
        if kind == "name":
            assert matplotlib.rcParams["image.cmap"] == "gray"
            assert matplotlib.rcParams["font.size"] == TEXT
        else:
            assert not matplotlib.rcParams["axes.grid"]
            assert matplotlib.rcParams["axes.titlesize"] == 9
        assert not matplotlib.rcParams["axes.spines.top"]  # left open by the style


def test_a_font_size_goes_before_the_styles() -> None:
    with figure_style(8, {"font.size": 12, "axes.labelsize": 14}):
        assert matplotlib.rcParams["font.size"] == 8
        assert matplotlib.rcParams["axes.labelsize"] == 8


def test_current_parameters_stay() -> None:
    with matplotlib.rc_context({"axes.grid": False, "font.size": 11, "axes.spines.top": True}):
        with figure_style(style=CURRENT):
            assert matplotlib.rcParams["font.size"] == 11
            assert matplotlib.rcParams["axes.spines.top"]
        with figure_style(8, CURRENT):
            assert matplotlib.rcParams["font.size"] == 8
            assert not matplotlib.rcParams["axes.grid"]


def test_other_styles_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'ggplto' is neither a file nor one that matplotlib knows: .*ggplot"):
        figure_style(style="ggplto")
    with pytest.raises(UsageError, match=r"none of matplotlib's: .*axes.gird"):
        figure_style(style={"axes.gird": True})
    file = tmp_path / "bad.mplstyle"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="cannot be read as a matplotlib style"):
        figure_style(style=file)
