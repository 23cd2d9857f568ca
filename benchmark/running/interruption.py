"""Ctrl-C that lets the trial in hand end."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType


class Stop:
    """asked: whether no further trial is to begin."""

    def __init__(self) -> None:
        self.asked = False


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

    def ask(number: int, frame: FrameType | None) -> None:
        stop.asked = True
        signal.signal(signal.SIGINT, before)
        tell()

    signal.signal(signal.SIGINT, ask)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
