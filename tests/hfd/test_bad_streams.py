"""`hfd` on its three bases: streams and weights of every kind give an image of the right size or one clear line."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as PillowImage
from safetensors.torch import save_file
from support.weights_files import plain

from benchmark.errors import BenchmarkError, CorruptStream
from benchmark.hfd import codec as codec_module
from benchmark.hfd import embedding, memory
from benchmark.hfd.bases import open_classical
from benchmark.hfd.codec import HfdCodec, MseCodec, hfd, mse
from benchmark.hfd.container import QUALITY_STEPS, Container, pack, unpack
from benchmark.hfd.decoders.flow import FlowNetwork
from benchmark.hfd.unet import UNetConfig
from benchmark.hfd.weights import FIRST_STAGE_FILE, SHIPPED, load_autoencoder, write_weights
from benchmark.running.single import decode_file

UNET = UNetConfig(channels=(8, 12), blocks_down=(1, 1), blocks_up=(1,), embedding=16)
BASES = ("autoencoder", "jpeg", "avif")
bases = pytest.mark.parametrize("base", BASES)
slow_fixture = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Flows with random weights on the shipped first stage, JPEG and AVIF, and one of each that says 0."""
    folder = tmp_path_factory.mktemp("flows")
    autoencoder, identity = load_autoencoder(SHIPPED / FIRST_STAGE_FILE)
    for base in BASES:
        there = {"first_stage": identity} if base == "autoencoder" else open_classical(base).record()
        levels = autoencoder.config.levels if base == "autoencoder" else open_classical(base).levels
        torch.manual_seed(0)
        network = FlowNetwork(UNET, levels, kappa=1.0)
        network.residual_deviation = torch.tensor([[0.08, 0.02, 0.02]]).repeat(levels, 1)
        configuration = {"unet": UNET.as_json(), "levels": levels, "kappa": 1.0, "steps": 2, **there}
        write_weights(folder / f"{base}-silent", network, "flow", configuration, {})
        torch.nn.init.normal_(network.unet.exit.weight, 0, 0.05)
        write_weights(folder / base, network, "flow", configuration, {})
    return folder


@pytest.fixture(scope="module")
def codecs(folder: Path, first_stage_file: Path, flow_file: Path) -> dict[str, HfdCodec]:
    own = hfd("cpu", decoder="flow", first_stage=first_stage_file, weights=flow_file)
    on = {base: hfd("cpu", decoder="flow", base=base, weights=folder / base) for base in BASES[1:]}
    return {"autoencoder": own, **on}


@pytest.fixture(scope="module")
def mean_decoders(folder: Path) -> dict[str, HfdCodec]:
    """Without noise and with a network that says 0 the sample is x̂ itself."""
    return {base: hfd("cpu", decoder="flow", base=base, weights=folder / f"{base}-silent", noise="0") for base in BASES}


@pytest.fixture(scope="module")
def shipped() -> MseCodec:
    return mse("cpu")


@pytest.fixture(scope="module")
def streams(codecs: dict[str, HfdCodec]) -> dict[str, bytes]:
    image = np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8)
    return {base: codec.encode(image, 2) for base, codec in codecs.items()}


def shown(data: bytes) -> np.ndarray:
    """What a viewer shows of a JPEG or AVIF file."""
    with PillowImage.open(io.BytesIO(data)) as picture:
        return np.asarray(picture)


@bases
@given(st.integers(1, 300), st.integers(1, 300), st.floats(0, 1), st.integers(0, 2**32 - 1))
@settings(max_examples=5, deadline=None, suppress_health_check=slow_fixture)
def test_any_size_and_quality(
    base: str, mean_decoders: dict[str, HfdCodec], shipped: MseCodec, height: int, width: int, quality: float, seed: int
) -> None:
    """The x̂ of the shipped first stage, of JPEG and of AVIF comes through padding, network and sampler as it is."""
    codec = mean_decoders[base]
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    data = codec.encode(image, 1 + quality * (codec.base.levels - 1))
    if base == "autoencoder":
        expected = shipped.decode(pack(replace(unpack(data), decoder="mse", weights=shipped.weights)))
    else:
        expected = shown(data)
    decoded = codec.decode(data)
    assert decoded.dtype == np.uint8
    assert np.array_equal(decoded, expected)


@bases
@given(st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=slow_fixture)
def test_damage_is_refused_in_one_line(
    base: str, codecs: dict[str, HfdCodec], streams: dict[str, bytes], data: st.DataObject
) -> None:
    whole = streams[base]
    at = data.draw(st.integers(0, len(whole) - 1))
    foreign = [b"", whole[at:] if at else b"", b"\x89PNG" + whole, streams[BASES[BASES.index(base) - 1]]]
    flipped = whole[:at] + bytes([whole[at] ^ 1 << data.draw(st.integers(0, 7))]) + whole[at + 1 :]
    for bad in (whole[:at], flipped, whole + b"\0", *foreign, data.draw(st.binary(max_size=60))):
        with pytest.raises(CorruptStream) as refusal:
            codecs[base].decode(bad)
        assert "\n" not in str(refusal.value)


Forge = Callable[[st.DataObject, bytes], bytes]


def forged_container(data: st.DataObject, whole: bytes) -> bytes:
    container = unpack(whole)
    payload = mutated(data, container.payload)
    side, any_byte = st.one_of(st.integers(1, 64), st.integers(1, 16384)), st.integers(0, 255)
    changes: dict[str, st.SearchStrategy[int]] = {"height": side, "width": side, "quality_steps": any_byte}
    chosen = data.draw(st.sets(st.sampled_from(sorted(changes)), max_size=2))
    return pack(replace(container, payload=payload, **{key: data.draw(changes[key]) for key in sorted(chosen)}))


