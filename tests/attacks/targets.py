"""What is attacked: the readers of our containers, and every codec's decoder, with small networks of random weights.

A target's seeds are real streams, made by its own encoder on small images. Streams of `hific` and `compressai` name the
kind of machine, so they cannot be kept in files.
"""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from attacks.formats import FORMATS
from attacks.mutation import Format
from attacks.target import NAMES, Target, open_target, target
from support.hific_checkpoints import checkpoint
from support.msillm_checkpoints import checkpoint as msillm_checkpoint
from support.ncnn_files import write_esrgan
from support.tiny_networks import TINY, TINY_UNET

from benchmark.baselines import zoo
from benchmark.baselines.hific import container as hific_container
from benchmark.baselines.hific_small.network import KIND, Generator, GeneratorConfig
from benchmark.baselines.msillm import container as msillm_container
from benchmark.baselines.text_to_image import latent_coder, latent_container
from benchmark.baselines.upscale import container as small_copies
from benchmark.codecs import Image, open_codec
from benchmark.hfd import container, embedding
from benchmark.hfd.autoencoder import Autoencoder
from benchmark.hfd.bases import CLASSICAL_QUALITIES, open_classical
from benchmark.hfd.decoders import KINDS
from benchmark.hfd.elic import Elic, ElicConfig
from benchmark.hfd.weights import load_autoencoder, write_weights
from benchmark.running.single import codec_of, weights_of

SIZES = ((24, 40), (17, 33), (64, 48), (1, 1), (16, 64))
"""Of the seeds, height and width."""


def image_of(height: int, width: int, seed: int = 0) -> Image:
    """A smooth image with some noise, the same for the same arguments."""
    rows, columns = np.mgrid[0:height, 0:width]
    waves = np.stack([np.sin(rows / 9), np.cos(columns / 7), np.sin((rows + columns) / 13)], -1)
    noise = np.random.default_rng(seed).normal(0, 8, (height, width, 3))
    return (127 + 90 * waves + noise).clip(0, 255).astype(np.uint8)


def streams_of(codec: Any, qualities: tuple[float, ...] | None = None) -> tuple[bytes, ...]:
    """A stream of each of SIZES, at the codec's qualities in turn."""
    chosen = codec.qualities if qualities is None else qualities
    return tuple(codec.encode(image_of(*size), chosen[place % len(chosen)]) for place, size in enumerate(SIZES))


# Readers of our containers: what they take, their writers write, byte for byte.

PAYLOADS = (b"", bytes(5), bytes(range(200)), b"\xff" * 130)


def _written_again(pack: Callable[[Any], bytes]) -> Callable[[bytes, Any], str | None]:
    return lambda data, read: None if pack(read) == data else "its writer writes other bytes for what was read"


@target("reader-hfd")
def _reader_hfd(name: str, folder: Path) -> Target:
    made = [
        container.Container(decoder, height, width, steps, seed, b"abcd", payload)
        for (decoder, steps, seed), (height, width), payload in zip(
            (("mse", 0, 0), ("flow", 64, 1), ("diffusion", 33, 200), ("one-step", 224, 16383)),
            ((1, 1), (512, 768), (127, 128), (16384, 16383)),
            PAYLOADS,
            strict=True,
        )
    ]
    seeds = tuple(map(container.pack, made))
    return Target(name, seeds, FORMATS["hfd"], container.unpack, None, _written_again(container.pack))


@target("reader-hific")
def _reader_hific(name: str, folder: Path) -> Target:
    made = [
        hific_container.Container(variant, height, width, b"abcd", b"\0\1\2\3", payload)
        for variant, height, width, payload in (
            ("low", 1, 1, PAYLOADS[0]),
            ("med", 512, 768, PAYLOADS[2]),
            ("high", 255, 256, PAYLOADS[3]),
        )
    ]
    seeds = tuple(map(hific_container.pack, made))
    return Target(name, seeds, FORMATS["hific"], hific_container.unpack, None, _written_again(hific_container.pack))


@target("reader-msillm")
def _reader_msillm(name: str, folder: Path) -> Target:
    made = [
        msillm_container.Container(model, quality, height, width, b"abcd", b"\0\1\2\3", payload)
        for model, quality, height, width, payload in (
            ("msillm", 0.1, 1, 1, PAYLOADS[0]),
            ("noganms", 6.0, 512, 768, PAYLOADS[2]),
            ("msillm", 3.0, 255, 256, PAYLOADS[3]),
        )
    ]
    seeds = tuple(map(msillm_container.pack, made))
    return Target(name, seeds, FORMATS["msillm"], msillm_container.unpack, None, _written_again(msillm_container.pack))


