"""Seconds of the first and the tenth call of `evaluate` in one process, as a training loop makes them.

`pytest -m slow tests/test_api_speed.py -s` prints them for 24 images, PSNR, LPIPS and fd-effnet. By default
`tests/test_api.py` counts what the second call does not compute again.
"""

import subprocess
import sys

import pytest

pytestmark = [pytest.mark.alone, pytest.mark.slow]

LOOP = """
import sys, time, zlib, numpy, benchmark

class Nothing:
    qualities = (1.0,)
    def encode(self, image, quality):
        return zlib.compress(image.tobytes(), 0) + numpy.uint16(image.shape).tobytes()
    def decode(self, data):
        shape = numpy.frombuffer(data[-6:], numpy.uint16)
        return numpy.frombuffer(zlib.decompressobj().decompress(data), numpy.uint8).reshape(shape) // 2 * 2

for call in range(int(sys.argv[1])):
    start = time.perf_counter()
    benchmark.evaluate({"nothing": Nothing()}, "photos", metrics=["psnr", "lpips", "fd-effnet"], limit=int(sys.argv[2]))
    print(time.perf_counter() - start, flush=True)
"""


def seconds(calls: int, images: int) -> list[float]:
    ended = subprocess.run(
        [sys.executable, "-c", LOOP, str(calls), str(images)], capture_output=True, text=True, check=True
    )
    return [float(line) for line in ended.stdout.split()]


def test_a_second_call_costs_less_than_the_first() -> None:
    first, second = seconds(2, 3)
    assert second < 0.8 * first


def test_the_first_and_the_tenth_call_on_24_images() -> None:
    found = seconds(10, 24)
    print(f"first call {found[0]:.1f} s, second {found[1]:.1f} s, tenth {found[9]:.1f} s")
    assert found[9] < 0.8 * found[0]
