import json
import zlib
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from benchmark.errors import BenchmarkError
from benchmark.hfd.weights import read_weights, write_weights
from benchmark.packed import HALF, PACKED, SMALLEST, pack, rounded, unpack
from benchmark.training.checkpoint import read_training


def normal(*shape: int, deviation: float = 0.1) -> Tensor:
    return (torch.randn(shape, generator=torch.Generator().manual_seed(0)) * deviation).half()


def shapes_of(metadata: dict[str, str]) -> Any:
    return json.loads(metadata[PACKED])


def test_what_is_packed_comes_back() -> None:
    specials = torch.tensor([0.0, -0.0, 65504, -65504, 6e-8, -6e-8, float("inf")]).half()
    specials = torch.cat([specials, normal(4096)])
    tensors = {
        "a.weight": normal(64, 32, 3, 3),
        "b.weight": normal(40, 40).t(),  # not contiguous
        "specials": specials,
        "small": normal(SMALLEST - 1),
        "zeros": torch.zeros(4096).half(),
        "double": torch.randn(2000).double(),
        "counts": torch.arange(5000, dtype=torch.int32),
        "empty": torch.zeros(0).half(),
    }
    packed, metadata = pack(tensors)
    assert set(shapes_of(metadata)) == {"a.weight", "b.weight", "specials"}
    again = unpack(packed, shapes_of(metadata))
    assert again.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert again[name].dtype == tensor.dtype
        assert again[name].shape == tensor.shape
        assert again[name].flatten().tolist() == tensor.flatten().tolist()
    assert again["specials"].view(torch.int16).equal(specials.view(torch.int16))  # the sign of zero too


def test_nothing_to_pack_leaves_no_word() -> None:
    assert pack({"a": torch.ones(5000)}) == ({"a": pytest.approx(torch.ones(5000))}, {})


def test_fewer_bits_take_fewer_bytes() -> None:
    sizes = []
    for bits in (HALF, 9, 8, 7):
        tensor = rounded(normal(100_000), bits)
        packed, _ = pack({"a": tensor})
        sizes.append(packed["a"].numel() / 200_000)
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] < 0.88
    assert sizes[2] < 0.71


@pytest.mark.parametrize("bits", range(4, HALF + 1))
def test_rounding_keeps_so_many_bits(bits: int) -> None:
    """Against Python's own numbers: the nearest multiple of the unit in the last of the bits, ties to even."""
    values = torch.cat([normal(500), normal(500, deviation=1e-5), torch.tensor([0.0, -0.0, 1.0, 65504.0]).half()])
    for value, near in zip(values.tolist(), rounded(values, bits).tolist(), strict=True):
        if value == 0 or bits == HALF:
            assert near == value
            continue
        exponent = int(torch.frexp(torch.tensor(value, dtype=torch.double))[1])
        unit = 2.0 ** (exponent - bits)
        expected = round(value / unit) * unit
        assert near == (expected if expected < 65520 else float("inf"))


class Network(nn.Module):
    table: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 64)
        self.register_buffer("table", torch.arange(4096, dtype=torch.int32))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    write_weights(tmp_path / "w.safetensors", Network(), "flow", {"levels": 7}, {"decoder": "flow"})
    return tmp_path / "w.safetensors"


def test_files_are_read_as_if_nothing_were_packed(file: Path, tmp_path: Path) -> None:
    assert load_file(file)["layer.weight"].dtype == torch.uint8
    tensors, configuration, identity = read_weights(file, "flow")
    assert tensors["layer.weight"].dtype == torch.float16
    assert tensors["layer.weight"].shape == (64, 64)
    trained, recipe = read_training(file)
    assert recipe["decoder"] == "flow"
    assert trained["layer.weight"].equal(tensors["layer.weight"])
    with safe_open(file, "pt") as opened:
        metadata = {name: text for name, text in opened.metadata().items() if name != PACKED}
    save_file(tensors, tmp_path / "plain.safetensors", metadata)
    again = read_weights(tmp_path / "plain.safetensors", "flow")
    assert again[1:] == (configuration, identity)


def test_a_file_of_fewer_bits(tmp_path: Path, file: Path) -> None:
    torch.manual_seed(0)
    network = Network()
    write_weights(tmp_path / "s.safetensors", network, "flow", {"levels": 7}, {}, bits=6)
    assert (tmp_path / "s.safetensors").stat().st_size < file.stat().st_size
    few, whole = (read_weights(path, "flow")[0] for path in (tmp_path / "s.safetensors", file))
    assert few["table"].equal(whole["table"])
    assert not few["layer.weight"].equal(whole["layer.weight"])
    error = (few["layer.weight"].float() / whole["layer.weight"].float() - 1).abs().max()
    assert float(error) <= 2**-6


def bytes_of(data: bytes) -> Tensor:
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)


DATA = normal(64, 64).view(torch.uint8).numpy().tobytes()


@pytest.mark.parametrize(
    ("tensors", "shapes", "message"),
    [
        ({}, [], "no table of shapes"),
        ({}, {"a": [2]}, "no row of bytes"),
        ({"a": torch.ones(4)}, {"a": [2]}, "no row of bytes"),
        ({"a": bytes_of(DATA).reshape(2, -1)}, {"a": [2]}, "no row of bytes"),
        ({"a": bytes_of(b"xyz" * 99)}, {"a": [2]}, "incorrect header"),
        ({"a": bytes_of(zlib.compress(DATA))}, {"a": [64, 65]}, "does not have the 8320 bytes"),
        ({"a": bytes_of(zlib.compress(DATA))}, {"a": [64, 63]}, "does not have the 8064 bytes"),
        ({"a": bytes_of(zlib.compress(DATA)[:-9])}, {"a": [64, 64]}, "does not have the 8192 bytes"),
        ({"a": bytes_of(zlib.compress(DATA)[:-2])}, {"a": [64, 64]}, "does not have the 8192 bytes"),
        ({"a": bytes_of(zlib.compress(DATA) + b"more")}, {"a": [64, 64]}, "does not have the 8192 bytes"),
        ({"a": bytes_of(zlib.compress(bytes(2**20)))}, {"a": [2**19]}, "too few bytes"),
        ({"a": bytes_of(zlib.compress(DATA))}, {"a": [64, -64]}, "is no shape"),
        ({"a": bytes_of(zlib.compress(DATA))}, {"a": [64.0, 64]}, "is no shape"),
        ({"a": bytes_of(zlib.compress(DATA))}, {"a": "64"}, "is no shape"),
        ({"a": bytes_of(zlib.compress(DATA))}, {"a": [2**40, 2**40]}, "too few bytes"),
    ],
)
def test_what_was_never_packed_is_refused(tensors: dict[str, Tensor], shapes: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        unpack(tensors, shapes)


@pytest.mark.parametrize("text", ["[]", "{", '{"layer.weight": [64]}', '{"nothing": [64, 64]}'])
def test_a_damaged_file_is_told_in_one_line(text: str, file: Path) -> None:
    with safe_open(file, "pt") as opened:
        metadata = opened.metadata() | {PACKED: text}
    save_file(load_file(file), file, metadata)
    for read in (lambda: read_weights(file, "flow"), lambda: read_training(file)):
        with pytest.raises(BenchmarkError) as error:
            read()
        assert len(str(error.value).splitlines()) == 1
        assert file.name in str(error.value)
