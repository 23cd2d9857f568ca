"""The codecs `mse` and `hfd`: one payload, two decoders.

`hfd` sends what `mse` sends, byte for byte; its container names another decoder, which adds the lost detail back.
On another base, `hfd:base=jpeg`, it sends that codec's file with a few bytes in it.
"""

import hashlib
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmark.codecs import Image, reject_unknown
from benchmark.errors import BenchmarkError, CorruptStream, UsageError
from benchmark.hfd.autoencoder import QUALITY_STEPS, quality_steps
from benchmark.hfd.bases import AutoencoderBase, Base, check_trained_on, open_classical
from benchmark.hfd.container import MAX_SEED, TYPICAL_BYTES, spec_of
from benchmark.hfd.embedding import Stamp
from benchmark.hfd.first_stage import AnyFirstStage, load_first_stage
from benchmark.hfd.sampling import DiffusionSettings, FlowSettings, OneStepSettings, Sampler, ScoreDecoder
from benchmark.hfd.score import load_score_network, tensor_to_picture
from benchmark.hfd.weights import ARCHITECTURES, SHIPPED, kind_of

FIRST_STAGE_FILE = "first-stage-small.safetensors"
DECODER_FILES = {
    "one-step": "one-step-small.safetensors",
    "diffusion": "diffusion-small.safetensors",
    "flow": "flow-small.safetensors",
}


def open_device(name: str) -> torch.device:
    """The torch device `name`. Raises UsageError if this machine does not have it."""
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"device {name!r} cannot be used here: {str(error).splitlines()[0]}") from error
    return device


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
        """Container and payload. Raises UsageError on a quality out of range, BenchmarkError on too large a picture."""
        steps = quality_steps(quality, self.base.levels)
        return self.base.encode(image, Stamp("mse", steps, 0, self.weights))

    def estimate_bits(self, image: Image, quality: float) -> float:
        """What the entropy model says the payload costs; the container is not in it. Raises as `encode` does."""
        return _estimate_bits(self.base, image, quality)

    def decode(self, data: bytes, seed: int | None = None) -> Image:
        """x̂ as uint8. Raises CorruptStream on a damaged or foreign stream, or one made with other weights."""
        _check(self.base.stamp(data), "mse", self.weights, self.base)
        return tensor_to_picture(self.base.decode(data))

    def describe(self) -> dict[str, Any]:
        """Size, rates and hash of the weights."""
        return {**self.base.describe(), "torch": torch.__version__}


class HfdCodec:
    """A base and a score-based decoder on its output; Hoogeboom et al., arXiv 2305.18231."""

    stochastic = True

    def __init__(self, base: Base, kind: str, decoder: ScoreDecoder, identity: str) -> None:
        """identity: of the decoder's weights, 64 hex digits."""
        self.base = base
        self.kind = kind
        self.decoder = decoder
        self.identity = identity
        self.weights = hashlib.sha256(bytes.fromhex(base.identity + identity)).digest()[:4]
        self.qualities = tuple(float(q) for q in range(1, base.levels + 1))
        self.scale = (1.0, self.qualities[-1], 1 / QUALITY_STEPS)
        self.seed = 0
        self.trained_on = ("lpips",) if kind == "one-step" else ()
        if isinstance(base, AutoencoderBase):  # JPEG and AVIF tell no such thing
            self.header_bytes = TYPICAL_BYTES
            self.estimate_bits = partial(_estimate_bits, base)

    def encode(self, image: Image, quality: float) -> bytes:
        """The base's stream, with what the decoder must know in it.

        With the autoencoder the payload is that of `mse` at the same quality; with JPEG or AVIF all but a few bytes are
        the file of that codec. Raises UsageError on a quality out of range, BenchmarkError on too large a picture.
        """
        steps = self.base.coded_steps(quality_steps(quality, self.base.levels))
        return self.base.encode(image, Stamp(self.kind, steps, self.seed, self.weights))

    def decode(self, data: bytes, seed: int | None = None) -> Image:
        """One sample of the decoder, uint8; `seed` None takes the stream's.

        Raises CorruptStream on a damaged or foreign stream, or one made with other weights.
        """
        stamp = self.base.stamp(data)
        _check(stamp, self.kind, self.weights, self.base)
        x_hat = self.base.decode(data)
        chosen = stamp.seed if seed is None else seed
        return tensor_to_picture(self.decoder.sample(x_hat, stamp.quality_steps, chosen))

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


