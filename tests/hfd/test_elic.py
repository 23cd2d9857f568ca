"""The full-size first stage: CompressAI's network as oracle, streams that decode in another process, refusals."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.zygote import Zygote

from benchmark.codecs import open_codec
from benchmark.errors import BenchmarkError, CorruptStream, UsageError
from benchmark.hfd import elic_coder, memory
from benchmark.hfd.autoencoder import Autoencoder, AutoencoderConfig
from benchmark.hfd.codec import MseCodec, hfd, mse
from benchmark.hfd.container import Container, pack, unpack
from benchmark.hfd.decoders.flow import FlowNetwork
from benchmark.hfd.elic import LATENT_STRIDE, PAPER, Elic, ElicConfig, checkerboard
from benchmark.hfd.elic_coder import (
    OVERLAP,
    MachineKind,
    PaperFirstStage,
    describe_kind,
    machine_kind,
    refuse_foreign,
)
from benchmark.hfd.first_stage import load_first_stage
from benchmark.hfd.size import first_stage_sizes
from benchmark.hfd.transforms import in_tiles
from benchmark.hfd.unet import UNetConfig
from benchmark.hfd.weights import load_autoencoder, write_weights

TINY = ElicConfig(channels=8, groups=(2, 4, 6), levels=3)
CPU = torch.device("cpu")


def tiny_elic() -> Elic:
    """Random weights whose latents are some steps wide, so that there is something to code."""
    torch.manual_seed(0)
    model = Elic(TINY)
    with torch.no_grad():
        model.log_gain.add_(3.0)
    return model


@pytest.fixture(scope="module")
def paper_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = tiny_elic()
    model.update()
    path = tmp_path_factory.mktemp("paper") / "first-stage.safetensors"
    write_weights(path, model, "first stage", TINY.as_json(), {})
    return path


@pytest.fixture(scope="module")
def paper_mse(paper_file: Path) -> MseCodec:
    return mse("cpu", model="paper", first_stage=paper_file)


def test_at_unit_gain_it_is_the_published_network() -> None:
    """The same image and the same bits as CompressAI's own forward pass, with its own weights."""
    model = tiny_elic().eval()
    x = torch.rand(2, 3, 64, 128, generator=torch.Generator().manual_seed(0)) - 0.5
    with torch.no_grad():
        model.network.g_a[-1].conv_b[-1].bias.add_(1.0)
        model.network.g_a[-2].weight.mul_(40.0)  # latents of many steps at a gain of 1
        model.log_gain.zero_()
        x_hat, bpp = model(x, torch.tensor([1.0, 2.5]))
        oracle = model.network(x)
    bits = sum(-part.log2().sum((1, 2, 3)) for part in oracle["likelihoods"].values())
    assert torch.allclose(x_hat, oracle["x_hat"], atol=1e-5)
    assert torch.allclose(bpp * 64 * 128, bits, rtol=1e-4)
    assert float(bpp.min()) > 0.2


def test_levels_are_interpolated_in_the_log() -> None:
    model = Elic(TINY)
    gains = [float(model.gain(torch.tensor([q])).mean()) for q in (1.0, 1.5, 2.0, 3.0)]
    assert gains[1] == pytest.approx((gains[0] * gains[2]) ** 0.5)
    assert gains[3] / gains[0] == pytest.approx((TINY.lambda_high / TINY.lambda_low) ** 0.5)
    assert model.lam(2) == pytest.approx((TINY.lambda_low * TINY.lambda_high) ** 0.5)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 3), (4, 5)])
def test_the_checkerboard_covers_each_place_once(height: int, width: int) -> None:
    even, odd = checkerboard(height, width, CPU)
    assert sorted([*even.tolist(), *odd.tolist()]) == list(range(height * width))
    for place in even.tolist():
        neighbours = {place + step for step in (-width, width)} & set(range(height * width))
        assert neighbours <= set(odd.tolist())


