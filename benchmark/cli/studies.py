"""python -m benchmark studies: questions about this suite's own decoders and numbers, a command each."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.main

from benchmark.cli.ablate import ablate
from benchmark.cli.contest import contest
from benchmark.cli.decoders import decoders
from benchmark.errors import UsageError

studies = typer.Typer(
    help="Questions about the decoders and the numbers of this suite: a table or a figure each.",
    no_args_is_help=True,
)
studies.command("ablation")(ablate)
studies.command("contest")(contest)
studies.command("decoders")(decoders)


@studies.command()
def posterior(
    codecs: Annotated[
        list[str] | None,
        typer.Argument(
            help="Specs of hfd. Default: hfd, its flow, its diffusion at realism 1, and a noise baseline.",
            metavar="[CODEC...]",
        ),
    ] = None,
    quality: Annotated[str, typer.Option(help="Qualities of the first stage.", metavar="Q,…")] = "1,3,5",
    samples: Annotated[int, typer.Option(min=2, help="Samples of each x̂.", metavar="K")] = 4,
    image: Annotated[
        list[Path] | None,
        typer.Option(
            "--image", "--picture", help="Image file; may be repeated. Default: four of photos.", metavar="FILE"
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, …")] = "cpu",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="The table as CSV; rows of one that is there stay unless they are measured anew. Default: none.",
            metavar="FILE.csv",
        ),
    ] = None,
) -> None:
    """Check whether decoders draw from the posterior: errors of x̂, of samples, of their mean, and their spread."""
    from benchmark.studies.posterior import CODECS, Checked, lines, measure

    qualities = _numbers("--quality", quality)
    specs = codecs or CODECS
    _print(lines(_kept(measure(specs, qualities, image or (), samples, device), output, Checked), specs, samples))
    if output is not None:
        typer.echo(output)


@studies.command()
def detail(
    codecs: Annotated[
        list[str] | None, typer.Argument(help="Codec specs. Default: mse hfd.", metavar="[CODEC...]")
    ] = None,
    quality: Annotated[float, typer.Option(help="Quality of each codec.")] = 1.0,
    metric: Annotated[
        str | None, typer.Option(help="A metric of sets. Default: the first that runs measure.", metavar="NAME")
    ] = None,
    dataset: Annotated[str, typer.Option(help="Data set or folder of images.", metavar="NAME|FOLDER")] = "photos",
    limit: Annotated[int, typer.Option(min=0, help="Number of images, spread over the set; 0 takes all.")] = 0,
) -> None:
    """Find which part of decoded images is far from the originals: luma or chroma, fine or coarse."""
    from benchmark.studies.detail import DEFAULT_METRIC, lines, measure

    _print(lines(measure(codecs or ("mse", "hfd"), quality, metric or DEFAULT_METRIC, dataset, limit)))


@studies.command()
def departure(
    codecs: Annotated[
        list[str] | None,
        typer.Argument(help="Codec specs. Default: upscale:by=realesrgan upscale:by=lanczos.", metavar="[CODEC...]"),
    ] = None,
    reference: Annotated[str, typer.Option(help="Whose bytes the others spend.", metavar="SPEC")] = "hfd",
    quality: Annotated[str, typer.Option(help="Qualities of the reference.", metavar="Q,…")] = "1,2",
    dataset: Annotated[str, typer.Option(help="Data set or folder of images.", metavar="NAME|FOLDER")] = "photos",
    limit: Annotated[int, typer.Option(min=0, help="Number of images, spread over the set; 0 takes all.")] = 0,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The table as CSV. Default: none.", metavar="FILE.csv")
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option(help="Crops of four images at the first quality.", metavar="FILE.png|webp")
    ] = None,
) -> None:
    """Measure by how much decoders depart from their input: the decoded image, shrunken, against what was sent."""
    from benchmark.studies.departure import CODECS, Departure, lines, measure

    qualities = _numbers("--quality", quality)
    _print(lines(_kept(measure(codecs or CODECS, qualities, reference, dataset, limit, sheet), output, Departure)))
    for path in (output, sheet):
        if path is not None:
            typer.echo(path)


@studies.command()
def seams(
    image: Annotated[
        Path | None, typer.Argument(help="Image file. Default: a photograph of photos.", metavar="[FILE]")
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The figure.", metavar="FILE.png")] = Path("seams.png"),
    tile: Annotated[int, typer.Option(min=16, help="Side of a tile in pixels, a multiple of 16.")] = 128,
    quality: Annotated[float, typer.Option(help="Quality of the first stage.")] = 2.0,
) -> None:
    """Draw whether tiles show: an image decoded whole, in tiles that overlap, and in tiles that do not."""
    from benchmark.studies.seams import PHOTO, decode, draw, lines

    found = decode(image or PHOTO, tile, quality)
    draw(found.whole, found.others, found.tile, output)
    _print(lines(found))
    typer.echo(output)


@studies.command()
def metrics(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Metrics of an image. Default: all with a reference.", metavar="[NAME...]"),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Where both tables and the page lie.", metavar="FOLDER")
    ] = Path("docs/reference"),
    page: Annotated[bool, typer.Option("--page", help="The page alone, from the tables that are there.")] = False,
) -> None:
    """Hold metrics against the implementations that define them, time them, and write the page of all."""
    from benchmark.studies import calibration

    if page:
        if names:
            raise UsageError("--page measures nothing, so it takes no names")
        calibration.write_page(output)
    else:
        for line in calibration.write(output, names or calibration.calibrated()):
            typer.echo(line)
    typer.echo(output / calibration.PAGE)


@studies.command()
def reference(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Where the pages are written.", metavar="FOLDER")
    ] = Path("docs/reference"),
) -> None:
    """Write the reference pages of the documentation from the code that they are about."""
    from benchmark.cli.main import app
    from benchmark.studies.reference import write

    for path in write(output, typer.main.get_command(app)):
        typer.echo(path)


@studies.command("exact-cost")
def exact_cost(
    images: Annotated[
        list[Path] | None,
        typer.Argument(help="Image files. Default: three photographs of photos.", metavar="[FILE...]"),
    ] = None,
    first_stage: Annotated[
        Path | None, typer.Option(help="Weights of a first stage. Default: the shipped ones.", metavar="FILE")
    ] = None,
) -> None:
    """Measure what exact entropy parameters cost against float ones, in bits and in seconds."""
    from benchmark.studies.exact_cost import lines, measure

    weights = {} if first_stage is None else {"weights": first_stage}
    _print(lines(measure(images or (), **weights)))


@studies.command("network-speed")
def network_speed(
    height: Annotated[int, typer.Option(min=8, help="Height of the image, a multiple of 8.")] = 512,
    width: Annotated[int, typer.Option(min=8, help="Width of the image, a multiple of 8.")] = 768,
    rounds: Annotated[int, typer.Option(min=1, help="Measurements of each; the fastest counts.")] = 5,
) -> None:
    """Time the decoders' network beside its bare convolutions, on one thread."""
    from benchmark.studies.network_speed import lines, measure

    _print(lines(measure(height, width, rounds)))


