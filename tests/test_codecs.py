"""The spec grammar and the labels."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.codecs import CODECS, parse_spec, reject_unknown
from benchmark.errors import UsageError

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,8}", fullmatch=True)
KEYS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,6}", fullmatch=True)
VALUES = st.text(st.characters(exclude_characters='"', exclude_categories=["Cs"]), max_size=12)


@given(NAMES, st.dictionaries(KEYS, VALUES, max_size=4))
def test_what_is_written_is_read(name: str, settings: dict[str, str]) -> None:
    text = name + (":" if settings else "") + ",".join(f'{key}="{value}"' for key, value in settings.items())
    spec = parse_spec(text)
    assert (spec.text, spec.name, dict(spec.settings)) == (text, name, settings)


@given(NAMES, KEYS, VALUES.filter(lambda value: "," not in value))
def test_values_without_a_comma_need_no_quotes(name: str, key: str, value: str) -> None:
    assert parse_spec(f"{name}:{key}={value}") == parse_spec(f"{name}:{key}={value}")
    assert dict(parse_spec(f"{name}:{key}={value}").settings) == {key: value}


def test_the_examples() -> None:
    assert dict(parse_spec("jpeg:subsampling=4:4:4").settings) == {"subsampling": "4:4:4"}
    assert dict(parse_spec("hfd:decoder=flow,steps=8").settings) == {"decoder": "flow", "steps": "8"}
    command = parse_spec('command:enc="cjxl {in} {out} -q {q}",dec="djxl {in}, {out}"')
    assert command.settings["dec"] == "djxl {in}, {out}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "jpeg:",
        "jpeg:4:4:4",
        "jpeg:a=1,a=2",
        'jpeg:a="1',
        'jpeg:a="1"2',
        "jpeg:a=1,,b=2",
        "a b",
        "-x",
        "jpeg:=1",
    ],
)
def test_malformed_specs_are_usage_errors(text: str) -> None:
    with pytest.raises(UsageError):
        parse_spec(text)


@given(st.text(max_size=40))
def test_any_text_is_a_spec_or_a_usage_error(text: str) -> None:
    try:
        spec = parse_spec(text)
    except UsageError:
        return
    assert spec.text == text


@given(st.lists(st.tuples(NAMES, st.dictionaries(KEYS, VALUES, max_size=2)), min_size=2, max_size=6))
def test_labels_are_safe_for_a_path_and_unique(parts: list[tuple[str, dict[str, str]]]) -> None:
    texts = {
        name + (":" if settings else "") + ",".join(f'{key}="{value}"' for key, value in settings.items())
        for name, settings in parts
    }
    labels = [parse_spec(text).label for text in texts]
    assert all(re.fullmatch(r"[A-Za-z0-9._=-]{1,120}", label) and label[0] not in ".-" for label in labels)
    assert len(set(labels)) == len(texts)


def test_specs_that_look_alike_in_a_path_have_different_labels() -> None:
    alike = ["jpeg:subsampling=4:4:4", "jpeg:subsampling=4/4/4", "jpeg:subsampling=4-4-4"]
    assert len({parse_spec(text).label for text in alike}) == 3
    assert parse_spec("jpeg").label == "jpeg"


def test_unknown_codecs_and_settings_name_what_there_is() -> None:
    with pytest.raises(UsageError, match="did you mean jpeg"):
        CODECS.load("jepg")
    with pytest.raises(UsageError, match=r"no setting 'x'.*subsampling \(4:2:0\)"):
        reject_unknown("jpeg", {"x": "1"}, {"subsampling": "4:2:0"})
