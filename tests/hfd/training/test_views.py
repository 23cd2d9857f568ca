"""Random views: of both images the same, the places moved but none lost, the channels dimmed but none dark."""

import pytest
import torch

from benchmark.hfd.training.views import DARKEST, plain_views, random_view, random_views


def test_plain_views_change_nothing() -> None:
    x = torch.rand(2, 3, 8, 8) - 0.5
    scale, view = plain_views(2)
    assert scale == 2
    assert torch.equal(view(x), x)


@pytest.mark.parametrize("seed", range(12))
def test_each_channel_is_one_of_the_pictures_dimmed_and_moved(seed: int) -> None:
    torch.manual_seed(seed)
    view = random_view()
    x = torch.rand(2, 3, 8, 8) - 0.5
    seen = view(x)
    assert torch.equal(seen, view(x))
    values = (x + 0.5).flatten(2).sort(-1).values
    found = []
    for channel in (seen + 0.5).flatten(2).sort(-1).values.unbind(1):
        gains = (channel[:, None] / values).mean((0, 2))
        fits = [n for n in range(3) if torch.allclose(channel, values[:, n] * gains[n], atol=1e-5)]
        assert len(fits) == 1
        assert DARKEST - 1e-5 <= float(gains[fits[0]]) <= 1 + 1e-5
        found += fits
    assert sorted(found) == [0, 1, 2]


def test_places_move_as_a_square_can_be_turned_and_mirrored() -> None:
    """All eight ways are seen, and no other."""
    corners = torch.tensor([[0.0, 1.0], [2.0, 3.0]]) / 3 - 0.5
    ways = {tuple(corners.rot90(n).flatten().tolist()) for n in range(4)}
    ways |= {tuple(corners.T.rot90(n).flatten().tolist()) for n in range(4)}
    torch.manual_seed(0)
    seen = set()
    for _ in range(200):
        picture = random_view()(corners.expand(1, 3, 2, 2))[0, 0] + 0.5
        seen.add(
            min(ways, key=lambda way, p=picture: float((torch.tensor(way) + 0.5 - (p / p.max()).flatten()).norm()))
        )
        assert any(torch.allclose(picture / picture.max() - 0.5, torch.tensor(way).view(2, 2)) for way in ways)
    assert seen == ways


def test_scales() -> None:
    torch.manual_seed(0)
    assert {random_views(1)[0] for _ in range(20)} == {1}
    twice = torch.tensor([random_views(2)[0] for _ in range(500)])
    assert 2 / 2**0.5 <= float(twice.min()) < 1.45
    assert 2.78 < float(twice.max()) <= 2 * 2**0.5
    assert min(random_views(1.2)[0] for _ in range(100)) == 1
