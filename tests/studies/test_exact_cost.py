from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.errors import BenchmarkError
from benchmark.hfd.autoencoder import FirstStage
from benchmark.hfd.codec import mse
from benchmark.hfd.entropy import CdfTables
from benchmark.hfd.score import picture_to_tensor
from benchmark.hfd.weights import load_autoencoder
from benchmark.images import write_png
from benchmark.studies.exact_cost import RateCost, lines, measure, rate_cost, table_bits, time_cost


def test_bits_of_a_table() -> None:
    tables = CdfTables([[0, 1, 2], [0, 16384, 49152, 65535, 65536]], [3, 5], [0, -1])
    bits = table_bits(tables)
    assert bits[1].tolist() == pytest.approx([2, 1, 2], abs=1e-4)
    assert bits[0].tolist() == [0, 0, 0]


def test_extra_is_at_equal_error() -> None:
    assert RateCost(110, 100, 5, 5).extra == pytest.approx(0.1)
    assert RateCost(110, 100, 5, 15).extra == pytest.approx(0)


def test_exactness_costs_next_to_nothing_with_random_weights(first_stage_file: Path, picture: np.ndarray) -> None:
    stage = FirstStage(load_autoencoder(first_stage_file)[0])
    cost = rate_cost(stage, picture_to_tensor(picture), 40)
    assert cost.exact_bits > 1000
    assert abs(cost.extra) < 0.005
    seconds = time_cost(stage, picture_to_tensor(picture), 40, repeats=1)
    assert 0 < seconds.exact < seconds.decode


def test_a_coarser_network_costs_more(first_stage_file: Path, picture: np.ndarray) -> None:
    """The measure sees what it is meant to see."""
    stage = FirstStage(load_autoencoder(first_stage_file)[0])
    for network in stage.coder.parameters_of_slice:
        layer = network.steps[0]
        layer.weight = torch.round(layer.weight / 64) * 64  # type: ignore[union-attr]
        layer._weight32 = [layer.weight[:, a:b].float() for a, b in layer.groups]  # type: ignore[union-attr]
    assert rate_cost(stage, picture_to_tensor(picture), 40).extra > 0.0005


def test_exactness_costs_next_to_nothing_with_the_shipped_weights(picture: np.ndarray) -> None:
    assert rate_cost(mse("cpu").first_stage, picture_to_tensor(picture), 96).extra < 0.005


def test_lines_of_measured_costs(tmp_path: Path, first_stage_file: Path, picture: np.ndarray) -> None:
    path = tmp_path / "a.png"
    write_png(path, picture)
    costs = list(measure([path], first_stage_file))  # which has three levels
    assert [(cost.image, cost.quality) for cost in costs] == [("a", 1), ("a", 3)]
    assert costs[0].bpp == pytest.approx(costs[0].rate.exact_bits / picture[..., 0].size)
    heading, *rows = lines(costs)
    assert heading.split()[0] == "image"
    assert [row.split()[:3] for row in rows] == [["a", f"{cost.quality:g}", f"{cost.bpp:.4f}"] for cost in costs]
    with pytest.raises(BenchmarkError, match=r"none\.png"):
        measure([tmp_path / "none.png"], first_stage_file)
