"""Sizes of networks and the price of tiles, as pages and cards state them, are those of the code."""

import re
from pathlib import Path

import pytest

from benchmark.baselines.hific_small.size import generator_size
from benchmark.hfd.size import Size, all_sizes
from benchmark.hfd.transforms import STRIDE, TILE, tiles
from benchmark.hfd.unet import LARGE, SMALL, UNet, UNetConfig

pytestmark = pytest.mark.checkout

ROOT = Path(__file__).parents[2]
CODECS, CARDS = "docs/explanation/codecs.md", "benchmark/hfd/weights"


@pytest.fixture(scope="module")
def sizes() -> dict[tuple[str, str], Size]:
    return {(one.model, one.part): one for one in all_sizes() if one.codec == "hfd"}


def found(file: str, pattern: str) -> tuple[str, ...]:
    """The groups of `pattern` in a document, whose lines may break anywhere."""
    match = re.search(pattern.replace(" ", r"\s+"), (ROOT / file).read_text(encoding="utf-8"))
    assert match is not None, f"{file}: {pattern}"
    return match.groups()


@pytest.mark.parametrize(
    ("model", "part", "pattern"),
    [
        ("paper", "in all", "gains for seven qualities, ([0-9.]+) M parameters and ([0-9,.]+) kMAC per pixel"),
        ("small", "in all", "where the small one has ([0-9.]+) M and ([0-9.]+); as score network"),
        ("paper", "score U-Net, a step", "a U-Net of ([0-9.]+) M and ([0-9,.]+) kMAC per pixel and step"),
        ("small", "score U-Net, a step", "where the small one has ([0-9.]+) M and ([0-9.]+), and the one-step"),
        ("small", "one-step U-Net", "and the one-step decoder's ([0-9.]+) M and ([0-9.]+)"),
    ],
)
def test_the_page_of_codecs(sizes: dict[tuple[str, str], Size], model: str, part: str, pattern: str) -> None:
    agree(sizes[model, part].parameters, sizes[model, part].kmac, *found(CODECS, pattern))


@pytest.mark.parametrize(
    ("card", "part", "pattern"),
    [
        ("first-stage", "analysis", "analysis transform ([0-9.]+) M .([0-9.]+) kMAC per pixel."),
        ("first-stage", "synthesis", "synthesis transform ([0-9.]+) M .([0-9.]+)."),
        ("first-stage", "entropy model", "entropy model ([0-9.]+) M .([0-9.]+)."),
        ("flow", "score U-Net, a step", "U-Net of ([0-9.]+) M parameters .([0-9.]+) kMAC per pixel and step."),
        ("diffusion", "score U-Net, a step", "([0-9.]+) M parameters, ([0-9.]+) kMAC per pixel and step."),
        ("one-step", "one-step U-Net", "U-Net .([0-9.]+) M parameters, ([0-9.]+) kMAC per pixel"),
        ("one-step-avif", "one-step U-Net", ".([0-9.]+) M parameters, ([0-9.]+) kMAC per pixel"),
        ("one-step-jpeg", "one-step U-Net", ".([0-9.]+) M parameters, ([0-9.]+) kMAC per pixel"),
    ],
)
def test_cards(sizes: dict[tuple[str, str], Size], card: str, part: str, pattern: str) -> None:
    size = sizes["small", part]
    agree(size.parameters, size.kmac, *found(f"{CARDS}/{card}-small.md", pattern))


def test_the_card_of_hific_small() -> None:
    size = generator_size()
    card = "baselines/hific_small/weights/hific-small.md"
    agree(size.parameters, size.kmac, *found(card, "([0-9.]+) M parameters, ([0-9.]+) kMAC per pixel"))


def agree(parameters: int, kmac: float, millions: str, thousands: str) -> None:
    """Each text is its number, rounded to the digits that it has."""
    for number, text in ((parameters / 1e6, millions), (kmac, thousands.replace(",", ""))):
        assert number == pytest.approx(float(text), rel=0, abs=0.5001 * 10 ** -len(text.partition(".")[2]))


def overlap_of(config: UNetConfig) -> float:
    """How many pixels all tiles of 6000×4000 see, over those that there are."""
    rows, columns = 4000 // STRIDE, 6000 // STRIDE
    parts = tiles(rows, columns, TILE, -(-UNet(config).receptive_field // STRIDE))
    return sum((r.stop - r.start) * (c.stop - c.start) for _, (r, c) in parts) / (rows * columns)


def test_what_tiles_cost() -> None:
    few, more = found(CODECS, "at 6000×4000 ([0-9]+) % more with .*?, ([0-9]+) % with `hfd`")
    assert f"{100 * (overlap_of(SMALL) - 1):.0f}" == few
    assert f"{100 * (overlap_of(LARGE) - 1):.0f}" == more
