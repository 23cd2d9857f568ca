"""Files with one thing wrong: what editors, spreadsheets, broken disks, half copies and other versions make of a file.

Each function takes a generator of random numbers and the file's bytes, and returns what was done, in words, and the
new bytes. The same numbers make the same mutation.
"""

import codecs
import csv
import io
import json
import random
import re
from collections.abc import Callable, Iterator
from typing import Any

Mutation = tuple[str, bytes]
Mutator = Callable[[random.Random, bytes], Mutation]

TEXTS = (
    "",
    " ",
    "a",
    "0",
    "1.5",
    "nan",
    "inf",
    "-1",
    "true",
    "../../etc",
    "/etc/passwd",
    "a\0b",
    "line\nline",
    "\x1b[31m",
    "\ud800",
    "x" * 5000,
    "é" * 100,
    "\u2028",
    "\u202e",
    "[bold]",
    "{0}",
    "%s",
    "<script>",
    "jpeg",
    "psnr",
    "hfd",
)
NUMBERS = (0, -0.0, -1, 1, 2, 0.5, 1e-308, 1e308, 1e400, -1e400, float("nan"), 2**31, 2**53 + 1, 2**63, 2**64, 10**400)


def odd_value(rng: random.Random) -> Any:
    """A value of JSON that hardly any field may have."""
    kinds: tuple[Callable[[], Any], ...] = (
        lambda: None,
        lambda: rng.choice((True, False)),
        lambda: rng.choice(NUMBERS),
        lambda: rng.choice(TEXTS),
        lambda: rng.choice(([], {}, [None], [[]], {"a": 1}, [1, 2, 3], ["a"])),
        lambda: rng.uniform(-100, 100),
    )
    return rng.choice(kinds)()


# Any bytes


def any_bytes(rng: random.Random, data: bytes) -> Mutation:
    """What disks, transfers and copies do."""
    place = rng.randrange(len(data) + 1)
    length = min(rng.choice((1, 1, 2, 8, 64, 512)), len(data) - place)
    kind = rng.randrange(12)
    if kind == 0:
        return f"cut at {place}", data[:place]
    if kind == 1:
        return f"{length} bytes at {place} are gone", data[:place] + data[place + length :]
    if kind == 2 and data:
        place = rng.randrange(len(data))
        return f"a bit of byte {place}", data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :]
    if kind == 3:
        return f"{length} bytes at {place} are zero", data[:place] + bytes(length) + data[place + length :]
    if kind == 4:
        return f"random bytes at {place}", data[:place] + rng.randbytes(length) + data[place + length :]
    if kind == 5:
        return f"{length} bytes at {place} twice", data[: place + length] + data[place:]
    if kind == 6:
        return "a byte order mark", codecs.BOM_UTF8 + data
    if kind == 7:
        return "UTF-16", data.decode("utf-8", "replace").encode(rng.choice(("utf-16", "utf-16-le", "utf-16-be")))
    if kind == 8:
        return "nothing", rng.choice((b"", b"\n", b" ", bytes(100)))
    if kind == 9:
        return "random", rng.randbytes(rng.choice((1, 10, 1000)))
    if kind == 10:
        return "ends of lines", data.replace(b"\n", rng.choice((b"\r\n", b"\r", b"\n\n", b"")))
    return "the file twice", data + data


# JSON


def json_text(rng: random.Random, data: bytes) -> Mutation:
    """One field of a JSON file, or its writing."""
    content = json.loads(data)
    kind = rng.randrange(10)
    if kind == 0:
        return deep(rng, content)
    if kind == 1:
        return twice(rng, data)
    what, content = changed(rng, content)
    return what, written(content)


