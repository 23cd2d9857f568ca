"""Plans: shares of the time, one archive, going on; and, slowly, two real trainings from an archive."""

import csv
import os
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from support.tiny_networks import first_stage_file  # noqa: F401
from support.training_pictures import pictures  # noqa: F401
from typer.testing import CliRunner

from benchmark.cli.main import app
from benchmark.errors import UsageError
from benchmark.training import plan as plans
from benchmark.training.plan import Ended, launch, pack, read_plan, run, unpack, words

TEXT = """
minutes = 2.0
images = ["photos"]

[[training]]
name = "a"
train = "energy"
share = 3
[training.options]
from = "weights.safetensors"
steps = 4
enlarged = [2, 3]
varied = true
views = false

[[training]]
name = "b"
train = "flow"
"""


@pytest.fixture
def plan_file(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    for name in ("2.png", "1.png"):
        (tmp_path / "photos" / name).write_bytes(name.encode())
    (tmp_path / "weights.safetensors").write_bytes(b"weights")
    (tmp_path / "plan.toml").write_text(TEXT)
    return tmp_path / "plan.toml"


class Machine:
    """In place of processes: a clock, and how long each training would take."""

    def __init__(self, needs: dict[str, float], failing: Sequence[str] = ()) -> None:
        self.now, self.needs, self.failing = 100.0, dict(needs), failing
        self.asked: list[tuple[str, float]] = []

    def __call__(self, command: Sequence[str], seconds: float) -> tuple[str, float]:
        name = Path(command[command.index("--output") + 1]).name
        self.asked.append((name, seconds))
        used = min(seconds, self.needs[name])
        self.now += used
        self.needs[name] -= used
        if name in self.failing:
            return "failed (exit 2)", used
        return ("finished" if self.needs[name] <= 0 else "time over"), used

    def clock(self) -> float:
        return self.now


def test_words_of_a_training(plan_file: Path) -> None:
    plan, folder = read_plan(plan_file), plan_file.parent
    assert words(plan, plan.training[0], Path("out")) == [
        *("energy", str(folder / "photos"), "--output", "out/a"),
        *("--from", str(folder / "weights.safetensors"), "--steps", "4", "--enlarged", "2", "--enlarged", "3"),
        "--varied",
    ]
    other = read_plan(plan_file, [folder])
    assert words(other, plan.training[1], Path("out")) == ["flow", str(folder), "--output", "out/b"]


def test_each_has_its_share_and_leaves_what_it_does_not_need(plan_file: Path, tmp_path: Path) -> None:
    """120 s, 3 to 1: 90 s for the first, of which it takes 30; the second has the other 90."""
    machine = Machine({"a": 30, "b": 1000})
    ended = list(run(read_plan(plan_file), tmp_path / "out", launch=machine, clock=machine.clock))
    assert machine.asked == [("a", 90.0), ("b", 90.0)]
    assert ended == [Ended("a", "finished", 30.0), Ended("b", "time over", 90.0)]
    with (tmp_path / "out" / "plan.csv").open() as file:
        assert [row["ended"] for row in csv.DictReader(file)] == ["finished", "time over"]


def test_it_goes_on_later_with_what_is_open_alone(plan_file: Path, tmp_path: Path) -> None:
    """Elsewhere too, from a copy that may only be read."""
    first, second = tmp_path / "first", tmp_path / "second"
    machine = Machine({"a": 30, "b": 150})
    for name in ("a", "b"):
        (first / name).mkdir(parents=True)
    (first / "b" / "last.safetensors").write_bytes(b"state")
    (first / "b" / "last.safetensors").chmod(0o444)
    list(run(read_plan(plan_file), first, launch=machine, clock=machine.clock))
    ended = list(run(read_plan(plan_file), second, first, launch=machine, clock=machine.clock))
    assert ended == [Ended("b", "finished", 60.0)]
    assert (second / "b" / "last.safetensors").read_bytes() == b"state"
    assert os.access(second / "b" / "last.safetensors", os.W_OK)
    assert list(run(read_plan(plan_file), second, launch=machine, clock=machine.clock)) == []


def test_one_that_fails_costs_the_others_nothing(plan_file: Path, tmp_path: Path) -> None:
    machine = Machine({"a": 1, "b": 10}, failing=["a"])
    ended = list(run(read_plan(plan_file), tmp_path / "out", launch=machine, clock=machine.clock))
    assert [one.how for one in ended] == ["failed (exit 2)", "finished"]
    assert ended[0].failed
    assert not ended[1].failed
    assert not (tmp_path / "out" / "a" / "finished").exists()


@pytest.mark.parametrize(
    ("program", "seconds", "how"),
    [
        ("pass", 60, "finished"),
        ("raise SystemExit(2)", 60, "failed (exit 2)"),
        ("import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\ntime.sleep(60)", 1, "killed"),
    ],
)
def test_a_process_and_its_time(program: str, seconds: float, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "GRACE_SECONDS", 0.5)
    assert launch(["x"], seconds, ("-c", program))[0] == how


def test_a_process_whose_time_is_over_ends_cleanly(tmp_path: Path) -> None:
    """SIGINT, once it is ready for it."""
    program = (
        "import signal, sys, time\nfrom pathlib import Path\ncaught = []\n"
        "signal.signal(signal.SIGINT, lambda *_: caught.append(1))\nPath(sys.argv[1], 'ready').touch()\n"
        "while not caught:\n    time.sleep(0.01)\nPath(sys.argv[1], 'state').write_text('kept')\n"
    )
    seconds = 2.0
    while True:  # a busy machine may not have started it yet
        how, took = launch([str(tmp_path)], seconds, ("-c", program))
        assert how == "time over"
        assert took >= seconds
        if (tmp_path / "ready").exists():
            break
        seconds *= 2
    assert (tmp_path / "state").read_text() == "kept"


def test_an_archive_is_a_plan(plan_file: Path, tmp_path: Path) -> None:
    """The same bytes each time; unpacked, the same commands with paths of its own."""
    pack(read_plan(plan_file), tmp_path / "one.tar")
    (plan_file.parent / "photos" / "1.png").touch()
    pack(read_plan(plan_file), tmp_path / "two.tar")
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    folder = tmp_path / "elsewhere"
    moved = read_plan(unpack(tmp_path / "one.tar", folder))
    assert [path.name for path in sorted((folder / "images" / "0").iterdir())] == ["1.png", "2.png"]
    before = read_plan(plan_file)
    for one, other in zip(moved.training, before.training, strict=True):
        text = " ".join(words(moved, one, Path("out")))
        text = text.replace(str(folder / "images" / "0"), str(tmp_path / "photos"))
        text = text.replace(str(folder / "files" / "0-weights.safetensors"), str(tmp_path / "weights.safetensors"))
        assert text == " ".join(words(before, other, Path("out")))
    assert (moved.minutes, moved.training[0].share) == (2.0, 3.0)


def test_an_archive_of_something_else_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w"):
        pass
    with pytest.raises(UsageError, match=r"an archive without plan\.toml"):
        unpack(tmp_path / "x.tar", tmp_path / "y")
    (tmp_path / "z.tar").write_bytes(b"no archive at all")
    with pytest.raises(UsageError, match="cannot be unpacked"):
        unpack(tmp_path / "z.tar", tmp_path / "y")


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("minutes = 2.0", "minutes = 0", "minutes"),
        ("minutes = 2.0", "minutes = 2.0\nhours = 1", "hours"),
        ("minutes = 2.0", "minutes = ", "cannot be read"),
        ('images = ["photos"]', 'images = ["nowhere"]', "there is no folder .*nowhere"),
        ('images = ["photos"]', "images = []", "images"),
        ('name = "b"', 'name = "a"', "two trainings are called a"),
        ('name = "b"', 'name = "../b"', "name"),
        ("share = 3", "share = -1", "share"),
        ('from = "weights.safetensors"', 'from = "none.safetensors"', "there is no file .*none"),
    ],
)
def test_what_is_no_plan_is_refused(plan_file: Path, before: str, after: str, message: str) -> None:
    plan_file.write_text(TEXT.replace(before, after, 1))
    with pytest.raises(UsageError, match=message):
        read_plan(plan_file)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('train = "flow"', 'train = "vae"', "there is no training 'vae'"),
        ("steps = 4", "stepz = 4", "stepz"),
        ("steps = 4", 'steps = "four"', "steps"),
    ],
)
def test_every_command_is_read_before_the_first_runs(
    plan_file: Path, tmp_path: Path, before: str, after: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plans, "run", lambda *_: pytest.fail("it ran"))
    plan_file.write_text(TEXT.replace(before, after, 1))
    result = CliRunner().invoke(app, ["train", "plan", str(plan_file), "-o", str(tmp_path / "out")])
    assert isinstance(result.exception, UsageError)
    assert message in str(result.exception)


