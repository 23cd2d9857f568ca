from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.reports.placement import inside, leader, place_labels, sampled

BOUNDS = (10.0, 5.0, 310.0, 205.0)
coordinates = st.tuples(st.floats(-100, 400), st.floats(-100, 300))
polylines = st.lists(coordinates, min_size=1, max_size=5).map(np.array)
sizes = st.tuples(st.floats(5, 60), st.floats(4, 10))


@settings(max_examples=10, deadline=None)
@given(st.lists(st.tuples(polylines, sizes), min_size=1, max_size=4), st.lists(polylines, max_size=2))
def test_labels_are_inside_and_on_no_other_label(labelled: list, others: list) -> None:
    lines, widths = [line for line, _ in labelled], [size for _, size in labelled]
    places = place_labels(lines, widths, others, BOUNDS)
    for line, (width, height), place in zip(lines, widths, places, strict=True):
        if place is None:
            continue
        left, bottom, right, top = place.box
        assert (right - left, top - bottom) == pytest.approx((width, height))
        assert BOUNDS[0] <= left
        assert right <= BOUNDS[2]
        assert BOUNDS[1] <= bottom
        assert top <= BOUNDS[3]
        assert np.abs(sampled(line) - place.anchor).max(axis=1).min() == 0
        if place.clear:
            assert not inside(np.concatenate([*map(sampled, [*lines, *others])]), place.box).any()
    for one, other in combinations([place.box for place in places if place is not None], 2):
        assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
    assert place_labels(lines, widths, others, BOUNDS) == places


def test_labels_of_parallel_lines_find_room() -> None:
    lines = [np.array([[20.0, 20.0 + 6 * n], [250.0, 150.0 + 6 * n]]) for n in range(6)]
    places = place_labels(lines, [(40.0, 6.0)] * 6, [], BOUNDS)
    assert all(place is not None and place.clear for place in places)


def test_a_line_outside_has_no_label() -> None:
    away = np.array([[400.0, 20.0], [500.0, 30.0]])
    through = np.array([[-100.0, 100.0], [500.0, 100.0]])  # both ends are outside
    places = place_labels([away, through], [(20.0, 6.0)] * 2, [], BOUNDS)
    assert places[0] is None
    assert places[1] is not None
    assert places[1].anchor[1] == pytest.approx(100)


def test_a_leader_ends_at_the_near_side_of_the_label() -> None:
    [place] = place_labels([np.array([[100.0, 100.0]])], [(30.0, 6.0)], [], BOUNDS)
    assert place is not None
    x, y = leader(place)
    assert np.hypot(x - 100, y - 100) < 6
    assert inside(np.array([[x, y]]), place.box).all()


def test_samples_are_close_to_each_other_and_on_the_line() -> None:
    points = sampled(np.array([[0.0, 0.0], [30.0, 40.0], [30.0, 40.0]]))
    assert np.hypot(*np.diff(points, axis=0).T).max() <= 1.5
    assert points[:, 1] * 3 == pytest.approx(points[:, 0] * 4)
    assert points[-1].tolist() == [30, 40]
