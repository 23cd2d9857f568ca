"""The end of the process: what a data set, metric or codec has left at work does not keep it."""

import atexit
import contextlib
import multiprocessing
import os
import sys
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def ending() -> Iterator[None]:
    """Python waits at its end for threads and processes that it was not told to leave; here they are left, or ended.

    The exit code is that of the SystemExit that comes from inside.
    """
    try:
        yield
    except SystemExit as end:
        if not _left_at_work():
            raise
        for process in multiprocessing.active_children():
            process.kill()
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        with contextlib.suppress(Exception):  # of anyone's function
            atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):  # closed, or nobody reads it
                stream.flush()
        os._exit(end.code if isinstance(end.code, int) else int(end.code is not None))


def _left_at_work() -> bool:
    here = threading.current_thread()
    threads = (thread for thread in threading.enumerate() if thread is not here and not thread.daemon)
    return any(True for _ in threads) or any(not process.daemon for process in multiprocessing.active_children())
