"""Files of each released version are read by every reader, and those of newer ones are refused in one line.

tests/compatibility/VERSION/ holds, made by that version on images/: a run (`run`), one with features, reconstructions
and streams (`kept`), a baseline, a history and streams; decoded/ what their version decoded the streams to.
"""

import json
import math
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import benchmark
from benchmark import compatibility
from benchmark.analysis.baseline import Baseline, baseline_of_run, read_numbers
from benchmark.analysis.history import Entry, read_entries
from benchmark.cli.main import main
from benchmark.errors import BenchmarkError, CorruptStream
from benchmark.images import load_image
from benchmark.results import Manifest, RunFolder, Trial

FOLDER = Path(__file__).parent / "compatibility"
VERSIONS = ("0.1.0", "0.2.0")
STREAMS = ("jpeg", "mse", "hfd", "hfd-decoder-flow", "hfd-decoder-diffusion", "hfd-base-jpeg", "hific-small")

version = pytest.mark.parametrize("version", VERSIONS)


def command(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)


@pytest.mark.checkout
def test_every_released_version_has_its_files() -> None:
    released = (FOLDER.parents[1] / "CHANGELOG.md").read_text().split("\n## [")[1:]
    numbers = {part.partition("]")[0] for part in released} - {"Unreleased"}
    assert numbers == set(VERSIONS)
    assert {path.name for path in FOLDER.iterdir()} == {*VERSIONS, "images", "decoded"}


@version
def test_a_run_is_loaded_with_all_its_values(version: str) -> None:
    results = benchmark.load(FOLDER / version / "run")
    assert results.failures == ()
    assert len(results.trials) == 18
    summary = results.summary
    assert set(summary["metric"]) == {"bpp", "psnr", "lpips"}
    assert summary["value"].notna().all()
    assert (summary["n_images"] == 3).all()
    psnr = results.trials.query("codec == 'jpeg' and quality == 30")["psnr"].mean()
    rows = summary.query("codec == 'jpeg' and quality == 30 and metric == 'psnr' and aggregation == 'mean over images'")
    assert rows["value"].tolist() == [pytest.approx(psnr, rel=1e-12)]
    assert results.curve("lpips", "hfd")["value"].notna().all()


@version
def test_a_baseline_file_has_the_numbers_of_its_run(version: str) -> None:
    there = read_numbers(FOLDER / version / "baseline.json")
    made = read_numbers(FOLDER / version / "run")
    assert [point.key for point in there.points] == [point.key for point in made.points]
    for one, other in zip(there.points, made.points, strict=True):
        assert one.bytes == other.bytes
        for metric, values in one.metrics.items():
            assert values == pytest.approx(other.metrics[metric], rel=1e-6)


@version
def test_a_run_is_as_good_as_itself_and_as_that_of_the_other_version(version: str) -> None:
    run = FOLDER / version / "run"
    for base in (run, FOLDER / version / "baseline.json", FOLDER / VERSIONS[0] / "run"):
        comparison = benchmark.compare(base, run)
        assert comparison.exit_code() == 0
        assert comparison.failures == ()
        assert {row.outcome.value for row in comparison.rows if row.outcome is not None} <= {"same", "not worse"}


