"""What a codec is, how a codec spec is written, and which codecs the suite knows.

A codec spec is a string that names a codec and its settings, and labels it in every table:
`jpeg`, `jpeg:subsampling=4:4:4`, `hfd:decoder=flow,steps=8`, `command:enc="cjxl {in} {out} -q {q}",dec="…"`.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from benchmark.errors import UsageError
from benchmark.registry import Registry

Image = npt.NDArray[np.uint8]
"""A picture: uint8, (height, width, 3), RGB."""


@runtime_checkable
class Codec(Protocol):
    """Two functions, and what a run must know about them.

    qualities: the codec's default qualities on its own scale, ordered from few bits to many.
    stochastic: whether `decode` depends on a seed. A deterministic codec ignores `seed`.
    """

    qualities: tuple[float, ...]
    stochastic: bool

    def encode(self, image: Image, quality: float) -> bytes:
        """The whole byte string; it alone suffices to decode. Raises UsageError on a quality out of range."""
        ...

    def decode(self, data: bytes, seed: int | None = None) -> Image:
        """The picture in `data`. seed: of a stochastic decoder; None takes the one in the stream.

        Raises CorruptStream on bytes that `encode` cannot have written.
        """
        ...

    def describe(self) -> dict[str, Any]:
        """Settings, library versions, hash of the weights: JSON values for the run's manifest."""
        ...


@dataclass(frozen=True)
class CodecSpec:
    """A parsed codec spec. `text` is what the user wrote and what labels the codec; settings are strings."""

    text: str
    name: str
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """`text` made safe for a path, and unique: other characters become "-", and a hash tells collisions apart."""
        safe = re.sub(r"[^A-Za-z0-9.=_]+", "-", self.text).strip("-.")
        if safe == self.text:
            return safe
        return f"{safe[:80]}-{hashlib.sha256(self.text.encode()).hexdigest()[:8]}"


_SETTING = re.compile(r'(?P<key>[A-Za-z_][\w-]*)=(?:"(?P<quoted>[^"]*)"|(?P<plain>[^",]*))(?:,|$)')


def parse_spec(text: str) -> CodecSpec:
    """`name` or `name:key=value,key="value, with comma"`. Raises UsageError that quotes the part not understood."""
    name, colon, rest = text.partition(":")
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name):
        raise UsageError(f"codec spec {text!r}: a spec is name or name:key=value,key=value")
    settings: dict[str, str] = {}
    position = 0
    while position < len(rest):
        match = _SETTING.match(rest, position)
        if match is None:
            raise UsageError(f"codec spec {text!r}: {rest[position:]!r} is not key=value (quote values with a comma)")
        if match["key"] in settings:
            raise UsageError(f"codec spec {text!r}: {match['key']!r} is set twice")
        settings[match["key"]] = match["plain"] if match["quoted"] is None else match["quoted"]
        position = match.end()
    if colon and not settings:
        raise UsageError(f"codec spec {text!r}: nothing follows the colon")
    return CodecSpec(text, name, settings)


CODECS = Registry("codec")
CODECS.add("jpeg", "baselines.classical:jpeg", "JPEG (Pillow, libjpeg-turbo); subsampling=4:2:0")
CODECS.add("webp", "baselines.classical:webp", "WebP, lossy (Pillow, libwebp); method=4")
CODECS.add("avif", "baselines.classical:avif", "AVIF (Pillow, libavif); speed=6, subsampling=4:2:0")
CODECS.add("mse", "baselines.mse:mse", "the first stage of HFD alone: an autoencoder trained for rate and MSE")
CODECS.add("hfd", "benchmark.hfd.codec:hfd", "HFD: the bits of mse, decoded by a score-based model")


def open_codec(spec: CodecSpec | str, device: str = "cpu") -> Codec:
    """The codec that `spec` names, with its settings.

    An entry of CODECS is a function `make(device: str, **settings: str) -> Codec`. Raises UsageError on an unknown
    codec or setting.
    """
    parsed = parse_spec(spec) if isinstance(spec, str) else spec
    make = CODECS.load(parsed.name)
    codec: Codec = make(device=device, **parsed.settings)
    return codec


def reject_unknown(codec: str, settings: Mapping[str, str], known: Mapping[str, str]) -> None:
    """Raises UsageError if `settings` has a key that is not in `known` (key: what it may be)."""
    for key in settings:
        if key not in known:
            there = ", ".join(f"{k} ({v})" for k, v in known.items()) or "none"
            raise UsageError(f"{codec} has no setting {key!r}; its settings: {there}")
