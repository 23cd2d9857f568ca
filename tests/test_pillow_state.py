"""Whatever foreign code tells Pillow, or gives it, `load_image` gives what it gave before."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import GifImagePlugin, Image, ImageFile, PngImagePlugin, TiffImagePlugin

from benchmark.errors import BenchmarkError
from benchmark.image_files import pillow
from benchmark.images import load_image

FILES = Path(__file__).parent / "odd_images" / "files"


class Forged(ImageFile.ImageFile):
    """A reader that takes every file for black."""

    format = "PNG"

    def _open(self) -> None:
        self._size, self._mode = (4, 4), "RGB"


KEPT = (*pillow.SETTINGS, *pillow.OWN)


class ForgedDecoder(ImageFile.PyDecoder):
    _pulls_fd = True

    def decode(self, buffer: Any) -> tuple[int, int]:
        self.set_as_raw(bytes(10**6))
        return -1, 0


def forged_readers() -> None:
    for name in ("PNG", "JPEG", "TIFF", "BMP", "PPM", "GIF", "WEBP", "AVIF"):
        Image.register_open(name, Forged, lambda prefix: True)


def no_readers() -> None:
    Image.OPEN.clear()
    Image.ID.clear()


def forged_decoders() -> None:
    for name in ("ppm", "ppm_plain", "bmp_rle"):
        Image.register_decoder(name, ForgedDecoder)


def tiny_limits() -> None:
    Image.MAX_IMAGE_PIXELS = 10
    ImageFile.MAXBLOCK = ImageFile.SAFEBLOCK = 16
    PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = 1


def no_limits() -> None:
    Image.MAX_IMAGE_PIXELS = None
    ImageFile.LOAD_TRUNCATED_IMAGES = True


def other_ways() -> None:
    TiffImagePlugin.READ_LIBTIFF = True
    GifImagePlugin.LOADING_STRATEGY = GifImagePlugin.LoadingStrategy.RGB_ALWAYS


@pytest.fixture(autouse=True)
def mended() -> Iterator[None]:
    settings = [(module, name, getattr(module, name)) for module, name, _ in KEPT]
    tables = [(table, table.copy()) for table in (Image.OPEN, Image.DECODERS)]
    names = list(Image.ID)
    yield
    for module, name, value in settings:
        setattr(module, name, value)
    for table, before in tables:
        table.clear()
        table.update(before)
    Image.ID[:] = names


SAMPLE = ["png/rgb8-magick.png", "jpeg/420.jpg", "tiff/rgb8-chunky-raw.tif", "bmp/rle8.bmp", "pnm/p6-max100.ppm",
          "pnm/p3.ppm", "gif/plain.gif", "webp/lossy.webp", "avif/lossless.avif"]  # fmt: skip
CHANGES = [forged_readers, no_readers, forged_decoders, tiny_limits, no_limits, other_ways]


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_read_stays_the_same(change: Callable[[], None]) -> None:
    before = [load_image(FILES / name) for name in SAMPLE]
    change()
    state = [getattr(module, name) for module, name, _ in KEPT], dict(Image.DECODERS)
    assert all(map(np.array_equal, map(load_image, [FILES / name for name in SAMPLE]), before))
    assert state == (
        [getattr(module, name) for module, name, _ in KEPT],
        dict(Image.DECODERS),
    )


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", ["png/rgba8.png", "tiff/cut-raw.tif", "jpeg/half-baseline.jpg", "bmp/cut.bmp"])
def test_what_is_refused_stays_refused(change: Callable[[], None], name: str) -> None:
    change()
    with pytest.raises(BenchmarkError):
        load_image(FILES / name)


def test_the_settings_are_those_that_pillow_comes_with() -> None:
    code = (
        "from benchmark.image_files.pillow import SETTINGS, _DECODERS, Pillow\n"
        "assert all(getattr(module, name) == value for module, name, value in SETTINGS), SETTINGS\n"
        "assert all(Pillow.DECODERS[name] is decoder for name, decoder in _DECODERS.items())\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


CODEC = """
import io
import numpy as np
from PIL import Image, ImageFile
ImageFile.LOAD_TRUNCATED_IMAGES = True
Image.MAX_IMAGE_PIXELS = None
Image.OPEN.pop("JPEG", None)

class C:
    stochastic = False
    qualities = (30,)
    def describe(self):
        return {"name": "sets Pillow's flags"}
    def encode(self, image, quality):
        ImageFile.LOAD_TRUNCATED_IMAGES = True
        return np.ascontiguousarray(image).tobytes() + bytes(image.shape[:2])
    def decode(self, data, seed=None):
        ImageFile.LOAD_TRUNCATED_IMAGES = True
        return np.frombuffer(data[:-2], np.uint8).reshape(*data[-2:], 3).copy()
"""


def test_a_run_whose_codec_sets_them_refuses_the_cut_images_and_names_them(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    (tmp_path / "codec.py").write_text(CODEC)
    (folder / "good.png").write_bytes((FILES / "png/rgb8.png").read_bytes())
    whole = (FILES / "jpeg/whole-baseline.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2 + 200])
    (folder / "ended.jpg").write_bytes(whole[: len(whole) // 2 + 200] + b"\xff\xd9")
    command = [sys.executable, "-m", "benchmark", "run", "--only", "--codec", f"{tmp_path / 'codec.py'}:C", "--metric",
               "psnr", "--workers", "1", "--dataset", str(folder), "--output", str(tmp_path / "run")]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 3, done.stderr
    for name in ("cut", "ended"):
        assert f"{name}.jpg: cannot be read as an image: damaged" in done.stderr + done.stdout
    trials = [json.loads(line) for line in (tmp_path / "run" / "trials.jsonl").read_text().splitlines()]
    assert {trial["image"]: trial["error"] is None for trial in trials} == {"good": True, "cut": False, "ended": False}
