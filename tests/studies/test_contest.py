"""The contest of decoders at toy size: equal operations, a table, a figure, and going on where it was stopped."""

import csv
import math
from collections import Counter
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import pandas as pd
import pytest
import torch
from rich.console import Console
from support.tiny_networks import TINY_UNET
from support.training_pictures import pictures  # noqa: F401
from typer.testing import CliRunner

from benchmark.cli.main import app
from benchmark.errors import UsageError
from benchmark.macs import count_macs
from benchmark.reports.contest import HELD_OUT, relative
from benchmark.studies import contest as study
from benchmark.studies.contest import Arena, Contest, choose, run
from benchmark.studies.contestants import MEMBERS, Judging, operations_per_step

pytestmark = pytest.mark.long

JUDGING = Judging(images=1, side=64, places=(0.0, 1.0), steps=(1, 2), metrics=("psnr", "lpips"))
TOY = Contest(
    operations=3e8, unet=TINY_UNET, batch=2, crop=32, passes=1, checks=2, judging=JUDGING, realism=(1.0,), low=1.0
)
ALL = [(group, member) for group in ("none", "lpips") for member in MEMBERS]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pairs")


@pytest.fixture(scope="module")
def arena(first_stage_file: Path, pictures: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Arena:  # noqa: F811
    """A contest in which a member's task and plan are made once."""
    output = tmp_path_factory.mktemp("arena")
    arena = Arena(TOY, first_stage_file, [pictures], cache, output, Console(quiet=True))
    arena.task, arena.plan = lru_cache(arena.task), lru_cache(arena.plan)  # type: ignore[method-assign]
    return arena


@pytest.fixture(scope="module")
def held(first_stage_file: Path, pictures: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    """The folder of a contest of two."""
    output = tmp_path_factory.mktemp("contest")
    members = [("none", "gan"), ("lpips", "energy")]
    written = run(TOY, first_stage_file, [pictures], cache, output, members, Console(quiet=True))
    assert written == [output / "contest.csv", output / "contest.png"]
    return output


SOME = [("none", "regression"), ("none", "gan"), ("none", "energy"), ("lpips", "flow"), ("lpips", "energy")]


@pytest.mark.parametrize(("group", "member"), SOME)
def test_operations_are_those_of_forward_and_backward_passes(arena: Arena, group: str, member: str) -> None:
    """By hand: a backward pass takes twice its forward pass, but for the gradient of the first layers' inputs; as much
    as it through LPIPS's network, whose weights stay. The discriminator sees r and r̂ for itself, r̂ for the network."""
    task = arena.task(group, member)
    x, one, samples = torch.zeros(1, 3, 32, 32), torch.ones(1), 2 if member == "energy" else 1
    z = [torch.cat([x, x], 1), x, torch.ones(1, 2), one] if member == "energy" else [x, x, one, one]
    unet = samples * count_macs(lambda: task.network(*z)) + count_macs(lambda: task.network.deviation(x, one))
    first = samples * 16**2 * task.network.unet.enter.weight.numel() + 8**2 * 9 * 48 * 32
    expected = 3 * unet - first
    if group == "lpips":
        expected += (1 + 2 * samples) * count_macs(lambda: task.open_perceptual(torch.device("cpu"))(x))
    if member == "gan":
        expected += 8 * count_macs(lambda: task.gan.discriminator(x, torch.zeros(1, 4, 32, 32)))  # type: ignore[attr-defined]
    assert operations_per_step(task) == pytest.approx(2 * TOY.batch * expected, rel=0.05)


def test_all_get_the_same_operations_and_begin_with_the_same_weights(arena: Arena) -> None:
    plans = {name: arena.plan(*name) for name in (*SOME, ("none", "flow"))}
    larger = replace(TOY, operations=100 * TOY.operations)
    for plan in plans.values():
        steps = round(larger.operations / plan.operations)
        assert steps * plan.operations == pytest.approx(larger.operations, rel=0.01)
    assert 1.3 < plans["none", "energy"].operations / plans["none", "flow"].operations < 2.1
    assert plans["lpips", "flow"].operations > plans["none", "flow"].operations
    assert plans["none", "gan"].operations > plans["none", "regression"].operations == plans["none", "flow"].operations
    first, other = (arena.task("none", name).network.state_dict() for name in ("regression", "flow"))
    assert all(torch.equal(first[name], other[name]) for name in first)


def test_the_table_has_checks_along_the_way_and_every_dial_at_the_end(held: Path) -> None:
    with (held / "contest.csv").open() as file:
        rows = list(csv.DictReader(file))
    along = [row for row in rows if row["finished"] == "False"]
    at_end = [row for row in rows if row["finished"] == "True"]
    # two checks, two qualities; the GAN from one evaluation, the other from one and from two
    assert Counter(row["member"] for row in along) == {"gan": 4, "energy": 8}
    # x̂ once in each group; the GAN has no dial, the energy score's own is 0.3
    assert Counter(row["member"] for row in at_end) == {"x̂": 4, "gan": 2, "energy": 8}
    assert {row["realism"] for row in at_end if row["member"] == "energy"} == {"0.3", "1"}
    assert {row["data"] for row in rows} == {HELD_OUT}
    assert all(math.isfinite(float(row["psnr"])) and float(row["lpips"]) >= 0 for row in rows)
    for member in ("gan", "energy"):
        last = max((row for row in along if row["member"] == member), key=lambda row: int(row["step"]))
        per_step = float(last["tera"]) / int(last["step"])
        assert abs(float(last["tera"]) - TOY.operations / 1e12) < 0.51 * per_step  # rounded to whole steps


def test_finished_members_are_not_trained_again(
    held: Path,
    first_stage_file: Path,
    pictures: Path,  # noqa: F811
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = (held / "contest.csv").read_bytes()
    monkeypatch.setattr(study, "train", lambda *_: pytest.fail("trained again"))
    members = [("none", "gan"), ("lpips", "energy")]
    run(TOY, first_stage_file, [pictures], cache, held, members, Console(quiet=True))
    assert (held / "contest.csv").read_bytes() == before


def test_a_folder_has_one_contest(held: Path, first_stage_file: Path, pictures: Path, cache: Path) -> None:  # noqa: F811
    other = replace(TOY, operations=2 * TOY.operations, seed=5)
    with pytest.raises(UsageError, match="holds a contest with another operations, seed; choose another output"):
        run(other, first_stage_file, [pictures], cache, held, [("none", "gan")], Console(quiet=True))


def test_a_stopped_contest_ends_and_goes_on(
    tmp_path: Path,
    first_stage_file: Path,
    pictures: Path,  # noqa: F811
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is trained to a step before the last is not measured as if it were finished."""
    with monkeypatch.context() as patch:
        train = study.train

        def stopped(task, schedule, *arguments):  # type: ignore[no-untyped-def]
            return train(task, replace(schedule, steps=1), *arguments)

        patch.setattr(study, "train", stopped)
        members = [("none", "regression"), ("none", "flow")]
        assert run(TOY, first_stage_file, [pictures], cache, tmp_path, members, Console(quiet=True)) == []
        assert not (tmp_path / "none" / "flow").exists()
    console = Console(record=True, quiet=False, width=200)
    run(TOY, first_stage_file, [pictures], cache, tmp_path, members[:1], console)
    assert "goes on from step 1 of" in console.export_text()
    assert (tmp_path / "contest.csv").is_file()


def test_values_are_over_those_of_x_hat() -> None:
    """Half and twice it at two qualities is 1 in the geometric mean; PSNR is a difference."""
    shared = {"group": "none", "step": 9, "tera": 1.0, "finished": True, "data": HELD_OUT, "seed": 0}
    rows = pd.DataFrame(
        [
            {**shared, "member": "x̂", "quality": 1.0, "steps": 0, "realism": math.nan, "psnr": 30.0, "fd": 4.0},
            {**shared, "member": "x̂", "quality": 3.0, "steps": 0, "realism": math.nan, "psnr": 34.0, "fd": 1.0},
            {**shared, "member": "flow", "quality": 1.0, "steps": 2, "realism": 1.0, "psnr": 29.0, "fd": 2.0},
            {**shared, "member": "flow", "quality": 3.0, "steps": 2, "realism": 1.0, "psnr": 32.0, "fd": 2.0},
            {**shared, "member": "gan", "quality": 1.0, "steps": 1, "realism": math.nan, "psnr": 29.0, "fd": 1.0},
        ]
    )
    found = relative(rows, "fd").set_index("member")["value"]
    assert found.to_dict() == pytest.approx({"flow": 1.0, "gan": 0.25})
    assert relative(rows, "psnr").set_index("member")["value"].to_dict() == pytest.approx({"flow": -1.5, "gan": -1.0})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--members", "gan,vae"], "has no member 'vae'"),
        (["--perceptual", "dists"], "--perceptual is none, lpips or both, not 'dists'"),
        (["--steps", "1,x"], "--steps '1,x': whole numbers with commas between"),
        (["--steps", "2,4"], "1 is among them"),
        (["--operations", "0"], "trains nothing"),
        (["--base", "jpeg", "--first-stage", "a"], "--first-stage belongs to the autoencoder"),
        (["--unet", "huge"], "--unet is small"),
        (["--precision", "float16"], "--precision is auto, float32 or bf16"),
    ],
)
def test_refusals(words: list[str], message: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["studies", "contest", str(tmp_path), "-o", str(tmp_path / "o"), *words])
    assert isinstance(result.exception, UsageError) or result.exit_code == 2
    assert message in f"{result.exception} {result.output}"
    assert not (tmp_path / "o").exists()


def test_members_are_chosen_group_by_group() -> None:
    assert choose([], "both") == ALL
    assert choose(["energy", "flow"], "lpips") == [("lpips", "flow"), ("lpips", "energy")]
