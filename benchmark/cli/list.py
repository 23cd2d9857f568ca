"""python -m benchmark list: what there is, by name."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from benchmark.errors import UsageError

if TYPE_CHECKING:
    from benchmark.registry import Registry


def list_names(
    what: Annotated[Literal["codecs", "datasets", "metrics", "protocols"], typer.Argument(help="What to list.")],
    details: Annotated[
        bool,
        typer.Option(
            "--details", help="Of codecs: sizes of the networks of mse, hfd and hific-small, and the settings of all."
        ),
    ] = False,
) -> None:
    """List codecs, data sets, metrics or papers' protocols."""
    if details and what != "codecs":
        raise UsageError(f"--details belongs to `list codecs`; {what} have no networks of their own")
    if what == "protocols":
        _protocols()
        return
    registry = _registry(what)
    width = max(len(name) for name in registry)
    for name in registry:
        package = registry.lacks(name)
        typer.echo(f"{name:{width}}  {registry.summary(name)}{f' (needs {package}, not installed)' if package else ''}")
    if what == "datasets":
        _other_datasets(width)
    if details:
        typer.echo()
        _sizes()
        typer.echo()
        _settings(registry)


def _protocols() -> None:
    """Each paper's set-up, and what its source leaves open."""
    from benchmark.protocols import PROTOCOLS

    for protocol in PROTOCOLS.values():
        typer.echo(f"{protocol.name}: {protocol.title}")
        typer.echo(f"  data sets  {', '.join(protocol.datasets)}")
        typer.echo(f"  metrics    {', '.join(protocol.metrics)}")
        for dataset, metrics in protocol.metrics_on.items():
            typer.echo(f"             on {dataset}: {', '.join(metrics)}")
        typer.echo(f"  source     {protocol.source}")
        for what in protocol.left_open:
            typer.echo(f"  open       {what}")


def _other_datasets(width: int) -> None:
    """What has no name: places, functions, and preparations."""
    from benchmark.datasets import PLACES
    from benchmark.preparations import LARGEST, PREPARATIONS, SMALLEST

    behind = {f"…@{name}N": preparation.words for name, preparation in PREPARATIONS.items()}
    typer.echo()
    for name, words in (PLACES | behind).items():
        typer.echo(f"{name:{width}}  {words}")
    typer.echo(f"N is a number of pixels, {SMALLEST} to {LARGEST}: photos@crop256")


def _settings(registry: "Registry") -> None:
    """Each codec's settings: name, values, default, description. A codec that cannot be imported says so."""
    from benchmark.errors import BenchmarkError
    from benchmark.registry import settings_of

    for name in registry:
        try:
            settings = settings_of(registry.load(name), ("device", "spec"))
        except BenchmarkError as error:
            typer.echo(str(error))
            continue
        for setting in settings:
            default = f" [{setting.default}]" if setting.default else ""
            typer.echo(f"{name:12}{setting.name:13}{setting.values}{default}; {setting.description}".rstrip("; "))


def _sizes() -> None:
    from benchmark.baselines.hific_small.size import all_sizes as hific_small_sizes
    from benchmark.hfd.size import all_sizes

    sizes = all_sizes()
    typer.echo(f"{'codec':12}{'model':7}{'part':20}{'parameters':>12}{'kMAC/px':>10}")
    for size in [*sizes, *hific_small_sizes(sizes)]:
        typer.echo(f"{size.codec:12}{size.model:7}{size.part:20}{size.parameters:>12,}{size.kmac:>10.1f}")


def _registry(what: str) -> "Registry":
    if what == "codecs":
        from benchmark.codecs import CODECS

        return CODECS
    if what == "datasets":
        from benchmark.datasets import DATASETS

        return DATASETS
    from benchmark.metrics import METRICS

    return METRICS