@pytest.mark.long
@version
def test_every_command_reads_it(version: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(FOLDER / version, tmp_path / "old")
    run, kept = tmp_path / "old" / "run", tmp_path / "old" / "kept"
    for arguments in (
        ("compare", run, run),
        ("explain", run),
        ("table", run, "--at-bpp", "1.5"),
        ("table", tmp_path / "old" / "baseline.json"),
        ("images", run, "--point", "jpeg=30"),
        ("bd", run, "--anchor", "jpeg", "--metric", "psnr", "--resamples", "100"),
        ("export", run, "--format", "csv"),
        ("export", run, "--format", "compressai"),
        ("baseline", run, "-o", tmp_path / "b.json"),
        ("history", "add", run, "--file", tmp_path / "old" / "history.jsonl", "--commit", "now"),
        ("plot", run, "--output", tmp_path / "plots", "--format", "svg"),
        ("report", run, "-o", tmp_path / "page", "--no-maps"),
        ("measure", kept, "--metric", "ms_ssim", "--dataset", FOLDER / "images"),
    ):
        code = command(*arguments)
        # No two codecs of this small run spend the same bits, so that no rate difference is defined.
        assert code == (3 if arguments[0] == "bd" else 0), (arguments, capsys.readouterr())
    assert len(read_entries(tmp_path / "old" / "history.jsonl")) == 2


@version
def test_metrics_of_sets_come_from_the_features(version: str, tmp_path: Path) -> None:
    """The same numbers as those that the version left beside them."""
    shutil.copytree(FOLDER / version / "kept", tmp_path / "kept")
    before = baseline_of_run(RunFolder.open(tmp_path / "kept")).points[0].sets
    (tmp_path / "kept" / "leave-one-out.json").unlink()
    after = baseline_of_run(RunFolder.open(tmp_path / "kept")).points[0].sets
    assert before.keys() == after.keys() == {"kd-effnet@whole", "fd-effnet@whole"}
    for name, there in before.items():
        assert after[name].value == pytest.approx(there.value, rel=1e-5)
        assert math.isfinite(there.value)


@version
@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_is_decoded_to_what_it_was(version: str, name: str, tmp_path: Path) -> None:
    """The bits are decoded exactly on any machine; the image is the same within float rounding."""
    stream = FOLDER / version / f"{name}.bin"
    codec = ("--codec", "hfd:base=jpeg") if name == "hfd-base-jpeg" else ()
    assert command("decode", stream, tmp_path / "out.png", *codec) == 0
    decoded, was = load_image(tmp_path / "out.png"), load_image(FOLDER / "decoded" / f"{name}.png")
    difference = np.abs(decoded.astype(int) - was)
    assert difference.max() <= 1
    assert (difference == 0).mean() > 0.99


@version
def test_kept_streams_are_decoded_to_the_kept_reconstructions(version: str, tmp_path: Path) -> None:
    folder = RunFolder.open(FOLDER / version / "kept")
    trial = folder.trials()[0]
    stream = folder.bitstream_path(trial.key)
    assert stream.stat().st_size == trial.bytes
    assert command("decode", stream, tmp_path / "out.png", "--seed", trial.decoder_seed) == 0
    difference = np.abs(
        load_image(tmp_path / "out.png").astype(int) - load_image(folder.reconstruction_path(trial.key))
    )
    assert difference.max() <= 1


# Newer ones

NEWER = "made by a newer version of the suite"


def newer(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("file", "old", "new", "arguments"),
    [
        ("run/run.json", '"schema_version": 1', '"schema_version": 3', ("explain", "run")),
        ("run/run.json", '"schema_version": 1', '"schema_version": 3', ("compare", "run", "run")),
        ("run/summary.csv", ",2\n", ",3\n", ("table", "run/summary.csv")),
        ("baseline.json", '"schema_version": 1', '"schema_version": 9', ("compare", "baseline.json", "run")),
        (
            "history.jsonl",
            '{"schema_version": 1',
            '{"schema_version": 2',
            ("history", "show", "--file", "history.jsonl"),
        ),
    ],
)
def test_a_newer_file_is_refused_in_one_line(
    file: str,
    old: str,
    new: str,
    arguments: Sequence[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(FOLDER / "0.2.0", tmp_path / "new")
    monkeypatch.chdir(tmp_path / "new")
    newer(Path(file), old, new)
    assert command(*arguments) == 3
    line = capsys.readouterr().err.strip()
    assert line.startswith(f"error: {file}")
    assert NEWER in line
    assert "update" in line
    assert "\n" not in line


def test_newer_votes_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "votes.json").write_text(json.dumps({"kind": "hfd-benchmark votes", "schema_version": 2, "new": []}))
    assert command("study", "tally", tmp_path / "votes.json") == 3
    assert NEWER in capsys.readouterr().err


@pytest.mark.parametrize("name", ["mse", "hfd", "hific-small"])
def test_a_newer_stream_is_refused(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = bytearray((FOLDER / "0.2.0" / f"{name}.bin").read_bytes())
    data[3] = 2 << 4 | data[3] & 15
    (tmp_path / "a.bin").write_bytes(data)
    assert command("decode", tmp_path / "a.bin", tmp_path / "out.png") == 3
    assert f"version 2; this program reads version 1, {NEWER}" in capsys.readouterr().err


def test_a_field_of_a_newer_version_is_said_to_be_one(tmp_path: Path) -> None:
    shutil.copytree(FOLDER / "0.2.0" / "run", tmp_path / "run")
    newer(tmp_path / "run" / "run.json", '"status"', '"novelty": 1, "status"')
    with pytest.raises(BenchmarkError, match=r"run\.json: not a manifest: novelty: a field that this version does not"):
        RunFolder.open(tmp_path / "run")


def test_what_is_written_is_among_what_is_read() -> None:
    assert all(form.writes == max(form.reads) for form in compatibility.FILES)
    for record, form in (
        (Manifest, compatibility.RUN),
        (Baseline, compatibility.BASELINE),
        (Entry, compatibility.HISTORY),
    ):
        assert record.model_fields["schema_version"].default == form.writes


def test_numbers_that_are_none_are_left_to_the_fields() -> None:
    for content in ([], None, {}, {"schema_version": None}, {"schema_version": "2"}, {"schema_version": True}):
        compatibility.check_version("here", compatibility.RUN, content)
    with pytest.raises(BenchmarkError, match="of schema 0; this version reads 1 and 2"):
        compatibility.check_version("here", compatibility.RUN, {"schema_version": 0})


def test_the_containers_write_a_version_that_is_read() -> None:
    from benchmark.baselines import zoo
    from benchmark.baselines.hific import container as hific
    from benchmark.baselines.msillm import container as msillm
    from benchmark.baselines.text_to_image import latent_container
    from benchmark.baselines.upscale import container as small_copies
    from benchmark.hfd import container, embedding

    for module in (container, embedding, hific, zoo, small_copies, latent_container, msillm):
        assert max(compatibility.STREAMS[module.MAGIC]) == module.VERSION
    with pytest.raises(CorruptStream, match="version 3"):
        container.unpack(b"HFD" + bytes([3 << 4]) + bytes(20))


def test_trials_without_the_fields_of_later_versions(tmp_path: Path) -> None:
    """0.1.0 knew no names and labels of codecs, and its metrics had five facts."""
    manifest = RunFolder.open(FOLDER / "0.1.0" / "run").manifest
    assert manifest.metrics["psnr"].title is None
    assert manifest.codecs["jpeg"].spec is None
    assert all(isinstance(trial, Trial) for trial in RunFolder.open(FOLDER / "0.1.0" / "run").trials())


@pytest.mark.checkout
def test_the_page_says_what_the_code_reads() -> None:
    page = (FOLDER.parents[1] / "docs" / "explanation" / "compatibility.md").read_text()
    rows = [
        tuple(cell.strip() for cell in line.strip("|").split("|")) for line in page.splitlines() if line[:2] == "| "
    ]
    said = {what: (reads, writes) for what, reads, writes in rows[1:] if what != "---"}
    files = [
        "`run.json`, `trials.jsonl`",
        "`summary.csv`",
        "`leave-one-out.json`",
        "baseline",
        "history, a line",
        "votes",
        "`audit.json`",
    ]
    for name, form in zip(files, compatibility.FILES, strict=True):
        assert said.pop(name) == (", ".join(map(str, form.reads)), str(form.writes))
    streams = ["stream of `hfd`, `mse`, `hific-small`", "stream of `hific`", "stream of `compressai`"]
    streams += ["stream of `upscale`, `sd-upscale`", "stream of `sd-latent`", "stream of `msillm`"]
    for name, versions in zip(streams, compatibility.STREAMS.values(), strict=True):
        assert said.pop(name) == (", ".join(map(str, versions)), str(max(versions)))
    assert said == {}
