"""Figures on disk. Inside of `figure_style`: resolution, fonts and TeX system are matplotlib's parameters.

matplotlib's writers are imported by who writes: that of PDF takes a tenth of a second.
"""

import hashlib
import io
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.text import Text

from benchmark.errors import BenchmarkError
from benchmark.files import cannot_write, write_file
from benchmark.reports.tex import escaped


def save_figure(figure: Figure, path: Path, **options: Any) -> None:
    """Writes `figure` as the suffix of `path` says, as `write_file` writes, with its folder.

    options: of matplotlib's `savefig`. Raises BenchmarkError if it cannot be written.
    """
    write_file(path, _content(figure, path.suffix[1:].lower(), **options), parents=True)


def _content(figure: Figure, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, **({"format": form} | options))
    content = buffer.getvalue()
    return with_stable_ids(content) if form == "svg" else content


def with_stable_ids(svg: bytes) -> bytes:
    """`svg` with other names of its parts: hashes of coordinates, as matplotlib has them, are not always the same.

    Their last digits differ, which no file has.
    """
    names = dict.fromkeys(re.findall(rb' id="([a-z][0-9a-f]{10})"', svg))
    if not names:
        return svg
    found = re.compile(rb"\b(?:%s)\b" % b"|".join(names))
    numbers = {name: b"%c%d" % (name[0], number) for number, name in enumerate(names)}
    numbered = found.sub(lambda match: numbers[match[0]], svg)
    whose = hashlib.sha256(numbered).hexdigest()[:8].encode()  # two drawings in one page have other names
    return found.sub(lambda match: b"%s-%s" % (numbers[match[0]], whose), svg)


def file_name(name: str) -> str:
    """`name` without what has no place in the name of a file."""
    return re.sub(r"[^A-Za-z0-9._@=-]+", "-", name)


def check_formats(formats: Sequence[str]) -> None:
    """Raises BenchmarkError where one of `formats`, or the style, needs a program that is not there."""
    programs = {}
    if "pgf" in formats:
        programs[matplotlib.rcParams["pgf.texsystem"]] = "pgf"
    if matplotlib.rcParams["text.usetex"]:
        programs["latex"] = "text.usetex"
    for program, needed in programs.items():
        if shutil.which(program) is None:
            other = ", name another one by pgf.texsystem in a matplotlib style, or take pdf" if needed == "pgf" else ""
            raise BenchmarkError(
                f"{needed}: matplotlib measures text with {program}, which is not installed; "
                f"install a TeX system{other}"
            )


def save(figure: Figure, stems: Sequence[Path], formats: Sequence[str]) -> list[Path]:
    """Writes STEM.FORMAT for each of `stems` and `formats`, without dates: the same figure gives the same bytes.

    Each format is drawn once. The folder is made. Returns the paths, stem by stem. Raises BenchmarkError if a file
    cannot be written, or if TeX, where it is asked, cannot set a text.
    """
    contents = {}
    for name in dict.fromkeys(formats):
        path = _path(stems[0], name)
        try:
            if name == "pgf" or matplotlib.rcParams["text.usetex"]:
                contents[name] = _by_tex(figure, path, _WRITERS[name])
            else:
                contents[name] = _WRITERS[name](figure)
        except OSError as error:
            raise cannot_write(path, error) from None
    paths = {_path(stem, name): content for stem in stems for name, content in contents.items()}
    for path, content in paths.items():
        write_file(path, content, parents=True)
    return list(paths)


def _path(stem: Path, form: str) -> Path:
    return stem.with_name(f"{stem.name}.{form}")


def _by_tex(figure: Figure, path: Path, write: Callable[[Figure], bytes]) -> bytes:
    """Text that is no mathematics is escaped while TeX sees it. path: for the message."""
    texts = {text: text.get_text() for text in figure.findobj(Text) if not text.get_parse_math()}
    try:
        for text, plain in texts.items():
            text.set_text(escaped(plain))
        return write(figure)
    except (RuntimeError, ValueError) as error:  # matplotlib's, of a program that fails
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise BenchmarkError(f"{path}: TeX cannot set the text of the figure: {first}") from None
    finally:
        for text, plain in texts.items():
            text.set_text(plain)


def _png(figure: Figure) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    return _content(figure, "png", metadata={"Software": None})


def _svg(figure: Figure) -> bytes:
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    FigureCanvasSVG(figure)
    return _content(figure, "svg", metadata={"Date": None, "Creator": None})


def _pdf(figure: Figure) -> bytes:
    from matplotlib.backends.backend_pdf import FigureCanvasPdf

    FigureCanvasPdf(figure)
    nothing: dict[str, Any] = {"CreationDate": None, "Creator": None, "Producer": None}
    return _content(figure, "pdf", metadata=nothing)


def _pgf(figure: Figure) -> bytes:
    from matplotlib.backends.backend_pgf import FigureCanvasPgf, LatexError

    FigureCanvasPgf(figure)
    try:
        return _content(figure, "pgf")
    except LatexError as error:
        raise RuntimeError(str(error)) from None


_WRITERS: dict[str, Callable[[Figure], bytes]] = {"png": _png, "svg": _svg, "pdf": _pdf, "pgf": _pgf}
