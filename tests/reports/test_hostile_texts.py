"""Names and messages that mean harm are text in every output: Markdown, HTML, LaTeX, CSV, JUnit, terminal."""

import csv
import io
import json
import re
import shutil
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from support.hostile import HOSTILE, UNSEEN, make_hostile
from support.web_pages import call, make_run, write_photographs

from benchmark.errors import visible
from benchmark.reports import markdown, spreadsheets, tex
from benchmark.reports.exports.junit import _legal

ANY = st.text(st.characters(), max_size=80) | st.sampled_from(HOSTILE)
RENDER = MarkdownIt("gfm-like")
assert RENDER.linkify is not None
RENDER.linkify.set({"fuzzy_link": False})  # GitHub makes no link of a bare x.pw; of www.x it does


class Words(HTMLParser):
    """tags: all that were opened. text: what a reader sees."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attributes: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("text", HOSTILE[:-1])
def test_what_acts_unseen_is_written_out(text: str) -> None:
    shown = visible(text)
    assert not set(shown) & set(UNSEEN)
    assert "\n" not in shown
    assert visible(shown) == shown


def test_scripts_that_are_spelt_with_joiners_stay() -> None:
    assert visible(HOSTILE[-1]) == HOSTILE[-1]
    assert visible("a\x1b[31m\u202eb\n") == r"a\x1b[31m\u202eb\n"


@settings(max_examples=300, deadline=None)
@given(ANY)
@pytest.mark.parametrize("place", ["{}", "- {}", "a {} b", "| a | {} |\n| --- | --- |\n| {} | c |"])
def test_markdown_shows_the_text_and_nothing_of_it_acts(place: str, text: str) -> None:
    """Held against another reader of GitHub's Markdown, which makes links of bare addresses."""
    assume(visible(text).strip())
    html = RENDER.render(place.replace("{}", markdown.escaped(text)))
    usual = Words(RENDER.render(place.replace("{}", "x")))
    found = Words(html.replace("<!-- -->", ""))
    assert found.tags == usual.tags
    squeezed = re.sub(r"\s+", " ", visible(text)).strip()
    assert squeezed in re.sub(r"\s+", " ", found.text)
    assert "<!--" not in html.replace("<!-- -->", "")


@pytest.mark.parametrize("name", ["kodak@square256", "jpeg:quality=3", "hfd", "psnr/rgb/uint8/mean-of-db"])
def test_usual_names_stay_readable_in_markdown(name: str) -> None:
    assert markdown.escaped(name) == name


def test_bare_addresses_are_no_links() -> None:
    assert markdown.escaped("see www.x.invalid, WWW.x, http://x") == r"see www\.x.invalid, WWW\.x, http\://x"


def test_nobody_is_told() -> None:
    assert markdown.escaped("@somebody, see a@b.invalid") == "@<!-- -->somebody, see a@<!-- -->b.invalid"


@settings(max_examples=300, deadline=None)
@given(ANY)
def test_latex_has_no_command_of_a_texts(text: str) -> None:
    made = tex.escaped(text)
    commands = set(re.findall(r"\\([a-zA-Z]+)", made))
    assert commands <= {
        "textbackslash", "textasciicircum", "textasciitilde", "textless", "textgreater", "textbar",
        "pm", "cdot", "uparrow", "downarrow", "alpha", "Delta", "hat",
    }  # fmt: skip
    assert not re.search(r"(?<!\\)[%#&_]", made)
    assert "^^" not in made
    assert "--" not in made.replace("--", "", made.count("--") if "–" in text else 0)
    assert "\n" not in made
    assert "\r" not in made
    depth = 0
    for mark in re.findall(r"(?<!\\)[{}]", made.replace(r"\{", "").replace(r"\}", "")):
        depth += 1 if mark == "{" else -1
        assert depth >= 0
    assert depth == 0


def test_two_hyphens_are_no_dash_in_latex() -> None:
    assert tex.escaped("a--b---c") == "a-{}-b-{}-{}-c"


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1", "  =1", "＝1", " ＠x"])
def test_a_spreadsheet_runs_no_name(text: str) -> None:
    assert spreadsheets.cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["jpeg", "a=b", "kodak@square256", "", "'=1", "1-2"])