@target("reader-small-copy")
def _reader_small_copy(name: str, folder: Path) -> Target:
    made = [
        small_copies.Container("lanczos", "avif", 4, 1, 1, PAYLOADS[1]),
        small_copies.Container("lanczos", "jxl", 8, 512, 768, PAYLOADS[2]),
        small_copies.Container("realesrgan", "avif", 2, 127, 128, PAYLOADS[3], b"abcd"),
        small_copies.Container("stable-diffusion", "avif", 4, 16384, 16383, PAYLOADS[2], b"abcd", 1000, 350, 16383),
        small_copies.Container("stable-diffusion", "jxl", 4, 33, 200, PAYLOADS[2], b"abcd", 1, 0, 0),
    ]
    seeds = tuple(map(small_copies.pack, made))
    return Target(name, seeds, FORMATS["small-copy"], small_copies.unpack, None, _written_again(small_copies.pack))


@target("reader-sd-latent")
def _reader_sd_latent(name: str, folder: Path) -> Target:
    made = [
        latent_container.Container(1, 1, 0, b"abcd", PAYLOADS[1]),
        latent_container.Container(512, 768, 192, b"abcd", PAYLOADS[2]),
        latent_container.Container(127, 128, 33, b"abcd", PAYLOADS[3], 50, 20, 300),
    ]
    seeds = tuple(map(latent_container.pack, made))
    pack = latent_container.pack
    return Target(name, seeds, FORMATS["sd-latent"], latent_container.unpack, None, _written_again(pack))


@target("reader-latents")
def _reader_latents(name: str, folder: Path) -> Target:
    """The entropy coder of `sd-latent`, of 4 channels of 6 by 10."""
    random = np.random.default_rng(0)
    symbols = [np.rint(random.normal(3, scale, (4, 6, 10))).astype(np.int64) for scale in (0.1, 1, 20, 2000)]

    def check(data: bytes, read: Any) -> str | None:
        return None if read.shape == (4, 6, 10) else f"latents of shape {read.shape}"

    seeds = tuple(map(latent_coder.encode, symbols))
    return Target(name, seeds, FORMATS["latents"], lambda data: latent_coder.decode(data, 4, 6, 10), None, check)


@target("reader-compressai")
def _reader_zoo(name: str, folder: Path) -> Target:
    codec = open_codec(f"compressai:model=bmshj2018-hyperprior,weights={folder / 'never-opened.pth'}")
    assert isinstance(codec, zoo.ZooCodec)
    seeds = []
    for height, width, first, second in ((1, 1, b"", b""), (512, 768, *PAYLOADS[2:]), (77, 300, b"abcdefgh", b"12")):
        head = zoo.HEADER.pack(b"CAI", 18, 1, height, width, b"abcd", zoo.machine_kind(codec.device))
        body = head + struct.pack(">I", len(first)) + first + second
        seeds.append(FORMATS["zoo"].resealed(body + bytes(4)))
    return Target(name, tuple(seeds), FORMATS["zoo"], codec._unpacked)


def _embedded(name: str, folder: Path) -> Target:
    base = name.rpartition("-")[2]
    codec = open_classical(base).codec
    seeds = []
    for place, ((height, width), kind) in enumerate(zip(SIZES, (*KINDS, *KINDS), strict=False)):
        header = embedding.Header(kind, 32 * place, (0, 1, 300, 0, 16383)[place], b"abcd")
        quality = CLASSICAL_QUALITIES[base][2 * (place % 3)]
        seeds.append(embedding.embed(codec.encode(image_of(height, width), quality), header))

    def read(data: bytes) -> tuple[embedding.Header, bytes]:
        return embedding.extract(data, base)

    def check(data: bytes, found: tuple[embedding.Header, bytes]) -> str | None:
        again = embedding.extract(embedding.embed(found[1], found[0]), base)
        return None if again == found and len(data) > len(found[1]) else "another header when it is embedded again"

    return Target(name, tuple(seeds), FORMATS[f"hfd-{base}"], read, None, check)


target("reader-hfd-jpeg", "reader-hfd-avif")(_embedded)


@target("reader-signatures")
def _signatures(name: str, folder: Path) -> Target:
    """Which codec a file is for, and with which weights: asked of streams of all kinds."""
    ours = [open_target(f"reader-{which}", folder).seeds[0] for which in ("hfd", "hific", "hfd-jpeg", "hfd-avif")]
    others = [open_codec(codec).encode(image_of(24, 40), 50) for codec in ("jpeg", "webp", "avif", "jxl")]

    def read(data: bytes) -> tuple[str | None, str | None]:
        return codec_of(data), weights_of(data)

    def check(data: bytes, found: tuple[str | None, str | None]) -> str | None:
        return None if found[1] is None or (found[0] or "").startswith(("mse", "hfd", KIND)) else f"{found}"

    plain = Format(lambda data: [*FORMATS["hfd"].split(ours[0])] if data == ours[0] else FORMATS["jxl"].split(data))
    return Target(name, (*ours, *others), plain, read, None, check)


