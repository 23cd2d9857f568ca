"""`msillm`: what the public code decodes, by a bitstream of ours."""

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from compressai.entropy_models import EntropyBottleneck
from hypothesis import given, settings
from hypothesis import strategies as st
from support.hific_checkpoints import example_picture
from support.msillm_checkpoints import SMALL, checkpoint

from benchmark.baselines.hific.codec import MEMORY
from benchmark.baselines.msillm import codec as module
from benchmark.baselines.msillm.codec import MsillmCodec, msillm
from benchmark.baselines.msillm.container import OVERHEAD, pack, unpack
from benchmark.baselines.msillm.network import latent_size, shifted
from benchmark.baselines.msillm.weights import TARGETS, fetch, file_name, kept_folder, load, read_checkpoint
from benchmark.codecs import Codec, open_codec
from benchmark.errors import BenchmarkError, CorruptStream, UsageError
from benchmark.fetching import FETCHABLE
from benchmark.hfd import memory
from benchmark.running.single import codec_of

NAME = "msillm_target_0.14bpp.ckpt"

PUBLIC = {
    (83, 70): (
        273.68536376953125,
        [155.867, 170.523, 132.388, 164.267, 137.092, 70.522, 228.987, 200.638, 107.431, 214.375, 233.834, 175.133],
        165.69870313020252,
    ),
    (128, 192): (
        422.28125,
        [159.61, 172.915, 132.472, 165.288, 139.422, 73.229, 228.902, 200.59, 107.44, 208.237, 237.026, 186.375],
        165.72292295449168,
    ),
}
"""Height and width of `example_picture` -> estimated bytes, samples of the decoded image (every 20th row, 17th column)
times 255, and the mean of all. Computed by NeuralCompression's HiFiCAutoencoder at commit 3f12280 with CompressAI
1.2.8: `compress`, `decompress` and `forward` with the numbers of `checkpoint()`, its widths set to those of SMALL."""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / NAME
    torch.save(checkpoint(), path)
    return path


@pytest.fixture(scope="module")
def codec(file: Path) -> MsillmCodec:
    return msillm("cpu", weights=file)


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCHMARK_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.mark.parametrize("size", PUBLIC)
def test_it_decodes_what_the_public_code_decodes(codec: MsillmCodec, size: tuple[int, int]) -> None:
    estimate, samples, mean = PUBLIC[size]
    data, bits = codec.encode_with_estimate(example_picture(*size), 3)
    decoded = codec.decode(data)
    assert decoded.shape == (*size, 3)
    assert bits / 8 == pytest.approx(estimate, rel=1e-5)
    assert np.abs(decoded[::20, ::17].reshape(-1)[:12] - np.array(samples)).max() <= 0.5 + 1e-2
    assert decoded.mean() == pytest.approx(mean, abs=0.02)
    assert abs(len(data) - OVERHEAD - bits / 8) <= 0.01 * bits / 8 + 16


def test_it_is_a_codec(codec: MsillmCodec) -> None:
    assert isinstance(codec, Codec)
    assert codec.qualities == (3.0,)
    described = codec.describe()
    assert described["qualities"]["3"]["file"] == NAME
    assert len(described["qualities"]["3"]["sha256"]) == 64
    assert codec_of(codec.encode(example_picture(20, 30), 3)) == "msillm"


