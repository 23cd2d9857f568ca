"""The kind of machine that computes: where floating point gives the same entropy parameters bit for bit.

A codec whose entropy parameters are floats decodes garbage where they come out differently by a rounding. How a sum is
ordered depends on the processor's vector units and caches, and on the version of the libraries, so a stream names the
kind of machine that wrote it and is refused on another. The small first stage of `hfd` and `mse` needs none of this:
its parameters are exact.
"""

import functools
import hashlib
import platform
from pathlib import Path

import torch


@functools.cache
def describe_machine() -> str:
    """Processor, instruction set and torch version, on one line; all that the fingerprint depends on."""
    return ", ".join(
        [
            _processor(),
            platform.machine(),
            torch.backends.cpu.get_cpu_capability(),
            f"oneDNN {'on' if torch.backends.mkldnn.is_available() else 'off'}",
            f"torch {torch.__version__}",
        ]
    )


def machine_fingerprint() -> bytes:
    """Four bytes that name the kind of machine; equal where `describe_machine` is equal."""
    return hashlib.sha256(describe_machine().encode()).digest()[:4]


def _processor() -> str:
    """The processor's name, as the system has it."""
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text(errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() in ("model name", "Model", "cpu model"):
                return " ".join(value.split())
    return platform.processor() or "unknown processor"
