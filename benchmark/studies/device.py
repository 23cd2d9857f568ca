"""How fast codecs, their networks and metrics run on a device, how long it waits in between, and what memory they take.

`python -m benchmark studies device --device cuda -o FILE.csv` measures one process on images of `--side` pixels. Codecs
code an image at a time. Their networks and those of metrics of sets take batches, which the table shows by size; a
batch that there is no memory for is left out.

Waiting is the share of the time in which none of torch's operations runs: on a GPU none of its kernels, on the CPU none
of torch's operators; the rest is Python, entropy coding, files of images. Memory of a GPU is what torch holds at most,
on the CPU by how much the process grows. A line is the median of the rounds; none of them is the first. Seconds are
those of the clock on a GPU, and of the processor on the CPU, where others may be at work.
"""

import contextlib
import ctypes
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from benchmark.codecs import Codec, Image, open_codec
from benchmark.datasets import open_dataset
from benchmark.errors import UsageError
from benchmark.hfd.autoencoder import FirstStage
from benchmark.hfd.codec import HfdCodec, MseCodec
from benchmark.hfd.deterministic import repeatable
from benchmark.hfd.device import open_device
from benchmark.images import load_image
from benchmark.metrics import default_metrics, open_metric
from benchmark.metrics.extractors import in_batches, load_extractor
from benchmark.metrics.patches import cut
from benchmark.metrics.realism import FeatureDistance
from benchmark.shortage import attempted

CODECS = ("jpeg", "mse", "hific-small", "hfd", "hfd:precision=bfloat16", "hfd:decoder=flow")
FEATURES = "features"
MANY = 30_000
"""As MS-COCO 30k."""

Work = Callable[[], object]


@dataclass(frozen=True)
class Rate:
    """Of one kind of work on a device.

    what: a codec spec or the name of a metric; step: what of it. images: a second. waiting: see the module; megabytes.
    hours: for `MANY` images at one quality, by this work alone.
    """

    device: str
    what: str
    step: str
    precision: str
    side: int
    batch: int
    images: float
    waiting: float
    megabytes: float
    hours: float

    NAMES: ClassVar = ("device", "what", "step", "precision", "side", "batch")


def device_name(device: str) -> str:
    """The GPU's name, or the processor's; with torch's version, which its kernels come from."""
    where = torch.device(device)
    if where.type == "cuda":
        name = torch.cuda.get_device_name(where)
    else:
        cpuinfo = Path("/proc/cpuinfo")
        found = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
        named = (line.partition(":")[2].strip() for line in found if line.startswith("model name"))
        name = f"{next(named, platform.machine())}, {torch.get_num_threads()} thread(s)"
    return f"{name}, torch {torch.__version__.partition('+')[0]}"


def measure(
    codecs: Sequence[str], metrics: Sequence[str], batches: Sequence[int], device: str, side: int = 256, rounds: int = 3
) -> Iterator[Rate]:
    """Of codecs and of their networks, then of metrics. Raises UsageError on what is unknown or impossible."""
    where = open_device(device)
    if side < 64 or side % 64:
        raise UsageError(f"--side {side}: a multiple of 64")
    if min(*batches, rounds, 1) < 1:
        raise UsageError("batches and rounds are 1 or more")
    name = device_name(device)
    images = _images(side)
    opened = {spec: open_codec(spec, device) for spec in codecs}
    measuring: list[tuple[str, str, int, Work]] = []
    keys = set()
    for label in metrics:
        metric = open_metric(label, device)
        if isinstance(metric, FeatureDistance):
            if metric.feature_key in keys:  # shared in a run too
                continue
            keys.add(metric.feature_key)
            measuring += [(label, FEATURES, b, _features(metric, images, b, device)) for b in batches]
        else:
            measuring += [(label, step, 1, work) for step, work in _comparing(metric, images).items()]

    def rate(what: str, step: str, precision: str, batch: int, make: Callable[[int], Work]) -> Iterator[Rate]:
        found = attempted(lambda: _timed(make(batch), where, rounds))
        if isinstance(found, tuple):
            seconds, waiting, megabytes = found
            each = seconds / batch
            yield Rate(name, what, step, precision, side, batch, 1 / each, waiting, megabytes, MANY * each / 3600)

    for spec, codec in opened.items():
        precision = getattr(getattr(codec, "decoder", None), "precision", "float32")
        for step, work in _coding(codec, images[0]).items():
            yield from rate(spec, step, precision, 1, lambda _, work=work: work)  # type: ignore[misc]
        for step, make in _networks(codec, where, side).items():
            for batch in batches:
                yield from rate(spec, step, precision, batch, make)
    for label, step, batch, work in measuring:
        yield from rate(label, step, "float32", batch, lambda _, work=work: work)  # type: ignore[misc]


def shipped_metrics() -> list[str]:
    """Those of a run without --metric."""
    return [name for name in default_metrics()[0] if isinstance(name, str)]


def lines(rates: Iterator[Rate]) -> Iterator[str]:
    """A line each, as soon as it is measured; the device first. At the end what a run of each codec takes."""
    found: list[Rate] = []
    for one in rates:
        if not found:
            yield f"{one.device}, images of {one.side}×{one.side}"
            yield f"{'':44} {'batch':>5} {'images/s':>9} {'waiting':>8} {'MB':>6} {f'h for {MANY:,}':>13}"
        found.append(one)
        what = f"{one.what} {one.step}"
        yield f"{what:44} {one.batch:5} {one.images:9.2f} {one.waiting:8.0%} {one.megabytes:6.0f} {one.hours:13.2f}"
    yield from (
        f"{what}: {hours:.1f} h for {MANY:,} images, one quality and all of it" for what, hours in totals(found)
    )