def test_the_density_is_compressais(file: Path) -> None:
    model, _ = load(file)
    theirs = EntropyBottleneck(SMALL.hyper)
    state = theirs.state_dict()
    for name, tensor in checkpoint().items():
        for old, new in (("_matrix", "matrices."), ("_bias", "biases."), ("_factor", "factors."), ("quant", "quant")):
            if name.startswith(f"hyper_bottleneck.{old}"):
                state[name.removeprefix("hyper_bottleneck.").replace(old, new)] = tensor
    torch.nn.Module.load_state_dict(theirs, state)
    z = 3 * torch.randn(1, SMALL.hyper, 5, 6, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        z_hat, likelihood = theirs(z, training=False)
        symbols = torch.floor(z - model.medians + 0.5)
        torch.testing.assert_close(symbols + model.medians, z_hat, rtol=0, atol=1e-5)
        ours = shifted(model.density, model.medians)(symbols)
    torch.testing.assert_close(ours, likelihood, rtol=1e-3, atol=1e-6)


def test_newer_names_of_the_density_are_the_same_weights(file: Path, tmp_path: Path) -> None:
    newer = {
        name.replace("_matrix", "matrices.").replace("_bias", "biases.").replace("_factor", "factors."): tensor
        for name, tensor in checkpoint().items()
    }
    assert newer.keys() != checkpoint().keys()
    torch.save(newer, tmp_path / NAME)
    assert read_checkpoint(tmp_path / NAME).identity == read_checkpoint(file).identity
    assert read_checkpoint(file).config == SMALL


@given(st.integers(1, 70), st.integers(1, 70), st.integers(0, 2**32 - 1))
@settings(max_examples=6, deadline=None)
def test_any_size(codec: MsillmCodec, height: int, width: int, seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    assert codec.decode(codec.encode(image, 3)).shape == image.shape
    assert latent_size(height, width) == (4 * -(-height // 64), 4 * -(-width // 64))


def test_threads_make_no_difference(codec: MsillmCodec) -> None:
    image, before = example_picture(70, 64), torch.get_num_threads()
    data = codec.encode(image, 3)
    once = codec.decode(data)
    torch.set_num_threads(3)
    try:
        assert codec.encode(image, 3) == data
        assert np.array_equal(codec.decode(data), once)
    finally:
        torch.set_num_threads(before)


def test_qualities_are_those_of_the_files(tmp_path: Path) -> None:
    for name in ("msillm_target_0.00218bpp.ckpt", "msillm_target_0.9bpp.ckpt", "noganms_target_0.3bpp.ckpt"):
        torch.save(checkpoint(), tmp_path / name)
    with_gan, without = (open_codec(f"msillm:weights={tmp_path},model={model}") for model in ("msillm", "noganms"))
    assert with_gan.qualities == (0.1, 6.0)
    assert without.qualities == (4.0,)
    image = example_picture(20, 20)
    data = with_gan.encode(image, 0.1)
    assert (unpack(data).model, unpack(data).quality) == ("msillm", 0.1)
    with pytest.raises(
        BenchmarkError, match=r"the stream is for msillm_target_0.00218bpp.ckpt, whose weights are not here"
    ):
        without.decode(data)
    with pytest.raises(UsageError, match=r"weights of quality 3 are not here, only those of 0.1, 6; download"):
        with_gan.encode(image, 3)


def test_forged_and_foreign_streams(codec: MsillmCodec, monkeypatch: pytest.MonkeyPatch) -> None:
    data = codec.encode(example_picture(20, 30), 3)
    for stream, reason in {
        data[:-1]: "CRC-32",
        data[: OVERHEAD - 1]: "truncated",
        b"XYZ" + data[3:]: "does not begin with 'MSI'",
        data[:3] + b"\x22" + data[4:]: "version 2",
        pack(replace(unpack(data), weights=bytes(4))): "made with weights 00000000",
    }.items():
        with pytest.raises(CorruptStream, match=reason):
            codec.decode(stream)
    with pytest.raises(CorruptStream, match="has at least"):
        codec.decode(pack(replace(unpack(data), height=2000, width=3000)))
    monkeypatch.setattr(module, "machine_fingerprint", lambda: b"\1\2\3\4")
    with pytest.raises(BenchmarkError, match="another kind of machine"):
        codec.decode(data)


def test_memory_is_refused_before_it_is_taken(codec: MsillmCodec, monkeypatch: pytest.MonkeyPatch) -> None:
    data = codec.encode(example_picture(20, 30), 3)
    monkeypatch.setattr(memory, "available_bytes", lambda: MEMORY.of(64, 64) - 1)
    for act in (lambda: codec.decode(data), lambda: codec.encode(example_picture(20, 30), 3)):
        with pytest.raises(BenchmarkError, match="an image of 64x64 would take"):
            act()


def _without(name: str) -> dict[str, Any]:
    found: dict[str, Any] = checkpoint()
    del found[name]
    return found


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"model": checkpoint()}, "which is a dictionary of tensors"),
        ([1, 2], "which is a dictionary of tensors"),
        ({}, "of another architecture"),
        (_without("encoder.blocks.2.0.weight"), "has no sound .*encoder.blocks.2.0.weight"),
        (_without("decoder.block_0.1.bias"), "has no decoder.block_0.1.bias"),
        (_without("hyper_bottleneck.quantiles"), "has no medians"),
        (checkpoint() | {"extra.weight": torch.zeros(1)}, "it has extra.weight"),
        (checkpoint() | {"decoder.block_0.1.bias": torch.full((14,), torch.nan)}, "not finite"),
        (checkpoint() | {"decoder.block_0.1.bias": torch.zeros(3)}, r"decoder.block_0.1.bias is \(3,\), not \(14,\)"),
    ],
)
def test_files_that_are_no_such_model(tmp_path: Path, content: object, reason: str) -> None:
    torch.save(content, tmp_path / NAME)
    with pytest.raises(BenchmarkError, match=reason) as caught:
        msillm("cpu", weights=tmp_path / NAME).encode(example_picture(8, 8), 3)
    assert "\n" not in str(caught.value)