@given(st.integers(1, 140), st.integers(1, 140), st.integers(0, 64), st.integers(0, 2**32 - 1))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_decoder_has_what_the_encoder_had(paper_mse: MseCodec, height: int, width: int, steps: int, seed: int) -> None:
    stage = paper_mse.first_stage
    x = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed)) - 0.5
    expected = stage.reconstruct(x, steps)
    y_hat = stage.decode_latents(stage.encode(x, steps), height, width, steps)
    assert torch.equal(stage.synthesise(y_hat, height, width, steps), expected)
    assert expected.shape == x.shape


def test_bits_close_to_the_estimate(paper_mse: MseCodec) -> None:
    x = torch.rand(1, 3, 192, 192, generator=torch.Generator().manual_seed(1)) - 0.5
    stage = paper_mse.first_stage
    with torch.no_grad():
        _, bpp = stage.model(x, torch.tensor([3.0]))
    # scales are rounded up to the next of 64, which costs some
    assert len(stage.encode(x, 64)) * 8 / 192**2 == pytest.approx(float(bpp), rel=0.05)
    assert float(bpp) > 0.3


def test_a_fresh_process_on_another_thread_count_decodes_it(
    paper_mse: MseCodec, paper_file: Path, picture: np.ndarray, tmp_path: Path, coding: Zygote
) -> None:
    (tmp_path / "stream").write_bytes(paper_mse.encode(picture, 2.5))
    code = (
        "import sys, numpy as np, torch; from pathlib import Path; from benchmark.hfd.codec import mse\n"
        "assert torch.get_num_threads() == 2\n"
        "codec = mse('cpu', model='paper', first_stage=Path(sys.argv[1]))\n"
        "np.save('decoded.npy', codec.decode(Path('stream').read_bytes()))"
    )
    more = {"script": code, "variables": {"OMP_NUM_THREADS": "2"}}
    exit_code, _, errors = coding.run(str(paper_file), folder=tmp_path, **more)
    assert exit_code == 0, errors
    assert np.array_equal(np.load(tmp_path / "decoded.npy"), paper_mse.decode((tmp_path / "stream").read_bytes()))


def forged(stream: bytes, payload: bytes) -> bytes:
    return pack(Container(**{**unpack(stream).__dict__, "payload": payload}))


def test_a_stream_of_another_kind_of_machine_is_refused(paper_mse: MseCodec, picture: np.ndarray) -> None:
    stream = paper_mse.encode(picture, 2)
    payload = unpack(stream).payload
    assert payload[:4] == machine_kind(CPU).as_bytes()
    other = MachineKind("a GPU", "Some GPU 9", (2, 6), True).as_bytes()
    with pytest.raises(CorruptStream, match=r"written on a GPU, torch 2\.6, oneDNN on; this is a CPU.*Decode it on"):
        paper_mse.decode(forged(stream, other + payload[4:]))
    with torch.backends.mkldnn.flags(enabled=False), pytest.raises(CorruptStream, match=r"this is .*oneDNN off"):
        paper_mse.decode(stream)
    alike = payload[:2] + bytes([payload[2] ^ 1]) + payload[3:]
    with pytest.raises(CorruptStream, match="another make or model"):
        paper_mse.decode(forged(stream, alike))
    with pytest.raises(CorruptStream, match="truncated: 3 bytes"):
        paper_mse.decode(forged(stream, payload[:3]))


def test_every_field_of_the_kind_is_in_its_bytes() -> None:
    base = MachineKind("a GPU", "A", (2, 6), True)
    others = [
        MachineKind("a CPU", "A", (2, 6), True),
        MachineKind("a GPU", "B", (2, 6), True),
        MachineKind("a GPU", "A", (2, 7), True),
        MachineKind("a GPU", "A", (2, 6), False),
    ]
    assert len({kind.as_bytes() for kind in [base, *others]}) == 5
    assert describe_kind(others[2].as_bytes()) == "a GPU, torch 2.7, oneDNN on"
    assert describe_kind(b"\x7f\0\0\0") == "an unknown processor, torch 0.0, oneDNN off"
    refuse_foreign(machine_kind(CPU).as_bytes(), CPU)


