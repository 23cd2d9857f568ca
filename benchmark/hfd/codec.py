"""The codecs `mse` and `hfd`: one payload, two decoders.

`hfd` sends what `mse` sends, byte for byte; its container names another decoder, which adds the lost detail back.
On another base, `hfd:base=jpeg`, it sends that codec's file with a few bytes in it.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field

from benchmark.codecs import Image
from benchmark.errors import BenchmarkError, CorruptStream, UsageError
from benchmark.hfd.bases import AutoencoderBase, Base, check_trained_on, open_classical
from benchmark.hfd.container import MAX_SEED, QUALITY_STEPS, TYPICAL_BYTES, spec_of, steps_of
from benchmark.hfd.decoders import KINDS
from benchmark.hfd.device import open_device as open_device
from benchmark.hfd.embedding import Header
from benchmark.hfd.first_stage import AnyFirstStage, load_first_stage
from benchmark.hfd.sampling import ScoreDecoder
from benchmark.hfd.score import load_score_network, tensor_to_picture
from benchmark.hfd.weights import FIRST_STAGE_FILE, SHIPPED, kind_of
from benchmark.registry import typed_settings


class MseCodec:
    """The first stage alone: x̂, the posterior mean as the autoencoder knows it."""

    stochastic = False
    header_bytes = TYPICAL_BYTES

    def __init__(self, first_stage: AnyFirstStage, identity: str) -> None:
        self.first_stage = first_stage
        self.base = AutoencoderBase(first_stage, identity)
        self.weights = bytes.fromhex(identity)[:4]
        self.qualities = tuple(float(q) for q in range(1, first_stage.levels + 1))
        self.scale = (1.0, self.qualities[-1], 1 / QUALITY_STEPS)

    def encode(self, image: Image, quality: float) -> bytes:
        """Container and payload. Raises UsageError on a quality out of range, BenchmarkError on too large an image."""
        return self.encode_with_estimate(image, quality)[0]

    def encode_with_estimate(self, image: Image, quality: float) -> tuple[bytes, float]:
        """`encode`, and what the entropy model says the payload costs, in bits; the container is not in it."""
        header = Header("mse", steps_of(quality, self.base.levels), 0, self.weights)
        return self.base.encode_with_estimate(image, header)

    def estimate_bits(self, image: Image, quality: float) -> float:
        """The estimate of `encode_with_estimate`."""
        return self.encode_with_estimate(image, quality)[1]

    def decode(self, data: bytes, seed: int | None = None) -> Image:
        """x̂ as uint8. Raises CorruptStream on a damaged or foreign stream, or one made with other weights."""
        header, x_hat = self.base.unpack(data)
        check_header(header, "mse", self.weights, self.base)
        return tensor_to_picture(x_hat())

    def x_hat(self, data: bytes) -> Image:
        """What `decode` returns: no generative decoder adds to it."""
        return self.decode(data)

    def describe(self) -> dict[str, Any]:
        """Size, rates and hash of the weights."""
        return {**self.base.describe(), "torch": torch.__version__}


class HfdCodec:
    """A base and a score-based decoder on its output; Hoogeboom et al., arXiv 2305.18231."""

    stochastic = True

    def __init__(
        self,
        base: Base,
        kind: str,
        decoder: ScoreDecoder,
        identity: str,
        seed: int = 0,
        trained_on: tuple[str, ...] = (),
    ) -> None:
        """identity: of the decoder's weights, 64 hex digits. seed: of the decoder, written into each stream.

        trained_on: metrics that its training made small.
        """
        self.base = base
        self.kind = kind
        self.decoder = decoder
        self.identity = identity
        self.weights = hashlib.sha256(bytes.fromhex(base.identity + identity)).digest()[:4]
        self.qualities = tuple(float(q) for q in range(1, base.levels + 1))
        self.scale = (1.0, self.qualities[-1], 1 / QUALITY_STEPS)
        self.seed = seed
        self.trained_on = trained_on
        if isinstance(base, AutoencoderBase):  # JPEG and AVIF tell no such thing
            self.header_bytes = TYPICAL_BYTES
            self.encode_with_estimate = lambda image, q: base.encode_with_estimate(image, self._header(q))
            self.estimate_bits = lambda image, q: base.encode_with_estimate(image, self._header(q))[1]

    def encode(self, image: Image, quality: float) -> bytes:
        """The base's stream, with what the decoder must know in it.

        With the autoencoder the payload is that of `mse` at the same quality; with JPEG or AVIF all but a few bytes are
        the file of that codec. Raises UsageError on a quality out of range, BenchmarkError on too large an image.
        """
        return self.base.encode(image, self._header(quality))

    def _header(self, quality: float) -> Header:
        steps = self.base.coded_steps(steps_of(quality, self.base.levels))
        return Header(self.kind, steps, self.seed, self.weights)

    def decode(self, data: bytes, seed: int | None = None) -> Image:
        """One sample of the decoder, uint8; `seed` None takes the stream's.

        Raises CorruptStream on a damaged or foreign stream, or one made with other weights.
        """
        header, x_hat = self.base.unpack(data)
        check_header(header, self.kind, self.weights, self.base)
        chosen = header.seed if seed is None else seed
        return tensor_to_picture(self.decoder.sample(x_hat(), header.quality_steps, chosen))

    def x_hat(self, data: bytes) -> Image:
        """The base's own image, uint8, to which the decoder adds. Raises CorruptStream as `decode` does."""
        header, x_hat = self.base.unpack(data)
        check_header(header, self.kind, self.weights, self.base)
        return tensor_to_picture(x_hat())

    def describe(self) -> dict[str, Any]:
        """Base, settings of the decoder, hashes of the weights."""
        return {
            **self.base.describe(),
            "decoder": {
                "kind": self.kind,
                "sha256": self.identity,
                "stream_weights": self.weights.hex(),  # what its streams name: base and decoder
                **asdict(self.decoder.sampler),  # type: ignore[call-overload]
                "precision": self.decoder.precision,
                "seed": self.seed,
                **self.decoder.network.unet.config.as_json(),
            },
            "torch": torch.__version__,
        }


