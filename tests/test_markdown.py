"""What the Markdown files of the checkout point at is there: links, headings, paths, commands and their options."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

from benchmark.cli.groups import MakeGroup
from benchmark.cli.main import app

pytestmark = pytest.mark.checkout

ROOT = Path(__file__).parents[1]
FOLDERS = ("benchmark", "datasets", "baselines", "reports", "tests", "docs")
FILES = sorted([*ROOT.glob("*.md"), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.md"))])
PRESENT = [path for path in FILES if path.name != "CHANGELOG.md"]
"""The changelog names paths and commands of its time."""

YOURS = "reports/baselines/mine.json"
"""A file that a command in the README makes."""

FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
COMMANDS = typer.main.get_command(app)
COMMAND = re.compile(r"python -m benchmark ((?:[^`\n]|\n(?!\n))*)")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def links(text: str) -> Iterator[tuple[str, str]]:
    """(path, heading) of each link to the checkout's own files; the path is "" for a heading of the same file."""
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", text)):
        if not re.match(r"[a-z]+:", target):
            path, _, heading = target.partition("#")
            yield path, heading


def headings(text: str) -> set[str]:
    """Anchors as GitHub makes them."""
    return {
        re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    }


def commands(text: str) -> Iterator[list[str]]:
    """The words behind each `python -m benchmark`, up to the end of its code span or line."""
    for match in COMMAND.finditer(text):
        fenced = text.count("```", 0, match.start()) % 2
        words = match[1].partition("\n")[0] if fenced else match[1]
        yield re.sub(r"'[^']*'|#.*|&&.*", "", words).split()


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_links_lead_to_files_and_headings(file: Path) -> None:
    broken = []
    for path, heading in links(file.read_text(encoding="utf-8")):
        target = file.parent / path if path else file
        if not target.exists() or (heading and heading not in headings(target.read_text(encoding="utf-8"))):
            broken.append(f"{path}#{heading}" if heading else path)
    assert not broken


@pytest.mark.parametrize("file", PRESENT, ids=name_of)
def test_paths_in_code_exist(file: Path) -> None:
    paths = re.findall(rf"(?<![\w/.-])(?:{'|'.join(FOLDERS)})/[\w./-]+", file.read_text(encoding="utf-8"))
    assert not [path for path in paths if path != YOURS and not (ROOT / path.rstrip(".")).exists()]


def unknown_words(words: list[str]) -> list[str]:
    """The first word that names no command, or the options that the command does not have."""
    command = COMMANDS
    while words and hasattr(command, "get_command"):
        context = command.make_context(None, [], resilient_parsing=True)
        below = command.get_command(context, words[0])
        if below is not None:
            command, words = below, words[1:]
        elif isinstance(command, MakeGroup):  # `study RUN` is `study make RUN`
            command = command.get_command(context, "make")
        else:
            return words[:1]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    return [word for word in words if word.startswith("-") and word not in known | {"--help"}]


@pytest.mark.parametrize("file", PRESENT, ids=name_of)
def test_commands_and_their_options_exist(file: Path) -> None:
    found = list(commands(file.read_text(encoding="utf-8")))
    assert not [(" ".join(words), unknown) for words in found if (unknown := unknown_words(words))]


def test_a_broken_link_heading_path_or_command_is_found() -> None:
    text = "# One, two\n[a](b.md#c) [d](#one-two) [web](https://e.org)\n`python -m benchmark run\n--codec jpeg`\n"
    assert list(links(text)) == [("b.md", "c"), ("", "one-two")]
    assert headings(text) == {"one-two"}
    assert list(commands(text)) == [["run", "--codec", "jpeg"]]
    assert unknown_words(["run", "--codec", "jpeg", "--nothing"]) == ["--nothing"]
    assert unknown_words(["studies", "nothing"]) == ["nothing"]
    assert not unknown_words(["study", "tally", "FILE"])
    assert not unknown_words(["train", "flow", "FOLDER", "--steps", "10"])
