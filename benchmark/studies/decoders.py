"""The comparison of decoders on the same bytes: which codecs, what each costs, and its value at equal bits.

`mse`, `hific-small` and the decoders of `hfd` send one payload, so at each quality nothing but the decoder differs.
"""

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from benchmark.addresses import location
from benchmark.analysis.summary import HEADLINES
from benchmark.baselines.target import candidates, closest
from benchmark.codecs import Codec, Image, open_codec
from benchmark.errors import BenchmarkError, UsageError
from benchmark.images import load_image
from benchmark.results import RunFolder, Trial, quality_name

if TYPE_CHECKING:
    import pandas

CODECS = (
    "jpeg",
    "mse",
    "hific-small",
    "hfd:decoder=flow",
    "hfd:decoder=diffusion",
    "hfd:decoder=one-step",
    "hfd:decoder=diffusion,sampler=noise,noise=0.3",
)
"""The last is the control: what noise alone, of the strength of x̂'s error at each place, does to each metric."""

METRICS = ("psnr", "lpips", "fd-effnet", "kd-effnet")
SEEDS = "0,1,2"
COUNTED_SIDE = 256
"""Of the square picture on which operations are counted."""


def check_codecs(specs: Sequence[str], device: str) -> dict[str, Codec]:
    """The codecs, opened. Raises BenchmarkError that says which one is not there and how to leave it out."""
    codecs = {}
    for spec in specs:
        try:
            codecs[spec] = open_codec(spec, device)
        except UsageError:
            raise
        except BenchmarkError as error:
            raise BenchmarkError(f"{spec} cannot be compared: {error}; --codec names those to compare") from error
    return codecs


def notes_on(codecs: Mapping[str, Codec]) -> list[str]:
    """What must stand beside the figures."""
    return [
        f"{spec} was trained on the LPIPS by which it is judged here: its LPIPS figures flatter it, and distances "
        "between features of another network may profit as well"
        for spec, codec in codecs.items()
        if "lpips" in getattr(codec, "taught_by", ())
    ]


def same_bytes(trials: Iterable[Trial]) -> list[str]:
    """The first codec and those whose streams are as long as its own at every picture and quality; the largest group.

    Codecs with other qualities than each other's are never in one group.
    """
    lengths: dict[str, dict[tuple[float, str], int]] = {}
    for trial in trials:
        if trial.error is None and trial.bytes is not None:
            lengths.setdefault(trial.codec, {})[trial.quality, trial.image] = trial.bytes
    groups: list[list[str]] = []
    for codec, own in lengths.items():
        group = next((group for group in groups if lengths[group[0]] == own), None)
        if group is None:
            groups.append([codec])
        else:
            group.append(codec)
    return max(groups, key=len, default=[])


# Costs


@dataclass(frozen=True)
class Cost:
    """parameters: of all networks that a codec holds, its encoder's too; 0 for a codec without networks.

    kmac: thousand multiply-accumulates that `decode` computes for a pixel, entropy decoding included.
    """

    parameters: int
    kmac: float


def cost_of(codec: Codec, quality: float, side: int = COUNTED_SIDE) -> Cost:
    """Counts while a picture of side×side is decoded: convolutions and matrix products, whoever calls them."""
    from torch.utils.flop_counter import FlopCounterMode

    rows, columns = np.mgrid[0:side, 0:side]
    waves = np.stack([np.sin(rows / 9), np.cos(columns / 7), np.sin((rows + columns) / 13)], -1)
    noise = np.random.default_rng(0).normal(0, 8, waves.shape)
    data = codec.encode((127 + 90 * waves + noise).clip(0, 255).astype(np.uint8), quality)
    with FlopCounterMode(display=False) as counter:
        codec.decode(data)
    return Cost(_parameters(codec), counter.get_total_flops() / 2 / side**2 / 1000)


def _parameters(codec: object) -> int:
    """Of all torch modules that can be reached through the attributes of `codec`; each parameter once."""
    import torch

    seen: set[int] = set()
    parameters: dict[int, int] = {}

    def visit(thing: Any) -> None:
        if id(thing) in seen or isinstance(thing, str | bytes | int | float | type | np.ndarray):
            return
        seen.add(id(thing))
        if isinstance(thing, torch.nn.Module):
            parameters.update({p.data_ptr(): p.numel() for p in thing.parameters() if p.numel()})
        elif isinstance(thing, Mapping):
            for value in thing.values():
                visit(value)
        elif isinstance(thing, list | tuple | set):
            for value in thing:
                visit(value)
        elif not isinstance(thing, torch.Tensor):
            visit(getattr(thing, "__dict__", {}))

    visit(codec)
    return sum(parameters.values())


# Equal bits


@dataclass(frozen=True)
class AtRate:
    """A codec's value of a metric at given bits per pixel, with the ends of its interval over images.

    how: "between qualities 2 and 3", or "quality 5, the nearest". bpp: the rate that was asked for, or the nearest's.
    """

    codec: str
    bpp: float
    value: float
    low: float
    high: float
    how: str


