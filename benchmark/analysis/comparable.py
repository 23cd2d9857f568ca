"""Whether numbers may stand side by side: one data set, one protocol a metric; the refusal names what differs."""

from collections.abc import Sequence
from itertools import zip_longest

import pandas as pd

from benchmark.analysis.summary import HEADLINES
from benchmark.errors import BenchmarkError, NotComparable, UsageError
from benchmark.reconstructions import label_among


def one_dataset(summaries: Sequence[pd.DataFrame]) -> str:
    """The name and fingerprint that all `summaries` share. Raises NotComparable if they differ.

    Raises BenchmarkError if there is none.
    """
    datasets = list(dict.fromkeys(str(name) for summary in summaries for name in summary["dataset"].dropna()))
    if not datasets:
        raise BenchmarkError("the summary is empty: nothing was measured")
    first, *others = datasets
    if others:
        raise NotComparable(dataset_difference(first, others[0]))
    return first


def one_protocol(frame: pd.DataFrame, metric: str) -> str:
    """The protocol of all of `frame`'s rows of `metric`. Raises NotComparable naming the part that differs."""
    rows = frame[frame["metric"] == metric]
    protocols = [str(protocol) for protocol in dict.fromkeys(rows["protocol"].dropna())]
    if not protocols:
        raise NotComparable(f"{metric}: the summary names no protocol")
    if len(protocols) > 1:
        raise NotComparable(f"{metric}: {protocol_difference(protocols[0], protocols[1])}")
    return protocols[0]


def dataset_difference(one: str, other: str) -> str:
    """A line on how two data sets differ; each is a name and 8 digits of its fingerprint, as summaries label them."""
    (one_name, _, one_print), (other_name, _, other_print) = one.rpartition(" "), other.rpartition(" ")
    if one_name == other_name:
        why = f"the name is one, but not the images or their preparation (fingerprints {one_print}, {other_print})"
    else:
        why = "curves need the same images on both sides"
    return f"the data sets differ: {one} against {other}; {why}"


def protocol_difference(one: str, other: str) -> str:
    """A line that names the parts in which two protocols differ."""
    parts = zip_longest(one.split("/"), other.split("/"), fillvalue="nothing")
    differing = [f"{left!r} against {right!r}" for left, right in parts if left != right]
    return f"the protocols {one} and {other} differ in {', '.join(differing)}"


def run_labels(summaries: Sequence[pd.DataFrame]) -> list[dict[str, str]]:
    """For each summary, codec -> the label under which its numbers stand beside those of the others.

    A codec that several summaries hold has its name for the first, and "hfd (run 2)" and so on for later ones with
    other numbers; where the numbers are an earlier summary's, the codec is left out.
    """
    labels: list[dict[str, str]] = []
    for number, summary in enumerate(summaries, start=1):
        own: dict[str, str] = {}
        for codec in dict.fromkeys(summary["codec"]):
            numbers = _numbers_of(summary, codec)
            earlier = [_numbers_of(other, codec) for other in summaries[: number - 1]]
            earlier = [other for other in earlier if len(other)]
            if not any(numbers.equals(other) for other in earlier):
                own[codec] = f"{codec} (run {number})" if earlier else codec
        labels.append(own)
    return labels


def _numbers_of(summary: pd.DataFrame, codec: str) -> pd.DataFrame:
    return summary.loc[summary["codec"] == codec, ["quality", "metric", "value"]].reset_index(drop=True)


def codec_labels(summaries: Sequence[pd.DataFrame]) -> list[dict[str, str]]:
    """`run_labels` by the rows that curves and tables show."""
    return run_labels([_headlines(summary) for summary in summaries])


def joined_headlines(summaries: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The rows of all summaries that curves and tables show; codecs of one label are told apart by `run_labels`."""
    parts = []
    for summary, labels in zip(summaries, codec_labels(summaries), strict=True):
        part = _headlines(summary)
        part = part[part["codec"].isin(labels)]
        parts.append(part.assign(codec=part["codec"].map(labels)))
    return pd.concat(parts, ignore_index=True)


def _headlines(summary: pd.DataFrame) -> pd.DataFrame:
    return summary[summary["aggregation"].isin(HEADLINES)]


def chosen_codecs(frame: pd.DataFrame, asked: Sequence[str]) -> list[str]:
    """`asked`, in its order, each once; all codecs of `frame` where none is. Raises UsageError on an unknown one.

    A codec's mark may be left out: see `benchmark.reconstructions`.
    """
    there = [str(codec) for codec in dict.fromkeys(frame["codec"])]
    asked = [label_among(codec, there) for codec in asked]
    for codec in asked:
        if codec not in there:
            raise UsageError(f"no codec {codec!r} was measured; there are {', '.join(there)}")
    return list(dict.fromkeys(asked)) or there
