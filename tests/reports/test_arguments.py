import pytest

from benchmark.errors import UsageError
from benchmark.reports.arguments import one_of, parse_labels, parse_numbers, parse_range, parse_ranges, split_commas


def test_a_label_begins_after_the_longest_codec_that_fits() -> None:
    codecs = ["hfd", "hfd:decoder=flow", "jpeg"]
    assert parse_labels(["hfd:decoder=flow=Ours", "hfd=x=1", "jpeg=JPEG (4:2:0)"], codecs) == {
        "hfd:decoder=flow": "Ours",
        "hfd": "x=1",
        "jpeg": "JPEG (4:2:0)",
    }


@pytest.mark.parametrize("text", ["webp=x", "hfd", "hfd=", "=x"])
def test_other_labels_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="CODEC=TEXT is needed, for a codec of hfd, jpeg"):
        parse_labels([text], ["hfd", "jpeg"])


def test_ranges() -> None:
    assert parse_range("-1:2.5") == (-1.0, 2.5)
    assert parse_ranges(["lpips=0:0.5", "./m.py:M:key=1=-2:3"]) == {"lpips": (0, 0.5), "./m.py:M:key=1": (-2, 3)}
    for text in ("1", "a:b", "1:", ":", "1-2"):
        with pytest.raises(UsageError, match="LOW:HIGH is needed"):
            parse_range(text)
    for text in ("0:1", "=0:1"):
        with pytest.raises(UsageError, match="METRIC=LOW:HIGH is needed"):
            parse_ranges([text])


def test_numbers_and_lists() -> None:
    assert parse_numbers("0.1, 0.2") == (0.1, 0.2)
    for text in ("", "0", "-1", "a", "0.1,,", "inf", "nan"):
        with pytest.raises(UsageError, match="numbers above 0"):
            parse_numbers(text)
    assert split_commas(["pdf,png", " svg ", "png,"]) == ["pdf", "png", "svg"]
    assert one_of("legend", "none", ("auto", "none")) == "none"
    with pytest.raises(UsageError, match="legend 'left': there are auto, none"):
        one_of("legend", "left", ("auto", "none"))
