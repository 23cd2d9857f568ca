"""The history of the shipped weights beside the logs and recipes that lie with it."""

import csv
import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

TRAININGS = Path(__file__).parents[2] / "reports" / "trainings"
HISTORY = TRAININGS / "HISTORY.md"
FLAGS = {"--steps": "steps", "--decay": "decay", "--learning-rate": "learning_rate"}

pytestmark = pytest.mark.checkout


def rows() -> Iterator[tuple[Path, dict[str, str]]]:
    """The folder that a row of a table is about, and its cells by column."""
    section, head = "", None
    for line in HISTORY.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ")
        if not line.startswith("|"):
            head = None
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if head is None:
            head = cells
        elif linked := re.match(r"\[`[^`]+`\]\(([^)]+)\)", cells[0]):
            yield TRAININGS / linked[1], dict(zip(head, cells, strict=True))
        elif "score" in head and cells[0].startswith("`"):
            yield TRAININGS / section / "tried" / cells[0].strip("`"), dict(zip(head, cells, strict=True))


def recipe_of(folder: Path) -> dict[str, Any]:
    recipe: dict[str, Any] = json.loads((folder / "recipe.json").read_text(encoding="utf-8"))
    return recipe


def test_every_row_has_its_folder() -> None:
    found = [folder for folder, _ in rows()]
    assert len(found) > 20
    assert [folder for folder in found if not (folder / "recipe.json").is_file()] == []


def test_commands_are_those_of_the_recipes() -> None:
    compared = 0
    for folder, cells in rows():
        recipe, words = recipe_of(folder), " ".join(cells.values()).replace("`", " ").replace(":", " ").split()
        schedule = recipe["schedule"]
        for flag, value in pairwise(words):
            number = value.strip(",;")
            if flag in FLAGS and schedule.get(FLAGS[flag]) is not None and "--gan-steps" not in words:
                assert float(number) == schedule[FLAGS[flag]], (folder, flag)
                compared += 1
            elif flag == "--seed":
                assert int(number) == recipe["seed"], (folder, flag)
                compared += 1
    assert compared > 20


def test_scores_are_those_of_the_checks() -> None:
    compared = 0
    for folder, cells in rows():
        if "score" not in cells:
            continue
        with (folder / "checks.csv").open(encoding="utf-8") as file:
            last = list(csv.DictReader(file))[-1]
        assert int(cells["steps"].replace(",", "")) == int(last["step"]), folder
        assert abs(int(cells["seconds"]) - float(last["seconds"])) <= 0.5, folder
        assert cells["score"] == f"{float(last['score']):.4f}", folder
        compared += 1
    assert compared == 6
