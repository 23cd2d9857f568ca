"""What tells one object of a Python program from another: its code, its weights, what it reads of its surroundings."""

import hashlib
import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import CodeType
from typing import Any

import numpy as np

from benchmark.errors import BenchmarkError, UsageError
from benchmark.guards import told

DEEPEST = 6
"""Levels of attributes, lists and mappings in which weights are looked for."""

MOST = 10_000
"""Things that are looked at."""


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


def code_hash(made: type) -> str | None:
    """Of the class's file, or of its functions where it was typed in; None where neither can be read."""
    try:
        file = inspect.getsourcefile(made)
        if file is not None and Path(file).is_file():
            return hashlib.sha256(Path(file).read_bytes()).hexdigest()
    except (OSError, TypeError):  # of a notebook or a prompt
        pass
    codes = [
        f"{one.__qualname__}.{name} {_instructions(code)}"
        for one in made.__mro__
        for name, value in sorted(vars(one).items())
        if (code := getattr(getattr(value, "__func__", getattr(value, "fget", value)), "__code__", None)) is not None
    ]
    return hashlib.sha256("\n".join(codes).encode()).hexdigest() if codes else None


def _instructions(code: CodeType) -> str:
    """What `code` does, the same in every process of this version of Python."""
    constants = [
        _instructions(one)
        if isinstance(one, CodeType)
        else repr(sorted(map(repr, one)) if isinstance(one, frozenset) else one)
        for one in code.co_consts
    ]
    return f"{code.co_code.hex()} {code.co_names} {code.co_varnames} {code.co_freevars} {constants}"
