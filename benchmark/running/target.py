"""Equal bits: the qualities at which codecs come closest to given bits per pixel, or to another codec's bits.

Per set, each codec has one quality for all images, whose mean bpp comes closest. Per image, each image has a
quality of its own: that is what the codecs `bpp:SPEC` and `match:SPEC~REFERENCE` of `benchmark.baselines.target` do.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmark.baselines.target import candidates, closest
from benchmark.codecs import Codec
from benchmark.datasets import Dataset
from benchmark.errors import BenchmarkError, UsageError, kind_and_message, one_line
from benchmark.images import load_image
from benchmark.pixels import Image
from benchmark.reconstructions import Reconstructions
from benchmark.results import quality_name

WAYS = ("set", "image")


@dataclass(frozen=True)
class Target:
    """What is to be met: bpp, bits per pixel, ascending; or, where these are none, the bits of the codec `match`."""

    bpp: tuple[float, ...]
    match: str | None
    per_image: bool


def parse_target(bpp: str | None, match: str | None, per: str) -> Target | None:
    """What --bpp, --match and --per ask for; None if nothing. Raises UsageError."""
    if per not in WAYS:
        raise UsageError(f"--per {per}: set or image")
    if bpp is not None and match is not None:
        raise UsageError("--bpp and --match are two ways to say how many bits; one of them")
    if bpp is None and match is None:
        if per != "set":
            raise UsageError("--per goes with --bpp or --match")
        return None
    if bpp is None:
        return Target((), match, per == "image")
    try:
        wanted = tuple(sorted({float(part) for part in bpp.split(",")}))
    except ValueError:
        raise UsageError(f"--bpp {bpp}: not numbers with commas between them") from None
    if not all(0 < number <= 24 for number in wanted):
        raise UsageError(f"--bpp {bpp}: bits per pixel lie above 0, at most 24")
    return Target(wanted, None, per == "image")


def around(target: Target, specs: Sequence[str]) -> list[str]:
    """The specs of the codecs that do the trials: the reference of --match, and `specs`, per image if so asked."""
    if target.match is not None and target.match not in specs:
        specs = [target.match, *specs]
    if not target.per_image:
        return list(specs)
    if target.match is None:
        return [f"bpp:{spec}" for spec in specs]
    return [spec if spec == target.match else f"match:{spec}~{target.match}" for spec in specs]


def choose_qualities(
    target: Target, codecs: Mapping[str, Codec], asked: Mapping[str, Sequence[float]], dataset: Dataset
) -> tuple[dict[str, tuple[float, ...]], list[str]]:
    """Codec spec -> qualities, ascending; and notes for the user, a line for each bit rate and codec.

    codecs: by the specs that `around` gave. asked: what --quality says, which only the reference of --match may have.
    Raises UsageError if another codec has qualities asked for, or names none that can be searched; BenchmarkError if no
    image can be coded.
    """
    for spec in asked:
        if spec != target.match:
            raise UsageError(f"--quality for {spec}: it is what --{'bpp' if target.bpp else 'match'} searches for")
    if target.match is not None:
        of_reference = tuple(asked.get(target.match, codecs[target.match].qualities))
    if target.per_image:
        wanted = of_reference if target.match is not None else target.bpp
        return dict.fromkeys(codecs, wanted), []
    chosen: dict[str, tuple[float, ...]] = {}
    notes: list[str] = []
    if target.match is None:
        goals = {f"{bpp:g} bpp": bpp for bpp in target.bpp}
    else:
        rate = mean_rate(target.match, codecs[target.match], dataset)
        goals = {f"{target.match} at {quality_name(quality)}": rate(quality) for quality in of_reference}
        chosen[target.match] = of_reference
    for spec, codec in codecs.items():
        if spec == target.match:
            continue
        rate = mean_rate(spec, codec, dataset)
        tried = candidates(codec)
        found = {}
        for goal, bpp in goals.items():
            found[goal] = closest(tried, rate, bpp)
            how = f"quality {quality_name(found[goal])}, {rate(found[goal]):.4f} bpp"
            off = "" if abs(math.log(rate(found[goal]) / bpp)) < 0.1 else "; that is as near as it comes"
            notes.append(f"{spec} for {goal}{'' if target.match is None else f' ({bpp:.4f} bpp)'}: {how}{off}")
        chosen[spec] = tuple(sorted(set(found.values())))
    return {spec: chosen[spec] for spec in codecs}, notes


def mean_rate(spec: str, codec: Codec, dataset: Dataset) -> Callable[[float], float]:
    """quality -> mean over images of the bpp, each quality coded once; images that cannot be coded are left out.

    It raises BenchmarkError, with the reason, if none can.
    """
    known: dict[float, float] = {}

    def rate(quality: float) -> float:
        if quality not in known:
            rates, reason = _rates(codec, quality, dataset)
            if not rates:
                raise BenchmarkError(f"{spec} at quality {quality_name(quality)} codes no image: {reason}")
            known[quality] = sum(rates) / len(rates)
        return known[quality]

    return rate


def _rates(codec: Codec, quality: float, dataset: Dataset) -> tuple[list[float], str]:
    """bpp of each image that can be coded; and why the last one could not."""
    rates: list[float] = []
    reason = ""
    for picture in dataset.pictures:
        try:
            image = load_image(picture.path, dataset.preparation)
            if isinstance(codec, Reconstructions):
                size = codec.reconstruction(picture.name, quality).bytes
            else:
                size = _size_of_stream(codec, image, quality)
            rates.append(8 * size / (image.shape[0] * image.shape[1]))
        except UsageError:
            raise
        except BenchmarkError as error:  # the trial itself will say what is wrong
            reason = one_line(error)
    return rates, reason


def _size_of_stream(codec: Codec, image: Image, quality: float) -> int:
    try:
        return len(codec.encode(image, quality))
    except BenchmarkError:
        raise
    except Exception as error:  # codecs are anyone's code
        raise BenchmarkError(kind_and_message(error)) from error
