"""Trainings choose a precision by what the processor has, say so once, and can be told otherwise."""

import io
from pathlib import Path

import pytest
import torch
from rich.console import Console

from benchmark.errors import UsageError
from benchmark.training import precision
from benchmark.training.precision import Precision, precision_of, quick_at_bfloat16
from benchmark.training.processes import open_processes

CPU = torch.device("cpu")


def processor(folder: Path, monkeypatch: pytest.MonkeyPatch, flags: str) -> None:
    """A Linux on a processor with these flags."""
    information = folder / f"{flags.replace(' ', '-')}.txt"
    information.write_text(
        f"processor\t: 0\nmodel name\t: One\nflags\t\t: fpu {flags}\n\nprocessor\t: 1\nflags\t\t: fpu\n"
    )
    monkeypatch.setattr(precision, "CPU_INFORMATION", information)


def told(asked: Precision, device: torch.device = CPU) -> tuple[str, str]:
    """The precision, and what was said."""
    said = io.StringIO()
    return precision_of(asked, device, Console(file=said, width=200)), said.getvalue()


@pytest.mark.parametrize(
    ("flags", "chosen", "words"),
    [
        ("avx2 fma", "float32", "no instructions for bfloat16; --precision bf16"),
        ("avx2 avx512f avx512_vnni", "float32", "no instructions for bfloat16; --precision bf16"),
        ("avx512f avx512_bf16", "bf16", "quick at; --precision float32"),
        ("avx512f amx_tile amx_bf16", "bf16", "quick at; --precision float32"),
    ],
)
def test_auto_is_what_the_processor_is_quick_at(
    flags: str, chosen: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    processor(tmp_path, monkeypatch, flags)
    found, said = told("auto")
    assert found == chosen
    assert said.count("\n") == 1
    assert words in said


def test_where_the_system_does_not_say_it_is_float32(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "CPU_INFORMATION", tmp_path / "nothing")
    assert told("auto")[0] == "float32"
    empty = tmp_path / "empty"
    empty.write_text("Processor: another system's\n")
    monkeypatch.setattr(precision, "CPU_INFORMATION", empty)
    assert told("auto")[0] == "float32"


@pytest.mark.parametrize(("capability", "quick"), [((7, 5), False), ((8, 0), True), ((9, 0), True)])
def test_a_gpu_goes_by_its_generation(
    capability: tuple[int, int], quick: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert quick_at_bfloat16(torch.device("cuda")) == quick
    assert "this GPU" in told("auto", torch.device("cuda"))[1]


@pytest.mark.parametrize("asked", ["float32", "bf16"])
def test_what_was_asked_for_is_taken_without_a_word(
    asked: Precision, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for flags in ("avx2", "avx512_bf16"):
        processor(tmp_path, monkeypatch, flags)
        assert told(asked) == (asked, "")


def test_accelerate_s_setting_decides_where_nothing_else_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    processor(tmp_path, monkeypatch, "avx2")
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    assert open_processes("auto").count == 1
    assert told("auto") == ("bf16", "")
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "fp8")
    with pytest.raises(UsageError, match="mixed precision fp8, this command to auto; let --precision say it"):
        open_processes("auto")
