"""The study of the gate's errors in a small size, and what needs no chance. Limits are binomial."""

import numpy as np
import pytest

from benchmark.analysis.comparison import compare
from benchmark.analysis.margins import Gate
from benchmark.errors import UsageError
from benchmark.statistics.gate import Outcome
from benchmark.studies import gate_errors
from benchmark.studies.gate_errors import Kind, family_lines, kinds, lines, measure

pytestmark = pytest.mark.long

NAMES = [kind.name for kind in kinds()]


def kind_of(name: str) -> Kind:
    return next(kind for kind in kinds() if kind.name == name)


def errors(name: str, n: int, loss: float, draws: int = 60) -> gate_errors.Errors:
    return gate_errors._errors(kind_of(name), n, loss, draws, 0)


@pytest.mark.parametrize("name", NAMES)
def test_identical_runs_are_the_same(name: str) -> None:
    kind = kind_of(name)
    base, _ = kind.draw(np.random.default_rng(0), 8)
    run = gate_errors._run(8, "bpp" if name == "bpp" else "own", kind.record, kind.stochastic, [base])
    assert {row.outcome for row in compare(run, run, Gate()).rows} == {Outcome.SAME}


@pytest.mark.parametrize("name", ["psnr, higher is better", "lpips, lower is better, a share", "kd, of both signs"])
def test_one_number_is_judged_as_promised(name: str) -> None:
    """No more than 5 % false alarms, and no more than 5 % of losses of a margin pass; four binomial deviations."""
    nothing, margin, twice, large = (errors(name, 8, loss) for loss in (0, 1, 2, 5))
    assert nothing.worse <= 5 + 4 * 2.8
    assert margin.not_worse + margin.better <= 5 + 4 * 2.8
    assert twice.worse >= 80
    assert large.worse >= 95


@pytest.mark.parametrize("name", ["psnr of a codec without chance", "bpp"])
def test_numbers_without_chance_are_judged_without_error(name: str) -> None:
    assert errors(name, 8, 0, 10).not_worse == 100
    assert errors(name, 8, 2, 10).worse == 100


def test_losses_have_the_size_and_sign_that_they_are_said_to_have() -> None:
    for name, wanted in (
        ("psnr, higher is better", 29.8),
        ("lpips, lower is better, a share", 30 * 1.04),
        ("own, signed, lower is better", 30.2),
    ):
        assert gate_errors._worsened(np.array([30.0]), kind_of(name).record, 2.0) == pytest.approx([wanted])


def test_lines_and_refusals() -> None:
    assert len(list(lines(measure([8], 10, ["bpp"])))) == 1 + 4
    assert len(list(family_lines([gate_errors.FamilyErrors(8, 0.0, 10, 336, 0.0, 0.0, 0.0, 35.0, 6.9)]))) == 2
    with pytest.raises(UsageError, match="at least 2"):
        measure([1])
    with pytest.raises(UsageError, match="at least 10"):
        gate_errors.measure_families([8], 5)


@pytest.mark.slow
def test_a_gate_of_hundreds_of_numbers_has_few_false_claims() -> None:
    """12 codecs, 6 qualities, 5 metrics: 5 % over all, each way; four binomial deviations."""
    found = gate_errors._family(8, 0.0, 40, 0)
    assert found.tests == 336
    assert max(found.any_worse, found.any_better) <= 5 + 4 * 3.5
    assert gate_errors._family(24, 2.0, 10, 0).found == 100
