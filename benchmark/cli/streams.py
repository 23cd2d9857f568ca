"""Standard output and error, whatever the shell has made of them: full, closed, ASCII, or without a reader."""

import codecs
import errno
import os
import sys
from typing import Any, TextIO

_PLAIN = {
    "−": "-", "–": "-", "—": "-", "…": "...", "×": "x", "±": "+/-", "≤": "<=", "≥": ">=", "≈": "~", "→": "->",
    "↑": "^", "↓": "v", "Δ": "delta ", "·": "*", "’": "'",
}  # fmt: skip
"""What stands for the suite's own characters on a terminal that has them not."""


class Patient:
    """A text stream that throws away what nobody takes any more, instead of ending the command in the middle.

    refused: why what was written is lost, if it is for another reason than a reader that has gone.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.refused: OSError | None = None

    def write(self, text: str) -> int:
        """Writes as a text stream does; nothing once nobody takes it."""
        try:
            return self._stream.write(text)
        except OSError as error:
            self._give_up(error)
            return len(text)

    def flush(self) -> None:
        """Flushes as a text stream does."""
        try:
            self._stream.flush()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        if error.errno != errno.EPIPE and self.refused is None:
            self.refused = error
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def settle_streams() -> None:
    """From now on nothing about this process's output keeps it from writing its files and from its exit code.

    Descriptors that the shell has closed lead to nowhere, so that no file gets their numbers and then what libraries
    print. A character that a stream has not is written in others. Done once; again does nothing.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            os.set_inheritable(number, True)  # worker processes and codecs' programs need them as well
    codecs.register_error("benchmark.plain", _plainly)
    for name, number in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if isinstance(stream, Patient):
            continue
        if stream is None:  # it was closed when Python started
            stream = open(number, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        if callable(change := getattr(stream, "reconfigure", None)):
            change(errors="benchmark.plain")
        setattr(sys, name, Patient(stream))


def lost_output() -> OSError | None:
    """Why standard output has not taken all that was written to it; None if it has, or if its reader has gone."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    return sys.stdout.refused if isinstance(sys.stdout, Patient) else None


def _plainly(error: UnicodeError) -> tuple[str, int]:
    """The handler of an encoding's errors: ASCII that a reader understands; a byte of a file's name as \\xe9."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    found = error.object[error.start : error.end]
    return "".join(_plain(character) for character in found), error.end


def _plain(character: str) -> str:
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    return _PLAIN.get(character) or character.encode("ascii", "backslashreplace").decode()
