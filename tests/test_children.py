"""Functions of foreign code in processes of their own."""

import os
import threading
from unittest.mock import ANY

import pytest
from support.apart import opened

from benchmark.children import MOST_LOSSES, Apart, Ended
from benchmark.errors import BenchmarkError, UsageError
from benchmark.strays import MARK

KILLED = "the process ended in it: signal 9 (SIGKILL), perhaps for want of memory"


def test_the_environment_is_that_of_the_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not that of the time at which the first process was begun, which all others are forked from."""
    monkeypatch.setenv("OF_THE_MOMENT", "1")
    with Apart(opened, ()) as function:
        assert function("environment") == dict(os.environ) | {MARK: ANY}
    monkeypatch.setenv("OF_THE_MOMENT", "2")
    monkeypatch.delenv("HOME")
    with Apart(opened, ()) as function:
        assert function("environment") == dict(os.environ) | {MARK: ANY}


def test_what_is_raised_and_how_it_ends() -> None:
    with Apart(opened, ()) as function:
        assert function(1) == 1
        with pytest.raises(BenchmarkError, match=r"^no$"):
            function("raises")
        assert function(2) == 2
        for _ in range(MOST_LOSSES):
            with pytest.raises(Ended) as caught:
                function("dies")
            assert str(caught.value) == f"a part of it: {KILLED}"
        with pytest.raises(Ended) as caught:
            function(3)
        assert str(caught.value) == f"not tried any more: a part of it: {KILLED}"


def test_a_mistake_of_the_suite_s_own_is_none_of_the_function_s() -> None:
    with Apart(opened, ()) as function, pytest.raises(RuntimeError, match="KeyError: 'a mistake'"):
        function("mistaken")


@pytest.mark.parametrize(("how", "error", "words"), [("refuses", UsageError, "it does not open"), ("dies", Ended, "")])
def test_what_cannot_be_opened_is_tried_once(how: str, error: type[BenchmarkError], words: str) -> None:
    with Apart(opened, (how,)) as function:
        for _ in range(2):
            with pytest.raises(error, match=words or "^the process ended while it was opened: signal 9"):
                function(1)


def test_a_limit_that_is_longer_than_the_system_counts() -> None:
    with Apart(opened, (), limit=1e300) as function:
        assert function(1) == 1


def test_a_limit_and_a_stop() -> None:
    with Apart(opened, (), limit=1.0) as function, pytest.raises(Ended, match=r"no end after 1 seconds; it was killed"):
        function("hangs")
    with Apart(opened, ()) as function:
        assert function(1) == 1
        timer = threading.Timer(0.5, function.stop)
        timer.start()
        with pytest.raises(Ended):
            function("hangs")
        with pytest.raises(Ended, match="it was stopped"):
            function(1)
