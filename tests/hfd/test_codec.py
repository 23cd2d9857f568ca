import contextlib
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from compressai.ans import BufferedRansEncoder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as PillowImage

from benchmark.codecs import open_codec
from benchmark.datasets.shipped import FOLDER
from benchmark.errors import BenchmarkError, CorruptStream, UsageError
from benchmark.hfd import bases
from benchmark.hfd.codec import HfdCodec, MseCodec, hfd, mse
from benchmark.hfd.container import pack, unpack
from benchmark.hfd.decoders import KINDS
from benchmark.hfd.decoders.diffusion import DiffusionSettings
from benchmark.hfd.decoders.flow import FlowSettings
from benchmark.hfd.decoders.one_step import OneStepSettings
from benchmark.hfd.entropy import _tables, code_length, gaussian_tables
from benchmark.hfd.exact import LATENT_ONE
from benchmark.hfd.sampling import Sampler
from benchmark.hfd.weights import SHIPPED


@pytest.fixture(scope="module")
def tiny_mse(first_stage_file: Path) -> MseCodec:
    return mse("cpu", first_stage=first_stage_file)


@pytest.fixture(scope="module")
def tiny_hfd(first_stage_file: Path, flow_file: Path) -> HfdCodec:
    return hfd("cpu", first_stage=first_stage_file, weights=flow_file)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2)))


def test_same_payload_and_small_container(tiny_mse: MseCodec, tiny_hfd: HfdCodec, picture: np.ndarray) -> None:
    for quality in tiny_mse.qualities:
        streams = [codec.encode(picture, quality) for codec in (tiny_mse, tiny_hfd)]
        payloads = [unpack(stream).payload for stream in streams]
        assert payloads[0] == payloads[1]
        assert all(len(stream) - len(payloads[0]) <= 24 for stream in streams)


def test_more_bits_at_higher_quality(tiny_mse: MseCodec, picture: np.ndarray) -> None:
    streams = [tiny_mse.encode(picture, quality) for quality in (1, 1.5, 2, 2.5, 3)]
    sizes = [len(stream) for stream in streams]
    assert sizes == sorted(sizes)
    fidelity = [psnr(picture, tiny_mse.decode(stream)) for stream in streams]
    assert fidelity == sorted(fidelity)
    assert fidelity[-1] > 25


