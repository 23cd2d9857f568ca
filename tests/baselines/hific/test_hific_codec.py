"""The codec as a user has it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.hific_checkpoints import SMALL, checkpoint, example_picture
from support.zygote import Zygote

from benchmark.baselines.hific.codec import MEMORY, HificCodec, hific, picture_to_tensor
from benchmark.baselines.hific.container import OVERHEAD, Container, pack, unpack
from benchmark.baselines.hific.weights import fetch, kept_file
from benchmark.cli.main import main
from benchmark.codecs import Codec, open_codec
from benchmark.errors import BenchmarkError, CorruptStream, UsageError
from benchmark.hfd import memory
from benchmark.images import load_image, png_bytes
from benchmark.running.single import codec_of

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def codec(checkpoint_file: Path) -> HificCodec:
    return hific("cpu", weights=checkpoint_file)


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCHMARK_CACHE", str(tmp_path_factory.mktemp("cache")))


def forge(data: bytes, **changes: object) -> bytes:
    return pack(Container(**{**unpack(data).__dict__, **changes}))  # type: ignore[arg-type]


def test_it_is_a_codec(codec: HificCodec) -> None:
    assert isinstance(codec, Codec)
    assert codec.qualities == (1.0,)
    description = codec.describe()
    variant = description["variants"]["low"]
    assert len(variant["sha256"]) == 64
    assert variant["checkpoint"]["file"] == "hific-low.pt"
    assert len(variant["checkpoint"]["sha256"]) == 64
    assert len(description["machine"]["fingerprint"]) == 8


def test_decodes_to_what_the_encoder_meant(codec: HificCodec) -> None:
    image = example_picture(83, 70)
    data = codec.encode(image, 1)
    decoded = codec.decode(data)
    model = codec.files["low"].opened.model
    with torch.no_grad():
        y = model.analyse(picture_to_tensor(image))
        mean, _ = model.mean_and_scale(model.hyper_analyse(y))
        wanted = model.synthesise(torch.floor(y - mean + 0.5) + mean, 83, 70)
    assert decoded.dtype == np.uint8
    assert decoded.shape == image.shape
    samples = wanted[0].permute(1, 2, 0).numpy() * 255
    assert np.abs(decoded - samples).max() <= 0.5 + 1e-2


def test_bytes_are_within_one_per_cent_of_the_estimate(codec: HificCodec) -> None:
    for height, width in ((83, 70), (256, 384)):
        image = example_picture(height, width)
        estimate = codec.files["low"].opened.estimate_bits(picture_to_tensor(image)) / 8
        assert abs(len(codec.encode(image, 1)) - OVERHEAD - estimate) <= 0.01 * estimate + 16


@given(st.integers(1, 70), st.integers(1, 70), st.integers(0, 2**32 - 1))
@settings(max_examples=8, deadline=None)
def test_any_size(codec: HificCodec, height: int, width: int, seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    decoded = codec.decode(codec.encode(image, 1))
    assert decoded.shape == image.shape


def test_in_another_process_and_thread_count(
    codec: HificCodec, checkpoint_file: Path, tmp_path: Path, coding: Zygote
) -> None:
    data = codec.encode(example_picture(100, 90), 1)
    (tmp_path / "stream").write_bytes(data)
    code = (
        "import sys, numpy as np, torch; from pathlib import Path; assert torch.get_num_threads() == 3; "
        "from benchmark.baselines.hific.codec import hific; "
        "np.save('decoded.npy', hific('cpu', weights=Path(sys.argv[1])).decode(Path('stream').read_bytes()))"
    )
    more = {"script": code, "variables": {"OMP_NUM_THREADS": "3"}}
    exit_code, _, errors = coding.run(str(checkpoint_file), folder=tmp_path, **more)
    assert exit_code == 0, errors
    assert np.array_equal(np.load(tmp_path / "decoded.npy"), codec.decode(data))


def test_threads_are_left_as_they_were(codec: HificCodec) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        codec.decode(codec.encode(example_picture(20, 20), 1))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_stream_of_another_kind_of_machine_is_refused(codec: HificCodec, monkeypatch: pytest.MonkeyPatch) -> None:
    data = codec.encode(example_picture(40, 40), 1)
    monkeypatch.setattr("benchmark.baselines.hific.codec.machine_fingerprint", lambda: b"\x01\x02\x03\x04")
    with pytest.raises(BenchmarkError, match="another kind of machine") as caught:
        codec.decode(data)
    assert "01020304" in str(caught.value)
    assert unpack(data).machine.hex() in str(caught.value)
    assert "floats" in str(caught.value)


def test_refusals(codec: HificCodec, tmp_path: Path) -> None:
    data = codec.encode(example_picture(40, 40), 1)
    with pytest.raises(CorruptStream, match="CRC"):
        codec.decode(data[:-1])
    with pytest.raises(CorruptStream, match="weights 00000000"):
        codec.decode(forge(data, weights=bytes(4)))
    with pytest.raises(BenchmarkError, match=r"HiFiC high, whose weights are not here.*zenodo"):
        codec.decode(forge(data, variant="high"))
    for quality in (0.0, 1.5, 4.0, float("nan")):
        with pytest.raises(UsageError, match=r"none of 1 \(low\), 2 \(med\), 3 \(high\)"):
            codec.encode(example_picture(40, 40), quality)
    with pytest.raises(UsageError, match=r"quality 2 \(med\) are not here, only those of 1 \(low\)"):
        codec.encode(example_picture(40, 40), 2)
    with pytest.raises(BenchmarkError, match="too large"):
        codec.encode(np.zeros((6000, 6000, 3), np.uint8), 1)


def test_settings_are_checked(checkpoint_file: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no setting 'steps'"):
        open_codec("hific:steps=3")
    with pytest.raises(UsageError, match="codec hific: variant is low, med or high, not 'medium'"):
        open_codec("hific:variant=medium")
    with pytest.raises(BenchmarkError, match=r"no HiFiC weights at nowhere.pt; download .*zenodo"):
        open_codec("hific:weights=nowhere.pt")
    unnamed = tmp_path / "weights.pt"
    torch.save(checkpoint(regime=None), unnamed)
    with pytest.raises(UsageError, match="add variant="):
        hific("cpu", weights=unnamed)
    assert hific("cpu", weights=unnamed, variant="high").qualities == (3.0,)


def test_without_weights_one_line_says_what_to_do() -> None:
    with pytest.raises(UsageError, match="hific has no weights here") as caught:
        open_codec("hific")
    for words in ("https://zenodo.org/record/4026003", "drive.google.com", "fetch hific --from FILE", "weights=FILE"):
        assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_fetched_variants_are_the_qualities(checkpoint_file: Path, codec: HificCodec, tmp_path: Path) -> None:
    fetch(checkpoint_file)
    med = tmp_path / "hific-med.pt"
    torch.save(checkpoint(replace(SMALL, likelihood="logistic", signed_range=False)), med)
    fetch(med)
    both = open_codec("hific")
    assert both.qualities == (1.0, 2.0)
    image = example_picture(50, 60)
    assert both.encode(image, 1) == codec.encode(image, 1)
    stream = both.encode(image, 2)
    assert unpack(stream).variant == "med"
    assert both.decode(stream).shape == image.shape
    assert open_codec("hific:variant=med").qualities == (2.0,)
    with pytest.raises(UsageError, match="no weights here for high"):
        open_codec("hific:variant=high")


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_commands(checkpoint_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture, stream, decoded = tmp_path / "in.png", tmp_path / "x.hic", tmp_path / "out.png"
    picture.write_bytes(png_bytes(example_picture(64, 48)))
    assert call("encode", "--codec", "hific", "--quality", "1", str(picture), str(stream)) == 2
    assert "fetch hific --from FILE" in capsys.readouterr().err
    assert call("fetch", "hific") == 2
    assert "zenodo" in capsys.readouterr().err
    assert call("fetch", "hific", "--from", str(checkpoint_file)) == 0
    assert str(kept_file("low")) in capsys.readouterr().out
    assert call("encode", "--codec", "hific", "--quality", "1", str(picture), str(stream)) == 0
    assert codec_of(stream.read_bytes()) == "hific"
    assert call("decode", str(stream), str(decoded)) == 0
    assert load_image(decoded).shape == (64, 48, 3)


def test_claims_that_the_bytes_or_the_memory_cannot_hold(codec: HificCodec, monkeypatch: pytest.MonkeyPatch) -> None:
    data = codec.encode(example_picture(83, 70), 1)
    monkeypatch.setattr(memory, "available_bytes", lambda: 2**50)
    with pytest.raises(CorruptStream, match="an image of this size has at least"):
        codec.decode(forge(data, height=4096, width=8192))
    monkeypatch.setattr(memory, "available_bytes", lambda: MEMORY.of(128, 128) - 1)
    with pytest.raises(BenchmarkError, match="an image of 128x128 would take about"):
        codec.decode(data)
