"""Attacks on readers of files: one file of a kind is mutated, and the commands that read it must end as commands do.

A mutant has a number: the same number of the same kind is the same file and the same command. `attack` makes one, runs
it in this process and says what is wrong, or nothing. As a program it goes on where it stopped:

    ATTACKS=FOLDER python tests/attacks/files.py KIND... [--until N]
"""

import contextlib
import io
import json
import os
import random
import shutil
import socket
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from attacks import file_mutations as mutations
from attacks.file_mutations import Mutator, Pickled

from benchmark.analysis.baseline import Baseline, read_numbers
from benchmark.errors import BenchmarkError, one_line

HERE = Path(__file__).parents[1] / "compatibility"
CODES = (0, 1, 2, 3, 4)
GPU = b"""minutes = 12
images = ["images"]

[[training]]
name = "energy"
train = "energy"
share = 2
[training.options]
steps = 40000
from = "one-step.safetensors"
crop = [64, 128]
"""
GATE = b"""[project]
name = "a"

[tool.benchmark.gate]
alpha = 0.05
margin = { lpips = "2 %", psnr = 0.1, bpp = "0.5 %" }

[tool.benchmark.gate.tolerance]
bpp = "0.1 %"
psnr = 0.01
"""


@dataclass(frozen=True)
class Ended:
    """How a command ended: exit code, and what it wrote. raised: a traceback, where it raised anything."""

    code: int
    out: str
    err: str
    raised: str = ""


Command = Sequence[str] | Callable[[Path], object]
"""Arguments, in which {} is the folder with the mutated file, or a function of that folder."""


@dataclass(frozen=True)
class Kind:
    """A kind of file. make: writes all that the commands need into a folder. file: the one that is mutated, there.

    commands: each reads it; the slow ones are called for one mutant in fifty. numbers: the run or baseline whose values
    must all be there if a command ends with 0; None where there are none. reader: what all commands read the file by,
    which takes 99 of 100 mutants where there are many; None where the commands are that alone.
    """

    make: Callable[[Path], None]
    file: str
    mutate: tuple[Mutator, ...]
    commands: tuple[Command, ...]
    slow: tuple[Command, ...] = ()
    numbers: str | None = None
    reader: Callable[[Path], object] | None = None


# Samples


