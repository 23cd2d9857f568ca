"""The comparison of decoders on the same bytes: which codecs, what each costs, and its value at equal bits.

`mse`, `hific-small` and the decoders of `hfd` send one payload, so at each quality nothing but the decoder differs.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.addresses import location
from benchmark.analysis.baseline import baseline_of_run
from benchmark.analysis.equal_bits import at_rate
from benchmark.analysis.summary import drawable_metrics, metric_facts
from benchmark.baselines.target import candidates, closest
from benchmark.codecs import Codec, open_codec
from benchmark.datasets import limit, open_dataset
from benchmark.errors import BenchmarkError, UsageError
from benchmark.images import load_image
from benchmark.macs import count_macs
from benchmark.metrics.fidelity import mean_squared_error, psnr_from_mse
from benchmark.pixels import Image
from benchmark.reports.crops import most_detailed
from benchmark.reports.curves import draw_curves
from benchmark.reports.decoders import Cell, Cost, draw_costs, draw_sheet, write_costs
from benchmark.reports.outcome import sum_up
from benchmark.reports.tables import write_markdown
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
"""The last is the noise baseline: what noise alone, as strong as x̂'s error at each place, does to each metric."""

SHEET_QUALITIES = (3.0,)
COUNTED_SIDE = 256
"""Of the square image on which operations are counted."""


@dataclass(frozen=True)
class Sheets:
    """Sheets of crops: a sheet per quality, a row per image; none named takes four of the set. size: side of a crop."""

    qualities: Sequence[float] = SHEET_QUALITIES
    images: Sequence[str] = ()
    size: int = 192


@dataclass(frozen=True)
class Comparison:
    """What `write_comparison` gives.

    summary: of the run. notes: what must stand beside the figures. written: paths of all files. failures: why trials
    failed, a line per image and reason.
    """

    summary: "pandas.DataFrame"
    notes: Sequence[str]
    written: Sequence[Path]
    failures: Sequence[str]


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


def check_images(names: Sequence[str], dataset: str, most: int) -> None:
    """Raises UsageError on a name that no image has among `most` of the data set, before anything is run."""
    if not names:
        return
    there = [image.name for image in limit(open_dataset(dataset), most).pictures]
    if unknown := [name for name in names if name not in there]:
        some = ", ".join(there[:4]) + (" …" if len(there) > 4 else "")
        raise UsageError(f"--image {unknown[0]}: the data set has no such image; there are {some}")


