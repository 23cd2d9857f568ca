"""One trial: what is recorded, what is shared, and what becomes of a codec or metric that fails."""

import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from support.fake_codecs import Breaks, Slow, Tiny, Vandal, WrongShape, WrongType
from support.pictures import write_pictures
from support.records import manifest, with_hashes

from benchmark.codecs import Codec, Image
from benchmark.errors import Undefined, UsageError
from benchmark.images import load_image
from benchmark.metrics import MetricInfo, metric_info
from benchmark.results import CodecRecord, RunFolder
from benchmark.running.measurement import NO_PATCH, Instruments, Workbench
from benchmark.running.plan import PlannedTrial


@dataclass
class Difference:
    """Mean absolute difference; `result` in its place, if there is one. Counts `prepare`."""

    result: float | Exception | None = None
    info: MetricInfo = field(default_factory=lambda: metric_info("psnr"))
    protocol: str = "difference"
    prepared: int = 0

    def prepare(self, original: Image) -> Any:
        self.prepared += 1
        return original.astype(float)

    def compare(self, prepared: Any, reconstruction: Image) -> float:
        if isinstance(self.result, Exception):
            raise self.result
        return float(np.abs(prepared - reconstruction).mean()) if self.result is None else self.result


@dataclass
class Rows:
    """A set metric whose features are the image's first rows."""

    patches: int = 2
    calls: int = 0
    info: MetricInfo = field(default_factory=lambda: metric_info("fd-effnet"))
    protocol: str = "rows"
    feature_key: str = "rows"

    def load(self) -> None: ...

    def features(self, image: Image) -> npt.NDArray[np.float32]:
        self.calls += 1
        return image[: self.patches, :, 0].astype(np.float32)

    def distance(self, originals: Any, reconstructions: Any) -> float:
        raise NotImplementedError

    def leave_one_out(self, originals: Any, reconstructions: Any) -> Any:
        raise NotImplementedError


Bench = Callable[..., Workbench]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    write_pictures(tmp_path, ["a.png", "b.png"])

    def make(
        codec: Codec | None = None,
        *,
        untimed: str = "",
        repeats: int = 1,
        keep: bool = False,
        sets: Any = None,
        **image: Any,
    ) -> Any:
        record = CodecRecord(label="c", qualities=[4], stochastic=False, description={})
        folder = RunFolder.create(tmp_path / "run", with_hashes(tmp_path, manifest(codecs={"c": record})))
        return Workbench(folder, {"c": codec or Tiny()}, Instruments(image, sets or {}), keep, untimed, repeats=repeats)

    return make


def planned(tmp_path: Path, image: str = "a", quality: float = 4, seed: int | None = None) -> PlannedTrial:
    return PlannedTrial("c", quality, seed, image, tmp_path / f"{image}.png")


def test_the_record_of_a_trial(bench: Bench, tmp_path: Path) -> None:
    codec = Tiny()
    trial = bench(codec, difference=Difference()).measure(planned(tmp_path))
    original = load_image(tmp_path / "a.png")
    data = codec.encode(original, 4)
    assert trial.key == ("c", 4, None, "a")
    assert (trial.height, trial.width, trial.bytes, trial.error) == (16, 24, len(data), None)
    assert trial.bpp == 8 * len(data) / (16 * 24)
    assert trial.metrics == {"difference": np.abs(original.astype(float) - codec.decode(data)).mean()}
    assert trial.reasons == {}


def test_each_byte_string_is_written_once_and_each_original_prepared_once(bench: Bench, tmp_path: Path) -> None:
    codec, metric, rows = Tiny(stochastic=True), Difference(), Rows()
    workbench = bench(codec, untimed="not now", sets={"one": rows, "two": rows}, difference=metric)
    trials = [
        workbench.measure(planned(tmp_path, image, quality, seed))
        for image in ("a", "b")
        for quality in (2, 4)
        for seed in (0, 1, 2)
    ]
    assert (codec.encoded, codec.decoded, metric.prepared) == (4, 12, 2)
    assert rows.calls == 2 + 12  # metrics with one key share their features
    assert len({trial.metrics["difference"] for trial in trials}) == 12


def test_the_time_of_repeated_calls_is_their_median(bench: Bench, tmp_path: Path) -> None:
    class Uneven(Slow):
        def decode(self, data: bytes, seed: int | None = None) -> Image:
            time.sleep(2 if self.decoded == 2 else 0)
            return super().decode(data, seed)

    codec = Uneven()
    trial = bench(codec, repeats=3).measure(planned(tmp_path))
    assert (codec.encoded, codec.decoded) == (1 + 3, 1 + 3)  # the first call of each is not counted
    assert trial.encode_repeats is not None
    assert trial.decode_repeats is not None
    assert len(trial.encode_repeats) == len(trial.decode_repeats) == 3
    assert trial.decode_seconds == sorted(trial.decode_repeats)[1] < 2 < max(trial.decode_repeats)