def _estimate_bits(base: AutoencoderBase, image: Image, quality: float) -> float:
    return base.estimate_bits(image, quality_steps(quality, base.levels))


def _check(stamp: Stamp, decoder: str, weights: bytes, base: Base) -> None:
    if stamp.decoder != decoder:
        wanted = spec_of(stamp.decoder)
        if base.name != "autoencoder":
            wanted = f"hfd:base={base.name},decoder={stamp.decoder}"
        raise CorruptStream(f"the stream is for `{wanted}`; decode it with --codec {wanted}")
    if stamp.weights != weights:
        named = "`first_stage` and `weights`" if base.name == "autoencoder" else "`base` and `weights`"
        raise CorruptStream(
            f"the stream was made with weights {stamp.weights.hex()}, these are {weights.hex()}; "
            f"name the right ones with the codec's settings {named}"
        )
    if stamp.quality_steps > quality_steps(base.levels, base.levels):
        what = "first stage" if base.name == "autoencoder" else "base"
        raise CorruptStream(f"the stream claims a quality that its {what} does not have")


def _open_first_stage(codec: str, settings: dict[str, str], device: torch.device) -> tuple[AnyFirstStage, str]:
    model = _choose(codec, settings, "model", ARCHITECTURES)
    if "first_stage" in settings:
        return load_first_stage(Path(settings["first_stage"]), device, model)
    if model == "paper":
        raise UsageError(
            f"{codec}:model=paper has no shipped weights: make some with `python -m benchmark train autoencoder FOLDER"
            " --model paper`, then name them with first_stage=FILE"
        )
    return load_first_stage(SHIPPED / FIRST_STAGE_FILE, device, model)


def _open_base(settings: dict[str, str], device: torch.device) -> Base:
    spec = settings.get("base", "autoencoder")
    if spec == "autoencoder":
        return AutoencoderBase(*_open_first_stage("hfd", settings, device))
    base = open_classical(spec)
    for key in MSE_SETTINGS:
        if key in settings:
            raise UsageError(f"hfd: {key} belongs to the autoencoder; base={base.name} has none")
    return base


def _decoder_kind(settings: dict[str, str]) -> str:
    """The decoder that is named; without a name that of the named weights, without either the one-step one."""
    if "decoder" not in settings and "weights" in settings:
        kind = kind_of(Path(settings["weights"]))
        if kind not in DECODER_FILES:
            held = kind or "unnamed"
            raise BenchmarkError(f"{settings['weights']} holds {held!r} weights, not a score-based decoder's")
        return kind
    return _choose("hfd", settings, "decoder", tuple(DECODER_FILES))


def _decoder_file(settings: dict[str, str], kind: str, base: Base) -> Path:
    """The decoder's weights: those named, or those shipped for this base."""
    if "weights" in settings:
        return Path(settings["weights"])
    if base.name == "autoencoder":
        if settings.get("model") == "paper":
            raise UsageError(
                "hfd:model=paper has no shipped decoder: train one with `python -m benchmark train score FOLDER "
                "--model paper --first-stage FILE`, then name it with the setting weights=FILE"
            )
        return SHIPPED / DECODER_FILES[kind]
    path = SHIPPED / f"{kind}-{base.name}-small.safetensors"
    if not path.is_file():
        spec = settings["base"]
        raise BenchmarkError(
            f"hfd:base={base.name} has no shipped {kind} decoder: train one with `python -m benchmark train score "
            f"FOLDER --base {spec} --decoder {kind}`, then name it with the setting weights=FILE"
        )
    return path


MSE_SETTINGS = {"model": "small, paper", "first_stage": "a weights file"}
HFD_SETTINGS = {
    "base": "autoencoder, jpeg, avif",
    **MSE_SETTINGS,
    "weights": "a weights file of the decoder",
    "decoder": "one-step, diffusion, flow",
    "steps": "flow, diffusion: 1 to 1000",
    "sampler": "flow: euler, heun; diffusion: ancestral, ddim, or noise, a control: x̂ plus noise",
    "noise": "flow: deviation of the start's noise over that of the error, 0 to 2; "
    "diffusion: where the ancestral deviation lies between its bounds, 0 to 1, or the control's deviation",
    "shift": "diffusion: of the schedule, 0.01 to 10; below 1 is less noise",
    "realism": "0 (the mean; one-step: nearest to the original) to 1 (a full sample)",
    "seed": f"0 to {MAX_SEED}",
    "precision": "float32, bfloat16",
}


