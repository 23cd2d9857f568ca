import csv
import re
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from benchmark.datasets import open_dataset, shipped
from benchmark.datasets.shipped import FOLDER
from benchmark.errors import BenchmarkError


@pytest.fixture(scope="module")
def provenance() -> dict[str, dict[str, str]]:
    with (FOLDER / "PROVENANCE.csv").open(encoding="utf-8", newline="") as stream:
        return {row["file"]: row for row in csv.DictReader(stream)}


def test_photos_are_24_rgb_pictures_as_provenance_says(provenance: dict[str, dict[str, str]]) -> None:
    dataset = open_dataset("photos")
    assert dataset.name == "photos"
    assert len(dataset.pictures) == 24
    assert [picture.name for picture in dataset.pictures] == sorted(picture.name for picture in dataset.pictures)
    for picture in dataset.pictures:
        with Image.open(picture.path) as opened:
            row = provenance[picture.path.name]
            assert (opened.format, opened.mode) == ("PNG", "RGB")
            assert opened.size == (int(row["width"]), int(row["height"]))
            assert sorted(opened.size) == [512, 768]


def test_every_shipped_file_has_author_and_licence(provenance: dict[str, dict[str, str]]) -> None:
    shipped = {path.name for path in FOLDER.iterdir()} - {"README.md", "PROVENANCE.csv", "SHA256SUMS"}
    assert shipped == provenance.keys()
    for row in provenance.values():
        assert row["author"]
        assert row["source_package"]
        assert re.fullmatch(r"CC0(-1\.0)?|CC-BY(-SA)?-[34]\.0|L?GPL-[23](\.0|\+)|public-domain", row["licence"])


def test_readme_attributes_each_file_as_provenance_does(provenance: dict[str, dict[str, str]]) -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    for file, row in provenance.items():
        assert f"| `{file}` | {row['author']} | {row['licence']} | {row['source_package']} |" in text
    for licence, count in Counter(row["licence"] for row in provenance.values()).items():
        assert f"| {licence} | {count} |" in text


@pytest.mark.parametrize(("git", "remedy"), [(True, "`git checkout -- datasets/photos` restores it"), (False, "again")])
def test_a_photograph_that_is_lost_is_named_with_what_brings_it_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, git: bool, remedy: str
) -> None:
    folder = tmp_path / "datasets" / "photos"
    folder.mkdir(parents=True)
    (folder / "SHA256SUMS").write_text((FOLDER / "SHA256SUMS").read_text())
    if git:
        (tmp_path / ".git").mkdir()
    monkeypatch.setattr(shipped, "FOLDER", folder)
    with pytest.raises(BenchmarkError, match=rf"lacks .*; .*{re.escape(remedy)}"):
        shipped.photos()