def at_rate(summary: "pandas.DataFrame", codec: str, metric: str, bpp: float) -> AtRate | None:
    """Linear over the logarithm of the rate between two neighbouring points, value and interval alike.

    Beyond a codec's points its nearest one. None where it has no value.
    """
    rows = summary[(summary["codec"] == codec) & summary["aggregation"].isin(HEADLINES)]
    rates = rows[rows["metric"] == "bpp"].set_index("quality")["value"]
    values = rows[rows["metric"] == metric].set_index("quality")[["value", "ci_low", "ci_high"]]
    points = values.join(rates.rename("bpp"), how="inner")
    points = points[points["value"].notna() & (points["bpp"] > 0)].sort_values("bpp")
    if points.empty:
        return None
    above = int(np.searchsorted(points["bpp"].to_numpy(), bpp))
    if 0 < above < len(points):
        one, other = points.iloc[above - 1], points.iloc[above]
        share = math.log(bpp / one["bpp"]) / math.log(other["bpp"] / one["bpp"])
        low, value, high = (float((1 - share) * one[c] + share * other[c]) for c in ("ci_low", "value", "ci_high"))
        between = " and ".join(quality_name(float(q)) for q in sorted((points.index[above - 1], points.index[above])))
        return AtRate(codec, bpp, value, low, high, f"between qualities {between}")
    place = min(above, len(points) - 1)
    nearest, quality = points.iloc[place], quality_name(float(points.index[place]))
    rate, value, low, high = (float(nearest[column]) for column in ("bpp", "value", "ci_low", "ci_high"))
    return AtRate(codec, rate, value, low, high, f"quality {quality}, the nearest")


def write_costs(found: Mapping[str, Sequence[AtRate]], costs: Mapping[str, Cost], path: Path) -> Path:
    """A CSV file, a line a metric (keys of `found`) and codec: what each decoder costs and gives. Returns `path`."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["codec", "parameters", "kmac_per_pixel", "metric", "bpp", "value", "ci_low", "ci_high", "how"])
        for metric, values in found.items():
            for at in values:
                cost = costs[at.codec]
                numbers = [f"{number:.6g}" for number in (at.bpp, at.value, at.low, at.high)]
                writer.writerow([at.codec, cost.parameters, f"{cost.kmac:.1f}", metric, *numbers, at.how])
    return path


# Crops at the same bytes


@dataclass(frozen=True)
class Cell:
    """A crop of the sheet: uint8 (size, size, 3). caption: its bits and PSNR; empty for the original."""

    title: str
    caption: str
    crop: Image


def sheet_rows(
    folder: RunFolder,
    group: Sequence[str],
    others: Mapping[str, Codec],
    quality: float,
    images: Sequence[str],
    size: int,
) -> list[tuple[str, list[Cell]]]:
    """For each picture its name and place, and the same crop of the original, of `others`, and of `group`.

    group: codecs that send the same bytes. others: coded here at the quality that comes nearest to those bytes, which
    goes before the group. Of a stochastic decoder the first seed. Raises BenchmarkError if the run kept no pictures.
    """
    kept = {
        (trial.codec, trial.image): trial
        for trial in reversed(folder.trials())
        if trial.quality == quality and trial.error is None
    }
    records = {picture.name: picture for picture in folder.manifest.dataset.pictures}
    rows = []
    for name in images:
        path = records[name].path
        if path is None or any((codec, name) not in kept for codec in group):
            raise BenchmarkError(f"{name} was not coded by {', '.join(group)} at quality {quality_name(quality)}")
        original = load_image(location(path), folder.manifest.dataset.preparation)
        top, left = most_detailed(original, size)
        place = np.s_[top : top + size, left : left + size]
        cells = [Cell("original", "", original[place])]
        wanted = kept[group[0], name].bytes or 0
        for spec, codec in others.items():
            streams: dict[float, bytes] = {}

            def rate(
                q: float, codec: Codec = codec, streams: dict[float, bytes] = streams, picture: Image = original
            ) -> float:
                streams[q] = codec.encode(picture, q)
                return float(len(streams[q]))

            found = closest(candidates(codec), rate, float(wanted))
            picture = codec.decode(streams[found] if found in streams else codec.encode(original, found), None)
            cells.append(_cell(f"{spec}, quality {quality_name(found)}", original, picture, len(streams[found]), place))
        for codec_spec in group:
            trial = kept[codec_spec, name]
            picture = load_image(folder.reconstruction_path(trial.key))
            cells.append(_cell(codec_spec, original, picture, trial.bytes or 0, place))
        rows.append((f"{name}, {size}×{size} at ({left}, {top})", cells))
    return rows


def _cell(title: str, original: Image, picture: Image, length: int, place: Any) -> Cell:
    error = float(np.mean((picture.astype(np.float64) - original) ** 2))
    psnr = f"{10 * math.log10(255**2 / error):.2f} dB" if error else "lossless"
    return Cell(title, f"{8 * length / (original.shape[0] * original.shape[1]):.3f} bpp, {psnr}", picture[place])


def most_detailed(image: Image, size: int) -> tuple[int, int]:
    """Top and left of the size×size crop, on a grid of a quarter of it, whose luma differs most from pixel to pixel.

    A picture smaller than that has its corner.
    """
    luma: npt.NDArray[np.float64] = image.astype(np.float64) @ (0.299, 0.587, 0.114)
    steps = np.zeros_like(luma)
    steps[:, 1:] += np.abs(np.diff(luma, axis=1))
    steps[1:] += np.abs(np.diff(luma, axis=0))
    sums = np.zeros((luma.shape[0] + 1, luma.shape[1] + 1))
    sums[1:, 1:] = steps.cumsum(0).cumsum(1)
    best, chosen = -1.0, (0, 0)
    for top in range(0, max(1, luma.shape[0] - size + 1), max(1, size // 4)):
        for left in range(0, max(1, luma.shape[1] - size + 1), max(1, size // 4)):
            bottom, right = min(top + size, luma.shape[0]), min(left + size, luma.shape[1])
            detail = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
            if detail > best:
                best, chosen = float(detail), (top, left)
    return chosen
