"""The page's folder on disk: what is written there, and what makes text safe inside it."""

import contextlib
import hashlib
import json
import math
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from benchmark.errors import BenchmarkError, UsageError, visible
from benchmark.files import PAGE_MARK, in_place_of_folder, write_file

_PARTIAL = ".partial"
"""Inside of a page's folder: the page that is being made."""
_HERE = Path(__file__).parent


def check_page_folder(path: Path) -> None:
    """Raises UsageError if `path` is anything but a new folder, an empty one, or a page."""
    if (other := in_place_of_folder(path)) is not None:
        raise UsageError(f"{path}: is {other}; the page is a folder")
    if path.is_dir() and any(path.iterdir()) and not (path / PAGE_MARK).exists():
        raise UsageError(f"{path}: holds other things; name an empty folder, a new one, or an older page")


def new_folder(path: Path) -> Path:
    """Makes `path` an empty folder for a page; an older page in it is removed.

    Raises UsageError if there is anything else in it, BenchmarkError if it cannot be written.
    """
    try:
        check_page_folder(path)
        if path.is_dir() and any(path.iterdir()):
            shutil.rmtree(path)
        path.mkdir(parents=True, exist_ok=True)
        (path / PAGE_MARK).touch()
    except OSError as error:
        raise BenchmarkError(f"{path}: cannot be written: {error.strerror}") from None
    return path


@contextlib.contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """An empty folder inside of `path` whose content takes the place of all that is there when the block ends well, and
    that goes when it does not: a page that is there stays until then.

    Raises as `new_folder` does, before the block.
    """
    check_page_folder(path)
    was_there, was_page = path.is_dir(), (path / PAGE_MARK).exists()
    partial = path / _PARTIAL
    ended = False
    try:
        try:
            path.mkdir(parents=True, exist_ok=True)
            (path / PAGE_MARK).touch()
            shutil.rmtree(partial, ignore_errors=True)  # of one that was killed
            partial.mkdir()
            yield partial
            for old in [old for old in path.iterdir() if old.name not in (PAGE_MARK, _PARTIAL)]:
                shutil.rmtree(old) if old.is_dir() and not old.is_symlink() else old.unlink()
            for new in sorted(
                partial.iterdir(), key=lambda new: new.name == "index.html"
            ):  # which opens the rest, last
                new.replace(path / new.name)
            ended = True
        except OSError as error:
            raise BenchmarkError(f"{path}: cannot be written: {error.strerror}") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        with contextlib.suppress(OSError):
            if not (ended or was_page):  # then the folder was new or empty, and all in it is of this page
                for ours in [ours for ours in path.iterdir() if ours.name != PAGE_MARK]:
                    shutil.rmtree(ours) if ours.is_dir() and not ours.is_symlink() else ours.unlink()
                (path / PAGE_MARK).unlink(missing_ok=True)
            if not (ended or was_there):
                path.rmdir()


def write_page(folder: Path, template: str, values: Mapping[str, Any], name: str, data: Any) -> None:
    """Writes `template` with `values`, each escaped, as index.html of `folder`, and `data` as data.js beside it.

    data.js is a script that sets the global `name`: pages opened from disk may not read files otherwise. The page runs
    its own scripts and no others, asks nobody for anything, and writes out characters that act unseen.
    """
    script = f"window.{name} = {script_json(data)};\n".encode()
    # What is inside of the data cannot hold the data's own hash, so no text of a run can name it.
    nonce = hashlib.sha256(script).hexdigest()[:32]
    text = render("benchmark.reports.page", template, {**values, "nonce": nonce, "policy": policy(nonce)})
    write_file(folder / "data.js", script)
    write_file(folder / "index.html", text.encode())


def write_one_file(
    path: Path, template: str, values: Mapping[str, Any], name: str, data: Any, images: Mapping[str, str]
) -> None:
    """The same page as one file: scripts, styles, data and images inside. images: address -> data: address.

    Scripts run by the nonce of the page; none of them can be ended by what is in it.
    """
    script = f"window.{name} = {script_json(data)};\nwindow.IMAGES = {script_json(images)};\n"
    nonce = hashlib.sha256(script.encode()).hexdigest()[:32]
    text = render("benchmark.reports.page", template, {**values, "nonce": nonce, "policy": policy(nonce)})

    def inside(found: re.Match[str]) -> str:
        style, address = found["style"], found["script"]
        if address == "data.js":
            return f'<script nonce="{nonce}">{script}</script>'
        content = asset((style or address).removeprefix("assets/")).decode("utf-8")  # none ends an element: tested
        if style:
            return f'<style nonce="{nonce}"{found["rest"]}>{content}</style>'
        return f'<script nonce="{nonce}">{content}</script>'

    # deferred scripts run after the page is read; so do these at its end
    tags = re.compile(
        r'<link nonce="\w+" rel="stylesheet" href="(?P<style>[\w./-]+)"(?P<rest>[^>]*)>'
        r'|<script nonce="\w+" defer src="(?P<script>[\w./-]+)"></script>'
    )
    scripts: list[str] = []

    def moved(found: re.Match[str]) -> str:
        if found["style"]:
            return inside(found)
        scripts.append(inside(found))
        return ""

    head, body = text.split("</head>", 1)
    head = tags.sub(moved, head)
    body = body.replace("</body>", "\n".join(scripts) + "\n</body>")
    write_file(path, f"{head}</head>{body}".encode(), parents=True)


def render(package: str, template: str, values: Mapping[str, Any]) -> str:
    """The text of a template in templates/ of `package`, with each value escaped and made visible."""
    environment = Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: visible(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(values)


def policy(nonce: str) -> str:
    """The content security policy of a page: the scripts and styles that carry the nonce, and images of the folder.

    From disk a page has no origin, so "'self'" is nothing there and "file:" says the same. plotly sets style
    attributes; they run nothing, and what they could ask for is refused by the rest.
    """
    rules = {
        "default-src": "'none'",
        "script-src": f"'nonce-{nonce}'",
        "style-src": f"'nonce-{nonce}'",
        "style-src-attr": "'unsafe-inline'",
        "img-src": "'self' file: data: blob:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {sources}" for name, sources in rules.items())


def script_json(data: Any) -> str:
    """JSON that cannot end a script element nor begin a comment in one; NaN and infinities become null."""
    text = json.dumps(_finite(data), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _finite(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


def copy_assets(folder: Path, *names: str) -> None:
    """Copies scripts and styles, and the licences of those that are not the suite's own, to assets/ of `folder`."""
    for name in names:
        write_file(folder / "assets" / name, asset(name), parents=True)


def asset(name: str) -> bytes:
    """A script, style or licence of the page."""
    source = _HERE / "assets" / name
    return (source if source.exists() else _HERE / "vendor" / name).read_bytes()


def link(source: Path, target: Path) -> None:
    """`source` once more under the name `target`: a hard link where the file system has them, else a copy.

    Runs replace their files and never write into them, so a link stays what it was.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(OSError):
            os.link(source, target)
            return
        shutil.copyfile(source, target)
    except OSError as error:
        raise BenchmarkError(f"{target}: cannot be written: {error.strerror}") from None
