"""What MkDocs is told of this checkout: mkdocs.yml names this file, and MkDocs calls its functions.

Pages link to files of the checkout as GitHub reads them, `../../benchmark/codecs.py`. The site has no such files: it
takes in the images, tables and pages that are linked to, and leaves of other links their words. A link to a file that
is not there stays, and a strict build fails.
"""

import posixpath
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files, InclusionLevel

ROOT = Path(__file__).parents[1]
DOCS = "docs"
TITLES = {
    "tutorials": "Tutorials",
    "how-to": "How-to",
    "reference": "Reference",
    "explanation": "Explanation",
    "results": "Results",
}
"""Folder of docs/ -> its title, in the order of the site. Other folders come behind these."""
TAKEN_IN = (".md", ".png", ".svg", ".webp", ".jpg", ".csv")
"""Suffixes of files outside docs/ that the site takes in where a page links to them."""
ELSEWHERE = "checkout"
"""Where they lie in the site."""

MAPPED = ("datasets", "baselines", "reports")
"""Folders beside the package that are installed in it: see [tool.setuptools.package-dir]."""

LINK = re.compile(r"(?P<image>!?)\[(?P<words>[^\[\]]*(?:\[[^\[\]]*\][^\[\]]*)*)\]\((?P<target>[^()\s]+)\)")
IMAGE = re.compile(r'(?<!">)<img\b[^>]*\bsrc="(?P<source>[^":]+)"[^>]*>')
"""An image of the site that is not a link already."""
FENCE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)

_package: tempfile.TemporaryDirectory[str] | None = None


@event_priority(100)  # before mkdocstrings reads its settings
def on_config(config: Any) -> Any:
    """Shows mkdocstrings the package as it is installed, with the folders that are mapped into it."""
    global _package
    _package = tempfile.TemporaryDirectory()
    package = Path(_package.name) / "benchmark"
    for source, target in ((ROOT / "benchmark", package), *((ROOT / name, package / name) for name in MAPPED)):
        for path in source.rglob("*.py"):
            link = target / path.relative_to(source)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path)
    config.plugins["mkdocstrings"].config.handlers["python"]["paths"] = [_package.name]
    return config


def on_post_build(config: Any) -> None:
    """Removes what `on_config` made."""
    if _package is not None:
        shutil.rmtree(_package.name, ignore_errors=True)


def on_files(files: Files, config: Any) -> Files:
    """Adds what pages link to outside docs/, and what the pages among that link to."""
    waiting = [(file.src_uri, Path(file.abs_src_path or "")) for file in files if file.is_documentation_page()]
    while waiting:
        source, path = waiting.pop()
        for _, target in _links(path.read_text(encoding="utf-8")):
            found = _outside(source, target)
            if found is None or not found.endswith(TAKEN_IN) or files.get_file_from_path(_uri(found)):
                continue
            uri = _uri(found)
            added = File.generated(config, uri, abs_src_path=str(ROOT / found), inclusion=InclusionLevel.NOT_IN_NAV)
            files.append(added)
            if found.endswith(".md"):
                waiting.append((uri, ROOT / found))
    return files


def on_nav(nav: Any, config: Any, files: Files) -> Any:
    """Sections in the order of TITLES. In each, pages stand in the order of `extra.order`, the others by name."""
    order: dict[str, list[str]] = config.extra.get("order", {})
    places = list(TITLES)

    def folder(item: Any) -> str:
        first = next(iter(_pages(item)), None)
        return first.file.src_uri.partition("/")[0] if first is not None else ""

    def place(item: Any) -> int:
        if not item.children:
            return -1
        return places.index(folder(item)) if folder(item) in places else len(places)

    nav.items.sort(key=place)
    for item in nav.items:
        if item.children:
            names = order.get(folder(item), [])
            item.title = TITLES.get(folder(item), item.title)
            item.children.sort(key=lambda child, names=names: _place_of(child, names))  # type: ignore[misc]
    nav.pages[:] = [page for item in nav.items for page in _pages(item)]
    for before, after in zip([None, *nav.pages], [*nav.pages, None], strict=True):
        if before is not None:
            before.next_page = after
        if after is not None:
            after.previous_page = before
    return nav


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Links to what was taken in lead there; links to other files of the checkout become their words."""
    source = page.file.src_uri

    def instead(match: re.Match[str]) -> str:
        found = _outside(source, match["target"])
        if found is None:
            return match[0]
        there = _uri(found)
        if files.get_file_from_path(there) is None:
            return match["words"]
        target = posixpath.relpath(there, posixpath.dirname(source) or ".")
        _, mark, heading = match["target"].partition("#")
        return f"{match['image']}[{match['words']}]({target}{mark}{heading})"

    parts = FENCE.split(markdown)
    return "".join(part if part.startswith("```") else LINK.sub(instead, part) for part in parts)


def on_page_content(html: str, page: Any, config: Any, files: Files) -> str:
    """An image of the page leads to itself, so that one too small to read can be opened in full size."""
    return IMAGE.sub(r'<a href="\g<source>">\g<0></a>', html)


def _links(text: str) -> Iterator[tuple[str, str]]:
    """(words, target) of each link and image."""
    for match in LINK.finditer(FENCE.sub("", text)):
        yield match["words"], match["target"]


def _uri(found: str) -> str:
    """Where the site has a file of the checkout, if it has it: docs/ is its root."""
    return found.removeprefix(f"{DOCS}/") if found.startswith(f"{DOCS}/") else f"{ELSEWHERE}/{found}"


def _outside(source: str, target: str) -> str | None:
    """The file or folder of the checkout that a page links to, relative to ROOT; None if it is in docs/ or not there.

    source: of the page, as MkDocs names it; one that was taken in stands for its own place.
    """
    if re.match(r"[a-z]+:|#|/", target):
        return None
    home = source.removeprefix(f"{ELSEWHERE}/") if source.startswith(f"{ELSEWHERE}/") else f"{DOCS}/{source}"
    path = posixpath.normpath(posixpath.join(posixpath.dirname(home), target.partition("#")[0]))
    inside = path == DOCS or path.startswith(f"{DOCS}/")
    if path.startswith("..") or (inside and not source.startswith(f"{ELSEWHERE}/")) or not (ROOT / path).exists():
        return None
    return path


def _pages(item: Any) -> Iterator[Any]:
    if item.children:
        for child in item.children:
            yield from _pages(child)
    elif hasattr(item, "file"):
        yield item


def _place_of(child: Any, names: list[str]) -> tuple[int, str]:
    first = next(iter(_pages(child)), None)
    name = Path(first.file.src_uri).stem if first is not None else ""
    return (names.index(name) if name in names else len(names)), name
