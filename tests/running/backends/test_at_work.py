"""What a process was at is read when it is gone; and what a cluster makes of it."""

import ctypes
import mmap
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from benchmark.results import FAILED, Trial
from benchmark.running.backends import cluster
from benchmark.running.backends.at_work import Note, note_of, read_note
from benchmark.running.backends.cluster import ATTEMPTS, Place, Remains, remains_of
from benchmark.running.plan import PlannedTrial

TRIALS = [PlannedTrial("jpeg", 50.0, None, name, Path(f"{name}.png")) for name in ("a", "b")]


def test_what_was_noted_is_there_however_the_process_ended(tmp_path: Path) -> None:
    place = Place("node", str(tmp_path / "worker.err"))
    Path(place.log).write_text("words\nFatal Python error: Segmentation fault\n\n  in place\n")
    child = os.fork()
    if not child:
        note = Note(place.note)
        note.trial(TRIALS[0].key)
        note.metric("first")
        note.trial(TRIALS[1].key)
        note.metric("Größe")
        ctypes.CDLL(None)._exit(0)
    os.waitpid(child, 0)
    left = remains_of(place)
    assert left == Remains("Fatal Python error: Segmentation fault\n\n  in place\n", note_of(TRIALS[1].key), "Größe")


def test_nothing_is_noted_where_nothing_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_note(str(tmp_path / "none")) == ("", "")
    (tmp_path / "empty").touch()
    assert read_note(str(tmp_path / "empty")) == ("", "")
    Note(str(tmp_path / "begun"))
    assert read_note(str(tmp_path / "begun")) == ("", "")
    assert remains_of(None) == remains_of(Place("node", "")) == Remains()

    def refuse(*_: object) -> Any:
        raise OSError("no memory")

    monkeypatch.setattr(mmap, "mmap", refuse)
    for path in ("", str(tmp_path / "no" / "folder"), str(tmp_path / "full")):
        note = Note(path)
        note.trial(TRIALS[0].key)
        note.metric("psnr")
        assert read_note(path) == ("", "")


@dataclass
class Cluster:
    """Actors that only note what they are sent, and are gone when `lose` says so."""

    dispatch: Any
    sent: list[tuple[PlannedTrial, Any]] = field(default_factory=list)
    written: dict[Path, bytes] = field(default_factory=dict)

    def lose(self, at: str, metric: str, late: bool = False, stack: str = "") -> list[Trial]:
        """The actor is gone at `metric` of trial `at`, and left `stack`; the records of it, once all is back."""
        actor = next(actor for actor, _ in self.dispatch._sent.values())
        left = next((note_of(planned.key) for planned in TRIALS if planned.image == at), "")
        cluster.remains_of = lambda place: Remains(stack, left, metric)
        if late:
            actor.late = next(planned.key for planned in TRIALS if planned.image == at)
        records: list[Trial] = []
        for reference in [one for one, (owner, _) in self.dispatch._sent.items() if owner is actor]:
            records += self.dispatch.take(reference)
        for reference in list(self.dispatch._opening):
            records += self.dispatch.take(reference)
        return records

    def broken(self, image: str) -> Any:
        """What the last actor that was sent this trial was told of its metrics."""
        return next(broken for planned, broken in reversed(self.sent) if planned.image == image)


