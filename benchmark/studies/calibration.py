"""Each metric beside the implementation that defines it, on fixed pixels; how long it takes; and the page of both."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import math
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

import numpy as np

from benchmark import fetching
from benchmark.datasets.shipped import FOLDER
from benchmark.errors import EXTRAS, BenchmarkError, UsageError, one_line
from benchmark.files import write_file
from benchmark.images import load_image
from benchmark.metrics import DEFAULT_METRICS, METRICS, ImageMetric, MetricInfo, SetMetric, open_metric, shipped_info
from benchmark.metrics.patches import cut
from benchmark.metrics.references import REFERENCES, SET_REFERENCES, stand_in_inception, stand_in_vgg16
from benchmark.running.provenance import machine
from benchmark.studies.degradations import DEGRADATIONS, PHOTOS, SIDE_OF_SETS, noise, photo

Row = TypeVar("Row")

VALUES, SETS, SECONDS, PAGE = "metrics.csv", "metrics-sets.csv", "metrics-seconds.csv", "metrics.md"
"""Files in the folder of the documentation."""
ROUNDS = 3


@dataclass(frozen=True)
class Value:
    """A row of VALUES. pixels: SHA-256 of the degraded image's samples."""

    metric: str
    protocol: str
    image: str
    degradation: str
    pixels: str
    value: float
    reference: str
    reference_value: float

    @property
    def difference(self) -> float:
        """How far ours is from the reference's."""
        return self.value - self.reference_value


@dataclass(frozen=True)
class SetValue:
    """A row of SETS: a metric of sets between all of PHOTOS and their degradations. patches: of each of both sets."""

    metric: str
    protocol: str
    degradation: str
    patches: int
    value: float
    reference: str
    reference_value: float

    @property
    def difference(self) -> float:
        """How far ours is from the reference's."""
        return self.value - self.reference_value


@dataclass(frozen=True)
class Seconds:
    """A row of SECONDS: CPU seconds for an image of 768×512.

    original: once for each. reconstruction: for each of its codings. threads: of torch.
    """

    metric: str
    original: float
    reconstruction: float
    threads: int
    machine: str


# Measurements


def calibrated() -> list[str]:
    """The metrics that another implementation is known of, in the order of `list metrics`."""
    return [name for name in METRICS if name in REFERENCES or name in SET_REFERENCES]


@contextlib.contextmanager
def stand_in(needed: bool) -> Iterator[None]:
    """Inside, random weights stand where those of VGG16 are fetched to, if `needed`."""
    if not needed:
        yield
        return
    import torch

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "vgg16.pth"
        torch.save(stand_in_vgg16(), file)
        with patch.object(fetching, "vgg16_weights", lambda: file):
            yield


def measure(
    name: str, photos: Sequence[str] = PHOTOS, degradations: Iterable[str] = tuple(DEGRADATIONS)
) -> Iterator[Value]:
    """The metric's values and its reference's. Raises BenchmarkError if a package is not installed."""
    reference = REFERENCES[name]
    with stand_in(reference.stands_in):
        metric = _opened(name)
        for title in photos:
            original = photo(title)
            prepared = metric.prepare(original)
            for degradation in degradations:
                changed = DEGRADATIONS[degradation](original)
                try:
                    expected = reference.value(original, changed)
                except ImportError as error:
                    raise BenchmarkError(f"{name}: its reference {reference.what}: {one_line(error)}") from error
                pixels = hashlib.sha256(changed.tobytes()).hexdigest()
                yield Value(
                    name,
                    metric.protocol,
                    title,
                    degradation,
                    pixels,
                    metric.compare(prepared, changed),
                    reference.what + (", a random VGG16 in both" if reference.stands_in else ""),
                    expected,
                )


