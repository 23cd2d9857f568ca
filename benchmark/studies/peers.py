"""How much processor time the suite takes beside other ways to the same numbers, pair by pair.

`python -m benchmark studies peers -o FILE.csv` runs each pair in turn, ours and theirs, `--rounds` times, each in a
process of its own on one thread, and takes the medians. Seconds are of the processor, so what else the machine does
counts little; start and import are in them, as a user pays for them, but for the last pair.

    compressai   `compressai.utils.bench jpeg` at 19 qualities, PSNR and MS-SSIM
    packages     JPEG at 19 qualities; PSNR, pytorch-msssim, lpips, torch-fidelity's distances, one after the other
    fidelity     torch-fidelity's Fréchet distance over whole images of 256×256, the network that of fd-effnet
    diffusers    four steps of the flow with a `UNet2DModel` of as many operations on pixels in our network's place
"""

import argparse
import importlib
import importlib.util
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, ClassVar

from benchmark.datasets import limit, open_dataset
from benchmark.errors import BenchmarkError, UsageError, needs

QUALITIES = ",".join(str(quality) for quality in range(5, 100, 5))
"""19 of them, as CompressAI's published curve of JPEG has."""


@dataclass(frozen=True)
class Pair:
    """Ours and theirs, as arguments of Python's for images in a folder. images: how many by default; `drawn`: which.

    needs: the package that theirs is of; aim: how many times as fast ours shall be. printed: seconds are those that
    both print, without start and loading, not those of the processes.
    """

    name: str
    needs: str
    aim: float
    images: int
    drawn: bool
    ours: Callable[[Path, Path], Sequence[str]]
    theirs: Callable[[Path], Sequence[str]]
    printed: bool = False


@dataclass(frozen=True)
class Ratio:
    """Medians of processor seconds, and theirs over ours; `aim`: what it shall be at least."""

    pair: str
    images: int
    rounds: int
    ours: float
    theirs: float
    ratio: float
    aim: float
    machine: str

    NAMES: ClassVar = ("pair", "images", "machine")


def _run(folder: Path, run: Path, *options: str) -> Sequence[str]:
    words = ["-m", "benchmark", "run", "--only", "--codec", "jpeg", "--dataset", str(folder), "--output", str(run)]
    return [*words, "--workers", "1", *options]


_FOUR_STEPS = ("-m", "benchmark.studies.peers", "--decode")

PAIRS = (
    Pair(
        "compressai",
        "compressai",
        3.0,
        24,
        False,
        lambda folder, run: _run(folder, run, "--quality", QUALITIES, "--metric", "psnr", "--metric", "ms_ssim"),
        lambda folder: ("-m", "compressai.utils.bench", "jpeg", "-j", "1", "-q", QUALITIES, str(folder)),
    ),
    Pair(
        "packages",
        "torch_fidelity",
        8.0,
        24,
        False,
        lambda folder, run: _run(folder, run, "--quality", QUALITIES),
        lambda folder: ("-m", "benchmark.studies.peer_packages", "all", str(folder), QUALITIES),
    ),
    Pair(
        "fidelity",
        "torch_fidelity",
        1.5,
        2000,
        True,
        lambda folder, run: _run(folder, run, "--quality", "50", "--metric", "fd-effnet@whole"),
        lambda folder: ("-m", "benchmark.studies.peer_packages", "fidelity", str(folder), "50"),
    ),
    Pair(
        "diffusers",
        "diffusers",
        1.6,
        2,
        False,
        lambda folder, _: (*_FOUR_STEPS, "ours", str(folder)),
        lambda folder: (*_FOUR_STEPS, "theirs", str(folder)),
        printed=True,
    ),
)


def measure(names: Sequence[str] = (), images: int | None = None, rounds: int = 3) -> Iterator[Ratio]:
    """The ratio of each pair whose name is among `names`, all if none is. Raises UsageError, BenchmarkError."""
    known = {pair.name: pair for pair in PAIRS}
    if unknown := [name for name in names if name not in known]:
        raise UsageError(f"no pair is named {unknown[0]!r}; there are {', '.join(known)}")
    chosen = [pair for pair in PAIRS if pair.name in names] if names else list(PAIRS)
    for pair in chosen:
        if importlib.util.find_spec(pair.needs) is None:
            raise BenchmarkError(needs(f"studies peers {pair.name}", pair.needs))
    for pair in chosen:
        yield _ratio(pair, images or pair.images, rounds)


def _ratio(pair: Pair, images: int, rounds: int) -> Ratio:
    from benchmark.studies.device import device_name

    with tempfile.TemporaryDirectory() as removed:
        folder = Path(removed) / "images"
        count = _put_images(folder, images, pair.drawn)
        ours, theirs = [], []
        for number in range(rounds):
            run = Path(removed) / f"run{number}"
            ours.append(cpu_seconds(pair.ours(folder, run), Path(removed), printed=pair.printed))
            theirs.append(cpu_seconds(pair.theirs(folder), Path(removed), printed=pair.printed))
    return Ratio(
        pair.name,
        count,
        rounds,
        median(ours),
        median(theirs),
        median(theirs) / median(ours),
        pair.aim,
        device_name("cpu").partition(",")[0],
    )


