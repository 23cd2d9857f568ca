import csv
import io
import math
from typing import Any

import pytest
from support.summaries import summary_frame

from benchmark.analysis.tabulation import Cell, Line, Tabulation, tabulate
from benchmark.errors import UsageError
from benchmark.metrics import metric_info
from benchmark.reports.paper_tables import write_table
from benchmark.reports.tex import escaped


def example(**changes: Any) -> Tabulation:
    cells = [
        {"psnr": Cell(31.234, 30.234, 32.234, rank=1, tied=True), "lpips": Cell(0.12345, math.nan, math.nan, rank=2)},
        {"psnr": Cell(30.987, 29.987, 31.987, rank=2, tied=True), "lpips": Cell(0.11111, 0.1, 0.13, rank=1, tied=True)},
        {"psnr": None, "lpips": Cell(0.5, 0.4, 0.6)},
    ]
    fields: dict[str, Any] = {
        "dataset": "tiny 01234567",
        "metrics": (metric_info("psnr"), metric_info("lpips")),
        "protocols": ("psnr/rgb", "lpips/alex"),
        "images": (8, 8),
        "at_rates": True,
        "tested": True,
        "lines": tuple(Line(f"codec_{n}", 0.2, 0.2, own) for n, own in enumerate(cells)),
    }
    return Tabulation(**(fields | changes))


def test_latex_has_booktabs_marks_and_escaped_words() -> None:
    lines = write_table(example(), "latex", labels={"codec_0": "Ours & us"}).splitlines()
    assert [line for line in lines if not line.startswith("%")] == [
        r"\begin{tabular}{llrr}",
        r"\toprule",
        r"bpp & codec & PSNR (dB) $\uparrow$ & LPIPS $\downarrow$ \\",
        r"\midrule",
        r"0.2 & Ours \& us & \textbf{31.23} & \underline{0.1235} \\",
        r" & codec\_1 & \underline{30.99} & \textbf{0.1111} \\",
        r" & codec\_2 & -- & 0.5000 \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]
    notes = [line for line in lines if line.startswith("%")]
    assert "tiny 01234567; n = 8 images" in notes[0]
    assert "psnr/rgb, lpips/alex" in notes[1]


def test_latex_sets_a_negative_value_with_a_minus_not_a_hyphen() -> None:
    line = Line("a", 0.2, 0.2, {"psnr": Cell(-1.25, -2.0, -0.5, rank=1), "lpips": None})
    latex = write_table(example(lines=(line,)), "latex", plus_minus=True)
    assert r"\textbf{$-$1.250} {\scriptsize $\pm$ 0.75}" in latex
    assert "**-1.250**" in write_table(example(lines=(line,)), "markdown")
    assert ",-1.25," in write_table(example(lines=(line,)), "csv")


def test_markdown_with_half_widths() -> None:
    table, notes = write_table(example(), "markdown", plus_minus=True).split("\n\n")
    assert table.splitlines() == [
        "| bpp | codec | PSNR (dB) ↑ | LPIPS ↓ |",
        "| --- | --- | ---: | ---: |",
        "| 0.2 | codec_0 | **31.23** ±1.0 | <u>0.1235</u> |",
        "| 0.2 | codec_1 | <u>30.99</u> ±1.0 | **0.1111** ±0.015 |",
        "| 0.2 | codec_2 | – | 0.5000 ±0.10 |",
    ]
    assert "± half the 95 % interval" in notes


def test_csv_has_plain_numbers() -> None:
    rows = list(csv.DictReader(io.StringIO(write_table(example(), "csv", plus_minus=True))))
    assert list(rows[0]) == ["bpp", "codec", *(m + e for m in ("psnr", "lpips") for e in ("", "_low", "_high"))]
    assert (rows[0]["psnr"], rows[0]["psnr_low"], rows[0]["lpips_low"]) == ("31.234", "30.234", "")
    assert rows[2]["psnr"] == ""


def test_ties_are_bold_where_that_is_asked() -> None:
    text = write_table(example(), "latex", bold_ties=True)
    assert r"\textbf{31.23}" in text
    assert r"\textbf{30.99}" in text
    assert r"\underline" not in text
    with pytest.raises(UsageError, match="--at-bpp"):
        write_table(example(tested=False), "latex", bold_ties=True)
    with pytest.raises(UsageError, match="none in bold"):
        write_table(example(), "csv", bold_ties=True)


def test_measured_qualities_have_their_rates() -> None:
    table = tabulate([summary_frame(("hfd", "jpeg"))], ["lpips"])
    lines = write_table(table, "latex").splitlines()
    assert r"codec & quality & bpp & LPIPS $\downarrow$ \\" in lines
    assert r"hfd & 1 & 0.100 & 0.4000 \\" in lines
    assert lines[lines.index(r"hfd & 3 & 0.900 & 0.2000 \\") + 1] == r"\midrule"
    assert r"\textbf" not in "".join(lines)
    assert "| jpeg | 2 | 0.330 | 0.3200 |" in write_table(table, "markdown")
    assert "jpeg,2,0.33,0.32" in write_table(table, "csv")


def test_small_rates_keep_digits_that_tell_them_apart() -> None:
    frame = summary_frame(("hfd",))
    frame.loc[frame["metric"] == "bpp", "value"] = [0.00187, 0.00242, 0.0101]
    lines = write_table(tabulate([frame], ["lpips"]), "markdown").splitlines()
    assert [line.split(" | ")[2] for line in lines[2:5]] == ["0.00187", "0.00242", "0.010"]


def test_another_format_is_refused() -> None:
    with pytest.raises(UsageError, match="'docx': there are latex, markdown, csv, html"):
        write_table(example(), "docx")


def test_every_special_character_is_escaped() -> None:
    assert escaped("a_b{c}$d%e&f#g~h^i\\j") == (
        r"a\_b\{c\}\$d\%e\&f\#g\textasciitilde{}h\textasciicircum{}i\textbackslash{}j"
    )
    assert escaped("x̂ ± 1 ↑") == r"$\hat{x}$ $\pm$ 1 $\uparrow$"


def test_html_is_escaped_and_marked() -> None:
    text = write_table(example(), "html", labels={"codec_0": "a<b"}, plus_minus=True)
    assert "<td>a&lt;b</td><td><b>31.23</b> <small>±1.0</small></td><td><u>0.1235</u></td>" in text
    assert text.count("<tr>") == 4
    assert text.startswith("<table>")


@pytest.mark.parametrize(("form", "zero"), [("latex", "& 0.00 "), ("markdown", "| 0.00 |"), ("html", "<td>0.00<")])
def test_what_is_rounded_to_zero_has_no_sign(form: str, zero: str) -> None:
    values = (-0.004, 31.5, 32.5)
    lines = tuple(Line("x", 1.0, 1.0, {"psnr": Cell(value, math.nan, math.nan)}) for value in values)
    assert zero in write_table(example(metrics=(metric_info("psnr"),), at_rates=False, tested=False, lines=lines), form)
