"""What a codec is, how a codec spec is written, and which codecs the suite knows.

A codec spec is a string that names a codec and its settings, and labels it in every table:
`jpeg`, `jpeg:subsampling=4:4:4`, `hfd:decoder=flow,steps=8`, `command:enc="cjxl {in} {out} -q {q}",dec="…"`, and
`./my_codec.py:MyCodec` or `./my_codec.py:MyCodec:key=value` for a codec in a Python file of yours.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from benchmark.errors import UsageError
from benchmark.pixels import Image as Image
from benchmark.registry import Registry, Spec, parse_spec


@runtime_checkable
class Codec(Protocol):
    """Two functions, and what a run must know about them.

    qualities: the codec's default qualities on its own scale, ordered from few bits to many.
    stochastic: whether `decode` depends on a seed. A deterministic codec ignores `seed`.
    A codec may have `scale: tuple[float, float, float]` besides: (lowest, highest, step) of the qualities that it
    takes, step 0 where any number between will do. Without it only `qualities` are known.
    `cpus: float` and `gpus: float` are what a worker on a cluster reserves for it.
    It may also have `estimate_bits(image, quality) -> float`, the bits that its entropy model predicts, and
    `header_bytes: int`, the bytes of a stream that the estimate leaves out: a run records them beside the real rate,
    and an audit holds one against the other.
    `taught_by: tuple[str, ...]` are the metrics that its training made small: they flatter it, and `decoders` says so.
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


ESTIMATE_SHARE, ESTIMATE_BYTES = 0.01, 16
"""An estimate of the bits may differ from the real ones by this share and these bytes, known header bytes set aside."""


CodecSpec = Spec
"""A parsed codec spec; its text labels the codec."""


ENTRY_POINTS = "hfd_benchmark.codecs"
AROUND_ANOTHER = ("bpp", "match")
"""Codecs that are made of another one, whose spec follows their name unchanged: `bpp:jpeg:subsampling=4:4:4`."""


def parse_codec_spec(text: str) -> Spec:
    """A codec spec; what follows `bpp:` and `match:` is another. Raises UsageError."""
    return parse_spec(text, "codec", AROUND_ANOTHER)


CODECS = Registry("codec", ENTRY_POINTS)
CODECS.add("jpeg", "benchmark.baselines.classical:jpeg", "JPEG (Pillow, libjpeg-turbo); subsampling=4:2:0")
CODECS.add("webp", "benchmark.baselines.classical:webp", "WebP, lossy (Pillow, libwebp); method=4")
CODECS.add("avif", "benchmark.baselines.classical:avif", "AVIF (Pillow, libavif); speed=6, subsampling=4:2:0")
CODECS.add("jxl", "benchmark.baselines.classical:jxl", "JPEG XL, lossy (pillow-jxl-plugin, libjxl); effort=7")
CODECS.add("jpeg2000", "benchmark.baselines.classical:jpeg2000", "JPEG 2000 (Pillow, OpenJPEG); control=bpp")
CODECS.add(
    "compressai",
    "benchmark.baselines.zoo:compressai_zoo",
    "CompressAI's zoo; model=mbt2018-mean, metric=mse, weights=FILE",
)
CODECS.add(
    "command", "benchmark.baselines.command:command", 'any program; enc="prog {in} {out} {q}", dec="prog {in} {out}"'
)
CODECS.add(
    "mse", "benchmark.baselines.mse:mse", "the first stage of HFD alone: an autoencoder trained for rate and MSE"
)
CODECS.add("hfd", "benchmark.hfd.codec:hfd", "HFD: the bits of mse, decoded by a generative model; decoder=one-step")
CODECS.add(
    "hific", "benchmark.baselines.hific.codec:hific", "HiFiC, the paper's own model; needs its weights: weights=FILE"
)
CODECS.add(
    "hific-small",
    "benchmark.baselines.hific_small.codec:hific_small",
    "the bits of mse, decoded by a generator of a GAN",
)
CODECS.add(
    "bpp",
    "benchmark.baselines.target:at_bpp",
    "bpp:SPEC, another codec whose quality is the bits per pixel to come near",
)
CODECS.add(
    "match",
    "benchmark.baselines.target:matching",
    "match:SPEC~REFERENCE, as many bits as REFERENCE spends on each picture",
)
CODECS.with_installed()


REQUIRED = ("qualities", "stochastic", "encode", "decode", "describe")
"""What each codec has."""


def open_codec(spec: Spec | str, device: str = "cpu") -> Codec:
    """The codec that `spec` names, with its settings.

    An entry of CODECS, like the attribute of a Python file, is a function or class `make(**settings) -> Codec`, which
    gets `device: str` besides if it has a parameter of that name. Raises UsageError on an unknown codec or setting,
    BenchmarkError if a file or package cannot be imported or gives no codec.
    """
    parsed = parse_codec_spec(spec) if isinstance(spec, str) else spec
    codec: Codec = CODECS.make(parsed, {"device": device})
    if lacking := [name for name in REQUIRED if not hasattr(codec, name)]:
        raise UsageError(f"codec {parsed.name}: no codec, it has no {', '.join(lacking)}")
    if parsed.file is None:
        return codec
    return _CodecOfFile(codec, hashlib.sha256(parsed.file.read_bytes()).hexdigest())


class _CodecOfFile:
    """A codec from a Python file; its description also has the file's hash, so that runs of two versions stay apart."""

    def __init__(self, codec: Codec, sha256: str) -> None:
        self._codec, self._sha256 = codec, sha256
        self.qualities, self.stochastic = tuple(codec.qualities), codec.stochastic
        self.encode, self.decode = codec.encode, codec.decode
        for optional in ("scale", "estimate_bits", "header_bytes", "cpus", "gpus", "taught_by"):
            if hasattr(codec, optional):
                setattr(self, optional, getattr(codec, optional))

    def describe(self) -> dict[str, Any]:
        return {**self._codec.describe(), "file_sha256": self._sha256}


def quality_grid(codec: Codec) -> tuple[float, float, float] | tuple[float, ...]:
    """`codec.scale` if it has one, else its qualities."""
    return tuple(getattr(codec, "scale", codec.qualities))


def reject_unknown(codec: str, settings: Mapping[str, str], known: Mapping[str, str]) -> None:
    """Raises UsageError if `settings` has a key that is not in `known` (key: what it may be)."""
    for key in settings:
        if key not in known:
            there = ", ".join(f"{k} ({v})" for k, v in known.items()) or "none"
            raise UsageError(f"{codec} has no setting {key!r}; its settings: {there}")
