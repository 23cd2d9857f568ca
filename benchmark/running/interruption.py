"""Ctrl-C that lets the trial in hand end, and signals that end a command in order."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from benchmark.guards import hear_interrupts


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP has come: whoever sends it kills soon, so all ends at once, and in order.

    It goes wherever an interrupt goes: processes are ended, temporary files removed, and the run says how to go on.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


_came = False
"""Whether SIGINT came, since somebody listens."""


def heed_termination() -> None:
    """From now on SIGTERM and SIGHUP raise `Terminated`; a second one ends the process as it would have without this.

    Ctrl-C raises KeyboardInterrupt as ever, and is told apart from one that foreign code raises by itself.

    What is ignored, as `nohup` has it, or heard by others, stays so. Only the main thread may say this.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _terminate)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
        hear_interrupts(_is_meant)


def _is_meant() -> bool:
    """Whether SIGINT came; where others listen to it by now, it may have."""
    return _came or signal.getsignal(signal.SIGINT) is not _interrupt


def _interrupt(number: int, frame: FrameType | None) -> None:
    global _came
    _came = True
    signal.default_int_handler(number, frame)


def _terminate(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)
    raise Terminated(number)


class Stop:
    """asked: whether no further trial is to begin. listening: whether Ctrl-C comes here; interrupted: whether it came
    a second time, so that KeyboardInterrupt is on its way."""

    def __init__(self) -> None:
        self.asked = False
        self.listening = False
        self.interrupted = False

    def is_meant(self) -> bool:
        """Whether a KeyboardInterrupt may be the user's, not one that foreign code has raised."""
        return self.interrupted or not self.listening


@contextlib.contextmanager
def finishing_trials(tell: Callable[[], None]) -> Iterator[Stop]:
    """Inside the `with`, the first Ctrl-C asks the yielded `Stop` and calls `tell`; the next one interrupts as usual.

    Where it is not the main thread that comes here, Ctrl-C stays what it was: only that thread may say what it does.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = signal.getsignal(signal.SIGINT)
    # A shell starts what runs in the background with Ctrl-C ignored; whoever sends it all the same means it twice.
    second = before if callable(before) else signal.default_int_handler

    def hear(number: int, frame: FrameType | None) -> None:  # one for both: foreign code finds it as it left it
        if stop.asked:
            stop.interrupted = True
            second(number, frame)
        else:
            stop.asked = True
            tell()

    signal.signal(signal.SIGINT, hear)
    stop.listening = True
    try:
        yield stop
    finally:
        stop.listening = False
        signal.signal(signal.SIGINT, before)
