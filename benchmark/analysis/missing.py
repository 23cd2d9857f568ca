"""Which images a number leaves out, and why: so that every report that pairs numbers can name them."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from benchmark.analysis.baseline import Baseline, Point
from benchmark.analysis.summary import HEADLINES
from benchmark.results import quality_name
from benchmark.statistics.gate import Outcome

if TYPE_CHECKING:
    import pandas

MOST_NAMED = 3


def named(names: Sequence[str], most: int = MOST_NAMED) -> str:
    """The first of `names` with commas between, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def why_missing(numbers: Baseline, point: Point, metric: str, image: int) -> str:
    """Why an image has no number of `metric` at `point`: "failed", "infinite" or "no value"; empty if it has one."""
    if image in numbers.images_with(point, metric):
        return ""
    if image in numbers.failed_images(point, metric):
        return "failed"
    return "infinite" if image in numbers.infinite_images(point, metric) else "no value"


def left_out(numbers: Baseline, points: Iterable[Point], metric: str, images: Sequence[int]) -> str:
    """A line on the images that are not among `images`, each with the first reason among `points`; empty if all are.

    An image may be left out for its rate alone, which a failed trial has not.
    """
    used = set(images)
    lacking = [index for index in range(len(numbers.images)) if index not in used]
    if not lacking:
        return ""
    there = list(points)
    words = []
    for index in lacking:
        found = ((why_missing(numbers, point, metric, index), point) for point in there)
        why, where = next(((why, point) for why, point in found if why), ("no rate", None))
        place = f" at {where}" if where is not None and len(there) > 1 else ""
        words.append(f"{numbers.images[index]} ({why}{place})")
    return f"{metric}: over {len(used)} of {len(numbers.images)} images, without {named(words)}"


def lost_points(numbers: Baseline, points: Sequence[Point], used: Sequence[Point], metric: str) -> list[str]:
    """A line on each of `points` that is not among `used`."""
    kept = {point.key for point in used}
    return [
        f"{metric}: {point} is left out, "
        + ("it is over other images" if numbers.images_with(point, metric) else "it has no value")
        for point in points
        if point.key not in kept
    ]


def missing_notes(numbers: Baseline) -> list[str]:
    """A line a metric on the points whose value is over fewer images than their rate, with the first such image."""
    notes = []
    for metric in numbers.metrics:
        found = []
        for point in numbers.points:
            rated, valued = numbers.images_with(point, "bpp"), set(numbers.images_with(point, metric))
            lacking = [index for index in rated if index not in valued]
            if lacking and valued:
                first = f"{numbers.images[lacking[0]]} {why_missing(numbers, point, metric, lacking[0])}"
                found.append(f"{point} ({len(valued)} of {len(rated)}, {first})")
        if found:
            notes.append(f"{metric} is over fewer images than the rate: {named(found)}")
    return notes


def exclusions(
    numbers: Baseline, points: Sequence[Point], used: Sequence[Point], metric: str, images: Sequence[int]
) -> tuple[str, ...]:
    """`left_out` and `lost_points`: what curves of `points` over the common `images` are without."""
    without = left_out(numbers, points, metric, images)
    return (*([without] if without else []), *lost_points(numbers, points, used, metric))


def of_infinite(base: Baseline, new: Baseline, one: Point, other: Point, metric: str) -> tuple[Outcome | None, str]:
    """What values that are infinitely good in one run say, or in both, which no mean can hold; and a line on it."""
    before, after = set(base.infinite_images(one, metric)), set(new.infinite_images(other, metric))
    fell = sorted(before & set(new.images_with(other, metric)))
    rose = sorted(after & set(base.images_with(one, metric)))
    if fell:
        return Outcome.WORSE, f"finite now: {named([base.images[index] for index in fell])}"
    if rose:
        return Outcome.BETTER, f"infinite now: {named([base.images[index] for index in rose])}"
    if before & after:
        return Outcome.SAME, f"infinite in both: {named([base.images[index] for index in sorted(before & after)])}"
    return None, ""


def unlike_rates(frame: "pandas.DataFrame", metric: str, codecs: Sequence[str] = ()) -> list[tuple[str, int, int]]:
    """The points of a summary whose value is over fewer images than their rate: name, images of the value, of the rate.

    codecs: those that are shown, none for all. A value is never over images that have no rate, so equal numbers are
    equal images.
    """
    headlines = frame[frame["aggregation"].isin(HEADLINES)]
    if codecs:
        headlines = headlines[headlines["codec"].isin(codecs)]
    keys = ["codec", "quality"]
    rates = headlines[headlines["metric"] == "bpp"].set_index(keys)["n_images"]
    values = headlines[(headlines["metric"] == metric) & headlines["value"].notna()]
    found = []
    for codec, quality, count in values[[*keys, "n_images"]].itertuples(index=False):
        rated = int(rates.get((codec, quality), count))
        if rated != count:
            found.append((f"{codec} at quality {quality_name(float(quality))}", int(count), rated))
    return found


def rate_note(frame: "pandas.DataFrame", metric: str, title: str = "", codecs: Sequence[str] = ()) -> str:
    """A line on the points whose value is over fewer images than their rate; empty if there is none.

    title: what the metric is called there, else its name.
    """
    found = unlike_rates(frame, metric, codecs)
    if not found:
        return ""
    points = named([f"{point} ({count} of {rated})" for point, count, rated in found])
    return f"{title or metric} is over fewer images than the rate: {points}"
