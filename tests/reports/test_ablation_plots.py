from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

from benchmark.errors import NotComparable
from benchmark.reports.ablations import _draw, _draw_trade, draw_study


def rows(line: str, setting: float | None, metric: str, value: float, protocol: str = "p") -> dict[str, object]:
    return {
        "line": line,
        "setting": setting,
        "dataset": "kodak 0123",
        "codec": line,
        "quality": 2.5,
        "metric": metric,
        "protocol": protocol,
        "value": value,
        "ci_low": value - 0.1,
        "ci_high": value + 0.1,
        "n_images": 8,
        "aggregation": "mean over images",
        "higher_is_better": metric == "psnr",
    }


def table(protocol: str = "p", lines: Sequence[str] = ("flow", "diffusion")) -> pd.DataFrame:
    records = [rows("x̂", None, metric, 1.0) for metric in ("bpp", "psnr", "lpips")]
    for line in lines:
        for setting in (0.0, 0.5, 1.0):
            records.append(rows(line, setting, "psnr", 30 - setting))
            records.append(rows(line, setting, "lpips", 0.5 - 0.2 * setting, protocol))
    return pd.DataFrame(records)


@pytest.mark.parametrize("name", ["steps", "noise", "realism"])
def test_draws_a_panel_a_metric_and_names_the_lines(tmp_path: Path, name: str) -> None:
    png, svg = draw_study(name, "What does it do?", table(), ["psnr", "lpips"], tmp_path)
    assert png.read_bytes().startswith(b"\x89PNG")
    text = svg.read_text()
    for words in ("What does it do?", "kodak 0123, 8 images, quality 2.5", "flow", "diffusion", "LPIPS"):
        assert words in text


def test_two_protocols_are_not_drawn_in_one_panel(tmp_path: Path) -> None:
    with pytest.raises(NotComparable, match="lpips"):
        draw_study("noise", "?", table(protocol="q"), ["psnr", "lpips"], tmp_path)


@pytest.mark.parametrize("count", [3, 5, 10])
def test_however_many_lines_each_has_a_look_of_its_own(count: int, tmp_path: Path) -> None:
    frame = table(lines=[f"line {number}" for number in range(count)])
    draw_study("realism", "?", frame, ["psnr", "lpips"], tmp_path)
    panel, trade = Figure().subplots(1, 2)
    _draw(panel, frame[frame["metric"] == "lpips"])
    _draw_trade(trade, frame, "psnr", "lpips")
    assert len({(bars[0].get_color(), bars[0].get_marker()) for bars in panel.containers}) == count
    assert len({(line.get_color(), line.get_marker()) for line in trade.lines}) == count


def test_a_line_looks_the_same_in_every_panel() -> None:
    """Also where its name comes first in the alphabet and second in the table."""
    frame = table()
    frame.loc[frame["line"] == "flow", ["value", "ci_low", "ci_high"]] += 1.0
    panel, trade = Figure().subplots(1, 2)
    _draw(panel, frame[frame["metric"] == "lpips"])
    _draw_trade(trade, frame, "psnr", "lpips")
    colors = {str(bars.get_label()): bars[0].get_color() for bars in panel.containers}
    for line in trade.lines:
        name = "flow" if max(line.get_ydata()) > 1 else "diffusion"
        assert line.get_color() == colors[name]
    assert len(trade.lines) == len(colors) == 2
