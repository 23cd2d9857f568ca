"""Decoders under attack: each mutated stream gives an image of the size that it states, or CorruptStream in one line.

    ATTACKS=20000 python -m pytest -m slow tests/attacks/test_mutated_streams.py

goes on where it stopped, see campaign.py. What once went wrong lies in corpus/, a file each, named by its target.
"""

import contextlib
import importlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from attacks import campaign, child
from attacks.campaign import State, attack, read_state, table
from attacks.limits import SOUND
from attacks.mutation import mutant
from attacks.target import NAMES, open_target
from attacks.targets import AROUND, CLASSICAL, COMPRESSAI, LEARNED, READERS
from support.zygote import Process, Zygote

from benchmark.hfd import memory

pytestmark = pytest.mark.long

CORPUS = sorted((Path(__file__).parent / "corpus").glob("*.bin"))
QUICK = {
    **dict.fromkeys(READERS, 300),
    **dict.fromkeys((*CLASSICAL, *AROUND), 60),
    **dict.fromkeys(LEARNED, 12),
    **dict.fromkeys(COMPRESSAI[4:7], 4),
    "command": 10,
}
"""Mutants of each target in the default tests."""


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("weights")


@pytest.fixture
def _copies(coding: Zygote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What decodes is a copy of a process that has imported torch and CompressAI."""

    def started(*program: str) -> contextlib.AbstractContextManager[Process]:
        script = f"import runpy, sys; sys.argv = {list(program)!r}; runpy.run_path({program[0]!r}, run_name='__main__')"
        return contextlib.nullcontext(Process(coding, folder=tmp_path, script=script))

    monkeypatch.setattr(campaign, "started", started)


@pytest.mark.usefixtures("_copies")
def test_some_mutants_of_every_target(tmp_path: Path) -> None:
    assert set(QUICK) == set(NAMES)
    assert attack(tmp_path, list(QUICK.items())) == []
    states = {name: read_state(tmp_path, name) for name in NAMES}
    assert {name: state.next for name, state in states.items()} == QUICK
    assert all(
        sum(state.counts.values()) == state.next and set(state.counts) <= set(SOUND) for state in states.values()
    )
    assert all(state.counts.get("corrupt") for name, state in states.items() if QUICK[name] >= 60)
    found = sum(state.counts.get("image", 0) + state.counts.get("read", 0) for state in states.values())
    assert found > 0.1 * sum(QUICK.values())  # many get past the checksum


@pytest.mark.slow
def test_as_many_mutants_as_asked_for() -> None:
    wanted = int(os.environ.get("ATTACKS", "2000"))
    assert attack(campaign.state_folder(), [(name, wanted) for name in NAMES]) == []


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_what_once_went_wrong(path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda root=Path("/"): child.AVAILABLE)
    target = open_target(path.stem.partition(".")[0].replace("--", ":"), weights)
    kind, word = child.decoded(target, path.read_bytes(), twice=True)
    assert kind in SOUND, word


def test_the_same_number_is_the_same_mutant(weights: Path) -> None:
    target = open_target("reader-hfd", weights)
    mutants = [mutant(target.name, number, target.seeds, target.format) for number in range(200)]
    assert mutants == [mutant(target.name, number, target.seeds, target.format) for number in range(200)]
    assert len(set(mutants)) > 150
    assert not set(mutants) & set(target.seeds)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in COMPRESSAI[1:]])
def test_fields_are_the_whole_stream_and_its_checksum_is_that_of_the_encoder(name: str, weights: Path) -> None:
    target = open_target(name, weights)
    for seed in target.seeds:
        fields = target.format.split(seed)
        assert b"".join(field.value for field in fields) == seed
        again = target.format.checksum(target.format.lengths(fields))
        assert b"".join(field.value for field in again) == seed
    assert {field.kind for seed in target.seeds for field in target.format.split(seed)} > {"bytes", "payload"}


@pytest.fixture
def _faulty(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The process that decodes knows the targets of faulty.py, and so do the tests of this one."""
    before = dict(NAMES)
    faulty = importlib.import_module("attacks.faulty")
    NAMES.update({read.__name__: faulty._open for read in (*faulty.FAULTS, faulty.decodes)})
    monkeypatch.setattr(campaign, "CHILD", Path(faulty.__file__))
    yield
    NAMES.clear()
    NAMES.update(before)


@pytest.mark.usefixtures("_faulty", "_copies")
def test_faults_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that dies or hangs is gone on behind; all others are attacked by the same one."""
    from attacks.faulty import FAULTS

    with monkeypatch.context() as patch:
        patch.setattr(campaign, "PATIENCE", 1.0)
        findings = attack(tmp_path, [("hangs", 1)])
    findings += attack(tmp_path, [(read.__name__, 1) for read in FAULTS] + [("decodes", 50)])
    assert {finding["target"]: finding["fault"] for finding in findings} == {
        read.__name__: fault for read, fault in FAULTS.items()
    }
    for read, fault in FAULTS.items():
        assert read_state(tmp_path, read.__name__).counts == {fault: 1}
        assert (tmp_path / "findings" / f"{read.__name__}-0-{fault}.json").is_file()
    assert sum(read_state(tmp_path, "decodes").counts.values()) == 50
    target = open_target("decodes", tmp_path)
    assert findings[0]["data"] == mutant("hangs", 0, target.seeds, target.format).hex()


@pytest.mark.usefixtures("_faulty", "_copies")
def test_it_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """Counts of two calls are those of one."""
    attack(tmp_path / "two", [("decodes", 100)])
    attack(tmp_path / "two", [("decodes", 230)])
    attack(tmp_path / "one", [("decodes", 230)])
    two, one = (read_state(tmp_path / which, "decodes") for which in ("two", "one"))
    assert two.next == one.next == 230
    assert two.counts == one.counts
    assert set(one.counts) == {"image", "corrupt"}


@pytest.mark.usefixtures("_faulty")
def test_counts_of_other_seeds_are_not_gone_on_with(tmp_path: Path) -> None:
    campaign.write_state(tmp_path, State("decodes", "00", 5, {"corrupt": 5}))
    with pytest.raises(RuntimeError, match=r"writes other streams.*decodes\.json"):
        attack(tmp_path, [("decodes", 10)])


def test_the_table_adds_up() -> None:
    text = table([State("a", "", 1200, {"image": 1000, "corrupt": 199, "SIGSEGV": 1}), State("b", "", 3, {"read": 3})])
    assert "| a | 1,200 | 1,000 | 0 | 199 | 0 | 1 |" in text
    assert text.splitlines()[-1] == "| **all** | 1,203 | 1,000 | 3 | 199 | 0 | 1 |"