def measure_sets(
    name: str, photos: Sequence[str] = PHOTOS, degradations: Iterable[str] = tuple(DEGRADATIONS)
) -> Iterator[SetValue]:
    """The metric's values of sets, and its reference's. Raises BenchmarkError if a package is not installed."""
    reference = SET_REFERENCES[name]
    with stand_in_inception() if reference.stands_in else contextlib.nullcontext() as network:
        metric = open_metric(name)
        assert isinstance(metric, SetMetric)
        rule = metric.protocol.split("/")[1]
        originals = [photo(title, SIDE_OF_SETS) for title in photos]
        sides = [originals, *([DEGRADATIONS[each](image) for image in originals] for each in degradations)]
        ours = [[metric.features(image) for image in side] for side in sides]
        patches = [np.stack([patch for image in side for patch in cut(rule, image)]) for side in sides]
        try:
            theirs = [reference.features(side, network) for side in patches]
            for place, degradation in enumerate(degradations, start=1):
                yield SetValue(
                    name,
                    metric.protocol,
                    degradation,
                    len(patches[0]),
                    metric.distance(ours[0], ours[place]),
                    reference.what + (", random weights in both" if reference.stands_in else ""),
                    reference.distance(theirs[0], theirs[place]),
                )
        except ImportError as error:
            raise BenchmarkError(f"{name}: its reference {reference.what}: {one_line(error)}") from error


def clock(name: str, rounds: int = ROUNDS) -> Seconds:
    """The least CPU seconds of `rounds` calls after one that does not count."""
    import torch

    original = load_image(FOLDER / f"{PHOTOS[0]}.png")
    changed = noise(original)
    with stand_in(REFERENCES[name].stands_in):
        metric = _opened(name)
        metric.compare(metric.prepare(original), changed)
        spent = []
        for _ in range(rounds):
            start = time.process_time()
            prepared = metric.prepare(original)
            between = time.process_time()
            metric.compare(prepared, changed)
            spent.append((between - start, time.process_time() - between))
    about = f"{machine()['processor']}, {machine()['cores']} cores"
    first, other = (min(times) for times in zip(*spent, strict=True))
    return Seconds(name, first, other, torch.get_num_threads(), about)


def _opened(name: str) -> ImageMetric:
    metric = open_metric(name)
    assert isinstance(metric, ImageMetric)
    return metric


# Files


def text_of(rows: Sequence[Value] | Sequence[SetValue] | Sequence[Seconds]) -> str:
    """CSV: numbers with nine digits, seconds with three."""
    stream = io.StringIO()
    kind = type(rows[0])
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([field.name for field in fields(kind)])
    digits = "{:.3g}" if kind is Seconds else "{:.9g}"
    for row in rows:
        writer.writerow([digits.format(cell) if isinstance(cell, float) else cell for cell in asdict(row).values()])
    return stream.getvalue()


def rows_of(text: str, kind: type[Row]) -> list[Row]:
    """The rows of a file that `text_of` wrote."""
    types = {field.name: {"float": float, "int": int}.get(str(field.type), str) for field in fields(kind)}  # type: ignore[arg-type]
    return [
        kind(**{name: types[name](cell) for name, cell in row.items()}) for row in csv.DictReader(io.StringIO(text))
    ]


def write(folder: Path, names: Sequence[str]) -> Iterator[str]:
    """Measures the metrics `names`, and writes both tables and the page; rows of other metrics stay.

    Yields a line for each, when its rows are written.
    Raises UsageError on a metric that has no reference, BenchmarkError if a package is not installed.
    """
    for name in names:
        if name not in calibrated():
            raise UsageError(f"{name}: no reference is known; there are {', '.join(calibrated())}")
    for name in names:
        if name in SET_REFERENCES:
            found: Sequence[Value | SetValue] = list(measure_sets(name))
            _put(folder / SETS, found)
            yield f"{name:18}{_worst(found):12.2g}"
        else:
            found, spent = list(measure(name)), clock(name)
            _put(folder / VALUES, found)
            _put(folder / SECONDS, [spent])
            yield f"{name:18}{_worst(found):12.2g}{spent.original:9.3f} s{spent.reconstruction:9.3f} s"
    write_page(folder)


def _worst(rows: Sequence[Value | SetValue]) -> float:
    return max(abs(row.difference) for row in rows)


def _put(file: Path, new: Sequence[Any]) -> None:
    """Enters rows of one metric in the place of those that are there."""
    rows = rows_of(file.read_text(encoding="utf-8"), type(new[0])) if file.is_file() else []
    order = calibrated()
    rows = [row for row in rows if row.metric in order and row.metric != new[0].metric] + list(new)
    write_file(file, text_of(sorted(rows, key=lambda row: order.index(row.metric))), parents=True)


