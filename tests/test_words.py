"""Documents and code speak the field's words: no private vocabulary, no history, no figures from outside the project.

Of code, what people read is read: docstrings, comments, and texts of several words, as messages and help are. What
`--help` says stands in `docs/reference` as well, which is made from the commands.
"""

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.checkout

ROOT = Path(__file__).parents[1]
FOLDERS = ("benchmark", "baselines", "datasets", "reports", "tests")
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.md") if "vendor" not in path.parts),
]
CODE = re.compile(r"```.*?```|`[^`\n]*`|\]\([^)]*\)|<!--.*?-->|<code>.*?</code>", re.DOTALL)

BANNED = {
    r"(?<!-)\bpictures?\b(?!-)": "image",
    r"\b(opponent|rival)s?\b|\b(a|the|its|each|second) judges?\b": "discriminator",
    r"\bplayers?\b": "discriminator, or decoder",
    r"\bsurpris(e|es|al)\b": "Gaussian negative log-likelihood",
    r"\breach of (a|the)\b|\b(its|their|network's) reach\b": "receptive field",
    r"\bmoving (weight|parameter|part|layer|kernel)s?\b": "trainable",
    r"\bshares? of (the )?(trained |averaged )?weights\b": "weight interpolation",
    r"(?<!version )\bcontrols?\b(?!=| (sequence|character|group)s?\b| and format)": "noise baseline",
    r"\b(seconds?|bytes|[kMG]?B|values?|numbers?) a trial\b": "per trial",
    r"\bby (a )?scripts?\b|not in the project": "a figure comes from a committed command",
    r"(?<!is )(?<!are )(?<!be )(?<!was )(?<!were )\bused to\b": "no history; CHANGELOG.md has it",
    r"\b(no longer|formerly|previously|of before|x̂ of then|as (it|that|they) (was|were) (then|before))\b": "no history",
    r"cannot be meant": "invalid",
    r"\ba\s+(image|original|encod(er|ing)|evaluation|interval|hour|option|error|other|operation|entry|index)s?\b": "an",
}
"""A pattern, and what stands in its place."""

ANY = re.compile("|".join(f"(?:{pattern})" for pattern in BANNED), re.IGNORECASE)


NAMES = re.compile(
    r"`[^`\n]*`|'\w+'|\"\w+\"|(?<!\w)--?[a-z][\w-]*|[\w.-]*/[\w./-]*|\w+\.py\b|\b\w+[=([]\S*|\b\w+ \("
    r"|(?:^ *|[.;,] )\w+:|picture is\b",
    re.MULTILINE,
)
"""Code in prose, options, paths, settings, the names of parameters in a docstring; and a setting in a message."""


def found_in(text: str) -> list[tuple[str, str]]:
    """(what stands there, what should) for each word of `text` that is banned."""
    return [(match[0], better) for pattern, better in BANNED.items() for match in re.finditer(pattern, text, re.I)]


def prose(source: str) -> Iterator[tuple[int, str]]:
    """(line, text) of the comments, docstrings and texts of several words in Python code, without code in them."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        text = token.string
        if token.type == tokenize.STRING:
            prefix, body = re.fullmatch(r"([A-Za-z]*)(.*)", text, re.DOTALL).groups()  # type: ignore[union-attr]
            text = re.sub(r"\{[^{}]*\}", "{}", body) if "f" in prefix.lower() else body
            if not re.search(r"\s", text.strip("\"'")):
                continue
        elif token.type != tokenize.COMMENT and token.type != getattr(tokenize, "FSTRING_MIDDLE", None):
            continue
        yield token.start[0], NAMES.sub(" ", text)


def messages(source: str) -> Iterator[tuple[int, str]]:
    """(line, text) of the comments and texts of several words in JavaScript."""
    for number, line in enumerate(source.splitlines(), start=1):
        if comment := re.match(r"\s*//(.*)", line):
            yield number, re.sub(r"`[^`]*`", " ", comment[1])
        else:
            for text in re.findall(r'"(?:[^"\\]|\\.)*"|`[^`]*`', line):
                if " " in text:
                    yield number, re.sub(r"\$\{[^}]*\}|data [\w-]+", " ", text)


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_private_words_in_documents(file: Path) -> None:
    assert not found_in(CODE.sub(" ", file.read_text(encoding="utf-8")))


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_private_words_in_code(folder: str) -> None:
    found = []
    for path in sorted((ROOT / folder).rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        if path != Path(__file__) and ANY.search(source):  # most files have none, and need no tokens
            found += [f"{path}:{line}: {words}" for line, text in prose(source) if (words := found_in(text))]
    assert not found


def test_no_private_words_on_pages() -> None:
    scripts = sorted((ROOT / "reports" / "page" / "assets").glob("*.js"))
    templates = sorted((ROOT / "reports").rglob("*.j2"))
    assert scripts
    assert templates
    found = [f"{path.name}:{n}: {text}" for path in scripts for n, text in messages(path.read_text()) if found_in(text)]
    for path in templates:
        text = re.sub(r"\{[{%#].*?[}%#]\}|<!--.*?-->|<[^<>]*>", " ", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        found += [f"{path.name}: {words}" for words in found_in(text)]
    assert not found


def test_a_word_is_found_in_prose_and_not_in_code() -> None:
    text = CODE.sub(" ", "a picture, `picture=ppm`, [x](pictures/a.png)\n```\npicture\n```\n")
    assert found_in(text) == [("picture", "image")]


@pytest.mark.parametrize(
    "source",
    [
        '"""The player\'s loss."""',
        "x = 1  # of the opponent",
        'raise ValueError(f"{path}: no longer there")',
        'f(help="A picture.")',
        '"""It used to be so."""',
        '"""12 MB a trial."""',
    ],
)
def test_a_word_is_found_in_what_code_says(source: str) -> None:
    assert [words for _, text in prose(source) if (words := found_in(text))]


@pytest.mark.parametrize(
    "source",
    [
        "pictures = opponent(player)",
        'key = data["pictures"]',
        'f"{len(self.pictures)} images of {picture}"',
        '"""`picture` is what it is used to find; picture: the file. Control characters."""',
        '"a setting picture=png, --pictures, pictures/a.png"',
    ],
)
def test_a_name_is_none(source: str) -> None:
    assert not [text for _, text in prose(source) if found_in(text)]
