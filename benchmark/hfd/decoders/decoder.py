"""What the file of a kind of decoder offers to codec, training and export."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.hfd.sampling import SamplerSettings
from benchmark.hfd.score import ScoreNetwork
from benchmark.hfd.training.decoder import DecoderRecipe, DecoderTask
from benchmark.hfd.unet import UNetConfig


def begin_as_it_is(start: Path, output: Path) -> Path:
    """`start` itself: weights of the same kind."""
    return start


@dataclass(frozen=True)
class Decoder:
    """A kind of decoder, see `KINDS`.

    settings: a dataclass that samples; its annotated fields are settings of the codec. network: the untrained network
    for a U-Net, a number of levels, and the weights file's configuration or the training's description. task, recipe:
    how it is trained; the recipe's annotated fields are options of the command. begin: (weights to begin with, folder)
    -> the same, or a file in the folder with weights of another kind as weights of this one. trained_on: metrics that
    the training makes small, unless the weights say that LPIPS's maps are not in it.
    """

    settings: type[SamplerSettings]
    network: Callable[[UNetConfig, int, Mapping[str, Any]], ScoreNetwork]
    task: type[DecoderTask[Any]]
    recipe: type[DecoderRecipe]
    begin: Callable[[Path, Path], Path] = begin_as_it_is
    trained_on: tuple[str, ...] = ()


def plain_network(unet: UNetConfig, levels: int, configuration: Mapping[str, Any]) -> ScoreNetwork:
    """A network that says the diffusion's v."""
    return ScoreNetwork(unet, levels)
