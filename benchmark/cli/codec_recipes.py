"""python -m benchmark recipes: other people's codecs in environments of their own."""

from typing import Annotated

import typer

PHOTO = "budgie-oakland-zoo-otters.png"
"""Of the photographs that come with the suite."""

recipes = typer.Typer(
    help="Other people's codecs, each in a Python environment of its own: what to install, and whether it works.",
    no_args_is_help=True,
)


@recipes.command("list")
def list_recipes() -> None:
    """List the recipes: name, codec, what its bits are, environment, and whether it was run here."""
    from benchmark.baselines.recipes import names, recipe

    found = [(one.name, one.title, one.bits, f"Python {one.python}", one.status) for one in map(recipe, names())]
    widths = [max(len(row[i]) for row in found) for i in range(len(found[0]))]
    for row in found:
        typer.echo("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


@recipes.command()
def check(
    name: Annotated[str, typer.Argument(help="Name of the recipe.", show_default=False)],
    python: Annotated[
        str, typer.Option(help="An interpreter, or the command that starts one.", metavar="PYTHON", show_default=False)
    ] = "",
    setting: Annotated[
        list[str] | None, typer.Option(help="Setting of the codec; may be repeated.", metavar="KEY=VALUE")
    ] = None,
    quality: Annotated[
        float | None, typer.Option(help="Quality to encode at. Default: the codec's lowest.", show_default=False)
    ] = None,
    size: Annotated[int, typer.Option(min=16, max=4096, help="Sides of the image in pixels.")] = 256,
    device: Annotated[str, typer.Option(help="cpu, cuda, …")] = "cpu",
) -> None:
    """Check that a codec works there: encode a small image, decode it in another process, say what is missing."""
    from benchmark.baselines.recipes import environment, recipe
    from benchmark.baselines.recipes.check import check as checked
    from benchmark.baselines.recipes.check import settings_of
    from benchmark.datasets.shipped import FOLDER
    from benchmark.errors import UsageError
    from benchmark.images import load_image

    found = recipe(name)
    if not python:
        make, install = environment(found)
        raise UsageError(
            f"{name} needs --python, an interpreter of its own (Python {found.python}): {make} && {install}"
        )
    image = load_image(FOLDER / PHOTO, f"square{size}")
    for line in checked(found, python, settings_of(setting or [], found), image, quality, device):
        typer.echo(line)
