"""Several trainings on a machine that is lent for some minutes: each has its share of them, and each goes on later.

A plan is a TOML file:

    minutes = 12                       # in all; --minutes says otherwise
    images = ["photos/train"]          # folders of training images, beside the plan

    [[training]]
    name = "energy"                    # its folder
    train = "energy"                   # the command `train energy`
    share = 2                          # of the time, beside the shares of the others
    [training.options]                 # the command's options, without their dashes
    steps = 40000
    from = "one-step.safetensors"      # files lie beside the plan too

`run` starts one after another, each as a process of its own that writes into OUTPUT/NAME as it goes, so what is there
when the machine is taken away is what there was at the last checkpoint. When its time is over a training gets SIGINT,
after which it keeps its state and writes its weights. The same plan with the same OUTPUT, or with a copy of it as
`before`, goes on: a training that has come to its end gives its time to the others. `pack` puts a plan with its images
and files into one archive, which is a plan as well.
"""

import csv
import io
import json
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from benchmark.errors import BenchmarkError, UsageError
from benchmark.files import make_folder, replacing, write_file
from benchmark.reading import brief, first_problem, read_text, shown

FILES = ("from", "first-stage")
"""Options whose values are files, which a plan has beside it and an archive inside."""
GRACE_SECONDS = 60.0
"""A training that is told to stop has so long for its step, its state and its weights; then it is killed."""
PLAN, TABLE, FINISHED = "plan.toml", "plan.csv", "finished"
"""In an archive: the plan. In OUTPUT: a line for each time that a training ran. In OUTPUT/NAME: it came to its end."""

Value = bool | int | float | str | list[bool | int | float | str]


class Training(BaseModel):
    """A training of a plan; see the module."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    train: str
    share: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    options: dict[str, Value] = Field(default_factory=dict)


class Plan(BaseModel):
    """A plan; see the module."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    minutes: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    images: Annotated[list[str], Field(min_length=1)]
    training: Annotated[list[Training], Field(min_length=1)]


def read_plan(path: Path, images: Sequence[Path] = ()) -> Plan:
    """The plan in a TOML file, with its images and files as paths that exist. images: other folders than its own.

    Raises UsageError, one line, on anything that is no plan, and on an image folder or file that is not there.
    """
    if not path.is_file():
        raise UsageError(f"{shown(path)}: there is no such plan")
    try:
        plan = Plan.model_validate(tomllib.loads(read_text(path)))
    except ValidationError as error:
        raise UsageError(f"{shown(path)}: {first_problem(error)}") from None
    except (BenchmarkError, tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise UsageError(f"{shown(path)}: cannot be read: {brief(error)}") from None
    names = [training.name for training in plan.training]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"{shown(path)}: two trainings are called {twice}")
    folders = list(images) or [path.parent / folder for folder in plan.images]
    if lost := next((folder for folder in folders if not _is_there(folder.is_dir)), None):
        raise UsageError(f"{shown(path)}: there is no folder {shown(lost)}")
    trainings = [_with_paths(training, path) for training in plan.training]
    return plan.model_copy(update={"images": [str(folder) for folder in folders], "training": trainings})


def _with_paths(training: Training, plan: Path) -> Training:
    options = dict(training.options)
    for key in FILES:
        if key in options:
            file = plan.parent / str(options[key])
            if not _is_there(file.is_file):
                raise UsageError(f"{shown(plan)}: {training.name}: there is no file {shown(file)}")
            options[key] = str(file)
    return training.model_copy(update={"options": options})


def _is_there(ask: Callable[[], bool]) -> bool:
    """What a path says of itself; False where the system takes no such name."""
    try:
        return ask()
    except OSError:
        return False


def words(plan: Plan, training: Training, output: Path) -> list[str]:
    """What follows `python -m benchmark train` for a training."""
    options: list[str] = []
    for key, value in training.options.items():
        for one in value if isinstance(value, list) else [value]:
            options += [f"--{key}"] if one is True else [] if one is False else [f"--{key}", str(one)]
    return [training.train, *plan.images, "--output", str(output / training.name), *options]


# One archive


def pack(plan: Plan, archive: Path) -> None:
    """Writes a plan that `read_plan` gave, its images and its files into `archive`, a tar file; the same each time."""
    folders = {folder: f"images/{n}" for n, folder in enumerate(plan.images)}
    files: dict[str, str] = {}
    for training in plan.training:
        for key in FILES:
            if key in training.options:
                path = str(training.options[key])
                files.setdefault(path, f"files/{len(files)}-{Path(path).name}")
    moved = [
        training.model_copy(
            update={"options": {k: files[str(v)] if k in FILES else v for k, v in training.options.items()}}
        )
        for training in plan.training
    ]
    text = _toml(plan.model_copy(update={"images": list(folders.values()), "training": moved}))
    with replacing(archive) as partial, tarfile.open(partial, "w") as tar:
        _add(tar, PLAN, text.encode())
        for folder, name in folders.items():
            for image in sorted(path for path in Path(folder).iterdir() if path.is_file()):
                _add(tar, f"{name}/{image.name}", image.read_bytes())
        for path, name in files.items():
            _add(tar, name, Path(path).read_bytes())


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), 0o644
    tar.addfile(member, io.BytesIO(content))


