"""The score-based decoders of `hfd`: the table of the kinds, and one file for each.

A kind's file has its algorithm, its sampler with the settings that a codec spec can give, its training, and a `DECODER`
that says what is what (see `decoder.Decoder`). A new kind is such a file and a line in KINDS; the codec, its streams,
`train NAME`, `train export` and `list codecs --details` take it from there. The table imports no torch.
"""

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmark.hfd.decoders.decoder import Decoder


@dataclass(frozen=True)
class Kind:
    """A kind of decoder. code: its number in streams, 1 to 15, for ever. summary: a line about its training."""

    name: str
    code: int
    summary: str

    def load(self) -> "Decoder":
        """What its file says; imports it, and torch."""
        module = importlib.import_module(f"benchmark.hfd.decoders.{self.name.replace('-', '_')}")
        decoder: Decoder = module.DECODER
        return decoder

    def shipped_file(self, base: str = "autoencoder") -> str:
        """Name of the weights file that comes with the suite, for a base that has one."""
        return f"{self.name}-small.safetensors" if base == "autoencoder" else f"{self.name}-{base}-small.safetensors"


KINDS = {
    kind.name: kind
    for kind in (
        Kind("one-step", 4, "The one-step decoder: energy scores of patches, bands and LPIPS's maps."),
        Kind("diffusion", 2, "The diffusion decoder: v-prediction on the residual; it can begin with a flow."),
        Kind("flow", 1, "The rectified-flow decoder: flow matching on the residual."),
        Kind("energy", 5, "The diffusion whose every step samples: the one-step decoder's scores at all times."),
    )
}
"""The first is the default. The codes 0 and 3 are those of `mse` and `hific-small`."""
