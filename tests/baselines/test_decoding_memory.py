"""The memory that a refusal reckons with, against what decoding takes: full-size networks of random weights."""

import re
import subprocess
import sys

import pytest

from benchmark.baselines import zoo
from benchmark.baselines.hific import codec as hific_codec
from benchmark.baselines.upscale import codec as upscale_codec

PEAK = """
import re, sys, torch
from pathlib import Path
torch.set_num_threads(1)
torch.manual_seed(0)
def status(key): return 1024 * int(re.search(key + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
def peak_of(decode):
    with torch.no_grad():
        Path("/proc/self/clear_refs").write_text("5")
        before = status("VmRSS")
        decode()
        print("bytes per pixel", (status("VmHWM") - before) / (512 * 768))
"""
ZOO = """
from compressai.zoo import image
network = image.model_architectures["{model}"]({widths}).eval()
y = torch.zeros(1, network.M, 32, 48)
peak_of(lambda: network.g_s(y))
"""
HIFIC = """
from benchmark.baselines.hific.model import Hific, HificConfig
model = Hific(HificConfig()).eval()
y = torch.zeros(1, 220, 32, 48)
peak_of(lambda: model.synthesise(y, 512, 768))
"""
UPSCALER = """
import numpy as np
from benchmark.baselines.upscale.codec import Enlarger
from benchmark.baselines.upscale.rrdbnet import RRDBNet
enlarger = Enlarger(RRDBNet(blocks=2).eval(), "", {}, torch.device("cpu"))
copy = np.zeros((128, 192, 3), np.uint8)
peak_of(lambda: enlarger.enlarge(copy))
"""


def measured(program: str) -> float:
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", PEAK + program], capture_output=True, check=True)
    match = re.search(rb"bytes per pixel ([\d.]+)", done.stdout)
    assert match is not None
    return float(match[1])


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
@pytest.mark.parametrize(("model", "widths"), [("mbt2018-mean", "192, 320"), ("cheng2020-attn", "192")])
def test_memory_of_the_zoo(model: str, widths: str) -> None:
    """The widest that are published."""
    allowed = zoo.MEMORY.of(512, 768) / (512 * 768)
    assert 0.5 * allowed < measured(ZOO.format(model=model, widths=widths)) <= allowed


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
def test_memory_of_the_generator() -> None:
    allowed = hific_codec.MEMORY.of(512, 768) / (512 * 768)
    assert 0.5 * allowed < measured(HIFIC) <= allowed


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
def test_memory_of_the_upscaler() -> None:
    """More blocks take no more: each leaves its memory to the next."""
    allowed = upscale_codec.NETWORK_MEMORY.of(512, 768) / (512 * 768)
    assert 0.5 * allowed < measured(UPSCALER) <= allowed