def mse(device: str, **settings: str) -> MseCodec:
    """`mse`: settings model, first_stage."""
    reject_unknown("mse", settings, MSE_SETTINGS)
    return MseCodec(*_open_first_stage("mse", settings, open_device(device)))


def hfd(device: str, **settings: str) -> HfdCodec:
    """`hfd`: settings as in HFD_SETTINGS; the default decoder is the one-step one."""
    reject_unknown("hfd", settings, HFD_SETTINGS)
    where = open_device(device)
    base = _open_base(settings, where)
    kind = _decoder_kind(settings)
    path = _decoder_file(settings, kind, base)
    network, configuration, identity = load_score_network(path, kind)
    check_trained_on(base, configuration, path)
    sampler = _SAMPLERS[kind](settings, configuration)
    precision = _choose("hfd", settings, "precision", ("float32", "bfloat16"))
    decoder = ScoreDecoder(network.to(where), sampler, precision, where)
    codec = HfdCodec(base, kind, decoder, identity)
    codec.seed = int(_number("hfd", settings, "seed", 0, 0, MAX_SEED, whole=True))
    return codec


def _flow_sampler(settings: dict[str, str], configuration: dict[str, Any]) -> Sampler:
    if "shift" in settings:
        raise UsageError("hfd: the flow has no shift; it belongs to hfd:decoder=diffusion")
    return FlowSettings(
        steps=int(_number("hfd", settings, "steps", int(configuration["steps"]), 1, 1000, whole=True)),
        sampler=_choose("hfd", settings, "sampler", ("euler", "heun")),
        noise=_number("hfd", settings, "noise", float(configuration["kappa"]), 0, 2),
        realism=_number("hfd", settings, "realism", float(configuration.get("realism", 1)), 0, 1),
    )


def _diffusion_sampler(settings: dict[str, str], configuration: dict[str, Any]) -> Sampler:
    sampler = _choose("hfd", settings, "sampler", ("ancestral", "ddim", "noise"))
    for key in {"ddim": ("noise",), "noise": ("steps", "shift", "realism")}.get(sampler, ()):
        if key in settings:
            raise UsageError(f"hfd: sampler={sampler} has no {key}")
    return DiffusionSettings(
        steps=int(_number("hfd", settings, "steps", int(configuration["steps"]), 1, 1000, whole=True)),
        sampler=sampler,
        noise=_number("hfd", settings, "noise", float(configuration["noise"]), 0, 1),
        shift=_number("hfd", settings, "shift", float(configuration["shift"]), 0.01, 10),
        realism=_number("hfd", settings, "realism", float(configuration.get("realism", 1)), 0, 1),
    )


def _one_step_sampler(settings: dict[str, str], configuration: dict[str, Any]) -> Sampler:
    for key in ("steps", "sampler", "noise", "shift"):
        if key in settings:
            others = "decoder=diffusion has" if key == "shift" else "decoder=diffusion and decoder=flow have"
            raise UsageError(f"hfd: the one-step decoder has no {key}; {others}")
    return OneStepSettings(realism=_number("hfd", settings, "realism", float(configuration["realism"]), 0, 1))


_SAMPLERS: dict[str, Callable[[dict[str, str], dict[str, Any]], Sampler]] = {
    "flow": _flow_sampler,
    "diffusion": _diffusion_sampler,
    "one-step": _one_step_sampler,
}


def _choose(codec: str, settings: dict[str, str], key: str, allowed: tuple[str, ...]) -> str:
    value = settings.get(key, allowed[0])
    if value not in allowed:
        raise UsageError(f"{codec}: {key} is {', '.join(allowed)}, not {value!r}")
    return value


def _number(
    codec: str, settings: dict[str, str], key: str, default: float, low: float, high: float, whole: bool = False
) -> float:
    text = settings.get(key)
    if text is None:
        return default
    try:
        value = int(text) if whole else float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise UsageError(
            f"{codec}: {key} is a{' whole' if whole else ''} number from {low:g} to {high:g}, not {text!r}"
        )
    return value
