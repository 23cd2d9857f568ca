"""Every command that README, cards and docs name exists, with the options that they give it."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main

from benchmark.cli.main import app

ROOT = Path(__file__).parents[2]
HISTORY = ("CHANGELOG.md",)
"""These name what is gone."""

BLOCK = re.compile(r"^```.*?$(.*?)^```", re.DOTALL | re.MULTILINE)
SPAN = re.compile(r"`([^`]+)`")
START = "python -m benchmark "

pytestmark = pytest.mark.checkout


def texts() -> list[Path]:
    found = [path for path in ROOT.rglob("*.md") if path.name not in HISTORY]
    ours = ("benchmark", "baselines", "datasets", "reports", "docs", "tests")
    return sorted(path for path in found if path.parent == ROOT or path.relative_to(ROOT).parts[0] in ours)


def commands(text: str) -> Iterator[list[str]]:
    """The words behind `python -m benchmark`, and those of spans that begin with the name of a group of commands."""
    for block in BLOCK.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            _, start, rest = line.partition(START)
            if start:
                yield words(rest)
    for span in SPAN.findall(BLOCK.sub("", text)):
        line = " ".join(span.split())
        _, start, rest = line.partition(START)
        if start:
            yield words(rest)
        elif line.partition(" ")[0] in ("train", "studies"):
            yield words(line)


def words(line: str) -> list[str]:
    """As a shell has them, without what follows a pipe, a comment or another command. Quoted ones are "…"."""
    line = re.split(r"\s(?:\||#|&&|;|>)", line)[0]
    return re.sub(r"'[^']*'|\"[^\"]*\"", "…", line).split()


def wrong(command: list[str]) -> str:
    """What of a command does not exist; "" if all does."""
    node: Any = root()
    name = "python -m benchmark"
    for word in command:
        if word.startswith("-"):
            option = word.partition("=")[0].rstrip(".,;")
            if option != "…" and option not in ("--help", "-", "--") and option not in options(node):
                return f"{name} has no option {option}"
        elif hasattr(node, "get_command"):
            child = node.get_command(None, word.rstrip(".,;"))
            if child is None and word == "RUN" and "study" in name:  # short for `study make RUN`
                child = node.get_command(None, "make")
            if child is None:
                return "" if word in ("…", "COMMAND", "--help") else f"{name} has no command {word}"
            node, name = child, f"{name} {word}"
    return ""


@cache
def root() -> Any:
    return typer.main.get_command(app)


def options(command: Any) -> set[str]:
    return {name for p in command.params for name in (*p.opts, *p.secondary_opts)}


def test_what_is_not_there_is_found() -> None:
    block = "```\nx && python -m benchmark runs -o y\n```\n"
    text = f"`python -m benchmark train score X`, `train flow F --nonsense 3`\n{block}"
    assert [wrong(command) for command in commands(text)] == [
        "python -m benchmark has no command runs",
        "python -m benchmark train has no command score",
        "python -m benchmark train flow has no option --nonsense",
    ]


@pytest.mark.parametrize("path", texts(), ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_of_a_text_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    problems = [f"{' '.join(command)}: {problem}" for command in commands(text) if (problem := wrong(command))]
    modules = re.findall(r"python -m (benchmark\.[\w.]+)", text)
    problems += [f"python -m {module}: no such module" for module in modules if not runs_as_program(module)]
    assert not problems


def runs_as_program(module: str) -> bool:
    file = ROOT / f"{module.replace('.', '/')}.py"
    return file.is_file() and "__main__" in file.read_text(encoding="utf-8")
