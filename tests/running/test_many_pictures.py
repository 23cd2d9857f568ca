"""A run over many images holds no more memory at its end than after its first trials."""

import contextlib
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.running.run import Request, open_run

MEGABYTE = 2**20


def resident() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def write_pictures(folder: Path, count: int) -> Path:
    """As many images of 300x260, which differ in the bytes behind their end: all have hashes of their own."""
    blocks = np.random.default_rng(0).integers(0, 256, (26, 30, 3), dtype=np.uint8)
    Image.fromarray(blocks.repeat(10, axis=0).repeat(10, axis=1)).save(folder / "0.jpg")
    data = (folder / "0.jpg").read_bytes()
    for number in range(1, count):
        (folder / f"{number}.jpg").write_bytes(data + number.to_bytes(4, "big"))
    return folder


@pytest.mark.parametrize("count", [300, pytest.param(10_000, marks=pytest.mark.slow)])
def test_memory_does_not_grow_with_the_trials(count: int, tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    folder = write_pictures(tmp_path / "pictures", count)
    request = Request(
        codecs=["tiny"], only=True, dataset=f"{folder}@square256", qualities=["2"], metrics=["psnr"],
        output=tmp_path / "run",
    )  # fmt: skip
    seen = early = 0
    with open_run(request) as run, contextlib.closing(run.execute()) as trials:
        assert len(run.trials) == count
        for trial in trials:
            assert (trial.error, trial.height, trial.width) == (None, 256, 256)
            seen += 1
            if seen == 100:
                early = resident()
    assert seen == count
    assert resident() - early < 4 * MEGABYTE  # one image kept per trial would be 0.2 MB per trial