@given(st.data())
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_payloads_never_crash(paper_mse: MseCodec, data: st.DataObject) -> None:
    """With the checksum made to fit, an image of the right size or a clear refusal."""
    image = np.random.default_rng(0).integers(0, 256, (40, 70, 3), dtype=np.uint8)
    stream = paper_mse.encode(image, 2)
    payload = bytearray(unpack(stream).payload)
    for _ in range(data.draw(st.integers(1, 5))):
        payload[data.draw(st.integers(4, len(payload) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(4, len(payload)))
    try:
        decoded = paper_mse.decode(forged(stream, bytes(payload[:cut])))
    except CorruptStream as error:
        assert "no image has" in str(error) or "has at least" in str(error)  # noqa: PT017
    else:
        assert decoded.shape == image.shape


def test_architectures_are_named(paper_file: Path, first_stage_file: Path, flow_file: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds a first stage of architecture 'paper', not 'small'"):
        mse("cpu", first_stage=paper_file)
    with pytest.raises(UsageError, match="architecture 'small', not 'paper'"):
        mse("cpu", model="paper", first_stage=first_stage_file)
    with pytest.raises(UsageError, match="'paper', not 'small'"):
        load_autoencoder(paper_file)
    with pytest.raises(UsageError, match=r"train autoencoder FOLDER.*--model paper.*first_stage=FILE"):
        mse("cpu", model="paper")
    with pytest.raises(UsageError, match="train autoencoder FOLDER"):
        hfd("cpu", model="paper")
    with pytest.raises(UsageError, match=r"no shipped decoder.*train one-step"):
        hfd("cpu", model="paper", first_stage=paper_file)
    with pytest.raises(UsageError, match="was trained on the first stage"):
        hfd("cpu", model="paper", first_stage=paper_file, weights=flow_file)
    with pytest.raises(UsageError, match="codec mse: model is small or paper, not 'large'"):
        open_codec("mse:model=large")
    write_weights(tmp_path / "new", tiny_elic(), "first stage", {"architecture": "huge"}, {})
    with pytest.raises(UsageError, match="architecture 'huge'; known are small, paper"):
        mse("cpu", model="paper", first_stage=tmp_path / "new")


@torch.no_grad()
def test_tiles_see_as_far_as_the_transforms() -> None:
    """In float64, so that nothing but what a tile does not see makes a difference."""
    model = tiny_elic().double()
    analysis, synthesis = model.network.g_a, model.network.g_s
    for network in (analysis, synthesis):
        for parameter in network.parameters():
            if parameter.ndim == 4:
                torch.nn.init.kaiming_normal_(parameter)
    x = torch.rand(1, 3, 28 * 16, 44 * 16, generator=torch.Generator().manual_seed(0)).double() - 0.5
    y = torch.randn(1, TINY.latents, 28, 44, generator=torch.Generator().manual_seed(1)).double()
    whole = analysis(x), synthesis(y)

    def differences(overlap: int) -> list[float]:
        tiled = (
            in_tiles(analysis, x, LATENT_STRIDE, 1, TINY.latents, 12, overlap),
            in_tiles(synthesis, y, 1, LATENT_STRIDE, 3, 12, overlap),
        )
        return [float((t - w).abs().max() / w.std()) for t, w in zip(tiled, whole, strict=True)]

    assert max(differences(OVERLAP)) < 1e-10
    assert min(differences(6)) > 1e-10


def test_a_picture_in_tiles(paper_mse: MseCodec, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = paper_mse.first_stage
    x = torch.rand(1, 3, 70, 400, generator=torch.Generator().manual_seed(0)) - 0.5
    whole = stage.reconstruct(x, 20)
    monkeypatch.setattr(elic_coder, "TILE", 6)
    tiled = stage.reconstruct(x, 20)
    assert float((whole - tiled).abs().max()) < 1e-3
    monkeypatch.setattr(elic_coder, "OVERLAP", 0)
    assert float((whole - stage.reconstruct(x, 20)).abs().max()) > 1e-3


def test_a_picture_beyond_the_memory_is_refused_before_it_is_taken(
    paper_mse: MseCodec, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = paper_mse.encode(picture, 2)
    giant = pack(replace(unpack(stream), height=16384, width=16384))
    monkeypatch.setattr(memory, "available_bytes", lambda: 3 * 10**9)
    with pytest.raises(BenchmarkError, match=r"16384x16384 would take about .* GB"):
        paper_mse.decode(giant)
    monkeypatch.setattr(memory, "available_bytes", lambda: 10**6)
    for attempt in (lambda: paper_mse.encode(picture, 2), lambda: paper_mse.decode(stream)):
        with pytest.raises(BenchmarkError, match="would take about"):
            attempt()


def test_a_score_based_decoder_on_it(paper_mse: MseCodec, paper_file: Path, picture: np.ndarray) -> None:
    """hfd:model=paper sends what mse:model=paper sends and decodes it with a network trained on that first stage."""
    torch.manual_seed(0)
    unet = UNetConfig(channels=(8, 12), blocks_down=(1, 1), blocks_up=(1,), embedding=16)
    network = FlowNetwork(unet, TINY.levels, kappa=1.0)
    _, identity = load_first_stage(paper_file)
    configuration = {"unet": unet.as_json(), "levels": 3, "kappa": 1.0, "steps": 1, "first_stage": identity}
    weights = paper_file.with_name("flow.safetensors")
    write_weights(weights, network, "flow", configuration, {})
    codec = hfd("cpu", model="paper", first_stage=paper_file, weights=weights)
    stream = codec.encode(picture, 2)
    assert unpack(stream).payload == unpack(paper_mse.encode(picture, 2)).payload
    assert codec.decode(stream).shape == picture.shape
    assert codec.describe()["first_stage"]["architecture"] == "paper"


def test_weights_without_tables_are_refused() -> None:
    with pytest.raises(BenchmarkError, match="no tables"):
        PaperFirstStage(tiny_elic())


def test_one_training_step_of_the_full_size() -> None:
    """The loss is finite, and its gradient reaches all parameters but the quantiles, which have a loss of their own."""
    torch.manual_seed(0)
    model = Elic(PAPER)
    with torch.no_grad():
        model.log_gain.add_(4.0)  # at the very first step the hyper-latents are all zero
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4)
    x = torch.rand(1, 3, 64, 64) - 0.5
    x_hat, bpp = model(x, torch.tensor([6.5]))
    loss = bpp.mean() + 0.03 * 255**2 * (x_hat - x).square().mean()
    loss.backward()
    assert bool(torch.isfinite(loss))
    for name, parameter in model.named_parameters():
        if not name.endswith("quantiles"):
            assert parameter.grad is not None, name
            assert bool(torch.isfinite(parameter.grad).all()), name
            assert float(parameter.grad.abs().max()) > 0, name
    before = model.log_gain.detach().clone()
    optimiser.step()
    assert not torch.equal(before, model.log_gain)


def test_bfloat16_leaves_the_likelihoods_in_float32() -> None:
    model = tiny_elic()
    x = torch.rand(2, 3, 64, 64) - 0.5
    figures = []
    for enabled in (False, True):
        torch.manual_seed(0)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            x_hat, bpp = model(x, torch.tensor([1.0, 3.0]))
        assert (x_hat.dtype, bpp.dtype) == (torch.float32, torch.float32)
        figures.append(bpp)
    assert torch.allclose(*figures, rtol=0.02)


def test_sizes_of_a_first_stage() -> None:
    config = AutoencoderConfig(
        luma=40, chroma=10, widths=(8, 8, 8), hyper_channels=4, features=8, hidden=8, slice_ends=(0.1, 1.01)
    )
    for model in (Autoencoder(config), tiny_elic()):
        parts = first_stage_sizes(model)
        assert [name for name, _, _ in parts] == ["analysis", "synthesis", "entropy model"]
        whole = sum(p.numel() for p in model.parameters())
        gains = model.log_gain.numel()
        assert sum(count for _, count, _ in parts) == whole - gains
        assert all(kmac > 0 for _, _, kmac in parts)
