"""python -m benchmark crops: the same crop of codecs at about the same bits, a figure for a paper."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from benchmark.addresses import Location


def crops(
    run: Annotated[Path, typer.Argument(help="Run folder, made with --keep-reconstructions.", metavar="RUN")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The figure.", metavar="FILE.png|.pdf|.webp")],
    bpp: Annotated[
        float | None, typer.Option(min=0.001, help="Show each codec's nearest to so many bits per pixel.")
    ] = None,
    match: Annotated[
        str | None,
        typer.Option(help="Or each codec's nearest to the bits of this point on each image.", metavar="CODEC=QUALITY"),
    ] = None,
    image: Annotated[
        list[str] | None,
        typer.Option(help="Image; may be repeated, a row each. Default: the first.", metavar="NAME"),
    ] = None,
    at: Annotated[
        list[str] | None,
        typer.Option(
            help="Left and top of the crop, in pixels, for each --image in turn. Default: where there is most detail.",
            metavar="X,Y",
        ),
    ] = None,
    size: Annotated[str, typer.Option(help="Of the crop, in pixels.", metavar="WxH")] = "192x192",
    codec: Annotated[
        list[str] | None,
        typer.Option(help="Codec to show; may be repeated, in this order. Default: all.", metavar="CODEC"),
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="Of the image, under each crop. Default: the run's first.", metavar="NAME")
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option(help="A codec's name in the figure; may be repeated.", metavar="CODEC=TEXT")
    ] = None,
    columns: Annotated[int, typer.Option(min=0, help="So many crops in a line; 0 takes all of an image into one.")] = 0,
    width: Annotated[
        float | None,
        typer.Option(min=0.5, help="Inches: 3.3 for a column of a paper, 6.9 for two.", metavar="INCHES"),
    ] = None,
    font_size: Annotated[float, typer.Option(min=1, help="Of the text.", metavar="POINTS")] = 7,
    scale: Annotated[int, typer.Option(min=1, max=8, help="Of an image file: so many pixels a pixel, each way.")] = 2,
    names: Annotated[bool, typer.Option("--names/--no-names", help="Image and place above each row.")] = True,
    dataset: Annotated[
        str | None,
        typer.Option(help="Where the originals are, if not where the run found them.", metavar="NAME|FOLDER"),
    ] = None,
) -> None:
    """Draw the same crop of the original and of each codec at about the same bits, with bits and a metric under it."""
    from benchmark.cli.terminal import terminal
    from benchmark.errors import UsageError
    from benchmark.files import check_apart
    from benchmark.reports.arguments import parse_labels
    from benchmark.reports.crops import Look, Place, Point, crops_of, draw_crops
    from benchmark.results import RunFolder

    if (bpp is None) == (match is None):
        raise UsageError("one of --bpp and --match is needed")
    check_apart(output, run)
    rate = bpp if bpp is not None else Point(*_point(str(match)))
    folder = RunFolder.open(run)
    images = image or [folder.manifest.dataset.pictures[0].name]
    if at and len(at) != len(images):
        raise UsageError(f"--at: one for each --image is needed, {len(images)} and not {len(at)}")
    corners = [_pair("--at", text, ",") for text in at] if at else [None] * len(images)
    elsewhere: dict[str, Location] = {}
    if dataset is not None:
        from benchmark.datasets import open_dataset

        elsewhere = {picture.sha256: picture.path for picture in open_dataset(dataset).pictures}
    rows, notes = crops_of(
        folder,
        [Place(name, corner) for name, corner in zip(images, corners, strict=True)],
        rate,
        _pair("--size", size, "x", least=1),
        codecs=codec or (),
        metric=metric,
        labels=parse_labels(label or (), list(folder.manifest.codecs)),
        elsewhere=elsewhere,
    )
    draw_crops(rows, output, Look(width, columns, scale, font_size, names))
    for note in notes:
        terminal(stderr=True, highlight=False, soft_wrap=True).print(f"note: {note}", markup=False)
    typer.echo(output)


def _pair(option: str, text: str, between: str, least: int = 0) -> tuple[int, int]:
    from benchmark.errors import UsageError

    parts = text.split(between)
    if len(parts) == 2 and all(part.isascii() and part.isdigit() and int(part) >= least for part in parts):
        return int(parts[0]), int(parts[1])
    raise UsageError(f"{option} {text!r}: two whole numbers are needed, such as {between.join(('192', '128'))}")


def _point(text: str) -> tuple[str, float]:
    from benchmark.errors import UsageError

    codec, _, quality = text.rpartition("=")
    try:
        return codec, float(quality)
    except ValueError:
        raise UsageError(f"--match {text!r}: CODEC=QUALITY is needed") from None
