"""What is done, in which order, and by whom."""

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.codecs import parse_codec_spec
from benchmark.errors import UsageError
from benchmark.running.plan import (
    PlannedTrial,
    choose_codecs,
    parse_qualities,
    parse_seeds,
    plan_trials,
    remaining,
)
from benchmark.running.schedule import Schedule


@pytest.mark.parametrize(
    ("asked", "only", "chosen"),
    [
        ([], False, ["hfd", "mse", "hific-small", "jpeg"]),
        (["hfd"], True, ["hfd"]),
        (["jpeg"], False, ["jpeg", "mse", "hific-small"]),
        (["webp"], False, ["webp", "mse", "hific-small", "jpeg"]),
        (["jpeg", "hfd:decoder=flow", "webp"], False, ["hfd:decoder=flow", "jpeg", "webp"]),
        (["jpeg", "jpeg"], True, ["jpeg"]),
    ],
)
def test_a_single_codec_has_company_and_hfd_leads(asked: list[str], only: bool, chosen: list[str]) -> None:
    assert choose_codecs(asked, only) == chosen


SPECS = [parse_codec_spec(text) for text in ("hfd", "hfd:decoder=flow,steps=8", "jpeg:subsampling=4:4:4")]


@pytest.mark.parametrize(
    ("options", "qualities"),
    [
        ([], [None, None, None]),
        (["2,1"], [(1, 2)] * 3),
        (["1", "0.5"], [(0.5, 1)] * 3),
        (["hfd=1,3"], [(1, 3), (1, 3), None]),
        (["hfd:decoder=flow,steps=8=4"], [None, (4,), None]),
        (["7", "hfd=1", "hfd:decoder=flow,steps=8=4,5"], [(1,), (4, 5), (7,)]),
        (["jpeg:subsampling=4:4:4=10", "jpeg=20"], [None, None, (10,)]),
    ],
)
def test_the_most_particular_quality_wins(options: list[str], qualities: list[tuple[float, ...] | None]) -> None:
    asked = parse_qualities(options, {spec.text: spec for spec in SPECS})
    assert [asked.get(spec.text) for spec in SPECS] == qualities


@pytest.mark.parametrize("option", ["", "x", "1,", "hfd=", "mse=1", "hfd:decoder=flow=1", "nan", "inf", "=1"])
def test_qualities_that_cannot_be_meant(option: str) -> None:
    with pytest.raises(UsageError, match="--quality"):
        parse_qualities([option], {spec.text: spec for spec in SPECS})


def test_seeds() -> None:
    assert parse_seeds("2,0,2") == (2, 0)
    for text in ("", "1,", "x", "-1", "1.5"):
        with pytest.raises(UsageError, match="--decoder-seeds"):
            parse_seeds(text)


def test_the_plan_goes_picture_by_picture() -> None:
    plan = plan_trials(
        [("a", Path("a.png")), ("b", Path("b.png"))], {"n": (1, 2), "t": (5,)}, {"n": (0, 1), "t": (None,)}
    )
    assert [trial.key for trial in plan[:5]] == [
        ("n", 1, 0, "a"),
        ("n", 1, 1, "a"),
        ("n", 2, 0, "a"),
        ("n", 2, 1, "a"),
        ("t", 5, None, "a"),
    ]
    assert [trial.image for trial in plan] == ["a"] * 5 + ["b"] * 5
    assert remaining(plan, {trial.key for trial in plan[1:]}) == plan[:1]


PLANS = st.builds(
    lambda images, qualities, seeds: plan_trials(
        [(f"i{n}", Path(f"i{n}")) for n in range(images)], {"n": range(qualities), "t": (1,)}, {"n": seeds, "t": [None]}
    ),
    st.integers(0, 5),
    st.integers(1, 4),
    st.sampled_from([(0,), (0, 1, 2)]),
)


@given(PLANS, st.integers(1, 4), st.randoms(use_true_random=False))
def test_every_trial_is_handed_out_once_and_a_byte_string_to_one_worker(
    plan: list[PlannedTrial], workers: int, random: object
) -> None:
    schedule = Schedule(plan)
    by_worker: dict[int, list[PlannedTrial]] = {number: [] for number in range(workers)}
    busy = list(by_worker)
    while busy:
        worker = random.choice(busy)  # type: ignore[attr-defined]
        trial = schedule.next(worker)
        if trial is None:
            busy.remove(worker)
        else:
            by_worker[worker].append(trial)
    done = [trial for trials in by_worker.values() for trial in trials]
    assert sorted(done, key=plan.index) == plan
    for one in by_worker.values():
        # The trials of a byte string follow on one another, so it is encoded once.
        encodings = [trial.encoding for trial in one]
        assert sum(a != b for a, b in itertools.pairwise(encodings)) + bool(encodings) == len(set(encodings))
    owners = [(number, trial.encoding) for number, trials in by_worker.items() for trial in trials]
    assert len(set(owners)) == len({encoding for _, encoding in owners})


def test_one_worker_keeps_the_plan_s_order() -> None:
    plan = plan_trials([("a", Path("a")), ("b", Path("b"))], {"n": (1, 2)}, {"n": (0, 1)})
    schedule = Schedule(plan)
    assert [schedule.next(0) for _ in plan] == plan
    assert schedule.next(0) is None


def test_a_worker_without_a_picture_takes_from_the_fullest() -> None:
    plan = plan_trials([("a", Path("a"))], {"n": (1, 2, 3)}, {"n": (0,)})
    schedule = Schedule(plan)
    assert schedule.next(0) == plan[0]
    assert schedule.next(1) == plan[2]
    assert schedule.next(0) == plan[1]
    assert schedule.next(1) is None
