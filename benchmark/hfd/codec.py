"""The codecs `mse` and `hfd`: one payload, two decoders.

`hfd` sends what `mse` sends, byte for byte; its container names another decoder, which adds the lost detail back.
"""

import hashlib
from pathlib import Path
from typing import Any

import torch

from benchmark.codecs import Image, reject_unknown
from benchmark.errors import CorruptStream, UsageError
from benchmark.hfd.autoencoder import FirstStage, quality_steps
from benchmark.hfd.container import MAX_PIXELS, MAX_SEED, MAX_SIDE, Container, pack, unpack
from benchmark.hfd.score import (
    SAMPLERS,
    FlowDecoder,
    FlowSettings,
    load_score_network,
    picture_to_tensor,
    tensor_to_picture,
)
from benchmark.hfd.weights import SHIPPED, load_autoencoder

FIRST_STAGE_FILE = "first-stage-small.safetensors"
FLOW_FILE = "flow-small.safetensors"


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

    def __init__(self, first_stage: FirstStage, identity: str) -> None:
        self.first_stage = first_stage
        self.identity = identity
        self.qualities = tuple(float(q) for q in range(1, first_stage.levels + 1))

    def encode(self, image: Image, quality: float) -> bytes:
        """Container and payload. Raises UsageError on a quality out of range, BenchmarkError on too large a picture."""
        return pack(_container(self.first_stage, "mse", image, quality, 0, bytes.fromhex(self.identity)[:4]))

    def decode(self, data: bytes, seed: int | None = None) -> Image:
        """x̂ as uint8. Raises CorruptStream on a damaged or foreign stream, or one made with other weights."""
        container = unpack(data)
        _check(container, "mse", bytes.fromhex(self.identity)[:4], self.first_stage)
        return tensor_to_picture(_x_hat(self.first_stage, container))

    def describe(self) -> dict[str, Any]:
        """Size, rates and hash of the weights."""
        return {
            "first_stage": {"sha256": self.identity, **self.first_stage.model.config.as_json()},
            "torch": torch.__version__,
        }


class HfdCodec:
    """The first stage and a rectified-flow decoder on its output; Hoogeboom et al., arXiv 2305.18231."""

    stochastic = True

    def __init__(self, first_stage: FirstStage, first_identity: str, decoder: FlowDecoder, identity: str) -> None:
        self.first_stage = first_stage
        self.decoder = decoder
        self.identities = (first_identity, identity)
        self.weights = hashlib.sha256(bytes.fromhex(first_identity + identity)).digest()[:4]
        self.qualities = tuple(float(q) for q in range(1, first_stage.levels + 1))
        self.seed = 0

    def encode(self, image: Image, quality: float) -> bytes:
        """Container and payload; the payload is that of `mse` at the same quality."""
        return pack(_container(self.first_stage, "flow", image, quality, self.seed, self.weights))

    def decode(self, data: bytes, seed: int | None = None) -> Image:
        """One sample of the decoder, uint8; `seed` None takes the container's.

        Raises CorruptStream on a damaged or foreign stream, or one made with other weights.
        """
        container = unpack(data)
        _check(container, "flow", self.weights, self.first_stage)
        x_hat = _x_hat(self.first_stage, container)
        chosen = container.seed if seed is None else seed
        return tensor_to_picture(self.decoder.sample(x_hat, container.quality_steps, chosen))

    def describe(self) -> dict[str, Any]:
        """Settings of the decoder, hashes of both networks' weights."""
        settings = self.decoder.settings
        return {
            "first_stage": {"sha256": self.identities[0], **self.first_stage.model.config.as_json()},
            "decoder": {
                "kind": "flow",
                "sha256": self.identities[1],
                "steps": settings.steps,
                "sampler": settings.sampler,
                "kappa": settings.kappa,
                "precision": settings.precision,
                "seed": self.seed,
                **self.decoder.network.unet.config.as_json(),
            },
            "torch": torch.__version__,
        }


