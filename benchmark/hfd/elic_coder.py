"""Coding with the full-size first stage: image to payload and back, on the kind of machine that wrote it.

Scale and mean of a latent are floats computed from latents decoded before. Another CPU or GPU, or another version of
torch, may round them differently; one rounded otherwise and everything after it is garbage. So a payload begins with
four bytes that say what wrote it, and a decoder of another kind refuses.
"""

import platform
import zlib
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmark.errors import BenchmarkError, CorruptStream
from benchmark.hfd.compressai_parts import BufferedRansEncoder, EntropyModel, RansDecoder
from benchmark.hfd.container import quality_of
from benchmark.hfd.deterministic import repeatable
from benchmark.hfd.elic import LATENT_STRIDE, STRIDE, CodePart, Elic
from benchmark.hfd.entropy import CdfTables, code_length
from benchmark.hfd.memory import PAPER_FIRST_STAGE, require_memory
from benchmark.hfd.rans import decoder_of, require_bits
from benchmark.hfd.transforms import in_tiles, pad_to_stride

PROCESSORS = ("another device", "a GPU", "a CPU", "a CPU with AVX2", "a CPU with AVX512")
"""What the first byte of a payload can name; the last two bytes tell the rest apart."""

TILE, OVERLAP = 64, 9
"""Side of a tile of the transforms, and how far they look beyond what they say, in latents."""

LARGEST_SYMBOL = 2**20
"""No image has such a latent."""


@dataclass(frozen=True)
class MachineKind:
    """What the floats of a network depend on.

    name: of the GPU, or the CPU's instructions and architecture; torch: (major, minor); onednn: whether torch uses it.
    """

    processor: str
    name: str
    torch: tuple[int, int]
    onednn: bool

    def as_bytes(self) -> bytes:
        """Processor and oneDNN; torch's version; CRC-32 of all of it, two bytes of four."""
        major, minor = self.torch
        digest = zlib.crc32(f"{self.processor} {self.name} {self.torch} {self.onednn}".encode()) & 0xFFFF
        first = PROCESSORS.index(self.processor) | (0x80 if self.onednn else 0)
        return bytes([first, major % 8 << 5 | minor % 32]) + digest.to_bytes(2, "big")


def machine_kind(device: torch.device) -> MachineKind:
    """The kind of machine that `device` of this process is."""
    major, minor = (int(part) for part in torch.__version__.split(".")[:2])
    onednn = bool(torch.backends.mkldnn.is_available()) and bool(torch.backends.mkldnn.enabled)
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        return MachineKind("a GPU", f"{name} {torch.backends.cudnn.version()}", (major, minor), onednn)
    if device.type == "cpu":
        capability = torch.backends.cpu.get_cpu_capability()
        processor = f"a CPU with {capability}"
        name = f"{capability} {platform.machine()}"
        return MachineKind(processor if processor in PROCESSORS else "a CPU", name, (major, minor), onednn)
    return MachineKind("another device", device.type, (major, minor), onednn)


def describe_kind(fingerprint: bytes) -> str:
    """What four bytes of `MachineKind.as_bytes` say: `a CPU with AVX512, torch 2.6, oneDNN on`."""
    place = fingerprint[0] & 0x7F
    processor = PROCESSORS[place] if place < len(PROCESSORS) else "an unknown processor"
    onednn = "on" if fingerprint[0] & 0x80 else "off"
    return f"{processor}, torch {fingerprint[1] >> 5}.{fingerprint[1] & 31}, oneDNN {onednn}"


def refuse_foreign(payload: bytes, device: torch.device) -> None:
    """Raises CorruptStream, with the reason, if `payload` was not written on this kind of machine."""
    own = machine_kind(device)
    here, written = own.as_bytes(), payload[:4]
    if len(written) < 4:
        raise CorruptStream(f"the payload is truncated: {len(payload)} bytes")
    if written == here:
        return
    this, other = describe_kind(here), describe_kind(written)
    if this == other:
        other, this = f"{other}, of another make or model", f"{this}, {own.name}"
    raise CorruptStream(
        f"the stream was written on {other}; this is {this}: the floats of the entropy model of `paper` differ between "
        "them. Decode it on the kind of machine that wrote it, or encode the image again here"
    )


class _Tables:
    """The integer distributions of a CompressAI entropy model, as its rANS coder wants them."""

    def __init__(self, model: EntropyModel) -> None:
        lengths: list[int] = model._cdf_length.tolist()
        rows = model._quantized_cdf.cpu()
        cdfs: list[list[int]] = [row[:n].tolist() for row, n in zip(rows, lengths, strict=True)]
        self.tables = CdfTables(cdfs, lengths, model._offset.tolist())

    def put(self, coder: BufferedRansEncoder, symbols: Tensor, rows: Tensor) -> float:
        """Hands `symbols` to the coder and returns the bits that they cost; rows: of the table, the same shape."""
        if not float(symbols.abs().max()) < LARGEST_SYMBOL:
            raise BenchmarkError("latents beyond what the entropy coder can write: the first stage is not trained well")
        values, places = symbols.to(torch.int32).flatten().tolist(), rows.to(torch.int32).flatten().tolist()
        tables = self.tables
        coder.encode_with_indexes(values, places, tables.cdfs, tables.lengths, tables.offsets)
        return code_length(symbols.cpu(), rows.cpu(), tables)

    def get(self, coder: RansDecoder, rows: Tensor) -> Tensor:
        """The next symbols, float32 in the shape of `rows`. Raises CorruptStream on one that no encoder writes."""
        places = rows.to(torch.int32).flatten().tolist()
        values = coder.decode_stream(places, self.tables.cdfs, self.tables.lengths, self.tables.offsets)
        symbols = torch.tensor(values, dtype=torch.float32).reshape(rows.shape)
        if not float(symbols.abs().max()) < LARGEST_SYMBOL:
            raise CorruptStream("the stream holds latents that no image has")
        return symbols


