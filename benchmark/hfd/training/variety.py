"""Images that could have been taken: turned, stretched and toned, so that a network learns few ones less by heart."""

import math

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage
from PIL import ImageEnhance

LARGEST_ANGLE = 12.0
"""Degrees; the corners that a turned image lacks are cut off."""
LARGEST_STRETCH = 1.2
"""Of the aspect ratio, either way."""
LARGEST_GAMMA = 1.4
"""Exponent of the grey values, or one over it."""
LARGEST_GAIN = 1.12
"""Of each of R, G and B against the others: the light's colour."""
SATURATIONS = (0.5, 1.4)
CONTRASTS = (0.75, 1.15)
SCALES = (0.5, 0.9)
"""Images are scaled down after they were turned, which makes up for what turning blurs."""


def vary(picture: npt.NDArray[np.uint8], generator: np.random.Generator, smallest: int) -> npt.NDArray[np.uint8]:
    """Another image of the same scene, uint8 (height, width, 3), as `generator` has it.

    Its sides are at least `smallest` pixels if those of `picture` are.
    """
    image = _turned(PillowImage.fromarray(picture), generator.uniform(-LARGEST_ANGLE, LARGEST_ANGLE), smallest)
    image = _toned(image, generator)
    scale, stretch = generator.uniform(*SCALES), LARGEST_STRETCH ** generator.uniform(-0.5, 0.5)
    width, height = (
        min(max(round(side * factor), smallest), side)
        for side, factor in zip(image.size, (scale * stretch, scale / stretch), strict=True)
    )
    varied = np.asarray(image.resize((width, height), PillowImage.Resampling.LANCZOS))
    varied = varied[:, ::-1] if generator.random() < 0.5 else varied
    varied = varied.transpose(1, 0, 2) if generator.random() < 0.25 else varied
    return np.ascontiguousarray(varied)


def inner_sides(width: int, height: int, degrees: float) -> tuple[int, int]:
    """Width and height of the largest rectangle, axes upright, in one of `width` by `height` turned by `degrees`."""
    sine, cosine = abs(math.sin(math.radians(degrees))), abs(math.cos(math.radians(degrees)))
    long, short = max(width, height), min(width, height)
    if short <= 2 * sine * cosine * long or abs(sine - cosine) < 1e-10:  # two corners touch the long sides
        half = short / 2
        inner = (half / sine, half / cosine) if width >= height else (half / cosine, half / sine)
    else:
        whole = cosine * cosine - sine * sine
        inner = ((width * cosine - height * sine) / whole, (height * cosine - width * sine) / whole)
    return math.floor(inner[0]), math.floor(inner[1])


def _turned(image: PillowImage.Image, degrees: float, smallest: int) -> PillowImage.Image:
    """Turned about its centre, without blank corners; as it is where too little would be left."""
    width, height = (side - 2 for side in inner_sides(*image.size, degrees))  # bicubic kernels reach over the edge
    if min(width, height) < smallest:
        return image
    left, top = (image.width - width) // 2, (image.height - height) // 2
    turned = image.rotate(degrees, PillowImage.Resampling.BICUBIC)
    return turned.crop((left, top, left + width, top + height))


def _toned(image: PillowImage.Image, generator: np.random.Generator) -> PillowImage.Image:
    """Other gamma, colour of light, saturation and contrast."""
    exponent = LARGEST_GAMMA ** generator.uniform(-1, 1)
    gains = LARGEST_GAIN ** generator.uniform(-1, 1, 3)
    grey = np.linspace(0, 1, 256) ** exponent
    curves = [np.clip(np.rint(255 * grey * gain), 0, 255).astype(int).tolist() for gain in gains / gains.max()]
    image = image.point([value for curve in curves for value in curve])
    image = ImageEnhance.Color(image).enhance(generator.uniform(*SATURATIONS))
    return ImageEnhance.Contrast(image).enhance(generator.uniform(*CONTRASTS))
