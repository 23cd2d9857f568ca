import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage
from rich.console import Console
from support.weights_files import plain

from benchmark.baselines.classical import avif, jpeg
from benchmark.cli.train import export
from benchmark.codecs import open_codec
from benchmark.errors import BenchmarkError, CorruptStream, UsageError
from benchmark.hfd import codec as codec_module
from benchmark.hfd import embedding
from benchmark.hfd.bases import AutoencoderBase, ClassicalBase, open_classical
from benchmark.hfd.codec import HfdCodec, hfd
from benchmark.hfd.container import QUALITY_STEPS, Container, pack
from benchmark.hfd.decoders.flow import FlowNetwork, FlowRecipe
from benchmark.hfd.first_stage import load_first_stage
from benchmark.hfd.score import picture_to_tensor, tensor_to_picture
from benchmark.hfd.training.decoder import train_decoder
from benchmark.hfd.training.export import export_decoder
from benchmark.hfd.training.pairs import make_pairs, residual_deviation
from benchmark.hfd.unet import UNetConfig
from benchmark.hfd.weights import SHIPPED, read_weights, write_weights
from benchmark.running.single import decode_file
from benchmark.training.crops import open_pictures

CLASSICAL = {"jpeg": jpeg, "avif": avif}
QUIET = Console(quiet=True)
TINY_UNET = UNetConfig(channels=(8, 12), blocks_down=(1, 1), blocks_up=(1,), embedding=16)
bases = pytest.mark.parametrize("name", ["jpeg", "avif"])


def write_decoder(folder: Path, base: ClassicalBase, silent: bool = False) -> Path:
    """Weights of a small flow decoder on `base`; `silent`: its network says 0."""
    torch.manual_seed(0)
    network = FlowNetwork(TINY_UNET, base.levels, kappa=1.0)
    if not silent:
        torch.nn.init.normal_(network.unet.exit.weight, 0, 0.05)
    network.residual_deviation = torch.tensor([[0.08, 0.02, 0.02]]).repeat(base.levels, 1)
    configuration = {"unet": TINY_UNET.as_json(), "levels": base.levels, "kappa": 1.0, "steps": 2, **base.record()}
    path = folder / f"{base.name}{'-silent' if silent else ''}.safetensors"
    write_weights(path, network, "flow", configuration, {})
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("decoders")
    return {name: write_decoder(folder, open_classical(name)) for name in CLASSICAL}


@pytest.fixture(scope="module")
def codecs(files: dict[str, Path]) -> dict[str, HfdCodec]:
    return {name: hfd("cpu", base=name, weights=path) for name, path in files.items()}


@bases
def test_levels_and_qualities(name: str) -> None:
    """Each level is one of the table's qualities, each quality between has one level, and both go up together."""
    base = open_classical(name)
    assert [base.codec_quality(QUALITY_STEPS * n) for n in range(base.levels)] == list(base.qualities)
    all_steps = range((base.levels - 1) * QUALITY_STEPS + 1)
    qualities = [base.codec_quality(steps) for steps in all_steps]
    assert qualities == sorted(qualities)
    assert set(qualities) == set(range(base.qualities[0], base.qualities[-1] + 1))
    assert len({base.coded_steps(steps) for steps in all_steps}) == len(set(qualities))
    for steps, quality in zip(all_steps, qualities, strict=True):
        coded = base.coded_steps(steps)
        assert base.codec_quality(coded) == quality
        assert base.coded_steps(coded) == coded


@bases
def test_the_stream_is_the_file_of_the_classical_codec(
    name: str, codecs: dict[str, HfdCodec], picture: np.ndarray
) -> None:
    codec, base = codecs[name], open_classical(name)
    for level in (1, 1.25, 5):
        data = codec.encode(picture, level)
        header, file = embedding.extract(data, name)
        quality = base.codec_quality(round((level - 1) * QUALITY_STEPS))
        assert file == CLASSICAL[name]().encode(picture, quality)
        assert header.quality_steps == {1: 0, 1.25: 6, 5: 128}[level]  # 1.25 is rounded to JPEG's 6, AVIF's 12
        assert len(data) - len(file) <= 23
        with PillowImage.open(io.BytesIO(data)) as seen:
            assert np.array_equal(np.asarray(seen), CLASSICAL[name]().decode(file))


@bases
def test_without_noise_and_with_a_silent_network_the_sample_is_what_viewers_show(
    name: str, picture: np.ndarray, tmp_path: Path
) -> None:
    path = write_decoder(tmp_path, open_classical(name), silent=True)
    codec = hfd("cpu", base=name, weights=path, noise="0")
    data = codec.encode(picture, 3)
    with PillowImage.open(io.BytesIO(data)) as seen:
        assert np.array_equal(codec.decode(data), np.asarray(seen))