def _container(
    first_stage: FirstStage, decoder: str, image: Image, quality: float, seed: int, weights: bytes
) -> Container:
    height, width = image.shape[:2]
    steps = quality_steps(quality, first_stage.levels)
    if max(height, width) > MAX_SIDE or height * width > MAX_PIXELS:
        payload = b""  # `pack` refuses the size with its reason
    else:
        payload = first_stage.encode(picture_to_tensor(image), steps)
    return Container(decoder, height, width, steps, seed, weights, payload)


def _check(container: Container, decoder: str, weights: bytes, first_stage: FirstStage) -> None:
    if container.decoder != decoder:
        wanted = "mse" if container.decoder == "mse" else f"hfd:decoder={container.decoder}"
        raise CorruptStream(f"the stream is for `{wanted}`; decode it with --codec {wanted}")
    if container.weights != weights:
        raise CorruptStream(
            f"the stream was made with weights {container.weights.hex()}, these are {weights.hex()}; "
            "name the right ones with the codec's settings `first_stage` and `weights`"
        )
    if container.quality_steps > quality_steps(first_stage.levels, first_stage.levels):
        raise CorruptStream("the stream claims a quality that its first stage does not have")


def _x_hat(first_stage: FirstStage, container: Container) -> torch.Tensor:
    height, width, steps = container.height, container.width, container.quality_steps
    y_hat = first_stage.decode_latents(container.payload, height, width, steps)
    return first_stage.synthesise(y_hat, height, width, steps)


def _open_first_stage(path: str | None, device: torch.device) -> tuple[FirstStage, str]:
    model, identity = load_autoencoder(Path(path) if path else SHIPPED / FIRST_STAGE_FILE)
    return FirstStage(model, device), identity


MSE_SETTINGS = {"model": "small", "first_stage": "a weights file"}
HFD_SETTINGS = {
    **MSE_SETTINGS,
    "weights": "a weights file of the decoder",
    "decoder": "flow",
    "steps": "1 to 1000",
    "sampler": "euler, heun",
    "noise": "deviation of the start's noise over that of the error, 0 to 2",
    "seed": f"0 to {MAX_SEED}",
    "precision": "float32, bfloat16",
}


def mse(device: str, **settings: str) -> MseCodec:
    """`mse`: settings model, first_stage."""
    reject_unknown("mse", settings, MSE_SETTINGS)
    _choose("mse", settings, "model", ("small",))
    return MseCodec(*_open_first_stage(settings.get("first_stage"), open_device(device)))


def hfd(device: str, **settings: str) -> HfdCodec:
    """`hfd`: settings as in HFD_SETTINGS; the default is the rectified flow with few steps."""
    reject_unknown("hfd", settings, HFD_SETTINGS)
    _choose("hfd", settings, "model", ("small",))
    _choose("hfd", settings, "decoder", ("flow",))
    where = open_device(device)
    first_stage, first_identity = _open_first_stage(settings.get("first_stage"), where)
    path = Path(settings["weights"]) if "weights" in settings else SHIPPED / FLOW_FILE
    network, configuration, identity = load_score_network(path, "flow")
    if configuration["first_stage"] != first_identity:
        raise UsageError(
            f"{path} was trained on the first stage {configuration['first_stage'][:8]}, not on {first_identity[:8]}"
        )
    default = FlowSettings(kappa=float(configuration["kappa"]), steps=int(configuration["steps"]))
    chosen = FlowSettings(
        steps=int(_number("hfd", settings, "steps", default.steps, 1, 1000, whole=True)),
        sampler=_choose("hfd", settings, "sampler", tuple(SAMPLERS)),
        kappa=_number("hfd", settings, "noise", default.kappa, 0, 2),
        precision=_choose("hfd", settings, "precision", ("float32", "bfloat16")),
    )
    codec = HfdCodec(first_stage, first_identity, FlowDecoder(network.to(where), chosen, where), identity)
    codec.seed = int(_number("hfd", settings, "seed", 0, 0, MAX_SEED, whole=True))
    return codec


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
