"""Groups that are read from trials.jsonl one at a time are those of all trials at once."""

from pathlib import Path

from support.records import manifest, trial

from benchmark.analysis.groups import StoredGroups, groups_of
from benchmark.results import RunFolder


def test_the_groups_of_all_trials(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run", manifest(decoder_seeds=[0, 1]))
    for one in (
        trial(image="b", error="bad"), trial("n", 2.5, "a", seed=0), trial(quality=2.5, image="b"),
        trial(image="a"), trial("n", 2.5, "b", seed=1), trial(image="b", bytes=9, bpp=9), trial("n", 2.5, "a", seed=1),
    ):  # fmt: skip
        folder.append(one)
    with (folder.path / "trials.jsonl").open("ab") as file:
        file.write(b'{"codec":"t:x=1","qua')
    expected = list(groups_of(folder.manifest, folder.trials()))
    stored = StoredGroups(folder)
    assert list(stored) == expected
    assert [(group.codec, len(group.trials)) for group in stored] == [("n", 3), ("t:x=1", 2), ("t:x=1", 1)]
    assert [(one.image, one.bytes, one.error) for one in stored[1].trials] == [("a", 3, None), ("b", 9, None)]
    assert stored[-1] == expected[-1]
    assert stored[1:] == expected[1:]


def test_no_trials(tmp_path: Path) -> None:
    assert list(StoredGroups(RunFolder.create(tmp_path / "run", manifest()))) == []
