"""The generated pages of the reference: each is what the code says now."""

import ast
import importlib.util
import inspect
import re
import shutil
import typing
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import typer
import typer.main
from pydantic import BaseModel, Field
from support.web_pages import call

from benchmark import errors
from benchmark.analysis import summary
from benchmark.audit.checks import CHECKS
from benchmark.cli.main import app
from benchmark.codecs import CODECS
from benchmark.datasets import DATASETS
from benchmark.datasets.facts import facts_of
from benchmark.errors import BenchmarkError, UsageError
from benchmark.image_files.rules import RULES
from benchmark.images import MAX_PIXELS
from benchmark.metrics.patches import PATCH_RULES
from benchmark.preparations import PREPARATIONS
from benchmark.protocols import PROTOCOLS
from benchmark.results import FILES, Manifest, Trial
from benchmark.studies import reference
from benchmark.studies.reference import exit_codes, pages
from benchmark.studies.reference.command_line import commands_page
from benchmark.studies.reference.markdown import code, documentation, table, words
from benchmark.studies.reference.records import type_in_words

DOCS = Path(__file__).parents[2] / "docs" / "reference"
NAMES = [*pages(None)]
pytestmark = pytest.mark.checkout
needs_learned = pytest.mark.skipif(
    importlib.util.find_spec("compressai") is None, reason="the page of the codecs imports CompressAI"
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the command has written all pages."""
    folder = tmp_path_factory.mktemp("reference")
    assert call("studies", "reference", "-o", str(folder)) == 0
    return folder


@needs_learned
@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_what_the_code_says(name: str, made: Path) -> None:
    said = (DOCS / name).read_text(encoding="utf-8")
    assert said == (made / name).read_text(encoding="utf-8"), "stale: run python -m benchmark studies reference"


@needs_learned
def test_the_command_writes_these_pages(made: Path) -> None:
    assert sorted(path.name for path in made.iterdir()) == sorted(NAMES)


def test_a_fact_that_moves_makes_a_page_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    before = exit_codes.exit_codes_page()
    monkeypatch.setitem(errors.EXIT_CODES, 5, "new")
    assert "| 5 | new |" in exit_codes.exit_codes_page()
    assert "| 5 | new |" not in before


def test_a_codec_that_cannot_be_imported_is_no_gap_in_the_page(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = CODECS.load

    def lacking(name: str) -> Any:
        if name == "jxl":
            raise BenchmarkError("jxl needs the package x")
        return own(name)

    monkeypatch.setattr(CODECS, "load", lacking)
    monkeypatch.setattr(reference, "pages", lambda program: {"codecs.md": reference.codecs_page})
    assert call("studies", "reference", "-o", str(tmp_path)) == 3
    assert capsys.readouterr().err == "error: jxl needs the package x\n"
    assert not (tmp_path / "codecs.md").exists()


def test_the_page_of_the_metrics_is_written_anew_where_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reference, "pages", lambda program: {})
    (tmp_path / "metrics.md").write_text("stale", encoding="utf-8")
    assert call("studies", "reference", "-o", str(tmp_path)) == 3
    assert "metrics.csv is not there" in capsys.readouterr().err
    for path in DOCS.glob("*.csv"):
        shutil.copy(path, tmp_path)
    assert call("studies", "reference", "-o", str(tmp_path)) == 0
    assert (tmp_path / "metrics.md").read_text(encoding="utf-8").startswith("# Metrics")


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def test_every_thing_has_its_place() -> None:
    ours = {
        "codecs.md": [f"\n## {name}\n" for name in CODECS.shipped()],
        "data-sets.md": [
            *(f"\n### {name}\n" for name in DATASETS.shipped()),
            *(f"`@{name}N`" for name in PREPARATIONS),
        ],
        "protocols.md": [*(f"\n## {name}\n" for name in PROTOCOLS), *(f"| `{rule}` |" for rule in PATCH_RULES)],
        "image-files.md": [f"| {words(one.files)} |" for one in RULES],
        "audit.md": [f"| {one.name} |" for one in CHECKS],
        "exit-codes.md": [f"| {number} | {text} |" for number, text in errors.EXIT_CODES.items()],
        "run-folder.md": [f"| `{name}` |" for name in (*FILES, *summary.COLUMNS, *Trial.model_fields)]
        + [f"| `{name}` |" for name in Manifest.model_fields],
    }
    for name, parts in ours.items():
        assert [part for part in parts if part not in page(name)] == [], name


def test_each_option_of_each_command_is_there() -> None:
    text = page("commands.md")
    program: Any = typer.main.get_command(app)
    for name in ("run", "compare", "plot"):
        section = re.split(r"^#+ ", text.partition(f"\n## {name}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
        for parameter in program.commands[name].params:
            for option in parameter.opts if parameter.param_type_name == "option" else ():
                assert option in section, (name, option)
    for name in ("history show", "studies reference", "train one-step", "leaderboard verify"):
        assert f"\n### {name}\n" in text


def test_a_command_in_words() -> None:
    small = typer.Typer()

    @small.command()
    def one(
        names: Annotated[list[Path], typer.Argument(help="Files | folders.")],
        kind: Annotated[Literal["a", "b"], typer.Option(help="Which <one>.")] = "a",
        count: Annotated[int | None, typer.Option("--count", "-c", min=1, max=9, help="How many.")] = None,
        share: Annotated[float, typer.Option(min=0, help="Of all")] = 0.5,
        loud: Annotated[bool, typer.Option("--loud", help="Say it.")] = False,
        place: Annotated[Path, typer.Option(help="Where.", metavar="FOLDER")] = Path("here/there"),
    ) -> None:
        """Do one thing.

        And *only* that.
        """

    @small.command(hidden=True)
    def other() -> None:
        """Not shown."""

    text = commands_page(typer.main.get_command(small))
    assert "| [`one`](#one) | Do one thing. |" in text
    assert "other" not in text
    assert "And \\*only\\* that." in text
    assert "python -m benchmark one NAMES... [OPTIONS]" in text
    for row in (
        "| `NAMES...` | Files &#124; folders. |  |",
        "| <code>--kind a&#124;b</code> | Which &lt;one&gt;. | `a` |",
        "| `--count N`, `-c N` | How many (1 to 9) |  |",
        "| `--share X` | Of all (at least 0) | `0.5` |",
        "| `--loud` | Say it. |  |",
        "| `--place FOLDER` | Where. | `here/there` |",
    ):
        assert row in text


def test_markdown_of_a_cell() -> None:
    assert code("a") == "`a`"
    assert code("a|b<c") == "<code>a&#124;b&lt;c</code>"
    assert words("a *b*\n [c] <d> | `e|f` `g*`") == "a \\*b\\* \\[c\\] &lt;d&gt; &#124; <code>e&#124;f</code> `g*`"
    assert table(("x", "y"), [("1", "2")]) == "| x | y |\n| --- | --- |\n| 1 | 2 |"


def test_what_a_docstring_says_of_errors_is_left_out() -> None:
    def thing() -> None:
        """Does it. Raises UsageError on a, or b
        of c. And more.

        Raises BenchmarkError.
        """

    assert documentation(thing) == ["Does it. And more."]


class Inner(BaseModel):
    n: int = Field(description="of things")


@pytest.mark.parametrize(
    ("hint", "said"),
    [
        (str, "text"),
        (float | None, "number or null"),
        (list[float | None], "list of (number or null)"),
        (dict[str, list[int]], "object, name to list of whole number"),
        (Literal["a", ""], '`"a"` or `""`'),
        (Annotated[int, Field(ge=0)], "whole number"),
        (Inner, "[Inner](#inner)"),
        (Any, "any JSON value"),
        (typing.Optional[bool], "true or false or null"),  # noqa: UP045
    ],
)
def test_types_in_words(hint: Any, said: str) -> None:
    assert type_in_words(hint) == said


def test_checks_of_an_audit_carry_the_names_of_the_table() -> None:
    for one in CHECKS:
        source = inspect.getsource(one.judge)
        literals = {node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)}
        assert one.name in literals


def test_the_largest_image_of_the_rules_is_that_of_the_reader() -> None:
    assert f"up to {MAX_PIXELS // 10**6} megapixels" in [one.files for one in RULES]


def test_facts_of_data_sets() -> None:
    photos, kodak, coco = (facts_of(name) for name in ("photos", "kodak", "coco30k-perco"))
    assert (photos.images, kodak.images, coco.images) == (24, 24, 30_000)
    assert coco.preparation == "stretch512"
    assert [one.url.rpartition("/")[2] for one in coco.sources] == ["train2017.zip"]
    assert all(re.fullmatch("[0-9a-f]{64}", one.sha256) for one in (*photos.sources, *kodak.sources, *coco.sources))
    with pytest.raises(UsageError):
        facts_of("none")


def test_a_data_set_of_another_package_has_no_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DATASETS._entries, "theirs", ("json:loads", "theirs"))
    assert "theirs" not in DATASETS.shipped()
    with pytest.raises(KeyError):
        facts_of("theirs")


@pytest.mark.checkout
def test_words_of_a_choice_stand_in_one_order_everywhere() -> None:
    """`typing` takes two Literals of the same words for one, in the order of whichever was made first."""
    orders: dict[frozenset[str], set[str]] = {}
    for room in ("benchmark", "datasets", "baselines", "reports"):
        for path in (Path(__file__).parents[2] / room).rglob("*.py"):
            for choice in re.findall(r'Literal\[("[^\]]*")\]', path.read_text(encoding="utf-8")):
                orders.setdefault(frozenset(choice.split(", ")), set()).add(choice)
    assert not [found for found in orders.values() if len(found) > 1]