def json_lines(rng: random.Random, data: bytes) -> Mutation:
    """One line of a file of JSON lines, or the order, number and end of lines."""
    lines = data.splitlines(keepends=True)
    place = rng.randrange(len(lines))
    kind = rng.randrange(12)
    if kind == 0:
        return f"line {place + 1} is gone", b"".join(lines[:place] + lines[place + 1 :])
    if kind == 1:
        return f"line {place + 1} twice", b"".join(lines[: place + 1] + lines[place:])
    if kind == 2:
        rng.shuffle(lines)
        return "lines in another order", b"".join(lines)
    if kind == 3:
        return f"an empty line before {place + 1}", b"".join(
            [*lines[:place], rng.choice((b"\n", b" \n")), *lines[place:]]
        )
    if kind == 4:
        return "half a last line", b"".join(lines)[: -rng.randrange(1, len(lines[-1]))]
    if kind == 5:
        return f"half of line {place + 1}", b"".join(
            [*lines[:place], lines[place][: len(lines[place]) // 2], b"\n", *lines[place + 1 :]]
        )
    what, line = json_text(rng, lines[place].rstrip(b"\n"))
    return f"line {place + 1}: {what}", b"".join([*lines[:place], line.replace(b"\n", b""), b"\n", *lines[place + 1 :]])


def places(content: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value."""
    yield before
    if isinstance(content, dict):
        for key, value in content.items():
            yield from places(value, (*before, key))
    elif isinstance(content, list):
        for index, value in enumerate(content[:20]):
            yield from places(value, (*before, index))


def changed(rng: random.Random, content: Any) -> tuple[str, Any]:
    """`content` with one value missing, more, other, moved or renamed."""
    content = json.loads(json.dumps(content))
    path = rng.choice(list(places(content))[1:] or [()])
    if not path:
        return "all of it", odd_value(rng)
    parent = content
    for key in path[:-1]:
        parent = parent[key]
    key, name = path[-1], ".".join(map(str, path))
    old = parent[key]
    kind = rng.randrange(9)
    if kind == 0:
        del parent[key]
        return f"{name} is gone", content
    if kind == 1 and isinstance(parent, dict):
        parent[rng.choice(("extra", "", "schema_version", *map(str, parent)))] = odd_value(rng)
        return f"a field beside {name}", content
    if kind == 1:
        parent.insert(key, odd_value(rng) if rng.random() < 0.5 else old)
        return f"an entry more before {name}", content
    if kind == 2 and isinstance(parent, dict):
        parent[f"{key}_"] = parent.pop(key)
        return f"{name} is called otherwise", content
    if kind == 3:
        parent[key] = {"1": str(old), "2": [old], "3": {"value": old}, "4": bool(old)}[rng.choice("1234")]
        return f"{name} is of another type: {type(parent[key]).__name__}", content
    if kind == 4 and isinstance(old, int | float) and not isinstance(old, bool):
        parent[key] = rng.choice((-old, old * 1000, old + 1, old / 3, int(old), old * 1e300))
        return f"{name} is {parent[key]}", content
    if kind == 5 and isinstance(parent, dict):
        other = rng.choice(list(parent))
        parent[key], parent[other] = parent[other], parent[key]
        return f"{name} and {other} are swapped", content
    if kind == 6 and isinstance(old, list) and len(old) > 1:
        rng.shuffle(old)
        return f"{name} is in another order", content
    if kind == 7 and isinstance(old, list):
        del old[rng.randrange(len(old) + 1) :]
        return f"{name} is shorter", content
    if kind == 8 and isinstance(old, str) and old:
        parent[key] = rng.choice((old[:-1], old.upper(), old + "\n", old + "\0", "?" + old, old * 50))
        return f"{name} is {parent[key][:40]!r}", content
    parent[key] = odd_value(rng)
    return f"{name} is {str(parent[key])[:40]!r}", content


def deep(rng: random.Random, content: Any) -> Mutation:
    """A field that is nested as deep as no reader likes it."""
    depth = rng.choice((100, 300, 1000, 100_000))
    opening, closing = rng.choice((("[", "]"), ('{"a":', "}")))
    text = json.dumps(content)
    place = rng.choice([match.start() for match in re.finditer(": ", text)] or [0])
    return f"nested {depth} deep", (
        text[: place + 2] + opening * depth + "1" + closing * depth + text[place + 2 :]
    ).encode()


def twice(rng: random.Random, data: bytes) -> Mutation:
    """A key that stands there twice, with the same or another value."""
    text = data.decode()
    keys = list(re.finditer(r'"([^"\\]+)" ?:', text))
    if not keys:
        return "the text twice", data + data
    found = rng.choice(keys)
    value = rng.choice(("null", "1", '"a"', "[]", "{}", "true"))
    return f"{found[1]} twice", (text[: found.start()] + f"{found[0]}{value}," + text[found.start() :]).encode()


def written(content: Any) -> bytes:
    """As JSON, with NaN and Infinity as Python writes them, and halves of surrogate pairs escaped."""
    return json.dumps(content).encode()


# Tables


def table(rng: random.Random, data: bytes) -> Mutation:
    """One cell, column or line of a CSV file, or its dialect."""
    rows = list(csv.reader(io.StringIO(data.decode())))
    place, column = rng.randrange(len(rows)), rng.randrange(len(rows[0]))
    delimiter, kind = ",", rng.randrange(14)
    what = f"line {place + 1}"
    if kind == 0:
        del rows[place]
        what += " is gone"
    elif kind == 1:
        rows.insert(place, list(rows[place]))
        what += " twice"
    elif kind == 2:
        for row in rows:
            del row[column]
        what = f"column {column} is gone"
    elif kind == 3:
        for number, row in enumerate(rows):
            row.insert(column, "extra" if number == 0 else str(number))
        what = f"a column before {column}"
    elif kind == 4:
        delimiter = rng.choice(";\t|")
        what = f"{delimiter!r} between cells"
    elif kind == 5:
        rows = [[cell.replace(".", ",") if re.fullmatch(r"-?\d+\.\d+", cell) else cell for cell in row] for row in rows]
        what = "a comma in numbers"
    elif kind == 6:
        del rows[place][column]
        what += " has a cell less"
    elif kind == 7:
        rows[place].insert(column, rng.choice(("", "1", "a")))
        what += " has a cell more"
    elif kind == 8:
        rows[place] = []
        what += " is empty"
    elif kind == 9:
        rows[0][column] = rng.choice(("", "value", rows[0][column].upper(), " " + rows[0][column], rows[0][0]))
        what = f"column {column} is called {rows[0][column]!r}"
    else:
        old = rows[place][column]
        rows[place][column] = rng.choice(
            (
                "",
                " ",
                "nan",
                "NaN",
                "inf",
                "-inf",
                "NULL",
                "NA",
                "null",
                "None",
                "1e999",
                "1,234.5",
                "1.234,5",
                "1 234",
                "0x10",
                "1_000",
                "-1",
                "0",
                "99",
                "1e308",
                "true",
                "TRUE",
                "False",
                "no",
                "a\nb",
                'a"b',
                "a\0b",
                "\ud7ff",
                "=1+1",
                f" {old}",
                f"{old}0",
                old[:-1],
                f"-{old}",
                f'"{old}',
                old.upper(),
            )
        )
        what += f", column {column}: {old[:30]!r} is {rows[place][column][:30]!r}"
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator="\n", escapechar="\\").writerows(rows)
    return what, out.getvalue().encode("utf-8", "replace")


# Other texts


def toml_text(rng: random.Random, data: bytes) -> Mutation:
    """A table, key or value of a TOML file."""
    lines = data.decode().splitlines()
    place = rng.randrange(len(lines))
    kind = rng.randrange(7)
    if kind == 0:
        del lines[place]
        return f"line {place + 1} is gone", "\n".join(lines).encode()
    if kind == 1:
        lines.insert(place, lines[place])
        return f"line {place + 1} twice", "\n".join(lines).encode()
    if kind == 2:
        lines[place] = rng.choice(
            ("tool = 1", "[tool]", "[[tool.benchmark.gate]]", "a = " + "[" * 5000, "=", "[", '"', "x = {a = 1, a = 2}")
        )
        return f"line {place + 1} is {lines[place][:30]}", "\n".join(lines).encode()
    name, equals, _ = lines[place].partition("=")
    value = rng.choice(
        (
            "nan",
            "inf",
            "-1",
            "true",
            '""',
            '"2 %"',
            '"200 %"',
            '"-1 %"',
            '"inf %"',
            "[]",
            "{}",
            "1979-05-27",
            "0x10",
            "1e400",
            '"0.05"',
            "0.05",
            "9" * 500,
            '"a\\u0000"',
            "0",
            "0.5",
            "1",
        )
    )
    lines[place] = f"{name}= {value}" if equals else f"{lines[place]} {value}"
    return f"line {place + 1}: {lines[place][:60]}", "\n".join(lines).encode()


def list_text(rng: random.Random, data: bytes) -> Mutation:
    """A line of a list of files."""
    lines = data.decode().split("\n")
    place = rng.randrange(len(lines))
    lines[place] = rng.choice(
        (
            "~nobody-here/a.png",
            "~/a.png",
            "a" * 5000,
            "/",
            ".",
            "..",
            "\\",
            "C:\\a.png",
            "a.png\0",
            "# a",
            " ",
            "0" * 64,
            "0" * 64 + "  a.png",
            "SHA256 (a.png) = " + "0" * 64,
            "SHA256 () = x",
            "*",
            "[",
            "file:///",
            "://",
            "a://b",
            lines[0],
            lines[place] + " ",
            lines[place][1:],
            "\x85",
        )
    )
    return f"line {place + 1} is {lines[place][:40]!r}", "\n".join(lines).encode("utf-8", "surrogateescape")


# Arrays


def numpy_array(rng: random.Random, data: bytes) -> Mutation:
    """Kind, shape and numbers of a .npy file of float32 numbers."""
    import numpy as np

    array = np.load(io.BytesIO(data), allow_pickle=False)
    kind = rng.randrange(12)
    if kind == 0:
        array = array.astype(rng.choice(("<f8", ">f4", "<f2", "<i4", "|u1", "<c8", "|b1", "<U3", "|S4")))
    elif kind == 1:
        array = rng.choice(
            (array[0], array[..., None], array.reshape(-1), array.T, array[:0], array[:, :0], array.sum())
        )
    elif kind == 2:
        array = array.copy()
        array.flat[rng.randrange(array.size)] = rng.choice((np.nan, np.inf, -np.inf))
    elif kind == 3:
        buffer = io.BytesIO()
        np.save(buffer, np.array([Pickled()], dtype=object), allow_pickle=True)
        return "an array of objects", buffer.getvalue()
    elif kind == 4:
        import pickle

        return "a pickle", pickle.dumps(Pickled())
    elif kind == 5:
        buffer = io.BytesIO()
        np.savez(buffer, a=array)
        return "an archive of arrays", buffer.getvalue()
    elif kind == 6:
        shape = rng.choice(
            (
                b"(99999999999, 1280)",
                b"(-1, 1280)",
                b"(2, 1280)",
                b"(1, 1279)",
                b"()",
                b"(1280,)",
                b"(True, 1280)",
                b"'a'",
            )
        )
        found = re.search(rb"'shape': \([^)]*\)", data)
        assert found is not None
        head = b"'shape': " + shape
        size = len(found[0])
        padded = (head + b" " * size)[:size] if len(head) <= size else head
        return f"shape {shape.decode()}", data[: found.start()] + padded + data[found.end() :]
    elif kind == 7:
        array = np.asfortranarray(np.repeat(array, 2, axis=0))
    elif kind == 8:
        array = array * np.float32(rng.choice((1e30, 0, -1, 1e-30)))
    elif kind == 9:
        array = array[:, : rng.randrange(1, array.shape[1])]
    elif kind == 10:
        return "bytes behind the array", data + rng.randbytes(rng.choice((1, 32, 64)))
    else:
        return any_bytes(rng, data)
    buffer = io.BytesIO()
    np.save(buffer, array)
    return f"{array.dtype} {array.shape}, kind {kind}", buffer.getvalue()


class Pickled:
    """What unpickling it does must never happen."""

    happened = 0

    def __reduce__(self) -> tuple[Any, ...]:
        return unpickled, ()


def unpickled() -> None:
    """Counts."""
    Pickled.happened += 1


def safetensors_file(rng: random.Random, data: bytes) -> Mutation:
    """Header and recipe of a safetensors file, and its numbers."""
    length = int.from_bytes(data[:8], "little")
    header, rest = json.loads(data[8 : 8 + length]), data[8 + length :]
    kind = rng.randrange(8)
    if kind == 0:
        return any_bytes(rng, data)
    if kind == 1:
        size = rng.choice((0, 1, length + 1, length - 1, 2**63, 2**40, len(data)))
        return f"a header of {size} bytes", size.to_bytes(8, "little") + data[8:]
    if kind == 2 and rest:
        place = rng.randrange(0, max(len(rest) - 4, 1), 2)
        patch = rng.choice((b"\x00\x7e", b"\x00\x7c", b"\x00\x00\xc0\x7f", b"\x00\x00\x80\x7f", b"\xff\xff"))
        return f"numbers at {place}", data[: 8 + length + place] + patch + data[8 + length + place + len(patch) :]
    if kind < 5:
        metadata = header.get("__metadata__", {})
        if metadata:
            key = rng.choice(list(metadata))
            what, changed_text = (
                json_text(rng, metadata[key].encode())
                if metadata[key][:1] in "{["
                else any_bytes(rng, metadata[key].encode())
            )
            metadata[key] = changed_text.decode("utf-8", "replace")
            return f"{key}: {what}", _packed(header, rest)
    what, header = changed(rng, header)
    return f"header: {what}", _packed(header, rest)


def _packed(header: Any, rest: bytes) -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + rest