def write_page(folder: Path) -> None:
    """Writes the page into `folder`. Raises BenchmarkError if a table is not there."""
    for name in (VALUES, SETS, SECONDS):
        if not (folder / name).is_file():
            raise BenchmarkError(f"{folder / name} is not there: without --page it is measured")
    write_file(folder / PAGE, page(folder))


# The page


def page(folder: Path) -> str:
    """The page, from the metrics' own facts and the tables in `folder`."""
    values = rows_of((folder / VALUES).read_text(encoding="utf-8"), Value)
    sets = rows_of((folder / SETS).read_text(encoding="utf-8"), SetValue)
    seconds = rows_of((folder / SECONDS).read_text(encoding="utf-8"), Seconds)
    infos = [info for name in METRICS if (info := shipped_info(name)) is not None]
    return TEXT.format(
        facts=_table(("metric", "what it is", "better", "range", "identical", "shortest side"), map(_facts, infos)),
        origins=_table(("metric", "source", "device", "needs"), map(_origin, infos)),
        calibration=_table(
            ("metric", "protocol", "reference", *DEGRADATIONS, "largest difference"),
            (_calibration([row for row in values if row.metric == name]) for name in _names(values)),
        ),
        sets=_table(
            ("metric", "protocol", "reference", *DEGRADATIONS, "largest difference"),
            (_calibration([row for row in sets if row.metric == name]) for name in _names(sets)),
        ),
        patches=" or ".join(str(number) for number in sorted({row.patches for row in sets})),
        seconds=_table(
            ("metric", "of an original", "of each reconstruction", "threads", "machine"),
            ((f"`{row.metric}`", f"{row.original:.2f}", f"{row.reconstruction:.2f}", str(row.threads), row.machine)
             for row in seconds),
        ),
        default=", ".join(DEFAULT_METRICS),
    )  # fmt: skip


def _names(values: Sequence[Value | SetValue]) -> list[str]:
    return list(dict.fromkeys(row.metric for row in values))


def _facts(info: MetricInfo) -> tuple[str, ...]:
    ends = ["−∞" if info.lowest is None else f"{info.lowest:g}", "∞" if info.highest is None else f"{info.highest:g}"]
    unit = f" {info.unit}" if info.unit else ""
    scale = ", drawn in dB" if info.scale == "decibel" else ""
    return (
        f"`{info.name}`",
        f"{info.title}: {info.words}",
        "higher" if info.higher_is_better else "lower",
        f"{ends[0]} to {ends[1]}{unit}{scale}",
        info.identical,
        str(info.over(None).smallest_side),
    )


def _origin(info: MetricInfo) -> tuple[str, ...]:
    device = "CPU" if info.device == "cpu" else "`--device`"
    needs = f"extra `{EXTRAS[info.needs]}`" if info.needs else ""
    return f"`{info.name}`", info.source, device, needs


