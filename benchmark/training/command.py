"""What the command line must know of a training: the function that makes it, and its recipe."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class TrainingCommand:
    """A command `train NAME`.

    make: (folders of images, folder of the training, cache, recipe, **options) -> None; its keyword-only parameters are
    options, by names that `cli.recipes` knows. recipe: a dataclass; its fields that have a description are options.
    full_size: fields of the recipe whose default is another with `--model paper`. output: default folder; None leaves
    it to `make`. without: keywords of `make` that are no options of this command. notes: what its help says besides.
    """

    make: Callable[..., None]
    recipe: type
    output: Path | None
    full_size: Mapping[str, Any] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    notes: str = ""
