"""Does a decoder draw from the posterior? Four checks that need no network of features.

`python -m benchmark studies posterior` prints a line per codec and quality. PSNRs are of the squared error over all
images together.

- x̂, sample: against the original. A draw from the posterior has twice the squared error of the posterior's mean (Blau
  & Michaeli, 2019): 3.01 dB less than an ideal first stage. Where x̂ is such a mean, a loss above 3.5 dB is a fault, and
  one below 0.3 dB says that the mean came back, or that `realism` is low. JPEG's image is no such mean, and can be left
  behind.
- mean of K: of independent samples. It climbs back, MSE_K = MMSE·(1 + 1/K).
- spread: deviation of samples over the root of the squared error of the mean of infinitely many, both found from the
  two errors before: 1 for a draw from the posterior, 0 where all samples are one image. What was taught to spread
  less, or is decoded with `realism` below 1, has less on purpose.
- one step: the PSNR of a flow or a diffusion after a single step. That is regression and no sample: at x̂'s or above.
- again: x̂ of the sample, coded once more at the same quality, against x̂ itself (Xu et al., 2024). High where what was
  added agrees with the bits.

All are necessary, none is sufficient: noise of x̂'s error added to x̂ (the noise baseline, last of the default codecs)
passes them with no network at all. What the noise looks like they do not ask; the distances between features do.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from benchmark.codecs import open_codec
from benchmark.datasets.shipped import FOLDER
from benchmark.errors import UsageError
from benchmark.hfd.codec import HfdCodec
from benchmark.hfd.container import MAX_SEED, steps_of
from benchmark.hfd.decoders.diffusion import DiffusionSettings
from benchmark.hfd.decoders.flow import FlowSettings
from benchmark.hfd.embedding import Header
from benchmark.hfd.sampling import Sampler, ScoreDecoder
from benchmark.hfd.score import tensor_to_picture
from benchmark.images import load_image
from benchmark.metrics.fidelity import psnr_from_mse
from benchmark.pixels import Image

CODECS = (
    "hfd",
    "hfd:decoder=diffusion,realism=1",
    "hfd:decoder=flow",
    "hfd:decoder=diffusion,sampler=noise,noise=1",
)
IMAGES = 4
"""So many of the photographs that come with the suite, where none is named."""


@dataclass(frozen=True)
class PosteriorChecks:
    """The mean squared errors (values 0 to 255) behind the checks, of one image or the mean of several.

    samples: K. one_step: NaN if the decoder has no step that is regression. again: between two x̂.
    """

    x_hat: float
    sample: float
    mean_of_samples: float
    one_step: float
    again: float
    samples: int

    @property
    def spread(self) -> float:
        """Deviation of samples over the root of the squared error of the mean of infinitely many."""
        return spread(self.sample, self.mean_of_samples, self.samples)


def spread(mse_sample: float, mse_mean: float, samples: int) -> float:
    """√(V/B) where one sample has the error B + V and the mean of K samples B + V/K; 0 if the mean is no better."""
    variance = (mse_sample - mse_mean) * samples / (samples - 1)
    rest = mse_sample - variance
    return math.inf if rest <= 0 else math.sqrt(max(variance, 0) / rest)


@torch.no_grad()
def check_posterior(codec: HfdCodec, image: Image, quality: float, samples: int) -> PosteriorChecks:
    """The checks on one image, uint8 (H, W, 3); samples: 2 or more, of the seeds 0, 1, …"""
    steps = codec.base.coded_steps(steps_of(quality, codec.base.levels))

    def x_hat_of(one: Image) -> Tensor:
        header = Header(codec.kind, steps, codec.seed, codec.weights)
        return codec.base.decode(codec.base.encode(one, header))

    x_hat = x_hat_of(image)
    drawn = [tensor_to_picture(codec.decoder.sample(x_hat, steps, seed)) for seed in range(samples)]
    regression = single_step(codec.decoder.sampler)
    if regression is None:
        one_step = math.nan
    else:
        decoder = codec.decoder
        alone = ScoreDecoder(decoder.network, regression, decoder.precision, decoder.device, decoder.tile)
        one_step = squared_error(tensor_to_picture(alone.sample(x_hat, steps, 0)), image)
    return PosteriorChecks(
        x_hat=squared_error(tensor_to_picture(x_hat), image),
        sample=float(np.mean([squared_error(one, image) for one in drawn])),
        mean_of_samples=squared_error(np.mean(drawn, axis=0, dtype=np.float64), image),
        one_step=one_step,
        again=squared_error(tensor_to_picture(x_hat_of(drawn[0])), tensor_to_picture(x_hat)),
        samples=samples,
    )


def single_step(sampler: Sampler) -> Sampler | None:
    """The sampler with one step, which is regression; None for one whose only step is a sample."""
    if isinstance(sampler, FlowSettings):
        return replace(sampler, steps=1, sampler="euler", realism=1.0)
    if isinstance(sampler, DiffusionSettings) and sampler.sampler != "noise":
        return replace(sampler, steps=1, realism=0.0)
    return None


def squared_error(one: npt.NDArray[np.generic], other: npt.NDArray[np.generic]) -> float:
    """Mean over all values."""
    return float(np.mean((one.astype(np.float64) - other.astype(np.float64)) ** 2))


def mean_checks(checks: Sequence[PosteriorChecks]) -> PosteriorChecks:
    """The mean of each error over images."""
    names = [field.name for field in fields(PosteriorChecks) if field.name != "samples"]
    return PosteriorChecks(
        **{name: float(np.mean([getattr(one, name) for one in checks])) for name in names}, samples=checks[0].samples
    )


def _open(spec: str, device: str) -> HfdCodec:
    codec = open_codec(spec, device)
    if not isinstance(codec, HfdCodec):
        raise UsageError(f"{spec} is no hfd codec: it draws no samples of an x̂")
    return codec


@dataclass(frozen=True)
class Checked:
    """The checks of a codec at a quality: PSNR in dB of the mean squared error over images, and the spread.

    one_step: NaN if the decoder has no step that is regression. samples: K of mean_of_samples.
    """

    NAMES = ("codec", "quality", "samples")

    codec: str
    quality: float
    samples: int
    x_hat: float
    sample: float
    mean_of_samples: float
    spread: float
    one_step: float
    again: float


def checked(codec: str, quality: float, checks: PosteriorChecks) -> Checked:
    """`checks` in decibels."""
    return Checked(
        codec,
        float(quality),
        checks.samples,
        psnr_from_mse(checks.x_hat),
        psnr_from_mse(checks.sample),
        psnr_from_mse(checks.mean_of_samples),
        checks.spread,
        math.nan if math.isnan(checks.one_step) else psnr_from_mse(checks.one_step),
        psnr_from_mse(checks.again),
    )


def measure(
    codecs: Sequence[str] = CODECS,
    qualities: Sequence[float] = (1, 3, 5),
    images: Sequence[Path] = (),
    samples: int = 4,
    device: str = "cpu",
) -> Iterator[Checked]:
    """The checks of each codec at each quality, as they are there.

    images: files; none for IMAGES photographs that come with the suite. Raises UsageError and BenchmarkError before the
    first is computed.
    """
    if not 2 <= samples <= MAX_SEED:
        raise UsageError(f"--samples {samples}: 2 to {MAX_SEED}")
    opened = {spec: _open(spec, device) for spec in codecs}
    for codec in opened.values():
        for quality in qualities:
            steps_of(quality, codec.base.levels)  # raises where it is out of range
    originals = [load_image(path) for path in images or sorted(FOLDER.glob("*.png"))[:IMAGES]]
    return (
        checked(spec, quality, mean_checks([check_posterior(codec, x, quality, samples) for x in originals]))
        for spec, codec in opened.items()
        for quality in qualities
    )


def lines(found: Iterable[Checked], codecs: Sequence[str], samples: int) -> Iterator[str]:
    """A heading, then a line for each of `found`; codecs: all that there will be."""
    width = max(map(len, codecs))
    yield f"{'PSNR in dB':{width}}  quality     x̂  sample  mean of {samples}  spread  one step  again"
    for each in found:
        one_step = "     n/a" if math.isnan(each.one_step) else f"{each.one_step:8.2f}"
        yield (
            f"{each.codec:{width}}  {each.quality:7g}  {each.x_hat:5.2f}  {each.sample:6.2f}  "
            f"{each.mean_of_samples:9.2f}  {each.spread:6.2f}  {one_step}  {each.again:5.2f}"
        )