@studies.command()
def profile(
    codec: Annotated[
        list[str] | None, typer.Option(help="As for run; may be repeated. Default: hfd.", metavar="SPEC")
    ] = None,
    only: Annotated[bool, typer.Option("--only", help="No mse, hific-small and jpeg beside a single codec.")] = False,
    dataset: Annotated[
        str | None, typer.Option(help="As for run. Default: photos.", metavar="NAME|FOLDER|ADDRESS")
    ] = None,
    quality: Annotated[
        list[str] | None, typer.Option(help="As for run. Default: the codec's own.", metavar="[CODEC=]Q,…")
    ] = None,
    metric: Annotated[list[str] | None, typer.Option(help="As for run; may be repeated.", metavar="NAME")] = None,
    limit: Annotated[int, typer.Option(min=0, help="Number of images, spread over the set; 0 takes all.")] = 2,
    device: Annotated[str, typer.Option(help="cpu, cuda, …")] = "cpu",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The table as CSV. Default: none.", metavar="FILE.csv")
    ] = None,
) -> None:
    """Show what a run spends its time on, and how long 30,000 such trials take."""
    from benchmark.running.run import Request
    from benchmark.studies.coverage import write_table
    from benchmark.studies.profile import items, lines, measure

    request = Request(
        codecs=codec or (),
        only=only,
        dataset=dataset,
        qualities=quality or (),
        metrics=metric or (),
        limit=limit,
        device=device,
    )
    found = measure(request)
    if output is not None:
        write_table(items(found), output)
    _print(lines(found))