# Classical formats.


def _classical(name: str, folder: Path) -> Target:
    codec: Any = open_codec(name)
    inner = codec.codec if hasattr(codec, "codec") else codec
    form = FORMATS[inner.format.lower()]
    qualities = None if inner is codec else codec.qualities[1:3]
    return Target(name, streams_of(codec, qualities), form, codec.decode, inner.size)


CLASSICAL = ("jpeg", "webp", "avif", "jxl", "jpeg2000")
AROUND = ("bpp:jpeg", "match:webp~jpeg")
target(*CLASSICAL, *AROUND)(_classical)


@target("header-jpeg", "header-webp", "header-avif", "header-jxl", "header-jpeg2000")
def _header(name: str, folder: Path) -> Target:
    """What can be said of a file before its pixels are decoded."""
    whole = _classical(name.partition("-")[2], folder)
    assert whole.size is not None
    return Target(name, whole.seeds, whole.format, whole.size)


@target("command")
def _command(name: str, folder: Path) -> Target:
    """A program that copies: the image file that a foreign decoder writes is under attack."""
    copy = "cp {in} {out}"
    codec = open_codec(f'command:enc="sh -c \'{copy} #{{q}}\'",dec="{copy}",suffix=.png,qualities="1"')

    def size(data: bytes) -> tuple[int, int]:
        width, height = struct.unpack(">II", data[16:24])
        return height, width

    return Target(name, streams_of(codec), FORMATS["png"], codec.decode, size)


# Learned codecs.


def _kept(path: Path, write: Callable[[Path], None]) -> Path:
    if not path.is_file():
        write(path)
    return path


def _first_stage(folder: Path) -> Path:
    def write(path: Path) -> None:
        torch.manual_seed(0)
        model = Autoencoder(TINY)
        model.initialise_scales(torch.rand(4, 3, 64, 64) - 0.5)
        with torch.no_grad():
            model.synthesis.refine[3].weight.normal_(0, 0.01)
            model.analysis.head[2].weight.normal_(0, 0.01)
        model.entropy.update()
        write_weights(path, model, "first stage", TINY.as_json(), {})

    return _kept(folder / "first-stage.safetensors", write)


def _decoder(folder: Path, kind: str, base: str) -> Path:
    def write(path: Path) -> None:
        if base == "autoencoder":
            levels, there = TINY.levels, {"first_stage": load_autoencoder(_first_stage(folder))[1]}
        else:
            levels, there = open_classical(base).levels, open_classical(base).record()
        settings = {"kappa": 1.0, "steps": 2, "noise": 0.5, "shift": 1.0, "realism": 0.7}
        configuration = {"unet": TINY_UNET.as_json(), "levels": levels, **settings, **there}
        torch.manual_seed(0)
        network = KINDS[kind].load().network(TINY_UNET, levels, configuration)
        torch.nn.init.normal_(network.unet.exit.weight, 0, 0.05)
        network.residual_deviation = torch.tensor([[0.08, 0.02, 0.02]]).repeat(levels, 1)
        write_weights(path, network, kind, configuration, {})

    return _kept(folder / f"{kind}-{base}.safetensors", write)


def size_in_hfd(data: bytes) -> tuple[int, int]:
    """(height, width) as an HFD container states them."""
    fields = {field.name: field.value for field in FORMATS["hfd"].split(data)}
    height, width = (
        sum((byte & 127) << 7 * place for place, byte in enumerate(fields[side])) for side in ("height", "width")
    )
    return height, width


@target("mse")
def _mse(name: str, folder: Path) -> Target:
    codec = open_codec(f"mse:first_stage={_first_stage(folder)}")
    return Target(name, streams_of(codec), FORMATS["hfd"], codec.decode, size_in_hfd)


@target("mse-paper")
def _mse_paper(name: str, folder: Path) -> Target:
    def write(path: Path) -> None:
        torch.manual_seed(0)
        config = ElicConfig(channels=8, groups=(2, 4, 6), levels=3)
        model = Elic(config)
        with torch.no_grad():
            model.log_gain.add_(3.0)
        model.update()
        write_weights(path, model, "first stage", config.as_json(), {})

    codec = open_codec(f"mse:model=paper,first_stage={_kept(folder / 'paper.safetensors', write)}")
    return Target(name, streams_of(codec), FORMATS["hfd"], codec.decode, size_in_hfd)


def _hfd(name: str, folder: Path) -> Target:
    kind, _, base = name.removeprefix("hfd-").partition("+")
    if not base:
        path = _decoder(folder, kind, "autoencoder")
        codec: Any = open_codec(f"hfd:decoder={kind},first_stage={_first_stage(folder)},weights={path}")
        return Target(name, streams_of(codec), FORMATS["hfd"], codec.decode, size_in_hfd)
    codec = open_codec(f"hfd:decoder={kind},base={base},weights={_decoder(folder, kind, base)}")

    def size(data: bytes) -> tuple[int, int]:
        return codec.base.codec.size(embedding.extract(data, base)[1])

    return Target(name, streams_of(codec), FORMATS[f"hfd-{base}"], codec.decode, size)


