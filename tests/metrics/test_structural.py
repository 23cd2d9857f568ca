import numpy as np
import pytest
import torch
from degradation import noisy
from pytorch_msssim import ms_ssim

from benchmark.codecs import Image
from benchmark.errors import BenchmarkError, Undefined
from benchmark.metrics import structural
from benchmark.metrics.structural import make_ms_ssim

MS_SSIM = make_ms_ssim()


def oracle(original: Image, reconstruction: Image) -> float:
    x, y = (torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() for image in (original, reconstruction))
    return float(ms_ssim(x, y, data_range=255))


@pytest.mark.parametrize("size", [(512, 768), (161, 161), (333, 257), (170, 767), (511, 162)])
@pytest.mark.parametrize("deviation", [0.6, 6, 60])
def test_equals_pytorch_msssim(photo: Image, size: tuple[int, int], deviation: float) -> None:
    original = photo[: size[0], : size[1]]
    reconstruction = noisy(original, deviation)
    prepared = MS_SSIM.prepare(original)
    assert MS_SSIM.compare(prepared, reconstruction) == pytest.approx(oracle(original, reconstruction), abs=1e-6)


def test_equals_pytorch_msssim_where_structure_is_reversed(photo: Image) -> None:
    reversed_photo = np.uint8(255) - photo
    assert MS_SSIM.compare(MS_SSIM.prepare(photo), reversed_photo) == oracle(photo, reversed_photo) == 0


def test_equals_pytorch_msssim_on_flat_pictures() -> None:
    grey, lighter = np.full((200, 180, 3), 100, np.uint8), np.full((200, 180, 3), 140, np.uint8)
    assert MS_SSIM.compare(MS_SSIM.prepare(grey), lighter) == pytest.approx(oracle(grey, lighter), abs=1e-5)


def test_identical_pictures_give_one(photo: Image) -> None:
    assert MS_SSIM.compare(MS_SSIM.prepare(photo), photo) == pytest.approx(1, abs=1e-7)


def test_a_preparation_serves_many(photo: Image) -> None:
    prepared = MS_SSIM.prepare(photo)
    first = MS_SSIM.compare(prepared, noisy(photo, 5))
    MS_SSIM.compare(prepared, noisy(photo, 50))
    assert MS_SSIM.compare(prepared, noisy(photo, 5)) == first


def test_strips_do_not_show(photo: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared, reconstruction = MS_SSIM.prepare(photo), noisy(photo, 10)
    value = MS_SSIM.compare(prepared, reconstruction)
    for strip in (1, 30_000, 10**9):
        monkeypatch.setattr(structural, "STRIP", strip)
        assert MS_SSIM.compare(prepared, reconstruction) == pytest.approx(value, abs=1e-7)


def test_small_pictures_have_no_value() -> None:
    with pytest.raises(Undefined, match="161 pixels, this is 300x160"):
        MS_SSIM.prepare(np.zeros((160, 300, 3), np.uint8))


def test_another_size_is_an_error(photo: Image) -> None:
    with pytest.raises(BenchmarkError, match="700x512"):
        MS_SSIM.compare(MS_SSIM.prepare(photo), photo[:, :700])
