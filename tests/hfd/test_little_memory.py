"""A tile that a device has no memory for is halved: the same values, in less memory, and the trial says so."""

from pathlib import Path

import numpy as np
import pytest
import torch
from support.pictures import write_pictures
from support.records import manifest, with_hashes
from support.short_memory import LittleMemory
from support.tiny_networks import first_stage_file as first_stage_file
from support.tiny_networks import flow_file as flow_file

from benchmark.codecs import Image
from benchmark.errors import BenchmarkError
from benchmark.hfd.codec import HfdCodec, hfd, mse
from benchmark.hfd.transforms import in_parts, in_tiles, tiles
from benchmark.images import load_image
from benchmark.results import CodecRecord, RunFolder
from benchmark.running.measurement import SMALLER_PARTS, Instruments, Workbench
from benchmark.running.plan import PlannedTrial
from benchmark.shortage import shortages

TOLERANCE = 1e-5
"""Of a value in [0, 1], as docs/how-to/gpu.md states it."""


@pytest.fixture(scope="module")
def codec(first_stage_file: Path, flow_file: Path) -> HfdCodec:
    return hfd("cpu", first_stage=first_stage_file, weights=flow_file)


@pytest.fixture(scope="module")
def x_hat() -> torch.Tensor:
    return torch.rand(1, 3, 150, 420, generator=torch.Generator().manual_seed(1)) - 0.5


def test_a_decoder_s_tiles_are_halved_until_they_fit(codec: HfdCodec, x_hat: torch.Tensor) -> None:
    """The network's first layer takes 32 bytes a pixel, the whole image 12: it is that layer which does not fit."""
    whole = codec.decoder.sample(x_hat, 20, seed=3)
    with shortages() as told, LittleMemory(14 * 160 * 432) as memory:
        halved = codec.decoder.sample(x_hat, 20, seed=3)
    assert memory.refusals
    assert list(told) == ["tiles"]
    assert float((whole - x_hat).abs().mean()) > 0.01  # there is something to see
    assert float((whole - halved).abs().max()) < TOLERANCE


def test_what_no_tile_is_small_enough_for_is_an_error(codec: HfdCodec, x_hat: torch.Tensor) -> None:
    """Each tile sees beyond its own pixels, so tiles do not get smaller for ever."""
    with shortages(), LittleMemory(12 * 160 * 432) as memory:
        codec.decoder.overlap, before = 1000, codec.decoder.overlap  # all of the image
        with pytest.raises(torch.OutOfMemoryError, match=r"^CUDA out of memory\. Tried to allocate"):
            codec.decoder.sample(x_hat, 20, seed=3)
        codec.decoder.overlap = before
    assert memory.refusals == 1


def test_a_transform_s_tiles_are_halved(codec: HfdCodec) -> None:
    x = torch.rand(1, 1, 40 * 16, 50 * 16, generator=torch.Generator().manual_seed(0))

    def work(part: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.avg_pool2d(part.repeat(1, 8, 1, 1), 16)

    whole = in_tiles(work, x, 16, 1, 8)
    seen: list[tuple[int, int]] = []

    def watched(part: torch.Tensor) -> torch.Tensor:
        out = work(part)
        seen.append((part.shape[2] // 16, part.shape[3] // 16))
        return out

    with shortages() as told, LittleMemory(4 * x.nbytes) as memory:
        assert torch.equal(in_tiles(watched, x, 16, 1, 8), whole)
    assert told == {"tiles": "no memory for larger tiles on the device: tiles of 20×25 latents"}
    assert seen == [(28, 33)] * 4
    assert memory.refusals == 2  # 40×50 and 40×33; as much is not tried again


def test_the_tiles_after_one_that_did_not_fit_are_not_tried_whole() -> None:
    tried = []

    def function(seen: tuple[slice, slice]) -> torch.Tensor:
        rows, columns = (part.stop - part.start for part in seen)
        tried.append((rows, columns))
        if rows * columns > 40:
            raise torch.OutOfMemoryError("out of memory")
        return torch.ones(1, rows, columns)

    parts = list(tiles(16, 16, 8, 0))
    with shortages():
        assert torch.equal(
            in_parts(function, lambda: torch.zeros(1, 16, 16), parts, (16, 16), 0, 1), torch.ones(1, 16, 16)
        )
    assert tried == [(8, 8), *[(4, 8)] * 8]


def test_where_nobody_listens_it_is_a_warning(codec: HfdCodec, x_hat: torch.Tensor) -> None:
    with LittleMemory(14 * 160 * 432), pytest.warns(RuntimeWarning, match="^no memory for larger tiles on the device"):
        codec.decoder.sample(x_hat, 20, seed=3)


class InLittleMemory:
    """A codec whose decoder has little memory."""

    stochastic = False
    qualities = (1.0,)

    def __init__(self, codec: HfdCodec, most: int) -> None:
        self.codec, self.most = codec, most

    def encode(self, image: Image, quality: float) -> bytes:
        return self.codec.encode(image, quality)

    def decode(self, data: bytes, seed: int | None = None) -> Image:
        with LittleMemory(self.most):
            return self.codec.decode(data, 0)

    def describe(self) -> dict[str, str]:
        return {}


@pytest.mark.parametrize(("share", "why"), [(1.2, "no memory for larger tiles on the device: tiles of "), (1e9, None)])
def test_the_trial_says_so(codec: HfdCodec, share: float, why: str | None, tmp_path: Path) -> None:
    write_pictures(tmp_path, ["a.png"], size=(160, 336))
    record = CodecRecord(label="c", qualities=[1], stochastic=False, description={})
    folder = RunFolder.create(tmp_path / "run", with_hashes(tmp_path, manifest(codecs={"c": record})))
    small = InLittleMemory(codec, int(share * 12 * 160 * 336))
    bench = Workbench(folder, {"c": small}, Instruments({}, {}), True, "")
    trial = bench.measure(PlannedTrial("c", 1, None, "a", tmp_path / "a.png"))
    assert trial.error is None
    assert trial.broken is None
    if why is None:
        assert trial.reasons == {}
    else:
        assert trial.reasons[SMALLER_PARTS].startswith(why)
    whole = codec.decode(codec.encode(bench._prepared.image, 1), 0)  # type: ignore[union-attr]
    kept = load_image(folder.reconstruction_path(trial.key))
    assert int(np.abs(kept.astype(int) - whole).max()) <= 1


def test_a_device_without_room_for_the_weights_is_not_their_fault(first_stage_file: Path) -> None:
    with LittleMemory(100_000), pytest.raises(BenchmarkError, match=r"first-stage.*: the device has no memory"):
        mse("cpu", first_stage=first_stage_file)
