"""A run of seconds that has all that a run folder can hold, and what must be true of it however it came about."""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from support.pictures import write_pictures

from benchmark.results import RunFolder

CODE = """
import struct, zlib
import numpy as np


class Toy:
    qualities = (2, 5)
    stochastic = True

    def encode(self, image, quality):
        step = 2 ** (8 - int(quality))
        height, width = image.shape[:2]
        return struct.pack(">III", height, width, step) + zlib.compress((image // step).tobytes(), 1)

    def decode(self, data, seed=None):
        height, width, step = struct.unpack(">III", data[:12])
        image = np.frombuffer(zlib.decompress(data[12:]), np.uint8).reshape(height, width, 3) * np.uint8(step)
        noise = np.random.default_rng(seed).integers(0, step, image.shape)
        return np.minimum(image + noise, 255).astype(np.uint8)

    def describe(self):
        return {"toy": 1}


class Colours:
    higher_is_better = False

    def features(self, image):
        return image.mean((0, 1))

    def distance(self, originals, reconstructions):
        return np.abs(np.concatenate(originals).mean(0) - np.concatenate(reconstructions).mean(0)).sum()


class Contrast:
    higher_is_better = True

    def score(self, image):
        return image.astype(float).std()
"""

RUN = (
    "run", "--codec", "./toy.py:Toy", "--codec", "jpeg", "--quality", "jpeg=20,90", "--decoder-seeds", "0,1",
    "--metric", "psnr", "--metric", "./toy.py:Colours", "--metric", "./toy.py:Contrast", "--dataset", "pictures",
    "--keep-reconstructions",
)  # fmt: skip

EVALUATE = """
import benchmark
benchmark.evaluate(
    ["./toy.py:Toy", "jpeg"], "pictures", qualities={"jpeg": [20, 90]}, seeds=[0, 1], keep_reconstructions=True,
    metrics=["psnr", "./toy.py:Colours", "./toy.py:Contrast"], output=%r, workers=%d,
)
"""

IN_SHARDS = """
from benchmark import results, shards
from benchmark.running import packing
shards.FILES = packing.FILES = results.SHARD = 2
"""
"""Before EVALUATE: two files of features make a shard."""

IMAGES = 3
TRIALS = IMAGES * (2 * 2 + 2)


def prepare(folder: Path) -> Path:
    """Writes what RUN and EVALUATE need."""
    folder.mkdir(parents=True, exist_ok=True)
    write_pictures(folder / "pictures", ["a.png", "b.png", "c.png"], (48, 32))
    (folder / "toy.py").write_text(CODE)
    return folder


def lines(run: Path) -> list[bytes]:
    """The whole lines of trials.jsonl."""
    path = run / "trials.jsonl"
    content = path.read_bytes() if path.exists() else b""
    return [line for line in content.splitlines(keepends=True) if line.endswith(b"\n")]


def trials(run: Path) -> dict[str, Any]:
    """Key -> what was measured, without seconds, which are never the same."""
    found = {}
    for line in lines(run):
        trial = json.loads(line)
        key = json.dumps([trial[name] for name in ("codec", "quality", "decoder_seed", "image")])
        assert key not in found, f"twice: {key}"
        found[key] = {name: value for name, value in trial.items() if name not in ("reasons",)}
    return found


def files(run: Path) -> Mapping[str, bytes]:
    """Name -> bytes of all that is the same whenever a run was done, and however often it was stopped.

    What is in shards is taken out of them: how files share them depends on when they were packed.
    """
    found = {}
    for shard in sorted(run.rglob("shard-*.zip")):
        with zipfile.ZipFile(shard) as archive:
            for name in archive.namelist():
                found[(shard.parent / name).relative_to(run).as_posix()] = archive.read(name)
    return found | {
        path.relative_to(run).as_posix(): path.read_bytes()
        for path in sorted(run.rglob("*"))
        if path.is_file()
        and path.name not in (".lock", "run.json", "trials.jsonl", "leave-one-out.json")
        and not path.match("shard-*.zip")
    }


def is_complete(run: Path, count: int = TRIALS) -> bool:
    """Whether the run says so itself; it must have all `count` trials then."""
    if not (run / "run.json").exists():
        return False
    complete = RunFolder.open(run).manifest.status == "complete"
    if complete:
        assert len(trials(run)) == count, "complete, it says"
    return complete


def assert_equal(run: Path, whole: Path, count: int = TRIALS) -> None:
    """That `run`, whatever befell it, is what `whole` is, which nothing befell. count: of trials."""
    assert is_complete(run, count)
    assert trials(run) == trials(whole)
    there, expected = files(run), files(whole)
    assert not set(there) ^ set(expected), set(there) ^ set(expected)
    others = [name for name in there if there[name] != expected[name]]
    assert not others, others
    assert {path.name for path in run.iterdir() if path.name.startswith(".")} <= {".lock"}
    folder = RunFolder.open(run)
    assert folder.manifest.finished is not None
    values = json.loads((run / "leave-one-out.json").read_bytes())
    expected_values = json.loads((whole / "leave-one-out.json").read_bytes())
    assert values["values"] == expected_values["values"]