def _channels(shape: torch.Size) -> Tensor:
    """The channel's number at each place of hyper-latents (1, C, h, w)."""
    return torch.arange(shape[1])[None, :, None, None].expand(shape)


class PaperFirstStage:
    """A trained `Elic`, ready to code; the interface is that of `autoencoder.FirstStage`."""

    def __init__(self, model: Elic, device: str | torch.device = "cpu") -> None:
        self.device = torch.device(device)
        self.model = model.eval().requires_grad_(False).to(self.device)
        if model.gaussian._quantized_cdf.numel() == 0 or model.bottleneck._quantized_cdf.numel() == 0:
            raise BenchmarkError("these weights have no tables for the entropy coder; export the training again")
        self.gaussian = _Tables(model.gaussian)
        self.factorised = _Tables(model.bottleneck)

    @property
    def levels(self) -> int:
        """The highest quality."""
        return self.model.config.levels

    def _gain(self, steps: int) -> Tensor:
        return self.model.gain(torch.tensor([quality_of(steps)], device=self.device))

    @torch.no_grad()
    @repeatable()
    def encode(self, x: Tensor, steps: int) -> bytes:
        """The payload of image x (1, 3, H, W) in [-0.5, 0.5] at a quality in steps of 1/32 level."""
        return self.encode_with_bits(x, steps)[0]

    @torch.no_grad()
    @repeatable()
    def encode_with_bits(self, x: Tensor, steps: int) -> tuple[bytes, float]:
        """`encode`, and the bits that the entropy model says the payload costs: −log2 of its symbols' probabilities."""
        payload, _, bits = self._encode(x, steps)
        return payload, bits

    @torch.no_grad()
    @repeatable()
    def reconstruct(self, x: Tensor, steps: int) -> Tensor:
        """x̂ of x (1, 3, H, W) in [-0.5, 0.5], as a decoder has it after `encode`."""
        height, width = x.shape[-2:]
        return self.synthesise(self._encode(x, steps)[1] / self._gain(steps), height, width, steps)

    def _encode(self, x: Tensor, steps: int) -> tuple[bytes, Tensor, float]:
        """Payload, ŷ in quantisation steps, and the bits that its symbols cost."""
        model = self.model
        height, width = x.shape[-2:]
        require_memory(height, width, PAPER_FIRST_STAGE)
        x = pad_to_stride(x.to(self.device), STRIDE)
        y = in_tiles(model.analysis, x, LATENT_STRIDE, 1, model.config.latents, TILE, OVERLAP) * self._gain(steps)
        coder = BufferedRansEncoder()
        z = torch.round(model.network.latent_codec.hyper.h_a(y) - model.medians())
        bits = [self.factorised.put(coder, z, _channels(z.shape))]

        def code(channels: slice, places: Tensor, scale: Tensor, mean: Tensor) -> Tensor:
            symbols = torch.round(y[:, channels].flatten(2)[..., places] - mean)
            bits.append(self.gaussian.put(coder, symbols, model.gaussian.build_indexes(scale)))
            return symbols + mean

        y_hat = self._walk(z, code)
        return machine_kind(self.device).as_bytes() + coder.flush(), y_hat, sum(bits)

    @torch.no_grad()
    @repeatable()
    def decode_latents(self, payload: bytes, height: int, width: int, steps: int) -> Tensor:
        """ŷ in the units of y, (1, M, 4·⌈H/64⌉, 4·⌈W/64⌉), of a payload that `encode` wrote on this kind of machine.

        Raises CorruptStream on a payload from another kind of machine, or a damaged one, and BenchmarkError, before
        anything is allocated, if the image takes more memory than there is.
        """
        refuse_foreign(payload, self.device)
        require_memory(height, width, PAPER_FIRST_STAGE)
        model = self.model
        rows, columns = -(-height // STRIDE), -(-width // STRIDE)
        latents = model.config.latents * rows * columns * (STRIDE // LATENT_STRIDE) ** 2
        shape = torch.Size((1, model.bottleneck.channels, rows, columns))
        require_bits(payload[4:], self.factorised.tables.least_bits * rows * columns)
        coder = decoder_of(payload[4:], latents + shape.numel())
        z = self.factorised.get(coder, _channels(shape)).to(self.device)

        def code(_: slice, __: Tensor, scale: Tensor, mean: Tensor) -> Tensor:
            symbols = self.gaussian.get(coder, model.gaussian.build_indexes(scale))
            return symbols.to(self.device) + mean

        y_hat = self._walk(z, code) / self._gain(steps)
        if not bool(torch.isfinite(y_hat).all()):
            raise CorruptStream("the stream holds latents that no image has")
        return y_hat

    def _walk(self, z: Tensor, code: CodePart) -> Tensor:
        return self.model.walk(self.model.network.latent_codec.hyper.h_s(z + self.model.medians()), code)

    @torch.no_grad()
    @repeatable()
    def synthesise(self, y_hat: Tensor, height: int, width: int, steps: int) -> Tensor:
        """x̂ of ŷ, (1, 3, H, W) in [-0.5, 0.5], clamped. steps: not needed, the gain is removed already."""
        x_hat = in_tiles(self.model.synthesis, y_hat, 1, LATENT_STRIDE, 3, TILE, OVERLAP)
        return x_hat.clamp_(-0.5, 0.5)[..., :height, :width]