def _copy(*parts: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        for part in parts:
            source = HERE / part
            if source.is_dir():
                shutil.copytree(source, folder / source.name)
            else:
                shutil.copy(source, folder)
        for name in ("run", "kept"):
            if (folder / name).is_dir():
                shutil.copytree(folder / name, folder / f"{name}-before")

    return make


def _features(folder: Path) -> None:
    _copy("0.2.0/kept")(folder)
    (folder / "kept" / "leave-one-out.json").unlink()
    manifest = folder / "kept" / "run.json"  # the Frechet distance of 1280 numbers takes seconds, and reads the same
    content = json.loads(manifest.read_text())
    del content["metrics"]["fd-effnet@whole"]
    manifest.write_text(json.dumps(content))
    shutil.rmtree(folder / "kept-before")
    shutil.copytree(folder / "kept", folder / "kept-before")


def _sealed(folder: Path) -> None:
    """With the hash behind each array."""
    from benchmark.results import RunFolder

    _features(folder)
    run = RunFolder.open(folder / "kept")
    for path in sorted((folder / "kept" / "features").rglob("*.npy")):
        run.write_features(path, run.read_features(path))
    shutil.rmtree(folder / "kept-before")
    shutil.copytree(folder / "kept", folder / "kept-before")


def _no_reference(folder: Path) -> None:
    from benchmark.results import OriginalValue

    (folder / "value.json").write_text(OriginalValue(value=3.5, reason="").model_dump_json() + "\n")


def _votes(folder: Path) -> None:
    from benchmark.reports.page.study import KIND, Side, Vote, Votes

    sides = [
        Side(codec=codec, quality=q, bytes=100, metrics={"psnr": 30.0 + q})
        for codec, q in (("a", 1), ("b", 2), ("c", 3))
    ]
    original = Side(codec="", quality=None, bytes=None, metrics={})
    votes = [
        Vote(
            picture=f"p{n}",
            level=0.25 if n % 2 else 0.5,
            first=sides[n % 3],
            second=sides[(n + 1) % 3],
            choice=1 + n % 2,
            expected=None,
            seconds=1.5,
        )
        for n in range(12)
    ]
    votes.append(Vote(picture="p0", level=None, first=original, second=sides[0], choice=1, expected=1, seconds=2))
    found = Votes(
        kind=KIND,
        schema_version=1,
        study="s",
        dataset="d 01234567",
        higher_is_better={"psnr": True},
        voter="v",
        screen={"width": 1000.0},
        votes=votes,
    )
    (folder / "votes.json").write_text(found.model_dump_json())


def _compressai(folder: Path) -> None:
    content = {
        "name": "theirs",
        "description": "a model",
        "meta": {"dataset": "kodak", "protocols": {"psnr": "psnr/rgb/?"}},
        "results": {
            "bpp": [0.1, 0.2, 0.4],
            "psnr-rgb": [28, 30.5, 33],
            "ms-ssim-rgb": [0.9, 0.95, 0.98],
            "encoding_time": [1, 1, 1],
        },
    }
    (folder / "theirs.json").write_text(json.dumps(content, indent=1))


def _published(folder: Path) -> None:
    lines = (
        (Path(mutations.__file__).parents[2] / "reports" / "anchors" / "kodak.csv")
        .read_text()
        .splitlines(keepends=True)
    )
    (folder / "points.csv").write_text("".join([lines[0], *lines[1:40]]))


def _gate(folder: Path) -> None:
    _copy("0.2.0/baseline.json")(folder)
    (folder / "gate.toml").write_bytes(GATE)


def _list(folder: Path) -> None:
    _copy("images")(folder)
    import hashlib

    names = [f"images/{name}.png" for name in "abc"]
    sums = [hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names]
    (folder / "list.txt").write_text(f"# three\n{sums[0]}  {names[0]}\n{names[1]}\nSHA256 ({names[2]}) = {sums[2]}\n")
    (folder / "SHA256SUMS").write_text("".join(f"{digest}  {name}\n" for digest, name in zip(sums, names, strict=True)))


def _logs(folder: Path) -> None:
    (folder / "log.csv").write_text("step,loss,rate\n" + "".join(f"{n},{10 / n},{n / 10}\n" for n in range(1, 40)))
    (folder / "checks.csv").write_text(
        "step,seconds,score,bpp_1,psnr_1,bpp_2,psnr_2\n"
        + "".join(f"{n},{n * 2.5},{1 / n},0.1,{25 + n},0.3,{28 + n}\n" for n in (5, 10, 20))
    )
    (folder / "recipe.json").write_text(json.dumps({"decoder": "flow", "steps": 10}))


def _trained(folder: Path) -> None:
    """A training of a tiny first stage, and a weights file of it."""
    import torch
    from support.tiny_networks import TINY

    from benchmark.hfd.autoencoder import Autoencoder
    from benchmark.hfd.weights import write_weights
    from benchmark.training.checkpoint import save_tensors

    torch.manual_seed(0)
    model = Autoencoder(TINY)
    recipe = {"autoencoder": {"architecture": "small", **TINY.as_json()}, "steps": 8, "step": 3}
    save_tensors(folder / "averaged.safetensors", dict(model.named_parameters()), recipe)
    model.entropy.update()
    write_weights(folder / "weights.safetensors", model, "first stage", TINY.as_json(), recipe)


def _state(folder: Path) -> None:
    _save(folder / "last.safetensors")


def _network() -> tuple[Any, Any]:
    import torch

    from benchmark.training.checkpoint import Learner

    torch.manual_seed(0)
    network = torch.nn.Linear(3, 2)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.1)
    network(torch.ones(1, 3)).sum().backward()
    optimiser.step()
    return network, Learner(dict(network.named_parameters()), optimiser)