KeptTable = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        help="The table as CSV; lines of one that is there stay unless they are measured anew. Default: none.",
        metavar="FILE.csv",
    ),
]


@studies.command("device")
def device_speed(
    codec: Annotated[
        list[str] | None,
        typer.Option(help="May be repeated. Default: jpeg, mse, hific-small, and hfd.", metavar="SPEC"),
    ] = None,
    metric: Annotated[
        list[str] | None, typer.Option(help="May be repeated. Default: those of a run.", metavar="NAME")
    ] = None,
    batch: Annotated[
        str, typer.Option(help="Images at a time, where a network takes several.", metavar="N,…")
    ] = "1,8,64",
    side: Annotated[int, typer.Option(min=64, help="Of the images, a multiple of 64.")] = 256,
    rounds: Annotated[int, typer.Option(min=1, help="The median of so many.")] = 3,
    device: Annotated[str, typer.Option(help="cpu, cuda, …")] = "cpu",
    output: KeptTable = None,
) -> None:
    """Measure codecs and metrics on a device: images a second by batch size, how long it waits, memory, hours."""
    from benchmark.studies import device as study

    try:
        batches = [int(part) for part in batch.split(",")]
    except ValueError:
        raise UsageError(f"--batch {batch!r}: whole numbers with commas between") from None
    chosen = study.CODECS if codec is None else codec
    metrics = study.shipped_metrics() if metric is None else metric
    found = study.measure(chosen, metrics, batches, device, side, rounds)
    _print(study.lines(_kept(found, output, study.Rate)))
    if output is not None:
        typer.echo(output)


@studies.command()
def peers(
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="compressai, packages, fidelity or diffusers; may be repeated. Default: all.", metavar="NAME"
        ),
    ] = None,
    images: Annotated[int | None, typer.Option(min=2, help="How many. Default: each pair's own.", metavar="N")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="The medians of so many.")] = 3,
    output: KeptTable = None,
) -> None:
    """Time the suite beside other ways to the same numbers: CompressAI, the packages one by one, diffusers."""
    from benchmark.studies.peers import Ratio, lines, measure

    _print(lines(_kept(measure(only or (), images, rounds), output, Ratio)))
    if output is not None:
        typer.echo(output)


@studies.command()
def scale(
    images: Annotated[int, typer.Option(min=10, help="How many, of 256×256.")] = 30_000,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
    metric: Annotated[
        list[str] | None,
        typer.Option(help="As for run; may be repeated. Default: psnr and fd-effnet.", metavar="NAME"),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Stop after these; the same command goes on. Default: never.", min=0.01)
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Where images, run and table stay. Default: a folder that is removed.",
            metavar="FOLDER",
        ),
    ] = None,
) -> None:
    """Do a large run of drawn images through jpeg: time and memory at its beginning and its end, and its summary's."""
    import tempfile

    from benchmark.studies.scale import TABLE, Part, lines, measure

    if minutes is not None and output is None:
        raise UsageError("--minutes stops a run that another start goes on with, which --output keeps")
    with tempfile.TemporaryDirectory() as removed:
        folder = output or Path(removed)
        parts = measure(images, folder, workers, tuple(metric or ("psnr", "fd-effnet")), minutes)
        _print(lines(_kept(parts, folder / TABLE, Part), folder))