def _toml(plan: Plan) -> str:
    """`plan` as TOML. A string or a list of numbers and strings in JSON is one in TOML."""
    lines = [f"minutes = {plan.minutes!r}", f"images = {json.dumps(plan.images, ensure_ascii=False)}"]
    for training in plan.training:
        lines += ["", "[[training]]", f"name = {json.dumps(training.name)}", f"train = {json.dumps(training.train)}"]
        lines += [f"share = {training.share!r}", "[training.options]"]
        for key, value in training.options.items():
            lines.append(f"{json.dumps(key)} = {json.dumps(value, ensure_ascii=False)}")
    return "\n".join(lines) + "\n"


def unpack(archive: Path, folder: Path) -> Path:
    """Unpacks what `pack` wrote into `folder`, and returns the plan's path. Raises UsageError on another file."""
    try:
        with tarfile.open(archive) as tar:
            if PLAN not in tar.getnames():
                raise UsageError(f"{shown(archive)}: an archive without {PLAN}")
            make_folder(folder)
            tar.extractall(folder, filter="data")
    except (tarfile.TarError, OSError, EOFError) as error:
        raise UsageError(f"{shown(archive)}: cannot be unpacked: {brief(error)}") from None
    return folder / PLAN


# The run


@dataclass(frozen=True)
class Ended:
    """How a training's time ended: "finished", "time over", "killed", "failed (exit N)"; and how long it had."""

    name: str
    how: str
    seconds: float

    @property
    def failed(self) -> bool:
        """Whether the command itself went wrong."""
        return self.how.startswith("failed")


Launch = Callable[[Sequence[str], float], tuple[str, float]]
"""(what follows `python -m benchmark train`, seconds that it has) -> how it ended, and after how many seconds."""


def launch(
    command: Sequence[str], seconds: float, program: Sequence[str] = ("-m", "benchmark", "train")
) -> tuple[str, float]:
    """A `Launch`: a process of its own, with SIGINT when its time is over."""
    begun = time.monotonic()
    process = subprocess.Popen([sys.executable, *program, *command])
    try:
        how = _wait(process, seconds)
    except BaseException:  # Ctrl-C came to the child as well; it ends cleanly, and so do we after it
        _wait(process, 0)
        raise
    return how, time.monotonic() - begun


def _wait(process: "subprocess.Popen[bytes]", seconds: float) -> str:
    try:
        code = process.wait(max(0.0, seconds))
        return "finished" if code == 0 else f"failed (exit {code})"
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
    try:
        process.wait(GRACE_SECONDS)
        return "time over"
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return "killed"


def run(
    plan: Plan,
    output: Path,
    before: Path | None = None,
    launch: Launch = launch,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Ended]:
    """Runs the trainings of `plan` in its order, and says of each how it ended; `plan.csv` has the same.

    What remains of the time is divided by the shares of those that are still to come, so one that ends early, or fails,
    leaves its time to them. before: an OUTPUT of earlier; a training that OUTPUT does not have is copied from there.
    Those that came to their end earlier are passed over.
    """
    begun = clock()
    open_trainings = []
    for training in plan.training:
        folder = output / training.name
        if before is not None and not folder.exists() and (before / training.name).is_dir():
            shutil.copytree(before / training.name, folder, copy_function=_copy_writable)
        if not (folder / FINISHED).exists():
            open_trainings.append(training)
    while open_trainings:
        training, shares = open_trainings[0], sum(one.share for one in open_trainings)
        left = 60 * plan.minutes - (clock() - begun)
        if left <= 0:
            return
        how, seconds = launch(words(plan, training, output), left * training.share / shares)
        ended = Ended(training.name, how, seconds)
        if how == "finished":
            write_file(output / training.name / FINISHED, "", parents=True)
        _note(output / TABLE, ended)
        yield ended
        open_trainings.pop(0)


def _copy_writable(source: str, target: str) -> str:
    """A copy that can be written, of a file that may be read-only."""
    shutil.copyfile(source, target)
    Path(target).chmod(0o644)
    return target


def _note(table: Path, ended: Ended) -> None:
    """Appends a line to the table of what ran."""
    before = read_text(table) if table.is_file() else "name,ended,seconds\n"
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow([ended.name, ended.how, f"{ended.seconds:.1f}"])
    write_file(table, before + line.getvalue(), parents=True)
