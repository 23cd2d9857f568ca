import io
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from benchmark.analysis.summary import COLUMNS
from benchmark.errors import BenchmarkError, NotComparable
from benchmark.reports.tables import decimals_of, print_summary, write_markdown


def line(codec: str, quality: float, metric: str, value: float, half_width: float, **changes: Any) -> dict[str, Any]:
    facts = {"bpp": ("bpp/whole", "bits per pixel", False), "psnr": ("psnr/rgb", "dB", True), "fid": ("fid", "", False)}
    protocol, unit, higher = facts[metric]
    values = {"value": value, "ci_low": value - half_width, "ci_high": value + half_width, "stderr_seed": math.nan}
    words = {"dataset": "tiny[quick look, 2 of 4] 01234567", "codec": codec, "quality": quality, "metric": metric}
    facts_of_row = {"protocol": protocol, "unit": unit, "higher_is_better": higher, "n_images": 8, "n_patches": None}
    return {"aggregation": "mean over images"} | words | values | facts_of_row | changes


def example() -> pd.DataFrame:
    rows = [
        line("jpeg", 5, "bpp", 0.21234, 0.0312),
        line("jpeg", 5, "bpp", 0.3, 0.0312, aggregation="total bits / total pixels"),
        line("jpeg", 5, "psnr", 23.456, 1.234),
        line("jpeg", 5, "fid", 123.456, 12.3),
        line("a|b:x=1", 2.5, "bpp", 0.5, math.nan),
        line("a|b:x=1", 2.5, "psnr", 31.0, 1.0, n_images=6, stderr_seed=0.0123),
        line("a|b:x=1", 2.5, "fid", math.nan, math.nan, n_images=0),
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def printed(frame: pd.DataFrame, width: int) -> str:
    output = io.StringIO()
    print_summary(frame, Console(file=output, width=width))
    return output.getvalue()


def test_one_row_a_codec_and_quality(tmp_path: Path) -> None:
    write_markdown(example(), tmp_path / "table.md")
    table, notes = (tmp_path / "table.md").read_text().split("\n\n")
    assert table.splitlines() == [
        "| codec | quality | bpp (↓) | PSNR (dB ↑) | FID (↓) |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| jpeg | 5 | 0.2123 ±0.031 | 23.46 ±1.2 | 123.5 ±12 |",
        r"| a\|b:x=1 | 2.5 | 0.5000 | 31.00 ±1.0 (0.012) [6] | – |",
    ]
    for part in ("tiny[quick look, 2 of 4] 01234567", "n = 8 images", "95 % interval", "seeds", "psnr/rgb"):
        assert part in notes


def test_the_terminal_shows_the_same_values() -> None:
    lines = [text.split() for text in printed(example(), 120).splitlines()]
    assert ["jpeg"] in lines
    assert ["5", "0.2123", "±0.031", "23.46", "±1.2", "123.5", "±12"] in lines
    assert ["2.5", "0.5000", "31.00", "±1.0", "(0.012)", "[6]", "–"] in lines


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_no_number_is_cut_by_a_narrow_terminal(width: int) -> None:
    output = printed(example(), width)
    assert max(map(len, output.splitlines())) <= width
    for number in ("0.2123", "±0.031", "23.46", "±1.2", "123.5", "±12", "(0.012)", "[6]", "a|b:x=1"):
        assert number in output.split()


@pytest.mark.parametrize("width", [30, 60, 80])
def test_long_titles_cut_no_value(width: int) -> None:
    frame = example().astype({"title": object})
    frame.loc[frame["metric"] == "psnr", "title"] = "Similarity of the gradients' magnitudes"
    frame.loc[frame["metric"] == "fid", "title"] = "Another rather long title of a metric"
    output = printed(frame, width)
    assert "…" not in output
    assert max(map(len, output.splitlines())) <= width
    for word in ("0.2123", "23.46", "123.5", "±12", "Similarity", "magnitudes", "Another", "↑", "↓", "jpeg"):
        assert word in output.split()


def test_two_protocols_are_no_column() -> None:
    frame = example()
    frame.loc[frame["codec"] == "jpeg", "protocol"] += "/other"
    with pytest.raises(NotComparable, match="bpp"):
        printed(frame, 80)
    with pytest.raises(BenchmarkError, match="empty"):
        printed(example().iloc[:0], 80)


@pytest.mark.parametrize("size", [1e-12, 3e-7, 9e-4])
def test_small_values_keep_two_digits(size: float) -> None:
    text = f"{size:.{decimals_of([size, 2 * size, math.inf, math.nan, 0.0])}f}"
    assert abs(float(text) - size) < 0.1 * size


def test_usual_values_keep_their_decimals() -> None:
    assert [decimals_of([value]) for value in (1e12, 188.0, 31.5, 0.97, 0.05, 0.001, 0.0)] == [0, 1, 2, 4, 4, 4, 3]
