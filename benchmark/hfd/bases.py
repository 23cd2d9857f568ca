"""What a score-based decoder builds on: a base codes the image, the decoder adds to its x̂ the detail that was lost.

`autoencoder` is the first stage that the suite trains. `jpeg` and `avif` are the classical codecs of the same names:
their files stay ordinary files, which any viewer opens, and carry HFD's few bytes where viewers do not look.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from benchmark.codecs import Image, open_codec, parse_codec_spec
from benchmark.errors import CorruptStream, UsageError
from benchmark.hfd import embedding
from benchmark.hfd.container import MAX_PIXELS, MAX_SIDE, QUALITY_STEPS, Container, pack, quality_of, unpack
from benchmark.hfd.embedding import Header
from benchmark.hfd.first_stage import AnyFirstStage
from benchmark.hfd.memory import SAMPLING, require_memory
from benchmark.hfd.score import picture_to_tensor, tensor_to_picture
from benchmark.pillow_codec import PillowCodec

CLASSICAL_QUALITIES: Mapping[str, tuple[int, ...]] = {
    "jpeg": (5, 10, 20, 30, 50, 70, 80, 86),
    "avif": (10, 20, 30, 40, 50, 60, 72),
}
"""The classical codec's quality at each level, linear between: 0.22 to 1.9 bpp on Kodak with JPEG 4:2:0, 0.10 to 1.3
with AVIF. No step is wider than 32, the units of a level, so that each quality has a level of its own."""

SETTINGS = ("subsampling", "speed")
"""What a spec can set of the classical codecs, and what a decoder trained on one of them depends on."""


class Base(Protocol):
    """Levels run from 1 to `levels`, are continuous, and are written as "steps", see `container.QUALITY_STEPS`."""

    @property
    def name(self) -> str:
        """ "autoencoder", "jpeg" or "avif"."""
        ...

    @property
    def levels(self) -> int:
        """The highest level; the lowest is 1."""
        ...

    @property
    def identity(self) -> str:
        """64 hex digits: of two bases with the same, the decoder of one fits the other."""
        ...

    def record(self) -> dict[str, Any]:
        """What a decoder's weights say about the base that they were trained on: JSON values."""
        ...

    def describe(self) -> dict[str, Any]:
        """`record` and what else a run's manifest wants to know."""
        ...

    def coded_steps(self, steps: int) -> int:
        """The steps at which an image is coded when `steps` are asked for."""
        ...

    def reconstruct(self, x: Tensor, steps: int) -> Tensor:
        """x̂ of x (1, 3, H, W) in [-0.5, 0.5], as a decoder has it."""
        ...

    def encode(self, image: Image, header: Header) -> bytes:
        """The whole stream, with `header` in it; its steps are such as `coded_steps` returns."""
        ...

    def unpack(self, data: bytes) -> tuple[Header, Callable[[], Tensor]]:
        """The header in a stream, and a function that returns its x̂ (1, 3, H, W) in [-0.5, 0.5].

        Both raise CorruptStream on a damaged or foreign stream.
        """
        ...

    def decode(self, data: bytes) -> Tensor:
        """x̂ of a stream; its header is not looked at. Raises as `unpack` does."""
        ...


@dataclass(frozen=True)
class AutoencoderBase:
    """The first stage; its streams are containers."""

    first_stage: AnyFirstStage
    identity: str
    name: str = "autoencoder"

    @property
    def levels(self) -> int:
        """As many as the first stage has."""
        return self.first_stage.levels

    def record(self) -> dict[str, Any]:
        """The hash of the first stage."""
        return {"first_stage": self.identity}

    def describe(self) -> dict[str, Any]:
        """Hash, size and rates of the first stage."""
        return {"first_stage": {"sha256": self.identity, **self.first_stage.model.config.as_json()}}

    def coded_steps(self, steps: int) -> int:
        """Any level can be coded."""
        return steps

    def reconstruct(self, x: Tensor, steps: int) -> Tensor:
        """x̂ with the symbols that the encoder chooses."""
        return self.first_stage.reconstruct(x, steps)

    def encode(self, image: Image, header: Header) -> bytes:
        """Container and payload. Raises BenchmarkError on too large an image."""
        return self.encode_with_estimate(image, header)[0]

    def encode_with_estimate(self, image: Image, header: Header) -> tuple[bytes, float]:
        """`encode`, and what the entropy model says the payload costs, in bits: −log2 of its symbols' probabilities."""
        height, width = image.shape[:2]
        payload, bits = b"", 0.0
        if max(height, width) <= MAX_SIDE and height * width <= MAX_PIXELS:  # `pack` refuses other sizes
            payload, bits = self.first_stage.encode_with_bits(picture_to_tensor(image), header.quality_steps)
        container = Container(header.decoder, height, width, header.quality_steps, header.seed, header.weights, payload)
        return pack(container), bits

    def unpack(self, data: bytes) -> tuple[Header, Callable[[], Tensor]]:
        """The container's header and x̂ of its payload."""
        container = self.container(data)
        header = Header(container.decoder, container.quality_steps, container.seed, container.weights)
        return header, partial(self._x_hat, container)

    def container(self, data: bytes) -> Container:
        """What a stream holds. Raises CorruptStream; a JPEG or AVIF file with HFD's bytes is named as what it is."""
        if embedding.base_of(data) is not None and (codec := embedding.codec_of(data)) is not None:
            raise CorruptStream(f"the stream is for `{codec}`; decode it with --codec {codec}")
        return unpack(data)

    def decode(self, data: bytes) -> Tensor:
        """x̂ of the container's payload."""
        return self.unpack(data)[1]()

    def _x_hat(self, container: Container) -> Tensor:
        height, width, steps = container.height, container.width, container.quality_steps
        y_hat = self.first_stage.decode_latents(container.payload, height, width, steps)
        return self.first_stage.synthesise(y_hat, height, width, steps)


