"""Degraded images for the tests of metrics."""

import numpy as np

from benchmark.codecs import Image


def noisy(image: Image, deviation: float, seed: int = 0) -> Image:
    """`image` with Gaussian noise of that standard deviation in grey levels."""
    noise = np.random.default_rng(seed).normal(0, deviation, image.shape)
    return np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)
