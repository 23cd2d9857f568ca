"""The two first stages behind one interface: `small`, whose streams any machine decodes, and `paper`, the full size."""

from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from benchmark.errors import BenchmarkError
from benchmark.hfd.autoencoder import Autoencoder, AutoencoderConfig, FirstStage
from benchmark.hfd.weights import fill, from_json, read_weights, take_architecture
from benchmark.reading import STUMBLES, brief
from benchmark.shortage import refuse_shortage


class AnyFirstStage(Protocol):
    """What a codec and the training of a decoder ask of a first stage; see `autoencoder.FirstStage`."""

    model: Any

    @property
    def levels(self) -> int:
        """The highest quality."""
        ...

    def encode(self, x: Tensor, steps: int) -> bytes:
        """The payload of image x (1, 3, H, W) in [-0.5, 0.5] at a quality in steps of 1/32 level."""
        ...

    def encode_with_bits(self, x: Tensor, steps: int) -> tuple[bytes, float]:
        """`encode`, and the bits that the entropy model says the payload costs."""
        ...

    def reconstruct(self, x: Tensor, steps: int) -> Tensor:
        """x̂ of x (1, 3, H, W) in [-0.5, 0.5], as a decoder has it after `encode`."""
        ...

    def decode_latents(self, payload: bytes, height: int, width: int, steps: int) -> Tensor:
        """ŷ of a payload that `encode` wrote for an image of that size."""
        ...

    def synthesise(self, y_hat: Tensor, height: int, width: int, steps: int) -> Tensor:
        """x̂ of ŷ, (1, 3, H, W) in [-0.5, 0.5], clamped."""
        ...


def load_first_stage(
    path: Path, device: str | torch.device = "cpu", model: str | None = None
) -> tuple[AnyFirstStage, str]:
    """The first stage in `path` and its identity. model: "small" or "paper" if it must be that, None for either.

    Raises UsageError, with both names, on a file of the other architecture; BenchmarkError on a damaged one.
    """
    tensors, configuration, identity = read_weights(path, "first stage")
    if take_architecture(path, configuration, model) == "paper":
        from benchmark.hfd.elic import Elic, ElicConfig
        from benchmark.hfd.elic_coder import PaperFirstStage

        try:
            elic = Elic(ElicConfig(**from_json(configuration)))
            fill(elic, tensors, path)
            return PaperFirstStage(elic, device), identity
        except STUMBLES as error:
            raise BenchmarkError(f"{path} is of another architecture: {brief(error)}") from error
    try:
        autoencoder = Autoencoder(AutoencoderConfig(**from_json(configuration)))
        fill(autoencoder, tensors, path)
        return FirstStage(autoencoder, device), identity
    except STUMBLES as error:  # unknown fields, or weights that have no exact form
        refuse_shortage(path, error)
        raise BenchmarkError(f"{path} is of another architecture: {brief(error)}") from error