def _save(path: Path) -> None:
    from benchmark.training.checkpoint import State, save_state
    from benchmark.training.options import Options

    network, learner = _network()
    average = {name: p.detach().clone() for name, p in network.named_parameters()}
    state = State(4, 0.5, 12.5, [{"loss": 1.0}], 1)
    save_state(path, {"task": "t", "batch": 2}, Options(path.parent, seed=5), [learner], average, state)


def _load(folder: Path) -> object:
    from benchmark.training.checkpoint import load_state
    from benchmark.training.options import Options

    network, learner = _network()
    average = {name: p.detach().clone() for name, p in network.named_parameters()}
    state = load_state(
        folder / "last.safetensors", {"task": "t", "batch": 2}, Options(folder, seed=5), [learner], average
    )
    assert state.step >= 0
    return state


def _open_list(folder: Path) -> object:
    from benchmark.datasets import open_dataset

    return open_dataset(str(folder / "list.txt"))


def _read_sums(folder: Path) -> object:
    from benchmark.datasets.pictures import read_sha256sums

    return read_sha256sums(folder / "SHA256SUMS")


def _read_value(folder: Path) -> object:
    from benchmark.reading import parse_record, read_text
    from benchmark.results import OriginalValue

    return parse_record(OriginalValue, read_text(folder / "value.json"), str(folder / "value.json"), "a value")


def _loaded(folder: Path) -> object:
    import benchmark

    results = benchmark.load(folder / "run")
    return results.summary, results.trials, repr(results), results.bd("jpeg", "psnr", resamples=100)


def _draw(folder: Path) -> object:
    from benchmark.reports.training import _decoder, read_training_table

    return (
        read_training_table(folder / "log.csv", ("step", "loss")),
        read_training_table(folder / "checks.csv", ("step",)),
        _decoder(folder),
    )


def _read_weights(folder: Path) -> object:
    from benchmark.hfd.weights import load_autoencoder

    return load_autoencoder(folder / "weights.safetensors")


def _audit(folder: Path) -> object:
    """An audit that is damaged is none: nothing else than its own text passes for one that found nothing."""
    import benchmark.running.manifest as manifest
    from benchmark.codecs import parse_codec_spec

    before, manifest.AUDITS = manifest.AUDITS, folder
    try:
        passed = manifest.audited_as(parse_codec_spec("./c.py:C"), {"weights": "w"})
    finally:
        manifest.AUDITS = before
    text = json.loads((folder / "audit-c.py-C" / "audit.json").read_text(errors="replace")) if passed else None
    assert not passed or (text["failed"] == [] and text["codec"] == "./c.py:C"), "passed for an audit"
    return passed


def _audited(folder: Path) -> None:
    from benchmark.codecs import parse_codec_spec

    place = folder / f"audit-{parse_codec_spec('./c.py:C').label}"
    place.mkdir()
    if place.name != "audit-c.py-C":
        (folder / "audit-c.py-C").symlink_to(place.name)
    content = {
        "schema_version": 1,
        "codec": "./c.py:C",
        "failed": [],
        "checks": [{"name": "a", "verdict": "passed"}],
        "rates": [],
        "about": {"description": {"weights": "w"}},
    }
    (place / "audit.json").write_text(json.dumps(content))


def _numbers_of(name: str) -> Callable[[Path], object]:
    return lambda folder: read_numbers(folder / name)


def _read_summary(folder: Path) -> object:
    from benchmark.analysis.summary import read_summary

    return read_summary(folder / "summary.csv")


def _read_summary_of_run(folder: Path) -> object:
    from benchmark.analysis.summary import read_summary

    return read_summary(folder / "run")


def _read_features(folder: Path) -> object:
    from benchmark.results import RunFolder

    return RunFolder.open(folder / "kept").read_features(folder / FEATURES)


def _read_image(folder: Path) -> object:
    from benchmark.images import load_image

    return load_image(folder / KINDS["reconstruction"].file)


def _read_history(folder: Path) -> object:
    from benchmark.analysis.history import read_entries

    return read_entries(folder / "history.jsonl")


