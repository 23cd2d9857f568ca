"""Every table and figure of the documents belongs to one target, and to the weights that are shipped."""

import csv
import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image as Pillow
from support.pictures import write_pictures
from support.web_pages import call

from benchmark.codecs import parse_codec_spec
from benchmark.errors import BenchmarkError, UsageError
from benchmark.hfd.decoders import KINDS
from benchmark.studies.documents import BLOCK, VALUE
from benchmark.studies.figures import Figures, lines

ROOT = Path(__file__).parents[2]

DECLARED = """
[weights]
ours = "weights/first-stage.safetensors"
others = "weights/others.safetensors"

[run.mine]
command = "run --only --codec mse:first_stage=weights/first-stage.safetensors --dataset images --quality 2 \
--metric psnr --workers 1 --output {folder}"
weights = ["ours"]

[[target]]
name = "numbers"
what = "The numbers"
runs = ["mine"]
[target.copies]
"figures/summary.csv" = "{mine}/summary.csv"
"figures/psnr.webp" = "{mine}/plots/psnr.png"

[[target]]
name = "drawn"
what = "A figure of them"
commands = ["plot figures/summary.csv --metric psnr --format png -o figures"]
reads = ["figures/summary.csv"]
writes = ["figures/psnr.png"]

[[target]]
name = "documents"
what = "The page"
documents = ["page.md"]
reads = ["figures/summary.csv"]
"""
PAGE = "before\n<!-- table: table figures/summary.csv --metric psnr -->\n<!-- end of table -->\nafter\n"