def _put_images(folder: Path, count: int, drawn: bool) -> int:
    """Photographs of 768×512, or images of 256×256; how many there are."""
    if drawn:
        from benchmark.studies.scale import draw_images

        draw_images(folder, count)
        return count
    folder.mkdir()
    images = limit(open_dataset("photos"), count).pictures
    for image in images:
        assert isinstance(image.path, Path)
        (folder / image.path.name).write_bytes(image.path.read_bytes())
    return len(images)


def cpu_seconds(arguments: Sequence[str], folder: Path, *, printed: bool = False) -> float:
    """Processor time of Python with these arguments and of all processes that it waits for, on one thread.

    printed: the last number that it prints instead. Raises BenchmarkError with its last words if it fails.
    """
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ended = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env={**os.environ, **threads}, capture_output=True, text=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if ended.returncode:
        words = ended.stderr.strip().splitlines() or [f"exit code {ended.returncode}"]
        raise BenchmarkError(f"python {' '.join(arguments[:3])}: {words[-1]}")
    if printed:
        return float(ended.stdout.split()[-1])
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def lines(ratios: Iterator[Ratio]) -> Iterator[str]:
    """A line each, as soon as it is there."""
    head = False
    for one in ratios:
        if not head:
            yield f"{one.machine}, one thread, processor time"
            yield f"{'':12} {'images':>7} {'rounds':>6} {'ours, s':>9} {'theirs, s':>10} {'ratio':>6} {'aim':>5}"
            head = True
        counts = f"{one.images:7} {one.rounds:6}"
        yield f"{one.pair:12} {counts} {one.ours:9.1f} {one.theirs:10.1f} {one.ratio:6.2f} {one.aim:5.1f}"


# The decoder with another network


UNETS: Mapping[str, tuple[int, tuple[int, ...]]] = {"pixels": (1, (16, 32, 40)), "cells": (2, (32, 64, 72))}
"""Widths of a `UNet2DModel` with as many operations as our U-Net, where it sees pixels, and 2×2 of them as channels."""


def diffusers_unet(cell: int, channels: Sequence[int]) -> Callable[[Any, Any, Any], Any]:
    """The velocity at z, x̂ and t by a `UNet2DModel` with random weights that sees cell×cell pixels as channels."""
    import torch

    diffusers: Any = importlib.import_module("diffusers")  # its classes are without types

    torch.manual_seed(0)
    model = diffusers.UNet2DModel(
        in_channels=6 * cell**2,
        out_channels=3 * cell**2,
        layers_per_block=1,
        block_out_channels=tuple(channels),
        down_block_types=("DownBlock2D",) * 3,
        up_block_types=("UpBlock2D",) * 3,
        add_attention=False,
        norm_num_groups=8,
    ).eval()

    def evaluate(z: Any, x_hat: Any, t: Any) -> Any:
        cells = torch.nn.functional.pixel_unshuffle(torch.cat([z, x_hat], 1), cell)
        return torch.nn.functional.pixel_shuffle(model(cells, t).sample, cell)

    return evaluate


def diffusers_decode(codec: Any, evaluate: Callable[[Any, Any, Any], Any]) -> Callable[[bytes], Any]:
    """A whole decode of a stream of `codec`, hfd with the flow, by `evaluate` and diffusers' Euler sampler."""
    import torch

    diffusers: Any = importlib.import_module("diffusers")  # its classes are without types

    from benchmark.hfd.score import from_luma_chroma

    def decode(stream: bytes) -> Any:
        x_hat = codec.base.decode(stream)
        scheduler = diffusers.FlowMatchEulerDiscreteScheduler()
        scheduler.set_timesteps(4)
        z = torch.randn_like(x_hat)
        for t in scheduler.timesteps:
            z = scheduler.step(evaluate(z, x_hat, t), t, z).prev_sample
        return (x_hat + from_luma_chroma(0.03 * z) + 0.5).mul(255).round().clamp(0, 255).byte().numpy()

    return decode


def _decode_all(whose: str, folder: Path) -> None:
    """Decodes each image of the folder twice, and prints the seconds."""
    import torch

    from benchmark.hfd.codec import hfd
    from benchmark.hfd.deterministic import on_one_thread
    from benchmark.images import load_image

    codec = hfd("cpu", decoder="flow", steps="4")
    streams = [codec.encode(load_image(path), 3) for path in sorted(folder.iterdir())]
    with torch.inference_mode(), on_one_thread():
        decode = codec.decode if whose == "ours" else diffusers_decode(codec, diffusers_unet(*UNETS["pixels"]))
        start = time.process_time()
        for stream in streams * 2:
            decode(stream)
        print(time.process_time() - start)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--decode", choices=("ours", "theirs"), required=True)
    parser.add_argument("folder", type=Path)
    asked = parser.parse_args()
    _decode_all(asked.decode, asked.folder)
