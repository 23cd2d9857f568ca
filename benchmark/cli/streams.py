"""Standard output and error of a command whose reader may go away, as `head` does: the command goes on to its end."""

import os
import sys
from typing import Any, TextIO


class Patient:
    """A text stream that throws away what nobody reads any more, instead of ending the command in the middle."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Writes as a text stream does; nothing once the reader is gone."""
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            self._give_up()
            return len(text)

    def flush(self) -> None:
        """Flushes as a text stream does."""
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._give_up()

    def _give_up(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def outlive_readers() -> None:
    """From now on nobody who stops to read this process's output keeps it from writing its files and its exit code."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, Patient):
            setattr(sys, name, Patient(stream))