def check_header(header: Header, decoder: str, weights: bytes, base: Base) -> None:
    """Raises CorruptStream, with what to do, if a stream is not for this decoder with these weights on this base."""
    if header.decoder != decoder:
        wanted = spec_of(header.decoder)
        if base.name != "autoencoder":
            wanted = f"hfd:base={base.name},decoder={header.decoder}"
        raise CorruptStream(f"the stream is for `{wanted}`; decode it with --codec {wanted}")
    if header.weights != weights:
        named = "`first_stage` and `weights`" if base.name == "autoencoder" else "`base` and `weights`"
        raise CorruptStream(
            f"the stream was made with weights {header.weights.hex()}, these are {weights.hex()}; "
            f"name the right ones with the codec's settings {named}"
        )
    if header.quality_steps > steps_of(base.levels, base.levels):
        what = "first stage" if base.name == "autoencoder" else "base"
        raise CorruptStream(f"the stream claims a quality that its {what} does not have")


Model = Annotated[Literal["small", "paper"], Field(description="size of the first stage; small if unsaid")]
FirstStageFile = Annotated[Path, Field(description="weights of the first stage; default: the shipped")]


def mse(device: str, model: Model | None = None, first_stage: FirstStageFile | None = None) -> MseCodec:
    """The first stage of HFD alone, an autoencoder trained for rate and MSE: one model for all qualities."""
    return MseCodec(*_open_first_stage("mse", model, first_stage, open_device(device)))


