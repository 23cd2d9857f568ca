"""Decoders under attack: each mutated stream gives an image of the size that it states, or CorruptStream in one line.

    ATTACKS=20000 python -m pytest -m slow tests/attacks/test_streams.py

goes on where it stopped, see campaign.py. What once went wrong lies in corpus/, a file each, named by its target.
"""

import json
import os
import sys
from pathlib import Path

import pytest
from attacks import campaign, child
from attacks.campaign import State, attack, read_state, table
from attacks.formats import FORMATS
from attacks.limits import SOUND
from attacks.mutation import mutant
from attacks.targets import AROUND, CLASSICAL, COMPRESSAI, LEARNED, NAMES, READERS, open_target

from benchmark.hfd import memory

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


def test_some_mutants_of_every_target(tmp_path: Path) -> None:
    assert set(QUICK) == set(NAMES)
    assert attack(tmp_path, list(QUICK.items())) == []
    states = {name: read_state(tmp_path, name) for name in NAMES}
    assert {name: state.next for name, state in states.items()} == QUICK
    assert all(sum(state.counts.values()) == state.next and set(state.counts) <= set(SOUND) for state in states.values())
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
    assert not set(mutants) <= set(target.seeds)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in COMPRESSAI[1:]])
def test_fields_are_the_whole_stream_and_its_checksum_is_that_of_the_encoder(name: str, weights: Path) -> None:
    target = open_target(name, weights)
    for seed in target.seeds:
        fields = target.format.split(seed)
        assert b"".join(field.value for field in fields) == seed
        again = target.format.checksum(target.format.lengths(fields))
        assert b"".join(field.value for field in again) == seed
    assert {field.kind for seed in target.seeds for field in target.format.split(seed)} > {"bytes", "payload"}


FAULTY = '''
import os, signal, sys, time
sys.path.insert(0, {tests!r})
import numpy as np
from attacks import child
from attacks.limits import BYTES
from attacks.targets import NAMES, Target
from attacks.formats import FORMATS
from benchmark.errors import BenchmarkError, CorruptStream, UsageError
from benchmark.hfd.container import Container, pack
import warnings

SEED = pack(Container("mse", 8, 8, 0, 0, b"abcd", bytes(100)))

def dies(data):
    if data != SEED:
        os.kill(os.getpid(), signal.SIGSEGV)

def hangs(data):
    if data != SEED:
        time.sleep(1000)

def eats(data):
    if data != SEED:
        held = bytearray(BYTES + 2**27)
        held[::4096] = bytes(len(held[::4096])).replace(b"\\0", b"1")
    raise CorruptStream("no")

def sleeps(data):
    begun = time.process_time()
    while data != SEED and time.process_time() - begun < 2.2:
        pass
    raise CorruptStream("no")

def raises(data):
    raise KeyError("no")

def usage(data):
    raise UsageError("no")

def other(data):
    raise BenchmarkError("no")

def two_lines(data):
    raise CorruptStream("no\\nand no")

def warns(data):
    warnings.warn("deprecated", DeprecationWarning)
    raise CorruptStream("no")

def prints(data):
    os.write(2, b"libpng warning")
    raise CorruptStream("no")

def wrong_size(data):
    return np.zeros((9, 8, 3), np.uint8)

def changes(data):
    return np.random.default_rng().integers(0, 256, (8, 8, 3), dtype=np.uint8)

def sound(data):
    return np.zeros((8, 8, 3), np.uint8)

for read in (dies, hangs, eats, sleeps, raises, usage, other, two_lines, warns, prints, wrong_size, changes, sound):
    NAMES[read.__name__] = lambda name, folder, read=read: Target(
        name, (SEED,), FORMATS["hfd"], read, lambda data: (8, 8)
    )
'''
EXPECTED = {
    "dies": "SIGSEGV",
    "hangs": "hang",
    "eats": "memory",
    "sleeps": "slow",
    "raises": "raised",
    "usage": "raised",
    "other": "raised",
    "two_lines": "lines",
    "warns": "warned",
    "prints": "printed",
    "wrong_size": "size",
    "changes": "unstable",
    "sound": None,
}


@pytest.mark.parametrize(("name", "fault"), EXPECTED.items())
def test_faults_are_found(name: str, fault: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoders that each do one thing wrong; the process that dies or hangs is counted and gone on behind."""
    tests = str(Path(__file__).parents[1])
    (tmp_path / "child.py").write_text(
        FAULTY.format(tests=tests) + "if __name__ == '__main__':\n    child.main(*sys.argv[1:])\n"
    )
    exec(compile(FAULTY.format(tests=tests), "faulty", "exec"), {})  # the parent makes the mutant of a death again
    monkeypatch.setattr(campaign, "HERE", tmp_path)
    monkeypatch.setattr(campaign, "PATIENCE", 3.0)
    folder = tmp_path / "state"
    try:
        findings = attack(folder, [(name, 2)])
        state = read_state(folder, name)
    finally:
        for faulty in EXPECTED:
            NAMES.pop(faulty, None)
    if fault is None:
        assert findings == []
        assert state.counts == {"image": 2}
        return
    assert {finding["fault"] for finding in findings} == {fault}
    assert state.next == 2
    assert state.counts[fault] == len(findings)
    kept = json.loads(next((folder / "findings").glob("*.json")).read_text())
    assert kept["data"] == findings[0]["data"] or len(findings) > 1


def test_it_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """Counts of two calls are those of one."""
    attack(tmp_path / "two", [("reader-hfd", 100)])
    attack(tmp_path / "two", [("reader-hfd", 230)])
    attack(tmp_path / "one", [("reader-hfd", 230)])
    two, one = (read_state(tmp_path / which, "reader-hfd") for which in ("two", "one"))
    assert two.next == one.next == 230
    assert two.counts == one.counts


def test_counts_of_other_seeds_are_not_gone_on_with(tmp_path: Path) -> None:
    campaign.write_state(tmp_path, State("reader-hfd", "00", 5, {"corrupt": 5}))
    with pytest.raises(RuntimeError, match=r"writes other streams.*reader-hfd\.json"):
        attack(tmp_path, [("reader-hfd", 10)])


def test_the_table_adds_up() -> None:
    text = table([State("a", "", 1200, {"image": 1000, "corrupt": 199, "SIGSEGV": 1}), State("b", "", 3, {"read": 3})])
    assert "| a | 1,200 | 1,000 | 0 | 199 | 0 | 1 |" in text
    assert text.splitlines()[-1] == "| **all** | 1,203 | 1,000 | 3 | 199 | 0 | 1 |"
