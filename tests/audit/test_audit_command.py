"""python -m benchmark audit, as a user calls it: exit codes, the one line of an error, report and JSON."""

import json
import signal
import time
from pathlib import Path

import pytest
from support import cheating_codecs
from support.fake_benchmark import start
from support.pictures import write_pictures

from benchmark.cli.main import main

pytestmark = pytest.mark.long

CODECS = cheating_codecs.__file__


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path / "pictures", ["a.png"], size=(48, 40))


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(("audit", *arguments))
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_a_codec_that_fails_is_1_with_report_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    codec = f"{CODECS}:IgnoresQuality"
    assert call(codec, "--dataset", "pictures", "--damages", "0", "--output", "out", "--quality", "3,5") == 1
    output = capsys.readouterr()
    assert output.out == Path("out/audit.txt").read_text()
    assert output.out.splitlines()[-1] == "1 of 18 checks failed: quality"
    assert "out/audit.json" in output.err
    record = json.loads(Path("out/audit.json").read_text())
    assert (record["codec"], record["failed"]) == (codec, ["quality"])
    assert record["about"]["qualities"] == [3, 5]
    assert record["about"]["description"]["file_sha256"]
    ordinary = [row for row in record["rates"] if row["picture"] == "a"]
    assert [row["quality"] for row in ordinary] == [3, 5]
    assert all(row["bpp"] == 8 * row["bytes"] / (48 * 40) for row in ordinary)
    assert {path.name for path in Path("out").iterdir()} == {"audit.txt", "audit.json"}


def test_a_codec_of_the_suite_passes(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("jpeg", "--dataset", "pictures", "--damages", "4", "--quality", "20,60") == 0
    assert capsys.readouterr().out.splitlines()[-1] == "no check failed"
    assert Path("results/audit-jpeg/audit.json").exists()


@pytest.mark.parametrize(
    ("arguments", "exit_code", "reason"),
    [
        (("jepg",), 2, "did you mean jpeg?"),
        (("jpeg:",), 2, "nothing follows the colon"),
        ((f"{CODECS}:Nothing",), 2, "has no Nothing"),
        (("jpeg", "--quality", "500", "--damages", "0"), 2, "quality 500 is not an integer from 1 to 100"),
        (("jpeg", "--dataset", "./nowhere"), 2, "no such folder"),
        (("jpeg", "--limit", "-1"), 2, "--limit"),
        (("jpeg", "--output", "pictures"), 2, "neither empty nor an audit; it holds a.png"),
        (("jpeg", "--output", "pictures/a.png"), 2, "a file, not a folder"),
        ((f"{CODECS}:CannotOpen",), 3, "weights that are not there"),
        ((f"{CODECS}:DiesOpening",), 3, "it calls os._exit(7) (cheating_codecs.py:"),
        ((f"{CODECS}:CrashesOpening",), 3, "the process ended: signal 11 (SIGSEGV)"),
    ],
)
def test_trouble_is_one_line(
    arguments: tuple[str, ...], exit_code: int, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    data = () if "--dataset" in arguments else ("--dataset", "pictures")
    assert call(*arguments, *data) == exit_code
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("error: ")
    assert reason in last
    assert not Path("results").exists()


def test_what_fails_for_all_is_said_once_with_its_likely_reason(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.py").write_text(
        "class Mine:\n    qualities = (1, 2)\n    def encode(self, image, quality): return open('tables.txt').read()\n"
        "    def decode(self, data): ...\n"
    )
    assert call("./mine.py:Mine", "--dataset", "pictures", "--output", "out", "--damages", "0") == 1
    output = capsys.readouterr()
    assert "how long it takes is not known" in output.err
    common = [line for line in output.out.splitlines() if line.startswith("Every encode fails in the same way: ")]
    assert len(common) == 1
    assert "'tables.txt' (mine.py:3 in encode); an audit works in an empty folder: name files in settings" in common[0]
    assert sum("tables.txt" in line for line in output.out.splitlines()) <= 4  # this line, and one of each check
    assert json.loads(Path("out/audit.json").read_text())["common"] == common[0].replace("Every", "every")


SLEEPS = """
import os, subprocess, sys, time
class Mine:
    qualities = (1, 2)
    def encode(self, image, quality):
        if image.shape == (1, 1, 3):
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"], start_new_session=True)
            open({begun!r}, "w").write(f"{{os.getpid()}} {{child.pid}}")
            time.sleep(300)
        return bytes(image.shape[:2]) + image.tobytes()
    def decode(self, data):
        import numpy
        return numpy.frombuffer(data[2:], numpy.uint8).reshape(data[0], data[1], 3)
"""


@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_what_is_known_when_it_is_stopped_is_kept_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: int, code: int
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    begun = tmp_path / "begun"
    Path("mine.py").write_text(SLEEPS.format(begun=str(begun)))
    process = start("audit", "./mine.py:Mine", "--dataset", "pictures", "--output", "out", folder=tmp_path)
    end = time.monotonic() + 600
    while not begun.exists() or not begun.read_text():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)
    started = [int(number) for number in begun.read_text().split()]
    process.send_signal(how)
    _, said = process.communicate(timeout=600)
    assert process.returncode == code
    assert "takes about " in said
    left = list((tmp_path / "temporary").glob("benchmark-audit-*"))
    if how == signal.SIGKILL:
        assert len(left) == 1
        assert call("jpeg", "--dataset", "nowhere/at/all") == 2  # comes before the sweep
        assert left[0].exists()
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
        assert call("./mine.py:Nothing", "--dataset", "pictures") == 2
        assert not left[0].exists()
    else:
        assert left == []
        record = json.loads(Path("out/audit.json").read_text())
        assert record["complete"] is False
        assert [row["picture"] for row in record["rates"]] == ["a", "a"]
        assert {check["verdict"] for check in record["checks"]} <= {"not done", "warning"}
        assert Path("out/audit.txt").read_text().splitlines()[-1].startswith("stopped; no check had failed by then")
    while any(is_alive(number) for number in started):
        assert time.monotonic() < end
        time.sleep(0.02)


def is_alive(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_an_audit_of_another_process_stays() -> None:
    from benchmark.audit.audit import _place

    with _place() as first, _place() as second:
        assert first.exists()
        assert second.exists()
    assert not first.exists()
