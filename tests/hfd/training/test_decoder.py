"""What luma and chroma count in the losses of decoders, and LPIPS's maps where a path leads."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import Tensor

from benchmark.errors import UsageError
from benchmark.hfd.decoders import KINDS, diffusion, flow
from benchmark.hfd.training.decoder import PathTask, axis_weights
from benchmark.hfd.unet import UNetConfig


@pytest.mark.parametrize("chroma", [0, 0.5, 1, 1.5])
def test_axes_weigh_three_together(chroma: float) -> None:
    """So that a greater weight of chroma is a smaller one of luma, and the loss as large for errors that are alike."""
    luma, *both = axis_weights(chroma)
    assert both == [chroma, chroma]
    assert luma + sum(both) == 3


def path_task(kind: str, perceptual: float) -> PathTask[Any]:
    """A task without images; in place of LPIPS's network its map is the image."""
    decoder = KINDS[kind].load()
    task = decoder.task.__new__(decoder.task)
    task.recipe = decoder.recipe(precision="float32", perceptual=perceptual)
    task.base = SimpleNamespace(levels=3)  # type: ignore[assignment]
    torch.manual_seed(0)
    task.network = task.make_network(UNetConfig((8,), (1,), ()), 3)
    task.perceptual = lambda x: (x,)  # type: ignore[assignment]
    assert isinstance(task, PathTask)
    return task


def test_a_path_leads_to_r_where_the_network_is_right() -> None:
    r, n = torch.randn(2, 4, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    t = torch.tensor([0.1, 0.4, 0.7, 0.95])
    z = flow.interpolate(n, r, t)
    torch.testing.assert_close(path_task("flow", 0).end_point(r - n, z, t), r)
    for shift in (1.0, 0.5):
        z, v, snr = diffusion.diffuse(r, n, t, shift)
        told = 2 / torch.pi * torch.atan(snr.rsqrt())
        torch.testing.assert_close(path_task("diffusion", 0).end_point(v, z, told), r, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", ["flow", "diffusion"])
def test_maps_are_compared_where_the_path_leads(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the right end point there is no distance; at another the loss grows by its weight, and reaches the net."""
    x, x_hat = torch.rand(2, 4, 3, 16, 16, generator=torch.Generator().manual_seed(0)) - 0.5
    batch = x, x_hat, torch.tensor([1.0, 2.0, 2.0, 3.0]), torch.tensor([0.1, 0.4, 0.6, 0.9])
    plain, weighted = path_task(kind, 0.0), path_task(kind, 2.0)

    def loss(task: PathTask[Any]) -> tuple[Tensor, dict[str, float]]:
        torch.manual_seed(1)
        return task.loss(0, *batch)

    (without, figures), (with_maps, more) = loss(plain), loss(weighted)
    assert sorted(figures) == sorted([kind, "nll"])
    assert more.keys() - figures.keys() == {"perceptual"}
    assert float((with_maps - without).detach()) == pytest.approx(2 * more["perceptual"], rel=1e-4)
    with_maps.backward()
    gradient = weighted.network.unet.exit.weight.grad
    assert gradient is not None
    assert float(gradient.abs().sum()) > 0
    assert ("perceptual" in plain.describe_kind()) is False

    from benchmark.hfd.score import to_luma_chroma

    monkeypatch.setattr(type(weighted), "end_point", lambda self, output, z, t: to_luma_chroma(x - x_hat))
    assert loss(weighted)[1]["perceptual"] == pytest.approx(1e-4, abs=2e-5)  # the floor under the root


@pytest.mark.parametrize("kind", ["flow", "diffusion"])
def test_crops_too_small_for_lpips_are_refused_with_its_maps(kind: str, tmp_path: Path) -> None:
    decoder = KINDS[kind].load()
    recipe = decoder.recipe(crop=16, perceptual=1.0)
    with pytest.raises(UsageError, match=f"crops for the {kind} decoder have sides of at least 32 pixels"):
        decoder.task(tmp_path, tmp_path, tmp_path, UNetConfig(), recipe, Console(), torch.device("cpu"))
