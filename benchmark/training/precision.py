"""In which precision a training computes: what was asked for, or what the processor is quick at.

On a processor without instructions for bfloat16 its convolutions take several times as long as float32's, since each
value is widened and rounded again; with them, and on a GPU, they take half of the time or less. So a recipe may say
"auto". What a codec decodes does not depend on this: its precision is a setting of the codec.
"""

import functools
import os
from pathlib import Path
from typing import Literal, cast

import torch
from rich.console import Console

from benchmark.errors import UsageError

Precision = Literal["auto", "float32", "bf16"]
AUTO: Literal["auto"] = "auto"

CPU_FLAGS = ("avx512_bf16", "amx_bf16")
"""As Linux calls them, of processors whose convolutions in bfloat16 were seen to be quick."""
CPU_INFORMATION = Path("/proc/cpuinfo")


def precision_of(asked: Precision, device: torch.device, console: Console) -> Precision:
    """ "float32" or "bf16": `asked`, or for "auto" what `device` is quick at, which `console` is told then."""
    if asked != "auto":
        return asked
    if (set_to := accelerate_precision()) != "no":
        return cast(Precision, set_to)
    if quick_at_bfloat16(device):
        console.print(f"precision: bf16, which this {_kind(device)} is quick at; --precision float32 goes without")
        return "bf16"
    console.print(
        f"precision: float32, since this {_kind(device)} has no instructions for bfloat16; --precision bf16 takes it "
        "all the same"
    )
    return "float32"


def quick_at_bfloat16(device: torch.device) -> bool:
    """Whether convolutions in bfloat16 take less time there than in float32, by the instructions it has."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return device.type == "cpu" and not set(CPU_FLAGS).isdisjoint(_flags(CPU_INFORMATION))


def accelerate_precision() -> str:
    """What accelerate was set to: "no", "bf16" or something else."""
    return os.environ.get("ACCELERATE_MIXED_PRECISION", "no")


def check_accelerate(asked: str) -> None:
    """Raises UsageError if accelerate was set to another precision than `asked`."""
    there = accelerate_precision()
    if there not in {"float32": ("no",), "bf16": ("no", "bf16"), AUTO: ("no", "bf16")}[asked]:
        raise UsageError(
            f"accelerate is set to mixed precision {there}, this command to {asked}; let --precision say it"
        )


def _kind(device: torch.device) -> str:
    return "GPU" if device.type == "cuda" else "processor"


@functools.cache
def _flags(information: Path) -> frozenset[str]:
    """Of the first processor; none where the system does not say."""
    if not information.is_file():
        return frozenset()
    for line in information.read_text(errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "flags":
            return frozenset(value.split())
    return frozenset()
