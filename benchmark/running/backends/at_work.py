"""What a process is at, where another one can read it when the first is gone: a small file, mapped into memory.

A write needs no call of the system, so one before each metric costs nothing; and what was written stays, however the
process ends.
"""

import contextlib
import hashlib
import mmap
import os
from pathlib import Path

from benchmark.results import TrialKey

_TRIAL, _METRIC = 32, 256
"""Bytes of a trial's hash, and of a metric's name with the zeros after it."""


class Note:
    """path: of the file, which is made; "" for nowhere, and so it is where none can be made."""

    def __init__(self, path: str) -> None:
        self._memory: mmap.mmap | None = None
        if path:
            with contextlib.suppress(OSError, ValueError):
                number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
                try:
                    os.truncate(number, _TRIAL + _METRIC)
                    self._memory = mmap.mmap(number, _TRIAL + _METRIC)
                finally:
                    os.close(number)

    def trial(self, key: TrialKey) -> None:
        """A trial begins; no metric is at work."""
        self.metric("")
        if self._memory is not None:
            self._memory[:_TRIAL] = bytes.fromhex(note_of(key))

    def metric(self, name: str) -> None:
        """A metric begins, or "": none is at work."""
        if self._memory is not None:
            self._memory[_TRIAL:] = name.encode()[: _METRIC - 1].ljust(_METRIC, b"\0")


def note_of(key: TrialKey) -> str:
    """How `read_note` names a trial."""
    return hashlib.sha256(repr(key).encode(errors="surrogatepass")).hexdigest()


def read_note(path: str) -> tuple[str, str]:
    """The trial, as `note_of` names it, and the metric at work; "" for each where there is none, or no file."""
    try:
        content = Path(path).read_bytes()
    except OSError:
        return "", ""
    trial, metric = content[:_TRIAL], content[_TRIAL:].rstrip(b"\0")
    return (trial.hex() if any(trial) else ""), metric.decode(errors="replace")
