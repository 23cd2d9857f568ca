"""The generator: what it depends on, how far it sees, and that tiles change nothing."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.baselines.hific_small.codec import SHIPPED, GeneratorDecoder
from benchmark.baselines.hific_small.network import SMALL, Generator, GeneratorConfig, load_generator
from benchmark.cli.main import main
from benchmark.macs import count_macs

AWAKE = GeneratorConfig(latents=20, levels=3, channels=(16, 12, 8, 8), blocks=(2, 1, 1, 2), embedding=8)


@pytest.fixture(scope="module")
def generator() -> Generator:
    torch.manual_seed(0)
    generator = Generator(AWAKE)
    for parameter in generator.parameters():
        if parameter.ndim == 4 and parameter.shape[-1] == 3:
            torch.nn.init.kaiming_normal_(parameter)
    return generator.eval().requires_grad_(False)


def inputs(rows: int, columns: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    noise = torch.Generator().manual_seed(seed)
    y_hat = torch.randn(1, AWAKE.latents, rows, columns, generator=noise)
    return y_hat, torch.rand(1, 3, 16 * rows, 16 * columns, generator=noise) - 0.5


def test_an_untrained_generator_returns_the_first_stages_picture() -> None:
    y_hat, x_hat = inputs(2, 3)
    assert torch.equal(Generator(AWAKE)(y_hat, x_hat, torch.tensor([2.0])), x_hat)


def test_every_input_counts(generator: Generator) -> None:
    y_hat, x_hat = inputs(3, 3)
    two = torch.tensor([2.0])
    picture = generator(y_hat, x_hat, two)
    assert not torch.allclose(generator(y_hat, x_hat, torch.tensor([2.5])), picture)
    for channel in range(AWAKE.latents):
        other = y_hat.clone()
        other[:, channel] += 1
        assert not torch.allclose(generator(other, x_hat, two), picture)
    added = generator(y_hat, x_hat, two) - x_hat
    assert not torch.allclose(generator(y_hat, 0.5 * x_hat, two) - 0.5 * x_hat, added)


@pytest.mark.parametrize("place", [0, 7, 15])
def test_it_sees_as_far_as_it_says_and_no_farther(generator: Generator, place: int) -> None:
    side = 2 * generator.receptive_field + 3
    middle = side // 2
    y_hat, x_hat = (t.clone().requires_grad_() for t in inputs(side, side))
    generator(y_hat, x_hat, torch.tensor([2.0]))[0, :, 16 * middle + place, 16 * middle + place].sum().backward()
    assert y_hat.grad is not None
    assert x_hat.grad is not None
    used = y_hat.grad[0].abs().sum(0)
    used += torch.nn.functional.avg_pool2d(x_hat.grad[0].abs().sum(0)[None], 16)[0]
    rows = (used.sum(1) > 0).nonzero().flatten()
    farthest = max(middle - int(rows[0]), int(rows[-1]) - middle)
    assert farthest <= generator.receptive_field
    assert farthest >= generator.receptive_field - 2  # a bound on the worst place, not a wish


@given(st.integers(3, 24), st.integers(3, 24), st.integers(3, 8))
@settings(max_examples=8, deadline=None)
def test_tiles_give_the_picture_of_the_whole(generator: Generator, rows: int, columns: int, tile: int) -> None:
    y_hat, x_hat = inputs(rows, columns, rows)
    whole = GeneratorDecoder(generator, tile=1000).decode(y_hat, x_hat, 32)
    assert torch.allclose(GeneratorDecoder(generator, tile=tile).decode(y_hat, x_hat, 32), whole, rtol=0, atol=1e-4)


def test_sizes() -> None:
    x, one = torch.zeros(1, 3, 64, 64), torch.ones(1)
    small = Generator(SMALL)
    macs = count_macs(lambda: small(torch.zeros(1, 384, 4, 4), x, one)) / 64**2
    # by hand: residual blocks of two 3×3 convolutions, those that grow, those that fold x̂ in, first and last
    blocks = sum(
        18 * c * c * n / cell**2 for c, n, cell in zip(SMALL.channels, SMALL.blocks, (16, 8, 4, 2), strict=True)
    )
    grow = sum(4 * a * b / cell**2 for a, b, cell in ((160, 128, 16), (128, 96, 8), (96, 48, 4)))
    fold = sum(27 * c * cell**2 / cell**2 for c, cell in ((128, 8), (96, 4), (48, 2)))
    film = 64 * 2 * sum(c * n for c, n in zip(SMALL.channels, SMALL.blocks, strict=True)) + 16 * 64 + 64 * 64
    ends = 384 * 160 / 256 + 9 * 48 * 12 / 4
    assert macs == pytest.approx(blocks + grow + fold + ends + film / 64**2)


def test_every_part_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(("list", "codecs", "--details"))
    assert caught.value.code == 0
    table = capsys.readouterr().out.split("\n\n")[1].splitlines()[1:]
    rows = {name: [row.split()[1:] for row in table if row.startswith(f"{name} ")] for name in ("mse", "hific-small")}
    assert rows["hific-small"][:-1] == [row for row in rows["mse"] if row[0] == "small"]
    parameters, kmac = rows["hific-small"][-1][-2:]
    stored, _, _ = load_generator(SHIPPED / "hific-small.safetensors")
    assert int(parameters.replace(",", "")) == sum(p.numel() for p in stored.parameters())
    assert float(kmac) == pytest.approx(98, abs=0.5)
