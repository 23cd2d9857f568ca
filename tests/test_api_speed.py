"""Time of `evaluate` in a training loop: against its first call, and against the packages called by hand.

`pytest -m slow tests/test_api_speed.py -s` measures ten calls on 24 images of 768×512, with a codec that costs next to
nothing and the default metrics; RATIO_PICTURES in the environment takes fewer. By default two small images show that
what the first call paid for networks and originals is not paid again, and that a call takes less time than the
packages. Seconds of the CPU, of one thread.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmark.codecs import Image
from benchmark.datasets import limit, open_dataset
from benchmark.images import load_image, write_png

pytestmark = pytest.mark.long

LOOP = """
import json, sys, time, zlib, numpy, torch, benchmark
from benchmark.images import load_image
from benchmark.studies.peer_packages import Packages

torch.set_num_threads(1)
folder, calls = sys.argv[1], int(sys.argv[2])

def halved(image):
    return image // 2 * 2

class Nothing:
    qualities = (1.0,)
    def encode(self, image, quality):
        return zlib.compress(image.tobytes(), 0) + numpy.uint16(image.shape).tobytes()
    def decode(self, data):
        shape = numpy.frombuffer(data[-6:], numpy.uint16)
        return halved(numpy.frombuffer(zlib.decompressobj().decompress(data), numpy.uint8).reshape(shape))

def ours():
    metrics = ["psnr", "ms_ssim", "lpips", "fd-effnet", "kd-effnet"]
    return benchmark.evaluate({"nothing": Nothing()}, folder, metrics=metrics).summary

packages = Packages()

def by_hand():
    originals = [load_image(each.path) for each in benchmark.open_dataset(folder).pictures]
    return packages.measure(originals, [halved(image) for image in originals])

def timed(function):
    start = time.process_time()
    found = function()
    return time.process_time() - start, found

spent = []
for call in range(calls):
    seconds, frame = timed(ours)
    spent.append(seconds)
by_hand() if calls > 2 else None  # warm, as ours is by then
theirs, values = timed(by_hand)
ours_found = {row.metric: row.value for row in frame.itertuples() if row.aggregation in ("mean over images", "set")}
print(json.dumps({"ours": spent, "theirs": theirs, "values": ours_found, "packages": values}))
"""


@dataclass(frozen=True)
class Measured:
    """CPU seconds of each call of `evaluate`, and of the packages; what they say of the last one."""

    ours: list[float]
    theirs: float
    values: dict[str, float]
    packages: list[dict[str, float]]


def measured(folder: Path, images: list[Image], calls: int) -> Measured:
    for number, image in enumerate(images):
        write_png(folder / f"{number:02}.png", image)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "-c", LOOP, str(folder), str(calls)]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert ended.returncode == 0, ended.stderr
    return Measured(**json.loads(ended.stdout.splitlines()[-1]))


def check_values(found: Measured) -> None:
    """The packages measured the same: nobody is quicker for doing less."""
    pairs, sets = found.packages[:-1], found.packages[-1]
    for name in ("psnr", "ms_ssim", "lpips"):
        assert found.values[name] == pytest.approx(sum(pair[name] for pair in pairs) / len(pairs), rel=1e-4), name
    assert found.values["fd-effnet"] == pytest.approx(sets["frechet_inception_distance"], rel=1e-3)


def test_a_call_in_a_loop_costs_less_than_the_first_and_than_the_packages(tmp_path: Path) -> None:
    """Of a small set what a call costs beside images and patches is a good part of it."""
    images = [load_image(picture.path)[:256, :256] for picture in limit(open_dataset("photos"), 2).pictures]
    found = measured(tmp_path, images, 2)
    check_values(found)
    assert found.ours[1] < 0.8 * found.ours[0]
    assert found.ours[1] < 0.6 * found.theirs  # 0.3 was measured


@pytest.mark.slow
def test_the_tenth_call_on_24_images_takes_at_most_half_of_what_the_packages_take(tmp_path: Path) -> None:
    few = limit(open_dataset("photos"), int(os.environ.get("RATIO_PICTURES", "0")))
    found = measured(tmp_path, [load_image(each.path) for each in few.pictures], 10)
    check_values(found)
    first, tenth, theirs = found.ours[0], found.ours[9], found.theirs
    print(
        f"\n{len(few.pictures)} images: first call {first:.1f} s, tenth {tenth:.1f} s, "
        f"the packages {theirs:.1f} s: {tenth / theirs:.2f} of them"
    )
    assert tenth < 0.8 * first
    assert tenth < 0.5 * theirs
