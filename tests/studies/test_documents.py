"""Tables of the documents are those of the committed numbers."""

from pathlib import Path

import pytest
from support.web_pages import call

from benchmark.errors import BenchmarkError, UsageError
from benchmark.studies.documents import BLOCK, fill, made_by, write

ROOT = Path(__file__).parents[2]
CARDS = (*(ROOT / "benchmark").rglob("weights/*.md"), *(ROOT / "baselines").rglob("weights/*.md"))
PLACES = (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *CARDS, *(ROOT / "reports" / "trainings").rglob("*.md"))
FILES = [path for path in PLACES if path.is_file()]

HEAD = (
    "dataset,codec,quality,metric,protocol,value,stderr,ci_low,ci_high,stderr_seed,n_images,n_patches,aggregation,unit,"
    "higher_is_better"
)


def line(
    codec: str, quality: float, metric: str, value: float, unit: str, aggregation: str = "mean over images"
) -> str:
    head = f"mine 01234567,{codec},{quality},{metric},{metric}/x,{value},0,{value},{value},0,8,,"
    return head + f"{aggregation},{unit},{unit == 'dB'}"


@pytest.fixture
def summary(tmp_path: Path) -> Path:
    rows = [
        line("base", 1.0, "psnr", 30, "dB"),
        line("base", 1.0, "psnr", 29, "dB", "of the mean MSE"),
        line("base", 2.0, "psnr", 33, "dB"),
        line("ours", 1.0, "psnr", 29.5, "dB"),
        line("base", 1.0, "lpips", 0.4, ""),
        line("ours", 1.0, "lpips", 0.3, ""),
    ]
    (tmp_path / "s.csv").write_text("\n".join([HEAD, *rows]) + "\n")
    return tmp_path


@pytest.mark.checkout
@pytest.mark.parametrize("file", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_table_is_that_of_its_words(file: Path) -> None:
    """Stale? `python -m benchmark studies documents FILE` makes it again."""
    text = file.read_text(encoding="utf-8")
    assert fill(text, ROOT) == text


@pytest.mark.checkout
def test_the_readme_is_short_and_has_a_table_of_results() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.split()) < 1200
    assert BLOCK.search(text)


def test_gains_are_per_cent_and_differences_of_decibels(summary: Path) -> None:
    assert made_by("gains base s.csv --metric psnr --metric lpips --label ours=Ours", summary).splitlines() == [
        "| codec | metric | 1 | 2 |",
        "| --- | --- | ---: | ---: |",
        "| Ours | PSNR | −0.50 dB | – |",
        "| Ours | LPIPS | −25 % | – |",
    ]


def test_codecs_with_scales_of_their_own_stand_side_by_side_in_order(tmp_path: Path) -> None:
    values = [("avif", 20, 30), ("avif", 10, 25), ("hfd", 1, 24.5), ("hfd", 2, 29.25), ("other", 1, 20)]
    rows = [line(codec, quality, "psnr", value, "dB") for codec, quality, value in values]
    (tmp_path / "s.csv").write_text("\n".join([HEAD, *rows]) + "\n", encoding="utf-8")
    table = made_by("gains avif s.csv --codec hfd --metric psnr --in-order", tmp_path)
    assert table.splitlines()[0] == "| codec | metric | 10 | 20 |"
    assert table.splitlines()[2] == "| hfd | PSNR | −0.50 dB | −0.75 dB |"
    with pytest.raises(BenchmarkError, match="other has 1 qualities, avif 2"):
        made_by("gains avif s.csv --metric psnr --in-order", tmp_path)


def test_the_last_check_of_a_training(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "checks.csv").write_text(
        "step,seconds,score,lpips_0,psnr_0,lpips_16,psnr_16,lpips_4,psnr_4\n"
        "10,1,0.3,0.3,20,0.3,20,0.3,20\n"
        "20,2,0.1,0.25,28,0.12346,26.5,0.15,27.255\n"
    )
    assert made_by("checks run", tmp_path).splitlines()[2:] == [
        "| 0 | 28.00 | 0.2500 |",
        "| 4 | 27.25 | 0.1500 |",
        "| 16 | 26.50 | 0.1235 |",
    ]
    (tmp_path / "run" / "checks.csv").write_text("step,bpp_1,psnr_1\n10,1,20\n")
    with pytest.raises(BenchmarkError, match="it has no column lpips_0"):
        made_by("checks run", tmp_path)


def test_what_stands_between_the_marks_is_filled_in(
    summary: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = summary / "page.md"
    page.write_text(
        "before\n<!-- table: gains base s.csv --metric lpips -->\nold\n<!-- end of table -->\nafter\n", encoding="utf-8"
    )
    monkeypatch.chdir(summary)
    assert call("studies", "documents", "page.md") == 0
    assert capsys.readouterr().out == "page.md\n"
    text = page.read_text(encoding="utf-8")
    assert "| ours | LPIPS | −25 % | – |" in text
    assert "old" not in text
    assert text.startswith("before\n<!-- table: gains")
    assert text.endswith("<!-- end of table -->\nafter\n")
    assert list(write([page], summary)) == []


def test_words_that_mean_nothing_are_refused(summary: Path) -> None:
    with pytest.raises(UsageError, match="made by table or gains or csv or posterior or checks"):
        made_by("tabel s.csv", summary)
    with pytest.raises(UsageError, match="a table: unrecognized arguments: --metrics"):
        made_by("gains base s.csv --metrics psnr", summary)
    with pytest.raises(BenchmarkError, match=r"s\.csv: no codec nobody"):
        made_by("gains nobody s.csv --metric psnr", summary)
    with pytest.raises(BenchmarkError, match=r"gone\.csv"):
        made_by("gains base gone.csv --metric psnr", summary)


def test_columns_of_any_table(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('name,a,b\n"x, y",1.5,2\nz,,4\n')
    assert (
        made_by("csv t.csv name= 'b=the b'", tmp_path) == "| name | the b |\n| --- | --- |\n| x, y | 2 |\n| z | 4 |\n"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("csv t.csv name=x c=y", "t.csv: no column c"),
        ("csv empty.csv name=x", "empty.csv: no lines"),
        ("csv gone.csv name=x", "gone.csv: cannot be read: .*No such file"),
        ("csv t.csv", "csv FILE COLUMN=TITLE"),
    ],
)
def test_columns_that_are_not_there(words: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("name,a\nx,1\n")
    (tmp_path / "empty.csv").write_text("name,a\n")
    with pytest.raises((BenchmarkError, UsageError), match=message):
        made_by(words, tmp_path)


@pytest.mark.checkout
@pytest.mark.parametrize(
    "words",
    [
        'device-cpu.csv "what=codec or metric" step= batch= "images=images a second" waiting= megabytes=MB '
        '"hours=h for 30,000"',
        'scale.csv first=from end=to "cpu_seconds=CPU s a trial" megabytes=MB',
    ],
)
def test_tables_of_speed_are_those_of_their_files(words: str) -> None:
    folder = ROOT / "docs" / "explanation"
    assert made_by(f"csv {words}", folder / "speed") in (folder / "speed.md").read_text("utf-8")
