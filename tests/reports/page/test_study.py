"""The comparison by people: the page in a browser, its file of votes, and the scores from many such files."""

import json
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from support.baselines import synthetic
from support.web_pages import call, make_run

from benchmark.errors import BenchmarkError, NotComparable, UsageError
from benchmark.reports.page.study import KIND, _usual_rates
from benchmark.reports.page.tally import MIDDLE, tally

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def study_folder(shared_folder: Path, run_folder: Path) -> Path:
    words = ["study", str(run_folder), "-o", str(shared_folder / "study"), "--trials", "4", "--checks", "1"]
    assert call(*words) == 0
    return shared_folder / "study"


def _data(folder: Path) -> dict:
    return json.loads((folder / "data.js").read_text().removeprefix("window.STUDY = ").rstrip(";\n"))


def test_pairs_are_at_equal_bits_and_their_files_tell_no_codec(study_folder: Path) -> None:
    data = _data(study_folder)
    assert data["questions"]
    for question in data["questions"]:
        sizes = [side["bytes"] for side in question["sides"]]
        assert max(sizes) <= 1.15 * min(sizes)
        assert {side["codec"] for side in question["sides"]} == {"tiny", "noisy"}
        for side in question["sides"]:
            assert (study_folder / side["file"]).is_file()
            assert not any(word in side["file"] for word in ("tiny", "noisy"))
    check = data["checks"][0]
    assert check["sides"][0]["file"] == check["original"]


def test_a_person_answers_and_saves_a_file_that_is_tallied(page: Page, study_folder: Path, tmp_path: Path) -> None:
    page.goto(f"file://{study_folder}/index.html")
    page.get_by_role("button", name="Begin", exact=True).click()
    for number in range(5):
        expect(page.locator(f"#trial[data-ready='{number}']")).to_be_visible()
        expect(page.locator("#welcome")).to_be_hidden()
        expect(page.locator("#choose-1")).to_be_disabled()
        page.keyboard.press("1")  # not before the original was seen
        assert page.locator("#count").inner_text() == f"{number + 1} of 5"
        page.keyboard.down(" ")
        expect(page.locator(".layer.original.shown")).to_have_count(2)
        page.keyboard.up(" ")
        expect(page.locator(".layer.copy.shown")).to_have_count(2)
        # The side that shows the original itself is the answer to a check.
        files = [page.locator(".layer.copy").nth(side).get_attribute("src") or "" for side in (0, 1)]
        known = [file.startswith("pictures/original") for file in files]
        page.keyboard.press("ArrowRight" if known[1] else "ArrowLeft")
    with page.expect_download() as caught:
        page.get_by_role("button", name="Save the answers").click()
    saved = tmp_path / "votes.json"
    caught.value.save_as(saved)
    votes = json.loads(saved.read_text())
    assert len(votes["votes"]) == 5
    checks = [vote for vote in votes["votes"] if vote["expected"] is not None]
    assert [vote["choice"] for vote in checks] == [checks[0]["expected"]]
    result = tally([saved], missed=0)
    assert sum(score.won for score in result.tallies[0].scores) == 4
    assert call("study", "tally", str(saved)) == 0


def test_votes_survive_a_reload(page: Page, study_folder: Path) -> None:
    page.goto(f"file://{study_folder}/index.html")
    page.get_by_role("button", name="Begin", exact=True).click()
    expect(page.locator("#trial[data-ready='0']")).to_be_visible()
    page.keyboard.down(" ")
    page.keyboard.up(" ")
    page.locator("#choose-2").click()
    expect(page.locator("#trial[data-ready='1']")).to_be_visible()
    page.reload()
    expect(page.locator("#count")).to_have_text("2 of 5")


# Tallying


def _side(codec: str, value: float) -> dict:
    return {"codec": codec, "quality": 1.0, "bytes": 100, "metrics": {"psnr": value} if codec else {}}


def _write(path: Path, voter: str, votes: list[dict], study: str = "s") -> Path:
    head = {"kind": KIND, "schema_version": 1, "study": study, "dataset": "d", "higher_is_better": {"psnr": True}}
    text = json.dumps({**head, "voter": voter, "screen": {"width": 1, "height": 1, "ratio": 1}, "votes": votes})
    path.write_text(text)
    return path


def _vote(first: str, second: str, choice: int, picture: str = "p", expected: int | None = None) -> dict:
    level = 0.5 if expected is None else None
    psnr = {"a": 30.0, "b": 28.0, "c": 26.0, "": 0.0}
    sides = {"first": _side(first, psnr[first]), "second": _side(second, psnr[second])}
    return {"picture": picture, "level": level, **sides, "choice": choice, "expected": expected, "seconds": 1.0}


