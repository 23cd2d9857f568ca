"""Every odd image file of `odd_images` gives its known array, or its refusal; README.md there says who gave which."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from benchmark.errors import BenchmarkError
from benchmark.formats import FORMATS
from benchmark.image_files import HEAD, format_of
from benchmark.images import load_image

FOLDER = Path(__file__).parent / "odd_images"
FILES = FOLDER / "files"
CASES: dict[str, dict[str, Any]] = json.loads((FOLDER / "images.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def pixels() -> dict[str, npt.NDArray[np.uint8]]:
    with np.load(FOLDER / "pixels.npz") as arrays:
        return dict(arrays)


def test_every_file_is_listed_and_every_array_used(pixels: dict[str, npt.NDArray[np.uint8]]) -> None:
    assert {path.relative_to(FILES).as_posix() for path in FILES.rglob("*") if path.is_file()} == set(CASES)
    assert {case["pixels"] for case in CASES.values() if "pixels" in case} == set(pixels)
    assert all(("pixels" in case) != ("refused" in case) for case in CASES.values())
    assert max(case.get("tolerance", 0) for case in CASES.values()) <= 2


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "pixels" in case])
def test_the_known_array(name: str, pixels: dict[str, npt.NDArray[np.uint8]]) -> None:
    image, wanted = load_image(FILES / name), pixels[CASES[name]["pixels"]]
    assert image.dtype == np.uint8
    assert image.shape == wanted.shape
    assert np.abs(image.astype(int) - wanted).max() <= CASES[name]["tolerance"]


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "refused" in case])
def test_the_refusal_is_one_line_with_the_reason(name: str) -> None:
    with pytest.raises(BenchmarkError) as caught:
        load_image(FILES / name)
    path, reason = f"{FILES / name}: ", str(caught.value)
    assert reason.startswith(path)
    assert "\n" not in reason
    assert re.search(CASES[name]["refused"], reason.removeprefix(path)), reason


@pytest.mark.parametrize("format_", FORMATS)
def test_each_format_has_files_that_are_read_and_files_that_are_refused(format_: str) -> None:
    own = {name: case for name, case in CASES.items() if format_of((FILES / name).read_bytes()[:HEAD]) == format_}
    assert any("pixels" in case for case in own.values())
    assert any("refused" in case for case in own.values())
