"""CompressAI's zoo: the learned codecs of `compressai.zoo.image_models`, as real byte strings.

| bytes | field |
| --- | --- |
| 3 | magic `CAI` |
| 1 | version (high four bits) and architecture (low four, its place in ARCHITECTURES; 15: another one) |
| 1 | quality |
| 2 + 2 | height and width, big-endian |
| 4 | identity of the weights |
| 4 | kind of machine that encoded |
| 4 | length of the first string; of each but the last where there are more; absent where there is one only |
| n | CompressAI's strings: ŷ, then ẑ |
| 4 | CRC-32 of everything before |

CompressAI computes the entropy parameters in floats. A device, CPU or version of torch that rounds otherwise than the
encoder's decodes garbage without notice (CompressAI, issues 279 and 309), so another kind of machine is refused. Each
image is coded on one thread, so that the number of threads is no such difference.

A version of CompressAI that has more architectures than ARCHITECTURES brings them by itself, with weights of a file:
their classes read the widths from the weights. The identity of the weights tells them apart in streams.
"""

import hashlib
import inspect
import re
import struct
import urllib.error
import warnings
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast, get_args

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from benchmark.baselines.layout import Layout, layout_of
from benchmark.codecs import Image
from benchmark.compatibility import STREAMS, newer_stream
from benchmark.errors import BenchmarkError, CorruptStream, UsageError, one_line
from benchmark.fetching import file_sha256
from benchmark.files import expanded
from benchmark.hfd.deterministic import repeatable
from benchmark.hfd.machine import describe_machine, machine_fingerprint
from benchmark.hfd.memory import Memory, require_memory
from benchmark.hfd.rans import guarded, least_bits, require_bits

with warnings.catch_warnings():
    warnings.simplefilter("ignore", FutureWarning)  # of torch, about the way in which CompressAI compiles functions
    import compressai
    from compressai.entropy_models.entropy_models_vbr import EntropyBottleneckVbr
    from compressai.zoo import image as fixed_rate
    from compressai.zoo import image_models
    from compressai.zoo import image_vbr as variable_rate
    from compressai.zoo.pretrained import load_pretrained

Architecture = Literal[
    "bmshj2018-factorized",
    "bmshj2018-factorized-relu",
    "bmshj2018-hyperprior",
    "mbt2018-mean",
    "mbt2018",
    "cheng2020-anchor",
    "cheng2020-attn",
    "bmshj2018-hyperprior-vbr",
    "mbt2018-mean-vbr",
    "mbt2018-vbr",
]
ARCHITECTURES: tuple[str, ...] = get_args(Architecture)
"""Their places are written into streams: new ones go to the end."""
NEWER: tuple[str, ...] = tuple(name for name in image_models if name not in ARCHITECTURES)
"""What the installed version of CompressAI has besides."""
ANOTHER = 15
"""In streams, instead of a place."""
NEWER_FACTOR = 128
"""Sides are padded to multiples of it: the largest step of TCM and its kind are windows of 4 latents of 32 pixels."""
NEWER_CHANNELS = 512
"""More than any of them has for its latents, to bound how far a forged string is read."""

if TYPE_CHECKING:
    Model = str
else:
    Model = Literal[(*ARCHITECTURES, *NEWER)]

Metric = Literal["mse", "ms-ssim"]
VBR_LEVELS = 8
MOST_QUALITIES = 99
"""Files of a newer model with {q} in their name that are looked for; the zoo has no table of its qualities."""
MAGIC, VERSION = b"CAI", 1
HEADER = struct.Struct(">3sBBHH4s4s")
MAX_SIDE, MAX_PIXELS = 65_535, 2**27
LATENT_STRIDE = 16
"""Pixels per latent of all of them, in each direction."""
MEMORY = Memory(900, 0)
"""Of any of ARCHITECTURES. `pytest -m slow -k memory_of_the_zoo` measures the widest. Newer ones take no less."""


