"""Idempotence: a metric that needs the codec of its trial."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from support.web_pages import call

from benchmark.codecs import Image, open_codec
from benchmark.errors import Undefined
from benchmark.metrics import RecodingMetric, open_metric
from benchmark.metrics.fidelity import mean_squared_error, psnr_from_mse
from benchmark.results import FAILED, RunFolder, Trial

CODEC = '''
import io
import numpy as np
from PIL import Image

class Rounds:
    """x̂ is the image in steps of the quality; decode adds a pattern to it, which is off by `drift` steps."""
    qualities = (8, 32)
    header_bytes = 0

    def __init__(self, drift: int = 0):
        self.drift = drift

    def encode(self, image, quality):
        stream = io.BytesIO()
        step = int(quality)
        Image.fromarray((image // step).astype(np.uint8)).save(stream, "PNG")
        return bytes([step]) + stream.getvalue()

    def x_hat(self, data):
        return np.array(Image.open(io.BytesIO(data[1:]))) * data[0] + data[0] // 2

    def decode(self, data):
        x = self.x_hat(data)
        x[::2] += 1
        return x + np.uint8(self.drift * data[0])

class Without(Rounds):
    x_hat = None
    def decode(self, data):
        return Rounds.x_hat(self, data)

class Breaks(Rounds):
    def x_hat(self, data):
        raise ValueError("broken on purpose")
    def decode(self, data):
        return Rounds.x_hat(self, data)
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "codec.py").write_text(CODEC)
    (tmp_path / "images").mkdir()
    image = np.random.default_rng(0).integers(0, 160, (24, 32, 3), dtype=np.uint8)
    Pillow.fromarray(image).save(tmp_path / "images" / "a.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(codec: str, *more: str) -> tuple[int, list[Trial]]:
    words = ["run", "--only", "--codec", codec, "--dataset", "images", "--metric", "psnr", "--metric", "re-encode"]
    code = call(*words, "--output", "run", "--workers", "1", *more)
    return code, list(RunFolder.open(Path("run")).trials())


@pytest.mark.usefixtures("folder")
def test_a_decoder_that_keeps_to_its_bits_is_infinitely_good() -> None:
    code, trials = run("./codec.py:Rounds", "--quality", "8,32")
    assert code == 0
    reason = open_metric("re-encode").info.infinite_reason
    assert [(trial.metrics["re-encode"], trial.reasons["re-encode"]) for trial in trials] == [(None, reason)] * 2


@pytest.mark.usefixtures("folder")
def test_one_that_drifts_has_the_psnr_of_its_drift() -> None:
    code, trials = run("./codec.py:Rounds:drift=1", "--quality", "8,32")
    assert code == 0
    for trial in trials:
        assert trial.metrics["re-encode"] == pytest.approx(psnr_from_mse(trial.quality**2))


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("codec", ["./codec.py:Without", "jpeg"])
def test_a_codec_without_x_hat_has_no_value_and_says_why(codec: str) -> None:
    code, trials = run(codec, "--quality", "32")
    assert code == 0
    assert trials[0].metrics["re-encode"] is None
    assert "no x_hat" in trials[0].reasons["re-encode"]
    assert trials[0].metrics["psnr"] is not None


@pytest.mark.usefixtures("folder")
def test_a_codec_that_breaks_there_keeps_its_other_values() -> None:
    code, trials = run("./codec.py:Breaks", "--quality", "32")
    assert code == 3
    assert trials[0].error is None
    assert trials[0].metrics["psnr"] is not None
    assert trials[0].reasons["re-encode"].startswith(FAILED)
    assert "broken on purpose" in trials[0].reasons["re-encode"]


@pytest.mark.usefixtures("folder")
def test_measure_says_that_it_needs_the_codec(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", "--only", "--codec", "jpeg", "--quality", "30", "--dataset", "images", "--metric", "psnr"]
    assert call(*words, "--output", "run", "--workers", "1", "--keep-reconstructions") == 0
    capsys.readouterr()
    assert call("measure", "run", "--metric", "re-encode") == 2
    assert "re-encode needs the codec" in capsys.readouterr().err


def steps_of(codec: Any, image: Image, quality: float) -> tuple[Callable[[Image], bytes], bytes, Image]:
    data = codec.encode(image, quality)
    return lambda x: codec.encode(x, quality), data, codec.decode(data)


@pytest.mark.parametrize("spec", ["mse", "hfd", "hfd:base=jpeg", "hific-small"])
def test_the_suite_s_codecs_have_one(spec: str) -> None:
    pytest.importorskip("compressai")
    from benchmark.datasets.shipped import FOLDER

    image = np.array(Pillow.open(FOLDER / "mate-garden.png").convert("RGB"))[:64, :96]
    codec: Any = open_codec(spec)
    encode, data, y = steps_of(codec, image, 1)
    metric = open_metric("re-encode")
    assert isinstance(metric, RecodingMetric)
    x_hat = codec.x_hat(data)
    assert (x_hat.shape, x_hat.dtype) == (image.shape, np.uint8)
    if spec in ("hfd", "hific-small"):
        mse: Any = open_codec("mse")
        assert np.array_equal(x_hat, mse.decode(mse.encode(image, 1)))
    error = mean_squared_error(x_hat, codec.x_hat(encode(y)))
    if error == 0:
        with pytest.raises(Undefined, match="infinite"):
            metric.recode(encode, codec.x_hat, data, y)
    else:
        assert metric.recode(encode, codec.x_hat, data, y) == pytest.approx(psnr_from_mse(error))