class Estimates(Tiny):
    """Says that its streams have so many bits."""

    header_bytes = 3

    def __init__(self, bits: float | Exception) -> None:
        super().__init__()
        self.bits = bits

    def estimate_bits(self, image: Image, quality: float) -> float:
        image[:] = 0
        if isinstance(self.bits, Exception):
            raise self.bits
        return self.bits


def test_a_codec_s_own_estimate_of_its_bits_is_recorded_beside_them(bench: Bench, tmp_path: Path) -> None:
    trial = bench(Estimates(1000)).measure(planned(tmp_path))
    assert trial.bpp_estimated == (1000 + 8 * 3) / (16 * 24)
    assert trial.bpp == 8 * (trial.bytes or 0) / (16 * 24)
    assert bench(Tiny()).measure(planned(tmp_path)).bpp_estimated is None


@pytest.mark.parametrize(("bits", "reason"), [(math.nan, "the value is nan"), (ValueError("no idea"), "no idea")])
def test_an_estimate_that_fails_takes_nothing_else_with_it(
    bench: Bench, tmp_path: Path, bits: float | Exception, reason: str
) -> None:
    trial = bench(Estimates(bits)).measure(planned(tmp_path))
    assert (trial.bpp_estimated, trial.error) == (None, None)
    assert trial.bytes is not None
    assert reason in trial.reasons["bpp_estimated"]


class Both(Estimates):
    """Gives its estimate with the bytes, and fails where it is asked for that alone."""

    def __init__(self, bits: Any) -> None:
        super().__init__(RuntimeError("asked again"))
        self.given = bits

    def encode(self, image: Image, quality: float) -> bytes:
        raise RuntimeError("asked for the bytes alone")

    def encode_with_estimate(self, image: Image, quality: float) -> tuple[bytes, float]:
        return super().encode(image, quality), self.given


def test_an_estimate_that_comes_with_the_bytes_is_taken_from_there(bench: Bench, tmp_path: Path) -> None:
    trial = bench(Both(1000)).measure(planned(tmp_path))
    assert trial.error is None
    assert trial.bpp_estimated == (1000 + 8 * 3) / (16 * 24)
    assert trial.bytes == bench(Tiny()).measure(planned(tmp_path)).bytes
    failed = bench(Both("many")).measure(planned(tmp_path))
    assert (failed.bpp_estimated, failed.error) == (None, None)
    assert "encode_with_estimate" in failed.reasons["bpp_estimated"]


def test_an_estimate_without_bytes_fails_the_trial(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Both, "encode_with_estimate", lambda *_: 1000)
    trial = bench(Both(1000)).measure(planned(tmp_path))
    assert trial.error is not None
    assert "encode_with_estimate returned int, not bytes and bits" in trial.error


def test_time_is_measured_after_a_warm_up_or_not_at_all(bench: Bench, tmp_path: Path) -> None:
    codec = Slow()
    workbench = bench(codec)
    first, second = (workbench.measure(planned(tmp_path, image)) for image in ("a", "b"))
    assert (codec.encoded, codec.decoded) == (3, 3)
    assert first.decode_seconds is not None
    assert second.decode_seconds is not None
    assert min(first.decode_seconds, second.decode_seconds) >= 0.05
    assert first.encode_seconds is not None
    assert first.encode_seconds > 0

    codec = Slow()
    trial = bench(codec, untimed="not measured alone: 2 workers").measure(planned(tmp_path))
    assert (codec.encoded, codec.decoded) == (1, 1)
    assert (trial.encode_seconds, trial.decode_seconds) == (None, None)
    assert trial.reasons["decode_seconds"] == trial.reasons["encode_seconds"] == "not measured alone: 2 workers"


@pytest.mark.parametrize(
    ("codec", "reason"),
    [
        (WrongShape(), r"decode returned uint8 \(15, 24, 3\), but the original is uint8 \(16, 24, 3\)"),
        (WrongType(), r"decode returned float32 \(16, 24, 3\), but"),
    ],
)
def test_another_shape_or_type_is_an_error(bench: Bench, tmp_path: Path, codec: Codec, reason: str) -> None:
    trial = bench(codec, difference=Difference()).measure(planned(tmp_path))
    assert trial.error is not None
    assert re.match(reason, trial.error)
    assert (trial.height, trial.bytes, trial.bpp, trial.metrics) == (16, None, None, {})


