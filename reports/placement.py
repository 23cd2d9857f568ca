"""Where labels go that stand in a plot beside their lines: near them, on no other line, on no other label.

Everything is in points (1/72 inch), y upwards; the caller converts. The same input gives the same places.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]
Box = tuple[float, float, float, float]
"""left, bottom, right, top"""

_Owned = tuple[Points, npt.NDArray[np.int64]]
"""Points (n, 2) of several lines, and the number of the line of each (n,)."""

_DISTANCES = (2.0, 5.0, 9.0, 14.0, 20.0, 28.0, 38.0, 50.0, 65.0, 85.0)
_DIRECTIONS = 16
_ANCHORS = 24  # places along a line from which its label may hang
_EDGE = 5.0  # a label does not hang from where its line leaves the plot, if it can hang from elsewhere
_STEP = 1.5  # between the points that stand for a line
_PADDING = 1.2  # around a label
_BESIDE = 3.0  # an anchor as near as that to another line leaves doubt which of the two is meant
# Costs: of a point of a line under a label, of a crossing, of a point of distance, of a doubtful anchor.
_ON_A_LINE, _LEADER_OVER_LINE, _LEADER_OVER_LABEL, _AWAY, _DOUBTFUL = 40.0, 8.0, 60.0, 0.5, 10.0


@dataclass(frozen=True)
class Place:
    """anchor: the point of the line that the label belongs to. box: where the label is. clear: no line is under it."""

    anchor: tuple[float, float]
    box: Box
    clear: bool


def sampled(line: Points, step: float = _STEP) -> Points:
    """Points (n, 2) along the polyline `line` (m, 2), at most `step` apart."""
    pieces = [line[:1]]
    for start, end in pairwise(line):
        count = max(1, math.ceil(float(np.hypot(*(end - start))) / step))
        pieces.append(start + (end - start) * (np.arange(1, count + 1) / count)[:, None])
    return np.concatenate(pieces)


def inside(points: Points, box: Box) -> npt.NDArray[np.bool_]:
    """Whether each of `points` (n, 2) lies in `box`; (n,)."""
    left, bottom, right, top = box
    x, y = points[:, 0], points[:, 1]
    result: npt.NDArray[np.bool_] = (x >= left) & (x <= right) & (y >= bottom) & (y <= top)
    return result


def place_labels(
    lines: Sequence[Points], sizes: Sequence[tuple[float, float]], others: Sequence[Points], bounds: Box
) -> list[Place | None]:
    """A place for the label of each of `lines`, inside `bounds`; None for a line that does not reach into them.

    lines: polylines (n, 2), each with a label of the size (width, height) in `sizes`. others: polylines that no label
    should cover either. A greedy choice, gone through twice so that the first labels can make room for the last.
    """
    parts = [part[inside(part, bounds)] for part in map(sampled, [*lines, *others])]
    points = np.concatenate(parts) if parts else np.empty((0, 2))
    owner = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    crowd = _Crowd(points, bounds)
    places: list[Place | None] = [None] * len(lines)
    for _ in range(2):
        for index, own in enumerate(parts[: len(lines)]):
            if len(own):
                taken = [place for number, place in enumerate(places) if place is not None and number != index]
                foreign = points[owner != index], owner[owner != index]
                places[index] = _best(own, sizes[index], crowd, foreign, taken, bounds)
    return places


class _Crowd:
    """Counts points in boxes at once: sums over a grid of cells of a point each (a summed-area table)."""

    def __init__(self, points: Points, bounds: Box) -> None:
        self.left, self.bottom = bounds[:2]
        cells = [max(1, math.ceil(bounds[2] - bounds[0])), max(1, math.ceil(bounds[3] - bounds[1]))]
        extent = [(self.left, self.left + cells[0]), (self.bottom, self.bottom + cells[1])]
        counts, _, _ = np.histogram2d(points[:, 0], points[:, 1], bins=cells, range=extent)
        self.sums = np.zeros((cells[0] + 1, cells[1] + 1))
        self.sums[1:, 1:] = counts.cumsum(axis=0).cumsum(axis=1)

    def count(self, boxes: Points) -> npt.NDArray[np.int64]:
        """How many points are in the cells that each of `boxes` (n, 4), inside the bounds, touches; (n,)."""
        left, bottom = np.floor(boxes[:, 0] - self.left).astype(int), np.floor(boxes[:, 1] - self.bottom).astype(int)
        right, top = np.ceil(boxes[:, 2] - self.left).astype(int), np.ceil(boxes[:, 3] - self.bottom).astype(int)
        sums = self.sums
        counts = sums[right, top] - sums[left, top] - sums[right, bottom] + sums[left, bottom]
        return counts.astype(np.int64)


def _best(
    line: Points, size: tuple[float, float], crowd: _Crowd, foreign: _Owned, taken: list[Place], bounds: Box
) -> Place | None:
    left, bottom, right, top = bounds
    well_inside = line[inside(line, (left + _EDGE, bottom + _EDGE, right - _EDGE, top - _EDGE))]
    hooks = well_inside if len(well_inside) else line
    hooks = hooks[np.unique(np.linspace(0, len(hooks) - 1, _ANCHORS).astype(int))]
    doubts = np.array([_DOUBTFUL * _lines_within(foreign, hook[None], _BESIDE) for hook in hooks])

    # All candidates at once: every hook with every direction and distance, (n,) each.
    angles = 2 * math.pi * np.arange(_DIRECTIONS) / _DIRECTIONS
    hook, angle, distance = (
        grid.ravel() for grid in np.meshgrid(np.arange(len(hooks)), angles, np.array(_DISTANCES), indexing="ij")
    )
    half = np.array(size) / 2
    centres = hooks[hook] + np.column_stack(
        [np.cos(angle) * (distance + half[0]), np.sin(angle) * (distance + half[1])]
    )
    boxes = np.hstack([centres - half, centres + half])
    wide = boxes + np.array([-_PADDING, -_PADDING, _PADDING, _PADDING])
    free = (wide[:, :2] >= (left, bottom)).all(axis=1) & (wide[:, 2:] <= (right, top)).all(axis=1)
    for other in taken:
        free &= (wide[:, :2] >= other.box[2:]).any(axis=1) | (wide[:, 2:] <= other.box[:2]).any(axis=1)
    hook, distance, boxes, wide = hook[free], distance[free], boxes[free], wide[free]
    covered = crowd.count(wide)
    costs = doubts[hook] + _AWAY * distance + _ON_A_LINE * covered

    # What leaders cost comes on top, so the search ends where the rest alone costs more than the best.
    best: Place | None = None
    lowest = math.inf
    for number in np.argsort(costs, kind="stable"):
        if costs[number] >= lowest:
            break
        x0, y0, x1, y1 = (float(edge) for edge in boxes[number])
        x, y = (float(part) for part in hooks[hook[number]])
        place = Place((x, y), (x0, y0, x1, y1), bool(covered[number] == 0))
        cost = float(costs[number]) + _leader_cost(place, foreign, taken)
        if cost < lowest:
            best, lowest = place, cost
    return best


def leader(place: Place) -> tuple[float, float]:
    """The point of the label's box that is nearest to its anchor: where a line between them ends."""
    left, bottom, right, top = place.box
    return min(max(place.anchor[0], left), right), min(max(place.anchor[1], bottom), top)


def _lines_within(foreign: _Owned, path: Points, reach: float) -> int:
    """How many of the lines come as near as `reach`, across or upwards, to a point of `path` (m, 2)."""
    points, owner = foreign
    low, high = path.min(axis=0) - reach, path.max(axis=0) + reach
    near = inside(points, (low[0], low[1], high[0], high[1]))
    close = (np.abs(points[near][:, None] - path[None]).max(axis=2) < reach).any(axis=1)
    return len(set(owner[near][close].tolist()))


def _leader_cost(place: Place, foreign: _Owned, taken: list[Place]) -> float:
    path = sampled(np.array([place.anchor, leader(place)]))
    cost = _LEADER_OVER_LINE * _lines_within(foreign, path, _STEP)
    for label in taken:
        if inside(path, label.box).any():
            cost += _LEADER_OVER_LABEL
        if inside(sampled(np.array([label.anchor, leader(label)])), place.box).any():
            cost += _LEADER_OVER_LABEL
    return cost
