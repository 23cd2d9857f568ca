"""python -m benchmark encode: an image file to a codec's bytes."""

from pathlib import Path
from typing import Annotated

import typer


def encode(
    picture: Annotated[Path, typer.Argument(help="Image file.", metavar="IN")],
    output: Annotated[Path, typer.Argument(help="File for the bytes.", metavar="OUT")],
    quality: Annotated[float, typer.Option(help="Quality on the codec's own scale.")],
    codec: Annotated[str, typer.Option(help="Codec spec.", metavar="SPEC")] = "hfd",
    device: Annotated[str, typer.Option(help="cpu, cuda, …")] = "cpu",
) -> None:
    """Code an image; the bytes alone suffice to decode it."""
    from benchmark.files import check_apart, write_file
    from benchmark.running.single import encode_picture

    check_apart(output, picture)
    data, bpp = encode_picture(picture, codec, quality, device)
    write_file(output, data)
    typer.echo(f"{output}: {len(data)} bytes, {bpp:.4f} bpp", err=True)
