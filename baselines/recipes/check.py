"""Checks whether a recipe's codec works in an interpreter: encodes a small image, decodes it in another process."""

import json
import os
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.baselines.recipes import Place, Recipe
from benchmark.codecs import Codec, Image, open_codec
from benchmark.elsewhere import OF_THIS_PYTHON, SECONDS_TO_START, command_of
from benchmark.errors import BenchmarkError, UsageError, kind_and_message, one_line
from benchmark.files import expanded
from benchmark.registry import parse_spec

PROBE = """
import importlib.util, json, sys
found = {name: importlib.util.find_spec(name) is not None for name in sys.argv[1].split(",")}
print("<<found>>" + json.dumps({"python": sys.version.split()[0], "found": found}))
"""
SEED = 0
"""Of decoders that draw random numbers."""


def check(
    recipe: Recipe, python: str, settings: Mapping[str, str], image: Image, quality: float | None, device: str
) -> Iterator[str]:
    """Lines about each step that worked; the last one is how the codec is run.

    python: an interpreter, or the command that starts one. quality: the codec's lowest if None.

    Raises UsageError on a setting that is missing, BenchmarkError on what else is missing or fails: one line that says
    how to get it.
    """
    require_places(recipe, settings)
    version = require_packages(recipe, python)
    yield f"Python {version}, {', '.join(recipe.packages)}: installed"
    spec = recipe.spec(python, settings)
    encoder = _tried(recipe, python, "", open_codec, spec, device)
    chosen = encoder.qualities[0] if quality is None else quality
    data = _tried(recipe, python, "encode: ", encoder.encode, image, chosen)
    if not isinstance(data, bytes):
        raise BenchmarkError(f"{recipe.name}: encode returns {type(data).__name__}, not bytes")
    height, width = image.shape[:2]
    bpp = 8 * len(data) / (height * width)
    what = f"{len(data):,} bytes, {bpp:.4f} bits per pixel, {recipe.bits}"
    yield f"encoded {width}x{height} at quality {chosen:g}: {what}"
    own = _tried(recipe, python, "decode: ", encoder.decode, data, SEED if encoder.stochastic else None)
    _close(encoder)
    decoder = open_codec(spec, device)
    decoded = _tried(recipe, python, "decode: ", decoder.decode, data, SEED if decoder.stochastic else None)
    _close(decoder)
    if decoded.shape != image.shape or decoded.dtype != np.uint8:
        raise BenchmarkError(f"{recipe.name}: decoded as {decoded.dtype} {decoded.shape}, not uint8 {image.shape}")
    if not np.array_equal(own, decoded):
        most = int(np.abs(own.astype(int) - decoded).max())
        raise BenchmarkError(
            f"{recipe.name}: another process decodes another image, up to {most} levels apart: the bytes alone do not "
            "suffice, or the decoder is not deterministic"
        )
    error = float(np.mean((image.astype(float) - decoded) ** 2))
    psnr = 10 * np.log10(255**2 / error) if error else np.inf
    yield f"decoded in another process, of the bytes alone: the same image, PSNR {psnr:.2f} dB"
    yield f"run it: --codec {shlex.quote(spec)}"


def require_places(recipe: Recipe, settings: Mapping[str, str]) -> None:
    """Raises UsageError on a setting that is not given, BenchmarkError on one that names nothing, with what to do."""
    for key, place in recipe.places.items():
        if key not in settings:
            if place.required:
                raise UsageError(f"{recipe.name} needs --setting {key}={place.kind.upper()}: {place.text}; {place.how}")
            continue
        text = settings[key]
        if text not in place.words and (missing := _missing(place, text)):
            raise BenchmarkError(f"{recipe.name}: {key}={text}: {missing}: {place.text}; {place.how}")


def _missing(place: Place, text: str) -> str:
    path = expanded(text)
    if place.kind == "folder":
        if not path.is_dir():
            return f"there is no folder {path}"
        return f"there is no {place.has} in it" if place.has and not (path / place.has).exists() else ""
    found = sorted(path.parent.glob(path.name.replace("{q}", "*"))) if "{q}" in text else [path]
    return "" if any(one.is_file() for one in found) else f"there is no file {path}"


def require_packages(recipe: Recipe, python: str) -> str:
    """The version of the interpreter. Raises BenchmarkError that names the packages which it does not have."""
    words = command_of(python)
    distant = any(Path(word).name == "ssh" for word in words)
    wanted = ",".join(dict.fromkeys(("numpy", *recipe.packages)))
    tail = ["-c", PROBE, wanted]
    line = [*words, *(map(shlex.quote, tail) if distant else tail)]
    environment = {name: value for name, value in os.environ.items() if name not in OF_THIS_PYTHON}
    try:
        done = subprocess.run(line, capture_output=True, text=True, env=environment, timeout=SECONDS_TO_START)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BenchmarkError(f"{shlex.join(words)}: cannot be started: {error}") from None
    _, mark, answer = done.stdout.partition("<<found>>")
    if not mark:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise BenchmarkError(f"{shlex.join(words)}: is no Python that runs: {last}")
    said = json.loads(answer)
    lacking = [name for name, there in said["found"].items() if not there]
    if lacking:
        wants = " ".join(shlex.quote(recipe.packages.get(name, name)) for name in lacking)
        raise BenchmarkError(
            f"{recipe.name}: {shlex.join(words)} (Python {said['python']}) has no {', '.join(lacking)}; "
            f"{shlex.join(words)} -m pip install {wants}"
        )
    return str(said["python"])


def _tried(recipe: Recipe, python: str, what: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """What the function returns. Raises BenchmarkError in one line; of a missing module with the way to get it."""
    try:
        return function(*arguments)
    except UsageError:
        raise
    except Exception as error:  # of the peer's code, whatever it raises
        said = one_line(error) if isinstance(error, BenchmarkError) else kind_and_message(error)
        module = re.search(r"No module named '(\w+)", said)
        hint = f"; {python} -m pip install {module[1]}, or what brings it" if module else ""
        raise BenchmarkError(f"{recipe.name}: {what}{said}{hint}") from error


def _close(codec: Codec) -> None:
    elsewhere = getattr(codec, "elsewhere", None)
    if elsewhere is not None:
        elsewhere.close()


def settings_of(words: list[str], recipe: Recipe) -> dict[str, str]:
    """`key=value` words as settings, by the grammar of specs. Raises UsageError."""
    if not words:
        return {}
    return dict(parse_spec(f"{recipe.name}:{','.join(words)}").settings)