def forged_file(base: str) -> Forge:
    def forge(data: st.DataObject, whole: bytes) -> bytes:
        header, file = embedding.extract(whole, base)
        start = 3 if base == "jpeg" else 12  # what tells the format
        changed = file[:start] + mutated(data, file[start:])
        return embedding.embed(changed, replace(header, quality_steps=data.draw(st.sampled_from([0, 32, 255]))))

    return forge


def picture_or_refusal(codec: HfdCodec, stream: bytes) -> np.ndarray | BenchmarkError:
    try:
        return codec.decode(stream)
    except BenchmarkError as refusal:
        return refusal


def mutated(data: st.DataObject, text: bytes) -> bytes:
    changed = bytearray(text)
    for _ in range(data.draw(st.integers(0, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    return bytes(changed[: data.draw(st.one_of(st.just(len(changed)), st.integers(0, len(changed))))])


@bases
@given(st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=slow_fixture)
def test_a_forged_stream_gives_a_picture_of_the_size_it_says_or_a_refusal(
    base: str, codecs: dict[str, HfdCodec], streams: dict[str, bytes], data: st.DataObject
) -> None:
    """With the checksum made to fit. 30 MB of memory: what would take more is refused before it is taken."""
    forge = forged_container if base == "autoencoder" else forged_file(base)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "available_bytes", lambda: 3 * 10**7)
        stream = forge(data, streams[base])
        decoded = picture_or_refusal(codecs[base], stream)
        if isinstance(decoded, BenchmarkError):
            assert "\n" not in str(decoded)
            assert isinstance(decoded, CorruptStream) or "would take about" in str(decoded)
            return
        if base == "autoencoder":
            assert decoded.shape == (unpack(stream).height, unpack(stream).width, 3)
        else:
            assert decoded.shape == shown(embedding.extract(stream, base)[1]).shape


@bases
def test_more_memory_than_there_is_is_refused_before_it_is_taken(
    base: str, codecs: dict[str, HfdCodec], streams: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_yet(*_: object, **__: object) -> None:
        raise AssertionError("decoded before it was refused")

    monkeypatch.setattr("benchmark.hfd.sampling.gaussian_noise", not_yet)
    monkeypatch.setattr("benchmark.baselines.classical.PillowCodec.decode", not_yet)
    monkeypatch.setattr(memory, "available_bytes", lambda: memory.SAMPLING.of(24, 40) - 1)
    with pytest.raises(BenchmarkError, match="an image of 40x24 would take about"):
        codecs[base].decode(streams[base])


@bases
def test_streams_of_other_weights_are_named(base: str, codecs: dict[str, HfdCodec], streams: dict[str, bytes]) -> None:
    codec = codecs[base]
    if base == "autoencoder":
        other = pack(replace(unpack(streams[base]), weights=b"\x01\x23\xab\xcd"))
    else:
        header, file = embedding.extract(streams[base], base)
        other = embedding.embed(file, replace(header, weights=b"\x01\x23\xab\xcd"))
    with pytest.raises(CorruptStream, match=f"weights 0123abcd, these are {codec.weights.hex()}"):
        codec.decode(other)
    assert codec.describe()["decoder"]["stream_weights"] == codec.weights.hex()  # so a run's manifest has it


@bases
def test_a_stream_whose_weights_are_not_there_is_refused_with_their_hash(
    base: str,
    codecs: dict[str, HfdCodec],
    streams: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(codec_module, "SHIPPED", tmp_path / "nowhere")
    path = tmp_path / "stream"
    path.write_bytes(streams[base])
    with pytest.raises(BenchmarkError, match=f"was made with weights {codecs[base].weights.hex()}, which are not here"):
        decode_file(path, None, None, "cpu")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["unet.enter.weight", "residual_deviation"])
def test_a_decoder_with_numbers_that_are_not_finite(folder: Path, tmp_path: Path, value: float, name: str) -> None:
    tensors, metadata = plain(folder / "jpeg")
    tensors[name].view(-1)[1] = value
    save_file(tensors, tmp_path / "w", metadata=metadata)
    with pytest.raises(BenchmarkError, match=f"w: {name} has values that are not finite"):
        hfd("cpu", decoder="flow", base="jpeg", weights=tmp_path / "w")


def test_a_decoder_of_another_shape(folder: Path, tmp_path: Path) -> None:
    tensors, metadata = plain(folder / "jpeg")
    configuration = json.loads(metadata["configuration"])
    configuration["unet"]["channels"] = [8, 16]
    save_file(tensors, tmp_path / "w", metadata={**metadata, "configuration": json.dumps(configuration)})
    with pytest.raises(BenchmarkError, match="w is of another architecture"):
        hfd("cpu", decoder="flow", base="jpeg", weights=tmp_path / "w")


def test_seed_and_quality_of_a_forged_header_reach_no_table(codecs: dict[str, HfdCodec]) -> None:
    codec = codecs["autoencoder"]
    highest = (codec.base.levels - 1) * QUALITY_STEPS
    for steps in (highest + 1, 255):
        with pytest.raises(CorruptStream, match="a quality that its first stage does not have"):
            codec.decode(pack(Container("flow", 16, 16, steps, 0, codec.weights, bytes(200))))