def _plan(folder: Path) -> None:
    (folder / "images").mkdir()
    (folder / "one-step.safetensors").write_bytes(b"")
    (folder / "gpu.toml").write_bytes(GPU)


def _read_plan(folder: Path) -> object:
    from benchmark.training.plan import read_plan, words

    plan = read_plan(folder / "gpu.toml")
    return [words(plan, training, folder / "out") for training in plan.training]


def _read_gate(folder: Path) -> object:
    from benchmark.analysis.margins import read_gate

    return read_gate(folder / "gate.toml")


def _read_votes(folder: Path) -> object:
    from benchmark.reports.page.tally import read_votes

    return read_votes(folder / "votes.json")


def _import(name: str) -> Callable[[Path], object]:
    def read(folder: Path) -> object:
        from benchmark.reports.imports import import_summary

        return import_summary(folder / name)

    return read


def _read_tensors(folder: Path) -> object:
    from benchmark.training.checkpoint import read_training

    return read_training(folder / "averaged.safetensors")


# Kinds

_RUN_COMMANDS: tuple[Command, ...] = (
    ("compare", "{}/run-before", "{}/run", "--all"),
    ("compare", "{}/run", "{}/run-before"),
    ("explain", "{}/run"),
    ("bd", "{}/run", "--anchor", "jpeg", "--metric", "psnr", "--resamples", "100"),
    ("images", "{}/run", "--point", "jpeg=30"),
    ("table", "{}/run"),
    ("table", "{}/run", "--format", "latex", "--at-bpp", "1.5", "--bold-ties"),
    ("export", "{}/run", "--format", "csv", "-o", "{}/out.csv"),
    ("export", "{}/run", "--format", "compressai", "-o", "{}/out"),
    ("export", "{}/run", "--format", "codec-compare", "-o", "{}/out"),
    ("export", "{}/run", "--format", "benchmark-xl", "-o", "{}/out.csv"),
    ("baseline", "{}/run", "-o", "{}/new.json"),
    ("history", "add", "{}/run", "--file", "{}/h.jsonl", "--commit", "x"),
    _loaded,
)
_RUN_SLOW: tuple[Command, ...] = (
    ("plot", "{}/run", "--output", "{}/plots", "--format", "svg"),
    ("report", "{}/run", "-o", "{}/page"),
    ("report", "{}/run-before", "{}/run", "-o", "{}/page"),
    ("measure", "{}/run", "--metric", "bpp"),
)
_KEPT_COMMANDS: tuple[Command, ...] = (
    ("compare", "{}/kept-before", "{}/kept"),
    ("baseline", "{}/kept", "-o", "{}/new.json"),
    ("images", "{}/kept", "--point", "hfd:decoder=flow=3", "--metric", "kd-effnet@whole"),
)
_KEPT_SLOW: tuple[Command, ...] = (("measure", "{}/kept", "--metric", "kd-effnet-paired@whole"),)
_BASELINE_COMMANDS: tuple[Command, ...] = (
    ("compare", "{}/before.json", "{}/baseline.json", "--all"),
    ("compare", "{}/baseline.json", "{}/before.json"),
    ("bd", "{}/baseline.json", "--anchor", "jpeg", "--metric", "psnr", "--resamples", "100"),
    ("images", "{}/baseline.json", "--point", "jpeg=30", "--against", "jpeg=60"),
    ("table", "{}/baseline.json"),
    ("table", "{}/baseline.json", "--bold-ties", "--at-bpp", "1.5"),
    ("baseline", "{}/baseline.json", "-o", "{}/new.json"),
)


def _baseline(folder: Path) -> None:
    _copy("0.2.0/baseline.json")(folder)
    shutil.copy(folder / "baseline.json", folder / "before.json")


def _summary(folder: Path) -> None:
    shutil.copy(HERE / "0.2.0" / "run" / "summary.csv", folder)