@pytest.mark.checkout
def test_the_plan_of_the_project_is_one(plan_file: Path) -> None:
    """All its commands have the options that it gives them."""
    path = Path(__file__).parents[2] / "gpu.toml"
    photos = str(plan_file.parent / "photos")
    result = CliRunner().invoke(app, ["train", "plan", str(path), "--images", photos, "--dry-run", "-o", "out"])
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert [line.split()[:5] for line in lines] == [
        ["python", "-m", "benchmark", "train", kind] for kind in ("energy", "diffusion", "flow")
    ]
    assert all(f"train {kind} {photos} --output out/{kind} --from" in line for kind, line in
               zip(("energy", "diffusion", "flow"), lines, strict=True))  # fmt: skip


def test_commands_from_an_archive(plan_file: Path, tmp_path: Path) -> None:
    invoke = CliRunner().invoke
    archive = str(tmp_path / "all.tar")
    assert invoke(app, ["train", "plan", str(plan_file), "--pack", archive]).output.strip() == archive
    again = invoke(app, ["train", "plan", archive, "--pack", archive])
    assert "is an archive already" in str(again.exception)
    shown = invoke(app, ["train", "plan", archive, "--dry-run", "-o", str(tmp_path / "out")])
    assert shown.exit_code == 0, shown.output
    assert shown.output.count("python -m benchmark train") == 2
    assert not list(tmp_path.glob(".plan-*"))  # what was unpacked is gone


