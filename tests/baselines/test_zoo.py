"""CompressAI's architectures with narrow random networks: streams, their length, and what is refused."""

import pickle
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from compressai.models import Cheng2020AnchorCheckerboard
from compressai.zoo import image_models
from support.web_server import served
from support.zygote import Zygote

from benchmark.baselines import zoo
from benchmark.baselines.zoo import ARCHITECTURES, ZooCodec
from benchmark.codecs import Codec, Image, open_codec
from benchmark.errors import BenchmarkError, CorruptStream, UsageError
from benchmark.hfd import memory

PICTURE = np.random.default_rng(0).integers(0, 256, (50, 45, 3), dtype=np.uint8)


def network(model: str) -> Any:
    """A network of `model` with a dozen channels and random weights, the same ones each time."""
    torch.manual_seed(0)
    names = {"bmshj2018-factorized-relu": "bmshj2018_factorized_relu"}
    kinds = zoo.fixed_rate.model_architectures | zoo.variable_rate.model_architectures
    kind = kinds[names.get(model, model)]
    if model.startswith("cheng2020"):
        return kind(12)
    made = kind(12, 12, vr_entbttlnck=True) if model in ARCHITECTURES[7:9] else kind(12, 12)
    with torch.no_grad():
        made.g_a[-1].weight.mul_(100)  # latents that are not all rounded to 0
    return made


def weights_of(model: str, folder: Path) -> Path:
    path = folder / f"{model}.pth"
    torch.save(network(model).state_dict(), path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("weights")


def opened(model: str, folder: Path) -> ZooCodec:
    path = weights_of(model, folder)
    codec = open_codec(f"compressai:model={model},weights={path}")
    assert isinstance(codec, ZooCodec)
    assert isinstance(codec, Codec)
    return codec


def test_the_table_is_the_zoo() -> None:
    assert set(ARCHITECTURES) | set(zoo.NEWER) == set(image_models)
    assert len(set(ARCHITECTURES)) <= zoo.ANOTHER


@pytest.mark.parametrize("model", ARCHITECTURES)
def test_bytes_suffice_and_give_the_networks_own_reconstruction(model: str, folder: Path) -> None:
    codec = opened(model, folder)
    data = codec.encode(PICTURE, codec.qualities[-1])
    decoded = opened(model, folder).decode(data)  # networks of its own
    assert decoded.shape == PICTURE.shape
    assert decoded.dtype == np.uint8
    again = codec.decode(codec.encode(PICTURE, codec.qualities[-1]))
    np.testing.assert_array_equal(decoded, again)
    assert len(np.unique(decoded)) > 1


@pytest.mark.parametrize("model", ["bmshj2018-factorized", "bmshj2018-hyperprior", "mbt2018-mean"])
def test_the_picture_is_what_the_network_reconstructs_from_its_rounded_latents(model: str, folder: Path) -> None:
    codec = opened(model, folder)
    image = np.resize(PICTURE, (64, 40, 3))
    plain = network(model).eval()
    plain.update(force=True)
    padded = np.pad(image, ((0, 0), (0, -40 % plain.downsampling_factor), (0, 0)), mode="edge")
    with torch.no_grad():
        out = plain(torch.from_numpy(padded.copy()).permute(2, 0, 1)[None].float() / 255)["x_hat"]
    expected = out[0, :, :64, :40].clamp(0, 1).mul(255).permute(1, 2, 0).numpy()
    difference = np.abs(codec.decode(codec.encode(image, 1)).astype(float) - expected)
    assert difference.max() <= 0.5  # of rounding to uint8


def test_each_quality_of_a_variable_rate_network_is_another_rate(folder: Path) -> None:
    codec = opened("mbt2018-mean-vbr", folder)
    lengths = [len(codec.encode(PICTURE, quality)) for quality in codec.qualities]
    assert len(lengths) == 8
    assert lengths == sorted(lengths)
    assert lengths[-1] > 1.2 * lengths[0]
    first = codec.encode(PICTURE, 1)  # after another quality's tables were in place
    assert len(first) == lengths[0]
    assert codec.decode(first).shape == PICTURE.shape


def test_header_and_checksum_are_all_that_is_beside_the_strings(folder: Path) -> None:
    codec = opened("mbt2018-mean", folder)
    padded = torch.from_numpy(np.pad(PICTURE, ((0, 14), (0, 19), (0, 0)), mode="edge")).permute(2, 0, 1)[None]
    plain = network("mbt2018-mean").eval()
    plain.update(force=True)
    with torch.no_grad():
        strings = plain.compress(padded.float() / 255)["strings"]
    assert len(codec.encode(PICTURE, 1)) == sum(len(string) for (string,) in strings) + 25


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (65, 3)])
def test_small_pictures(shape: tuple[int, int], folder: Path) -> None:
    codec = opened("mbt2018-mean", folder)
    image: Image = np.full((*shape, 3), 77, np.uint8)
    assert codec.decode(codec.encode(image, 1)).shape == image.shape


