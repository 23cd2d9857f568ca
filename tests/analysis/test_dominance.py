"""An image that makes most of a number is named; ordinary images are not."""

import numpy as np

from benchmark.analysis.baseline import read_numbers
from benchmark.analysis.dominance import dominating
from benchmark.analysis.rate_differences import rate_differences
from benchmark.reports.pictures import find_point, view_of
from benchmark.reports.rates import rate_notes
from benchmark.studies.coverage import POPULATION, only_codecs

NAMES = [f"image {number}" for number in range(6)]


def test_one_image_far_from_the_others_is_named_with_its_share() -> None:
    [line] = dominating(NAMES, [0, 0, 0, 12, 0, 0])  # deviations −2 and 10: 100 of 120
    assert line.startswith("image 3 makes 83% of the spread")


def test_even_images_few_images_and_no_spread_have_no_line() -> None:
    assert not dominating(NAMES, [1, -1, 1, -1, 1, -1])
    assert not dominating(NAMES[:4], [0, 0, 0, 12])
    assert not dominating(NAMES, np.zeros(6))
    assert not dominating(NAMES, [0, 0, 0, np.nan, 0, 0])


def test_the_image_that_makes_the_bits_of_webp_is_named_by_images_and_bd() -> None:
    numbers = read_numbers(POPULATION)
    view = view_of(numbers, "bpp", find_point(numbers, "webp=35"), find_point(numbers, "jpeg=30"))
    assert any(line.startswith("gnome-coldwarm makes") for line in view.summary)
    calm = view_of(numbers, "ms_ssim", find_point(numbers, "webp=35"), find_point(numbers, "jpeg=30"))
    assert not any(" makes " in line for line in calm.summary)
    rows = rate_differences(only_codecs(numbers, "jpeg", "webp"), "jpeg", ["psnr"], resamples=100)
    assert any("gnome-coldwarm makes" in line for line in rate_notes(rows, "photos"))
    assert any("gnome-coldwarm makes" in line for line in rows[0].notes)