HFD = tuple(f"hfd-{kind}" for kind in KINDS)
HFD_ON_BASES = tuple(f"hfd-{kind}+{base}" for base in CLASSICAL_QUALITIES for kind in KINDS)
target(*HFD, *HFD_ON_BASES)(_hfd)


@target("hific-small")
def _hific_small(name: str, folder: Path) -> Target:
    config = GeneratorConfig(latents=60, levels=3, channels=(16, 12, 8, 8), blocks=(2, 1, 1, 2), embedding=8)

    def write(path: Path) -> None:
        torch.manual_seed(0)
        generator = Generator(config)
        for parameter in generator.parameters():
            if parameter.ndim == 4 and parameter.shape[-1] == 3:
                torch.nn.init.kaiming_normal_(parameter)
        identity = load_autoencoder(_first_stage(folder))[1]
        write_weights(path, generator, KIND, {"generator": config.as_json(), "first_stage": identity}, {})

    path = _kept(folder / "hific-small.safetensors", write)
    codec = open_codec(f"hific-small:first_stage={_first_stage(folder)},weights={path}")
    return Target(name, streams_of(codec), FORMATS["hfd"], codec.decode, size_in_hfd)


@target("hific")
def _hific(name: str, folder: Path) -> Target:
    path = _kept(folder / "hific-low.pt", lambda path: torch.save(checkpoint(), path))
    codec = open_codec(f"hific:weights={path}")
    return Target(name, streams_of(codec), FORMATS["hific"], codec.decode, lambda data: struct.unpack(">HH", data[4:8]))  # type: ignore[arg-type]


@target("msillm")
def _msillm(name: str, folder: Path) -> Target:
    path = _kept(folder / "msillm_target_0.14bpp.ckpt", lambda path: torch.save(msillm_checkpoint(), path))
    codec = open_codec(f"msillm:weights={path}")
    return Target(
        name, streams_of(codec), FORMATS["msillm"], codec.decode, lambda data: struct.unpack(">HH", data[4:8])
    )  # type: ignore[arg-type]


@target("upscale-lanczos", "upscale-realesrgan")
def _upscale(name: str, folder: Path) -> Target:
    spec = f"upscale:by={name.partition('-')[2]}"
    if spec.endswith("realesrgan"):
        spec += f",weights={_kept(folder / 'esrgan.bin', write_esrgan)}"
    codec = open_codec(spec)

    def size(data: bytes) -> tuple[int, int]:
        container = small_copies.unpack(data)
        return container.height, container.width

    return Target(name, streams_of(codec, codec.qualities[1:4]), FORMATS["small-copy"], codec.decode, size)


def _compressai(name: str, folder: Path) -> Target:
    model = name.partition("-")[2]

    def write(path: Path) -> None:
        torch.manual_seed(0)
        names = {"bmshj2018-factorized-relu": "bmshj2018_factorized_relu"}
        kinds = zoo.fixed_rate.model_architectures | zoo.variable_rate.model_architectures
        kind = kinds[names.get(model, model)]
        if model.startswith("cheng2020"):
            made = kind(12)
        else:
            made = kind(12, 12, vr_entbttlnck=True) if model in zoo.ARCHITECTURES[7:9] else kind(12, 12)
            with torch.no_grad():
                made.g_a[-1].weight.mul_(100)
        torch.save(made.state_dict(), path)

    codec = open_codec(f"compressai:model={model},weights={_kept(folder / f'{model}.pth', write)}")
    form = FORMATS["zoo-one-string" if model in zoo.ARCHITECTURES[:2] else "zoo"]
    slowness = 40 if model in AUTOREGRESSIVE else 1  # one call of the coder for each place of latents

    def size(data: bytes) -> tuple[int, int]:
        height, width = struct.unpack(">HH", data[5:9])
        return height, width

    return Target(name, streams_of(codec), form, codec.decode, size, slowness=slowness)


AUTOREGRESSIVE = ("mbt2018", "cheng2020-anchor", "cheng2020-attn", "mbt2018-vbr")


COMPRESSAI = tuple(f"compressai-{model}" for model in zoo.ARCHITECTURES)
target(*COMPRESSAI)(_compressai)


READERS = tuple(name for name in NAMES if name.startswith(("reader-", "header-")))
UPSCALERS = ("upscale-lanczos", "upscale-realesrgan")
LEARNED = ("mse", "mse-paper", *HFD, *HFD_ON_BASES, "hific-small", "hific", "msillm", *UPSCALERS, *COMPRESSAI)