def test_known_strengths_are_found_beside_the_metrics(tmp_path: Path) -> None:
    """Codecs 200 Elo points apart; 20 people, 24 images; sides at random."""
    truth = {"a": 1700.0, "b": 1500.0, "c": 1300.0}
    generator = np.random.default_rng(4)
    files = []
    for voter in range(20):
        votes = []
        for number in range(90):
            one, other = generator.permutation(["a", "b", "c"])[:2]
            chance = 1 / (1 + 10 ** ((truth[other] - truth[one]) / 400))
            votes.append(_vote(str(one), str(other), 1 if generator.random() < chance else 2, f"p{number % 24}"))
        files.append(_write(tmp_path / f"{voter}.json", str(voter), votes))
    result = tally(files, missed=1)
    scores = {score.codec: score for score in result.tallies[0].scores}
    assert list(scores) == ["a", "b", "c"]
    for codec, score in scores.items():
        assert score.low is not None
        assert score.high is not None
        assert score.low < truth[codec] < score.high
        assert 15 < score.high - score.low < 80
    assert sum(score.elo or 0 for score in scores.values()) / 3 == pytest.approx(MIDDLE)
    assert scores["a"].metrics == {"psnr": 30.0}
    share, low, high, count = result.agreements["psnr"]
    assert count == 1800
    assert low < share < high
    assert 0.75 < share < 0.85  # 0.76 at 200 points, 0.91 at 400, two to one


def test_inattentive_people_and_other_studies_are_left_out(tmp_path: Path) -> None:
    good = _write(tmp_path / "good.json", "g", [_vote("a", "b", 1), _vote("a", "b", 2), _vote("", "b", 1, expected=1)])
    bad = _write(tmp_path / "bad.json", "x", [_vote("a", "b", 2)] * 9 + [_vote("", "b", 2, expected=1)] * 2)
    result = tally([good, bad], missed=1)
    assert [score.votes for score in result.tallies[0].scores] == [2, 2]
    assert any("2 attention checks failed" in note for note in result.notes)
    with pytest.raises(BenchmarkError, match="no vote is left"):
        tally([bad], missed=1)
    with pytest.raises(NotComparable):
        tally([good, _write(tmp_path / "far.json", "y", [_vote("a", "b", 1)], study="t")], missed=1)
    again = _write(tmp_path / "again.json", "g", [_vote("a", "b", 1)])
    assert [score.votes for score in tally([good, again], missed=1).tallies[0].scores] == [2, 2]


@pytest.mark.parametrize("order", [1, -1])
def test_of_a_person_s_files_the_longer_one_is_held_against_the_checks(order: int, tmp_path: Path) -> None:
    """Whichever comes first: what was saved early may hold no failed check yet."""
    failed = _vote("", "b", 2, expected=1)
    early = _write(tmp_path / "early.json", "x", [_vote("a", "b", 1)])
    late = _write(tmp_path / "late.json", "x", [_vote("a", "b", 1), failed, failed])
    sound = _write(tmp_path / "sound.json", "y", [_vote("b", "a", 1)])
    result = tally([*[early, late][::order], sound], missed=1)
    assert [score.votes for score in result.tallies[0].scores] == [1, 1]
    assert any("late.json: left out, 2 attention checks failed" in note for note in result.notes)


def test_a_codec_that_always_wins_has_no_points_and_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = _write(tmp_path / "one.json", "v", [_vote("a", "b", 1)] * 3)
    part = tally([file], missed=0).tallies[0]
    assert part.reason
    assert [(score.codec, score.elo, score.won) for score in part.scores] == [("a", None, 3), ("b", None, 0)]
    assert call("study", "tally", str(file)) == 0
    assert "never won" in capsys.readouterr().out


def test_bad_input_is_refused(tmp_path: Path, run_folder: Path, photographs: Path) -> None:
    (tmp_path / "no.json").write_text('{"kind": 3}')
    assert call("study", "tally", str(tmp_path / "no.json")) == 3
    assert call("study", "tally", str(tmp_path / "nowhere.json")) == 3
    never = str(tmp_path / "never")
    assert call("study", str(run_folder), "-o", never, "--bpp", "much") == 2
    assert call("study", str(run_folder), "-o", never, "--trials", "0") == 2
    one = make_run(tmp_path / "lone", photographs, "--codec", "tiny", "--quality", "3")
    assert call("study", str(one), "-o", never) == 2
    bare = make_run(tmp_path / "bare-study", photographs, "--codec", "tiny", "--quality", "3", keep=False)
    assert call("study", str(bare), "-o", never) == 2
    assert not Path(never).exists()


def test_a_run_without_bits_has_no_rates_to_compare_at() -> None:
    plain = synthetic()
    for sizes in ([None] * 12, [0] * 12):
        points = [point.model_copy(update={"bytes": sizes}) for point in plain.points]
        with pytest.raises(UsageError, match="no codec spent bits"):
            _usual_rates(plain.model_copy(update={"points": points}))
