from support.records import manifest

from benchmark.errors import BenchmarkError
from benchmark.metrics import METRICS, open_metric
from benchmark.metrics.patches import SMALLEST_SIDES
from benchmark.metrics.records import BPP, info_of
from benchmark.reports.explanation import explain, protocol_words
from benchmark.results import MetricRecord


def test_every_part_of_every_protocol_has_words() -> None:
    for name in METRICS:
        try:
            metric = open_metric(name)
        except BenchmarkError as error:  # a package that an extra brings, or a program of the user
            if "pip install" not in str(error) and "needs the setting" not in str(error):
                raise
            continue
        rules = [rule for rule, side in SMALLEST_SIDES.items() if rule == "whole" or side >= metric.info.smallest_side]
        names = [f"{name}@{rule}" for rule in rules] if metric.info.kind == "set" else [name]
        for each in names:
            opened = open_metric(each)
            for part, words in protocol_words(opened.info, opened.protocol):
                assert "no words" not in words, f"{each}: {part}"
    assert all("no words" not in words for _, words in protocol_words(info_of("bpp", BPP), BPP.protocol))


def test_a_run_is_explained_in_sections() -> None:
    fd = MetricRecord(protocol="fd-effnet/whole/else", unit="", higher_is_better=False, kind="set", feature_key="k")
    record = manifest()
    sections = dict(explain(record.model_copy(update={"metrics": record.metrics | {"fd-effnet": fd}, "workers": 3})))
    assert list(sections)[:3] == ["Images", "Codec n", "Codec t:x=1"]
    assert any("decoder seeds 0" in line for line in sections["Codec n"])
    assert not any("seeds" in line for line in sections["Codec t:x=1"])
    assert "- else: this version has no words for it" in sections["fd-effnet (FD-EffNet)"]
    assert any("one value for the whole set" in line for line in sections["fd-effnet (FD-EffNet)"])
    assert sections["Seconds"] == ["Not measured: 3 processes worked at once."]
    assert any("jackknife" in line for line in sections["Standard errors and intervals"])
