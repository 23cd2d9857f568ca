"""What tells one object of a Python program from another: its code, its weights, what it reads of its surroundings."""

import contextlib
import hashlib
import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from types import CodeType, MemberDescriptorType
from typing import Any

import numpy as np

from benchmark.errors import BenchmarkError, UsageError, printable
from benchmark.guards import is_installed, told
from benchmark.identity import SECRET
from benchmark.reading import LARGEST
from benchmark.redaction import redacted

DEEPEST = 6
"""Levels of attributes, lists and mappings in which weights are looked for."""

MOST = 10_000
"""Things that are looked at."""
MOST_KEPT = 100
"""Parts of a list or mapping that counts as a setting."""


def names_of_variables(thing: Any, what: str) -> tuple[str, ...]:
    """The environment variables that `thing` names in its attribute `environment`. Raises UsageError if it is none."""
    try:
        names = getattr(thing, "environment", ())
    except Exception as error:  # properties are code too
        raise BenchmarkError(f"{what}: cannot be used: {told(error)}") from error
    found = (names,) if isinstance(names, str) else tuple(names) if isinstance(names, Iterable) else (names,)
    if not all(isinstance(name, str) and name and "=" not in name for name in found):
        raise UsageError(f"{what}: environment is {names!r}, not names of environment variables")
    return found


def weights_hash(thing: Any) -> str:
    """SHA-256 over torch's tensors and NumPy's arrays of real numbers that `thing` holds, in itself or what it is made
    of; "" if there are none. Bytes and images in integers are no weights: a codec may keep the last one."""
    digest, count = hashlib.sha256(), 0
    for name, array in _weights(thing):
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).data.cast("B") if array.size else b"")
        count += 1
    return digest.hexdigest() if count else ""


def _weights(thing: Any) -> Iterator[tuple[str, Any]]:
    torch = sys.modules.get("torch")
    seen: set[int] = set()

    def tensor(value: Any) -> Any:
        found = value.detach().cpu()
        return (found.float() if found.dtype == torch.bfloat16 else found).numpy()  # type: ignore[union-attr]

    def look(name: str, value: Any, depth: int) -> Iterator[tuple[str, Any]]:
        if id(value) in seen or depth > DEEPEST or len(seen) > MOST or isinstance(value, type):
            return
        seen.add(id(value))
        if isinstance(value, np.ndarray):
            if value.dtype.kind in "fc":
                yield name, value
        elif torch is not None and isinstance(value, torch.Tensor):
            if value.is_floating_point() and value.layout is torch.strided and value.device.type != "meta":
                yield name, tensor(value)
        elif torch is not None and isinstance(value, torch.nn.Module):
            for key, one in value.state_dict(keep_vars=True).items():
                yield from look(f"{name}.{key}", one, depth)
        elif isinstance(value, Mapping):
            for key, one in value.items():
                if isinstance(key, str | int):
                    yield from look(f"{name}[{key!r}]", one, depth + 1)
        elif isinstance(value, list | tuple):
            for index, one in enumerate(value):
                yield from look(f"{name}[{index}]", one, depth + 1)
        elif isinstance(getattr(value, "__dict__", None), dict) and not inspect.ismodule(value):
            for key, one in list(vars(value).items()):
                yield from look(f"{name}.{key}", one, depth + 1)

    try:
        yield from look("", thing, 0)
    except Exception as error:  # anyone's mappings and modules
        yield "unreadable", np.frombuffer(type(error).__name__.encode(), dtype=np.uint8)


def settings_kept(thing: Any) -> dict[str, Any]:
    """What the constructor of `thing` was given, as far as it keeps that as `name` or `_name` and JSON can hold it.

    An object holds other things besides, counters and caches, which are none. Of a secret, the hash of its value.
    """
    try:
        parameters = list(inspect.signature(type(thing)).parameters)
    except (TypeError, ValueError):
        return {}
    own = getattr(thing, "__dict__", {})
    found = {}
    for name in parameters:
        for attribute in (name, f"_{name}"):
            value = own.get(attribute, _UNKNOWN)
            if isinstance(getattr(type(thing), attribute, None), MemberDescriptorType):  # one of its slots
                value = getattr(thing, attribute, _UNKNOWN)
            plain = _plain(value)
            if plain is not _UNKNOWN and plain is not None:
                found[name] = _hidden(plain) if SECRET.search(name) or redacted(str(plain)) != str(plain) else plain
                break
    return found


_UNKNOWN = object()


def _hidden(secret: Any) -> str:
    return f"sha256:{hashlib.sha256(repr(secret).encode()).hexdigest()[:16]}"


def _plain(value: Any, depth: int = 0) -> Any:
    """`value` in JSON's types; _UNKNOWN if it has none."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Enum):
        return value.name
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return value if abs(value) <= LARGEST else repr(value)
    if isinstance(value, str | Path):
        return printable(str(value))
    if isinstance(value, list | tuple) and depth < DEEPEST and len(value) <= MOST_KEPT:
        parts = [_plain(one, depth + 1) for one in value]
        return _UNKNOWN if any(one is _UNKNOWN for one in parts) else parts
    if isinstance(value, dict) and depth < DEEPEST and len(value) <= MOST_KEPT:
        pairs = {printable(key): _plain(one, depth + 1) for key, one in value.items() if isinstance(key, str)}
        return _UNKNOWN if len(pairs) < len(value) or any(one is _UNKNOWN for one in pairs.values()) else pairs
    return _UNKNOWN


def code_hash(made: type) -> str | None:
    """Of the class's file and those of classes of the user's that it is made from, or of its functions where it was
    typed in; None where neither can be read."""
    try:
        file = inspect.getsourcefile(made)
        if file is not None and Path(file).is_file():
            contents = [Path(one).read_bytes() for one in dict.fromkeys([file, *_files_of_bases(made)])]
            hashes = [hashlib.sha256(content).hexdigest() for content in contents]
            return hashes[0] if len(hashes) == 1 else hashlib.sha256(" ".join(hashes).encode()).hexdigest()
    except (OSError, TypeError):  # of a notebook or a prompt
        pass
    codes = [
        f"{one.__qualname__}.{name} {_instructions(code)}"
        for one in made.__mro__
        for name, value in sorted(vars(one).items())
        if (code := getattr(getattr(value, "__func__", getattr(value, "fget", value)), "__code__", None)) is not None
    ]
    return hashlib.sha256("\n".join(codes).encode()).hexdigest() if codes else None


def _files_of_bases(made: type) -> Iterator[str]:
    for base in made.__mro__[1:]:
        file = None
        with contextlib.suppress(OSError, TypeError):  # of Python's own, or typed in
            file = inspect.getsourcefile(base)
        if file is not None and Path(file).is_file() and not is_installed(file):
            yield file


def _instructions(code: CodeType) -> str:
    """What `code` does, the same in every process of this version of Python."""
    constants = [
        _instructions(one)
        if isinstance(one, CodeType)
        else repr(sorted(map(repr, one)) if isinstance(one, frozenset) else one)
        for one in code.co_consts
    ]
    return f"{code.co_code.hex()} {code.co_names} {code.co_varnames} {code.co_freevars} {constants}"