@studies.command("page-image")
def page_image(
    page: Annotated[Path, typer.Argument(help="Folder that `report` wrote.", metavar="FOLDER")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The image.", metavar="FILE.png")] = Path("page.png"),
    state: Annotated[str, typer.Option(help='What is looked at: what stands behind "#?" in the address.')] = "",
    width: Annotated[int, typer.Option(min=100, help="Of the window in pixels.")] = 1020,
    height: Annotated[int, typer.Option(min=100, help="Of the window in pixels.")] = 1370,
) -> None:
    """Draw a page as a browser shows it. Needs Chromium and the package playwright."""
    from benchmark.studies.page_image import draw

    draw(page, output, state, width, height)
    typer.echo(output)


Sizes = Annotated[str, typer.Option("--images", help="Numbers of images in a drawn set.", metavar="N,…")]
Only = Annotated[
    list[str] | None,
    typer.Option(help="Only what has this in its name; may be repeated. Default: all.", metavar="TEXT"),
]
Repetitions = Annotated[int, typer.Option(min=10, help="Sets drawn for each number.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the draws.")]
TableFile = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        help="The table as CSV; rows of one that is there stay unless they are counted again. Default: none.",
        metavar="FILE.csv",
    ),
]


@studies.command()
def coverage(
    images: Sizes = "8,24,100",
    repetitions: Repetitions = 1000,
    only: Only = None,
    seed: Seed = 0,
    output: TableFile = None,
) -> None:
    """Count how often each 95 % interval that the suite prints holds the truth, in drawn sets of images."""
    from benchmark.studies.coverage import Coverage, lines, measure

    _print(lines(_kept(measure(_whole_numbers(images), repetitions, only or (), seed), output, Coverage)))
    if output is not None:
        typer.echo(output)


@studies.command("gate-errors")
def gate_errors(
    images: Sizes = "8,24,100",
    repetitions: Repetitions = 1000,
    only: Only = None,
    seed: Seed = 0,
    family: Annotated[
        bool, typer.Option("--family", help="A whole gate of many numbers, not each kind of metric alone.")
    ] = False,
    output: TableFile = None,
) -> None:
    """Count false alarms of the gate where nothing changed, and what it says of true losses."""
    from benchmark.studies import gate_errors as study

    sizes = _whole_numbers(images)
    if family and only:
        raise UsageError("--only chooses kinds of metrics, and --family takes all numbers together")
    if family:
        found = study.measure_families(sizes, repetitions, seed=seed)
        _print(study.family_lines(_kept(found, output, study.FamilyErrors)))
    else:
        _print(study.lines(_kept(study.measure(sizes, repetitions, only or (), seed), output, study.Errors)))
    if output is not None:
        typer.echo(output)


@studies.command()
def intervals(
    output: Annotated[Path, typer.Option("--output", "-o", help="The page.", metavar="FILE.md")] = Path(
        "docs/explanation/intervals.md"
    ),
) -> None:
    """Write the page that says how far intervals and verdicts can be trusted, from the tables of both studies."""
    from benchmark.studies.intervals_page import write_page

    write_page(output)
    typer.echo(output)


def _numbers(option: str, text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"{option} {text!r}: numbers with commas between") from None


def _whole_numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"--images {text!r}: whole numbers with commas between") from None


def _kept(records: Iterable[Any], output: Path | None, of: type[Any]) -> Iterator[Any]:
    """`records`, of class `of`; the table is written anew with each, so that a study that is stopped leaves what it
    has. What a table that is there holds of other records stays, so that `--only` measures a part of it anew."""
    from benchmark.studies.coverage import read_table, write_table

    def name(record: Any) -> tuple[Any, ...]:
        return tuple(getattr(record, part) for part in of.NAMES)

    found = {name(one): one for one in read_table(of, output)} if output is not None and output.exists() else {}
    for record in records:
        found[name(record)] = record
        if output is not None:
            write_table(list(found.values()), output)
        yield record


def _print(lines: Iterable[str]) -> None:
    """Each as soon as it is there."""
    for line in lines:
        typer.echo(line)


@studies.command()
def documents(
    files: Annotated[list[Path], typer.Argument(help="Markdown files.", metavar="FILE...")],
    folder: Annotated[Path, typer.Option(help="What paths in their tables are below.")] = Path(),
) -> None:
    """Make the tables in documents again: what stands between `<!-- table: … -->` and `<!-- end of table -->`."""
    from benchmark.studies.documents import write

    _print(write(files, folder))
