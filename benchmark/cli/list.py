"""python -m benchmark list: what there is, by name."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from benchmark.registry import Registry


def list_names(what: Annotated[Literal["codecs", "datasets", "metrics"], typer.Argument(help="What to list.")]) -> None:
    """List codecs, data sets or metrics, a line each."""
    registry = _registry(what)
    width = max(len(name) for name in registry)
    for name in registry:
        typer.echo(f"{name:{width}}  {registry.summary(name)}")


def _registry(what: str) -> "Registry":
    if what == "codecs":
        from benchmark.codecs import CODECS

        return CODECS
    if what == "datasets":
        from datasets import DATASETS

        return DATASETS
    from benchmark.metrics import METRICS

    return METRICS
