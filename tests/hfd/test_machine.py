import pytest
import torch

from benchmark.hfd import machine
from benchmark.hfd.machine import describe_machine, machine_fingerprint


def test_four_bytes_and_one_line() -> None:
    assert len(machine_fingerprint()) == 4
    assert torch.__version__ in describe_machine()
    assert "\n" not in describe_machine()


@pytest.mark.parametrize("change", ["processor", "instructions", "torch"])
def test_another_for_what_floats_depend_on(change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    here, described = machine_fingerprint(), describe_machine()
    if change == "processor":
        monkeypatch.setattr(machine, "_processor", lambda: "Another 9000")
    elif change == "instructions":
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "SSE9")
    else:
        monkeypatch.setattr(torch, "__version__", "99.1.0")
    describe_machine.cache_clear()
    try:
        assert machine_fingerprint() != here
        assert describe_machine() != described
    finally:
        describe_machine.cache_clear()
