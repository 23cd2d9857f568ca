"""Strict reading: what is not exactly what it should be is said, with its place."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.records import trial

from benchmark.errors import BenchmarkError
from benchmark.reading import (
    LARGEST,
    check_reals,
    check_sizes,
    parse_json,
    parse_line,
    parse_table,
    read_text,
    real_of,
    sound,
    truth_of,
    whole_of,
)
from benchmark.results import Trial


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no JSON: Expecting value at line 1, column 1"),
        ('{"a": 1', "no JSON: Expecting ',' delimiter"),
        ('{"a": NaN}', "NaN is no number of JSON"),
        ('{"a": -Infinity}', "-Infinity is no number of JSON"),
        ('{"a": {"b": 1, "b": 1}}', "the key 'b' stands there twice"),
        ("\ufeff{}", "byte order mark"),
        ("[" * 100_000, "nested too deep"),
        ("1" * 5000, "no sound JSON"),
        ('{"a": 1e308}', "1e308 is beyond 1e.100"),
        ('{"a": [1, -1e999]}', "-1e999 is beyond 1e.100"),
    ],
)
def test_json_that_is_none(text: str, words: str) -> None:
    with pytest.raises(BenchmarkError, match=f"^here: .*{words}"):
        parse_json(text, "here")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**99), 10**99) | st.floats(-LARGEST, LARGEST) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_json_is_read_as_it_is(content: object) -> None:
    assert parse_json(json.dumps(content), "here") == content


def test_a_key_twice_in_a_line_is_found_wherever_it_is() -> None:
    line = trial(reasons={"x": 'a "quoted": text'}).model_dump_json()
    assert parse_line(Trial, line.encode() + b"\n") == trial(reasons={"x": 'a "quoted": text'})
    for old, new in (
        ('"psnr":', '"psnr":1,"psnr":'),
        ('"psnr":', '"psnr" :1,"psnr":'),
        ('"image":', '"image":"b","image":'),
        ('"image":', '"image"\t:"b","image":'),
        ('"x":', '"x":"b","x":'),
    ):
        assert old in line
        with pytest.raises(ValueError, match="twice"):
            parse_line(Trial, line.replace(old, new).encode())
    spaced = json.dumps(json.loads(line), indent=None, separators=(" , ", " : "))
    assert parse_line(Trial, spaced.encode()) == parse_line(Trial, line.encode())


def test_text_in_bytes_that_are_no_utf8(tmp_path: Path) -> None:
    file = tmp_path / "a"
    for data, words in ((b"\xff\xfea\0", "UTF-16"), (b"ab\xff", "no UTF-8 at byte 2")):
        file.write_bytes(data)
        with pytest.raises(BenchmarkError, match=f"{words}; it must be UTF-8"):
            read_text(file)
    with pytest.raises(FileNotFoundError):
        read_text(tmp_path / "b")
    with pytest.raises(BenchmarkError, match="cannot be read: Is a directory"):
        read_text(tmp_path)


@pytest.mark.parametrize("text", ["nan", "inf", "1e999", "1,5", "1_0", " 1", "0x1", "", "1.2.3", "٣", "1e", "--1"])
def test_cells_that_are_no_numbers(text: str) -> None:
    with pytest.raises(ValueError, match="no finite number"):
        real_of(text)
    with pytest.raises(ValueError, match="no whole number"):
        whole_of(text)


@given(st.floats(-LARGEST, LARGEST))
def test_cells_that_are_numbers(number: float) -> None:
    assert real_of(repr(number)) == number


def test_a_value_whose_square_no_float_holds_is_refused_wherever_it_stands() -> None:
    with pytest.raises(ValueError, match=r"1e200 is beyond 1e\+100"):
        real_of("1e200")
    with pytest.raises(ValueError, match="less than or equal to"):
        parse_line(Trial, trial(metrics={"psnr": 1e200}).model_dump_json().encode())


def test_empty_cells_and_truth() -> None:
    assert math.isnan(real_of("", missing=True))
    assert whole_of("", missing=True) is None
    assert (whole_of("72"), whole_of("72.0"), truth_of("True"), truth_of("False")) == (72, 72, True, False)
    for text in ("true", "FALSE", "1", "", "yes"):
        with pytest.raises(ValueError, match="neither True nor False"):
            truth_of(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the file is empty"),
        ("a,a\n1,2\n", "column 'a' stands there twice"),
        ("a,b\n1\n", "line 2: not x: 1 cells for 2 columns"),
        ("a,b\n1,2\n\n1,2,3\n", "line 4: not x: 3 cells for 2 columns"),
        ("a,b\n1,\0\n", "zero byte"),
        ('a,b\n1,"2\n', "line 2: not x"),
        ('a,b\n1,"2"3\n', "line 2: not x"),
    ],
)
def test_tables_that_are_none(text: str, words: str) -> None:
    with pytest.raises(BenchmarkError, match=f"^here.*{words}"):
        parse_table(text, "here", "x")


def test_a_table_with_a_mark_and_other_ends_of_lines() -> None:
    for text in ("\ufeffa,b\r\n1,2\r\n", "a,b\n1,2", "a,b\n1,2\n\n"):
        assert parse_table(text, "here", "x") == (["a", "b"], [(2, ["1", "2"])])


def test_sizes_of_networks() -> None:
    check_sizes(a=1, b=(1, 4096))
    check_reals(a=0.5, b=(0.1, 2))
    for size in (0, -1, 4097, True, 1.0, "1", None, (1, 0), [1]):
        with pytest.raises(ValueError, match="a: "):
            check_sizes(a=size)
    for number in (0, -1, math.nan, math.inf, "1", True, (2, 1), (1, 1)):
        with pytest.raises(ValueError, match="a: "):
            check_reals(a=number)


def test_foreign_content_in_our_code_is_one_line() -> None:
    with pytest.raises(BenchmarkError, match=r"^here: not a recipe: KeyError: 'a'$"), sound("here", "a recipe"):
        {}["a"]
    with pytest.raises(KeyboardInterrupt), sound("here", "a recipe"):
        raise KeyboardInterrupt