def test_a_codec_that_fails_on_one_picture_is_one_line(bench: Bench, tmp_path: Path) -> None:
    write_pictures(tmp_path, ["b.png"], corner=0)
    workbench = bench(Breaks())
    error = workbench.measure(planned(tmp_path, "b")).error
    assert error is not None
    told = re.fullmatch(
        r"encode: RuntimeError: a zero in the corner \(fake_codecs.py:\d+ in encode\); (tracebacks/[0-9a-f]{8}.txt)",
        error,
    )
    assert told is not None
    text = (workbench.folder.path / told[1]).read_text()
    assert text.startswith("c, quality 4, image b\n\nTraceback")
    assert text.endswith("RuntimeError: a zero\nin the corner\n")
    assert workbench.measure(planned(tmp_path, "a")).error is None


def test_a_picture_that_cannot_be_read(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "b.png").write_text("not an image")
    workbench = bench()
    trial = workbench.measure(planned(tmp_path, "b"))
    assert trial.error is not None
    assert "not an image" in trial.error
    assert (trial.height, trial.width) == (None, None)
    assert workbench.measure(planned(tmp_path, "a")).error is None


def test_an_original_that_was_changed_since_the_run_began_is_not_measured(bench: Bench, tmp_path: Path) -> None:
    workbench = bench(psnr=Difference())
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes())
    trial = workbench.measure(planned(tmp_path, "b"))
    assert trial.error is not None
    assert "b.png: was changed since its SHA-256 was recorded" in trial.error
    assert trial.metrics == {}
    assert workbench.measure(planned(tmp_path, "a")).metrics


def test_a_quality_out_of_range_concerns_the_whole_run(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="quality 9"):
        bench().measure(planned(tmp_path, quality=9))


@pytest.mark.parametrize(
    ("result", "reason"),
    [(Undefined("too\nsmall"), "too small"), (math.inf, "the value is inf"), (math.nan, "the value is nan")],
)
def test_a_metric_without_a_value_is_null_with_a_reason(
    bench: Bench, tmp_path: Path, result: float | Exception, reason: str
) -> None:
    trial = bench(difference=Difference(), other=Difference(result)).measure(planned(tmp_path))
    assert trial.metrics["other"] is None
    assert trial.reasons == {"other": reason}
    assert trial.metrics["difference"] is not None
    assert trial.error is None


def test_a_metric_that_breaks_down_is_an_error_not_a_number(bench: Bench, tmp_path: Path) -> None:
    trial = bench(difference=Difference(ValueError("oh"))).measure(planned(tmp_path))
    assert trial.error is not None
    assert re.match(r"difference: ValueError: oh \(test_measurement.py:\d+ in compare\); tracebacks/", trial.error)
    assert trial.metrics == {}


def test_features_are_there_when_the_record_is(bench: Bench, tmp_path: Path) -> None:
    workbench = bench(sets={"fd": Rows()})
    trial = workbench.measure(planned(tmp_path))
    folder = workbench.folder
    original = folder.read_features(folder.original_features_path("rows", "a"))
    assert np.array_equal(original, load_image(tmp_path / "a.png")[:2, :, 0])
    assert folder.read_features(folder.features_path("rows", trial.key)).shape == (2, 24)
    assert trial.metrics == {}


def test_a_later_start_takes_the_features_of_originals_that_are_there(bench: Bench, tmp_path: Path) -> None:
    first, rows = bench(sets={"fd": Rows()}), Rows()
    first.measure(planned(tmp_path))
    later = Workbench(first.folder, {"c": Tiny()}, Instruments({}, {"fd": rows}), False, "")
    assert later.measure(planned(tmp_path, quality=2)).error is None
    assert rows.calls == 1  # of the reconstruction


def test_a_picture_without_a_patch_is_listed(bench: Bench, tmp_path: Path) -> None:
    trial = bench(sets={"fd": Rows(0), "kd": Rows(0)}).measure(planned(tmp_path))
    assert trial.reasons == {"fd": NO_PATCH, "kd": NO_PATCH}
    assert trial.error is None


def test_kept_reconstructions_are_what_was_measured(bench: Bench, tmp_path: Path) -> None:
    codec = Tiny()
    workbench = bench(codec, keep=True)
    trial = workbench.measure(planned(tmp_path))
    data = workbench.folder.bitstream_path(trial.key).read_bytes()
    assert len(data) == trial.bytes
    assert np.array_equal(load_image(workbench.folder.reconstruction_path(trial.key)), codec.decode(data))


def test_a_codec_cannot_spoil_the_original(bench: Bench, tmp_path: Path) -> None:
    spoiled = bench(Vandal(), difference=Difference()).measure(planned(tmp_path))
    clean = bench(Tiny(), difference=Difference()).measure(planned(tmp_path))
    assert spoiled.metrics == clean.metrics