def write_comparison(folder: RunFolder, codecs: Mapping[str, Codec], bpp: float, sheets: Sheets) -> Comparison:
    """The tables, curves, costs and sheets of a run that kept its reconstructions, written into its folder.

    codecs: those of the run, opened. bpp: where quality is drawn over cost.
    """
    outcome = sum_up(folder, draw=False)
    summary, manifest, plots = outcome.summary, folder.manifest, folder.path / "plots"
    finite = set(drawable_metrics(summary))
    metrics = [name for name in manifest.metrics if name in finite]
    group = sorted(same_bytes(trial for trial in folder.trials() if trial.codec in codecs), key=list(codecs).index)
    names = [record.name for record in manifest.dataset.pictures]
    shown = sheets.images or (names if len(names) < 4 else [names[(2 * n + 1) * len(names) // 8] for n in range(4)])
    missing = {quality: _no_sheet(folder, group, quality, shown) for quality in sheets.qualities}

    notes = [*outcome.notes]
    if len(group) > 1:
        notes.append(f"{', '.join(group)}: the same number of bytes at every image and quality")
    notes += [f"no sheet at quality {quality_name(quality)}: {reason}" for quality, reason in missing.items() if reason]
    table = folder.path / "decoders.md"
    write_markdown(summary, table, notes)
    written = [folder.summary_path, table, *(draw_curves([summary], metrics, plots) if metrics else [])]

    costs = {spec: cost_of(codec, manifest.codecs[spec].qualities[0]) for spec, codec in codecs.items()}
    numbers = baseline_of_run(folder)
    found = {name: [at for spec in codecs if (at := at_rate(summary, spec, name, bpp, numbers))] for name in metrics}
    label = f"{summary['dataset'].iloc[0]}, {len(names)} images"
    written.append(write_costs(found, costs, folder.path / "costs.csv"))
    for name in metrics:
        written += draw_costs(
            found[name], costs, metric_facts(summary, name).title, bpp, label, plots / f"{name}-over-cost"
        )

    others = {spec: codec for spec, codec in codecs.items() if spec not in group}
    for quality in (quality for quality, reason in missing.items() if not reason):
        rows = sheet_rows(folder, group, others, quality, shown, sheets.size)
        title = f"{label}; crops at the same bytes, quality {quality_name(quality)} of {group[0]}"
        written += draw_sheet(rows, title, plots / f"sheet-{quality_name(quality)}")
    return Comparison(summary, notes, written, outcome.failures)


def same_bytes(trials: Iterable[Trial]) -> list[str]:
    """The first codec and those whose streams are as long as its own at every image and quality; the largest group.

    Codecs with other qualities than each other's are never in one group.
    """
    lengths: dict[str, dict[tuple[float, str], float]] = {}
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


def cost_of(codec: Codec, quality: float, side: int = COUNTED_SIDE) -> Cost:
    """Counts while an image of side×side is decoded: convolutions and matrix products, whoever calls them."""
    rows, columns = np.mgrid[0:side, 0:side]
    waves = np.stack([np.sin(rows / 9), np.cos(columns / 7), np.sin((rows + columns) / 13)], -1)
    noise = np.random.default_rng(0).normal(0, 8, waves.shape)
    data = codec.encode((127 + 90 * waves + noise).clip(0, 255).astype(np.uint8), quality)
    return Cost(_parameters(codec), count_macs(lambda: codec.decode(data)) / side**2 / 1000)


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


# Crops at the same bytes


def sheet_rows(
    folder: RunFolder,
    group: Sequence[str],
    others: Mapping[str, Codec],
    quality: float,
    images: Sequence[str],
    size: int,
) -> list[tuple[str, list[Cell]]]:
    """For each image its name and place, and the same crop of the original, of `others`, and of `group`.

    group: codecs that send the same bytes, and did so for these images at this quality. others: coded here at the
    quality that comes nearest to those bytes, which goes before the group. Of a stochastic decoder the first seed.
    Raises BenchmarkError if the run kept no reconstructions.
    """
    kept = _kept(folder, quality)
    records = {record.name: record for record in folder.manifest.dataset.pictures}
    rows = []
    for name in images:
        path = records[name].path
        if path is None:
            raise BenchmarkError(f"{name}: the run does not say where the original is")
        original = load_image(location(path), folder.manifest.dataset.preparation)
        top, left = most_detailed(original, size)
        place = np.s_[top : top + size, left : left + size]
        cells = [Cell("original", "", original[place])]
        wanted = kept[group[0], name].bytes or 0
        for spec, codec in others.items():
            found, stream = _nearest(codec, original, wanted)
            decoded = codec.decode(stream, None)
            cells.append(_cell(f"{spec}, quality {quality_name(found)}", original, decoded, len(stream), place))
        for spec in group:
            trial = kept[spec, name]
            decoded = load_image(folder.reconstruction_path(trial.key))
            cells.append(_cell(spec, original, decoded, trial.bytes or 0, place))
        rows.append((f"{name}, {size}×{size} at ({left}, {top})", cells))
    return rows


def _kept(folder: RunFolder, quality: float) -> dict[tuple[str, str], Trial]:
    """(codec, image) -> its trial at `quality` without an error, of the first seed."""
    return {
        (trial.codec, trial.image): trial
        for trial in reversed(folder.trials())
        if trial.quality == quality and trial.error is None
    }


def _no_sheet(folder: RunFolder, group: Sequence[str], quality: float, images: Sequence[str]) -> str:
    """Why there can be no sheet; "" if there can."""
    if not group:
        return "no codec coded anything"
    if quality not in folder.manifest.codecs[group[0]].qualities:
        return f"{group[0]} was not run at it"
    kept = _kept(folder, quality)
    missing = [f"{name} was not coded by {spec}" for name in images for spec in group if (spec, name) not in kept]
    return missing[0] if missing else ""


def _nearest(codec: Codec, image: Image, length: float) -> tuple[float, bytes]:
    """The quality whose stream comes nearest to `length` bytes, and that stream."""
    streams: dict[float, bytes] = {}

    def bytes_at(quality: float) -> float:
        streams[quality] = codec.encode(image, quality)
        return float(len(streams[quality]))

    found = closest(candidates(codec), bytes_at, float(length))
    return found, streams[found] if found in streams else codec.encode(image, found)


def _cell(title: str, original: Image, decoded: Image, length: float, place: Any) -> Cell:
    error = mean_squared_error(original, decoded)
    psnr = f"{psnr_from_mse(error):.2f} dB" if error else "lossless"
    return Cell(title, f"{8 * length / (original.shape[0] * original.shape[1]):.3f} bpp, {psnr}", decoded[place])