_RUN = _copy("0.2.0/run")
_SUMMARY_COMMANDS: tuple[Command, ...] = (("table", "{}/summary.csv"), ("table", "{}/summary.csv", "--at-bpp", "1.5"))
_JSON, _LINES, _TABLE = (
    (mutations.json_text, mutations.any_bytes),
    (mutations.json_lines, mutations.any_bytes),
    (mutations.table, mutations.any_bytes),
)
FEATURES = "kept/features/efficientnet-lite0.whole/hfd-decoder=flow-00ea9faa/3/seed-3/b.npy"
KINDS = {
    "manifest": Kind(_RUN, "run/run.json", _JSON, _RUN_COMMANDS, _RUN_SLOW, "run", reader=_numbers_of("run")),
    "trials": Kind(_RUN, "run/trials.jsonl", _LINES, _RUN_COMMANDS, _RUN_SLOW, "run", reader=_numbers_of("run")),
    "trials-alone": Kind(
        lambda f: (_RUN(f), (f / "run" / "leave-one-out.json").unlink())[0],
        "run/trials.jsonl",
        _LINES,
        _RUN_COMMANDS,
        _RUN_SLOW,
        "run",
        reader=_numbers_of("run"),
    ),
    "summary-of-run": Kind(
        _RUN, "run/summary.csv", _TABLE, (("table", "{}/run"), _loaded), _RUN_SLOW[:2], reader=_read_summary_of_run
    ),
    "summary": Kind(
        _summary,
        "summary.csv",
        _TABLE,
        _SUMMARY_COMMANDS,
        (("plot", "{}/summary.csv", "--output", "{}/plots", "--format", "svg"),),
        reader=_read_summary,
    ),
    "leave-one-out": Kind(
        _copy("0.2.0/kept"), "kept/leave-one-out.json", _JSON, _KEPT_COMMANDS, (), "kept", reader=_numbers_of("kept")
    ),
    "features": Kind(
        _features, FEATURES, (mutations.numpy_array,), _KEPT_COMMANDS, _KEPT_SLOW, "kept", reader=_read_features
    ),
    "sealed-features": Kind(
        _sealed, FEATURES, (mutations.numpy_array,), _KEPT_COMMANDS, _KEPT_SLOW, "kept", reader=_read_features
    ),
    "reconstruction": Kind(
        _copy("0.2.0/kept", "images"),
        "kept/reconstructions/hfd-decoder=flow-00ea9faa/3/seed-3/b.png",
        (mutations.any_bytes,),
        (("measure", "{}/kept", "--metric", "ms_ssim", "--dataset", "{}/images"),),
        reader=_read_image,
    ),
    "original-value": Kind(_no_reference, "value.json", _JSON, (_read_value,)),
    "baseline": Kind(
        _baseline,
        "baseline.json",
        _JSON,
        _BASELINE_COMMANDS,
        (("plot", "{}/baseline.json", "--output", "{}/plots", "--format", "svg"),),
        "baseline.json",
        reader=_numbers_of("baseline.json"),
    ),
    "history": Kind(
        _copy("0.2.0/history.jsonl", "0.2.0/baseline.json"),
        "history.jsonl",
        _LINES,
        (("history", "add", "{}/baseline.json", "--file", "{}/history.jsonl", "--commit", "another"),),
        (("history", "show", "--file", "{}/history.jsonl"),),
        reader=_read_history,
    ),
    "gate": Kind(
        _gate,
        "gate.toml",
        (mutations.toml_text, mutations.any_bytes),
        (("compare", "{}/baseline.json", "{}/baseline.json", "--gate", "{}/gate.toml"),),
        reader=_read_gate,
    ),
    "plan": Kind(_plan, "gpu.toml", (mutations.toml_text, mutations.any_bytes), (_read_plan,)),
    "votes": Kind(_votes, "votes.json", _JSON, (("study", "tally", "{}/votes.json"),), reader=_read_votes),
    "compressai": Kind(
        _compressai,
        "theirs.json",
        _JSON,
        (("import", "{}/theirs.json", "-o", "{}/out.csv"),),
        reader=_import("theirs.json"),
    ),
    "published": Kind(
        _published,
        "points.csv",
        _TABLE,
        (("import", "{}/points.csv", "-o", "{}/out.csv"),),
        reader=_import("points.csv"),
    ),
    "list": Kind(_list, "list.txt", (mutations.list_text, mutations.any_bytes), (_open_list,)),
    "sums": Kind(_list, "SHA256SUMS", (mutations.list_text, mutations.any_bytes), (_read_sums,)),
    "training-log": Kind(_logs, "log.csv", _TABLE, (_draw,), (("train", "plot", "{}", "--output", "{}/c.svg"),)),
    "training-checks": Kind(_logs, "checks.csv", _TABLE, (_draw,), (("train", "plot", "{}", "--output", "{}/c.svg"),)),
    "training-recipe": Kind(_logs, "recipe.json", _JSON, (_draw,)),
    "training-state": Kind(_state, "last.safetensors", (mutations.safetensors_file,), (_load,)),
    "training-result": Kind(
        _trained,
        "averaged.safetensors",
        (mutations.safetensors_file,),
        (("train", "export", "{}/averaged.safetensors", "{}/w.safetensors"),),
        reader=_read_tensors,
    ),
    "weights": Kind(_trained, "weights.safetensors", (mutations.safetensors_file,), (_read_weights,)),
    "audit": Kind(_audited, "audit-c.py-C/audit.json", _JSON, (_audit,)),
}