def test_damaged_and_foreign_streams_are_refused(folder: Path) -> None:
    codec = opened("bmshj2018-hyperprior", folder)
    data = codec.encode(PICTURE, 1)
    for length in (0, 2, 12, len(data) // 2, len(data) - 1):
        with pytest.raises(CorruptStream):
            codec.decode(data[:length])
    for position in range(0, len(data), 7):
        broken = bytearray(data)
        broken[position] ^= 16
        with pytest.raises(CorruptStream):
            codec.decode(bytes(broken))
    with pytest.raises(CorruptStream, match="model=bmshj2018-hyperprior decodes it"):
        opened("mbt2018", folder).decode(data)
    torch.manual_seed(1)
    torch.save(type(network("bmshj2018-hyperprior"))(12, 12).state_dict(), folder / "other.pth")
    other = open_codec(f"compressai:model=bmshj2018-hyperprior,weights={folder / 'other.pth'}")
    with pytest.raises(CorruptStream, match="other weights"):
        other.decode(data)


def test_a_stream_of_another_kind_of_machine_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    codec = opened("mbt2018-mean", folder)
    data = codec.encode(PICTURE, 1)
    monkeypatch.setattr(zoo, "machine_fingerprint", lambda: b"else")
    with pytest.raises(CorruptStream, match="another kind of machine"):
        codec.decode(data)


def test_a_file_for_each_quality(folder: Path) -> None:
    for quality in (2, 5):
        torch.save(network("mbt2018-mean").state_dict(), folder / f"q{quality}.pth")
    codec = open_codec(f"compressai:weights={folder}/q{{q}}.pth")
    assert codec.qualities == (2, 5)
    assert codec.decode(codec.encode(PICTURE, 5)).shape == PICTURE.shape
    assert codec.describe()["weights"].keys() == {"2", "5"}
    with pytest.raises(UsageError, match="quality 3 is none of 2, 5"):
        codec.encode(PICTURE, 3)
    single = open_codec(f"compressai:weights={folder}/q2.pth,quality=4")
    assert single.qualities == (4,)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ("model=mbt2019", "codec compressai: model is bmshj2018-factorized, .* or mbt2018-vbr, not 'mbt2019'"),
        ("metric=lpips", "metric is mse or ms-ssim, not 'lpips'"),
        ("model=mbt2018-vbr,metric=ms-ssim", "no published weights"),
        ("model=bmshj2018-factorized-relu", "no published weights"),
        ("quality=3", "goes with weights"),
        ("weights=nowhere/{q}.pth", "no such file"),
        ("weights=nowhere.pth,quality=x", "quality is a whole number from 0 to 99, not 'x'"),
        ("speed=3", "no setting 'speed'"),
    ],
)
def test_settings_that_cannot_be_meant(settings: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        open_codec(f"compressai:{settings}")


def test_files_that_hold_no_weights_of_the_model(folder: Path) -> None:
    (folder / "text.pth").write_text("no weights")
    for path in (folder / "text.pth", weights_of("bmshj2018-factorized", folder)):
        with pytest.raises(BenchmarkError, match="holds no weights of mbt2018") as caught:
            open_codec(f"compressai:model=mbt2018,weights={path}").encode(PICTURE, 1)
        assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="there is no file"):
        open_codec("compressai:weights=nowhere.pth").encode(PICTURE, 1)


def test_without_network_the_error_says_where_the_file_belongs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(zoo.fixed_rate, "root_url", "http://127.0.0.1:1")
    urls = {"mbt2018-mean": {"mse": {quality: f"http://127.0.0.1:1/m-{quality}.pth.tar" for quality in range(1, 9)}}}
    monkeypatch.setattr(zoo.fixed_rate, "model_urls", urls)
    codec = open_codec("compressai")
    with pytest.raises(BenchmarkError, match=r"quality 3: http.*put it here: .*checkpoints/m-3\.pth\.tar") as caught:
        codec.encode(PICTURE, 3)
    assert "\n" not in str(caught.value)
    place = tmp_path / "hub" / "checkpoints" / "m-3.pth.tar"
    torch.save(network("mbt2018-mean").state_dict(), place)
    assert codec.decode(codec.encode(PICTURE, 3)).shape == PICTURE.shape


def test_every_published_network_has_a_hash_in_its_name() -> None:
    for model in ARCHITECTURES:
        for metric in ("mse", "ms-ssim"):
            for url in zoo.published(model, metric).values():
                assert zoo.hash_in_name(url.rpartition("/")[2]), url
                assert url.startswith("https://")


