"""python -m benchmark decode: a codec's bytes to a PNG."""

from pathlib import Path
from typing import Annotated

import typer


def decode(
    data: Annotated[Path, typer.Argument(help="File that encode wrote.", metavar="IN")],
    output: Annotated[Path, typer.Argument(help="PNG file for the image.", metavar="OUT")],
    codec: Annotated[
        str | None,
        typer.Option(help="Codec spec, for other decoder settings. Default: what the file says.", metavar="SPEC"),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of a stochastic decoder. Default: the file's.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, …")] = "cpu",
) -> None:
    """Decode a file that encode wrote."""
    from benchmark.errors import UsageError
    from benchmark.files import check_apart, is_stream
    from benchmark.images import write_png
    from benchmark.running.single import decode_file

    if output.suffix.lower() != ".png" and not is_stream(output):
        raise UsageError(f"{output}: decode writes PNG; give the output the suffix .png")
    check_apart(output, data)
    image = decode_file(data, codec, seed, device)
    write_png(output, image)
    typer.echo(f"{output}: {image.shape[1]}x{image.shape[0]}", err=True)
