"""The processes in which an audited codec works: where they are, how they end, what is said of it."""

import json
import os
import signal
import subprocess
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from support import cheating_codecs

from benchmark.audit.child import Job, Operation
from benchmark.audit.processes import CHILD, Surroundings, perform

pytestmark = pytest.mark.long


def spec(codec: str) -> str:
    return f"{cheating_codecs.__file__}:{codec}"


@pytest.fixture
def stream(tmp_path: Path) -> str:
    image = np.zeros((4, 4, 3), np.uint8)
    (tmp_path / "stream").write_bytes(cheating_codecs.Honest().encode(image, 3))
    return str(tmp_path / "stream")


def test_surroundings_are_fresh_and_deleted(stream: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    decode = Operation("decode", str(tmp_path / "picture.npy"), stream)
    where = Surroundings(spec("Surroundings"), threads=3, hash_seed=9)
    session = perform(where, [decode], root)
    trouble = session.outcomes[0].trouble
    assert trouble is not None
    assert trouble.kind == "refused"
    home, temporary, threads, seed, folder, used = trouble.message.split()
    assert (threads, seed) == ("3", "9")
    assert temporary == used
    fresh = {home, temporary, folder}
    assert len(fresh) == 3
    assert all(Path(path).is_relative_to(root) and not Path(path).exists() for path in fresh)
    assert Path.cwd() not in map(Path, fresh)
    assert os.environ["HOME"] != home


def test_a_process_that_dies_or_hangs_costs_one_operation(tmp_path: Path) -> None:
    streams = []
    whole = np.zeros((4, 4, 3), np.uint8)
    data = cheating_codecs.NoChecksum().encode(whole, 3)
    for index, place in enumerate((None, 2, None, 1, None)):
        damaged = bytearray(data)
        if place is not None:
            damaged[place] = 1
        (tmp_path / f"{index}").write_bytes(damaged)
        streams.append(Operation("decode", str(tmp_path / f"{index}.npy"), str(tmp_path / f"{index}")))
    session = perform(Surroundings(spec("NoChecksum"), seconds=2), streams, tmp_path)
    kinds = [None if outcome.trouble is None else outcome.trouble.kind for outcome in session.outcomes]
    assert kinds == [None, "died", None, "hung", None]
    assert all(np.load(tmp_path / f"{index}.npy").shape == whole.shape for index in (0, 2, 4))


def test_memory_is_limited_where_it_is_said(tmp_path: Path) -> None:
    data = bytearray(cheating_codecs.NoChecksum().encode(np.zeros((4, 4, 3), np.uint8), 3))
    data[0] = 1  # a GiB
    (tmp_path / "stream").write_bytes(data)
    limited = Operation("decode", str(tmp_path / "picture.npy"), str(tmp_path / "stream"), limited=True)
    session = perform(Surroundings(spec("NoChecksum"), memory=2**29), [limited], tmp_path)
    assert session.outcomes[0].trouble is not None
    assert session.outcomes[0].trouble.kind == "memory"


def test_what_cannot_be_opened_is_said(tmp_path: Path) -> None:
    encode = Operation("encode", str(tmp_path / "a.npy"), str(tmp_path / "a"), quality=3)
    session = perform(Surroundings(spec("CannotOpen")), [encode], tmp_path)
    assert session.opened.trouble is not None
    assert "weights that are not there" in session.opened.trouble.message
    assert session.outcomes[0].trouble is not None
    assert session.outcomes[0].trouble.kind == "opening"


def test_a_relative_codec_file_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_bytes(Path(cheating_codecs.__file__).read_bytes())
    monkeypatch.chdir(tmp_path)
    assert perform(Surroundings("./mine.py:Honest"), [], tmp_path).opened.qualities == [1, 3, 5]


WITH_WEIGHTS = """
import numpy as np
class Mine:
    qualities = (1,)
    def __init__(self, weights="weights.txt"):
        self.weights = weights
    def encode(self, image, quality):
        return image.tobytes()
    def decode(self, data):
        width = int(open(self.weights).read())
        return np.frombuffer(data, np.uint8).reshape(-1, width, 3)
"""


@pytest.mark.parametrize(
    ("codec", "told"),
    [
        ("./mine.py:Mine:weights=trained/weights.txt", None),
        (
            "./mine.py:Mine",
            "FileNotFoundError: [Errno 2] No such file or directory: 'weights.txt' (mine.py:10 in decode); "
            "an audit works in an empty folder: name files in settings, or with absolute paths",
        ),
    ],
)
def test_weights_of_a_setting_are_found_from_the_codec_s_folder(
    codec: str, told: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text(WITH_WEIGHTS)
    (tmp_path / "trained").mkdir()
    for folder in (tmp_path, tmp_path / "trained"):
        (folder / "weights.txt").write_text("4")
    (tmp_path / "stream").write_bytes(bytes(48))
    monkeypatch.chdir(tmp_path)
    decode = Operation("decode", str(tmp_path / "picture.npy"), str(tmp_path / "stream"))
    trouble = perform(Surroundings(codec), [decode], tmp_path).outcomes[0].trouble
    assert (None if trouble is None else trouble.message) == told


def test_a_process_ends_with_the_audit_however_that_ends(stream: str, tmp_path: Path) -> None:
    lifeline, held = os.pipe()
    (tmp_path / "slow.py").write_text(
        "import time\nclass Slow:\n    qualities = (1,)\n    def encode(self, i, q): ...\n"
        "    def decode(self, data):\n        time.sleep(600)\n"
    )
    outcomes = tmp_path / "outcomes"
    outcomes.touch()
    decode = Operation("decode", str(tmp_path / "picture.npy"), stream)
    job = Job(f"{tmp_path}/slow.py:Slow", "cpu", str(tmp_path), str(tmp_path), str(outcomes), None, [decode], lifeline)
    (tmp_path / "job.json").write_text(json.dumps(asdict(job)))
    process = subprocess.Popen([*CHILD, str(tmp_path / "job.json")], start_new_session=True, pass_fds=[lifeline])
    os.close(lifeline)
    while not outcomes.read_text():
        assert process.poll() is None
    os.close(held)
    assert process.wait(30) == -signal.SIGKILL


def test_a_codec_that_never_answers_is_not_asked_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmark.audit.processes.SECONDS_HUNG", 0)
    (tmp_path / "mine.py").write_text(
        "import time\nclass Mine:\n    qualities = (1,)\n    def decode(self, data): ...\n"
        "    def encode(self, image, quality): time.sleep(600)\n"
    )
    np.save(tmp_path / "a.npy", np.zeros((4, 4, 3), np.uint8))
    operations = [Operation("encode", str(tmp_path / "a.npy"), str(tmp_path / "a"), quality=1)] * 6
    session = perform(Surroundings(f"{tmp_path}/mine.py:Mine", seconds=0.5), operations, tmp_path)
    messages = [outcome.trouble.message for outcome in session.outcomes if outcome.trouble is not None]
    assert messages == ["no answer within 0.5 s"] * 3 + ["not tried: 3 times before there was no answer"] * 3
