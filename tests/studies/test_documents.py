"""Tables of the documents are those of the committed numbers."""

import json
import re
from pathlib import Path

import pytest
from support.web_pages import call

from benchmark.errors import BenchmarkError, UsageError
from benchmark.studies.documents import BLOCK, fill, made_by, value_of, write

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
    assert not re.search(r"^\s*<!-- value", text, re.MULTILINE)  # it would begin another paragraph


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
    with pytest.raises(UsageError, match="made by table or gains or csv or posterior"):
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
        'scale.csv first=from end=to "cpu_seconds=CPU s per trial" megabytes=MB',
        'coco.csv codec= quality= "trials=trials a second and core" "hours=h for 30,000, one core"',
        'batches.csv network= alone= "batch=in a batch of four"',
        'profile.csv what= "share=share, %"',
        'items.csv item= "done=what was done" before= after=',
        'originals.csv "what=`webp` after `jpeg`" "same=in its folder" "own=in one of its own" less=',
        "ratios.csv what= seconds= ratio= aim=",
        'decoder.csv time= "over=over that of" ratio=',
        'network.csv processor= precision= "ms=ms per step" "rate=rate over that of its convolutions alone"',
    ],
)
def test_tables_of_speed_are_those_of_their_files(words: str) -> None:
    folder = ROOT / "docs" / "explanation"
    assert made_by(f"csv {words}", folder / "speed") in (folder / "speed.md").read_text("utf-8")


def test_a_setting_is_varied(tmp_path: Path) -> None:
    rows = [line(f'"a:steps={n},x=1"', 3, "psnr", value, "dB") for n, value in ((16, 26), (2, 28.5))]
    rows += [line("a:x=1", 3, "psnr", 1, "dB"), line("b:steps=2", 3, "psnr", 20, "dB")]
    (tmp_path / "s.csv").write_text("\n".join([HEAD, *rows]) + "\n", encoding="utf-8")
    asked = "vary steps s.csv --codec a:x=1 --codec b --metric psnr --label b=B"
    assert made_by(asked, tmp_path).splitlines() == [
        "| decoder | metric | 2 | 16 |",
        "| --- | --- | ---: | ---: |",
        "| a:x=1 | PSNR | 28.50 | 26.00 |",
        "| B | PSNR | 20.00 | – |",
    ]
    with pytest.raises(BenchmarkError, match=r"s\.csv: noise is not varied of b"):
        made_by("vary noise s.csv --codec b --metric psnr", tmp_path)
    with pytest.raises(UsageError, match="vary SETTING SUMMARY"):
        made_by("vary", tmp_path)


