"""`python -m benchmark fetch` in this process."""

import hashlib
from pathlib import Path

import pytest

from benchmark import fetching
from benchmark.cli.main import main
from benchmark.datasets import DATASETS, kodak
from benchmark.fetching import FETCHABLE


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with stand-ins for Kodak and for the weights of Inception."""
    monkeypatch.setenv("BENCHMARK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "kodim01.png").write_bytes(b"one")
    monkeypatch.setattr(kodak, "FILES", {"kodim01.png": (3, hashlib.sha256(b"one").hexdigest())})
    (folder / fetching.INCEPTION_NAME).write_bytes(b"weights")
    monkeypatch.setattr(fetching, "INCEPTION_SIZE", 7)
    monkeypatch.setattr(fetching, "INCEPTION_SHA256", hashlib.sha256(b"weights").hexdigest())
    return folder


def call(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as caught:
        main(["fetch", *arguments])
    return caught.value.code


def test_several_at_once_from_a_folder(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("kodak", "inception", "kodak", "--from", str(source)) == 0
    cache = source.parent / "cache"
    assert capsys.readouterr().out.splitlines() == [str(cache / "kodak"), str(cache / fetching.INCEPTION_NAME)]
    assert (cache / "kodak" / "kodim01.png").read_bytes() == b"one"


def test_a_wrong_name_ends_it_before_anything_is_fetched(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("kodak", "kodka", "--from", str(source)) == 2
    assert capsys.readouterr().err == "error: no download is named 'kodka'; did you mean kodak?\n"
    assert not (source.parent / "cache").exists()


def test_a_wrong_file_is_one_line_and_3(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (source / "kodim01.png").write_bytes(b"two")
    assert call("kodak", "--from", str(source)) == 3
    assert "kodim01.png: not the file that was expected" in capsys.readouterr().err


def test_the_help_names_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--help") == 0
    words = capsys.readouterr().out.split()
    assert all(name in words for name in FETCHABLE)
    assert set(DATASETS) - {"photos"} <= set(FETCHABLE)
