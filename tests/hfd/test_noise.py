import numpy as np
import pytest
from scipy import stats

from benchmark.hfd import noise as noise_module
from benchmark.hfd.noise import gaussian_noise, philox4x32


def words(*values: int) -> tuple[np.ndarray, ...]:
    return tuple(np.array([value], dtype=np.uint64) for value in values)


def test_known_answers_of_random123() -> None:
    """kat_vectors of the Random123 distribution, philox4x32, 10 rounds."""
    known = [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ]
    for counter, key, expected in known:
        assert tuple(int(word[0]) for word in philox4x32(words(*counter), key)) == expected


def test_a_tile_has_the_noise_of_its_place() -> None:
    whole = gaussian_noise(7, 3, 40, 50)
    assert np.array_equal(gaussian_noise(7, 3, 16, 20, top=8, left=30), whole[:, 8:24, 30:50])


def test_strips_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = gaussian_noise(5, 2, 23, 7, top=3)
    for pixels in (1, 21, 100):
        monkeypatch.setattr(noise_module, "STRIP_PIXELS", pixels)
        assert np.array_equal(gaussian_noise(5, 2, 23, 7, top=3), whole)


def test_seeds_steps_and_channels_differ() -> None:
    noise = [gaussian_noise(seed, step, 64, 64) for seed, step in ((0, 0), (1, 0), (0, 1))]
    planes = np.concatenate(noise).reshape(9, -1)
    correlation = np.corrcoef(planes) - np.eye(9)
    assert np.abs(correlation).max() < 0.08


def test_normal() -> None:
    noise = gaussian_noise(0, 0, 128, 128).astype(np.float64).ravel()
    assert stats.kstest(noise, "norm").pvalue > 0.01
    assert abs(noise.mean()) < 0.02
    assert abs(noise.std() - 1) < 0.02