def _calibration(rows: Sequence[Value | SetValue]) -> tuple[str, ...]:
    means = [
        math.fsum(row.value for row in rows if row.degradation == name) / sum(row.degradation == name for row in rows)
        for name in DEGRADATIONS
    ]
    first = rows[0]
    worst = _worst(rows)
    return (
        f"`{first.metric}`",
        f"`{first.protocol}`",
        first.reference,
        *(f"{mean:.4g}" for mean in means),
        f"{worst:.1g}" if worst else "0",
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    cells = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', ' or ') for cell in row)} |" for row in cells)


TEXT = """\
# Metrics

`python -m benchmark list metrics` names them, `--metric NAME` takes one. `python -m benchmark studies metrics` makes
this page, `metrics.csv`, `metrics-sets.csv` and `metrics-seconds.csv`; `--page` makes the page alone, from the tables
that are there. A test holds the page against the metrics' own facts and the tables.

{facts}

An image with a shorter side has no value, with the reason in its trial; a run whose images are all too small says so
before it begins. A value that is infinite is recorded as its reason, not as a number.

{origins}

`python -m benchmark fetch vgg16` brings the weights of `lpips-vgg` and `dists`, `fetch inception` those of `fid` and
`kid`. An extra is installed with the suite: `pip install 'hfd-benchmark[metrics]'`. `flip-evaluator` comes with the
suite where it has a wheel, up to Python 3.13; elsewhere the extra builds it. `list metrics` says what is not
installed.

## Beside their references

Mean of four photographs, the middle 256 × 256 of each, at three degradations: 8 × 8 blocks of DCT coefficients rounded
as JPEG at quality 20 does it, a Gaussian blur of 1.5 pixels, and Gaussian noise of 12 levels. `metrics.csv` has each
of the twelve values of both implementations, and the SHA-256 of the pixels. The last column is the largest difference
of the twelve.

{calibration}

VGG16's weights are a download, so `lpips-vgg` and `dists` are compared over random ones, the same in both, which says
that both compute the same and nothing about the values of the trained network. `psnr_hvsm` is under the GPL: it is
called for this table where it is installed, and is no dependency. Where the reference is the package that the suite
itself calls, the difference says that images are handed to it as its authors do.

### Metrics of sets

Between the middle 512 × 512 of the same four photographs and their degradations, {patches} patches on each side: few,
so that the values compare with each other alone. `metrics-sets.csv` has both implementations' values.

{sets}

Inception's weights are a download, so metrics over it have random ones, the same in both. Of 20 patches the covariance
of its 2,048 features is singular, and the reference's square root of such a matrix is exact to 6e-5 only. What is done
with features is the same code for every network. DINOv2 and CLIP are held against their packages by the tests;
`kid-subsets` and `kid-clean` are too, since subsets of 1,000 patches need more images than these. `fid-infinity` and
`kd-effnet-paired` have no other implementation: the tests hold them against distributions whose distance is known.

## Seconds

CPU seconds for an image of 768 × 512, the least of three calls. What is computed of an original is computed once for
all its reconstructions.

{seconds}

`psnr-y`, `psnr-hvs`, `psnr-hvs-m` and `vmaf` share the luma of an image, both `psnr-hvs` its DCT, `ms_ssim` and
`ms_ssim_db` all that they compute, `dists` and those of piq the tensor. `dists` and `lpips-vgg` share the file of
VGG16's weights; their networks differ from the first pooling on. The default metrics are `{default}`.

## Any program

```bash
python -m benchmark run --metric 'command:metric="butteraugli_main {{original}} {{reconstruction}}",higher=false'
```

`butteraugli_main` is of Debian's `libjxl-devtools`. The value is the last number that the program prints on its
standard output, here the 3-norm; `pattern="^[0-9.]+"` takes the first line, the largest difference. Words that name
files, and the program, are part of the protocol by their SHA-256; a call that takes longer than `timeout=300` seconds
is ended with all that it started; a program that fails is recorded with its last words in that trial, and the run ends
with exit code 3. Further settings: `name`, `unit`, `picture` (png, ppm or bmp).

## Without a reference

`niqe`, `clipiqa`, `musiq` and `maniqa` are computed by your own pyiqa. Its licences (PolyForm Noncommercial 1.0.0, and
NTU S-Lab's for parts) allow no commercial use, so the suite neither brings nor copies it; `pip install pyiqa` is your
decision. It downloads its weights at its first use. What it says of the originals stands beside the reconstructions'
mean.

## Coding again

`re-encode` encodes each reconstruction once more at the same quality, and compares what both streams say before a
generative decoder adds to it: x̂. It has a value for `mse`, `hfd`, `hific-small`, and any codec of yours with
`x_hat(data) -> image`. It needs the codec, so a run has it from its start; `measure` cannot add it.

## Text, faces and SwAV

`text` finds the lines of text in the original, reads each of them in both images, and is one less the share of the
original's characters that an edit must change. An image without text has no value. Its reader is RapidOCR, whose
package carries PP-OCR's networks, all under Apache-2.0. It is not calibrated above: the package has no such metric, so
its tests hold the arithmetic with a reader of their own, and RapidOCR's with drawn text.

A distance of faces is left out. It would need a network for faces that a well-kept package carries under a licence for
all uses. `insightface` and `facenet-pytorch` download their networks, the first for non-commercial research only;
`face-recognition-models` carries those of dlib, which has no wheels.

Metrics over SwAV, such as the `fid_swav` of MS-ILLM's tables, are left out: no hash of its weights is public, against
which a download could be held. [A metric of your own](../how-to/own-metric.md) can compute them.
"""
