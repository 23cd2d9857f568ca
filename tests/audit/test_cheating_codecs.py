"""Codecs built to cheat are caught, each by the check that is meant for it; an honest one passes all."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import cheating_codecs
from support.pictures import write_pictures

from benchmark.audit.audit import Request, audit
from benchmark.audit.checks import Check
from benchmark.audit.report import Report

pytestmark = pytest.mark.long

Audit = Callable[..., Report]


def slow(*arguments: str) -> Any:
    """Of cheats that are caught as others are, or with others at once, so that they need not be tried each time."""
    return pytest.param(*arguments, marks=pytest.mark.slow)


@pytest.fixture
def audited(tmp_path: Path) -> Audit:
    write_pictures(tmp_path / "pictures", ["a.png"], size=(48, 40))

    def run(codec: str, *, settings: str = "", **options: Any) -> Report:
        spec = f"{cheating_codecs.__file__}:{codec}{settings}"
        options = {"damages": 0, "seconds": 30, **options}
        request = Request(spec, dataset=str(tmp_path / "pictures"), output=tmp_path / "audit", **options)
        report, folder = audit(request, lambda _: None)
        assert json.loads((folder / "audit.json").read_text())["failed"] == report.failed
        return report

    return run


def check(report: Report, name: str) -> Check:
    return next(check for check in report.checks if check.name == name)


def test_an_honest_codec_passes(audited: Audit) -> None:
    report = audited("HonestEstimate", damages=20)
    assert {check.name: check.verdict for check in report.checks} == {
        "bytes and images": "ok",
        "fresh process": "ok",
        "one process": "ok",
        "side files": "ok",
        "names": "ok",
        "encode twice": "ok",
        "decode twice": "ok",
        "seeds": "ok",
        "threads": "ok",
        "quality": "ok",
        "bits and content": "ok",
        "enough bits": "ok",
        "Python objects": "ok",
        "estimated rate": "ok",
        "size": "ok",
        "odd images": "ok",
        "damaged streams": "ok",
        "devices": "not done",
    }
    assert not report.failed


@pytest.mark.parametrize(
    ("codec", "name", "evidence"),
    [
        ("SideFile", "fresh process", "No such file or directory"),
        ("NominalBits", "bits and content", "bytes are decoded to two images"),
        slow("NominalBits", "one process", "decoded beside the encoder, in a fresh process AttributeError"),
        slow("NominalBits", "size", "bytes for 65x63 and 64x64"),
        slow("SizeElsewhere", "size", "beside the encoder, 64x64 in a fresh process"),
        slow("NeedsEncoder", "one process", "decoded beside the encoder, in a fresh process IndexError"),
        slow("NeedsEncoder", "fresh process", "list index out of range"),
        slow("IgnoresQuality", "quality", "the same image as at quality 3"),
        slow("PadsQuality", "quality", "the same image as at quality 3"),
        slow("TurnsQuality", "quality", "quality 1 to 3: fewer bytes"),
        slow("EstimatedBits", "estimated rate", "bytes estimated"),
        ("LyingLength", "bytes and images", "ShortBytes, not bytes"),
        slow("NotDeterministic", "encode twice", "again in the same process: other bytes"),
        slow("NotDeterministicAcrossProcesses", "encode twice", "in another process: other bytes"),
        slow("BreaksOnOddSizes", "odd images", "1x1: ValueError: could not broadcast"),
        slow("CrashesOnOddSizes", "odd images", "1x1: the process ended: signal 11 (SIGSEGV)"),
        slow("PadsOddSizes", "odd images", "1x1: decode returned 2x2, the original is 1x1"),
        slow("DependsOnOrder", "decode twice", "of the samples differ"),
        slow("DependsOnThreads", "threads", "of the samples differ"),
        slow("HidesSeed", "seeds", ""),
        slow("NotRepeatable", "seeds", "of the samples differ"),
        slow("NotRepeatable", "fresh process", "of the samples differ"),
        slow("LeavesProcess", "side files", "a process that encode started was still running"),
    ],
)
def test_a_cheat_is_caught(codec: str, name: str, evidence: str, audited: Audit) -> None:
    report = audited(codec)
    found = check(report, name)
    assert found.verdict == "FAILED", found
    assert evidence in "\n".join(found.evidence), found


def test_of_four_faults_at_once_each_is_caught(audited: Audit) -> None:
    """By the check of its own, and with its own evidence."""
    report = audited("FourFaults")
    assert report.failed == ["encode twice", "quality", "estimated rate", "odd images"]
    for name, evidence in (
        ("encode twice", "again in the same process: other bytes"),
        ("quality", "the same image as at quality 3"),
        ("estimated rate", "bytes estimated"),
        ("odd images", "1x1: ValueError: could not broadcast"),
    ):
        assert evidence in "\n".join(check(report, name).evidence), name


@pytest.mark.slow
def test_a_side_file_outside_the_fresh_folders(audited: Audit, tmp_path: Path) -> None:
    (tmp_path / "side").mkdir()
    report = audited("SideFile", settings=f":folder={tmp_path / 'side'}")
    assert check(report, "fresh process").verdict == "FAILED"
    assert "encode left" in "\n".join(check(report, "side files").evidence)
    assert list((tmp_path / "side").iterdir())  # it is put back: nothing of anyone's is deleted


def test_a_side_file_that_the_decoder_could_do_without(audited: Audit, tmp_path: Path) -> None:
    (tmp_path / "kept").touch()  # there before, so it cannot be put out of reach
    report = audited("ForgivingSideFile", settings=f":folder={tmp_path}")
    assert check(report, "fresh process").verdict == "ok"
    assert check(report, "side files").verdict == "FAILED"
    assert f"decode read {tmp_path / 'kept'}, which encode wrote" in "\n".join(check(report, "side files").evidence)


def test_fewer_bits_than_random_samples_need(audited: Audit, tmp_path: Path) -> None:
    """No file that Python opens tells of it, and a fresh process decodes it: the bits alone cannot be right."""
    (tmp_path / "hidden").mkdir()
    report = audited("ShortStream", settings=f":folder={tmp_path / 'hidden'}")
    assert report.failed == ["enough bits"]
    assert "random at quality 3: 15 bytes, at least 2" in check(report, "enough bits").evidence[0]


@pytest.mark.slow
def test_names_that_hold_the_image(audited: Audit, tmp_path: Path) -> None:
    (tmp_path / "names").mkdir()
    found = check(audited("KeepsInNames", settings=f":folder={tmp_path / 'names'}"), "names")
    assert found.verdict == "FAILED"
    assert f"decode lists {tmp_path / 'names'}, where encode made" in found.evidence[0]


@pytest.mark.slow
def test_pickles_are_told_and_no_failure(audited: Audit) -> None:
    report = audited("Pickles")
    found = check(report, "Python objects")
    assert found.verdict == "warning"
    assert "a pickle, " in found.evidence[0]
    assert not report.failed


@pytest.mark.slow
def test_a_decoder_that_knows_the_originals(audited: Audit, tmp_path: Path) -> None:
    found = check(audited("KnowsOriginals", settings=f":folder={tmp_path / 'pictures'}"), "side files")
    assert found.verdict == "FAILED"
    assert f"decode read an original: {tmp_path / 'pictures' / 'a.png'}" in "\n".join(found.evidence)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("codec", "name", "verdict"),
    [
        ("Noisy", "seeds", "ok"),
        ("FallingQuality", "quality", "ok"),
        ("IgnoresSeed", "seeds", "warning"),
        ("EncodesByThreads", "encode twice", "warning"),
    ],
)
def test_what_is_no_cheat_does_not_fail(codec: str, name: str, verdict: str, audited: Audit) -> None:
    report = audited(codec)
    assert check(report, name).verdict == verdict
    assert not report.failed


@pytest.mark.slow
def test_refusals_are_told_and_no_failure(audited: Audit) -> None:
    report = audited("RefusesThin")
    assert check(report, "odd images").verdict == "warning"
    assert "300x1: refused: sides of at least 4" in check(report, "odd images").evidence
    assert not report.failed


@pytest.mark.slow
def test_decoding_across_devices(audited: Audit) -> None:
    found = check(audited("DependsOnDevice", devices=["one", "two", "absent"]), "devices")
    assert found.verdict == "FAILED"
    told = "\n".join(found.evidence)
    assert "coded on one, decoded on two: 100.00% of the samples differ" in told
    assert "coded on two, decoded on one: 100.00% of the samples differ" in told
    assert "absent: there is no device 'absent'" in told


@pytest.mark.slow
def test_decoding_across_devices_that_agree(audited: Audit) -> None:
    found = check(audited("Honest", devices=["one", "two"]), "devices")
    assert (found.verdict, found.summary) == ("ok", "6 streams across 2 devices: identical")


@pytest.mark.slow
def test_sizes_of_damaged_streams(audited: Audit) -> None:
    cut = check(audited("GuessesSizes", damages=4), "damaged streams")
    assert cut.verdict == "FAILED"
    assert "cut to 0 of" in cut.evidence[0]
    changed = check(audited("TrustsSizes", damages=4), "damaged streams")
    assert changed.verdict == "warning"  # without a checksum nobody can know
    assert "of byte 0 flipped: an image of" in changed.evidence[0]


@pytest.mark.slow
def test_a_decoder_that_believes_damaged_streams(audited: Audit) -> None:
    found = check(audited("NoChecksum", damages=4, seconds=2), "damaged streams")
    assert found.verdict == "FAILED"
    told = "\n".join(found.evidence)
    assert "bit 5 of byte 0 flipped: MemoryError" in told or "byte 0 flipped: MemoryError" in told
    assert "byte 1 flipped: no answer within" in told
    assert "byte 2 flipped: the process ended: signal 11 (SIGSEGV)" in told
