"""What can go wrong, and the exit code that each kind of trouble ends a command with.

The table of exit codes is the same for every command: 0 fine, 1 a check failed, 2 usage, 3 something could not be
read, coded or measured, 4 not comparable.
"""


class BenchmarkError(Exception):
    """Something could not be read, coded or measured. The message is one line that a user can act on."""

    exit_code = 3


class UsageError(BenchmarkError):
    """An argument that cannot be meant: an unknown name, a malformed codec spec, a quality out of range."""

    exit_code = 2


class CorruptStream(BenchmarkError):
    """Bytes that are no valid stream of the codec that was asked to decode them."""


class Undefined(BenchmarkError):
    """A metric that has no value for this pair of pictures; the message is the reason that is recorded."""


class NotComparable(BenchmarkError):
    """Numbers of different protocols, data sets or codecs were to be put side by side."""

    exit_code = 4


def one_line(error: BaseException) -> str:
    """The message of an error without its line breaks, or the error's type if it has none."""
    return printable(" ".join(str(error).split())) or type(error).__name__


def kind_and_message(error: BaseException) -> str:
    """The error's type and its message, in one line: for errors of foreign code."""
    return printable(f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": "))


def printable(text: str) -> str:
    r"""`text` as any file and terminal takes it: bytes of a file's name that are no UTF-8 are written out, caf\xe9."""
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # halves of surrogate pairs, of foreign code
        return text.encode("utf-8", "backslashreplace").decode("utf-8")