def test_nothing_in_a_file_is_executed(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "executed",)

    (tmp_path / NAME).write_bytes(pickle.dumps(Evil(), protocol=2))
    with pytest.raises(BenchmarkError):
        read_checkpoint(tmp_path / NAME)
    torch.save(Evil(), tmp_path / NAME)
    with pytest.raises(BenchmarkError, match="could run code"):
        read_checkpoint(tmp_path / NAME)
    assert not (tmp_path / "executed").exists()


def test_fetch_keeps_what_is_sound(file: Path, tmp_path: Path) -> None:
    assert FETCHABLE.load("msillm") is fetch
    with pytest.raises(UsageError, match=r"are not downloaded by this command: download a model from https://dl\."):
        fetch()
    assert fetch(file) == kept_folder() / NAME
    assert open_codec("msillm").qualities == (3.0,)
    assert fetch(file.parent) == kept_folder()
    with pytest.raises(BenchmarkError, match="no checkpoint of MS-ILLM in this folder"):
        fetch(tmp_path)
    (tmp_path / "other.ckpt").write_bytes(file.read_bytes())
    with pytest.raises(UsageError, match="its name does not say which model it is"):
        fetch(tmp_path / "other.ckpt")
    (tmp_path / file_name("noganms", 1.0)).write_bytes(b"no")
    with pytest.raises(BenchmarkError, match=r"not a sound torch checkpoint|no torch checkpoint"):
        fetch(tmp_path)
    assert [path.name for path in kept_folder().iterdir()] == [NAME]


def test_settings(file: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.pt").write_bytes(file.read_bytes())
    assert open_codec(f"msillm:weights={tmp_path / 'mine.pt'},quality=0.2,model=noganms").qualities == (0.2,)
    for spec, reason in {
        "msillm": "msillm has no weights of msillm here: download a model",
        f"msillm:weights={tmp_path}": "msillm has no weights of msillm at",
        f"msillm:weights={tmp_path / 'mine.pt'}": "does not say its quality: add quality=",
        f"msillm:weights={tmp_path / 'mine.pt'},quality=7": "quality=7 is none of",
        f"msillm:weights={file},quality=2": "is model=msillm,quality=3 by its name",
        f"msillm:weights={file},model=noganms": "is model=msillm,quality=3 by its name",
        "msillm:quality=3": "quality belongs to weights=FILE",
        "msillm:model=hific": "model is msillm or noganms",
    }.items():
        with pytest.raises(UsageError, match=reason):
            open_codec(spec)
    assert len(TARGETS) == 8
