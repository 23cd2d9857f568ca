"""What a worker leaves when it goes is done by others: nothing is lost, nothing done twice."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.running.plan import PlannedTrial, plan_trials
from benchmark.running.schedule import Schedule


def trials(pictures: int) -> list[PlannedTrial]:
    names = [(f"p{number}", Path(f"p{number}.png")) for number in range(pictures)]
    return plan_trials(names, {"a": (1, 2), "b": (3,)}, {"a": (0, 1), "b": (None,)})


@given(
    pictures=st.integers(1, 5),
    events=st.lists(st.tuples(st.sampled_from(["done", "done", "lost"]), st.integers(0, 2)), max_size=60),
)
@settings(deadline=None)
def test_every_trial_once(pictures: int, events: list[tuple[str, int]]) -> None:
    planned = trials(pictures)
    schedule = Schedule(planned)
    hands: dict[int, list[PlannedTrial]] = {worker: [] for worker in range(3)}
    ended: list[PlannedTrial] = []

    def supply(worker: int) -> None:
        while len(hands[worker]) < 2:
            more = schedule.has_more(worker)
            found = schedule.next(worker)
            assert more == (found is not None)
            if found is None:
                return
            hands[worker].append(found)

    for event, worker in events + [("done", worker) for _ in planned for worker in range(3)]:
        supply(worker)
        if event == "lost":
            schedule.put_back(worker, hands[worker])
            hands[worker] = []
        elif hands[worker]:
            ended.append(hands[worker].pop(0))
    assert len(ended) == len(planned)
    assert {trial.key for trial in ended} == {trial.key for trial in planned}


def test_a_picture_that_was_left_comes_first() -> None:
    schedule = Schedule(trials(3))
    first = schedule.next(0)
    assert first is not None
    schedule.put_back(0, [first])
    again = [schedule.next(1) for _ in range(5)]
    assert again == trials(1)
