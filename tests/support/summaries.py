"""Summaries of runs that never were."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from benchmark.analysis.summary import COLUMNS

PROTOCOLS = {"bpp": "bpp/whole", "lpips": "lpips/v0.1/alex", "ms_ssim": "ms_ssim/255", "fd-effnet": "fd/patch128/lite0"}
HIGHER = {"ms_ssim"}


def summary_frame(
    codecs: Sequence[str] = ("hfd", "jpeg"), metrics: Sequence[str] = ("lpips",), **changes: Any
) -> pd.DataFrame:
    """Three qualities a codec. changes: columns to set, for all rows."""
    rows = []
    for number, codec in enumerate(codecs):
        for quality, bpp in enumerate((0.1, 0.3, 0.9), start=1):
            for metric in ("bpp", *metrics):
                value = bpp * (1 + 0.1 * number) if metric == "bpp" else 0.5 - 0.1 * quality + 0.02 * number
                row = dict.fromkeys(COLUMNS, "")
                row |= {"dataset": "tiny 01234567", "codec": codec, "quality": float(quality), "metric": metric}
                row |= {"protocol": PROTOCOLS.get(metric, metric), "higher_is_better": metric in HIGHER}
                row |= {"value": value, "stderr": value / 20, "ci_low": value * 0.9, "ci_high": value * 1.1}
                row |= {"stderr_seed": math.nan, "n_images": 8, "n_patches": 72 if metric.startswith("fd") else None}
                row["aggregation"] = "set" if metric.startswith("fd") else "mean over images"
                rows.append(row | changes)
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return frame.astype({"n_patches": "Int64"})
