"""What anyone's code raises, in one line."""

from pathlib import Path

import numpy as np
import pytest

from benchmark.guards import no_exit, own_place, told


def test_the_last_place_in_the_user_s_own_code() -> None:
    def fails() -> None:
        np.linalg.inv(np.zeros((2, 3)))

    with pytest.raises(np.linalg.LinAlgError) as caught:
        fails()
    assert own_place(caught.value) == f"{Path(__file__).name}:{fails.__code__.co_firstlineno + 1} in fails"
    assert told(caught.value).startswith("LinAlgError: Last 2 dimensions")
    assert own_place(ValueError("never raised")) == ""


def test_the_end_of_the_process_is_an_error_like_others() -> None:
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