def hfd(
    device: str,
    decoder: Annotated[Literal[*KINDS], Field(description="default: that of `weights`, or one-step")] | None = None,  # type: ignore[valid-type]
    base: Annotated[
        str,
        Field(description="what it decodes: autoencoder, or jpeg or avif, with settings as in jpeg:subsampling=4:4:4"),
    ] = "autoencoder",
    model: Model | None = None,
    first_stage: FirstStageFile | None = None,
    weights: Annotated[Path, Field(description="weights of the decoder; default: the shipped")] | None = None,
    seed: Annotated[int, Field(ge=0, le=MAX_SEED, description="of the decoder, written into each stream")] = 0,
    precision: Annotated[Literal["float32", "bfloat16"], Field(description="of the decoder's network")] = "float32",
    **sampling: Any,
) -> HfdCodec:
    """HFD (Hoogeboom et al., arXiv 2305.18231): a base and a decoder that adds the lost detail for no extra bits.

    At the same quality `hfd` sends the payload of `mse`, byte for byte; its container names the decoder. On the base
    `jpeg` or `avif` the stream is a file of that format, which any viewer opens. Settings of one kind of decoder are
    marked with it.
    """
    # sampling: settings of the kind of decoder, typed by its `settings`
    where = open_device(device)
    opened = _open_base(base, model, first_stage, where)
    kind = decoder or _kind_of(weights)
    given = _sampling(kind, sampling)
    path = weights or _shipped_decoder(kind, opened, base, model)
    network, configuration, identity = load_score_network(path, kind)
    check_trained_on(opened, configuration, path)
    settings = replace(KINDS[kind].load().settings.of(configuration), **given)  # type: ignore[type-var]
    for key, cause in settings.idle().items():
        if key in given:
            raise UsageError(f"codec hfd: {cause} has no {key}")
    # a file that does not say whether LPIPS's maps were in its loss is as its kind usually is
    usual = KINDS[kind].load().trained_on
    trained_on = (usual or ("lpips",)) if float(configuration.get("perceptual", bool(usual))) else ()
    sampler = ScoreDecoder(network.to(where), settings, precision, where)
    return HfdCodec(opened, kind, sampler, identity, seed, trained_on)


hfd.further = lambda: {f"decoder={name}": kind.load().settings for name, kind in KINDS.items()}  # type: ignore[attr-defined]
hfd.unsaid = lambda: {"decoder": _kind_of(None)}  # type: ignore[attr-defined]


def _open_first_stage(
    codec: str, model: str | None, path: Path | None, device: torch.device
) -> tuple[AnyFirstStage, str]:
    if path is None and model == "paper":
        raise UsageError(
            f"{codec}:model=paper has no shipped weights: make some with `python -m benchmark train autoencoder FOLDER"
            " --model paper`, then name them with first_stage=FILE"
        )
    return load_first_stage(path or SHIPPED / FIRST_STAGE_FILE, device, model or "small")


def _open_base(spec: str, model: str | None, first_stage: Path | None, device: torch.device) -> Base:
    if spec == "autoencoder":
        return AutoencoderBase(*_open_first_stage("hfd", model, first_stage, device))
    base = open_classical(spec)
    for key, value in (("model", model), ("first_stage", first_stage)):
        if value is not None:
            raise UsageError(f"codec hfd: {key} belongs to the autoencoder; base={base.name} has none")
    return base


def _kind_of(weights: Path | None) -> str:
    """The kind of decoder that weights hold, the first of KINDS without any."""
    if weights is None:
        return next(iter(KINDS))
    kind = kind_of(weights)
    if kind not in KINDS:
        raise BenchmarkError(f"{weights} holds {kind or 'unnamed'!r} weights, not a score-based decoder's")
    return kind


def _sampling(kind: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of the sampler of this kind, converted. Raises UsageError on what it does not have."""
    having = {name: {field.name for field in fields(each.load().settings)} for name, each in KINDS.items()}  # type: ignore[arg-type]
    for key in settings:
        others = [f"decoder={name}" for name, known in having.items() if key in known]
        if key not in having[kind] and others:
            *first, last = others
            named = f"{', '.join(first)} and {last} have it" if first else f"{last} has it"
            raise UsageError(f"codec hfd: the {kind} decoder has no {key}; {named}")
    return typed_settings(KINDS[kind].load().settings, settings, {}, "codec", f"hfd:decoder={kind}")


def _shipped_decoder(kind: str, base: Base, spec: str, model: str | None) -> Path:
    """The weights that are shipped for this base. Raises BenchmarkError that says how to make some."""
    if model == "paper":
        raise UsageError(
            f"hfd:model=paper has no shipped decoder: train one with `python -m benchmark train {kind} FOLDER "
            "--model paper --first-stage FILE`, then name it with the setting weights=FILE"
        )
    path = SHIPPED / KINDS[kind].shipped_file(base.name)
    if not path.is_file():
        raise BenchmarkError(
            f"hfd:base={base.name} has no shipped {kind} decoder: train one with `python -m benchmark train {kind} "
            f"FOLDER --base {spec}`, then name it with the setting weights=FILE"
        )
    return path