@bases
def test_decoder_seed(name: str, codecs: dict[str, HfdCodec], files: dict[str, Path], picture: np.ndarray) -> None:
    data = codecs[name].encode(picture, 2)
    first = codecs[name].decode(data)
    assert first.shape == picture.shape
    assert np.array_equal(first, codecs[name].decode(data, seed=0))
    assert not np.array_equal(first, codecs[name].decode(data, seed=1))
    other = hfd("cpu", base=name, weights=files[name], seed=300).encode(picture, 2)
    assert np.array_equal(codecs[name].decode(other), codecs[name].decode(data, seed=300))


@bases
def test_the_base_reconstructs_what_it_decodes(name: str, picture: np.ndarray) -> None:
    base = open_classical(name)
    header = embedding.Header("flow", 40, 0, b"1234")
    x_hat = base.reconstruct(picture_to_tensor(picture), 40)
    assert torch.equal(x_hat, base.decode(base.encode(picture, header)))
    assert base.unpack(base.encode(picture, header))[0] == header


@pytest.mark.parametrize("size", [(1, 1), (1, 3), (7, 2), (33, 65)])
@bases
def test_small_and_odd_sizes(name: str, size: tuple[int, int], codecs: dict[str, HfdCodec]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    assert codecs[name].decode(codecs[name].encode(image, 1)).shape == image.shape
    assert not hasattr(codecs[name], "estimate_bits")  # JPEG and AVIF estimate nothing, so nothing may be claimed


def test_streams_that_do_not_fit(codecs: dict[str, HfdCodec], picture: np.ndarray) -> None:
    codec = codecs["jpeg"]
    header, file = embedding.extract(codec.encode(picture, 2), "jpeg")
    with pytest.raises(CorruptStream, match="--codec jpeg decodes it"):
        codec.decode(file)
    with pytest.raises(CorruptStream, match="this is AVIF"):
        codec.decode(codecs["avif"].encode(picture, 2))
    with pytest.raises(CorruptStream, match="weights 00000000"):
        codec.decode(embedding.embed(file, replace(header, weights=bytes(4))))
    with pytest.raises(CorruptStream, match="--codec hfd:base=jpeg,decoder=diffusion"):
        codec.decode(embedding.embed(file, replace(header, decoder="diffusion")))
    with pytest.raises(CorruptStream, match="quality that its base does not have"):
        codec.decode(embedding.embed(file, replace(header, quality_steps=225)))
    with pytest.raises(CorruptStream, match="not one whole JPEG file"):
        codec.decode(embedding.embed(file[:-40], header))
    for quality in (0.9, 8.1, float("nan")):
        with pytest.raises(UsageError, match="quality"):
            codec.encode(picture, quality)


def test_the_autoencoder_names_a_file_that_is_not_its_own(
    first_stage_file: Path, flow_file: Path, codecs: dict[str, HfdCodec], picture: np.ndarray
) -> None:
    own = hfd("cpu", first_stage=first_stage_file, weights=flow_file)
    with pytest.raises(CorruptStream, match="--codec hfd:base=jpeg,decoder=flow"):
        own.decode(codecs["jpeg"].encode(picture, 2))
    with pytest.raises(CorruptStream, match="this is no HFD stream"):
        own.decode(jpeg().encode(picture, 20))


def test_the_container_of_the_autoencoder(first_stage_file: Path, flow_file: Path, picture: np.ndarray) -> None:
    own = hfd("cpu", first_stage=first_stage_file, weights=flow_file, seed=7)
    first_stage, _ = load_first_stage(first_stage_file)
    payload = first_stage.encode(picture_to_tensor(picture), 48)
    height, width = picture.shape[:2]
    assert own.encode(picture, 2.5) == pack(Container("flow", height, width, 48, 7, own.weights, payload))


def test_identity() -> None:
    base = open_classical("jpeg")
    elsewhere = replace(base, codec=replace(base.codec, libraries={"pillow": "99"}))
    assert elsewhere.identity == base.identity
    others = [
        open_classical("avif"),
        open_classical("avif:speed=8"),
        open_classical("jpeg:subsampling=4:4:4"),
        replace(base, qualities=(5, 10, 20, 30, 50, 70, 80, 90)),
    ]
    assert len({base.identity, *(other.identity for other in others)}) == 5
    assert open_classical("jpeg:subsampling=4:2:0").identity == base.identity


@pytest.mark.parametrize(
    ("settings", "weights", "words"),
    [
        ({"base": "avif"}, "jpeg", "trained on the base jpeg, not on the base avif; name it with hfd:base=jpeg"),
        ({"base": "jpeg:subsampling=4:4:4"}, "jpeg", "with settings subsampling: 4:2:0, not subsampling: 4:4:4"),
        ({"base": "webp"}, "jpeg", "no base is named 'webp'"),
        ({"base": "jpeg:speed=3"}, "jpeg", "no setting 'speed'"),
        ({"base": "jpeg", "first_stage": "x"}, "jpeg", "first_stage belongs to the autoencoder"),
        ({"base": "jpeg", "model": "small"}, "jpeg", "model belongs to the autoencoder"),
        ({}, "jpeg", "trained on the base jpeg, not on the first stage"),
        ({"base": "jpeg"}, "autoencoder", "trained on the first stage .*, not on the base jpeg$"),
    ],
)
def test_settings_that_do_not_fit(
    settings: dict[str, str], weights: str, words: str, files: dict[str, Path], first_stage_file: Path, flow_file: Path
) -> None:
    path = flow_file if weights == "autoencoder" else files[weights]
    given = {"weights": str(path), **settings}
    if "base" not in settings:
        given["first_stage"] = str(first_stage_file)
    with pytest.raises(UsageError, match=words):
        open_codec("hfd:" + ",".join(f'{key}="{value}"' for key, value in given.items()))


def test_a_decoder_of_another_table_is_refused(tmp_path: Path) -> None:
    path = write_decoder(tmp_path, replace(open_classical("jpeg"), qualities=(5, 10, 20, 30, 50, 70, 80, 90)))
    with pytest.raises(UsageError, match="with qualities 5, 10, 20, 30, 50, 70, 80, 90, not 5,"):
        hfd("cpu", base="jpeg", weights=path)


def test_shipped_weights_are_taken_once_they_are_there(
    tmp_path: Path,
    files: dict[str, Path],
    codecs: dict[str, HfdCodec],
    picture: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(codec_module, "SHIPPED", tmp_path)
    with pytest.raises(BenchmarkError, match=r"train flow FOLDER --base jpeg`"):
        hfd("cpu", base="jpeg", decoder="flow")
    with pytest.raises(BenchmarkError, match=r"train diffusion FOLDER --base avif`"):
        hfd("cpu", base="avif", decoder="diffusion")
    data = codecs["jpeg"].encode(picture, 2)
    (tmp_path / "x.jpg").write_bytes(data)
    with pytest.raises(BenchmarkError, match="train flow"):
        decode_file(tmp_path / "x.jpg", None, None, "cpu")
    (tmp_path / "flow-jpeg-small.safetensors").write_bytes(files["jpeg"].read_bytes())
    assert hfd("cpu", base="jpeg", decoder="flow").encode(picture, 2) == data
    assert np.array_equal(decode_file(tmp_path / "x.jpg", None, None, "cpu"), codecs["jpeg"].decode(data))
    (tmp_path / "x.jpg").write_bytes(data[:-9])
    with pytest.raises(CorruptStream, match=r"x\.jpg: the JPEG file was cut short"):
        decode_file(tmp_path / "x.jpg", None, None, "cpu")


def test_describe(codecs: dict[str, HfdCodec], first_stage_file: Path, flow_file: Path) -> None:
    described = codecs["avif"].describe()
    assert described["base"]["codec"] == "avif"
    assert described["base"]["settings"] == {"subsampling": "4:2:0", "speed": 6}
    assert "pillow" in described["base"]["libraries"]
    assert "first_stage" not in described
    own = hfd("cpu", first_stage=first_stage_file, weights=flow_file).describe()
    assert len(own["first_stage"]["sha256"]) == 64
    assert "base" not in own


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    generator = np.random.default_rng(0)
    for n in range(3):
        coarse = generator.integers(0, 256, (20, 24, 3), dtype=np.uint8)
        PillowImage.fromarray(coarse).resize((288, 272), PillowImage.Resampling.BICUBIC).save(folder / f"{n}.png")
    return folder


@bases
def test_pairs_are_what_the_classical_codec_decodes(name: str, pictures: Path, tmp_path: Path) -> None:
    """At the level that the decoder is told, in a store that another base does not share."""
    base = open_classical(name)
    store = open_pictures(pictures, tmp_path)
    pairs = make_pairs(base, store, tmp_path, 1, QUIET)
    assert len(pairs.qualities) == 3
    for n, quality in enumerate(pairs.qualities):
        x, x_hat = pairs.pair(n)
        steps = round((quality - 1) * QUALITY_STEPS)
        assert base.coded_steps(steps) == steps
        codec = CLASSICAL[name]()
        decoded = codec.decode(codec.encode(np.ascontiguousarray(x), base.codec_quality(steps)))
        assert np.abs(x_hat.astype(np.float32) + 0.5 - decoded / 255).max() < 1 / 1024
    make_pairs(open_classical(f"{name}:subsampling=4:4:4"), store, tmp_path, 1, QUIET)
    assert len(list(tmp_path.glob("pairs-*.json"))) == 2


def test_more_pairs_of_low_rates(pictures: Path, tmp_path: Path) -> None:
    """Places p among the qualities become p², in a store of their own."""
    base, store = open_classical("jpeg"), open_pictures(pictures, tmp_path)
    plain, low = (make_pairs(base, store, tmp_path, 2, QUIET, low=low) for low in (1.0, 2.0))
    assert len(list(tmp_path.glob("pairs-*.json"))) == 2
    for before, after in zip(plain.qualities, low.qualities, strict=True):
        expected = 1 + ((before - 1) / (base.levels - 1)) ** 2 * (base.levels - 1)
        assert after == pytest.approx(expected, abs=0.25)  # each is rounded to a quality of JPEG


def test_error_falls_with_the_level(pictures: Path, tmp_path: Path) -> None:
    deviation = residual_deviation(open_classical("jpeg"), open_pictures(pictures, tmp_path), tmp_path)
    assert deviation.shape == (8, 3)
    assert torch.all(deviation[1:, 0] < deviation[:-1, 0])


def test_from_pictures_to_a_codec(pictures: Path, tmp_path: Path) -> None:
    base = open_classical("jpeg")
    recipe = FlowRecipe(steps=3, decay=1, batch=2, crop=32, passes=1)
    trained = train_decoder(
        "flow", base, pictures, tmp_path / "flow", tmp_path / "cache", recipe, QUIET, unet=TINY_UNET
    )
    export_decoder(trained, tmp_path / "decoder.safetensors", steps=2)
    _, configuration, _ = read_weights(tmp_path / "decoder.safetensors", "flow")
    assert configuration["base"] == base.record()["base"]
    assert "first_stage" not in configuration
    codec = hfd("cpu", base="jpeg", weights=tmp_path / "decoder.safetensors")
    image = np.asarray(PillowImage.open(pictures / "0.png"))
    assert codec.decode(codec.encode(image, 2)).shape == image.shape
    other = open_classical("jpeg:subsampling=4:4:4")
    with pytest.raises(UsageError, match="something else"):
        train_decoder("flow", other, pictures, tmp_path / "flow", tmp_path / "cache", recipe, QUIET, unet=TINY_UNET)


def test_a_decoder_between_its_beginning_and_its_end(pictures: Path, tmp_path: Path) -> None:
    base, cache = open_classical("jpeg"), tmp_path / "cache"
    recipe = FlowRecipe(steps=3, decay=1, batch=2, crop=32, passes=1)
    first = train_decoder("flow", base, pictures, tmp_path / "first", cache, recipe, QUIET, unet=TINY_UNET)
    export_decoder(first, tmp_path / "begun.safetensors", 4)
    begun = tmp_path / "begun.safetensors"
    second = train_decoder(
        "flow", base, pictures, tmp_path / "second", cache, recipe, QUIET, 1, unet=TINY_UNET, start=begun
    )
    for share in (0.0, 0.5, 1.0):
        export(second, tmp_path / f"{share}.safetensors", begun=begun, share=share)
    none, half, whole = (plain(tmp_path / f"{share}.safetensors")[0] for share in (0.0, 0.5, 1.0))
    assert all(torch.equal(none[name], tensor) for name, tensor in plain(begun)[0].items())
    moved = [name for name in whole if not torch.equal(none[name], whole[name])]
    assert moved
    for name in moved:
        torch.testing.assert_close(half[name], (none[name] + whole[name]) / 2, rtol=2e-3, atol=1e-6)
    with pytest.raises(UsageError, match="--share needs --begun FILE"):
        export(second, tmp_path / "half.safetensors", share=0.5)
    with pytest.raises(BenchmarkError, match="another architecture"):
        export(second, tmp_path / "half.safetensors", begun=SHIPPED / "flow-small.safetensors", share=0.5)
    with pytest.raises(BenchmarkError, match="holds no flow decoder"):
        export(second, tmp_path / "half.safetensors", begun=SHIPPED / "diffusion-small.safetensors", share=0.5)


def test_reconstructions_of_the_autoencoder_are_the_first_stages(first_stage_file: Path, picture: np.ndarray) -> None:
    first_stage, identity = load_first_stage(first_stage_file)
    base = AutoencoderBase(first_stage, identity)
    x = picture_to_tensor(picture)
    data = base.encode(picture, embedding.Header("mse", 21, 0, b"1234"))
    assert base.coded_steps(21) == 21
    assert np.array_equal(tensor_to_picture(base.decode(data)), tensor_to_picture(base.reconstruct(x, 21)))
