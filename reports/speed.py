"""How fast codecs are: megapixels a second of encode and decode, from the repeated calls of a run with --timing."""

from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd

from benchmark.results import RunFolder, quality_name

COLUMN_WORDS = {
    "codec": "label: the codec spec, or the name that the user gave it",
    "quality": "on the codec's own scale",
    "what": "encode or decode",
    "mp_per_s": "megapixels of the image over the seconds of a call, the median over all calls of all images",
    "quartile_low": "lower quartile of the same",
    "quartile_high": "upper quartile of the same",
    "n_images": "images that were coded",
    "n_calls": "calls whose time was measured",
}
"""Column -> what it holds."""
COLUMNS = tuple(COLUMN_WORDS)


def speeds(folder: RunFolder) -> pd.DataFrame:
    """A row per codec, quality and direction, with COLUMNS; none if the run measured no time.

    mp_per_s: megapixels of the image over the seconds of a call, the median over all calls of all images, with the
    quartiles beside it. what: "encode" or "decode".
    """
    found: dict[tuple[str, float, str], list[float]] = {}
    images: dict[tuple[str, float, str], set[str]] = {}
    for trial in folder.trials():
        for what, repeats in (("encode", trial.encode_repeats), ("decode", trial.decode_repeats)):
            timed = [seconds for seconds in repeats or () if seconds > 0]  # a coarse clock sees none of a short call
            if timed and trial.height is not None and trial.width is not None:
                key = trial.codec, trial.quality, what
                megapixels = trial.height * trial.width / 1e6
                found.setdefault(key, []).extend(megapixels / seconds for seconds in timed)
                images.setdefault(key, set()).add(trial.image)
    order = {codec: place for place, codec in enumerate(folder.manifest.codecs)}
    rows = [
        (*key, *np.quantile(found[key], (0.5, 0.25, 0.75)), len(images[key]), len(found[key]))
        for key in sorted(found, key=lambda key: (order.get(key[0], len(order)), key[1], key[2] != "encode"))
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def write_speeds(folder: RunFolder) -> tuple[Path, list[str]]:
    """Writes speed.csv of the run; returns its path, and lines for the user, one per codec and quality."""
    table = speeds(folder)
    path = folder.path / "speed.csv"
    folder.write_bytes(path, table.to_csv(index=False, float_format="%.6g", lineterminator="\n").encode())
    ways: dict[tuple[str, float], list[float]] = {}
    for trial in folder.trials():
        if trial.transfer_seconds is not None:
            ways.setdefault((trial.codec, trial.quality), []).append(trial.transfer_seconds)
    lines = []
    for codec, quality in dict.fromkeys(zip(table["codec"], table["quality"], strict=True)):
        rows = table[(table["codec"] == codec) & (table["quality"] == quality)]
        cells = [
            f"{row['what']} {row['mp_per_s']:.3g} ({row['quartile_low']:.3g} to {row['quartile_high']:.3g})"
            for row in rows.to_dict("records")
        ]
        way = ""
        if seconds := ways.get((codec, quality)):
            way = f"; not counted: {1000 * median(seconds):.3g} ms on the way to its interpreter and back"
        lines.append(f"{codec} at quality {quality_name(float(quality))}: {', '.join(cells)} megapixels a second{way}")
    return path, lines