@pytest.fixture
def one(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    from types import SimpleNamespace

    found = Cluster(None)

    def make(reservation: object) -> Any:
        def measure(planned: PlannedTrial, knows: bool, content: object, broken: object) -> object:
            found.sent.append((planned, broken))
            return object()

        return SimpleNamespace(
            open=SimpleNamespace(remote=lambda *_: object()), measure=SimpleNamespace(remote=measure)
        )

    monkeypatch.setattr(cluster, "_make_actor", make)
    monkeypatch.setattr(cluster, "_kill", lambda handle: None)
    monkeypatch.setattr(cluster, "_absolute", lambda planned: planned)
    monkeypatch.setattr(cluster, "remains_of", cluster.remains_of)  # put back afterwards
    monkeypatch.setattr(cluster._Dispatch, "_content", lambda self, path: [])
    lost = cluster._Loss("the actor died")
    monkeypatch.setattr(cluster, "_outcome", lambda reference: Place("n", "") if reference not in before else lost)
    before: set[object] = set()
    dataset = SimpleNamespace(model_copy=lambda update: None)
    manifest = SimpleNamespace(dataset=dataset, model_copy=lambda update: SimpleNamespace(model_dump_json=lambda: "{}"))
    folder = SimpleNamespace(
        manifest=manifest,
        knows_original=lambda image: True,
        path=Path("run"),
        traceback_path=lambda name: Path("run", "tracebacks", name),
        write_bytes=found.written.__setitem__,
    )
    setup = SimpleNamespace(codecs={"jpeg": "jpeg"}, workers=1, time_limit=30.0)
    share = SimpleNamespace(setup=setup, reservation=cluster.Reservation(1, 0))
    early = SimpleNamespace(take=lambda reservation: None, end=lambda: None)
    found.dispatch = cluster._Dispatch(
        TRIALS, cast(Any, [share]), cast(Any, folder), cast(Any, SimpleNamespace(asked=False)), cast(Any, early)
    )
    take = found.dispatch.take

    def taken(reference: object) -> Any:
        if reference in found.dispatch._sent:
            before.add(reference)
        return take(reference)

    found.dispatch.take = taken
    found.dispatch.begin()
    for reference in list(found.dispatch._opening):
        list(found.dispatch.take(reference))
    return found


def test_a_metric_at_work_in_every_loss_is_left_out_and_the_trial_done_again(one: Cluster) -> None:
    for _ in range(ATTEMPTS - 1):
        assert one.lose("a", "mine") == []
        assert not one.broken("a")
    assert one.lose("a", "mine") == []
    assert one.broken("a") == {"mine": f"{FAILED}the worker process ended in it: the actor died"}
    assert not one.broken("b")


def test_a_node_that_is_lost_now_and_then_breaks_no_metric(one: Cluster) -> None:
    """As often as there are metrics, and none of them, and with the other trial between."""
    for at, metric in (("a", "first"), ("a", "second"), ("a", ""), ("b", "first"), ("", ""), ("a", "second")):
        assert one.lose(at, metric) == []
    assert not any(broken for _, broken in one.sent)


def test_what_ends_in_no_metric_fails_the_trial(one: Cluster) -> None:
    records = [one.lose("b", "") for _ in range(ATTEMPTS)]
    assert [[trial.image for trial in found] for found in records] == [[], [], ["b"]]
    assert records[-1][0].error == f"{ATTEMPTS} workers ended during this trial: the actor died"


def test_a_metric_without_end_is_left_out_at_once_and_only_the_trial_without_end_is_late(one: Cluster) -> None:
    assert one.lose("a", "mine", late=True) == []
    why = f"{FAILED}the worker process ended in it: no end after 30 seconds; it was killed"
    assert one.broken("a") == {"mine": why}
    assert one.lose("a", "other", late=True) == []
    assert one.broken("a") == {"mine": why, "other": why}
    (trial,) = one.lose("a", "", late=True)
    assert trial.error == "the worker ended during this trial: no end after 30 seconds; it was killed"


def test_a_trial_that_ended_just_before_the_limit_does_not_make_the_next_one_late(one: Cluster) -> None:
    actor = next(actor for actor, _ in one.dispatch._sent.values())
    actor.late = TRIALS[0].key
    assert one.lose("b", "mine") == []
    assert not one.broken("b")


def test_a_stack_is_kept_for_what_is_recorded_alone(one: Cluster) -> None:
    stack = 'Fatal Python error: Aborted\n\nThread 0x1 (most recent call first):\n  File "/mine.py", line 3 in encode\n'
    for at, metric in (("a", ""), ("a", "mine"), ("b", "mine")):
        assert one.lose(at, metric, stack=stack) == []
    assert not one.written
    assert one.lose("a", "", stack=stack) == []
    (trial,) = one.lose("a", "", stack=stack)
    assert trial.error is not None
    assert trial.error.endswith(".txt")
    assert {path.name: text.decode() for path, text in one.written.items()} == {Path(trial.error).name: stack}
    one.written.clear()
    for _ in range(2):
        one.lose("b", "mine", stack=stack)
    assert one.broken("b")["mine"].endswith(f"{next(iter(one.written)).name}")
