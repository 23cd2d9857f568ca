"""The documents speak the field's words: no private vocabulary, no history, no figures from outside the project."""

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.checkout

ROOT = Path(__file__).parents[1]
WRITTEN = [path for path in sorted((ROOT / "docs").rglob("*.md")) if path.parent.name != "reference"]
"""By hand: the reference is written from code, whose words are its own."""
FILES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *WRITTEN]
CARDS = [*sorted((ROOT / "benchmark" / "hfd" / "weights").glob("*.md")), *(ROOT / "baselines").rglob("weights/*.md")]
CODE = re.compile(r"```.*?```|`[^`\n]*`|\]\([^)]*\)|<!--.*?-->", re.DOTALL)

BANNED = {
    r"\bpictures?\b": "image",
    r"\b(opponent|rival)s?\b": "discriminator",
    r"\bplayers?\b": "discriminator, or decoder",
    r"\bsurprises?\b": "Gaussian negative log-likelihood",
    r"\bby (a )?scripts?\b": "a figure comes from a committed command",
    r"not in the project": "a figure comes from a committed command",
    r"\bof before\b": "no history; CHANGELOG.md has it",
    r"\bcontrol\b(?! sequences?)": "noise baseline",
    r"cannot be meant": "invalid",
}
"""A pattern, and what stands in its place."""


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_private_words(file: Path) -> None:
    text = CODE.sub(" ", file.read_text(encoding="utf-8"))
    found = [(match[0], better) for pattern, better in BANNED.items() for match in re.finditer(pattern, text, re.I)]
    assert not found


@pytest.mark.parametrize("file", CARDS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_card_has_no_figures_from_elsewhere(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert not re.findall(r"not in the project|\bby (?:a )?scripts?\b|\bx̂ of before\b", text)


def test_a_word_is_found_in_prose_and_not_in_code() -> None:
    text = CODE.sub(" ", "a picture, `picture=ppm`, [x](pictures/a.png)\n```\npicture\n```\n")
    assert len(re.findall(r"\bpictures?\b", text)) == 1
