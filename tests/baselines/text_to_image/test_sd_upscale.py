"""`sd-upscale` with small random weights: the pipeline of diffusers, asked for what it gives."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from safetensors.torch import save_file
from support.diffusion_folders import TOKENS, WIDTH, write_text_encoder, write_upscaler
from support.waves import waves

from benchmark.baselines.text_to_image import upscale as module
from benchmark.baselines.text_to_image.upscale import MEMORY, SdUpscaleCodec, Upscaler
from benchmark.baselines.upscale.container import pack, unpack
from benchmark.codecs import Codec, open_codec
from benchmark.errors import BenchmarkError, CorruptStream, UsageError
from benchmark.hfd import memory
from benchmark.running import single

diffusers = pytest.importorskip("diffusers")
pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_upscaler(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def codec(folder: Path) -> SdUpscaleCodec:
    codec = open_codec(f"sd-upscale:weights={folder},steps=2,seed=300,noise_level=10")
    assert isinstance(codec, SdUpscaleCodec)
    return codec


def test_it_is_a_codec(codec: SdUpscaleCodec) -> None:
    assert isinstance(codec, Codec)
    assert codec.stochastic
    described = codec.describe()["upscaler"]
    assert described["sha256"].startswith(codec.weights.hex())
    assert (described["steps"], described["noise_level"], described["seed"]) == (2, 10, 300)


@pytest.mark.parametrize("light", [0, 128])
def test_it_decodes_what_the_pipeline_gives(codec: SdUpscaleCodec, folder: Path, light: int) -> None:
    """A pipeline opened anew from the same folder, asked with the numbers of the stream and an image of Pillow's.

    One image is nowhere darker than grey: numbers from -1 on the pipeline would take for numbers from 0 on.
    """
    image = waves(64, 96) // 2 + np.uint8(light)
    data = codec.encode(image, 80)
    pipeline = diffusers.StableDiffusionUpscalePipeline(
        vae=diffusers.AutoencoderKL.from_pretrained(folder / "vae"),
        text_encoder=None,
        tokenizer=None,
        unet=diffusers.UNet2DConditionModel.from_pretrained(folder / "unet"),
        low_res_scheduler=diffusers.DDPMScheduler.from_pretrained(folder / "low_res_scheduler"),
        scheduler=diffusers.DDIMScheduler.from_pretrained(folder / "scheduler"),
    )
    pipeline.set_progress_bar_config(disable=True)
    wanted = pipeline(
        image=Pillow.fromarray(codec.small_copy(data)),
        prompt_embeds=codec.upscaler.prompt,
        guidance_scale=1.0,
        num_inference_steps=2,
        noise_level=10,
        generator=torch.Generator().manual_seed(300),
        output_type="np",
        return_dict=False,
    )[0][0]
    decoded = codec.decode(data)
    assert decoded.shape == image.shape
    assert decoded.std() > 10
    assert np.abs(decoded - 255 * wanted).max() <= 0.5 + 1e-2


def test_the_stream_holds_what_the_decoder_needs(codec: SdUpscaleCodec, folder: Path) -> None:
    data = codec.encode(waves(24, 40), 50)
    container = unpack(data)
    assert (container.steps, container.noise_level, container.seed) == (2, 10, 300)
    others = replace(codec, steps=7, noise_level=0, seed=1)
    assert np.array_equal(others.decode(data), codec.decode(data))
    assert np.array_equal(codec.decode(data, 300), codec.decode(data))
    assert not np.array_equal(codec.decode(data, 301), codec.decode(data))
    assert single.codec_of(data) == "sd-upscale"
    assert single.weights_of(data) == codec.weights.hex()


@pytest.mark.parametrize("size", [(1, 1), (43, 63), (5, 70)])
def test_any_size(codec: SdUpscaleCodec, size: tuple[int, int]) -> None:
    """The pipeline stretches what is no multiple of its grid; nothing is stretched here."""
    image = waves(*size)
    data = codec.encode(image, 60)
    assert codec.decode(data).shape == codec.x_hat(data).shape == image.shape


def test_what_is_cut_off_was_only_padding(codec: SdUpscaleCodec) -> None:
    copy = waves(6, 9)
    padded = np.pad(copy, ((0, 2), (0, 3), (0, 0)), mode="edge")
    whole = codec.upscaler.enlarge(padded, 1, 0, 5)
    assert np.array_equal(codec.upscaler.enlarge(copy, 1, 0, 5), whole[:24, :36])


def test_threads_make_no_difference(codec: SdUpscaleCodec) -> None:
    data, before = codec.encode(waves(32, 32), 50), torch.get_num_threads()
    once = codec.decode(data)
    torch.set_num_threads(3)
    try:
        assert np.array_equal(codec.decode(data), once)
    finally:
        torch.set_num_threads(before)


def test_tiles_cover_a_large_image_without_seams(folder: Path) -> None:
    """Networks of random weights look far, so tiles are not the whole; across their borders nothing jumps."""
    copy = waves(32, 80)
    tiled = Upscaler(folder, torch.device("cpu"), tile=32, overlap=16)
    image = tiled.enlarge(copy, 2, 0, 0).astype(float)
    assert image.shape == (128, 320, 3)
    steps = np.abs(np.diff(image, axis=1)).mean((0, 2))
    assert max(steps[at - 2 : at + 2].max() for at in (64, 96, 128, 160, 192, 224, 256)) < 1.5 * np.median(steps) + 1
    whole = Upscaler(folder, torch.device("cpu")).enlarge(copy, 2, 0, 0)
    assert np.corrcoef(image.ravel(), whole.ravel())[0, 1] > 0.9


def test_forged_and_foreign_streams(codec: SdUpscaleCodec, folder: Path, tmp_path: Path) -> None:
    data = codec.encode(waves(24, 40), 50)
    refusals = {
        data[:-1]: "CRC-32",
        pack(replace(unpack(data), weights=bytes(4))): f"made with weights 00000000, these are {codec.weights.hex()}",
        pack(replace(unpack(data), steps=0)): "claims 0 steps",
        pack(replace(unpack(data), steps=1001)): "claims 1001 steps",
        pack(replace(unpack(data), noise_level=351)): "noise level 351",
        pack(replace(unpack(data), seed=2**14)): "seed 16384",
        pack(replace(unpack(data), factor=2)): "claims a copy of factor 2; the model enlarges 4 times",
        pack(replace(unpack(data), height=30)): "has one of 10x8",
        pack(replace(unpack(data), upscaler="lanczos", weights=b"")): "for `upscale:by=lanczos`",
    }
    for stream, reason in refusals.items():
        with pytest.raises(CorruptStream, match=reason):
            codec.decode(stream)
    other = open_codec(f"sd-upscale:weights={write_upscaler(tmp_path, seed=1)}")
    with pytest.raises(CorruptStream, match="name the right ones"):
        other.decode(data)


def test_memory_is_refused_before_it_is_taken(codec: SdUpscaleCodec, monkeypatch: pytest.MonkeyPatch) -> None:
    data = codec.encode(waves(64, 64), 50)
    monkeypatch.setattr(memory, "available_bytes", lambda: MEMORY.of(64, 64) - 1)
    with pytest.raises(BenchmarkError, match="an image of 64x64 would take"):
        codec.decode(data)


def _without(part: str) -> object:
    return lambda folder: shutil.rmtree(folder / part)


def _changed(path: str, **changes: object) -> object:
    def change(folder: Path) -> None:
        record = json.loads((folder / path).read_text())
        (folder / path).write_text(json.dumps(record | changes))

    return change


WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_without("unet"), "no folder of these weights: it has no unet/config.json"),
        (_without("scheduler"), "it has no scheduler/scheduler_config.json"),
        (lambda folder: (folder / "vae" / WEIGHTS).unlink(), "has no .safetensors file"),
        (lambda folder: (folder / "vae" / WEIGHTS).write_bytes(b"\0" * 99), "no sound weights of AutoencoderKL"),
        (lambda folder: (folder / "vae" / "config.json").write_text("[]"), "no record"),
        (lambda folder: (folder / "vae" / "config.json").write_text("{"), "config.json"),
        (_changed("vae/config.json", latent_channels=8), "no sound weights of AutoencoderKL"),
        (lambda folder: (folder / "empty_prompt.safetensors").unlink(), "has neither empty_prompt.safetensors"),
        (
            lambda folder: save_file({"other": torch.zeros(1)}, folder / "empty_prompt.safetensors"),
            "no sound safetensors file with prompt_embeds",
        ),
        (
            lambda folder: save_file({"prompt_embeds": torch.zeros(2, WIDTH)}, folder / "empty_prompt.safetensors"),
            r"the empty prompt is \(2, 8\)",
        ),
        (
            lambda folder: save_file({"prompt_embeds": torch.zeros(1, 2, 9)}, folder / "empty_prompt.safetensors"),
            "its prompt is 9 wide, its network takes 8",
        ),
        (
            lambda folder: save_file(
                {"prompt_embeds": torch.full((1, 2, WIDTH), torch.nan)}, folder / "empty_prompt.safetensors"
            ),
            "not finite",
        ),
    ],
)
def test_folders_that_are_not_as_they_should_be(folder: Path, tmp_path: Path, change: object, reason: str) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    change(copy)  # type: ignore[operator]
    with pytest.raises(BenchmarkError, match=reason) as caught:
        open_codec(f"sd-upscale:weights={copy}")
    assert "\n" not in str(caught.value)


def test_the_empty_prompt_by_the_folders_own_text_encoder(folder: Path, tmp_path: Path) -> None:
    import transformers

    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / "empty_prompt.safetensors").unlink()
    write_text_encoder(copy)
    pipeline = diffusers.StableDiffusionUpscalePipeline(
        vae=diffusers.AutoencoderKL.from_pretrained(copy / "vae"),
        text_encoder=transformers.CLIPTextModel.from_pretrained(copy / "text_encoder"),
        tokenizer=transformers.CLIPTokenizer.from_pretrained(copy / "tokenizer"),
        unet=diffusers.UNet2DConditionModel.from_pretrained(copy / "unet"),
        low_res_scheduler=diffusers.DDPMScheduler.from_pretrained(copy / "low_res_scheduler"),
        scheduler=diffusers.DDIMScheduler.from_pretrained(copy / "scheduler"),
    )
    with torch.no_grad():
        wanted, _ = pipeline.encode_prompt("", "cpu", 1, False)
    found = module.empty_prompt(copy)
    assert found.shape == (1, TOKENS, WIDTH)
    torch.testing.assert_close(found, wanted)
    (copy / "text_encoder" / "config.json").write_text("{")
    with pytest.raises(BenchmarkError, match="its text encoder cannot be read"):
        module.empty_prompt(copy)


def test_a_newer_diffusers_does_not_change_the_identity(folder: Path, tmp_path: Path, codec: SdUpscaleCodec) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    _changed("vae/config.json", _diffusers_version="9.9")(copy)  # type: ignore[operator]
    assert Upscaler(copy, torch.device("cpu")).identity == codec.upscaler.identity
    _changed("scheduler/scheduler_config.json", beta_end=0.03)(copy)  # type: ignore[operator]
    assert Upscaler(copy, torch.device("cpu")).identity != codec.upscaler.identity


def test_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for settings, reason in {
        "steps=0": "steps",
        "noise_level=351": "noise_level",
        "seed=16384": "seed",
        "copy=webp": "copy is avif or jxl",
        f"weights={tmp_path / 'none'}": "there is no such folder",
    }.items():
        with pytest.raises(UsageError, match=reason):
            open_codec(f"sd-upscale:{settings}")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UsageError, match="`hf download stabilityai/stable-diffusion-x4-upscaler` fetches them"):
        open_codec("sd-upscale")


def test_the_hubs_own_download_is_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def download(repository: str, **keywords: object) -> str:
        asked.append((repository, keywords["local_files_only"]))
        return str(folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    assert isinstance(open_codec("sd-upscale"), SdUpscaleCodec)
    assert asked == [(module.REPOSITORY, True)]


def test_without_diffusers_one_line_says_what_to_do(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "diffusers", None)
    with pytest.raises(BenchmarkError, match=r"needs the package diffusers: pip install 'hfd-benchmark\[text-to-image"):
        open_codec(f"sd-upscale:weights={folder}")
