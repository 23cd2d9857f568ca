"""How much memory an image takes, and a refusal before it is taken."""

import math
import os
from dataclasses import dataclass, replace
from pathlib import Path

from benchmark.errors import BenchmarkError


@dataclass(frozen=True)
class Memory:
    """Resident memory that work on an image takes beside the program itself, on the CPU.

    So many bytes for each pixel, and so many more for those of the tile that its networks work on.
    """

    bytes_per_pixel: int
    tile_bytes_per_pixel: int
    tile_pixels: int = 2**22

    def of(self, height: int, width: int) -> int:
        """Bytes for an image of that size, about."""
        pixels = height * width
        return self.bytes_per_pixel * pixels + self.tile_bytes_per_pixel * min(pixels, self.tile_pixels)


FIRST_STAGE = Memory(80, 100)
"""Of the first stage `small`. Measured at quality 7, encode and decode, bytes per pixel: 98 and 149 at 4 megapixels, 91
and 107 at 6, 85 and 62 at 24; the estimate is never below."""

PAPER_FIRST_STAGE = Memory(160, 1200, 2**20)
"""Of the first stage `paper`. Measured with random weights, encode and decode, bytes per pixel: 606 and 844 at 0.4
megapixels, 598 and 715 at 1.0, 249 and 306 at 2.9, in tiles that see 1.0 megapixels; the latents alone take 119. Tiles
of a larger image see up to 1.7 megapixels."""

SAMPLING = Memory(90, 90)
"""Of a score decoder beyond x̂, U-Net `small`. With small tiles never more than 90 bytes per pixel, which a slow test in
`tests/hfd/test_memory.py` measures for each sampler; of the network in a tile of 4 megapixels about 65, and tiles of a
larger image see up to 1.3 times as many pixels."""

SMALL_CHANNELS = 32
"""Of the U-Net `small` at half the resolution, where most of the memory is."""


SMALL_OVERLAP = 144
"""How far beyond its own pixels a tile of the U-Net `small` sees."""


def sampling_memory(channels: int, overlap: int) -> Memory:
    """Of a score decoder whose U-Net has so many channels at half the resolution, and tiles that see `overlap` pixels
    beyond their own: `SAMPLING`, and more in a tile in proportion to channels and to the pixels that it sees.

    With the U-Net `paper` (128, 304) 423 bytes per pixel were measured at one megapixel; this says 556, since a tile of
    a larger image sees more.
    """
    side = math.isqrt(SAMPLING.tile_pixels)
    wider = max(channels, SMALL_CHANNELS) / SMALL_CHANNELS
    farther = ((side + 2 * max(overlap, SMALL_OVERLAP)) / (side + 2 * SMALL_OVERLAP)) ** 2
    return replace(SAMPLING, tile_bytes_per_pixel=math.ceil(SAMPLING.tile_bytes_per_pixel * wider * farther))


def available_bytes(root: Path = Path("/")) -> int:
    """What this process may still take: what the machine has, or what its control group (a container's limit) leaves.

    root: where /proc and /sys are. Without /proc/meminfo (not Linux) the machine's whole memory.
    """
    meminfo = root / "proc/meminfo"
    if not meminfo.is_file():
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line)
    free = int(fields["MemAvailable"].split()[0]) * 1024
    return min([free, *_left_by_control_groups(root)])


def _left_by_control_groups(root: Path) -> list[int]:
    """Bytes that each control group above this process leaves; of version 1 or 2."""
    membership = root / "proc/self/cgroup"
    left = []
    for line in membership.read_text().splitlines() if membership.is_file() else []:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            base, limit_name, usage_name = root / "sys/fs/cgroup", "memory.max", "memory.current"
        elif "memory" in controllers.split(","):
            base, limit_name = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
            usage_name = "memory.usage_in_bytes"
        else:
            continue
        own = base / path.lstrip("/")
        for group in [own, *own.parents]:
            if (limit := _number(group / limit_name)) is not None and (
                usage := _number(group / usage_name)
            ) is not None:
                left.append(max(0, limit - usage))
            if group == base:
                break
    return left


def _number(path: Path) -> int | None:
    """The whole number in a file; None for no file or the word `max`."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def require_memory(height: int, width: int, memory: Memory = FIRST_STAGE) -> None:
    """Raises BenchmarkError, one line, if an image of this size does not fit into the memory that is there."""
    needed, available = memory.of(height, width), available_bytes()
    if needed > available:
        raise BenchmarkError(
            f"an image of {width}x{height} would take about {needed / 1e9:.1f} GB of memory; "
            f"{available / 1e9:.1f} GB are free"
        )
