"""The rates of a device: of the CPU here; what is measured is what is said."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support import fake_codecs
from support.short_memory import LittleMemory
from typer.testing import CliRunner

from benchmark.cli.main import app
from benchmark.codecs import open_codec
from benchmark.errors import UsageError
from benchmark.studies import device
from benchmark.studies.coverage import read_table
from benchmark.studies.device import Rate, lines, measure, totals

pytestmark = pytest.mark.long

fake_codecs.register()

RATE = Rate("d", "hfd", "decode", "float32", 256, 1, 10.0, 0.5, 1.0, 2.0)


def test_rates_of_networks_codecs_and_metrics() -> None:
    found = list(measure(["tiny", "mse"], ["psnr", "fd-effnet", "kd-effnet"], [1, 3], "cpu", side=128, rounds=1))
    assert [(one.what, one.step, one.batch) for one in found] == [
        ("tiny", "encode", 1),
        ("tiny", "decode", 1),
        ("mse", "encode", 1),
        ("mse", "decode", 1),
        ("mse", "both transforms", 1),
        ("mse", "both transforms", 3),
        ("psnr", "of the original", 1),
        ("psnr", "compare", 1),
        ("fd-effnet", "features", 1),  # kd-effnet has the same
        ("fd-effnet", "features", 3),
    ]
    for one in found:
        assert one.images * one.hours * 3600 == pytest.approx(30_000)
        assert 0 <= one.waiting <= 1
    assert found[1].waiting > 0.9  # nothing of torch's
    assert found[5].waiting < 0.7


def test_seconds_are_those_of_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    decode = fake_codecs.Tiny.decode

    def slow(self: fake_codecs.Tiny, *arguments: object) -> object:
        end = time.process_time() + 0.05
        while time.process_time() < end:
            pass
        return decode(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(fake_codecs.Tiny, "decode", slow)
    _, found = measure(["tiny"], [], [1], "cpu", side=64, rounds=1)
    assert 10 < found.images <= 20


def test_a_batch_that_there_is_no_memory_for_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "_coding", lambda *_: {})
    with LittleMemory(3 << 20):
        found = list(measure(["mse"], [], [1, 99, 8], "cpu", side=64, rounds=1))
    assert [one.batch for one in found] == [1, 8]


def test_the_network_of_hfd_is_that_of_its_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    codec = open_codec("hfd:precision=bfloat16")
    out = device._networks(codec, torch.device("cpu"), 64)["an evaluation of the U-Net"](2)()
    assert isinstance(out, torch.Tensor)
    assert out.shape == (2, 3, 64, 64)


def test_a_run_s_hours_are_those_of_its_parts() -> None:
    parts = [
        RATE,
        replace(RATE, step="encode", hours=1.0),
        replace(RATE, step="an evaluation of the U-Net", hours=100.0),
        replace(RATE, what="psnr", step="compare", hours=0.25),
        replace(RATE, what="psnr", step="of the original", hours=0.5),
        replace(RATE, what="fd", step="features", hours=3.0),
        replace(RATE, what="fd", step="features", batch=8, hours=50.0),
    ]
    assert totals(parts) == [("hfd", 3 + 0.75 + 6)]
    said = list(lines(iter(parts)))
    assert said[0] == "d, images of 256×256"
    assert said[-1] == "hfd: 9.8 h for 30,000 images, one quality and all of it"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--batch", "1,x"], "--batch '1,x': whole numbers"),
        (["--batch", "0"], "batches and rounds are 1 or more"),
        (["--side", "100"], "--side 100: a multiple of 64"),
        (["--side", "4096"], "--side 4096: the photographs are smaller"),
        (["--device", "cuda:77"], "device 'cuda:77' cannot be used here"),
    ],
)
def test_what_cannot_be_measured_is_said(words: list[str], message: str) -> None:
    ended = CliRunner().invoke(app, ["studies", "device", "--codec", "tiny", "--metric", "psnr", *words])
    assert isinstance(ended.exception, UsageError)
    assert message in str(ended.exception)


def test_the_table_is_kept_and_goes_on(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    for metric in ("psnr", "mse-fake"):
        words = ["studies", "device", "--codec", "tiny", "--metric", metric, "--side", "64", "--rounds", "1"]
        CliRunner().invoke(app, [*words, "-o", str(table)])
        assert {one.what for one in read_table(Rate, table)} == {"tiny", "psnr"}
