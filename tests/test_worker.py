"""The one file that runs in other interpreters."""

import ast
import importlib.metadata
import io
import subprocess
import sys
from collections import OrderedDict, defaultdict
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from benchmark import worker
from benchmark.elsewhere import BOOT

SOURCE = Path(worker.__file__).read_text(encoding="utf-8")
OLDEST = (3, 8)
IN_LATER = {"annotationlib"}  # asked for where only that version can come
ALSO_IN_OLDEST = {
    "collections",
    "contextlib",
    "faulthandler",
    "glob",
    "hashlib",
    "importlib",
    "inspect",
    "json",
    "operator",
    "os",
    "platform",
    "re",
} | {*("resource", "select", "shutil", "signal", "struct", "sys", "tempfile", "time", "traceback", "typing")}


def test_its_syntax_is_of_the_oldest_python() -> None:
    ast.parse(SOURCE, feature_version=OLDEST)


def test_it_imports_nothing_but_numpy_and_what_every_python_has() -> None:
    names = set()
    for node in ast.walk(ast.parse(SOURCE)):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").partition(".")[0])
    assert names - ALSO_IN_OLDEST - IN_LATER == {"numpy", "__future__"}


def test_owners_of_a_module_are_those_that_python_finds() -> None:
    known = importlib.metadata.packages_distributions()
    names = [*sorted(known)[::30], "numpy", "PIL", "torch", "beside"]
    assert {name: set(worker._owners(name)) for name in names} == {name: set(known.get(name, ())) for name in names}


def test_methods_that_came_later_are_not_called() -> None:
    later = {"removeprefix", "removesuffix", "bit_count", "file_digest", "stdlib_module_names", "is_relative_to"}
    assert not later & {node.attr for node in ast.walk(ast.parse(SOURCE)) if isinstance(node, ast.Attribute)}


def test_messages_come_back(tmp_path: Path) -> None:
    stream = io.BytesIO()
    worker.write(stream, {"a": [1, "é"]}, [b"xy", np.arange(3, dtype="<u2")])
    stream.seek(0)
    assert worker.read(stream) == ({"a": [1, "é"]}, b"xy\0\0\1\0\2\0")
    with pytest.raises(EOFError):
        worker.read(stream)


@pytest.mark.parametrize("dtype", ["<u1", "<f4", ">u2", "?", "<c8", "<i8"])
def test_arrays_come_back_whatever_their_layout(dtype: str) -> None:
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    for one in (array, array[::-1, ::2], np.asfortranarray(array), array[:0], array[0, 0, :1]):
        packed, buffers = worker.pack([one])
        (back,) = worker.unpack(packed, memoryview(b"".join(map(bytes, buffers))))
        assert back.shape == one.shape
        np.testing.assert_array_equal(back, one)


@pytest.mark.parametrize("one", [OrderedDict(a=1), defaultdict(int, a=1), MappingProxyType({"a": 1}), {"a": 1}])
def test_mappings_of_any_kind_come_back(one: Mapping[str, int]) -> None:
    """A description may be any of them in this process, too."""
    packed, buffers = worker.pack(one)
    assert worker.unpack(packed, memoryview(b"".join(buffers))) == {"a": 1}


def test_what_is_no_plain_value_keeps_its_name() -> None:
    """So that the suite's refusal reads as it does for a codec of its own process."""

    class Tensor:
        pass

    for value, name in ((Tensor(), "Tensor"), ({1}, "set"), (np.ma.masked_array([1]), "MaskedArray")):
        packed, buffers = worker.pack(value)
        assert type(worker.unpack(packed, memoryview(b"".join(buffers)))).__name__ == name


@pytest.mark.parametrize(
    ("value", "data", "reason"),
    [
        ({"bytes": 9, "class": "bytes"}, b"abc", "a buffer of 9 bytes where 3 are left"),
        ({"bytes": -1, "class": "bytes"}, b"abc", "a buffer of -1 bytes"),
        ({"array": "|O8", "shape": [1], "bytes": 8}, bytes(8), "no array of numbers"),
        ({"array": "|u1", "shape": [-1], "bytes": 3}, b"abc", "no array of numbers"),
        ({"array": "|u1", "shape": [2], "bytes": 3}, b"abc", "cannot reshape"),
        ({"number": 1, "class": "object_"}, b"", "no number"),
        ([], b"abc", "3 bytes more than it says"),
    ],
)
def test_a_value_that_cannot_be_is_refused(value: object, data: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        worker.unpack(value, memoryview(data))


@pytest.mark.parametrize(
    "data", [b"", b"garbage that is no message", worker.HEAD.pack(worker.MAGIC, 2**31, 2**62), b"HFDm" + b"\0" * 12]
)
def test_requests_that_are_none_end_it_quietly(data: bytes) -> None:
    source = SOURCE.encode()
    done = subprocess.run(
        [sys.executable, "-c", BOOT],
        input=b"%d\n" % len(source) + source + data,
        capture_output=True,
        timeout=600,
        start_new_session=True,  # its watcher ends its whole group
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, worker.GREETING, b"")


def test_hints_of_any_python_are_read() -> None:
    def make(a: "int | None" = None, b: "float" = 1.0, c: "NoSuchName" = None, d: bool = False) -> None:  # type: ignore[name-defined]  # noqa: F821
        pass

    hints = worker.hints_of(make)
    assert worker.converted("3", hints["a"], "a") == 3
    assert worker.converted("3", hints["b"], "b") == 3.0
    assert "c" not in hints
    assert worker.converted("off", hints["d"], "d") is False


def test_bounds_of_annotations_hold() -> None:
    from typing import Annotated

    from pydantic import Field

    hint = Annotated[int, Field(ge=1, le=9)]
    assert worker.converted("9", hint, "n") == 9
    with pytest.raises(worker.Refused, match="n is at most 9, not '10'"):
        worker.converted("10", hint, "n")
    with pytest.raises(worker.Refused, match="n is at least 1, not '0'"):
        worker.converted("0", hint, "n")


def test_hashes_are_those_of_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.pt").write_bytes(b"b")
    (tmp_path / "a.pt").write_bytes(b"a")
    of_a = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
    assert worker.hashes(str(tmp_path / "a.pt")) == {"": of_a}
    assert list(worker.hashes(str(tmp_path))) == ["a.pt", "sub/b.pt"]
    assert worker.hashes(str(tmp_path / "none")) == {}
    for pattern in ("*.pt", "{q}.pt", "?.pt", "%d.pt"):
        assert worker.hashes(str(tmp_path / pattern)) == {"a.pt": of_a}
    assert list(worker.hashes(str(tmp_path / "**/*.pt"))) == ["a.pt", "sub/b.pt"]
    assert worker.hashes(str(tmp_path / "a"), (".ckpt", ".pt")) == {"a.pt": of_a}
    assert worker.hashes("{q}") == worker.hashes("*") == {}
