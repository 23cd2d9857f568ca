"""Runs with codecs that are not the suite's: what they do concerns no other trial, and ends no run."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from support import unruly_codecs
from support.fake_benchmark import start
from support.pictures import write_pictures

from benchmark.cli.main import main
from benchmark.codecs import Image, open_codec
from benchmark.errors import BenchmarkError, UsageError
from benchmark.reports.outcome import sum_up
from benchmark.results import FAILED, RunFolder, Trial
from benchmark.running.backends.here import Here
from benchmark.running.backends.processes import Processes
from benchmark.running.interruption import Stop, finishing_trials
from benchmark.running.run import Request, Run, open_run

pytestmark = pytest.mark.long

FILE = Path(unruly_codecs.__file__)
ENDED = "the worker process ended during this trial"


@pytest.fixture
def asked(tmp_path: Path) -> Request:
    write_pictures(tmp_path / "pictures", ["a.png", "b.png"])
    return Request(only=True, dataset=str(tmp_path / "pictures"), metrics=["psnr"], output=tmp_path / "run", workers=1)


def spec(name: str) -> str:
    return f"{FILE}:{name}"


def do(request: Request, codecs: Any, stop: Stop | None = None) -> tuple[Run, list[Trial]]:
    with open_run(replace(request, codecs=codecs)) as run:
        return run, list(run.execute(stop))


def errors(trials: list[Trial]) -> dict[float, set[str | None]]:
    found: dict[float, set[str | None]] = {}
    for trial in trials:
        found.setdefault(trial.quality, set()).add(trial.error)
    return found


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Exits", r"encode: RuntimeError: it calls sys.exit\(\) \(unruly_codecs.py:\d+ in trouble\); tracebacks/.*"),
        (
            "Interrupts",
            r"encode: .* raises KeyboardInterrupt, which nobody .* \(unruly_codecs.py:\d+ in trouble\); tracebacks/.*",
        ),
        ("Crashes", rf"{ENDED}: signal 11 \(SIGSEGV\) \(unruly_codecs.py:\d+ in trouble\); tracebacks/\w+.txt"),
        ("Leaves", r"encode: RuntimeError: it calls os._exit\(0\) \(unruly_codecs.py:\d+ in trouble\); tracebacks/.*"),
        ("LeavesInC", f"{ENDED}: exit code 0"),
    ],
)
def test_what_would_end_a_process_is_a_failure_of_its_trial(asked: Request, name: str, reason: str) -> None:
    run, trials = do(asked, [spec(name), "jpeg"])
    assert run.folder.manifest.status == "complete"
    own = errors([trial for trial in trials if trial.codec == spec(name)])
    assert own[1] == {None}
    assert all(error is not None and re.fullmatch(reason, error) for error in own[2])
    assert {trial.error for trial in trials if trial.codec == "jpeg"} == {None}


def test_the_stack_of_a_crash_is_in_the_run(asked: Request) -> None:
    run, _ = do(replace(asked, workers=2), [spec("Crashes")])
    stacks = [path.read_text() for path in (run.folder.path / "tracebacks").iterdir()]
    assert stacks
    assert all("Fatal Python error: Segmentation fault" in stack for stack in stacks)
    assert all(f'File "{FILE}"' in stack for stack in stacks)


def test_a_crash_of_the_constructor_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import ctypes\nclass Mine:\n    def __init__(self):\n        ctypes.string_at(0)\n"
    )
    line = [sys.executable, "-m", "benchmark", "run", "--only", "--codec", "./mine.py:Mine"]
    ended = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == -signal.SIGSEGV
    assert 'mine.py", line 4 in __init__' in ended.stderr


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_may_have_children(asked: Request, workers: int) -> None:
    _, trials = do(replace(asked, workers=workers), [spec("HasChildren")])
    assert errors(trials) == {1: {None}, 2: {None}}


def test_an_interrupt_of_the_codec_s_own_in_this_process(asked: Request) -> None:
    with finishing_trials(lambda: None) as stop:
        run, trials = do(asked, {"mine": unruly_codecs.Interrupts()}, stop)
    assert errors(trials)[1] == {None}
    assert all("it raises KeyboardInterrupt, which nobody asked for" in str(error) for error in errors(trials)[2])
    assert run.folder.manifest.status == "complete"


def test_the_user_s_interrupt_is_no_failure(asked: Request) -> None:
    class Slow(unruly_codecs.Plain):
        def trouble(self) -> None:
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)

    with finishing_trials(lambda: None) as stop, pytest.raises(KeyboardInterrupt):
        do(asked, {"mine": Slow()}, stop)
    assert RunFolder.open(asked.output or Path()).manifest.status == "interrupted"


def test_without_anyone_who_listens_an_interrupt_is_the_user_s(asked: Request) -> None:
    with pytest.raises(KeyboardInterrupt):
        do(asked, {"mine": unruly_codecs.Interrupts()})


def test_what_a_codec_prints_is_not_in_the_table(asked: Request, tmp_path: Path) -> None:
    process = start(
        *("run", "--only", "--codec", spec("Changes"), "--metric", "psnr", "--dataset", "pictures", "--workers", "1"),
        *("--label", f"{spec('Changes')}=Ours"),
        folder=tmp_path,
    )
    output, said = process.communicate(timeout=600)
    assert process.returncode == 0, said
    assert "words" not in output
    assert output.splitlines()[2] == "Ours"
    assert said.count("words on standard output") == said.count("words of a program") == 2
    assert f"Ours has not been audited: python -m benchmark audit {shlex.quote(spec('Changes'))}" in said


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, None])
def test_nothing_that_a_codec_started_outlives_the_run(asked: Request, tmp_path: Path, how: int | None) -> None:
    codec = f"{spec('LeavesChildren')}:folder={tmp_path},seconds={0 if how is None else 30}"
    process = start(
        *("run", "--only", "--codec", codec, "--metric", "bpp", "--dataset", "pictures", "--workers", "1"),
        folder=tmp_path,
    )
    end = time.monotonic() + 600
    while not (tmp_path / "begun").exists() or not (tmp_path / "begun").read_text():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)
    started = [int(number) for number in (tmp_path / "begun").read_text().split()]
    if how is not None:
        process.send_signal(how)
    process.communicate(timeout=600)
    while any(is_alive(number) for number in started):
        assert time.monotonic() < end
        time.sleep(0.01)
    assert not (tmp_path / "late").exists() or how is None


def test_nor_does_a_daemon(asked: Request, tmp_path: Path) -> None:
    """A process in a session of its own: of a codec, and of a program."""
    codec, _ = do(asked, [f"{spec('LeavesDaemon')}:folder={tmp_path}"])
    assert codec.folder.manifest.status == "complete"
    assert not is_alive(int((tmp_path / "begun").read_text()))
    program = tmp_path / "enc.py"
    program.write_text(
        "import shutil, subprocess, sys\nchild = subprocess.Popen(['sleep', '1000'], start_new_session=True)\n"
        f"open({str(tmp_path / 'called')!r}, 'w').write(str(child.pid))\nshutil.copy(sys.argv[1], sys.argv[2])\n"
    )
    enc, dec = f"{sys.executable} {program} {{in}} {{out}} {{q}}", "cp {in} {out}"
    process = start(
        *("run", "--only", "--codec", f'command:enc="{enc}",dec="{dec}",suffix=png,qualities=1', "--metric", "bpp"),
        *("--dataset", "pictures", "--limit", "1", "--workers", "1"),
        folder=tmp_path,
    )
    _, said = process.communicate(timeout=600)
    assert process.returncode == 0, said
    assert not is_alive(int((tmp_path / "called").read_text()))


def is_alive(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


# State


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Keeps", "a fresh instance fails: decode: AttributeError: 'Keeps' object has no attribute 'last'"),
        ("KeepsInModule", "a fresh instance gives another image: "),
    ],
)
def test_what_encode_leaves_behind_is_found_without_an_audit(asked: Request, name: str, reason: str) -> None:
    _, trials = do(asked, [spec(name)])
    assert len(trials) == 4
    assert all(trial.error is not None and trial.bytes is None for trial in trials)
    assert all(str(trial.error).startswith(f"decode depends on state that encode left: {reason}") for trial in trials)


def test_of_an_object_too(asked: Request) -> None:
    _, trials = do(asked, {"mine": unruly_codecs.Keeps(), "good": unruly_codecs.Plain()})
    by_codec = {codec: {t.error for t in trials if t.codec == codec} for codec in ("mine", "good")}
    assert by_codec["good"] == {None}
    assert all("after another image was encoded, decode" in str(error) for error in by_codec["mine"])


def test_of_a_codec_that_does_not_repeat_itself_nothing_is_said(asked: Request) -> None:
    _, trials = do(asked, [spec("Restless")])
    assert {trial.error for trial in trials} == {None}
    assert [trial.reasons.get("decode by a fresh instance") for trial in trials] == [
        "decode does not give the same image twice",
        *[None] * 3,
    ]


def test_each_instance_is_asked_once(asked: Request) -> None:
    class Counts(unruly_codecs.Plain):
        decoded = 0

        def decode(self, data: bytes) -> Image:
            self.decoded += 1
            return super().decode(data)

    codec = Counts()
    do(asked, {"mine": codec})
    assert codec.decoded == 4 + 1


# Objects


def test_objects_and_specs_side_by_side(asked: Request) -> None:
    run, trials = do(replace(asked, workers=None), {"mine": unruly_codecs.Plain(), "jpeg": "jpeg"})
    assert isinstance(run.backend, Here)
    assert {trial.codec for trial in trials} == {"mine", "jpeg"}
    assert {trial.error for trial in trials} == {None}
    record = RunFolder.open(run.folder.path).manifest.codecs["mine"]
    assert (record.spec, record.audited) == (None, False)
    assert record.description["object"] == "object of class support.unruly_codecs.Plain"


def test_objects_go_to_workers_if_they_can(asked: Request) -> None:
    run, trials = do(replace(asked, workers=2), {"mine": unruly_codecs.Plain()})
    assert isinstance(run.backend, Processes)
    assert errors(trials) == {1: {None}, 2: {None}}

    class Local(unruly_codecs.Plain): ...

    run, trials = do(replace(asked, workers=2, output=run.folder.path.parent / "other"), {"mine": Local()})
    assert isinstance(run.backend, Here)
    assert "mine cannot be sent to other processes; all trials are done in this one" in run.notes
    assert {trial.error for trial in trials} == {None}


def test_an_object_without_qualities_needs_some(asked: Request) -> None:
    class Least:
        encode, decode, trouble = unruly_codecs.Plain.encode, unruly_codecs.Plain.decode, unruly_codecs.Plain.trouble

    with pytest.raises(UsageError, match="mine names no qualities of its own; --quality gives some"):
        do(asked, {"mine": Least()})
    run, trials = do(replace(asked, qualities=["mine=3"]), {"mine": Least()})
    assert errors(trials) == {3: {None}}
    assert any(note.startswith("mine has no describe(): its weights are not in the record") for note in run.notes)


def test_a_checkpoint_in_a_setting_is_in_the_record(asked: Request, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "class Mine:\n    qualities = (1,)\n    def __init__(self, weights): ...\n"
        "    def encode(self, image, quality): return b'1'\n    def decode(self, data): return data\n"
    )
    (tmp_path / "mine.pth").write_text("trained")
    with open_run(replace(asked, codecs=[f"{tmp_path}/mine.py:Mine:weights={tmp_path}/mine.pth"])) as run:
        notes = [note for note in run.notes if "has no describe()" in note]
    assert len(notes) == 1
    assert notes[0].endswith("only the files that it names are in the record, so a change of others is not noticed")


def test_objects_that_are_no_codecs(asked: Request) -> None:
    codecs: Mapping[str, Any]
    for codecs, reason in (
        ({"mine": object()}, "codec mine: no codec, it has no encode, decode"),
        ({"mine": unruly_codecs.Plain}, "codec mine: a class, not an object of it"),
    ):
        with pytest.raises(UsageError, match=reason):
            do(asked, codecs)


# What differs


@pytest.mark.parametrize("changed", ["mine.py", "my_model.py", "a.pth", "describe"])
def test_a_run_does_not_go_on_with_another_version(asked: Request, tmp_path: Path, changed: str) -> None:
    (tmp_path / "my_model.py").write_text("")
    (tmp_path / "a.pth").write_text("weights")
    (tmp_path / "described").write_text("1")
    (tmp_path / "mine.py").write_text(
        f"from pathlib import Path\nimport sys\nsys.path.append({str(FILE.parents[1])!r})\n"
        "from support.unruly_codecs import Plain\nclass Mine(Plain):\n    def __init__(self, weights): ...\n"
        "    def encode(self, image, quality):\n        import my_model\n"
        "        return super().encode(image, quality)\n"
        f"    def describe(self): return {{'a': {{'b': Path({str(tmp_path / 'described')!r}).read_text()}}}}\n"
    )
    codec = f"{tmp_path}/mine.py:Mine:weights={tmp_path}/a.pth"
    do(asked, [codec])
    assert do(asked, [codec])[1] == []
    target = tmp_path / ("described" if changed == "describe" else changed)
    part = {
        "mine.py": "file_sha256",
        "my_model.py": "modules_sha256 my_model.py",
        "a.pth": "settings_sha256 weights",
        "describe": "a b",
    }[changed]
    target.write_text(target.read_text() + "\n")
    with pytest.raises(UsageError) as caught:
        do(asked, [codec])
    found = str(caught.value).partition("holds another run; ")[2]
    assert found.startswith(f"{codec} {part}: ")
    assert found.count(" there, ") == (2 if changed == "describe" else 1)  # its file is named in the code, too


def test_a_worker_that_takes_another_s_place_does_not_go_on_with_another_version(
    asked: Request, tmp_path: Path
) -> None:
    """The file is edited while the run goes on, and then the worker dies."""
    file = tmp_path / "mine.py"
    file.write_text(
        f"import os, signal, sys\nsys.path.append({str(FILE.parents[1])!r})\n"
        "from support.unruly_codecs import Plain\nclass Mine(Plain):\n    def encode(self, image, quality):\n"
        f"        died = {str(tmp_path / 'died')!r}\n"
        "        if not os.path.exists(died):\n            open(died, 'w')\n"
        "            open(__file__, 'a').write('# edited')\n            os.kill(os.getpid(), signal.SIGKILL)\n"
        "        return super().encode(image, quality)\n"
    )
    with pytest.raises(BenchmarkError, match=r"mine.py:Mine has changed since the run began \(file_sha256\)"):
        do(asked, [f"{file}:Mine"])
    folder = RunFolder.open(tmp_path / "run")
    assert folder.manifest.status == "interrupted"
    assert [trial.error is not None for trial in folder.trials()] == [True]


# What is said, and raised


def test_debug_raises_the_exception_itself(asked: Request) -> None:
    class Fails(unruly_codecs.Plain):
        def trouble(self) -> None:
            raise ZeroDivisionError("here")

    with pytest.raises(ZeroDivisionError, match="here") as caught:
        do(replace(asked, debug=True), {"mine": Fails()})
    assert caught.traceback[-1].name == "trouble"
    with pytest.raises(RuntimeError, match=r"sys.exit\(\)"):
        do(replace(asked, debug=True, output=(asked.output or Path()) / "2"), [spec("Exits")])
    with pytest.raises(UsageError, match="--debug raises"):
        do(replace(asked, debug=True, workers=2), [spec("Plain")])


def test_debug_on_the_command_line_shows_all_of_it(asked: Request, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "class Mine:\n    qualities = (1,)\n    def decode(self, data): ...\n"
        "    def encode(self, image, quality): open('/nowhere/at/all')\n"
    )
    process = start(
        *("run", "--only", "--codec", "./mine.py:Mine", "--metric", "psnr", "--dataset", "pictures", "--debug"),
        folder=tmp_path,
    )
    _, said = process.communicate(timeout=600)
    assert process.returncode == 3
    assert 'mine.py", line 4, in encode' in said
    assert said.splitlines()[-1].startswith("error: /nowhere/at/all: No such file")


def test_what_a_codec_raises_under_debug_is_no_mistake_of_the_suite_s(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path / "pictures", ["a.png"])
    (tmp_path / "mine.py").write_text(
        "class Mine:\n    qualities = (1,)\n    def decode(self, data): ...\n"
        "    def encode(self, image, quality): return 1 / 0\n"
    )
    with pytest.raises(SystemExit) as ended:
        main(["run", "--only", "--codec", "./mine.py:Mine", "--metric", "psnr", "--dataset", "pictures", "--debug"])
    assert ended.value.code == 3
    said = capsys.readouterr().err.splitlines()
    assert said[-1] == "error: ZeroDivisionError: division by zero (mine.py:4 in encode)"
    assert "Traceback" in "".join(said)


def test_one_traceback_for_each_place(asked: Request) -> None:
    class Fails(unruly_codecs.Plain):
        def trouble(self) -> None:
            raise ValueError(f"at {time.monotonic()}")

        def decode(self, data: bytes) -> Image:
            if data[2]:
                return super().decode(data)
            return np.stack([1, [2]])

    run, trials = do(asked, {"mine": Fails()})
    named = {str(trial.error).rpartition("; ")[2] for trial in trials if trial.error is not None}
    there = {f"tracebacks/{path.name}" for path in (run.folder.path / "tracebacks").iterdir()}
    assert named == there
    assert len(there) == 1
    text = (run.folder.path / there.pop()).read_text()
    assert "in trouble" in text
    assert "ValueError: at " in text


def test_an_audit_is_known_again(asked: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import json

    from benchmark.codecs import parse_codec_spec

    monkeypatch.chdir(tmp_path)
    codec = spec("Plain")
    run, _ = do(asked, [codec])
    assert run.folder.manifest.codecs[codec].audited is False
    assert any("has not been audited" in note for note in sum_up(run.folder, draw=False).notes)
    audit = Path("results") / f"audit-{parse_codec_spec(codec).label}" / "audit.json"
    audit.parent.mkdir(parents=True)
    about = {"description": open_codec(codec).describe()}
    checks = [{"name": "a", "verdict": "passed"}]
    record = {"schema_version": 1, "codec": codec, "failed": [], "checks": checks, "about": about}
    for changes, audited in (({}, True), ({"failed": ["x"]}, False), ({"about": {"description": {}}}, False)):
        audit.write_text(json.dumps(record | changes))
        run, _ = do(asked, [codec])
        assert run.folder.manifest.codecs[codec].audited is audited
    run, _ = do(replace(asked, output=tmp_path / "ours"), ["jpeg"])
    assert run.folder.manifest.codecs["jpeg"].audited is None


def test_a_run_does_not_go_on_with_another_script(asked: Request, tmp_path: Path) -> None:
    (tmp_path / "enc.sh").write_text('[ "$3" = 60 ] && exit 7; cp "$1" "$2"\n')
    (tmp_path / "dec.sh").write_text('cp "$1" "$2"\n')
    codec = (
        f'command:enc="sh {tmp_path}/enc.sh {{in}} {{out}} {{q}}",dec="sh {tmp_path}/dec.sh {{in}} {{out}}"'
        ',suffix=.png,qualities="30 60"'
    )
    assert errors(do(asked, [codec])[1])[30] == {None}
    (tmp_path / "enc.sh").write_text('cp "$1" "$2"\n')
    with pytest.raises(UsageError, match=re.escape(f"{codec} files {tmp_path}/enc.sh: ")):
        do(asked, [codec])


@pytest.mark.parametrize("here", [True, False])
def test_a_codec_that_lets_pillow_read_half_files_lets_nobody_else(asked: Request, tmp_path: Path, here: bool) -> None:
    whole = tmp_path / "whole.jpg"
    Pillow.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(whole)
    (tmp_path / "pictures" / "half.jpg").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    (tmp_path / "mine.py").write_text(
        f"from PIL import ImageFile\nImageFile.LOAD_TRUNCATED_IMAGES = True\nimport sys\n"
        f"sys.path.append({str(FILE.parents[1])!r})\nfrom support.unruly_codecs import Plain\n"
    )
    _, trials = do(replace(asked, here=here), [f"{tmp_path}/mine.py:Plain"])
    failed = {trial.image: trial.error for trial in trials if trial.error is not None}
    assert list(failed) == ["half"]
    assert "ends too early" in str(failed["half"])


# Time


def test_a_trial_that_takes_too_long_is_a_failure_and_the_run_goes_on(asked: Request, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        f"import sys, time\nsys.path.append({str(FILE.parents[1])!r})\nfrom support.unruly_codecs import Plain\n"
        "class Mine(Plain):\n    def trouble(self):\n        time.sleep(1000)\n"
    )
    codec = f"{tmp_path}/mine.py:Mine"
    run, trials = do(replace(asked, time_limit=20.0, limit=1), [codec, "jpeg"])
    assert run.folder.manifest.status == "complete"
    found = errors([trial for trial in trials if trial.codec == codec])
    assert found[1] == {None}
    reason = rf"{ENDED}: no end after 20 seconds; it was killed \(mine.py:6 in trouble\); tracebacks/\w+.txt"
    assert all(re.fullmatch(reason, str(error)) for error in found[2])
    assert {trial.error for trial in trials if trial.codec == "jpeg"} == {None}


def test_a_limit_that_cannot_be_held_is_refused(asked: Request) -> None:
    class Local(unruly_codecs.Plain): ...

    for changes, codecs, reason in (
        ({"time_limit": 0.0}, ["jpeg"], "--time-limit 0: seconds that a trial may take, above 0"),
        ({"time_limit": 5.0, "debug": True}, ["jpeg"], "--debug does all trials in this process"),
        ({"time_limit": 5.0}, {"mine": Local()}, "a time limit needs processes of their own, and mine is an object"),
    ):
        with pytest.raises(UsageError, match=reason):
            do(replace(asked, **changes), codecs)


# Metrics


def test_a_metric_that_ends_its_process_fails_alone(asked: Request, tmp_path: Path) -> None:
    """On that image; other metrics have their values of it, and so has this metric of the others."""
    path = tmp_path / "mine.py"
    path.write_text(
        "import ctypes, os, signal, sys\nENDS = {'crash': lambda: ctypes.string_at(0), 'leave': lambda: os._exit(0),\n"
        "        'exit': lambda: sys.exit(0), 'kill': lambda: os.kill(os.getpid(), signal.SIGKILL)}\n"
        "class Base:\n    higher_is_better = True\n"
        "    def __init__(self, how: str):\n        self.how = self.name = how\n"
        "    def value(self, image):\n        if image.shape[0] > 20:\n"
        "            if self.how == 'interrupt':\n                raise KeyboardInterrupt\n"
        "            ENDS[self.how]()\n        return 1.0\n"
        "class Mine(Base):\n    def compare(self, original, reconstruction):\n"
        "        return self.value(original)\n"
        "class Features(Base):\n    distance = 'frechet'\n    higher_is_better = False\n"
        "    def features(self, image):\n        return [self.value(image), image.mean()]\n"
    )
    write_pictures(tmp_path / "pictures", ["tall.png"], size=(48, 32))
    metrics = ["psnr", *(f"{path}:Mine:how={how}" for how in ("interrupt", "exit", "leave", "crash"))]
    run, trials = do(replace(asked, metrics=[*metrics, f"{path}:Features:how=kill"]), ["jpeg"])
    assert isinstance(run.backend, Processes)
    assert run.folder.manifest.status == "complete"
    assert {trial.error for trial in trials} == {None}
    for trial in trials:
        assert trial.metrics["psnr"] is not None
        ended = trial.image == "tall"
        assert [trial.metrics[how] for how in ("interrupt", "exit", "leave", "crash")] == [None if ended else 1] * 4
        failed = {name for name, why in trial.reasons.items() if why.startswith(FAILED)}
        assert failed == ({"interrupt", "exit", "leave", "crash", "kill"} if ended else set())
    told = next(trial for trial in trials if trial.image == "tall").reasons
    for how, words in {
        "interrupt": "it raises KeyboardInterrupt, which nobody asked for (mine.py:",
        "exit": "it calls sys.exit(0) (mine.py:",
        "leave": "it calls os._exit(0) (mine.py:",
        "crash": "the worker process ended in it: signal 11 (SIGSEGV) (mine.py:",
        "kill": "the worker process ended in it: signal 9 (SIGKILL), perhaps for want of memory",
    }.items():
        assert words in told[how]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("return -0.5", "compare returned -0.5, but its lowest is 0"),
        ("return 1.5", "compare returned 1.5, but its highest is 1"),
        ("return None", "compare returned NoneType, not a number"),
        ("return '1'", "compare returned '1' of class str"),
        ("return 1j", "compare returned complex, not a number"),
        ("return 10 ** 400", "compare returned a whole number beyond what a float holds"),
        ("return original", "compare returned ndarray of shape"),
        ("import sys; sys.exit(0)", r"it calls sys.exit\(0\)"),
        ("import os; os._exit(0)", r"it calls os._exit\(0\)"),
        ("return 1.00000001", None),
        ("print('words'); return 1", None),
    ],
)
def test_values_of_a_metric_that_are_none(asked: Request, tmp_path: Path, body: str, reason: str | None) -> None:
    (tmp_path / "mine.py").write_text(
        "class Mine:\n    higher_is_better = True\n    lowest, highest = 0, 1\n"
        f"    def compare(self, original, reconstruction):\n        {body}\n"
    )
    with open_run(
        replace(asked, codecs=["jpeg"], qualities=["50"], limit=1, metrics=[f"{tmp_path}/mine.py:Mine"], here=True)
    ) as run:
        (trial,) = run.execute()
    if reason is None:
        assert trial.broken is None
        assert trial.metrics["Mine"] == pytest.approx(1)
    else:
        assert re.search(reason.replace(" of class str", ""), str(trial.broken)), trial.broken


# What is asked otherwise


def test_a_retrained_object_is_not_passed_over(asked: Request) -> None:
    class Trained(unruly_codecs.Plain):
        def __init__(self) -> None:
            self.weights = np.zeros(3, np.float32)

    codec = Trained()
    do(asked, {"mine": codec})
    assert do(asked, {"mine": codec})[1] == []
    codec.weights[1] = 1e-3
    with pytest.raises(UsageError, match="mine weights_sha256: "):
        do(asked, {"mine": codec})


def test_a_run_does_not_go_on_under_another_arithmetic(asked: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MKL_CBWR", raising=False)
    do(asked, ["jpeg"])
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    with pytest.raises(UsageError, match="environment variable MKL_CBWR: none there, COMPATIBLE asked"):
        do(asked, ["jpeg"])


def test_a_codec_that_describes_no_weights_is_named(asked: Request, tmp_path: Path) -> None:
    run, _ = do(asked, [spec("Plain")])
    assert [note for note in run.notes if "describes no weights" in note] == [
        f"{spec('Plain')} describes no weights: if it has any, name their file in a setting, or their hash in "
        "describe(), or a changed checkpoint is not noticed"
    ]


def test_variables_that_a_codec_reads_and_does_not_name_are_named(asked: Request, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    body = "    def encode(self, i, q): return os.environ.get('STEP', '') + os.environ.get('SHIFT', '')\n"
    body += "    def decode(self, d): ...\n"
    notes = []
    for more in ("", "    environment = ('STEP',)\n", "    environment = ('STEP', 'SHIFT')\n"):
        path.write_text(f"import os\nclass Mine:\n    qualities = (1,)\n{more}{body}")
        with open_run(replace(asked, codecs=[f"{path}:Mine"], output=tmp_path / f"run{len(notes)}")) as run:
            notes.append([note for note in run.notes if "of the environment" in note])
    assert [len(each) for each in notes] == [1, 1, 0]
    assert f"{path}:Mine reads SHIFT, STEP of the environment: they are not in the record" in notes[0][0]
    assert f"{path}:Mine reads SHIFT of the environment: it is not in the record" in notes[1][0]


def test_a_search_tells_of_the_codecs_inside_of_it(asked: Request, tmp_path: Path) -> None:
    """What a run says of a codec of a file it says of one that is searched, or that another one is held against."""
    path = tmp_path / "mine.py"
    path.write_text(
        "import os\nclass Mine:\n    qualities = (1, 2)\n    cpus = 3\n"
        "    def encode(self, i, q): return os.environ.get('STEP', '').encode() + b'1'\n    def decode(self, d): ...\n"
    )
    for number, spec_ in enumerate((f"bpp:{path}:Mine", f"match:{path}:Mine~jpeg", f"match:jpeg~{path}:Mine")):
        with open_run(replace(asked, codecs=[spec_], output=tmp_path / f"run{number}")) as run:
            notes = [note for note in run.notes if note.startswith(spec_)]
        assert any("has no describe(): its weights are not in the record" in note for note in notes)
        assert any("reads STEP of the environment: it is not in the record" in note for note in notes)
        assert open_codec(spec_).cpus == 3  # type: ignore[attr-defined]
    assert not hasattr(open_codec("match:jpeg~webp"), "cpus")


def test_files_named_like_packages_in_the_working_folder_are_no_packages(tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", ["a.png"])
    for name in ("numpy", "json", "pandas", "tempfile", "torch"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('taken for a package')\n")
    (tmp_path / "beside.py").write_text("NAME = 'beside'\n")
    (tmp_path / "codecs").mkdir()
    (tmp_path / "codecs" / "mine.py").write_text(
        "import os\nimport beside\n"
        "class Mine:\n    qualities = (1,)\n    def encode(self, image, quality):\n"
        "        assert 'PYTHONSAFEPATH' not in os.environ\n        self.image = image\n"
        "        return image.tobytes() + beside.NAME.encode()\n"
        "    def decode(self, data):\n        import numpy\n"
        "        return numpy.frombuffer(data[:-6], numpy.uint8).reshape(16, 24, 3)\n"
    )
    line = [sys.executable, "-m", "benchmark", "run", "--only", "--codec", "./codecs/mine.py:Mine", "--workers", "1"]
    line += ["--dataset", "pictures", "--metric", "psnr", "-o", "run"]
    ended = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "Traceback" not in ended.stderr
    assert ended.returncode == 0, ended.stderr
    assert [trial.error for trial in RunFolder.open(tmp_path / "run").trials()] == [None]


def test_a_metric_whose_load_interrupts_is_one_line(asked: Request, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "class Mine:\n    higher_is_better = True\n    def load(self):\n        raise KeyboardInterrupt\n"
        "    def compare(self, original, reconstruction):\n        return 1.0\n"
    )
    with pytest.raises(BenchmarkError, match=r"^Mine: load: RuntimeError: it raises KeyboardInterrupt, which nobody"):
        do(replace(asked, metrics=[f"{tmp_path}/mine.py:Mine"]), ["jpeg"])
