"""The suite from Python: specs and objects, arrays and data sets, and what is left on disk."""

import gc
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import benchmark
from benchmark.errors import BenchmarkError, UsageError
from benchmark.results import RunFolder


class Rounded:
    """Encodes with rounded samples; an object with nothing but `encode` and `decode`."""

    def __init__(self) -> None:
        self.encoded = 0

    def encode(self, image: np.ndarray, quality: float) -> bytes:
        self.encoded += 1
        step = int(quality)
        head = np.array([*image.shape[:2], step], np.uint16).tobytes()
        return head + zlib.compress((image // step).tobytes())

    def decode(self, data: bytes) -> np.ndarray:
        height, width, step = np.frombuffer(data[:6], np.uint16).astype(int)
        samples = np.frombuffer(zlib.decompress(data[6:]), np.uint8).reshape(height, width, 3)
        return np.minimum(samples.astype(int) * step + step // 2, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    smooth = [generator.integers(0, 255, (8, 10, 3)).repeat(8, 0).repeat(8, 1).astype(np.uint8) for _ in range(3)]
    return [(image + generator.integers(0, 9, image.shape)).astype(np.uint8) for image in smooth]


@pytest.fixture(scope="module")
def results(images: list[np.ndarray]) -> Any:
    return benchmark.evaluate(
        {"Ours": Rounded(), "JPEG": "jpeg"},
        images,
        metrics=["psnr"],
        qualities={"Ours": [4, 16, 64], "JPEG": [20, 50, 80]},
    )


def test_objects_and_specs_on_arrays(results: Any, images: list[np.ndarray]) -> None:
    assert len(results.trials) == 18
    assert results.failures == ()
    assert set(results.trials["codec"]) == {"Ours", "JPEG"}
    curve = results.curve("psnr", "Ours")
    assert list(curve["quality"]) == [64, 16, 4]
    image = images[0]
    codec = Rounded()
    data = codec.encode(image, 16)
    error = np.mean((codec.decode(data).astype(float) - image) ** 2)
    row = results.trials.query("codec == 'Ours' and quality == 16").iloc[0]
    assert row["bytes"] == len(data)
    assert row["psnr"] == pytest.approx(10 * np.log10(255**2 / error), abs=1e-9)
    assert "Ours" in repr(results)


def test_frames(results: Any) -> None:
    headline = results.summary.query("metric == 'psnr' and aggregation == 'mean over images' and codec == 'JPEG'")
    own = results.trials.query("codec == 'JPEG'").groupby("quality")["psnr"].mean()
    assert dict(zip(headline["quality"], headline["value"], strict=True)) == pytest.approx(dict(own))
    bd = results.bd("JPEG", "psnr")
    assert list(bd["codec"]) == ["Ours"]
    assert np.isfinite(bd["value"]).all() or bd["reason"].str.len().gt(0).all()
    shares = results.images("psnr", "Ours=16", "Ours=64")
    assert len(shares) == 3
    assert (shares["share"] > 0).all()


def test_nothing_is_left_on_disk(images: list[np.ndarray]) -> None:
    found = benchmark.evaluate("jpeg", images[:1], metrics=["psnr"], qualities=[50])
    folder = found.path
    assert folder.exists()
    del found
    gc.collect()
    assert not folder.parent.exists()


def test_a_folder_keeps_the_run_and_goes_on(tmp_path: Path, images: list[np.ndarray]) -> None:
    codec = Rounded()
    arguments: dict[str, Any] = {"metrics": ["psnr"], "output": tmp_path / "run"}
    benchmark.evaluate({"Ours": codec}, images, qualities=[16], **arguments)
    assert codec.encoded >= 3
    loaded = benchmark.load(tmp_path / "run")
    assert len(loaded.trials) == 3
    assert RunFolder.open(tmp_path / "run").manifest.codecs["Ours"].qualities == [16]


def test_the_second_call_computes_nothing_of_an_original_again(images: list[np.ndarray], monkeypatch: Any) -> None:
    from benchmark.metrics import fidelity

    prepared: list[int] = []
    original = fidelity.Psnr.prepare
    monkeypatch.setattr(fidelity.Psnr, "prepare", lambda self, image: prepared.append(1) or original(self, image))
    other = [np.flipud(image).copy() for image in images]
    first = benchmark.evaluate("jpeg", other, metrics=["psnr"], qualities=[50])
    assert len(prepared) == 3
    second = benchmark.evaluate("jpeg", other, metrics=["psnr"], qualities=[50])
    assert len(prepared) == 3
    assert first.trials.equals(second.trials)


def test_a_comparison(results: Any) -> None:
    assert benchmark.compare(results, results).exit_code() == 0
    assert results.compare(results).exit_code() == 0


def test_progress_is_told(images: list[np.ndarray]) -> None:
    told: list[tuple[str, int, int]] = []
    benchmark.evaluate(
        "jpeg",
        images,
        metrics=["psnr"],
        qualities=[50],
        progress=lambda trial, n, of: told.append((trial.image, n, of)),
    )
    assert [(n, of) for _, n, of in told] == [(1, 3), (2, 3), (3, 3)]


class Failing(Rounded):
    def decode(self, data: bytes) -> np.ndarray:
        raise ValueError("no luck")


def test_failures_are_warned_of_and_end_nothing(images: list[np.ndarray]) -> None:
    with pytest.warns(RuntimeWarning, match="no luck"):
        found = benchmark.evaluate({"bad": Failing(), "jpeg": "jpeg"}, images, metrics=["psnr"], qualities=[50])
    assert len(found.failures) == 3
    assert found.trials.query("codec == 'jpeg'")["error"].isna().all()


@pytest.mark.parametrize(
    ("codecs", "reason"),
    [
        ({"x": object()}, "encode"),
        ([Rounded(), Rounded()], "two codecs are called Rounded"),
        ("no-such-codec", "no codec is named"),
        ({"x": Rounded()}, "quality|qualities"),
    ],
)
def test_what_cannot_be_meant(codecs: Any, reason: str, images: list[np.ndarray]) -> None:
    with pytest.raises(UsageError, match=reason):
        benchmark.evaluate(codecs, images, metrics=["psnr"])


def test_load_wants_a_run(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError):
        benchmark.load(tmp_path)


def test_public_names_are_lazy() -> None:
    code = (
        "import benchmark, sys; assert not {'torch', 'pandas', 'numpy'} & set(sys.modules); print(benchmark.evaluate)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert set(benchmark.__all__) <= set(dir(benchmark))
    for name in benchmark.__all__:
        assert getattr(benchmark, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = benchmark.nothing


@pytest.mark.checkout
def test_readmes_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    text = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    example = text.partition("<!-- from python -->\n```python\n")[2].partition("```")[0]
    assert "benchmark.evaluate" in example
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "README.md", "exec"), {"__name__": "example"})
    assert r"\toprule" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["psnr.pdf"]
    assert (tmp_path / "psnr.pdf").read_bytes().startswith(b"%PDF")