@dataclass(frozen=True)
class ClassicalBase:
    """JPEG or AVIF, coded as the codec of that name codes them. qualities: of the codec, at levels 1, 2, 3 …"""

    name: str
    codec: PillowCodec
    qualities: tuple[int, ...]

    @property
    def levels(self) -> int:
        """One for each entry of the table."""
        return len(self.qualities)

    @property
    def identity(self) -> str:
        """Over name, settings and table. Not over the library's version: a decoder outlives it."""
        return hashlib.sha256(json.dumps(self.record(), sort_keys=True).encode()).hexdigest()

    def record(self) -> dict[str, Any]:
        """Name, settings and table."""
        settings = {key: self.codec.options[key] for key in SETTINGS if key in self.codec.options}
        return {"base": {"codec": self.name, "settings": settings, "qualities": list(self.qualities)}}

    def describe(self) -> dict[str, Any]:
        """`record`, and the libraries at work."""
        return {"base": {**self.record()["base"], "libraries": dict(self.codec.libraries)}}

    def codec_quality(self, steps: int) -> int:
        """The classical codec's quality, an integer, nearest to the level of `steps`."""
        return round(float(np.interp(quality_of(steps), range(1, self.levels + 1), self.qualities)))

    def coded_steps(self, steps: int) -> int:
        """The level of the rounded quality: the same for all levels that give the same file."""
        level = float(np.interp(self.codec_quality(steps), self.qualities, range(1, self.levels + 1)))
        return round((level - 1) * QUALITY_STEPS)

    def reconstruct(self, x: Tensor, steps: int) -> Tensor:
        """x̂ of the file that `encode` writes; x is rounded to the 256 levels of an image first."""
        file = self.codec.encode(tensor_to_picture(x), self.codec_quality(steps))
        return picture_to_tensor(self.codec.decode(file))

    def encode(self, image: Image, header: Header) -> bytes:
        """The file, with HFD's bytes. Raises BenchmarkError on an image too large for the format."""
        return embedding.embed(self.codec.encode(image, self.codec_quality(header.quality_steps)), header)

    def unpack(self, data: bytes) -> tuple[Header, Callable[[], Tensor]]:
        """The header in the file, and the image that any viewer shows. Raises CorruptStream on a file without one."""
        header, file = embedding.extract(data, self.name)
        return header, partial(self._x_hat, file)

    def decode(self, data: bytes) -> Tensor:
        """The image that any viewer shows. Raises BenchmarkError on one too large for this machine's memory."""
        return self.unpack(data)[1]()

    def _x_hat(self, file: bytes) -> Tensor:
        require_memory(*self.codec.size(file), SAMPLING)
        return picture_to_tensor(self.codec.decode(file))


def open_classical(spec: str) -> ClassicalBase:
    """The base `jpeg` or `avif`, with settings of that codec where `spec` has them: `jpeg:subsampling=4:4:4`.

    Raises UsageError on another name or an unknown setting.
    """
    parsed = parse_codec_spec(spec)
    if parsed.name not in CLASSICAL_QUALITIES:
        there = ", ".join(["autoencoder", *CLASSICAL_QUALITIES])
        raise UsageError(f"no base is named {parsed.name!r}; there are {there}")
    codec = open_codec(parsed)
    assert isinstance(codec, PillowCodec)
    return ClassicalBase(parsed.name, codec, CLASSICAL_QUALITIES[parsed.name])


def base_record(configuration: dict[str, Any]) -> dict[str, Any]:
    """What a training's recipe, or a decoder's configuration, says about its base; see `Base.record`."""
    return {key: value for key, value in configuration.items() if key in ("first_stage", "base")}


def check_trained_on(base: Base, configuration: dict[str, Any], path: Path) -> None:
    """Raises UsageError if the decoder in `path`, with this configuration, was trained on another base."""
    own = base.record()
    trained = base_record(configuration)
    if trained == own:
        return
    if "base" in own and "base" in trained and trained["base"].get("codec") == base.name:
        key = next(key for key in ("settings", "qualities") if trained["base"].get(key) != own["base"][key])
        there, here = _text(trained["base"].get(key)), _text(own["base"][key])
        raise UsageError(f"{path} was trained on {base.name} with {key} {there}, not {here}")
    hint = f"; name it with hfd:base={trained['base'].get('codec')}" if "base" in trained else ""
    raise UsageError(f"{path} was trained on {_name(trained)}, not on {_name(own)}{hint}")


def _name(record: dict[str, Any]) -> str:
    if "base" in record:
        return f"the base {record['base'].get('codec')}"
    return f"the first stage {record.get('first_stage', 'of no name')[:8]}"


def _text(value: Any) -> str:
    return json.dumps(value).strip("{}[]").replace('"', "")