class ZooCodec:
    """One architecture of the zoo at all its qualities; a network is loaded when its quality is first asked for."""

    stochastic = False

    def __init__(self, model: str, metric: str, weights: str | None, qualities: tuple[int, ...], device: str) -> None:
        self.model, self.metric, self.weights = model, metric, weights
        self.qualities: tuple[float, ...] = tuple(map(float, qualities))
        self.device = torch.device(device)
        self._networks: dict[int, tuple[Any, str]] = {}
        self._layouts: dict[int, Layout] = {}
        self._ready_for: dict[int, int] = {}

    @property
    def scale(self) -> tuple[float, float, float]:
        """(lowest, highest, step) of the quality."""
        return self.qualities[0], self.qualities[-1], 1

    @property
    def varies(self) -> bool:
        """Whether one network has all qualities."""
        return self.model.endswith("-vbr")

    @property
    def place(self) -> int:
        """The architecture's number in streams."""
        return ARCHITECTURES.index(self.model) if self.model in ARCHITECTURES else ANOTHER

    def encode(self, image: Image, quality: float) -> bytes:
        """Container and strings. Raises UsageError on a quality that the model does not have."""
        if quality not in self.qualities:
            there = ", ".join(f"{known:g}" for known in self.qualities)
            raise UsageError(f"compressai {self.model}: quality {quality:g} is none of {there}")
        height, width = image.shape[:2]
        if max(height, width) > MAX_SIDE or height * width > MAX_PIXELS:
            raise BenchmarkError(
                f"compressai: {width}x{height} pixels; sides up to {MAX_SIDE}, {MAX_PIXELS // 10**6} megapixels in all"
            )
        level = int(quality)
        network, identity = self._network(level)
        with torch.no_grad(), repeatable():
            coded = network.compress(_padded(image, self._factor(network), self.device), **self._arguments(level))
        if self.place == ANOTHER:
            strings = self._layout(level).packed(coded["strings"])
        else:
            *first, last = [bytes(string) for (string,) in coded["strings"]]
            strings = b"".join(struct.pack(">I", len(string)) for string in first) + b"".join([*first, last])
        kind = machine_kind(self.device)
        architecture = VERSION << 4 | self.place
        head = HEADER.pack(MAGIC, architecture, level, height, width, bytes.fromhex(identity)[:4], kind)
        body = head + strings
        return body + struct.pack(">I", zlib.crc32(body))

    def decode(self, data: bytes, seed: int | None = None) -> Image:
        """The image.

        Raises CorruptStream on a damaged stream, and on one of another architecture, other weights or another machine.
        """
        level, height, width, identity, body = self._unpacked(data)
        network, own = self._network(level)
        if bytes.fromhex(own)[:4] != identity:
            raise CorruptStream("compressai: the stream was written with other weights than the decoder has")
        factor = self._factor(network)
        padded = factor * -(-height // factor), factor * -(-width // factor)
        require_memory(*padded, MEMORY)
        try:
            with torch.no_grad(), repeatable():
                decoded = network.decompress(*self._coded(network, body, padded, level), **self._arguments(level))
        except (RuntimeError, ValueError, IndexError, AssertionError) as error:
            raise CorruptStream(f"compressai: the stream cannot be decoded: {one_line(error)}") from error
        x_hat = decoded["x_hat"][0, :, :height, :width]
        if not bool(torch.isfinite(x_hat).all()):
            raise CorruptStream("compressai: the stream decodes to an image that is not finite")
        picture = x_hat.clamp(0, 1).mul(255).round().to(torch.uint8)
        return cast(Image, np.ascontiguousarray(picture.permute(1, 2, 0).cpu().numpy()))

    def _coded(self, network: Any, body: bytes, padded: tuple[int, int], level: int) -> tuple[Any, Any]:
        """What the network decompresses: its strings, made safe to read, and shape. Raises CorruptStream."""
        latents = padded[0] * padded[1] // LATENT_STRIDE**2  # of the finest; hyper-latents are fewer
        if self.place == ANOTHER:
            layout = self._layout(level)
            parts = [guarded(string, NEWER_CHANNELS * latents) for string in layout.unpacked(body)]
            return layout.nested(parts), layout.shape_of(*padded)
        strings = [body]
        if self.model not in ARCHITECTURES[:2]:
            if len(body) < 4:
                raise CorruptStream("compressai: the stream's header is truncated")
            length = int.from_bytes(body[:4], "big")
            if length > len(body) - 4:
                raise CorruptStream(f"compressai: a string of {length} bytes in {len(body) - 4}")
            strings = [body[4 : 4 + length], body[4 + length :]]
        shape = torch.Size([side // network.downsampling_factor for side in padded])
        table = network.entropy_bottleneck._quantized_cdf  # of the last string, or of the only one
        require_bits(strings[-1], least_bits(table.diff(dim=1).amax(1).tolist()) * shape.numel())
        symbols = max(network.N, network.M) * latents
        return [[guarded(string, symbols)] for string in strings], shape

    def describe(self) -> dict[str, Any]:
        """Architecture, metric, CompressAI's version, and the hash of the weights of each quality.

        Loads every network, so that a run has its weights before it begins.
        """
        return {
            "model": self.model,
            "metric": self.metric,
            "compressai": compressai.__version__,
            "machine": machine_kind(self.device).hex(),
            "weights": {f"{quality:g}": self._network(int(quality))[1] for quality in self.qualities},
        }

    def _unpacked(self, data: bytes) -> tuple[int, int, int, bytes, bytes]:
        """(quality, height, width, identity of the weights, lengths and strings)."""
        if data[:3] != MAGIC:
            raise CorruptStream("compressai: this is no stream of compressai, it does not begin with 'CAI'")
        if len(data) < HEADER.size + 4 or zlib.crc32(data[:-4]) != int.from_bytes(data[-4:], "big"):
            raise CorruptStream("compressai: the stream is damaged or truncated, its CRC-32 does not fit")
        _, architecture, level, height, width, identity, kind = HEADER.unpack(data[: HEADER.size])
        if architecture >> 4 not in STREAMS[MAGIC]:
            raise CorruptStream(f"compressai: {newer_stream(MAGIC, architecture >> 4)}")
        if (place := architecture & 15) != self.place:
            if place >= len(ARCHITECTURES):
                raise CorruptStream(f"compressai: the stream is of a model that is none of {', '.join(ARCHITECTURES)}")
            name = ARCHITECTURES[place]
            raise CorruptStream(f"compressai: the stream is one of {name}; compressai:model={name} decodes it")
        if not height or not width or height * width > MAX_PIXELS:
            raise CorruptStream(f"compressai: an image of {width}x{height}, which no encoder writes")
        if level not in self.qualities:
            raise CorruptStream(f"compressai: a stream of quality {level}, which {self.model} does not have")
        own = machine_kind(self.device)
        if kind != own:
            raise CorruptStream(
                f"compressai: the stream was made on another kind of machine ({kind.hex()}) than this one "
                f"({own.hex()}: {self.device.type}, {describe_machine()}); its entropy parameters are floats, and one "
                "that is rounded otherwise makes garbage of the rest"
            )
        return level, height, width, identity, data[HEADER.size : -4]

    def _network(self, level: int) -> tuple[Any, str]:
        """The network for a quality, and the hash of its weights."""
        place = 0 if self.varies else level
        if place not in self._networks:
            network = self._downloaded(level) if self.weights is None else self._of_file(level)
            network = network.to(self.device).eval()
            identity = _identity(network, "" if self.place != ANOTHER else self.model)
            network.update(force=True)
            self._networks[place] = network, identity
        network, identity = self._networks[place]
        if (
            isinstance(getattr(network, "entropy_bottleneck", None), EntropyBottleneckVbr)
            and self._ready_for.get(place) != level
        ):
            network.update(force=True, scale=network.Gain[level - 1].detach().abs())  # tables of one gain at a time
            self._ready_for[place] = level
        return network, identity

    def _factor(self, network: Any) -> int:
        """Sides of images are padded to multiples of it."""
        return NEWER_FACTOR if self.place == ANOTHER else network.downsampling_factor

    def _layout(self, level: int) -> Layout:
        if level not in self._layouts:
            with repeatable():
                self._layouts[level] = layout_of(self._network(level)[0], self.device)
        return self._layouts[level]

    def _arguments(self, level: int) -> dict[str, Any]:
        return {"stage": 2, "s": level - 1} if self.varies else {}

    def _downloaded(self, level: int) -> Any:
        """The published network, which torch keeps in its cache. Raises BenchmarkError that says where it belongs."""
        url = published(self.model, self.metric).get(0 if self.varies else level)
        assert url is not None
        place = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
        # Before it is unpickled: CompressAI does not look at the hash that the name ends with.
        prefix = hash_in_name(place.name)
        try:
            if prefix and not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                torch.hub.download_url_to_file(url, str(place), prefix, progress=False)
            if prefix and not file_sha256(place).startswith(prefix):
                raise BenchmarkError(
                    f"{place}: not the file that {url} names, by its SHA-256; remove it, or name another"
                )
            return image_models[self.model](quality=level, metric=self.metric, pretrained=True, progress=False)
        except (urllib.error.URLError, OSError, RuntimeError) as error:
            raise BenchmarkError(
                f"compressai {self.model}, quality {level}: {url} cannot be had ({one_line(error)}); "
                f"if you can get it elsewhere, put it here: {place}, or name it with weights=FILE"
            ) from error

    def _of_file(self, level: int) -> Any:
        path = expanded(str(self.weights).replace("{q}", str(level)))
        if not path.is_file():
            raise UsageError(f"compressai: weights={self.weights}: there is no file {path}")
        try:
            return _from_state(self.model, load_pretrained(state_of(path)))
        except (
            Exception
        ) as error:  # torch.load and load_state_dict raise whatever a foreign file makes them stumble over
            raise BenchmarkError(
                f"compressai: {path} holds no weights of {self.model}: {one_line(error)[:200]}"
            ) from error


def machine_kind(device: torch.device) -> bytes:
    """Four bytes that name the kind of machine and, if the networks run there, of GPU."""
    if device.type != "cuda":
        return machine_fingerprint()
    gpu = f"{torch.cuda.get_device_name(device)} {torch.backends.cudnn.version()}"
    return hashlib.sha256(machine_fingerprint() + gpu.encode()).digest()[:4]


def hash_in_name(name: str) -> str:
    """The eight digits of the SHA-256 that the name of a published file ends with, "" if it has none."""
    found = re.search(r"-([a-f0-9]{8})\.", name)
    return found[1] if found else ""


def published(model: str, metric: str) -> Mapping[int, str]:
    """Quality -> address of the published weights; {0: address} for a model that has all qualities in one network."""
    if model.endswith("-vbr"):
        url = variable_rate.model_urls.get(model, {}).get(metric)
        return {} if url is None else {0: url}
    urls: Mapping[int, str] = fixed_rate.model_urls.get(model, {}).get(metric, {})
    return urls


def compressai_zoo(
    device: str = "cpu",
    model: Annotated[Model, Field(description="network of the installed version's zoo")] = "mbt2018-mean",
    metric: Annotated[Metric, Field(description="what the published weights were trained for")] = "mse",
    weights: Annotated[str | None, Field(description="a file; {q} stands for the quality")] = None,
    quality: Annotated[int | None, Field(ge=0, le=99, description="the one of a file without {q}; 1 if unsaid")] = None,
) -> ZooCodec:
    """CompressAI's published weights, which it downloads itself, or weights of a file.

    A file without {q} serves one quality, unless it is a variable-rate model's. Raises UsageError on settings that do
    nothing, and on a model that has no published weights unless `weights` is there.
    """
    if quality is not None and (weights is None or "{q}" in weights or model.endswith("-vbr")):
        raise UsageError("codec compressai: quality= goes with weights=FILE of a single quality")
    if model.endswith("-vbr"):
        qualities = tuple(range(1, VBR_LEVELS + 1))
    else:
        of_the_zoo = fixed_rate.cfgs.get(model, fixed_rate.cfgs["bmshj2018-factorized"])
        qualities = tuple(sorted(of_the_zoo))
        if model in NEWER:
            qualities = tuple(sorted(published(model, metric))) if weights is None else tuple(range(MOST_QUALITIES + 1))
    if weights is not None and "{q}" in weights:
        qualities = tuple(q for q in qualities if expanded(weights.replace("{q}", str(q))).is_file())
        if not qualities:
            raise UsageError(f"codec compressai: weights={weights}: there is no such file for any quality")
    elif weights is not None and not model.endswith("-vbr"):
        qualities = (1 if quality is None else quality,)
    elif weights is None and not published(model, metric):
        raise UsageError(f"codec compressai: {model} has no published weights for {metric}; name yours: weights=FILE")
    if torch.device(device).type not in ("cpu", "cuda"):
        raise UsageError(f"codec compressai: device {device} is neither cpu nor cuda")
    return ZooCodec(model, metric, weights, qualities, device)


def state_of(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint of a training or of a bare state dict, by name.

    They stand at the top, or below "state_dict", "model_state_dict" or "model". Names begin with "module." if the
    training was in parallel, and with "_orig_mod." if the network was compiled: both are removed. Raises whatever torch
    does on a file that is none.
    """
    found = torch.load(path, map_location="cpu", weights_only=True)
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(found.get(key), Mapping):
            found = found[key]
            break
    state = {}
    for name, tensor in found.items():
        while name.startswith(("module.", "_orig_mod.")):
            name = name.removeprefix("module.").removeprefix("_orig_mod.")
        state[name] = tensor
    return state


def _from_state(model: str, state: dict[str, Tensor]) -> Any:
    """The network that has the weights `state`; its widths follow from them."""
    if model in variable_rate.model_architectures:
        kind = variable_rate.model_architectures[model]
        if model == "mbt2018-vbr":
            return kind.from_state_dict(state)
        return kind.from_state_dict(state, vr_entbttlnck=any(key.startswith("gayn2zqstep") for key in state))
    if model in NEWER:
        return _class_of(model).from_state_dict(state)
    # The zoo's own table spells the name of this one with underscores.
    names = {"bmshj2018-factorized-relu": "bmshj2018_factorized_relu"}
    return fixed_rate.model_architectures[names.get(model, model)].from_state_dict(state)


def _class_of(model: str) -> Any:
    """The class of a newer model: of the zoo's table, or that of the network which its function makes."""
    if model in fixed_rate.model_architectures:
        return fixed_rate.model_architectures[model]
    make = image_models[model]
    takes = inspect.signature(make).parameters
    return type(make(**({"quality": 1} if "quality" in takes else {}), pretrained=False))


def _identity(network: torch.nn.Module, model: str) -> str:
    """SHA-256 over the model's name, if it is not in the header, and the trained numbers.

    The tables for the entropy coder follow from them.
    """
    digest = hashlib.sha256(model.encode())
    for name, parameter in sorted(network.named_parameters()):
        digest.update(f"{name} {tuple(parameter.shape)}".encode())
        digest.update(parameter.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _padded(image: Image, factor: int, device: torch.device) -> Tensor:
    """float32 (1, 3, H', W') in [0, 1]; the last row and column are repeated up to multiples of `factor`."""
    height, width = image.shape[:2]
    picture = torch.from_numpy(np.ascontiguousarray(image)).to(device).permute(2, 0, 1)[None].float() / 255
    return F.pad(picture, (0, -width % factor, 0, -height % factor), mode="replicate")
