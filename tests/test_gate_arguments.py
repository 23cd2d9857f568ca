"""The gate of this project: one list of codecs, read by all that run it."""

import json
from pathlib import Path

import pytest

from benchmark.codecs import parse_codec_spec
from benchmark.running.plan import parse_qualities

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.checkout
READ = "python -m benchmark run $(cat reports/baselines/ci.args) --output"


def test_the_baseline_holds_the_points_that_the_arguments_ask_for() -> None:
    words = (ROOT / "reports" / "baselines" / "ci.args").read_text().split()
    options = list(zip(words[::2], words[1::2], strict=True))
    specs = [parse_codec_spec(value) for option, value in options if option == "--codec"]
    qualities = parse_qualities(
        [value for option, value in options if option == "--quality"], {s.text: s for s in specs}
    )
    baseline = json.loads((ROOT / "reports" / "baselines" / "ci.json").read_text())
    asked = {(spec.text, quality) for spec in specs for quality in qualities[spec.text]}
    assert asked == {(point["codec"], point["quality"]) for point in baseline["points"]}
    assert str(len(baseline["images"])) == dict(options)["--limit"]


def test_everybody_reads_the_list() -> None:
    for path in (".ci/run", ".github/workflows/quality.yml", "reports/baselines/README.md", "CONTRIBUTING.md"):
        text = (ROOT / path).read_text()
        assert READ in text, path
        assert "--codec" not in text.partition("results/ci -o reports")[0], path
