"""What the command line says about plots and tables, from its texts: labels, ranges, numbers."""

import math
from collections.abc import Sequence
from typing import TypeVar

from benchmark.errors import UsageError
from benchmark.reconstructions import label_among, unmarked

Choice = TypeVar("Choice", bound=str)
Range = tuple[float, float]


def one_of(what: str, text: str, known: Sequence[Choice]) -> Choice:
    """The one of `known` that `text` is. Raises UsageError."""
    for choice in known:
        if text == choice:
            return choice
    raise UsageError(f"{what} {text!r}: there are {', '.join(known)}")


def parse_labels(texts: Sequence[str], codecs: Sequence[str]) -> dict[str, str]:
    """codec -> label from texts such as "hfd:decoder=flow=Ours"; where the codec ends is seen from the known `codecs`.

    The mark of a codec's bits may be left out. Raises UsageError on a text that begins with none of them,
    and on a second name of one codec.
    """
    labels: dict[str, str] = {}
    known = {unmarked(codec): label_among(unmarked(codec), codecs) for codec in codecs}
    known |= {codec: codec for codec in codecs}
    for text in texts:
        codec = max((codec for codec in known if text.startswith(f"{codec}=")), key=len, default=None)
        if codec is None or text == f"{codec}=":
            raise UsageError(f"label {text!r}: CODEC=TEXT is needed, for a codec of {', '.join(codecs)}")
        name = text[len(codec) + 1 :]
        if labels.setdefault(known[codec], name) != name:
            raise UsageError(f"label {text!r}: {codec} is called {labels[known[codec]]!r} already")
    return labels


def parse_range(text: str) -> Range:
    """Two numbers from "LOW:HIGH". Raises UsageError."""
    low, colon, high = text.partition(":")
    try:
        if colon:
            return float(low), float(high)
    except ValueError:
        pass
    raise UsageError(f"range {text!r}: LOW:HIGH is needed, such as 0.1:2")


def parse_ranges(texts: Sequence[str]) -> dict[str, Range]:
    """metric -> range from texts such as "lpips=0:0.5". Raises UsageError."""
    ranges = {}
    for text in texts:
        metric, equals, ends = text.rpartition("=")
        if not equals or not metric:
            raise UsageError(f"range {text!r}: METRIC=LOW:HIGH is needed, such as lpips=0:0.5")
        ranges[metric] = parse_range(ends)
    return ranges


def parse_numbers(text: str) -> tuple[float, ...]:
    """Positive numbers with commas between. Raises UsageError."""
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or not all(math.isfinite(number) and number > 0 for number in numbers):
        raise UsageError(f"{text!r}: numbers above 0 with commas between are needed, such as 0.1,0.2")
    return numbers


def split_commas(texts: Sequence[str]) -> list[str]:
    """What stands between commas in all `texts`, each once."""
    parts = [part.strip() for text in texts for part in text.split(",")]
    return list(dict.fromkeys(part for part in parts if part))