@pytest.fixture
def checkout(tmp_path: Path, first_stage_file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small one: a run of two images, a figure of its table, and a document with the table in it."""
    write_pictures(tmp_path / "images", ["a.png", "b.png"], (64, 48))
    (tmp_path / "weights").mkdir()
    shutil.copy(first_stage_file, tmp_path / "weights" / "first-stage.safetensors")
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "figures.toml").write_text(DECLARED)
    (tmp_path / "page.md").write_text(PAGE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def made(checkout: Path) -> Path:
    """The same as if all had been made: what its commands would leave is there, and recorded."""
    (checkout / "figures").mkdir()
    head = (
        "dataset,codec,quality,metric,protocol,value,stderr,ci_low,ci_high,stderr_seed,n_images,n_patches,"
        "aggregation,unit,higher_is_better"
    )
    rows = [
        f"mine 01234567,mse:a,{quality},{metric},{metric}/x,{value},0,{value},{value},0,2,,mean over images,,True"
        for quality in (2, 3)
        for metric, value in (("bpp", quality / 10), ("psnr", 30 + quality))
    ]
    (checkout / "figures" / "summary.csv").write_text("\n".join([head, *rows]) + "\n")
    for name in ("psnr.webp", "psnr.png"):
        (checkout / "figures" / name).write_bytes(name.encode())
    assert call("figures", "--record", "numbers", "drawn") == 0
    assert call("studies", "documents", "page.md") == 0
    return checkout


def here(words: Sequence[str]) -> None:
    """In this process."""
    code = call(*words)
    if code:
        raise BenchmarkError(f"exit code {code}")


def states(checkout: Path) -> dict[str, str]:
    return {state.target.name: state.stale for state in Figures(checkout).states()}


def make_all(checkout: Path) -> list[Sequence[str]]:
    """Makes what is stale, in order; returns the commands that were run."""
    found, ran = Figures(checkout), []

    def execute(words: Sequence[str]) -> None:
        ran.append(words)
        here(words)

    for target in found.declared.target:
        if found.states([target.name])[0].stale:
            found.make(target, execute)
    return ran


def test_all_is_made_once_and_then_up_to_date(checkout: Path) -> None:
    assert states(checkout) == {
        "numbers": "figures/summary.csv is not there",
        "drawn": "figures/summary.csv is not there",
        "documents": "figures/summary.csv is not there",
    }
    ran = make_all(checkout)
    assert [words[0] for words in ran] == ["run", "plot", "studies"]
    assert "| PSNR" in (checkout / "page.md").read_text()
    with Pillow.open(checkout / "figures" / "psnr.webp") as image:
        assert image.format == "WEBP"
    assert states(checkout) == {"numbers": "", "drawn": "", "documents": ""}
    assert make_all(checkout) == []


def test_what_is_stale_is_said(made: Path) -> None:
    lock = made / "reports" / "figures.lock.json"
    recorded = lock.read_text()

    weights = json.loads(recorded)
    weights["numbers"]["weights"]["ours"] = "0" * 64
    lock.write_text(json.dumps(weights))
    assert states(made)["numbers"] == "the weights ours changed after it was made"
    lock.write_text(recorded)

    table = made / "figures" / "summary.csv"
    before = table.read_text()
    table.write_text(before.replace("mse:", "mine:"))
    assert states(made) == {
        "numbers": "figures/summary.csv changed after it was made",
        "drawn": "figures/summary.csv changed after it was made",
        "documents": "a table of page.md is another than the numbers say",
    }
    table.write_text(before)

    page = (made / "page.md").read_text()
    (made / "page.md").write_text(page.replace("--metric psnr", "--metric psnr --codec b"))
    assert states(made)["documents"].startswith("page.md cannot be filled: no codec 'b' was measured")
    (made / "page.md").write_text(page)

    declared = made / "reports" / "figures.toml"
    declared.write_text(DECLARED.replace("--format png -o", "--linear --format png -o"))
    assert states(made) == {"numbers": "", "drawn": "its commands have changed", "documents": ""}
    declared.write_text(DECLARED)

    lock.unlink()
    assert states(made)["numbers"] == "there is no record of what it was made from"


def test_weights_have_an_identity_beyond_their_bytes_and_a_run_a_folder_of_its_own_for_each(
    checkout: Path, flow_file: Path
) -> None:
    found = Figures(checkout)
    identity, folder = found.identity_of("ours"), found.folder_of("mine")
    path = checkout / "weights" / "first-stage.safetensors"
    assert len(identity) == 64
    assert found.identity_of("others") == ""
    shutil.copy(flow_file, path)
    other = Figures(checkout)
    assert other.identity_of("ours") != identity
    assert other.folder_of("mine") != folder
    assert Figures(checkout, folders={"mine": Path("elsewhere")}).folder_of("mine") == Path("elsewhere")
    with pytest.raises(UsageError, match="no run is called 'yours'; there are mine"):
        Figures(checkout, folders={"yours": Path()})


def test_a_run_with_other_weights_than_are_declared_is_refused(checkout: Path) -> None:
    declared = checkout / "reports" / "figures.toml"
    declared.write_text(DECLARED.replace('weights = ["ours"]', "weights = []"))
    found = Figures(checkout)
    with pytest.raises(BenchmarkError, match="the run mine decodes with the weights ours"):
        found.make(found.declared.target[0], here)
    declared.write_text(DECLARED.replace('weights = ["ours"]', 'weights = ["ours", "others"]'))
    found = Figures(checkout)
    with pytest.raises(BenchmarkError, match="the run mine does not decode with the weights others"):
        found.make(found.declared.target[0], here)
    assert not (checkout / "figures").exists()


def test_what_was_stopped_goes_on(made: Path) -> None:
    """What was made stays recorded; a command that fails leaves the rest to be made."""
    (made / "figures" / "psnr.png").unlink()
    found = Figures(made)

    def fails(words: Sequence[str]) -> None:
        raise BenchmarkError(f"exit code 3 of: {words[0]}")

    with pytest.raises(BenchmarkError, match="exit code 3 of: plot"):
        found.make(found.declared.target[1], fails)
    assert states(made) == {"numbers": "", "drawn": "figures/psnr.png is not there", "documents": ""}
    with pytest.raises(BenchmarkError, match=r"drawn: its commands have not written figures/psnr\.png"):
        found.make(found.declared.target[1], lambda words: None)
    assert [words[0] for words in make_all(made)] == ["plot"]
    assert states(made) == {"numbers": "", "drawn": "", "documents": ""}


def test_the_command_lists_checks_prints_and_records(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert call("figures", "--check") == 0
    assert capsys.readouterr().out == ""
    assert call("figures") == 0
    assert capsys.readouterr().out == ""

    (made / "figures" / "psnr.png").write_bytes(b"another")
    assert call("figures", "--check") == 1
    assert capsys.readouterr().out == "drawn: figures/psnr.png changed after it was made\n"
    assert call("figures", "--dry-run", "--again", "--use", "mine=elsewhere") == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "numbers: up to date, made again"
    assert told[1].startswith("  python -m benchmark run --only --codec mse:first_stage=")
    assert told[1].endswith("--output elsewhere")
    assert "  python -m benchmark studies documents page.md" in told
    assert not (made / "elsewhere").exists()

    assert call("figures", "--record", "drawn") == 0
    assert call("figures", "--check") == 0
    assert call("figures", "--list", "drawn") == 0
    assert capsys.readouterr().out.splitlines() == ["drawn: recorded", *lines(Figures(made).states(["drawn"]))]
    assert next(lines(Figures(made).states(["drawn"]))) == "drawn: up to date"


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["nothing"], 2, "no target is called 'nothing'; there are numbers, drawn, documents"),
        (["--use", "mine"], 2, "--use 'mine': RUN=FOLDER is needed"),
        (["--use", "yours=x"], 2, "no run is called 'yours'; there are mine"),
        (["--list", "--check"], 2, "--list, --dry-run, --check and --record: one of them"),
        (["--record"], 2, "--record: name the targets"),
        (["--record", "drawn"], 3, "drawn: figures/psnr.png is not there"),
    ],
)
def test_mistakes_are_one_line(
    words: list[str], code: int, message: str, checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("figures", *words) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {message}")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "drawn"', 'name = "numbers"', "two targets are called numbers"),
        ('writes = ["figures/psnr.png"]', 'writes = ["figures/summary.csv"]', "is made by numbers and by drawn"),
        ('runs = ["mine"]', 'runs = ["yours"]', "numbers needs the run yours, which is not declared"),
        ('weights = ["ours"]', 'weights = ["theirs"]', "mine needs the weights theirs, which are not declared"),
        ('what = "The numbers"', 'whit = "The numbers"', "target.0.what: Field required"),
        ("[weights]", "[weights", "is no TOML"),
        (
            'runs = ["mine"]',
            'runs = ["mine"]\nreads = ["figures/psnr.png"]',
            "numbers reads figures/psnr.png, which drawn makes after it",
        ),
    ],
)
def test_an_unsound_declaration_is_refused(old: str, new: str, message: str, checkout: Path) -> None:
    (checkout / "reports" / "figures.toml").write_text(DECLARED.replace(old, new, 1))
    with pytest.raises(BenchmarkError, match=re.escape(message)):
        Figures(checkout)


def test_without_a_checkout_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no reports/figures\.toml here"):
        Figures(tmp_path)


# The suite's own


@pytest.fixture(scope="module")
def ours() -> Figures:
    return Figures(ROOT)


@pytest.mark.checkout
def test_every_table_and_figure_is_of_the_shipped_weights_and_of_the_committed_numbers(ours: Figures) -> None:
    """Stale? `python -m benchmark figures NAME` makes it again."""
    assert {state.target.name: state.stale for state in ours.states() if not state.target.always and state.stale} == {}


@pytest.mark.checkout
def test_every_file_of_figures_is_of_one_target(ours: Figures) -> None:
    listed = subprocess.run(["git", "ls-files", "reports/figures"], cwd=ROOT, capture_output=True, text=True)
    outputs = {file for target in ours.declared.target for file in target.outputs}
    there = {path.relative_to(ROOT).as_posix() for path in (ROOT / "reports" / "figures").iterdir()}
    assert there == {file for file in outputs if file.startswith("reports/figures/")}
    assert set(listed.stdout.split()) <= there


FILLED = re.compile(f"{BLOCK.pattern}|{VALUE.pattern}", re.DOTALL)


@pytest.mark.checkout
def test_every_table_of_results_is_filled_in_and_read_from_what_a_target_makes(ours: Figures) -> None:
    (documents,) = [target for target in ours.declared.target if target.documents]
    places = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmark").rglob("weights/*.md")]
    places += (ROOT / "baselines").rglob("weights/*.md")
    marked = {path.relative_to(ROOT).as_posix() for path in places if FILLED.search(path.read_text("utf-8"))}
    assert marked <= set(documents.documents)
    outputs = {file for target in ours.declared.target for file in target.outputs}
    for name in documents.documents:
        text = (ROOT / name).read_text("utf-8")
        for _, words, _ in (*BLOCK.findall(text), *VALUE.findall(text)):
            if words.startswith(("checks ", "parts ")):  # of the log of a training, which is no target's
                assert (ROOT / words.split()[1]).is_dir()
                continue
            files = set(re.findall(r"\S+\.csv", words))
            assert files
            assert files <= outputs
            assert files <= set(documents.reads)
    for path in (ROOT / "docs" / "results").glob("*.md"):
        by_hand = [line for line in BLOCK.sub("", path.read_text("utf-8")).splitlines() if line.startswith("|")]
        assert by_hand == [], path.name


@pytest.mark.checkout
def test_targets_name_the_weights_of_their_codecs(ours: Figures) -> None:
    seen = 0
    for target in ours.declared.target:
        specs = set()
        for file in target.outputs:
            if file.endswith(".csv"):
                with (ROOT / file).open(encoding="utf-8", newline="") as table:
                    specs |= {row["codec"] for row in csv.DictReader(table) if "codec" in row}
        if specs:
            seen += 1
            assert set(ours.weights_of(target)) == set.union(*map(weights_of, specs)), target.name
    assert seen > 5


def weights_of(spec: str) -> set[str]:
    """Names of the shipped weights that a codec decodes with."""
    parsed = parse_codec_spec(spec)
    first_stage = {"first-stage-small"}
    if parsed.name in ("mse", "hific-small"):
        return first_stage | ({parsed.name} - {"mse"})
    if parsed.name != "hfd":
        return set()
    base = parsed.settings.get("base", "autoencoder")
    kind = KINDS[parsed.settings.get("decoder", next(iter(KINDS)))]
    return {kind.shipped_file(base).removesuffix(".safetensors")} | (first_stage if base == "autoencoder" else set())


@pytest.mark.checkout
def test_every_shipped_weights_file_has_a_name(ours: Figures) -> None:
    files = [*(ROOT / "benchmark" / "hfd" / "weights").glob("*.safetensors")]
    files += (ROOT / "baselines" / "hific_small" / "weights").glob("*.safetensors")
    assert {path.relative_to(ROOT).as_posix() for path in files} == set(ours.declared.weights.values())
