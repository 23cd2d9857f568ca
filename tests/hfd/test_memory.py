import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.errors import BenchmarkError
from benchmark.hfd import elic_coder, memory
from benchmark.hfd.decoders.one_step import OneStepSettings
from benchmark.hfd.memory import (
    FIRST_STAGE,
    PAPER_FIRST_STAGE,
    SAMPLING,
    available_bytes,
    require_memory,
    sampling_memory,
)
from benchmark.hfd.sampling import ScoreDecoder
from benchmark.hfd.score import ScoreNetwork
from benchmark.hfd.transforms import tiles
from benchmark.hfd.unet import LARGE, PAPER, SMALL, UNetConfig


def machine(root: Path, free_kib: int, membership: str, files: dict[str, str]) -> Path:
    for name, text in {
        "proc/meminfo": f"MemTotal: {2 * free_kib} kB\nMemAvailable: {free_kib} kB\n",
        "proc/self/cgroup": membership,
        **files,
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_the_machine_limits(tmp_path: Path) -> None:
    assert available_bytes(machine(tmp_path, 1000, "0::/\n", {})) == 1000 * 1024


def test_a_container_of_version_2_limits(tmp_path: Path) -> None:
    files = {
        "sys/fs/cgroup/a/memory.max": "300000\n",
        "sys/fs/cgroup/a/memory.current": "100000\n",
        "sys/fs/cgroup/a/b/memory.max": "max\n",
        "sys/fs/cgroup/a/b/memory.current": "50000\n",
    }
    assert available_bytes(machine(tmp_path, 1000, "0::/a/b\n", files)) == 200000


def test_a_container_of_version_1_limits(tmp_path: Path) -> None:
    base = "sys/fs/cgroup/memory/job/"
    files = {f"{base}memory.limit_in_bytes": "400000\n", f"{base}memory.usage_in_bytes": "500000\n"}
    assert available_bytes(machine(tmp_path, 1000, "5:cpu,cpuacct:/x\n4:memory:/job\n", files)) == 0


def test_this_machine_has_memory() -> None:
    assert 2**24 < available_bytes() < 2**50


def test_refusal_says_how_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: FIRST_STAGE.of(4000, 6000))
    require_memory(4000, 6000)
    with pytest.raises(BenchmarkError, match=r"6001x4000 would take about 2\.3 GB of memory; 2\.3 GB are free"):
        require_memory(4000, 6001)


def test_a_large_picture_fits_into_6_gib() -> None:
    """6000×4000, with x̂ and the rounded image, and half a gigabyte for Python, torch and the weights."""
    assert SAMPLING.of(4000, 6000) + 15 * 4000 * 6000 + 2**29 < 6 * 2**30


def test_the_full_size_first_stage_has_the_memory_that_was_measured() -> None:
    for height, width, measured in ((512, 768, 844), (1024, 1024, 715), (1408, 2048, 306)):
        assert PAPER_FIRST_STAGE.of(height, width) >= measured * height * width
    rows = columns = elic_coder.TILE + 2 * elic_coder.OVERLAP
    in_tile = (715 - 119) * rows * columns * 16**2
    assert PAPER_FIRST_STAGE.of(4000, 6000) > 119 * 4000 * 6000 + in_tile
    assert PAPER_FIRST_STAGE.of(4000, 6000) + 15 * 4000 * 6000 + 2**29 < 6 * 2**30


def test_a_wider_u_net_takes_more_in_a_tile() -> None:
    assert sampling_memory(32, 144) == sampling_memory(8, 64) == SAMPLING
    assert sampling_memory(128, 144).of(1024, 1024) == (90 + 4 * 90) * 2**20


@pytest.mark.parametrize("config", [SMALL, LARGE, PAPER])
def test_the_memory_counts_what_a_tile_sees(config: UNetConfig) -> None:
    """423 bytes per pixel were measured for the network of full size in one tile, 65 of them outside of it."""
    decoder = ScoreDecoder(ScoreNetwork(config, 2), OneStepSettings())
    overlap = decoder.overlap * decoder.unit
    seen = (
        max(
            (rows.stop - rows.start) * (columns.stop - columns.start)
            for _, (rows, columns) in tiles(4000 // decoder.unit, 6000 // decoder.unit, overlap=decoder.overlap)
        )
        * decoder.unit**2
    )
    in_tile = {SMALL: 65, LARGE: 65, PAPER: 423 - 65}[config]
    assert sampling_memory(config.channels[0], overlap).of(4000, 6000) > 65 * 4000 * 6000 + in_tile * seen


def test_beyond_a_tile_only_the_picture_counts() -> None:
    for one in (FIRST_STAGE, SAMPLING):
        assert one.of(8192, 8192) - one.of(4096, 8192) == one.bytes_per_pixel * 2**25


MEASURED = """
import sys
import torch
from benchmark.hfd.decoders import KINDS
from benchmark.hfd.sampling import ScoreDecoder
from benchmark.hfd.unet import UNetConfig
from benchmark.registry import typed_settings

def bytes_of(name):
    return 1024 * next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name))

torch.set_num_threads(1)
kind, settings = sys.argv[1], dict(one.split("=") for one in sys.argv[2:])
load = KINDS[kind].load()
sampler = load.settings(**typed_settings(load.settings, settings, {}, "codec", kind))
network = load.network(UNetConfig((8, 8), (1, 1), (1,), 16), 7, {"kappa": 1.0})
decoder = ScoreDecoder(network.eval(), sampler, tile=16)
decoder.sample(torch.zeros(1, 3, 64, 64), 5, 0)
x_hat = torch.rand(1, 3, 2048, 2048) - 0.5
open("/proc/self/clear_refs", "w").write("5")  # VmHWM begins anew
before = bytes_of("VmRSS")
decoder.sample(x_hat, 5, 0)
print((bytes_of("VmHWM") - before) / 2**22)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "sampler",
    [
        "one-step",
        "energy steps=3",
        "flow steps=3 sampler=euler",
        "flow steps=3 sampler=heun",
        "flow steps=3 realism=0.5",
        "diffusion steps=3 sampler=ancestral realism=1",
        "diffusion steps=3 sampler=ddim realism=1",
        "diffusion steps=3 realism=0.5",
    ],
)
def test_samplers_keep_to_their_memory(sampler: str) -> None:
    command = [sys.executable, "-c", MEASURED, *sampler.split()]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert 40 < float(ended.stdout) <= SAMPLING.bytes_per_pixel, ended.stdout
