"""The first stage on images and streams of every kind, and the proofs that decoding cannot go out of step."""

import contextlib
import copy
import itertools
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as PillowImage
from support.zygote import Zygote
from torch import nn

from benchmark.datasets.shipped import FOLDER
from benchmark.errors import BenchmarkError, CorruptStream
from benchmark.hfd import memory
from benchmark.hfd.codec import MseCodec, mse
from benchmark.hfd.container import Container, pack, unpack
from benchmark.hfd.entropy import ExactEntropyModel
from benchmark.hfd.exact import EXACT_LIMIT, ExactConv2d, ExactSequential, HardSwish
from benchmark.hfd.score import picture_to_tensor, tensor_to_picture

KINDS = ("black", "white", "flat", "noise", "chequers", "binary")
slow_fixture = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@pytest.fixture(scope="module")
def tiny(first_stage_file: Path) -> MseCodec:
    return mse("cpu", first_stage=first_stage_file)


@pytest.fixture(scope="module")
def shipped() -> MseCodec:
    return mse("cpu")


def drawn(kind: str, height: int, width: int, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    colours = generator.integers(0, 256, (2, 3), dtype=np.uint8)
    rows, columns = np.mgrid[0:height, 0:width]
    size = int(generator.integers(1, 9))
    flat = np.zeros((height, width, 3), dtype=np.uint8)
    if kind == "noise":
        return generator.integers(0, 256, flat.shape, dtype=np.uint8)
    if kind == "binary":
        return generator.integers(0, 2, flat.shape, dtype=np.uint8) * np.uint8(255)
    if kind == "chequers":
        return colours[(rows // size + columns // size) % 2]
    return flat + {"black": np.zeros(3, np.uint8), "white": np.full(3, 255, np.uint8), "flat": colours[0]}[kind]


def survives(codec: MseCodec, image: np.ndarray, quality: float) -> None:
    """The decoder has what the encoder says that it will have."""
    stream = codec.encode(image, quality)
    decoded = codec.decode(stream)
    assert decoded.shape == image.shape
    assert decoded.dtype == np.uint8
    steps = unpack(stream).quality_steps
    assert np.array_equal(decoded, tensor_to_picture(codec.first_stage.reconstruct(picture_to_tensor(image), steps)))


@given(st.sampled_from(KINDS), st.integers(1, 300), st.integers(1, 300), st.floats(1, 3), st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None, suppress_health_check=slow_fixture)
def test_any_picture_of_any_size(tiny: MseCodec, kind: str, height: int, width: int, quality: float, seed: int) -> None:
    survives(tiny, drawn(kind, height, width, seed), quality)


@pytest.mark.parametrize(
    ("kind", "height", "width", "quality"),
    [
        ("binary", 1, 1, 7),
        ("noise", 33, 65, 7),
        ("chequers", 120, 90, 1),
        ("white", 48, 17, 4.3),
        ("black", 16, 300, 1),
    ],
)
def test_shipped_weights_on_extreme_pictures(
    shipped: MseCodec, kind: str, height: int, width: int, quality: float
) -> None:
    survives(shipped, drawn(kind, height, width, 1), quality)


def exact_networks(coder: ExactEntropyModel) -> Iterator[ExactSequential]:
    yield coder.hyper_synthesis
    yield from coder.parameters_of_grid
    yield from coder.parameters_of_slice


@torch.inference_mode()
def test_no_colour_drives_the_shipped_weights_astray(shipped: MseCodec) -> None:
    """Flat, saturated blue once made a branch run away while it was trained."""
    model = shipped.first_stage.model
    corners = torch.tensor(list(itertools.product((-0.5, -0.17, 0.17, 0.5), repeat=3)))
    x = corners[:, :, None, None] + torch.linspace(-0.03, 0.03, 64)
    x = x.expand(-1, 3, 48, 64).clamp(-0.5, 0.5)
    for quality in (1.0, 4.0, 7.0):
        x_hat, bpp = model(x, torch.full((len(x),), quality))
        assert float((x_hat - x).square().mean((1, 2, 3)).max()) < 2e-3
        assert float(bpp.max()) < 0.5


def test_no_sum_of_the_shipped_weights_can_leave_the_exact_range(shipped: MseCodec) -> None:
    layers = [step for network in exact_networks(shipped.first_stage.coder) for step in network.steps]
    convolutions = [layer for layer in layers if isinstance(layer, ExactConv2d)]
    assert len(convolutions) > 20
    for layer in convolutions:
        assert layer.groups, "a layer of the shipped weights is summed in float64, which is slow"
        assert max(layer.largest_sum(first, end) for first, end in layer.groups) <= EXACT_LIMIT


def permuted(network: nn.Sequential, order: torch.Generator) -> nn.Sequential:
    """The same function with the channels between its layers in another order. Convolutions and HardSwish only."""
    network = copy.deepcopy(network)
    layers = [layer for layer in network if isinstance(layer, nn.Conv2d)]
    for before, after in itertools.pairwise(layers):
        places = torch.randperm(before.out_channels, generator=order)
        before.weight.data, before.bias.data = before.weight.data[places], before.bias.data[places]  # type: ignore[union-attr]
        after.weight.data = after.weight.data[:, places]
    return network


def test_same_tables_when_channels_are_permuted_with_their_weights(tiny: MseCodec, picture: np.ndarray) -> None:
    model = tiny.first_stage.model.entropy
    other = copy.deepcopy(tiny.first_stage.coder)
    order = torch.Generator().manual_seed(0)
    other.parameters_of_grid = [ExactSequential(permuted(n, order)) for n in model.parameters_of_grid]  # type: ignore[arg-type]
    other.parameters_of_slice = [ExactSequential(permuted(n, order)) for n in model.parameters_of_slice]  # type: ignore[arg-type]
    y, z = tiny.first_stage.analyse(picture_to_tensor(picture), 40)
    tables: list[list[torch.Tensor]] = []
    for coder in (tiny.first_stage.coder, other):
        seen: list[torch.Tensor] = []

        def code(_: object, mean: torch.Tensor, row: torch.Tensor, seen: list[torch.Tensor] = seen) -> torch.Tensor:
            seen += [mean, row]
            return (mean + row) % 5 - 2

        coder.walk(z, *y.shape[-2:], tiny.first_stage.scales(40), code)
        tables.append(seen)
    assert len(tables[0]) == 2 * (4 + 2)
    assert all(torch.equal(one, two) for one, two in zip(*tables, strict=True))
    assert all(isinstance(step, (nn.Conv2d, HardSwish)) for step in model.parameters_of_slice[0])  # type: ignore[union-attr]


def test_written_on_two_threads_read_on_one_without_onednn_and_in_float64(
    tiny: MseCodec, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = tiny.first_stage
    y, z = stage.analyse(picture_to_tensor(picture), 40)
    rows, columns = y.shape[-2:]
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        coded = stage.coder.encode(y, z, stage.scales(40))
        torch.set_num_threads(1)
        with torch.backends.mkldnn.flags(enabled=False):
            assert torch.equal(stage.coder.decode(coded.stream, rows, columns, stage.scales(40)), coded.y_hat)
        monkeypatch.setattr("benchmark.hfd.entropy.exact_dtype", lambda: torch.float64)
        assert torch.equal(stage.coder.decode(coded.stream, rows, columns, stage.scales(40)), coded.y_hat)
    finally:
        torch.set_num_threads(before)


def test_read_in_another_process(
    tiny: MseCodec, first_stage_file: Path, picture: np.ndarray, tmp_path: Path, coding: Zygote
) -> None:
    stream = tmp_path / "stream"
    stream.write_bytes(tiny.encode(picture, 2.3))
    code = (
        "import sys, torch; from pathlib import Path; from benchmark.hfd.codec import mse; import numpy as np; "
        "torch.backends.mkldnn.set_flags(False); "
        "image = mse('cpu', first_stage=Path(sys.argv[1])).decode(Path(sys.argv[2]).read_bytes()); "
        "np.save(sys.argv[3], image)"
    )
    arguments = (str(first_stage_file), str(stream), str(tmp_path / "read.npy"))
    exit_code, _, errors = coding.run(*arguments, folder=tmp_path, script=code, variables={"OMP_NUM_THREADS": "1"})
    assert exit_code == 0, errors
    read = np.load(tmp_path / "read.npy").astype(int)
    # the latents are the same; the transform's floats may differ in their last bits without oneDNN
    assert np.abs(read - tiny.decode(stream.read_bytes())).max() <= 1


def forged(container: Container, **changes: object) -> bytes:
    return pack(Container(**{**container.__dict__, **changes}))  # type: ignore[arg-type]


@given(st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=slow_fixture)
def test_no_stream_ends_in_anything_but_a_picture_or_a_refusal(
    tiny: MseCodec, picture: np.ndarray, data: st.DataObject
) -> None:
    """Headers and payloads forged with a fitting checksum; sizes up to what the harness's memory would bear."""
    container = unpack(tiny.encode(picture, 2))
    changes = {
        "height": data.draw(st.integers(1, 200)),
        "width": data.draw(st.integers(1, 200)),
        "quality_steps": data.draw(st.integers(0, 255)),
        "payload": data.draw(st.one_of(st.just(container.payload), st.binary(max_size=400))),
    }
    with contextlib.suppress(CorruptStream):
        assert tiny.decode(forged(container, **changes)).shape == (changes["height"], changes["width"], 3)


@pytest.mark.parametrize("damage", ["empty", "truncated", "flipped", "foreign", "text"])
def test_bad_streams_are_refused_in_one_line(tiny: MseCodec, picture: np.ndarray, damage: str) -> None:
    whole = tiny.encode(picture, 2)
    middle = len(whole) // 2
    bad = {
        "empty": b"",
        "truncated": whole[:middle],
        "flipped": whole[:middle] + bytes([whole[middle] ^ 16]) + whole[middle + 1 :],
        "foreign": b"\x89PNG\r\n\x1a\n" + whole,
        "text": b"HFD is a codec, and this is no stream of it",
    }[damage]
    with pytest.raises(CorruptStream) as refusal:
        tiny.decode(bad)
    assert "\n" not in str(refusal.value)


def test_a_payload_too_short_for_its_size_is_refused(shipped: MseCodec) -> None:
    photo = next(FOLDER.glob("*otters.png"))
    container = unpack(shipped.encode(np.asarray(PillowImage.open(photo))[:64, :64], 1))
    with pytest.raises(CorruptStream, match="an image of this size has at least"):
        shipped.decode(forged(container, height=2048, width=2048))


@given(st.sampled_from(KINDS), st.integers(1, 120), st.integers(1, 120), st.floats(1, 3))
@settings(max_examples=20, deadline=None, suppress_health_check=slow_fixture)
def test_no_real_payload_is_shorter_than_the_bound(
    tiny: MseCodec, kind: str, height: int, width: int, quality: float
) -> None:
    payload = unpack(tiny.encode(drawn(kind, height, width, 0), quality)).payload
    assert 8 * len(payload) >= tiny.first_stage.coder.least_bits(-(-height // 16), -(-width // 16))


def test_more_memory_than_there_is_is_refused_at_once(
    tiny: MseCodec, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    container = unpack(tiny.encode(picture, 2))
    monkeypatch.setattr(memory, "available_bytes", lambda: 3 * 10**9)

    def no_allocation(*_: object, **__: object) -> None:
        raise AssertionError("allocated before it was refused")

    monkeypatch.setattr("benchmark.hfd.entropy.RansDecoder", no_allocation)
    with pytest.raises(BenchmarkError, match=r"16384x16384 would take about 21\.9 GB of memory; 3\.0 GB are free"):
        tiny.decode(forged(container, height=16384, width=16384))
    monkeypatch.setattr(memory, "available_bytes", lambda: 10**6)
    with pytest.raises(BenchmarkError, match="an image of 91x77 would take about"):
        tiny.encode(picture, 2)


def test_absurd_sizes_never_reach_the_decoder(tiny: MseCodec) -> None:
    body = b"HFD\x10" + b"\xff\xff\x03" + b"\xff\xff\x03" + bytes(8)
    with pytest.raises(CorruptStream, match="65535x65535"):
        tiny.decode(body + zlib.crc32(body).to_bytes(4, "big"))
