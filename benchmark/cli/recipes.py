"""Commands of trainings, built from what is annotated: the recipe's fields and the keywords of the function."""

import importlib
import inspect
import typing
from collections.abc import Callable
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from benchmark.registry import described, limits

Threads = Annotated[int, typer.Option(min=0, help="CPU threads; 0: as torch chooses")]

FOLDERS = Annotated[
    list[Path], typer.Argument(help="folders of training images", metavar="FOLDER...", show_default=False)
]
OUTPUT = "folder of the training: log, checks, checkpoints, weights"
OPTIONS: dict[str, Any] = {
    "model": Annotated[Literal["small", "paper"], typer.Option(help="the shipped size, or the full size")],
    "unet": Annotated[
        Literal["small", "medium", "large", "paper"] | None,
        typer.Option(help="the U-Net's size, if another than the model's"),
    ],
    "base": Annotated[str, typer.Option(help="what it decodes: autoencoder, jpeg, avif", metavar="BASE")],
    "first_stage": Annotated[
        Path | None, typer.Option(help="weights of the autoencoder; default: the shipped, of the full size none")
    ],
    "start": Annotated[
        Path | None,
        typer.Option(
            "--from", help="begin with these weights: an earlier training's averaged.safetensors, or a weights file"
        ),
    ],
    "levels_below": Annotated[
        int, typer.Option(min=0, help="levels that are added below the lowest of --from, as far apart in log λ")
    ],
    "sampling_steps": Annotated[int, typer.Option(min=1, help="default of the weights file: steps of the sampler")],
    "target": Annotated[
        str, typer.Option(help="bits per pixel to keep to: low (0.14), med (0.30), high (0.45), or a number")
    ],
    "width": Annotated[float, typer.Option(min=0.01, max=1, help="of all channels; 1 is the paper's model")],
    "seed": Annotated[int, typer.Option(min=0, help="of crops, qualities and noise")],
}
"""Keyword of a function that makes a training -> its option."""


def recipe_command(name: str, place: str, summary: str) -> Any:
    """The command `train NAME`, click's. place: "module:attribute" of its `TrainingCommand`; imports torch."""
    from benchmark.fetching import cache_folder

    module, _, path = place.partition(":")
    attribute, _, key = path.partition(".")
    described_as = getattr(importlib.import_module(module), attribute)
    training = described_as[key] if key else described_as
    keywords = _keywords(training.make, training.without)
    options = {field.name: field for field in fields(training.recipe) if described(_hint(training.recipe, field.name))}

    def run(folders: list[Path], output: Path | None, threads: int, **values: Any) -> None:
        use_threads(threads)
        said = {key: values[key] for key in options if values[key] is not None}
        if values.get("model") == "paper":
            said = {**training.full_size, **said}
        recipe = training.recipe(**{key: tuple(v) if isinstance(v, list) else v for key, v in said.items()})
        chosen = {key: values[key] for key in keywords}
        training.make(folders, output, cache_folder() / "training", recipe, **chosen)

    parameters = [
        _parameter("folders", FOLDERS, inspect.Parameter.empty),
        _parameter("output", Annotated[Path | None, typer.Option(help=OUTPUT)], training.output),
        *(_parameter(key, OPTIONS[key], default) for key, default in keywords.items()),
        *(_option(training.recipe, key, training.full_size.get(key)) for key in options),
        _parameter("threads", Threads, 0),
    ]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    accelerated = (
        f"On a GPU if there is one; on several with `accelerate launch --multi_gpu -m benchmark train {name} …`."
    )
    text = "\n\n".join(part for part in (summary, training.notes, accelerated) if part)
    app.command(name, help=text, short_help=summary)(run)
    return typer.main.get_command(app)


def use_threads(threads: int) -> None:
    """Sets torch's CPU threads; 0 leaves them."""
    if threads:
        import torch

        torch.set_num_threads(threads)


def _keywords(make: Callable[..., None], without: tuple[str, ...]) -> dict[str, Any]:
    """The keyword-only parameters of `make` and their defaults."""
    parameters = inspect.signature(make).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY and p.name not in without}


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _option(recipe: type, name: str, full_size: Any) -> inspect.Parameter:
    """The option of a field. Without the default: whether it was said decides between that and the full size's."""
    hint = _hint(recipe, name)
    kind, bounds = limits(hint)
    default = next(field.default for field in fields(recipe) if field.name == name)
    assert default is not MISSING, f"{recipe.__name__}.{name} has no default"
    text = described(hint)
    option: dict[str, Any] = {"min": bounds.get("ge"), "max": bounds.get("le")}
    if kind is bool:
        return _parameter(name, Annotated[bool, typer.Option(f"--{name.replace('_', '-')}", help=text)], default)
    if typing.get_origin(kind) is tuple:
        kind, bounds = limits(typing.get_args(kind)[0])
        option = {"min": bounds.get("ge"), "max": bounds.get("le")}
        shown = ", ".join(map(str, default)) or "none"
        kind, text = list[kind], f"{text}; repeatable; default {shown}"  # type: ignore[valid-type]
    else:
        text = f"{text}; default {default}" + (f", with --model paper {full_size}" if full_size is not None else "")
    return _parameter(name, Annotated[kind | None, typer.Option(help=text, show_default=False, **option)], None)


def _hint(recipe: type, name: str) -> Any:
    return typing.get_type_hints(recipe, include_extras=True)[name]
