"""From files of votes to scores: Bradley & Terry's strengths as Elo points, beside the means of the metrics."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmark.compatibility import VOTES
from benchmark.errors import BenchmarkError, NotComparable
from benchmark.reading import brief, parse_record, read_text, shown
from benchmark.reports.page.study import KIND, Side, Vote, Votes
from benchmark.statistics.preference import ELO, agreement, bradley_terry

MIDDLE = 1500
"""Elo points of the mean of all codecs."""


@dataclass(frozen=True)
class Score:
    """Of a codec. elo, low, high: points and their 95 % interval; None where they do not exist. won of votes.

    metrics: means over the images that were seen.
    """

    codec: str
    elo: float | None
    low: float | None
    high: float | None
    won: int
    votes: int
    metrics: dict[str, float]


@dataclass(frozen=True)
class Tally:
    """level: bits per pixel, None for all together. reason: why there are no points, empty if there are."""

    level: float | None
    scores: tuple[Score, ...]
    reason: str


@dataclass(frozen=True)
class Result:
    """tallies: all together first. agreements: metric -> (share, low, high, votes) in which it said what people said.

    notes: lines for the user.
    """

    tallies: tuple[Tally, ...]
    agreements: dict[str, tuple[float, float, float, int]]
    notes: tuple[str, ...]


def read_votes(path: Path) -> Votes:
    """Raises BenchmarkError on anything but a file of votes."""
    try:
        votes = parse_record(Votes, read_text(path), shown(path), "a file of votes", VOTES)
    except FileNotFoundError:
        raise BenchmarkError(f"{shown(path)}: cannot be read: there is no such file") from None
    if votes.kind != KIND:
        raise BenchmarkError(f"{shown(path)}: not a file of votes: kind: {brief(repr(votes.kind))}")
    return votes


def tally(paths: Sequence[Path], missed: int) -> Result:
    """The scores from the files of one study.

    missed: attention checks that a person may fail; files with more are left out. Raises NotComparable on files of
    several studies, BenchmarkError if no vote is left.
    """
    files = {path: read_votes(path) for path in paths}
    notes: list[str] = []
    first = next(iter(files.values()))
    people: dict[str, tuple[Path, Votes]] = {}
    for path, votes in files.items():
        if votes.study != first.study:
            raise NotComparable(f"{path}: of study {votes.study}, the others are of {first.study}")
        if votes.voter in people:
            # A file saved twice: what was saved later holds what was saved before.
            people[votes.voter] = max(people[votes.voter], (path, votes), key=lambda own: len(own[1].votes))
            notes.append(f"{path}: of the same person as another file; the longer of the two counts")
        else:
            people[votes.voter] = (path, votes)
    kept: list[Votes] = []
    for path, votes in people.values():
        failed = sum(vote.expected not in (None, vote.choice) for vote in votes.votes)
        if failed > missed:
            notes.append(f"{path}: left out, {failed} attention checks failed")
        else:
            kept.append(votes)
    cast = [vote for votes in kept for vote in votes.votes if vote.expected is None]
    if not cast:
        raise BenchmarkError("no vote is left to be counted" + (f": {notes[0]}" if notes else ""))
    levels = sorted({vote.level for vote in cast if vote.level is not None})
    tallies = [_tally(cast, None)]
    if len(levels) > 1:
        tallies += [_tally([vote for vote in cast if vote.level == level], level) for level in levels]
    who = f"{len(kept)} {'person' if len(kept) == 1 else 'people'}"
    notes.append(f"{first.dataset}: {len(cast)} votes of {who} on {len({v.picture for v in cast})} images")
    return Result(tuple(tallies), _agreements(cast, first.higher_is_better), tuple(notes))


def _tally(votes: Sequence[Vote], level: float | None) -> Tally:
    codecs = sorted({side.codec for vote in votes for side in (vote.first, vote.second)})
    pictures = sorted({vote.picture for vote in votes})
    pairs = [tuple(codecs.index(side.codec) for side in _ordered(vote)) for vote in votes]
    reason = ""
    try:
        strengths = bradley_terry(len(codecs), pairs, [pictures.index(vote.picture) for vote in votes])
    except ValueError as error:
        strengths, reason = None, f"no points: {error}"
    scores = []
    for index, codec in enumerate(codecs):
        ends: tuple[float | None, float | None, float | None] = (None, None, None)
        if strengths is not None:
            low, high = strengths.interval(index)
            ends = (MIDDLE + ELO * float(strengths.value[index]), MIDDLE + ELO * low, MIDDLE + ELO * high)
        won, lost = sum(pair[0] == index for pair in pairs), sum(pair[1] == index for pair in pairs)
        scores.append(Score(codec, *ends, won, won + lost, _means(votes, codec)))
    scores.sort(key=lambda score: (-(score.elo or 0), -score.won / score.votes, score.codec))
    return Tally(level, tuple(scores), reason)


def _ordered(vote: Vote) -> tuple[Side, Side]:
    """Winner, loser."""
    return (vote.first, vote.second) if vote.choice == 1 else (vote.second, vote.first)


def _means(votes: Sequence[Vote], codec: str) -> dict[str, float]:
    """Over the images at the qualities that were seen, each once."""
    seen = {
        (vote.picture, side.quality): side
        for vote in votes
        for side in (vote.first, vote.second)
        if side.codec == codec
    }
    names = dict.fromkeys(name for side in seen.values() for name in side.metrics)
    return {
        name: float(np.mean([side.metrics[name] for side in seen.values() if name in side.metrics])) for name in names
    }


def _agreements(votes: Sequence[Vote], higher: dict[str, bool]) -> dict[str, tuple[float, float, float, int]]:
    found = {}
    for name, higher_is_better in higher.items():
        said, pictures = [], []
        for vote in votes:
            one, other = (side.metrics.get(name) for side in _ordered(vote))
            if one is not None and other is not None and one != other:
                said.append((one > other) == higher_is_better)
                pictures.append(vote.picture)
        if said:
            found[name] = (*agreement(said, pictures), len(said))
    return found


def print_result(result: Result, console: Console) -> None:
    """A table of all together, one for each rate, how often each metric agrees, and the notes."""
    for part in result.tallies:
        heading = "all together" if part.level is None else f"near {part.level:g} bpp"
        console.print(Text(heading, style="bold"))
        names = list(dict.fromkeys(name for score in part.scores for name in score.metrics))
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("codec", overflow="fold")
        for header in ("Elo", "95 % interval", "won", *names):
            table.add_column(header, justify="right")
        for score in part.scores:
            points = "–" if score.elo is None else f"{score.elo:.0f}"
            between = "–" if score.low is None or score.high is None else f"{score.low:.0f} to {score.high:.0f}"
            means = [f"{score.metrics[name]:.4g}" if name in score.metrics else "–" for name in names]
            table.add_row(*map(Text, (score.codec, points, between, f"{score.won} of {score.votes}", *means)))
        console.print(table)
        if part.reason:
            console.print(Text(part.reason))
        console.print()
    for name, (share, low, high, count) in result.agreements.items():
        interval = f"95 % interval {100 * low:.0f} to {100 * high:.0f}"
        console.print(Text(f"{name} says what people say in {100 * share:.0f} % of {count} votes ({interval})"))
    for note in result.notes:
        console.print(Text(note))