@given(st.integers(1, 70), st.integers(1, 70), st.floats(1, 3), st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_size(tiny_hfd: HfdCodec, height: int, width: int, quality: float, seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    decoded = tiny_hfd.decode(tiny_hfd.encode(image, quality))
    assert decoded.shape == image.shape
    assert decoded.dtype == np.uint8


@pytest.mark.parametrize("value", [0, 255])
def test_flat_pictures(tiny_mse: MseCodec, value: int) -> None:
    image = np.full((64, 96, 3), value, dtype=np.uint8)
    decoded = tiny_mse.decode(tiny_mse.encode(image, 3))
    assert np.abs(decoded.astype(int) - value).mean() < 8


def test_decoder_seed(tiny_hfd: HfdCodec, picture: np.ndarray) -> None:
    stream = tiny_hfd.encode(picture, 2)
    first = tiny_hfd.decode(stream)
    assert np.array_equal(first, tiny_hfd.decode(stream))
    assert np.array_equal(first, tiny_hfd.decode(stream, seed=0))
    assert not np.array_equal(first, tiny_hfd.decode(stream, seed=1))


def test_seed_of_the_stream(first_stage_file: Path, flow_file: Path, tiny_hfd: HfdCodec, picture: np.ndarray) -> None:
    other = hfd("cpu", first_stage=first_stage_file, weights=flow_file, seed=300)
    stream = other.encode(picture, 2)
    assert unpack(stream).seed == 300
    assert np.array_equal(tiny_hfd.decode(stream), tiny_hfd.decode(stream, seed=300))


def test_latents_are_exact_without_onednn_and_on_any_thread_count(tiny_mse: MseCodec, picture: np.ndarray) -> None:
    stage = tiny_mse.first_stage
    payload = unpack(tiny_mse.encode(picture, 2)).payload
    expected = stage.decode_latents(payload, *picture.shape[:2], 32)
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            with torch.backends.mkldnn.flags(enabled=False):
                assert torch.equal(stage.decode_latents(payload, *picture.shape[:2], 32), expected)
    finally:
        torch.set_num_threads(before)


def test_encoder_knows_what_the_decoder_will_have(tiny_mse: MseCodec, picture: np.ndarray) -> None:
    stage = tiny_mse.first_stage
    generator = torch.Generator().manual_seed(0)
    y = torch.randn(1, 60, 5, 6, generator=generator) * 4
    z = torch.round(torch.randn(1, 4, 2, 2, generator=generator) * 3).double()
    scales = stage.coder.scale_of_level(1, 7, 32)
    coded = stage.coder.encode(y, z, scales)
    assert torch.equal(stage.coder.decode(coded.stream, 5, 6, scales), coded.y_hat)
    error = (coded.y_hat / LATENT_ONE - y).abs()
    assert float(error.max()) <= 0.5  # rounded to the nearest


def test_bits_close_to_the_estimate(tiny_mse: MseCodec) -> None:
    generator = np.random.default_rng(0)
    image = generator.integers(0, 256, (256, 256, 3), dtype=np.uint8)
    model = tiny_mse.first_stage.model
    x = torch.from_numpy(image.transpose(2, 0, 1))[None].float() / 255 - 0.5
    with torch.no_grad():
        _, bpp = model(x, torch.tensor([3.0]))
    payload = unpack(tiny_mse.encode(image, 3)).payload
    assert len(payload) * 8 / 256**2 == pytest.approx(float(bpp), rel=0.01)


@given(st.lists(st.tuples(st.integers(0, 82), st.integers(-3000, 3000)), max_size=60), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_code_length_is_what_the_coder_writes(drawn: list[tuple[int, int]], seed: int) -> None:
    tables = _tables(*gaussian_tables())
    generator = np.random.default_rng(seed)
    usual = [(row, round(generator.normal(0, 2 ** (row / 8 - 3.25)))) for row in generator.integers(0, 83, 500)]
    rows, symbols = (torch.tensor(column) for column in zip(*usual, *drawn, strict=True))  # those drawn: escapes too
    coder = BufferedRansEncoder()
    coder.encode_with_indexes(symbols.tolist(), rows.tolist(), tables.cdfs, tables.lengths, tables.offsets)
    written = len(coder.flush())
    assert written - 8 <= code_length(symbols, rows, tables) / 8 <= written  # the coder's state goes out as a whole


@pytest.mark.parametrize("quality", [1, 2.2, 3])
def test_estimated_bits_are_the_payload_s(
    first_stage_file: Path, tiny_hfd: HfdCodec, picture: np.ndarray, quality: float
) -> None:
    codec = mse("cpu", first_stage=first_stage_file)
    stream, bits = codec.encode_with_estimate(picture, quality)
    assert stream == codec.encode(picture, quality)
    assert codec.estimate_bits(picture, quality) == bits
    assert tiny_hfd.estimate_bits(picture, quality) == bits
    assert tiny_hfd.encode_with_estimate(picture, quality) == (tiny_hfd.encode(picture, quality), bits)
    assert abs(bits / 8 - len(unpack(stream).payload)) <= 8
    assert abs(len(stream) - len(unpack(stream).payload) - codec.header_bytes) <= 4


@pytest.mark.parametrize("kind", ["mse", "hfd"])
def test_a_stream_is_unpacked_once(
    kind: str, tiny_mse: MseCodec, tiny_hfd: HfdCodec, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    codec: MseCodec | HfdCodec = {"mse": tiny_mse, "hfd": tiny_hfd}[kind]
    data, seen = codec.encode(picture, 2), []
    monkeypatch.setattr(bases, "unpack", lambda stream: seen.append(stream) or unpack(stream))
    assert codec.decode(data).shape == picture.shape
    assert seen == [data]


@given(st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_forged_payloads_never_crash(tiny_mse: MseCodec, picture: np.ndarray, data: st.DataObject) -> None:
    """With the checksum made to fit, an image of the right size or a clear refusal."""
    container = unpack(tiny_mse.encode(picture, 2))
    payload = bytearray(container.payload)
    for _ in range(data.draw(st.integers(1, 5))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(payload)))
    forged = pack(type(container)(**{**container.__dict__, "payload": bytes(payload[:cut])}))
    with contextlib.suppress(CorruptStream):
        assert tiny_mse.decode(forged).shape == picture.shape


def test_refusals(tiny_mse: MseCodec, tiny_hfd: HfdCodec, picture: np.ndarray) -> None:
    stream = tiny_mse.encode(picture, 1)
    with pytest.raises(CorruptStream, match="--codec mse"):
        tiny_hfd.decode(stream)
    with pytest.raises(CorruptStream, match="CRC"):
        tiny_mse.decode(stream[:-1])
    container = unpack(stream)
    foreign = pack(type(container)(**{**container.__dict__, "weights": b"\0\0\0\0"}))
    with pytest.raises(CorruptStream, match="weights 00000000"):
        tiny_mse.decode(foreign)
    for quality in (0.5, 3.1, float("nan")):
        with pytest.raises(UsageError, match="quality"):
            tiny_mse.encode(picture, quality)


@pytest.mark.parametrize(
    ("settings_", "words"),
    [
        ({"stepz": "3"}, "no setting 'stepz'"),
        ({"steps": "0"}, "codec hfd:decoder=flow: steps is a whole number from 1 to 1000, not '0'"),
        ({"steps": "two"}, "steps is a whole number .*, not 'two'"),
        ({"noise": "3"}, "noise is a number from 0 to 2, not '3'"),
        ({"sampler": "rk4"}, "sampler is euler or heun, not 'rk4'"),
        ({"seed": "-1"}, "codec hfd: seed is a whole number from 0 to 16383, not '-1'"),
        ({"precision": "float16"}, "precision is float32 or bfloat16, not 'float16'"),
        ({"decoder": "gan"}, "decoder is one-step, diffusion, flow or energy, not 'gan'"),
        ({"model": "huge"}, "model is small or paper, not 'huge'"),
        ({"first_stage": "nowhere.safetensors"}, "no weights at nowhere"),
    ],
)
def test_settings_are_checked(settings_: dict[str, str], words: str, first_stage_file: Path, flow_file: Path) -> None:
    given_ = {"first_stage": str(first_stage_file), "weights": str(flow_file), **settings_}
    with pytest.raises(BenchmarkError, match=words):
        open_codec("hfd:" + ",".join(f'{key}="{value}"' for key, value in given_.items()))


def test_decoder_of_another_first_stage_is_refused(flow_file: Path) -> None:
    with pytest.raises(UsageError, match="was trained on the first stage"):
        hfd("cpu", weights=flow_file)


HEAVY = ("torch_geometric", "torch._dynamo", "torchvision", "scipy.stats._stats_py")
"""What takes longer to import than a small image to decode, and that our codecs do not need."""


@pytest.mark.long
def test_shipped_codec_in_another_process_directory_and_thread_count(tmp_path: Path) -> None:
    """The bytes alone, in a fresh process on one thread, give the image that this process gives on two."""
    photo = next(FOLDER.glob("*otters.png"))
    original = np.asarray(PillowImage.open(photo))[100:229, 50:200]
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        codecs = {"mse": mse("cpu"), "hfd": hfd("cpu")}
        for name, codec in codecs.items():
            (tmp_path / name).write_bytes(codec.encode(original, 2))
        two = [codec.decode((tmp_path / name).read_bytes()) for name, codec in codecs.items()]
    finally:
        torch.set_num_threads(before)
    code = (
        "import sys, numpy as np, torch; from pathlib import Path; from benchmark.hfd.codec import hfd, mse; "
        "assert torch.get_num_threads() == 1; "
        "codecs = {'mse': mse('cpu'), 'hfd': hfd('cpu')}; "
        "np.save('one.npy', np.stack([codec.decode(Path(name).read_bytes()) for name, codec in codecs.items()])); "
        f"sys.exit([name for name in {HEAVY} if name in sys.modules] or 0)"
    )
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        check=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1", "PATH": ""},
    )
    one = np.load(tmp_path / "one.npy")
    assert np.array_equal(one, two)
    assert psnr(original, one[0]) > 25
    assert psnr(original, one[1]) > psnr(original, one[0]) - 3.5


def test_shipped_weights_are_there_with_their_cards() -> None:
    for name in ("first-stage-small", *(f"{kind}-small" for kind in KINDS if kind != "energy")):
        assert (SHIPPED / f"{name}.safetensors").is_file()
        assert (SHIPPED / f"{name}.md").is_file()


def test_named_weights_say_which_decoder_they_are(flow_file: Path, first_stage_file: Path) -> None:
    assert hfd("cpu", first_stage=first_stage_file, weights=flow_file).kind == "flow"
    with pytest.raises(BenchmarkError, match="holds 'flow' weights, not 'diffusion' ones"):
        hfd("cpu", first_stage=first_stage_file, weights=flow_file, decoder="diffusion")
    with pytest.raises(BenchmarkError, match="holds 'first stage' weights, not a score-based decoder's"):
        hfd("cpu", weights=first_stage_file)


def test_shipped_decoders(picture: np.ndarray) -> None:
    """One payload; each decoder has its own name in the stream, and adds something of its own."""
    default, flow, diffusion = hfd("cpu"), hfd("cpu", decoder="flow"), hfd("cpu", decoder="diffusion")
    control = hfd("cpu", decoder="diffusion", sampler="noise", noise="0.2")
    assert default.kind == "one-step"
    payload = flow.encode(picture, 2)
    with pytest.raises(CorruptStream, match="decode it with --codec hfd:decoder=flow"):
        default.decode(payload)
    assert control.encode(picture, 2) == diffusion.encode(picture, 2)
    pictures = [codec.decode(codec.encode(picture, 2)) for codec in (default, flow, diffusion, control)]
    assert not any(np.array_equal(one, other) for one, other in combinations(pictures, 2))


@pytest.mark.parametrize("key", ["steps", "sampler", "noise", "shift"])
def test_one_step_has_no_path_to_set(key: str) -> None:
    value = {"sampler": "ddim"}.get(key, "1")
    with pytest.raises(UsageError, match=f"the one-step decoder has no {key}; decoder=diffusion.* ha(s|ve) it"):
        hfd("cpu", **{key: value})


@pytest.mark.parametrize(
    ("sampler", "key"), [("ddim", "noise"), ("noise", "steps"), ("noise", "shift"), ("noise", "realism")]
)
def test_settings_that_would_do_nothing_are_refused(sampler: str, key: str) -> None:
    with pytest.raises(UsageError, match=f"sampler={sampler} has no {key}"):
        hfd("cpu", decoder="diffusion", sampler=sampler, **{key: "1"})


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({"decoder": "flow", "sampler": "heun", "steps": "3", "noise": "0.5"}, FlowSettings(3, "heun", 0.5, 1.0)),
        ({"decoder": "diffusion", "noise": "0.2", "realism": "1"}, DiffusionSettings(4, "ancestral", 0.2, 1.0, 1.0)),
        (
            {"decoder": "diffusion", "sampler": "ddim", "shift": "0.5", "steps": "64", "realism": "0"},
            DiffusionSettings(64, "ddim", 0.4, 0.5, 0.0),
        ),
        ({"realism": "0.8"}, OneStepSettings(0.8)),
    ],
)
def test_settings_reach_the_sampler(chosen: dict[str, str], expected: Sampler) -> None:
    assert hfd("cpu", **chosen).decoder.sampler == expected


@pytest.mark.parametrize("base", ["autoencoder", "avif", "jpeg"])
def test_realism_of_one_step_is_how_far_samples_are_apart(picture: np.ndarray, base: str) -> None:
    apart = []
    for realism in ("0", "0.5", "1"):
        codec = hfd("cpu", decoder="one-step", base=base, realism=realism)
        data = codec.encode(picture, 2)
        one, other = (codec.decode(data, seed).astype(float) for seed in (1, 2))
        apart.append(float(np.abs(one - other).mean()))
    assert apart[0] < apart[1] / 1.5 < apart[2] / 1.5**2


def test_control_is_x_hat_and_noise_of_the_residuals_deviation(picture: np.ndarray) -> None:
    weak, strong = (hfd("cpu", decoder="diffusion", sampler="noise", noise=noise) for noise in ("0.1", "0.4"))
    data = weak.encode(picture, 2)
    x_hat = hfd("cpu", decoder="diffusion", sampler="noise", noise="0").decode(data).astype(float)
    added = [(codec.decode(data) - x_hat).ravel() for codec in (weak, strong)]
    assert np.corrcoef(*added)[0, 1] > 0.9
    assert added[1].std() / added[0].std() == pytest.approx(4, rel=0.15)  # rounding and clamping aside
