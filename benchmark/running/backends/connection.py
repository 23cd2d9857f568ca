"""A connection to Ray. A cluster on this machine takes seconds to begin, so that is done beside other work."""

import contextlib
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

from benchmark.containment import apart
from benchmark.errors import BenchmarkError

CLIENT_PORT = 10001
"""Of ray:// addresses without one, as Ray has it."""
SECONDS_TO_ANSWER = 10.0
TOKEN_HINT = "; if it wants a token, set RAY_AUTH_MODE=token"


@contextlib.contextmanager
def connecting(executor: str, cpus: int, on_begin: Callable[[], None]) -> Iterator["Connection"]:
    """A connection that begins, and ends with the `with`: to the cluster that `executor` names, or to one of `cpus`
    CPUs on this machine. on_begin: called as soon as a cluster on this machine is there, in another thread."""
    connection = Connection(executor, cpus, on_begin)
    try:
        yield connection
    finally:
        connection.end()


class Connection:
    """Ray, once `wait` has returned.

    A cluster on this machine is begun by a thread, which stays until it ends: the kernel kills Ray's processes when the
    thread that started them is gone.
    """

    def __init__(self, executor: str, cpus: int, on_begin: Callable[[], None]) -> None:
        self._executor, self._on_begin = executor, on_begin
        self._address = os.environ.get("RAY_ADDRESS") if executor == "ray" else executor
        self._is_own = False
        self._cluster: _LocalCluster | None = None
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a benchmark tells nobody that it runs
        if self._address is None and not _is_initialised():
            self._cluster = _LocalCluster(cpus, on_begin)

    def wait(self, cpus: int) -> None:
        """Returns when Ray can be used; a cluster on this machine then has `cpus` CPUs or more.

        Raises BenchmarkError if no cluster answers.
        """
        if self._cluster is not None and self._cluster.cpus < cpus:
            self._cluster.end()
            self._cluster = _LocalCluster(cpus, self._on_begin)
        try:
            if self._cluster is not None:
                self._cluster.wait()
            elif not _is_initialised():  # else the caller's own, which stays
                assert self._address is not None
                _check_answers(self._executor, self._address)
                _init(address=self._address)
                self._is_own = True
        except BenchmarkError:
            raise
        except Exception as error:  # gRPC's, Ray's and the operating system's, a version that does not fit
            where = "on this machine" if self._address is None else f"at {self._address}"
            # `ray start` asks for one where ~/.ray/auth_token exists, clients do not send it unless told to.
            token = "" if self._address is None or os.environ.get("RAY_AUTH_MODE") else TOKEN_HINT
            raise BenchmarkError(
                f"--executor {self._executor}: no Ray cluster {where}: {first_line(error)}{token}"
            ) from None

    def end(self) -> None:
        """Ends what was begun here."""
        if self._cluster is not None:
            self._cluster.end()
        elif self._is_own:
            import ray

            ray.shutdown()


class _LocalCluster:
    """Ray on this machine."""

    def __init__(self, cpus: int, on_begin: Callable[[], None]) -> None:
        self.cpus = cpus
        self._on_begin = on_begin
        self._error: Exception | None = None
        self._is_ready, self._is_over = threading.Event(), threading.Event()
        _end_on_sigterm()
        self._thread = threading.Thread(target=self._live, name="ray")
        self._thread.start()

    def wait(self) -> None:
        self._is_ready.wait()
        if self._error is not None:
            raise self._error

    def end(self) -> None:
        self._is_over.set()
        self._thread.join()

    def _live(self) -> None:
        # Ray chooses by the environment, which it changes, whether its processes want a token of each other. Foreign
        # code that is opened meanwhile would have the environment put back when only some of them are there.
        with apart():
            import ray

        try:
            with apart():
                _init(address="local", num_cpus=self.cpus, include_dashboard=False)
            self._on_begin()
        except Exception as error:  # for `wait`
            self._error = error
        self._is_ready.set()
        self._is_over.wait()
        ray.shutdown()


def _init(**options: Any) -> None:
    import ray

    ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)


def _is_initialised() -> bool:
    import ray

    return bool(ray.is_initialized())


def _end_on_sigterm() -> None:
    """Has SIGTERM end this program in order, with its cluster; Ray does so only where the main thread begins it."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


def _check_answers(executor: str, address: str) -> None:
    """Raises BenchmarkError if nobody listens there: Ray itself would try for minutes. "auto" has no address."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon and not address.startswith("ray://"):
        return
    if not colon:
        host, port = port, str(CLIENT_PORT)
    try:
        socket.create_connection((host, int(port)), timeout=SECONDS_TO_ANSWER).close()
    except (OSError, ValueError) as error:
        raise BenchmarkError(f"--executor {executor}: no Ray cluster at {address}: {first_line(error)}") from None


def first_line(error: BaseException) -> str:
    """The first sentence of Ray's explanations, which fill a screen."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
