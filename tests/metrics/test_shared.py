"""What metrics of one image share is computed once, and never outlives the image."""

import threading

import numpy as np
import pytest

from benchmark.codecs import Image
from benchmark.metrics import open_metric
from benchmark.metrics.luma import contrast, luma
from benchmark.metrics.shared import once, sharing
from benchmark.metrics.structural import MsSsim
from benchmark.metrics.tensors import unit_tensor


def test_inside_it_is_made_once_for_each_object_and_each_purpose() -> None:
    calls: list[object] = []

    def make(x: object) -> object:
        calls.append(x)
        return object()

    a, b = np.zeros(3), np.zeros(3)
    with sharing():
        assert once("x", make, a) is once("x", make, a)
        assert once("x", make, b) is not once("x", make, a)
        once("y", make, a)
        assert len(calls) == 3
    assert once("x", make, a) is not once("x", make, a)
    assert len(calls) == 5


def test_an_array_that_is_filled_anew_is_another_image() -> None:
    """A codec may hand out one buffer again and again."""
    image = np.full((16, 16, 3), 10, np.uint8)
    with sharing():
        assert (luma(image) == 10_000).all()
    image[:] = 20
    with sharing():
        assert (luma(image) == 20_000).all()
    assert (luma(image) == 20_000).all()


def test_the_id_of_an_object_that_is_gone_is_not_taken_for_it() -> None:
    with sharing():
        found = {int(once("first", lambda x: x[0], np.full(1, number))) for number in range(50)}
    assert found == set(range(50))


def test_threads_share_nothing() -> None:
    image = np.zeros((8, 8, 3), np.uint8)
    found: list[object] = []
    with sharing():
        found.append(luma(image))
        thread = threading.Thread(target=lambda: found.append(luma(image)))
        thread.start()
        thread.join()
    assert found[0] is not found[1]


def test_both_ms_ssim_compute_theirs_once(photo: Image, degraded: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = {"prepare": 0, "compare": 0}
    for name in calls:
        own = getattr(MsSsim, f"_{name}")

        def counted(self: MsSsim, *arguments: object, name: str = name, own: object = own) -> object:
            calls[name] += 1
            return own(self, *arguments)  # type: ignore[operator]

        monkeypatch.setattr(MsSsim, f"_{name}", counted)
    plain, decibels = open_metric("ms_ssim"), open_metric("ms_ssim_db")
    with sharing():
        prepared = [metric.prepare(photo) for metric in (plain, decibels)]  # type: ignore[union-attr]
    with sharing():
        value, in_decibels = (
            metric.compare(own, degraded)  # type: ignore[union-attr]
            for metric, own in zip((plain, decibels), prepared, strict=True)
        )
    assert calls == {"prepare": 1, "compare": 1}
    assert in_decibels == pytest.approx(-10 * np.log10(1 - value))


def test_luma_contrast_and_tensor_are_shared(photo: Image) -> None:
    with sharing():
        assert luma(photo) is luma(photo)
        assert contrast(photo) is contrast(photo)
        assert unit_tensor(photo, "cpu") is unit_tensor(photo, "cpu")
