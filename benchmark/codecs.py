"""What a codec is, how a codec spec is written, and which codecs the suite knows.

A codec spec is a string that names a codec and its settings, and labels it in every table:
`jpeg`, `jpeg:subsampling=4:4:4`, `hfd:decoder=flow,steps=8`, `command:enc="cjxl {in} {out} -q {q}",dec="…"`, and
`./my_codec.py:MyCodec` or `./my_codec.py:MyCodec:key=value` for a codec in a Python file of yours.
"""

import hashlib
import importlib.metadata
import importlib.util
import inspect
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from benchmark.errors import BenchmarkError, UsageError
from benchmark.registry import Registry

Image = npt.NDArray[np.uint8]
"""A picture: uint8, (height, width, 3), RGB."""


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


_FILE = re.compile(r"(?P<name>[^:]*\.py:[A-Za-z_]\w*)(?P<rest>:.*)?", re.DOTALL)
_SETTING = re.compile(r'(?P<key>[A-Za-z_][\w-]*)=(?:"(?P<quoted>[^"]*)"|(?P<plain>[^",]*))(?:,|$)')


def parse_spec(text: str) -> CodecSpec:
    """`name` or `name:key=value,key="value, with comma"`. Raises UsageError that quotes the part not understood.

    name: of the registry, or `path/to/file.py:Attribute`.
    """
    name, colon, rest = text.partition(":")
    in_file = _FILE.fullmatch(text)
    if in_file is not None:
        name = in_file["name"]
        _, colon, rest = (in_file["rest"] or "").partition(":")
    elif name in AROUND_ANOTHER:
        return CodecSpec(text, name, {"spec": rest})
    elif not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name):
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


class _Codecs(Registry):
    """The suite's codecs, and those that installed packages offer in the entry-point group ENTRY_POINTS."""

    def with_installed(self) -> "_Codecs":
        """Enters what packages offer. Raises BenchmarkError if a package takes the name of another codec."""
        for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
            package = point.dist.name if point.dist is not None else "an installed package"
            try:
                self.add(point.name, point.value, f"from the package {package}")
            except ValueError as error:
                raise BenchmarkError(f"the package {package}: {error}; uninstall it or rename its codec") from None
        return self


ENTRY_POINTS = "hfd_benchmark.codecs"
AROUND_ANOTHER = ("bpp", "match")
"""Codecs that are made of another one, whose spec follows their name unchanged: `bpp:jpeg:subsampling=4:4:4`."""

CODECS = _Codecs("codec")
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


def open_codec(spec: CodecSpec | str, device: str = "cpu") -> Codec:
    """The codec that `spec` names, with its settings.

    An entry of CODECS, like the attribute of a Python file, is a function or class `make(**settings: str) -> Codec`,
    which gets `device: str` besides if it has a parameter of that name. Raises UsageError on an unknown codec or
    setting, BenchmarkError if a file or package cannot be imported or gives no codec.
    """
    parsed = parse_spec(spec) if isinstance(spec, str) else spec
    in_file = _FILE.fullmatch(parsed.name)
    try:
        make = CODECS.load(parsed.name) if in_file is None else _from_file(parsed.name)
    except (ImportError, AttributeError) as error:
        raise BenchmarkError(f"codec {parsed.name}: cannot be imported: {_line(error)}") from error
    codec = _made(make, parsed, device)
    if in_file is None:
        return codec
    return _CodecOfFile(codec, hashlib.sha256(_file_of(parsed.name).read_bytes()).hexdigest())


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


def _file_of(name: str) -> Path:
    return Path(name.rpartition(":")[0]).expanduser()


def _from_file(name: str) -> Callable[..., Any]:
    """The attribute of a Python file that "path.py:Attribute" names. The file is executed. Raises BenchmarkError."""
    path, attribute = _file_of(name), name.rpartition(":")[2]
    if not path.is_file():
        raise UsageError(f"codec {name}: there is no file {path}")
    module_name = f"codec_of_file_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]}"
    module = sys.modules.get(module_name)
    if module is None:
        found = importlib.util.spec_from_file_location(module_name, path)
        assert found is not None
        assert found.loader is not None
        module = importlib.util.module_from_spec(found)
        sys.modules[module_name] = module  # dataclasses and pickle look their module up
        try:
            found.loader.exec_module(module)
        except Exception as error:
            del sys.modules[module_name]
            raise BenchmarkError(f"codec {name}: the file cannot be run: {_line(error)}") from error
    if not hasattr(module, attribute):
        raise UsageError(f"codec {name}: {path} has no {attribute}")
    make: Callable[..., Any] = getattr(module, attribute)
    return make


def _made(make: Callable[..., Any], spec: CodecSpec, device: str) -> Codec:
    """What `make` gives for the settings of `spec`. Raises UsageError if it does not take them, or gives no codec."""
    if not callable(make):
        raise UsageError(f"codec {spec.name}: {make!r} is neither a class nor a function")
    parameters = inspect.signature(make).parameters.values()
    named = {parameter.name for parameter in parameters if parameter.kind not in (parameter.VAR_KEYWORD,)}
    any_name = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    unknown = [key for key in spec.settings if key == "device" or (key not in named and not any_name)]
    if unknown:
        there = ", ".join(sorted(named - {"device"})) or "none"
        raise UsageError(f"codec {spec.name} has no setting {unknown[0]!r}; its settings: {there}")
    options = {"device": device} if "device" in named else {}
    try:
        codec = make(**options, **spec.settings)
    except BenchmarkError:
        raise
    except Exception as error:
        raise BenchmarkError(f"codec {spec.text}: cannot be opened: {_line(error)}") from error
    lacking = [name for name in ("qualities", "stochastic", "encode", "decode", "describe") if not hasattr(codec, name)]
    if lacking:
        raise UsageError(f"codec {spec.name}: no codec, it has no {', '.join(lacking)}")
    opened: Codec = codec
    return opened


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": ")


def reject_unknown(codec: str, settings: Mapping[str, str], known: Mapping[str, str]) -> None:
    """Raises UsageError if `settings` has a key that is not in `known` (key: what it may be)."""
    for key in settings:
        if key not in known:
            there = ", ".join(f"{k} ({v})" for k, v in known.items()) or "none"
            raise UsageError(f"{codec} has no setting {key!r}; its settings: {there}")