def test_what_departs(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text(
        "dataset,codec,quality,bpp,metric,value\nk,a,1,0.1,psnr,25.3\nk,a,1,0.1,own (dB),31\nk,b,1,0.2,psnr,24\n"
    )
    assert made_by("departure d.csv --codec b --codec a --label a=A", tmp_path).splitlines() == [
        "| codec | bpp | PSNR (dB) ↑ | own (dB) |",
        "| --- | ---: | ---: | ---: |",
        "| b | 0.2 | 24 | – |",
        "| A | 0.1 | 25.3 | 31 |",
    ]
    with pytest.raises(BenchmarkError, match=r"d\.csv: no codec c"):
        made_by("departure d.csv --codec c", tmp_path)


def test_a_contest(tmp_path: Path) -> None:
    """Over x̂'s, the geometric mean over two qualities: 0.5 and 2 make 1; realism is chosen on held-out images."""
    head = "group,member,step,tera,finished,data,images,quality,steps,realism,seed,psnr,lpips,fd-effnet"
    rows = [
        "none,x̂,9,1,True,kodak,6,1,0,,0,30,0.2,100",
        "none,x̂,9,1,True,kodak,6,2,0,,0,32,0.1,50",
        "none,x̂,9,1,True,held-out,8,1,0,,0,30,0.2,100",
        *(
            f"none,gan,9,1,True,held-out,8,1,{n},{dial},0,30,0.2,{fd}"
            for n in (1, 4)
            for dial, fd in ((0.5, 80), (1.0, 90))
        ),
        *(f"none,gan,9,1,True,kodak,6,1,1,{dial},0,29.5,0.1,{fd}" for dial, fd in ((0.5, 50), (1.0, 75))),
        *(f"none,gan,9,1,True,kodak,6,2,1,{dial},0,31.0,0.2,{fd}" for dial, fd in ((0.5, 100), (1.0, 25))),
        "none,gan,9,1,True,kodak,6,1,4,0.5,0,30,0.2,25",
        "none,gan,9,1,True,kodak,6,2,4,0.5,0,32,0.1,12.5",
        "none,gan,5,1,False,kodak,6,1,1,0.5,0,1,1,1",
    ]
    (tmp_path / "c.csv").write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    assert made_by("contest c.csv", tmp_path).splitlines() == [
        "| loss | decoder | evaluations | realism | PSNR − x̂'s, dB ↑ | LPIPS ÷ x̂'s ↓ | FD-EffNet ÷ x̂'s ↓ |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
        "| no perceptual network | gan | 1 | 0.5 | -0.75 | 1.00 | 1.00 |",
        "| no perceptual network | gan | 4 | 0.5 | 0.00 | 1.00 | 0.25 |",
    ]
    with pytest.raises(BenchmarkError, match=r"none\.csv: no such file"):
        made_by("contest none.csv", tmp_path)
    (tmp_path / "c.csv").write_text(f"{head}\n{rows[-1]}\n", encoding="utf-8")
    with pytest.raises(BenchmarkError, match="no finished member"):
        made_by("contest c.csv", tmp_path)


def test_the_parts_of_a_training(tmp_path: Path) -> None:
    for name, steps, seconds, recipe in (
        ("1-a", 2000, 119.0, {"crop": 100, "batch": 8}),
        ("2-b", 100, 1, {"crop": 200, "batch": 2, "parts": 2}),  # --accumulate 2
    ):
        (tmp_path / "t" / name).mkdir(parents=True)
        (tmp_path / "t" / name / "recipe.json").write_text(json.dumps(recipe))
        (tmp_path / "t" / name / "log.csv").write_text(f"step,seconds,loss\n1,0.5,3\n{steps},{seconds},1\n")
    assert made_by("parts t 1-a 2-b", tmp_path).splitlines()[2:] == [
        "| `1-a` | 2,000 | 100 | 8 | 160 | 2 |",
        "| `2-b` | 100 | 200 | 4 | 16 | 0 |",
        "| in all | 2,100 | | | 176 | 2 |",
    ]
    assert len(made_by("parts t 1-a", tmp_path).splitlines()) == 3
    (tmp_path / "t" / "1-a" / "recipe.json").write_text("{}")
    with pytest.raises(BenchmarkError, match=r"t/1-a/recipe\.json: .*crop"):
        made_by("parts t 1-a", tmp_path)
    with pytest.raises(UsageError, match="parts FOLDER NAME"):
        made_by("parts t", tmp_path)


def test_a_value_within_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("codec,quality,value\na:x=1,1.0,-0.2345\na:x=1,2.0,3\n")
    text = "It is <!-- value: t.csv value codec=a:x=1 quality=1 --format .2f -->7<!-- end --> dB.\n"
    assert fill(text, tmp_path) == text.replace(">7<", ">−0.23<")
    assert value_of("t.csv value quality=2", tmp_path) == "3"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("t.csv value codec=a", "t.csv: 2 rows have codec=a, not one"),
        ("t.csv value codec=b", "t.csv: 0 rows have codec=b, not one"),
        ("t.csv value no=b", "t.csv: no column no"),
        ("t.csv value codec", "codec: each is NAME=VALUE"),
        ("t.csv codec quality=1 --format .2f", "--format .2f of 'a'"),
        ("t.csv value codec='a", "No closing quotation"),
        ("gone.csv value codec=a", "gone.csv: cannot be read"),
    ],
)
def test_values_that_are_not_there(words: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("codec,quality,value\na,1,2\na,2,3\n")
    with pytest.raises((BenchmarkError, UsageError), match=message):
        value_of(words, tmp_path)
