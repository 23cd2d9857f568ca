"""`sd-latent` with small random weights."""

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.diffusion_folders import autoencoder, unet, write_model, write_taesd, write_upscaler
from support.waves import waves

from benchmark.baselines.text_to_image import latent_coder
from benchmark.baselines.text_to_image.latent import MEMORY, Autoencoder, SdLatentCodec
from benchmark.baselines.text_to_image.latent_container import Container, pack, unpack
from benchmark.codecs import Codec, open_codec
from benchmark.errors import BenchmarkError, CorruptStream, UsageError
from benchmark.hfd import memory
from benchmark.running import single

diffusers = pytest.importorskip("diffusers")
pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def plain(folder: Path) -> SdLatentCodec:
    codec = open_codec(f"sd-latent:weights={folder}")
    assert isinstance(codec, SdLatentCodec)
    return codec


@pytest.fixture(scope="module")
def cleaning(folder: Path) -> SdLatentCodec:
    codec = open_codec(f"sd-latent:weights={folder},steps=4,strength=0.5,seed=300")
    assert isinstance(codec, SdLatentCodec)
    return codec


def test_they_are_codecs(plain: SdLatentCodec, cleaning: SdLatentCodec) -> None:
    assert isinstance(plain, Codec)
    assert (plain.stochastic, cleaning.stochastic) == (False, True)
    assert plain.describe()["autoencoder"]["class"] == "AutoencoderKL"
    assert plain.describe()["autoencoder"]["sha256"].startswith(plain.weights.hex())
    assert cleaning.describe()["cleaner"] | {"sha256": ""} == {
        "sha256": "", "sampler": "DDIMScheduler", "steps": 4, "strength": 0.5, "seed": 300,
    }  # fmt: skip


def test_the_finest_quality_is_what_the_autoencoder_gives(plain: SdLatentCodec, folder: Path) -> None:
    image = waves(48, 64)
    network = diffusers.AutoencoderKL.from_pretrained(folder / "vae").eval()
    x = torch.from_numpy(image).permute(2, 0, 1)[None] / 127.5 - 1
    with torch.no_grad():
        latents = network.encode(x).latent_dist.mode()
        assert float((latents * 0.18215).abs().max()) > 0.06  # so that some symbols are not zero
        ceiling = ((network.decode(latents).sample[0] + 1) * 127.5).clamp(0, 255).permute(1, 2, 0).numpy()
        step = 2.0**-4 / 0.18215
        rounded = network.decode(torch.floor(latents / step + 0.5) * step).sample[0]
    wanted = ((rounded + 1) * 127.5).clamp(0, 255).permute(1, 2, 0).numpy()
    data = plain.encode(image, 7)
    assert np.abs(plain.decode(data) - wanted).max() <= 0.5 + 1e-2
    assert np.abs(plain.decode(data) - ceiling).mean() < np.abs(plain.decode(plain.encode(image, 1)) - ceiling).mean()


def test_the_stream_is_the_container_and_the_coded_latents(plain: SdLatentCodec) -> None:
    image = waves(40, 56)
    latents = plain.autoencoder.encode(image)[0].numpy()
    assert latents.shape == (4, 10, 14)
    for quality, step in ((1, 4.0), (4.5, 2**-1.5), (7, 1 / 16)):
        payload = latent_coder.encode(np.floor(latents / step + 0.5).astype(np.int64))
        data = plain.encode(image, quality)
        assert unpack(data).payload == payload
        assert len(data) == len(payload) + 3 + 1 + 2 + 1 + 4 + 4
    assert single.codec_of(data) == "sd-latent"


def test_bits_rise_with_the_quality(plain: SdLatentCodec) -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    lengths = [len(plain.encode(image, quality)) for quality in plain.qualities]
    assert lengths == sorted(lengths)
    assert lengths[-1] > lengths[0] + 50