def test_usual_names_stay_in_spreadsheets(text: str) -> None:
    assert spreadsheets.cell(text) == text


@settings(max_examples=200, deadline=None)
@given(ANY)
def test_any_text_can_stand_in_xml(text: str) -> None:
    element = ElementTree.Element("x", name=_legal(text))
    element.text = _legal(text)
    read = ElementTree.fromstring(ElementTree.tostring(element, encoding="unicode"))
    assert read.text in (None, element.text)
    assert read.get("name") == _legal(text)


# A whole run of such texts


@pytest.fixture(scope="module")
def hostile_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As many images as there are texts, two codecs, some failures."""
    work = tmp_path_factory.mktemp("hostile")
    names = [f"{number:02}.png" for number in range(len(HOSTILE))]
    pictures = write_photographs(work / "pictures", names)
    write_photographs(pictures, ["99.png"], corner=0)
    run = make_run(work / "run", pictures, "--codec", "breaks", "--codec", "tiny", "--quality", "2,4", keep=False)
    make_hostile(run)
    return run


@pytest.mark.parametrize(
    "arguments",
    [
        ["explain"],
        ["table", "--format", "latex"],
        ["table", "--format", "markdown"],
        ["table", "--format", "html"],
        ["images"],
        ["bd"],
    ],
)
def test_nothing_unseen_reaches_a_terminal(
    arguments: list[str], hostile_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command, *options = arguments
    point = ["--help"] if command == "images" else []
    call(command, str(hostile_run), *options, *point)
    out, err = capsys.readouterr()
    for text in (out, err):
        assert not set(text) & set(UNSEEN)
        assert "Traceback" not in text
    if "html" in options:
        assert set(Words(out).tags) <= {"table", "caption", "br", "tr", "th", "td", "b", "u", "small"}
    if "markdown" in options:
        assert set(Words(RENDER.render(out)).tags) <= {
            "table", "thead", "tbody", "tr", "th", "td", "strong", "u", "p", "br"
        }  # fmt: skip


def test_what_the_gate_writes(hostile_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--all", "--markdown", str(tmp_path / "m.md"), "--junit", str(tmp_path / "j.xml")]
    call("compare", str(hostile_run), str(hostile_run), *words)
    out, err = capsys.readouterr()
    assert not (set(out) | set(err)) & set(UNSEEN)
    text = (tmp_path / "m.md").read_text()
    assert not set(text) & set(UNSEEN)
    found = Words(RENDER.render(text))
    allowed = {"h3", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "details", "summary", "p"}
    assert set(found.tags) <= allowed
    suites = ElementTree.parse(tmp_path / "j.xml").getroot()
    assert suites.get("tests") == str(len(list(suites.iter("testcase"))))


@pytest.mark.parametrize("form", ["csv", "benchmark-xl", "compressai", "codec-compare", "parquet"])
def test_exports(form: str, hostile_run: Path, tmp_path: Path) -> None:
    assert call("export", str(hostile_run), "--format", form, "--output", str(tmp_path / "out")) == 0
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert written
    for path in written:
        if form in ("csv", "benchmark-xl"):
            for row in csv.reader(io.StringIO(path.read_text(), newline="")):
                for cell in row:
                    formula = cell.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r"))
                    assert not formula or re.fullmatch(r"-?[\d.e+-]+", cell), cell
        elif form != "parquet":
            json.loads(path.read_text())


def test_a_run_from_somebody_writes_nothing_outside(hostile_run: Path, tmp_path: Path) -> None:
    """A label in run.json is part of the names of files that are read, linked and written."""
    for label in ("../../out", "/nowhere/out", "..", "", "a/b", "a\\b", "a\x00b"):
        run = tmp_path / "run"
        shutil.copytree(hostile_run, run)
        manifest = json.loads((run / "run.json").read_text())
        next(iter(manifest["codecs"].values()))["label"] = label
        (run / "run.json").write_text(json.dumps(manifest))
        assert call("export", str(run), "--format", "compressai", "--output", str(tmp_path / "x" / "y")) == 3
        assert call("report", str(run), "-o", str(tmp_path / "page")) == 3
        shutil.rmtree(run)
        assert list(tmp_path.iterdir()) == []
