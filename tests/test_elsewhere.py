"""Codecs in another interpreter. The interpreter is this one, started anew; what stands before it is a shell's."""

import contextlib
import gc
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark import elsewhere, worker
from benchmark.audit.child import Trouble, _trouble
from benchmark.codecs import Codec, anchored_spec, open_afresh, open_codec, parse_codec_spec
from benchmark.elsewhere import BOOT, Elsewhere, Gone, Raised, _Process, command_of, elsewhere_of, line_of
from benchmark.errors import BenchmarkError, CorruptStream, UsageError
from benchmark.foreign import ForeignCodec
from benchmark.guards import told
from benchmark.watching import watched

pytestmark = pytest.mark.long

IMAGE = np.random.default_rng(0).integers(0, 256, (12, 17, 3), dtype=np.uint8)

CODEC = '''
import json, os, signal, sys, time, warnings, zlib
from pathlib import Path
from typing import Literal, Optional
import numpy as np
from helper import SHIFT

class CorruptStream(Exception):
    pass

class Coder:
    """Lossless up to the quality; the decoder fills in with noise."""
    qualities = (1, 2, 4)
    scale = (1, 64, 1)
    stochastic = True
    header_bytes = 5
    trained_on = "lpips"

    def __init__(self, level: int = 6, kind: Literal["a", "b"] = "a", share: "float | None" = None,
                 fast: bool = False, weights: Optional[Path] = None, device: str = "none"):
        self.made = dict(level=level, kind=kind, share=share, fast=fast, weights=str(weights), device=device)
        if weights is not None:
            self.made["content"] = Path(weights).read_text()

    def encode(self, image, quality):
        image[0, 0, 0] += 0  # it may write into its own copy
        print("stray words"); sys.stdout.flush(); os.write(1, b"raw words\\n"); os.system("echo words of a child")
        if quality >= 50:
            return self.misbehave(int(quality))
        small = (image // int(quality) + SHIFT).astype(np.uint8)
        head = np.asarray(image.shape[:2], "<u2").tobytes() + bytes([int(quality)])
        return head + zlib.compress(small.tobytes(), self.made["level"])

    def misbehave(self, how):
        print("on standard error", file=sys.stderr)
        if how == 50: raise ValueError("a line\\nand another")
        if how == 51: sys.exit(3)
        if how == 52: os._exit(4)
        if how == 53: os.kill(os.getpid(), signal.SIGSEGV)
        if how == 54: time.sleep(60)
        if how == 55: return bytearray(b"x")
        if how == 56: raise MemoryError("no room")
        if how == 57 and os.fork() == 0: return b"of the child"
        if how == 58: os.closerange(0, 200); time.sleep(60)
        if how == 59: raise KeyboardInterrupt
        if how == 60: warnings.simplefilter("error"); os.chdir("/"); np.seterr(all="raise"); np.random.seed(0)
        if how == 61: return json.dumps(sorted(name for name in os.environ)).encode()
        return b"fine"

    def decode(self, data, seed=None):
        if len(data) < 5: raise CorruptStream("too short")
        height, width = np.frombuffer(data[:4], "<u2")
        image = np.frombuffer(zlib.decompress(data[5:]), np.uint8).reshape(height, width, 3) - np.uint8(SHIFT)
        noise = np.random.RandomState(seed or 0).randint(0, data[4], image.shape)
        return (image * data[4] + noise).astype(np.uint8)

    def estimate_bits(self, image, quality):
        return np.float32(8 * len(self.encode(image, quality)))

    def x_hat(self, data):
        return np.asfortranarray(self.decode(data, 0))[::-1]

    def describe(self):
        return {"made": self.made, "levels": (1, 2), "nested": {"none": None}}

class NoSeed:
    def encode(self, image, quality): return b""
    def decode(self, data): return np.zeros((1, 1, 3), np.uint8)

class Alien:
    def encode(self, image): return b""
    def decode(self, data): return None

class Breaks:
    def __init__(self): print("last words"); os.kill(os.getpid(), signal.SIGKILL)

class Quits:
    def __init__(self): sys.exit("not today")
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("codec of mine")
    (place / "my_codec.py").write_text(CODEC)
    (place / "helper.py").write_text("SHIFT = 1\n")
    (place / "weights.txt").write_text("first")
    return place


def spec(folder: Path, name: str = "Coder", more: str = "", python: str = sys.executable) -> str:
    return f'{folder}/my_codec.py:{name}@python="{python}"{more}'


def opened(text: str) -> ForeignCodec:
    codec = open_codec(text)
    assert isinstance(codec, ForeignCodec)
    return codec


def there(codec: ForeignCodec) -> Elsewhere:
    assert codec.elsewhere is not None
    return codec.elsewhere


@pytest.fixture(scope="module")
def codec(folder: Path) -> Iterator[ForeignCodec]:
    found = opened(spec(folder, more=",timeout=60:level=3"))
    yield found
    there(found).close()


@pytest.fixture(scope="module")
def here(folder: Path) -> Codec:
    return open_codec(f"{folder}/my_codec.py:Coder:level=3")


# The same as in this process


def test_it_codes_as_in_this_process(codec: ForeignCodec, here: Codec, capfd: pytest.CaptureFixture[str]) -> None:
    for quality in (1, 4):
        data = codec.encode(IMAGE, quality)
        assert data == here.encode(IMAGE, quality)
        assert type(data) is bytes
        for seed in (None, 0, 7):
            image = codec.decode(data, seed)
            assert (image.dtype, image.flags.writeable) == (np.uint8, True)
            np.testing.assert_array_equal(image, here.decode(data, seed))
    assert not np.array_equal(codec.decode(data, 1), codec.decode(data, 2))
    np.testing.assert_array_equal(codec.x_hat(data), here.x_hat(data))  # type: ignore[attr-defined]
    estimates = [one.estimate_bits(IMAGE, 2) for one in (codec, here)]  # type: ignore[attr-defined]
    assert estimates[0] == estimates[1]
    assert type(estimates[0]) is type(estimates[1])
    assert capfd.readouterr().out == ""


def test_it_presents_itself_as_in_this_process(codec: ForeignCodec, here: Codec) -> None:
    for name in ("qualities", "stochastic", "scale", "header_bytes", "trained_on", "describes"):
        assert getattr(codec, name) == getattr(here, name), name
    told_there, told_here = codec.describe(), here.describe()
    assert told_there["made"]["device"] == told_here["made"]["device"] == "cpu"
    for name in ("made", "levels", "nested", "file_sha256", "modules_sha256"):
        assert told_there[name] == told_here[name], name


def test_its_record_says_what_runs_over_there(codec: ForeignCodec) -> None:
    told_there = codec.describe()
    assert told_there["packages"] == {"numpy": np.__version__}
    assert told_there["elsewhere"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert told_there["elsewhere"]["command"] == sys.executable
    assert "file" not in told_there["elsewhere"]


@pytest.mark.parametrize(
    ("setting", "name", "value"),
    [
        ("level=2", "level", 2),
        ("level=9007199254740993", "level", 2**53 + 1),
        ("kind=b", "kind", "b"),
        ("share=0.5", "share", 0.5),
        ("fast=yes", "fast", True),
    ],
)
def test_settings_are_typed_by_the_annotations(folder: Path, setting: str, name: str, value: object) -> None:
    """By the code that runs there, in this process: `worker` needs nothing of a process of its own for that."""
    before = list(sys.path)
    key, _, text = setting.partition("=")
    try:
        made, _ = worker.load(str(folder / "my_codec.py"), "Coder", {key: text}, "cpu")
    finally:
        sys.path[:] = before
    assert made.made[name] == value
    assert made.made == open_codec(f"{folder}/my_codec.py:Coder:{setting}").describe()["made"]


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ("level=x", "level is a whole number, not 'x'"),
        ("level=2.5", "level is a whole number, not '2.5'"),
        ("level=\uff11", "level is a whole number, not '\uff11'"),
        ("share=\uff11", "share is a number, not '\uff11'"),
        ("kind=c", "kind is a or b, not 'c'"),
        ("fast=perhaps", "fast is true or false"),
        ("none=1", "it has no setting 'none'; its settings: fast, kind, level, share, weights"),
        ("device=cpu", "'device' is no setting; say --device cpu"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused(folder: Path, setting: str, reason: str) -> None:
    before = list(sys.path)
    key, _, text = setting.partition("=")
    try:
        with pytest.raises(worker.Refused, match=reason):
            worker.load(str(folder / "my_codec.py"), "Coder", {key: text}, "cpu")
    finally:
        sys.path[:] = before


def test_a_file_of_a_setting_belongs_to_its_identity(folder: Path) -> None:
    text = spec(folder, more=f":weights={folder}/weights.txt")
    first = opened(text)
    (folder / "weights.txt").write_text("second")
    second = opened(text)
    a, b = first.describe(), second.describe()
    assert (a["made"]["content"], b["made"]["content"]) == ("first", "second")
    (folder / "weights.txt").write_text("first")
    again = first.describe()
    assert again["settings_sha256"] != b["settings_sha256"]
    assert list(b["settings_sha256"]) == ["weights"]
    for one in (first, second):
        there(one).close()


@pytest.mark.parametrize(
    ("name", "more", "kind", "reason"),
    [
        ("Coder", ":level=x", UsageError, "Coder: level is a whole number, not 'x'"),
        ("Nobody", "", UsageError, "has no Nobody"),
        ("Alien", "", UsageError, r"encode must take \(image, quality\), it is encode\(image\)"),
        ("Breaks", "", BenchmarkError, r"cannot be opened: .*it ended: signal 9 \(SIGKILL\): last words"),
        (
            "Quits",
            "",
            BenchmarkError,
            r"cannot be opened: RuntimeError: it calls sys.exit\('not today'\) \(my_codec.py",
        ),
    ],
)
def test_what_cannot_be_opened_is_one_line(
    folder: Path, name: str, more: str, kind: type[Exception], reason: str
) -> None:
    with pytest.raises(kind, match=reason) as caught:
        open_codec(spec(folder, name, more))
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)


def test_a_missing_program_is_named(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no program /no/python"):
        open_codec(spec(folder, python="/no/python"))
    with pytest.raises(UsageError, match=r"there is no file /no/codec.py"):
        open_codec(f"/no/codec.py:C@python={sys.executable}")


def test_what_is_no_python_is_a_clear_line(folder: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"cannot be opened: the interpreter false: it ended: exit code 1"):
        open_codec(spec(folder, python="false"))
    with pytest.raises(BenchmarkError, match=r"it says other things than a worker does: .*y.ny"):
        open_codec(spec(folder, python="sh -c 'yes'"))


def test_what_it_said_before_it_ended_is_why(folder: Path) -> None:
    for _ in range(5):  # as `ssh`, `conda` and `docker` say it, at once
        with pytest.raises(BenchmarkError, match=r"it ended: exit code 3: no such host$"):
            open_codec(spec(folder, python="sh -c 'echo no such host >&2; exit 3'"))


def test_an_interpreter_that_is_too_old_says_so() -> None:
    told = BOOT.replace("sys.version_info<", "(3,7)<").replace("sys.version.split", "'3.7.17 (x)'.split")
    ended = subprocess.run([sys.executable, "-c", told], input=b"", capture_output=True, check=False)
    assert ended.stderr.decode().strip() == "Python 3.8 or later is needed, not 3.7.17"


@pytest.mark.parametrize("imports", ["import numpy\n", ""])
def test_an_interpreter_without_numpy_is_told_what_it_needs(tmp_path: Path, imports: str) -> None:
    methods = "def encode(self, image, quality): ...\n    def decode(self, data): ..."
    (tmp_path / "codec.py").write_text(f"{imports}class C:\n    qualities = (1,)\n    {methods}\n")
    bare = f"{sys.executable} -S -E"  # the same interpreter, without installed packages
    with pytest.raises(UsageError, match=rf"has no NumPy; {sys.executable} -m pip install numpy$"):
        open_codec(f'{tmp_path}/codec.py:C@python="{bare}"')


def test_a_decoder_without_seed_is_called_without(folder: Path) -> None:
    codec = opened(spec(folder, "NoSeed"))
    assert codec.stochastic is False
    assert codec.decode(b"", None).shape == (1, 1, 3)
    there(codec).close()


# Misbehaviour


@pytest.mark.parametrize("how", [50, 51, 52, 56])
def test_what_it_raises_reads_as_in_this_process(codec: ForeignCodec, here: Codec, how: int) -> None:
    with pytest.raises(Exception) as ours:  # noqa: PT011
        here.encode(IMAGE, how)
    with pytest.raises(Raised) as theirs:
        codec.encode(IMAGE, how)
    assert kind_and_place(theirs.value) == kind_and_place(ours.value)
    assert isinstance(theirs.value, MemoryError) == (how == 56)
    assert "in misbehave" in theirs.value.details
    assert "standard error:" in theirs.value.details
    assert "on standard error" in theirs.value.details


def kind_and_place(error: BaseException) -> str:
    return told(error).partition(" (test_elsewhere.py")[0]


def test_an_interrupt_that_nobody_asked_for_is_an_error_of_the_codec(codec: ForeignCodec) -> None:
    with pytest.raises(Raised, match="it raises KeyboardInterrupt"):
        codec.encode(IMAGE, 59)


def test_a_damaged_stream_is_the_codecs_own_refusal(codec: ForeignCodec) -> None:
    """By the name of the class: the suite's own cannot be imported there."""
    with pytest.raises(CorruptStream, match="too short"):
        codec.decode(b"1")


def test_a_wrong_type_comes_back_as_it_was(codec: ForeignCodec) -> None:
    assert codec.encode(IMAGE, 55) == bytearray(b"x")
    assert type(codec.encode(IMAGE, 55)) is bytearray


def test_a_child_that_comes_back_does_not_answer(codec: ForeignCodec) -> None:
    assert codec.encode(IMAGE, 57) == b"fine"
    assert codec.encode(IMAGE, 63) == b"fine"


def test_state_that_it_changes_stays_its_own(codec: ForeignCodec, here: Codec) -> None:
    before = Path.cwd()
    assert codec.encode(IMAGE, 60) == b"fine"
    assert codec.encode(IMAGE, 2) == here.encode(IMAGE, 2)
    assert Path.cwd() == before


def test_a_crash_is_this_calls_failure_and_the_next_call_starts_anew(folder: Path, here: Codec) -> None:
    codec = opened(spec(folder, more=":level=3"))
    with pytest.raises(Gone, match=r"it ended: signal 11 \(SIGSEGV\) \(my_codec.py:\d+ in misbehave\)") as caught:
        codec.encode(IMAGE, 53)
    assert "on standard error" in caught.value.details
    assert "Fatal Python error: Segmentation fault" in caught.value.details
    assert _trouble(caught.value) == Trouble("died", str(caught.value))
    assert codec.encode(IMAGE, 2) == here.encode(IMAGE, 2)
    with pytest.raises(Gone, match="it closed its connection and went on; it was killed"):
        elsewhere_seconds(codec, 58)
    assert codec.encode(IMAGE, 2) == here.encode(IMAGE, 2)
    there(codec).close()


def elsewhere_seconds(codec: ForeignCodec, how: int) -> None:
    before, elsewhere.SECONDS_TO_END = elsewhere.SECONDS_TO_END, 0.2
    try:
        codec.encode(IMAGE, how)
    finally:
        elsewhere.SECONDS_TO_END = before


def test_an_edited_file_is_run_as_it_was_when_it_was_opened(tmp_path: Path) -> None:
    """Also by the process that comes after a crash: a run's streams are of one version."""
    file = tmp_path / "mine.py"
    text = (
        "import os, signal\nfrom other import NAME\nclass C:\n    def encode(self, image, quality):\n"
        "        return NAME if quality else os.kill(os.getpid(), signal.SIGKILL)\n    def decode(self, data): pass\n"
    )
    file.write_text(text)
    (tmp_path / "other.py").write_text("NAME = b'first'\n")
    codec = opened(f"{file}:C@python={sys.executable}")
    before = codec.describe()
    (tmp_path / "other.py").write_text("NAME = b'second'\n")
    with pytest.raises(Gone, match="SIGKILL"):
        codec.encode(IMAGE, 0)
    assert codec.encode(IMAGE, 1) == b"first"
    assert codec.describe()["modules_sha256"] == before["modules_sha256"]
    there(codec).close()


def test_after_an_interrupt_the_next_answer_is_its_own(folder: Path, here: Codec) -> None:
    """Ctrl-C in a notebook: an answer that is still to come must not be taken for the next one."""
    codec = opened(spec(folder, more=":level=3"))
    timer = threading.Timer(0.5, signal.raise_signal, (signal.SIGINT,))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        codec.encode(IMAGE, 54)
    assert codec.encode(IMAGE, 2) == here.encode(IMAGE, 2)
    there(codec).close()


def test_one_that_never_answers_is_killed_and_says_where_it_was(folder: Path) -> None:
    codec = opened(spec(folder, more=",timeout=60"))
    there(codec).seconds = 1.0
    number = there(codec)._process._popen.pid  # type: ignore[union-attr]
    with pytest.raises(
        Gone, match=r"no answer after 1 seconds; it was killed \(my_codec.py:\d+ in misbehave\)"
    ) as caught:
        codec.encode(IMAGE, 54)
    assert caught.value.kind == "hung"
    assert group_is_gone(number)
    there(codec).seconds = 60.0
    assert codec.encode(IMAGE, 62) == b"fine"
    there(codec).close()


def group_is_gone(group: int, seconds: float = 600.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        states = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                state, _, of_group = path.read_text().rpartition(")")[2].split()[:3]
            except (OSError, ValueError):
                continue
            states += [state] if int(of_group) == group and state not in "ZX" else []
        if not states:
            return True
        time.sleep(0.05)
    return False


def test_one_that_never_greets_is_killed(folder: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"no answer after 2 seconds; it was killed; it has said b'Password: '"):
        open_codec(spec(folder, python="sh -c 'printf Password:\\ ; sleep 60'", more=",timeout=2"))


def test_nothing_outlives_a_run_that_is_killed(folder: Path, tmp_path: Path) -> None:
    """However deep in compiled code it is: a watcher that holds no lock of Python's ends it."""
    deep = tmp_path / "deep.py"
    deep.write_text(
        "import ctypes, os, subprocess\nclass C:\n"
        "    def encode(self, image, quality):\n"
        "        subprocess.Popen(['sleep', '600'])\n"
        f"        open({str(tmp_path / 'there')!r}, 'w').write(str(os.getpgid(0)))\n"
        "        ctypes.PyDLL(None).sleep(600)\n"  # with the lock held
        "    def decode(self, data): pass\n"
    )
    code = (
        "import numpy as np\nfrom benchmark.elsewhere import open_elsewhere\n"
        "from benchmark.registry import parse_spec\n"
        f"open_elsewhere(parse_spec({f'{deep}:C@python={sys.executable}'!r}), 'cpu')"
        ".encode(np.zeros((1, 1, 3), np.uint8), 1)"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    end = time.monotonic() + 600
    while not (tmp_path / "there").exists() or not (tmp_path / "there").read_text():
        assert time.monotonic() < end
        time.sleep(0.02)
    group = int((tmp_path / "there").read_text())
    assert group not in (os.getpgid(0), process.pid)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert group_is_gone(group)


def test_a_fresh_instance_is_another_process(folder: Path) -> None:
    text = spec(folder)
    first, second = opened(text), open_afresh(text, "cpu")
    assert isinstance(second, ForeignCodec)
    numbers = {there(one)._process._popen.pid for one in (first, second)}  # type: ignore[union-attr]
    assert len(numbers) == 2
    process = there(second)._process
    assert process is not None
    del second
    assert process.end.alive  # somebody still holds it
    group = process._popen.pid
    del process
    gc.collect()
    assert group_is_gone(group)
    there(first).close()


# Ways to start it


def test_words_before_the_interpreter_may_print_and_set_variables(folder: Path, tmp_path: Path, here: Codec) -> None:
    (tmp_path / "in container").write_text('echo Welcome\necho Pulling... >&2\nexec "$@"\n')
    prefix = f"env FOO='a b' sh '{tmp_path}/in container' {sys.executable}"
    codec = opened(spec(folder, python=prefix, more=":level=3"))
    assert codec.encode(IMAGE, 2) == here.encode(IMAGE, 2)
    names = json.loads(codec.encode(IMAGE, 61))
    assert "FOO" in names
    there(codec).close()


def test_variables_of_this_interpreter_stay_here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/suite")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    codec = opened(spec(folder))
    names = json.loads(codec.encode(IMAGE, 61))
    assert "PYTHONPATH" not in names
    assert "OMP_NUM_THREADS" in names
    there(codec).close()


def test_behind_ssh_all_goes_through_a_shell_and_the_file_is_sent(
    folder: Path, tmp_path: Path, here: Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for ssh, which joins its words and hands them to a shell; the other machine has another file there."""
    ssh = tmp_path / "ssh"
    ssh.write_text('#!/bin/sh\nshift\nexec sh -c "$*"\n')
    ssh.chmod(0o755)
    before = set(places())
    monkeypatch.setattr(elsewhere, "_sha256", lambda content: "0" * 64)
    codec = opened(spec(folder, python=f"{ssh} HOST {sys.executable}", more=":level=3"))
    monkeypatch.undo()
    assert codec.encode(IMAGE, 2) == here.encode(IMAGE, 2)
    assert not there(codec).is_here
    described = codec.describe()
    assert described["elsewhere"]["file"] == "sent"
    assert described["elsewhere"]["scripts_sha256"].keys() == {str(ssh)}
    (sent,) = set(places()) - before
    there(codec).close()
    end = time.monotonic() + 600
    while sent.exists() and time.monotonic() < end:
        time.sleep(0.02)
    assert not sent.parent.exists()


def places() -> Iterator[Path]:
    """Where files of codecs lie that were sent."""
    return Path(tempfile.gettempdir()).glob("benchmark-codec-*/my_codec.py")


def test_a_search_around_it_knows_where_it_runs(folder: Path, here: Codec) -> None:
    codec = open_codec(f"bpp:{spec(folder, more=':level=3')}")
    found = elsewhere_of(codec)
    assert isinstance(found, Elsewhere)
    assert codec.encode(IMAGE, 24) == here.encode(IMAGE, 1)
    assert found.seconds_on_the_way > 0
    assert elsewhere_of(here) is None
    found.close()


def test_command_of_a_path_with_spaces_is_one_word(tmp_path: Path) -> None:
    python = tmp_path / "my envs" / "python"
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    assert command_of(str(python)) == (str(python),)
    assert command_of(f"env A=1 '{python}' -X utf8") == ("env", "A=1", str(python), "-X", "utf8")
    with pytest.raises(UsageError, match="No closing quotation"):
        command_of("env 'A")
    with pytest.raises(UsageError, match="names no interpreter"):
        command_of(" ")


def test_conda_run_is_told_to_hand_output_on(tmp_path: Path) -> None:
    conda = tmp_path / "conda"
    conda.write_text("#!/bin/sh\n")
    conda.chmod(0o755)
    assert command_of(f"{conda} run -n x python")[1:] == ("run", "--no-capture-output", "-n", "x", "python")
    assert command_of(f"{conda} run -s -n x python")[1:] == ("run", "-s", "-n", "x", "python")


def test_only_ssh_gets_its_words_quoted() -> None:
    assert line_of(("python",))[-1] == elsewhere.BOOT
    assert shlex.split(line_of(("/usr/bin/ssh", "HOST", "python"))[-1]) == [elsewhere.BOOT]


def test_a_spec_can_be_made_absolute(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    (folder / "python").symlink_to(sys.executable)
    found = anchored_spec("./my_codec.py:Coder@python=./python,timeout=9:weights=weights.txt")
    assert found.file == folder / "my_codec.py"
    assert found.place == {"python": shlex.join([f"{folder}/python"]), "timeout": "9"}
    assert found.settings == {"weights": f"{folder}/weights.txt"}
    assert parse_codec_spec(found.text) == found


@pytest.mark.parametrize("text", ["0", "-1", "inf", "soon"])
def test_a_limit_is_a_time(folder: Path, text: str) -> None:
    with pytest.raises(UsageError, match=f"timeout={text}: seconds that a call may take, above 0"):
        open_codec(spec(folder, more=f",timeout={text}"))


# What the suite sees of it


def test_what_it_reads_and_starts_is_seen(codec: ForeignCodec, folder: Path) -> None:
    with watched() as seen:
        codec.encode(IMAGE, 2)
    assert seen.programs == ["echo words of a child"]
    with watched() as seen:
        there(opened(spec(folder, more=f":weights={folder}/weights.txt"))).close()
    assert str(folder / "weights.txt") in seen.read


def test_the_way_there_and_back_is_measured(codec: ForeignCodec) -> None:
    before = there(codec).seconds_on_the_way
    began = time.perf_counter()
    codec.encode(IMAGE, 2)
    assert 0 < there(codec).seconds_on_the_way - before < time.perf_counter() - began


def test_memory_and_folders_can_be_set(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "big.py").write_text(
        "import os\nclass C:\n    def encode(self, image, quality): return os.getcwd().encode() + bytes(10**9)\n"
        "    def decode(self, data): return os.environ['HOME']\n"
    )
    codec = opened(f"{tmp_path}/big.py:C@python={sys.executable}")
    there(codec).move(str(tmp_path), str(tmp_path), str(tmp_path))
    assert codec.decode(b"") == str(tmp_path)
    there(codec).limit_memory(10**7)
    with pytest.raises(MemoryError):
        codec.encode(IMAGE, 1)
    there(codec).close()


# Attacks


class Owner:
    """What a process needs of its codec."""

    folder = Path()
    seconds_to_start = 60.0
    words = ("cat",)

    def forget(self) -> None:
        pass


def heard(data: bytes, seconds: float = 60.0, *, end: bool = True) -> Any:
    """What is made of an answer: `cat` says what it is sent."""
    process = _Process(["cat"], Owner())  # type: ignore[arg-type]
    try:
        process.allow(seconds)
        process._write(data)
        if end:
            process._popen.stdin.close()  # type: ignore[union-attr]
        return process.receive()
    finally:
        process.end()


def message(
    words: bytes = b'{"value": 1}', size: int = 0, magic: bytes = worker.MAGIC, length: int | None = None
) -> bytes:
    return worker.HEAD.pack(magic, len(words) if length is None else length, size) + words


def test_a_whole_message_is_heard() -> None:
    assert heard(message(size=3) + b"abc") == ({"value": 1}, b"abc")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it ended: exit code 0"),
        (message()[:7], "it ended: exit code 0"),
        (message()[:-3], "it ended: exit code 0"),
        (message(size=9) + b"half", "it ended: exit code 0"),
        (b"Segmentation fault in C\n" * 9, "what came from it is no message: b'Segmentation fau'"),
        (message(magic=b"HTTP"), "what came from it is no message: b'HTTP"),
        (message(size=2**63), "it announces a message of 9,223,372,036,854,775,820 bytes, more than there can be"),
        (message(length=2**31), "it announces a message of 2,147,483,648 bytes, more than there can be"),
        (message(b"{nothing}"), "what came from it is no message: b'{nothing}'"),
        (message(b"\xff\xfe"), "what came from it is no message"),
        (message(b"[" * 100_000), "what came from it is no message"),
        (message(b"[1]"), "what came from it is no answer"),
    ],
)
def test_what_is_no_message_is_one_clear_line(data: bytes, reason: str) -> None:
    with pytest.raises(Gone) as caught:
        heard(data)
    assert reason in str(caught.value)
    assert str(caught.value).startswith("the interpreter cat: ")
    assert "\n" not in str(caught.value)


def test_half_a_message_and_silence_end_in_time() -> None:
    with pytest.raises(Gone, match=r"no answer after 0\.2 seconds") as caught:
        heard(message(size=9) + b"half", 0.2, end=False)
    assert caught.value.kind == "hung"


GOOD = {"value": {"tuple": [1, {"bytes": 3, "class": "bytes"}, {"array": "|u1", "shape": [1, 1, 3], "bytes": 3}]}}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["tuple", "dict", "array", "shape", "bytes", "number", "class", "other", "module"]),
            inner | st.sampled_from(["|u1", "|O8", "V", "<f4", "bytes", "float32", "object_"]),
            max_size=3,
        )
    ),
    max_leaves=8,
)


def unpack_or_refuse(value: Any, data: bytes) -> None:
    """`Elsewhere.call` takes these for an answer that is none."""
    with contextlib.suppress(ValueError, TypeError, KeyError, IndexError, OverflowError, AttributeError, SyntaxError):
        worker.unpack(value, memoryview(data))


@settings(deadline=None, max_examples=100, derandomize=True)
@given(VALUES, st.binary(max_size=12))
def test_no_answer_breaks_the_reader(value: Any, data: bytes) -> None:
    unpack_or_refuse(value, data)


@pytest.mark.slow
@settings(deadline=None, max_examples=50_000, derandomize=True)
@given(VALUES, st.binary(max_size=12))
def test_no_answer_breaks_the_reader_in_many_trials(value: Any, data: bytes) -> None:
    unpack_or_refuse(value, data)


@pytest.mark.slow
def test_no_stream_of_bytes_breaks_the_reader() -> None:
    """Mutated messages, each through a pipe: a message or one line, in time."""
    random = np.random.default_rng(0)
    good = message(json.dumps(GOOD).encode(), 6) + b"abcdef"
    for _ in range(2000):
        data = bytearray(good)
        for _ in range(random.integers(1, 6)):
            where = int(random.integers(0, len(data)))
            match random.integers(0, 4):
                case 0:
                    data[where] ^= 1 << int(random.integers(0, 8))
                case 1:
                    del data[where : where + int(random.integers(1, 9))]
                case 2:
                    data[where:where] = random.bytes(int(random.integers(1, 9)))
                case _:
                    data = data[: max(1, where)]
            if not data:
                break
        errors: list[Gone] = []
        try:
            found, buffers = heard(bytes(data))
            unpack_or_refuse(found.get("value"), bytes(buffers))
        except Gone as error:
            errors = [error]
        assert not any("\n" in str(error) or error.kind != "died" for error in errors)


@settings(deadline=None, max_examples=60, derandomize=True)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
        lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    )
)
def test_values_come_back_as_they_were(value: Any) -> None:
    packed, buffers = worker.pack(value)
    back = worker.unpack(json.loads(json.dumps(packed)), memoryview(b"".join(map(bytes, buffers))))
    assert back == value
    assert repr(back) == repr(value)


@pytest.mark.parametrize("reply", [{}, {"packages": 1}, {"packages": {}, "variables": {}, "hashes": {"a": 1}}])
def test_an_identity_that_is_none_is_one_line(
    reply: dict[str, Any], codec: ForeignCodec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Process, "receive", lambda self: (dict(reply), memoryview(b"")))
    monkeypatch.setattr(codec, "describes", False)
    with pytest.raises(Gone, match="what came from it is no answer"):
        codec.describe()


def test_an_error_whose_name_is_none_is_an_error(codec: ForeignCodec, monkeypatch: pytest.MonkeyPatch) -> None:
    error = {"type": "a\0 b", "bases": [], "message": "\ud800", "place": "", "where": [], "traceback": "", "refused": 0}
    monkeypatch.setattr(_Process, "receive", lambda self: ({"error": error}, memoryview(b"")))
    with pytest.raises(Raised) as caught:
        codec.encode(IMAGE, 2)
    assert told(caught.value).startswith("Error: ")
    monkeypatch.undo()
    there(codec).close()  # its answer is still on the way


def test_a_process_that_cannot_load_it_any_more_is_ended(tmp_path: Path) -> None:
    """And the call after that tries again."""
    (tmp_path / "a.py").write_text(
        "import os\nclass C:\n    def __init__(self): open('there').close()\n"
        "    def encode(self, image, quality): return b'x' if quality else os.kill(os.getpid(), 9)\n"
        "    def decode(self, data): pass\n"
    )
    (tmp_path / "there").touch()
    with contextlib.chdir(tmp_path):
        codec = opened(f"a.py:C@python={sys.executable}")
    with pytest.raises(Gone):
        codec.encode(IMAGE, 0)
    (tmp_path / "there").unlink()
    for _ in range(2):
        with pytest.raises(Raised, match="No such file or directory: 'there'"):
            codec.encode(IMAGE, 1)
        assert there(codec)._process is None
    (tmp_path / "there").touch()
    assert codec.encode(IMAGE, 1) == b"x"
    there(codec).close()


@pytest.mark.parametrize(
    "reply", [{}, {"value": 1}, {"value": {"bytes": 9, "class": "bytes"}, "seconds": 1}, {"error": 1}]
)
def test_an_answer_that_is_none_fails_the_call_alone(
    folder: Path, here: Codec, reply: dict[str, Any], codec: ForeignCodec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Process, "receive", lambda self: (dict(reply), memoryview(b"")))
    with pytest.raises(Gone, match="what came from it is no answer"):
        codec.encode(IMAGE, 2)
    monkeypatch.undo()
    assert codec.encode(IMAGE, 2) == here.encode(IMAGE, 2)
