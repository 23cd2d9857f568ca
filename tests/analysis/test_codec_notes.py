"""What stands beside the numbers of a run's codecs."""

from support.records import manifest

from benchmark.analysis.codec_notes import codec_notes, flatters
from benchmark.reports.explanation import explain
from benchmark.results import CodecRecord, Manifest, MetricRecord

OTHERS = ", and distances between features of another network may profit as well"


def run(metrics: tuple[str, ...] = ("psnr", "lpips"), **codecs: dict[str, object]) -> Manifest:
    made = {
        label: CodecRecord(label=label, qualities=[1], stochastic=False, description={}, **fields)  # type: ignore[arg-type]
        for label, fields in codecs.items()
    }
    record = MetricRecord(protocol="p", unit="", higher_is_better=True, kind="image")
    return manifest(codecs=made, metrics=dict.fromkeys(metrics, record))


def test_which_metric_taught_which_codec() -> None:
    taught = {"trained_on": ["lpips"]}
    assert codec_notes(run(a=taught, b={}, c=taught)) == [
        "a and c were trained on lpips, by which they are judged here: the figures flatter them" + OTHERS
    ]
    assert codec_notes(run(a=taught)) == [
        "a was trained on lpips, by which it is judged here: the figures flatter it" + OTHERS
    ]
    assert codec_notes(run(("psnr",), a=taught)) == []
    assert flatters(["fd-effnet"], ["fd-effnet@whole", "fd-effnet", "fid"]) == ["fd-effnet@whole", "fd-effnet"]


def test_who_has_not_been_audited() -> None:
    notes = codec_notes(run(Ours={"audited": False, "spec": "./a b.py:C"}, x={"audited": True}, jpeg={}))
    assert notes == ["Ours has not been audited: python -m benchmark audit './a b.py:C'"]
    thing = {"audited": False}
    made = run(thing=thing)
    made.codecs["thing"].description["object"] = "object of class C"
    assert codec_notes(made) == ["thing has not been audited: an audit needs its codec spec"]


def test_explain_says_both() -> None:
    made = run(Ours={"audited": False, "spec": "./a.py:C", "trained_on": ["lpips"]}, jpeg={"spec": "jpeg"})
    sections = dict(explain(made))
    assert "Its codec spec is ./a.py:C." in sections["Codec Ours"]
    assert "It was trained on lpips: figures by that metric flatter it." in sections["Codec Ours"]
    assert "It has not been audited." in sections["Codec Ours"]
    assert not [line for line in sections["Codec jpeg"] if "spec" in line or "trained" in line or "audit" in line]
