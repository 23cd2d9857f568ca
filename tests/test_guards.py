"""What anyone's code raises, in one line."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark import guards
from benchmark.guards import crash_place, interrupts, no_exit, own_place, told
from benchmark.running.interruption import Terminated


def test_the_last_place_in_the_user_s_own_code() -> None:
    def fails() -> None:
        np.linalg.inv(np.zeros((2, 3)))

    with pytest.raises(np.linalg.LinAlgError) as caught:
        fails()
    assert own_place(caught.value) == f"{Path(__file__).name}:{fails.__code__.co_firstlineno + 1} in fails"
    assert told(caught.value).startswith("LinAlgError: Last 2 dimensions")
    assert own_place(ValueError("never raised")) == ""


def test_the_end_of_the_process_is_an_error_like_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guards, "_meant_elsewhere", lambda: True)  # as in a process that no command has begun
    ends_of = (
        (SystemExit(), r"sys.exit\(\)"),
        (SystemExit("no"), r"sys.exit\('no'\)"),
        (GeneratorExit(), "raises Gen"),
    )
    for given, said in ends_of:

        def ends(error: BaseException = given) -> None:
            raise error

        with pytest.raises(RuntimeError, match=said) as caught:
            no_exit(ends)
        assert own_place(caught.value).endswith("in ends")
    with pytest.raises(KeyboardInterrupt):
        no_exit(ends, KeyboardInterrupt())
    with interrupts(lambda: True), pytest.raises(KeyboardInterrupt):
        no_exit(ends, KeyboardInterrupt())
    with interrupts(lambda: False), pytest.raises(RuntimeError, match="it raises KeyboardInterrupt, which nobody"):
        no_exit(ends, KeyboardInterrupt())
    with interrupts(lambda: False), pytest.raises(Terminated):
        no_exit(ends, Terminated(15))


def test_the_place_of_a_crash_is_in_the_thread_that_crashed() -> None:
    installed = f'  File "{np.__file__}", line 5 in dot\n'
    report = (
        "Fatal Python error: Segmentation fault\n\nThread 0x1 (most recent call first):\n"
        '  File "/home/me/other.py", line 9 in wait\n\nCurrent thread 0x2 (most recent call first):\n'
        f'{installed}  File "/home/me/my codec.py", line 57 in encode\n{installed}\nExtension modules: x (total: 1)\n'
    )
    assert crash_place(report) == "my codec.py:57 in encode"
    assert crash_place(report.partition("/home/me/my")[0]) == ""
    assert crash_place("") == ""


def test_names_of_classes_functions_and_files_break_no_line() -> None:
    namespace: dict[str, Any] = {"error": type("Two\nlines", (Exception,), {})("and\x1b[2J\nmore")}
    code = compile("def fails():\n    raise error\n", "/home/me/my\ncodec.py", "exec")
    exec(code, namespace)
    with pytest.raises(Exception, match="more") as caught:
        namespace["fails"]()
    assert told(caught.value) == r"Two lines: and\x1b[2J more (my\ncodec.py:2 in fails)"