@pytest.mark.slow
def test_a_rehearsal(
    first_stage_file: Path,  # noqa: F811
    pictures: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Packed, run from the archive until the time is over, and run to its end elsewhere."""
    monkeypatch.setenv("BENCHMARK_CACHE", str(tmp_path / "cache"))
    common = f'first-stage = "{first_stage_file}"\nbatch = 1\ncrop = 32\npasses = 1\nthreads = 1\ncheck-every = 1000\n'
    text = f'minutes = 5\nimages = ["{pictures}"]\n'
    for name, steps in (("energy", 100_000), ("flow", 2)):
        text += f'[[training]]\nname = "{name}"\ntrain = "{name}"\n[training.options]\nsteps = {steps}\n{common}'
    (tmp_path / "plan.toml").write_text(text)
    archive = tmp_path / "all.tar"
    pack(read_plan(tmp_path / "plan.toml"), archive)
    invoke = CliRunner().invoke
    for minutes in ("2", "4", "8"):  # on a busy machine it takes more than one to come to the first step
        first = invoke(app, ["train", "plan", str(archive), "-o", str(tmp_path / "first"), "--minutes", minutes])
        assert "energy: time over after" in first.output
        if (tmp_path / "first" / "energy" / "energy.safetensors").is_file():
            break
    assert first.exit_code == 0, first.output
    assert (tmp_path / "first" / "energy" / "energy.safetensors").is_file()
    assert (tmp_path / "first" / "flow" / "flow.safetensors").is_file()
    steps = int(read_steps(tmp_path / "first" / "energy"))
    then = ["train", "plan", str(archive), "-o", str(tmp_path / "then"), "--before", str(tmp_path / "first")]
    second = invoke(app, [*then, "--minutes", minutes])
    assert second.exit_code == 0, second.output
    assert "flow:" not in second.output
    assert int(read_steps(tmp_path / "then" / "energy")) > steps > 0


def read_steps(folder: Path) -> str:
    from benchmark.training.checkpoint import read_training

    return str(read_training(folder / "averaged.safetensors")[1]["step"])
