"""An audit of images that were made elsewhere: what their files tell, and plainly what nobody can know."""

import json
import shutil
from pathlib import Path

import pytest
from support.reconstructions import NAMES, Foreign, make_foreign

from benchmark.audit.audit import Request, audit
from benchmark.audit.check import Check
from benchmark.audit.checks import CHECKS
from benchmark.audit.report import UNSEEN, Report, as_text
from benchmark.errors import UsageError

FILES = "images:out/{quality}/{name}.png,bits=out/{quality}/{name}.bin"


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Foreign:
    monkeypatch.chdir(tmp_path)
    made = make_foreign(tmp_path)
    made.write("out/{quality}/{name}.png", "out/{quality}/{name}.bin")
    return made


def audited(spec: str = FILES) -> Report:
    report, folder = audit(Request(spec, dataset="originals", limit=0, output=Path("audit")), lambda _: None)
    assert json.loads((folder / "audit.json").read_text())["failed"] == report.failed
    assert [check.name for check in report.checks] == [question.name for question in CHECKS]
    return report


def check(report: Report, name: str) -> Check:
    return next(check for check in report.checks if check.name == name)


def test_sound_files_pass_and_the_rest_is_said_to_be_unknown(foreign: Foreign) -> None:
    report = audited()
    assert not report.failed
    done = {check.name for check in report.checks if check.verdict != "not done"}
    assert done == {"bytes and images", "names", "quality", "bits and content", "Python objects"}
    assert all(one.summary.startswith("cannot be known: ") for one in report.checks if one.verdict == "not done")
    text = as_text(report)
    assert UNSEEN in text
    assert text.splitlines()[-1] == "no check failed; 13 of 18 could not be made"
    assert [row["bytes"] for row in report.rates] == [foreign.bytes[name, q] for name in NAMES for q in (1, 2)]


@pytest.mark.usefixtures("foreign")
def test_nominal_bits_are_a_warning() -> None:
    found = check(audited("images:out/{quality}/{name}.png,bpp=1 2"), "bits and content")
    assert found.verdict == "warning"
    assert found.summary.startswith("nominal, as is said of them")


@pytest.mark.usefixtures("foreign")
def test_bits_that_are_stated_and_constant_are_a_warning() -> None:
    rows = [f"{name},{quality},{quality}00" for name in NAMES for quality in (1, 2)]
    Path("bits.csv").write_text("\n".join(["image,quality,bytes", *rows]))
    found = check(audited("images:out/{quality}/{name}.png,bits=bits.csv"), "bits and content")
    assert found.verdict == "warning"
    assert found.evidence[0] == "quality 1: 100 bytes each for 3 images of 24x16"


@pytest.mark.usefixtures("foreign")
def test_one_stream_for_two_images_fails() -> None:
    shutil.copy("out/1/a.bin", "out/1/c.bin")
    found = check(audited(), "bits and content")
    assert found.verdict == "FAILED"
    assert found.evidence == ["a at quality 1 and c at quality 1: the same bytes, and two images"]


@pytest.mark.usefixtures("foreign")
def test_images_that_do_not_follow_the_quality_fail() -> None:
    shutil.copy("out/2/a.png", "out/1/a.png")
    Path("out/1/b.bin").write_bytes(bytes(100))
    Path("out/1/c.bin").write_bytes(b"\1" + bytes(100))
    report = audited()
    assert report.failed == ["quality"]
    assert "a at quality 2: the same image as at quality 1" in check(report, "quality").evidence


@pytest.mark.usefixtures("foreign")
def test_what_is_missing_or_of_another_size_fails() -> None:
    Path("out/1/a.png").unlink()
    Path("out/2/b.bin").unlink()
    shutil.copy("out/1/a.bin", "out/1/c.bin.kept")
    from PIL import Image as Pillow

    Pillow.new("RGB", (3, 2)).save("out/2/c.png")
    found = check(audited(), "bytes and images")
    assert found.verdict == "FAILED"
    assert found.evidence == [
        "a at quality 1: out/{quality}/{name}.png: no reconstruction of a at quality 1",
        "b at quality 2: nothing says how many bits b took at quality 2",
        "c at quality 2: 3x2, the original is 24x16",
    ]


@pytest.mark.usefixtures("foreign")
def test_pickles_among_the_streams_are_told() -> None:
    import pickle

    Path("out/1/a.bin").write_bytes(pickle.dumps({"strings": [b"x" * 40], "shape": (1, 2)}))
    found = check(audited(), "Python objects")
    assert found.verdict == "warning"
    assert found.evidence[0].startswith("a at quality 1: a pickle, ")


@pytest.mark.usefixtures("foreign")
def test_a_device_is_no_setting_of_theirs() -> None:
    with pytest.raises(UsageError, match="--device: these images were decoded elsewhere"):
        audit(Request(FILES, dataset="originals", devices=["cpu"], output=Path("audit")), lambda _: None)


@pytest.mark.usefixtures("foreign")
def test_a_quality_that_there_is_not() -> None:
    with pytest.raises(UsageError, match="nothing of quality 9"):
        audit(Request(FILES, dataset="originals", qualities=["9"], output=Path("audit")), lambda _: None)


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_a_time_that_is_none(seconds: float) -> None:
    with pytest.raises(UsageError, match="--seconds is a time above 0"):
        audit(Request(FILES, seconds=seconds, output=Path("audit")), lambda _: None)
