from typing import Any

import numpy as np
import pytest

from benchmark.errors import UsageError
from benchmark.reports.plots import PlotOptions


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"width": 0.2}, "width 0.2: between 1 and 50"),
        ({"height": 60}, "height 60: between 1 and 50"),
        ({"aspect": 0.0}, "aspect 0: between 0.1 and 10"),
        ({"font_size": 1}, "font size 1: between 2 and 40"),
        ({"font_size": float("nan")}, "font size nan"),
        ({"formats": ("png", "gif")}, "format 'gif': there are png, svg, pdf, pgf"),
        ({"formats": ()}, "no format is named"),
        ({"formats": "pdf"}, "formats: a list is needed"),
        ({"codecs": "hfd"}, "codecs: a list is needed"),
        ({"x_axis": "sqrt"}, "x axis 'sqrt': there are log, linear"),
        ({"intervals": "lines"}, "intervals 'lines': there are bars, bands, none"),
        ({"legend": "left"}, "legend 'left': there are auto, above, below, inside, none"),
        ({"height": 3, "aspect": 1}, "one of both"),
        ({"xlim": (2, 1)}, "xlim 2:1: two numbers"),
        ({"xlim": 3}, "xlim 3: two numbers"),
        ({"xlim": ("a", "b")}, "two numbers are needed"),
        ({"xlim": (1, 2, 3)}, "xlim 1:2:3: two numbers"),
        ({"xlim": np.array([0.1, 2.0])}, "two numbers are needed"),
        ({"ylim": (0, 1)}, "ylim: a mapping by metric is needed"),
        ({"labels": "Ours"}, "labels: a mapping by codec is needed"),
        ({"labels": {"hfd": 3}}, "label of hfd: a text is needed, not 3"),
        ({"title": 3}, "title: a text is needed, not 3"),
        ({"width": "3.3"}, "width '3.3': a number is needed"),
        ({"xlim": (0, 1)}, "a logarithmic axis begins above 0"),
        ({"ylim": {"lpips": (0, float("inf"))}}, "ylim of lpips 0:inf"),
        ({"relative_to": "jpeg", "published": ()}, "no paired difference is known"),
    ],
)
def test_values_that_mean_nothing_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        PlotOptions(**fields)


def test_a_linear_axis_may_begin_at_0() -> None:
    assert PlotOptions(x_axis="linear", xlim=(0, 1)).xlim == (0, 1)