@pytest.mark.parametrize("there", [True, False])
def test_a_network_that_is_another_file_is_not_unpickled(
    there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file would run code of its own when it is unpickled."""
    (tmp_path / "served").mkdir()
    file = tmp_path / "served" / "m-01234567.pth.tar"
    with file.open("wb") as stream:
        pickle.dump(_Evil(tmp_path / "ran"), stream)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with served(tmp_path / "served") as address:
        urls = {"mbt2018-mean": {"mse": {3: f"{address}/{file.name}"}}}
        monkeypatch.setattr(zoo.fixed_rate, "model_urls", urls)
        place = tmp_path / "torch" / "hub" / "checkpoints" / file.name
        if there:
            place.parent.mkdir(parents=True)
            place.write_bytes(file.read_bytes())
        with pytest.raises(BenchmarkError, match=r"invalid hash value|not the file that http"):
            open_codec("compressai").encode(PICTURE, 3)
    assert not (tmp_path / "ran").exists()
    assert place.exists() == there


class _Evil:
    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.place,)


def forged(data: bytes, **changes: Any) -> bytes:
    """`data` with other numbers in its header or other strings, and a checksum that fits."""
    names = ("magic", "kind", "quality", "height", "width", "weights", "machine")
    fields = dict(zip(names, zoo.HEADER.unpack(data[:17]), strict=True))
    strings = changes.pop("strings", data[17:-4])
    body = zoo.HEADER.pack(*(fields | changes).values()) + strings
    return body + zlib.crc32(body).to_bytes(4, "big")


@pytest.mark.parametrize("model", ["bmshj2018-factorized", "bmshj2018-hyperprior", "mbt2018"])
def test_forged_strings_end_no_process(model: str, folder: Path, tmp_path: Path, coding: Zygote) -> None:
    """CompressAI's coder reads eight bytes of an empty string, and far beyond a long run of ones."""
    data = opened(model, folder).encode(PICTURE, 1)
    two = model != "bmshj2018-factorized"
    program = (
        "import sys; from benchmark.codecs import open_codec; from benchmark.errors import CorruptStream\n"
        "codec = open_codec(sys.argv[1])\n"
        "for line in sys.stdin:\n"
        "    try: print(codec.decode(bytes.fromhex(line)).shape)\n"
        "    except CorruptStream: print('corrupt')"
    )
    least = bytes(200)
    streams = [b"", b"\xff" * 1500, bytes(8)]
    lines = [
        forged(data, strings=len(string).to_bytes(4, "big") + string + least if two else string).hex()
        for string in [*streams, b"\xff" * 300_000]
    ]
    (tmp_path / "streams").write_text("\n".join(lines))
    spec = f"compressai:model={model},weights={folder / f'{model}.pth'}"
    exit_code, out, errors = coding.run(spec, folder=tmp_path, script=program, into="streams")
    assert exit_code == 0, errors
    ends = out.splitlines()
    assert len(ends) == 4
    assert set(ends) <= {"corrupt", "(50, 45, 3)"}
    assert ends[-1] == "corrupt"


def test_claims_that_the_bytes_or_the_memory_cannot_hold(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def not_yet(*_: object, **__: object) -> None:
        raise AssertionError("decoded before it was refused")

    codec = opened("bmshj2018-hyperprior", folder)
    data = codec.encode(PICTURE, 1)
    network = codec._network(1)[0]
    monkeypatch.setattr(network, "decompress", not_yet)
    monkeypatch.setattr(memory, "available_bytes", lambda: 2**50)
    with pytest.raises(CorruptStream, match="an image of this size has at least"):
        codec.decode(forged(data, height=8192, width=16384))
    monkeypatch.setattr(memory, "available_bytes", lambda: zoo.MEMORY.of(64, 64) - 1)
    with pytest.raises(BenchmarkError, match="an image of 64x64 would take about"):
        codec.decode(data)


def test_an_image_that_is_not_finite_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    codec = opened("bmshj2018-factorized", folder)
    data = codec.encode(PICTURE, 1)
    network = codec._network(1)[0]
    monkeypatch.setattr(network, "decompress", lambda *_: {"x_hat": torch.full((1, 3, 64, 64), float("nan"))})
    with pytest.raises(CorruptStream, match="not finite"):
        codec.decode(data)


# Models that a newer CompressAI has besides: made of latent codecs, whose strings and shapes nest


@pytest.fixture
def newer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Weights of a network of latent codecs, by a name that the zoo of the installed version does not have."""
    monkeypatch.setitem(image_models, "checkerboard", checkerboard)
    monkeypatch.setattr(zoo, "NEWER", ("checkerboard",))
    torch.manual_seed(0)
    path = folder / "checkerboard.pth"
    torch.save({"epoch": 3, "state_dict": Cheng2020AnchorCheckerboard(12).state_dict()}, path)
    return path


def checkerboard(pretrained: bool = False) -> Cheng2020AnchorCheckerboard:
    return Cheng2020AnchorCheckerboard(192)


def test_a_newer_model_is_coded_with_nothing_but_its_bytes(newer: Path) -> None:
    codec = zoo.compressai_zoo(model="checkerboard", weights=str(newer))
    data = codec.encode(PICTURE, 1)
    decoded = zoo.compressai_zoo(model="checkerboard", weights=str(newer)).decode(data)
    plain = Cheng2020AnchorCheckerboard(12)
    plain.load_state_dict(torch.load(newer, weights_only=True)["state_dict"])
    plain.eval().update(force=True)
    padded = np.pad(PICTURE, ((0, 78), (0, 83), (0, 0)), mode="edge")
    with torch.no_grad():
        coded = plain.compress(torch.from_numpy(padded).permute(2, 0, 1)[None].float() / 255)
        own = plain.decompress(coded["strings"], coded["shape"])["x_hat"]
    expected = own[0, :, :50, :45].mul(255).round().permute(1, 2, 0).numpy().astype(np.uint8)
    np.testing.assert_array_equal(decoded, expected)
    (first, second, hyper) = (len(string) for (string,) in coded["strings"])
    assert len(data) == zoo.HEADER.size + 4 + 2 * 4 + first + second + hyper


def test_damaged_streams_of_a_newer_model_are_refused(newer: Path, folder: Path) -> None:
    codec = zoo.compressai_zoo(model="checkerboard", weights=str(newer))
    data = codec.encode(PICTURE, 1)
    for strings in (b"", data[17:22], (2**31).to_bytes(4, "big") + data[21:-4]):
        with pytest.raises(CorruptStream):
            codec.decode(forged(data, strings=strings))
    with pytest.raises(CorruptStream, match="of a model that is none of bmshj2018-factorized,"):
        opened("mbt2018-mean", folder).decode(data)
    with pytest.raises(CorruptStream, match="the stream is one of mbt2018-mean; compressai:model=mbt2018-mean decodes"):
        codec.decode(opened("mbt2018-mean", folder).encode(PICTURE, 1))
    with pytest.raises(UsageError, match="checkerboard has no published weights for mse; name yours: weights=FILE"):
        zoo.compressai_zoo(model="checkerboard")


def test_the_identity_of_a_newer_model_has_its_name() -> None:
    network = Cheng2020AnchorCheckerboard(12)
    assert len({zoo._identity(network, name) for name in ("", "stf", "tcm")}) == 3


def test_names_are_those_of_the_installed_version(folder: Path, tmp_path: Path, coding: Zygote) -> None:
    """The names are read when the suite's module is imported, which the copied process has not done."""
    program = (
        "import sys, torch, compressai.zoo as z; from compressai.models import Cheng2020AnchorCheckerboard as C\n"
        "assert 'benchmark.baselines.zoo' not in sys.modules\n"
        "z.image_models['newest'] = lambda quality, pretrained: C(24)\n"
        "torch.save(C(12).state_dict(), sys.argv[1])\n"
        "from benchmark.codecs import open_codec; import numpy\n"
        "codec = open_codec(f'compressai:model=newest,weights={sys.argv[1]},quality=3')\n"
        "image = numpy.zeros((9, 7, 3), numpy.uint8)\n"
        "print(codec.qualities, codec.decode(codec.encode(image, 3)).shape)"
    )
    _, out, errors = coding.run(str(folder / "newest.pth"), folder=tmp_path, script=program)
    assert out == "(3.0,) (9, 7, 3)\n", errors


@pytest.mark.parametrize("wrap", ["bare", "state_dict", "model", "model_state_dict"])
def test_checkpoints_of_trainings_and_older_versions_are_read(wrap: str, tmp_path: Path) -> None:
    """Of DataParallel, of torch.compile, and of CompressAI before 1.2, which kept the bottleneck's numbers in lists."""
    state = network("bmshj2018-hyperprior").state_dict()
    older = {
        "module._orig_mod." + re.sub(r"(?<=entropy_bottleneck\.)(biases|matrices|factors)\.", r"_\1.", name): tensor
        for name, tensor in state.items()
    }
    assert "module._orig_mod.entropy_bottleneck._biases.0" in older
    torch.save(older if wrap == "bare" else {wrap: older, "epoch": 7}, tmp_path / "older.pth")
    torch.save(state, tmp_path / "plain.pth")
    streams = []
    for file in ("older", "plain"):
        codec = open_codec(f"compressai:model=bmshj2018-hyperprior,weights={tmp_path / file}.pth")
        streams.append(codec.encode(PICTURE, 1))
    assert streams[0] == streams[1]