# Attacks


def run_command(command: Command, folder: Path) -> Ended:
    """Runs a command in this process. What it warns of counts as raised: it would be a line that nobody asked for."""
    from benchmark.cli.main import main

    out, err = io.StringIO(), io.StringIO()
    raised, code = "", 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings(), _no_network():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=ResourceWarning)
        warnings.filterwarnings("ignore", category=FutureWarning)
        try:
            if callable(command):
                command(folder)
            else:
                main([part.replace("{}", str(folder)) for part in command])
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 99
        except BenchmarkError as error:
            code = error.exit_code
            print(f"error: {one_line(error)}", file=err)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            raised = "".join(traceback.format_exception(error))
    return Ended(code, out.getvalue(), err.getvalue(), raised)


@contextlib.contextmanager
def _no_network() -> Iterator[None]:
    def refused(*_: object) -> None:
        raise AssertionError("the network is asked")

    before, socket.socket.connect = socket.socket.connect, refused  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        socket.socket.connect = before  # type: ignore[method-assign]


def fault_of(ended: Ended, file: str) -> str:
    """What is wrong with how a command ended that read the mutated `file`; empty if nothing is."""
    if ended.raised:
        return f"raised: …{ended.raised[-1200:]}"
    if Pickled.happened:
        return "a pickle was loaded"
    if ended.code not in CODES:
        return f"exit code {ended.code}"
    lines = [line for line in ended.err.splitlines() if line.startswith("error: ")]
    if "Traceback" in ended.err or len(lines) > 1:
        return f"more than one line: {ended.err}"
    if ended.code > 1 and not lines and not ended.out.strip():
        return f"exit code {ended.code} without a word: {ended.err}"
    if ended.code == 3 and lines:
        names = {part for part in Path(file).parts if part != "features"}
        if not any(name in lines[0] for name in names):
            return f"does not name the file: {lines[0]}"
    if lines and (len(lines[0]) > 2000 or any(ord(sign) < 32 for sign in lines[0])):
        return f"no line for people: {lines[0]!r}"
    return ""


def lost(before: Baseline, after: Baseline) -> str:
    """What `before` has and `after` has not: points, metrics, values of images; empty if all is there."""
    for point in before.points:
        other = after.point(*point.key)
        if other is None:
            return f"{point}"
        for metric in before.metrics:
            if metric not in after.metrics:
                return metric
            had = {*before.images_with(point, metric), *before.infinite_images(point, metric)}
            has = {*after.images_with(other, metric), *after.infinite_images(other, metric)}
            if [before.images[n] for n in had] and not {before.images[n] for n in had} <= {
                after.images[n] for n in has
            }:
                return f"{point}, {metric}: values of images"
    return ""