def totals(rates: Sequence[Rate]) -> list[tuple[str, float]]:
    """Codec -> hours of one worker: encode, decode, and each metric of both images, a batch of one.

    Reading images and writing records are not in it.
    """
    alone = [one for one in rates if one.batch == 1]
    coding = {one.what for one in alone if one.step == "decode"}
    metrics = sum(
        one.hours * (2 if one.step == FEATURES else 1)
        for one in alone
        if one.step in (FEATURES, "compare", "score", "of the original")
    )
    return [
        (what, metrics + sum(one.hours for one in alone if one.what == what and one.step in ("encode", "decode")))
        for what in dict.fromkeys(one.what for one in alone)
        if what in coding
    ]


def _images(side: int) -> list[Image]:
    """Middles of the shipped photographs."""
    found = []
    for picture in open_dataset("photos").pictures[:8]:
        image = load_image(picture.path)
        if min(image.shape[:2]) < side:
            raise UsageError(f"--side {side}: the photographs are smaller")
        top, left = ((length - side) // 2 for length in image.shape[:2])
        found.append(np.ascontiguousarray(image[top : top + side, left : left + side]))
    return found


def _coding(codec: Codec, image: Image) -> dict[str, Work]:
    """At the middle one of the codec's qualities."""
    quality = codec.qualities[len(codec.qualities) // 2]
    stream = codec.encode(image.copy(), quality)
    seed = 0 if codec.stochastic else None
    return {
        "encode": lambda: codec.encode(image.copy(), quality),
        "decode": lambda: codec.decode(stream, seed),
    }


def _networks(codec: Codec, device: torch.device, side: int) -> dict[str, Callable[[int], Work]]:
    """Step -> a function of the batch size: of the codecs on the suite's own first stage."""
    if isinstance(codec, HfdCodec):
        network, bfloat16 = codec.decoder.network, codec.decoder.precision == "bfloat16"

        def evaluation(batch: int) -> Work:
            z = torch.randn(batch, 3, side, side, device=device)
            halves, qualities = torch.full((batch,), 0.5, device=device), torch.full((batch,), 3.0, device=device)

            def work() -> Tensor:
                with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
                    out: Tensor = network(z, z, halves, qualities)
                return out

            return work

        return {"an evaluation of the U-Net": evaluation}
    if isinstance(codec, MseCodec) and isinstance(codec.first_stage, FirstStage):
        model = codec.first_stage.model

        def transforms(batch: int) -> Work:
            x = torch.rand(batch, 3, side, side, device=device) - 0.5
            quality = torch.full((batch,), 3.0, device=device)
            into, back = (model.interpolate(t.level_table, quality) for t in (model.analysis, model.synthesis))
            return lambda: model.synthesis(model.analysis(x, into), back)

        return {"both transforms": transforms}
    return {}


def _features(metric: FeatureDistance, images: Sequence[Image], batch: int, device: str) -> Work:
    """Of all patches of `batch` images, that many images' patches at a time."""
    patches = [patch for number in range(batch) for patch in cut(metric.rule, images[number % len(images)])]
    if not patches:
        raise UsageError(f"{metric.info.name}: the images are smaller than its patches")
    network = load_extractor(metric.extraction.network, device, metric.extraction.resizing)
    return lambda: in_batches(network, patches, device, len(patches))


def _comparing(metric: Any, images: Sequence[Image]) -> dict[str, Work]:
    one, other = images[0], np.ascontiguousarray(images[0] // 2 * 2)
    if hasattr(metric, "score"):
        return {"score": lambda: metric.score(other)}
    prepared = metric.prepare(one)
    return {"of the original": lambda: metric.prepare(one), "compare": lambda: metric.compare(prepared, other)}


@torch.inference_mode()
@repeatable()
def _timed(work: Work, device: torch.device, rounds: int) -> tuple[float, float, float]:
    """Median seconds of a call; the share of another in which the device waits; megabytes that it takes."""
    is_cuda = device.type == "cuda"
    clock = time.perf_counter if is_cuda else time.process_time
    work()
    seconds = []
    resting = _begin_memory(device)
    for _ in range(rounds):
        _finish(device)
        start = clock()
        work()
        _finish(device)
        seconds.append(clock() - start)
    megabytes = max(0.0, _peak_memory(device) - resting)
    from torch.profiler import ProfilerActivity, profile

    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if is_cuda else [])]
    with profile(activities=activities) as profiler:
        start = time.perf_counter()
        work()
        _finish(device)
        whole = time.perf_counter() - start
    found = profiler.key_averages()
    busy = sum(event.self_device_time_total if is_cuda else event.self_cpu_time_total for event in found) / 1e6
    return max(median(seconds), 1e-9), min(1.0, max(0.0, 1 - busy / whole)), megabytes


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _begin_memory(device: torch.device) -> float:
    """Megabytes now; peaks begin here."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return float(torch.cuda.memory_allocated(device)) / 2**20
    with contextlib.suppress(OSError, AttributeError):  # what is free goes back, or no call would need more; glibc's
        ctypes.CDLL(None).malloc_trim(0)
    if os.access("/proc/self/clear_refs", os.W_OK):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return _status("VmRSS")


def _peak_memory(device: torch.device) -> float:
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device)) / 2**20
    return _status("VmHWM")


def _status(field: str) -> float:
    """Megabytes, of this process; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    text = status.read_text(encoding="utf-8") if status.exists() else ""
    found = [line.split()[1] for line in text.splitlines() if line.startswith(f"{field}:")]
    return int(found[0]) / 1024 if found else 0.0