def test_cleaning_is_the_pipelines(cleaning: SdLatentCodec, plain: SdLatentCodec, folder: Path) -> None:
    image = waves(48, 64)
    data = cleaning.encode(image, 6)
    assert unpack(data).payload == unpack(plain.encode(image, 6)).payload
    pipeline = diffusers.StableDiffusionImg2ImgPipeline(
        vae=diffusers.AutoencoderKL.from_pretrained(folder / "vae"),
        text_encoder=None,
        tokenizer=None,
        unet=diffusers.UNet2DConditionModel.from_pretrained(folder / "unet"),
        scheduler=diffusers.DDIMScheduler.from_pretrained(folder / "scheduler"),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    symbols = latent_coder.decode(unpack(data).payload, 4, 12, 16)
    assert cleaning.cleaner is not None
    wanted = pipeline(
        image=torch.from_numpy(symbols).float()[None] / 8,
        prompt_embeds=cleaning.cleaner.prompt,
        guidance_scale=1.0,
        num_inference_steps=4,
        strength=0.5,
        generator=torch.Generator().manual_seed(300),
        output_type="np",
        return_dict=False,
    )[0][0]
    decoded = cleaning.decode(data)
    assert np.abs(decoded - 255 * wanted).max() <= 0.5 + 1e-2
    assert not np.array_equal(decoded, cleaning.x_hat(data))
    assert np.array_equal(cleaning.x_hat(data), plain.decode(plain.encode(image, 6)))
    assert np.array_equal(decoded, cleaning.decode(data, 300))
    assert not np.array_equal(decoded, cleaning.decode(data, 301))
    assert np.array_equal(replace(cleaning, steps=9, strength=20, seed=1).decode(data), decoded)  # the stream says them


@pytest.mark.parametrize("size", [(1, 1), (43, 63), (5, 70)])
def test_any_size(plain: SdLatentCodec, cleaning: SdLatentCodec, size: tuple[int, int]) -> None:
    for codec in (plain, cleaning):
        assert codec.decode(codec.encode(waves(*size), 5)).shape == (*size, 3)


def test_taesd(tmp_path: Path) -> None:
    codec: Any = open_codec(f"sd-latent:weights={write_taesd(tmp_path)}")
    image = waves(32, 48)
    assert codec.describe()["autoencoder"] | {"sha256": "", "tile": 0, "overlap": 0} == {
        "class": "AutoencoderTiny", "sha256": "", "channels": 4, "stride": 4, "tile": 0, "overlap": 0,
    }  # fmt: skip
    network = diffusers.AutoencoderTiny.from_pretrained(tmp_path).eval()
    with torch.no_grad():
        latents = network.encode(torch.from_numpy(image).permute(2, 0, 1)[None] / 127.5 - 1).latents
        wanted = network.decode(torch.floor(latents * 16 + 0.5) / 16).sample[0].permute(1, 2, 0).numpy()
    decoded = codec.decode(codec.encode(image, 7))
    assert np.abs(decoded - ((wanted + 1) * 127.5).clip(0, 255)).max() <= 0.5 + 1e-2


def test_tiles_are_close_to_the_whole(folder: Path) -> None:
    """The autoencoder looks at all of an image in its middle, so tiles are not it exactly."""
    image = waves(96, 160)
    whole, tiled = (Autoencoder(folder, torch.device("cpu"), pixels, pixels // 2) for pixels in (512, 64))
    latents, pieces = whole.encode(image), tiled.encode(image)
    assert latents.shape == pieces.shape == (1, 4, 24, 40)
    assert np.corrcoef(latents.flatten(), pieces.flatten())[0, 1] > 0.95
    one, other = whole.decode(latents, 96, 160), tiled.decode(latents, 96, 160)
    assert np.abs(one.astype(float) - other).mean() < 0.25 * one.std()


def test_threads_make_no_difference(plain: SdLatentCodec) -> None:
    image, before = waves(32, 32), torch.get_num_threads()
    data = plain.encode(image, 6)
    once = plain.decode(data)
    torch.set_num_threads(3)
    try:
        assert plain.encode(image, 6) == data
        assert np.array_equal(plain.decode(data), once)
    finally:
        torch.set_num_threads(before)


def test_forged_and_foreign_streams(plain: SdLatentCodec, cleaning: SdLatentCodec, tmp_path: Path) -> None:
    image = waves(24, 40)
    data, cleaned = plain.encode(image, 5), cleaning.encode(image, 5)

    def forged(stream: bytes, **changes: Any) -> bytes:
        return pack(replace(unpack(stream), **changes))

    for codec, stream, reason in (
        (plain, data[:-1], "CRC-32"),
        (plain, data[:14], "truncated"),
        (plain, b"XYZ" + data[3:], "does not begin with 'SDL'"),
        (plain, forged(data, weights=bytes(4)), f"made with weights 00000000, these are {plain.weights.hex()}"),
        (plain, forged(data, quality_steps=193), "a quality that no encoder has"),
        (plain, forged(data, payload=b""), "truncated"),
        (plain, forged(data, payload=data[20:22]), "truncated"),
        (plain, cleaned, "for `sd-latent:steps=4`"),
        (cleaning, data, "for `sd-latent:steps=0`"),
        (cleaning, forged(cleaned, strength=101), "strength 101 %"),
        (cleaning, forged(cleaned, strength=10), "claims 4 steps of strength 10 %"),
        (cleaning, forged(cleaned, steps=1001), "claims 1001 steps"),
        (cleaning, forged(cleaned, seed=2**14), "seed 16384"),
    ):
        with pytest.raises(CorruptStream, match=reason):
            codec.decode(stream)
    other = open_codec(f"sd-latent:weights={write_model(tmp_path, seed=1)}")
    with pytest.raises(CorruptStream, match="name the right ones"):
        other.decode(data)
    with pytest.raises(BenchmarkError, match="too large"):
        pack(Container(70000, 1, 0, bytes(4), b""))


def test_memory_is_refused_before_it_is_taken(plain: SdLatentCodec, monkeypatch: pytest.MonkeyPatch) -> None:
    data = plain.encode(waves(64, 64), 5)
    monkeypatch.setattr(memory, "available_bytes", lambda: MEMORY.of(64, 64) - 1)
    for act in (lambda: plain.decode(data), lambda: plain.encode(waves(64, 64), 5)):
        with pytest.raises(BenchmarkError, match="an image of 64x64 would take"):
            act()


@pytest.mark.parametrize("quality", [0.5, 7.5, float("nan")])
def test_qualities(plain: SdLatentCodec, quality: float) -> None:
    with pytest.raises(UsageError, match=r"out of range: 1 \(fewest bits\) to 7"):
        plain.encode(waves(8, 8), quality)


def test_weights_that_give_nonsense(tmp_path: Path) -> None:
    network = autoencoder(3)
    with torch.no_grad():
        network.encoder.conv_out.bias.fill_(1e9)
    network.save_pretrained(tmp_path)
    codec = open_codec(f"sd-latent:weights={tmp_path}")
    with pytest.raises(BenchmarkError, match="latents that are far too large: these weights are damaged"):
        codec.encode(waves(16, 16), 7)


def test_settings_and_folders(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for settings, reason in {
        "steps=-1": "steps",
        "strength=0": "strength",
        "strength=1.5": "strength",
        f"steps=4,strength=0.2,weights={folder}": "is less than one: name more of either",
        "steps=4,strength=0.5": "wants a model's folder",
        f"weights={tmp_path / 'none'}": "there is no such folder",
    }.items():
        with pytest.raises(UsageError, match=reason):
            open_codec(f"sd-latent:{settings}")
    with pytest.raises(BenchmarkError, match=r"no folder of these weights: it has no /?config.json"):
        open_codec(f"sd-latent:weights={tmp_path}")
    unet(4).save_pretrained(tmp_path / "vae")
    with pytest.raises(BenchmarkError, match="an autoencoder of class UNet2DConditionModel, not AutoencoderKL or"):
        open_codec(f"sd-latent:weights={tmp_path}")
    write_upscaler(tmp_path)
    with pytest.raises(BenchmarkError, match="is not of Stable Diffusion 1 or 2"):
        open_codec(f"sd-latent:weights={tmp_path},steps=9")
    shutil.copytree(folder / "vae", tmp_path / "alone")
    with pytest.raises(BenchmarkError, match=r"it has no unet/config\.json"):
        open_codec(f"sd-latent:weights={tmp_path / 'alone'},steps=9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UsageError, match="`hf download stabilityai/sd-vae-ft-mse` fetches them"):
        open_codec("sd-latent")
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(BenchmarkError, match=r"needs the package diffusers: pip install 'hfd-benchmark\[text-to-image"):
        open_codec(f"sd-latent:weights={folder}")