class Attacker:
    """A sample of a kind in a folder, mutated again and again."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.kind, self.folder = name, KINDS[name], folder / name
        self.folder.mkdir(parents=True)
        self.kind.make(self.folder)
        self.file = self.folder / self.kind.file
        self.sound = self.file.read_bytes()
        numbers = None if self.kind.numbers is None else self.folder / self.kind.numbers
        self.numbers = None if numbers is None else read_numbers(numbers)
        self.there = set(self.folder.rglob("*"))
        self.kept = {path: path.read_bytes() for path in self.there if path.is_file()}
        self.stamps = {path: path.stat().st_mtime_ns for path in self.kept}

    def mutant(self, number: int) -> tuple[str, bytes, Command]:
        """What was done, the file's bytes, and a command that reads them."""
        rng = random.Random(f"{self.name} {number}")
        mutate = rng.choice(self.kind.mutate) if rng.random() < 0.3 else self.kind.mutate[0]
        what, data = mutate(rng, self.sound)
        slow = self.kind.slow and rng.random() < 0.02
        return what, data, rng.choice(self.kind.slow if slow else self.kind.commands)

    def attack(self, number: int, *, quick: bool = False) -> str:
        """What went wrong with the mutant of that number; empty if nothing did. quick: by the reader, mostly."""
        what, data, command = self.mutant(number)
        if quick and self.kind.reader is not None and number % 100:
            command = self.kind.reader
        fault = self.fault(data, command)
        return (
            fault and f"{self.name} {number} ({what}), {command if callable(command) else ' '.join(command)}: {fault}"
        )

    def fault(self, data: bytes, command: Command) -> str:
        """What goes wrong where `command` reads `data`; empty if nothing does."""
        self.file.write_bytes(data)
        self.stamps[self.file] = 0
        Pickled.happened = 0
        try:
            ended = run_command(command, self.folder)
            fault = fault_of(ended, self.kind.file)
            if not fault and ended.code == 0 and self.numbers is not None and self._judges(command):
                gone = lost(self.numbers, read_numbers(self.folder / str(self.kind.numbers)))
                if gone and "only the new run has a value" not in ended.out:
                    fault = f"ended with 0 and lost {gone}"
            return fault
        finally:
            self._restore()

    def _judges(self, command: Command) -> bool:
        """Whether the command says of the numbers that they are not worse."""
        return not callable(command) and command[0] == "compare"

    def _restore(self) -> None:
        """As it was made: a command may have written."""
        for path in sorted(self.folder.rglob("*"), reverse=True):
            if path not in self.there:
                path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        for path, data in self.kept.items():
            if not path.exists() or path.stat().st_mtime_ns != self.stamps[path]:
                path.write_bytes(data)
                self.stamps[path] = path.stat().st_mtime_ns


def go_on(state: Path, name: str, until: int, report: Callable[[str], object]) -> int:
    """Attacks from where `state` says that it stopped; the number of faults. Faults are kept in `state`, too."""
    state.mkdir(parents=True, exist_ok=True)
    place, faults = state / f"{name}.next", state / f"{name}.faults"
    start = int(place.read_text()) if place.exists() else 0
    found = 0
    with tempfile.TemporaryDirectory() as folder:
        attacker = Attacker(name, Path(folder))
        for number in range(start, until):
            if fault := attacker.attack(number, quick=True):
                found += 1
                report(fault)
                with faults.open("a", encoding="utf-8", errors="backslashreplace") as file:
                    file.write(fault + "\n\n")
            if number % 100 == 99 or number == until - 1:
                place.write_text(str(number + 1))
    return found


if __name__ == "__main__":
    arguments = sys.argv[1:]
    last = 100_000
    if "--until" in arguments:
        at = arguments.index("--until")
        last = int(arguments[at + 1])
        del arguments[at : at + 2]
    for asked in arguments or KINDS:
        print(
            asked,
            go_on(Path(os.environ["ATTACKS"]), asked, last, lambda fault: print(fault[:1500], flush=True)),
            flush=True,
        )
