"""Does a decoder draw from the posterior? Four checks that need no network of features.

    python -m benchmark.studies.posterior [CODEC …] [--quality 1,3,5] [--samples 4] [--picture FILE …]

prints a line a codec and quality. PSNRs are of the squared error over all pictures together.

- x̂, sample: against the original. A draw from the posterior has twice the squared error of the posterior's mean (Blau
  & Michaeli, 2019): 3.01 dB less than an ideal first stage. Where x̂ is such a mean, a loss above 3.5 dB is a fault, and
  one below 0.3 dB says that the mean came back, or that
  `realism` is low. JPEG's picture is none, and can be left behind.
- mean of K: of independent samples. It climbs back, MSE_K = MMSE·(1 + 1/K).
- spread: deviation of samples over the root of the squared error of the mean of infinitely many, both found from the
  two errors before: 1 for a draw from the posterior, 0 where all samples are one picture. What was taught to spread
  less, or is decoded with `realism` below 1, has less on purpose.
- one step: the PSNR of a flow or a diffusion after a single step. That is regression and no sample: at x̂'s or above.
- again: x̂ of the sample, coded once more at the same quality, against x̂ itself (Xu et al., 2024). High where what was
  added agrees with the bits.

All are necessary, none is sufficient: noise of x̂'s error added to x̂ (the control, last of the default codecs) passes
them with no network at all. What the noise looks like they do not ask; the distances between features do.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from benchmark.codecs import Image, open_codec
from benchmark.datasets.shipped import FOLDER
from benchmark.errors import BenchmarkError, UsageError
from benchmark.hfd.autoencoder import quality_steps
from benchmark.hfd.codec import HfdCodec
from benchmark.hfd.container import MAX_SEED
from benchmark.hfd.embedding import Stamp
from benchmark.hfd.sampling import DiffusionSettings, FlowSettings, Sampler, ScoreDecoder
from benchmark.hfd.score import tensor_to_picture
from benchmark.images import load_image

CODECS = (
    "hfd",
    "hfd:decoder=diffusion,realism=1",
    "hfd:decoder=flow",
    "hfd:decoder=diffusion,sampler=noise,noise=1",
)
PICTURES = 4
"""So many of the photographs that come with the suite, where none is named."""


@dataclass(frozen=True)
class PosteriorChecks:
    """The mean squared errors (values 0 to 255) behind the checks, of one picture or the mean of several.

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


def psnr(mse: float) -> float:
    """In dB, of values 0 to 255."""
    return 10 * math.log10(255**2 / mse) if mse else math.inf


def check_posterior(codec: HfdCodec, picture: Image, quality: float, samples: int) -> PosteriorChecks:
    """The checks on one picture, uint8 (H, W, 3); samples: 2 or more, of the seeds 0, 1, …"""
    steps = codec.base.coded_steps(quality_steps(quality, codec.base.levels))

    def x_hat_of(image: Image) -> Tensor:
        stamp = Stamp(codec.kind, steps, codec.seed, codec.weights)
        return codec.base.decode(codec.base.encode(image, stamp))

    x_hat = x_hat_of(picture)
    drawn = [tensor_to_picture(codec.decoder.sample(x_hat, steps, seed)) for seed in range(samples)]
    regression = single_step(codec.decoder.sampler)
    if regression is None:
        one_step = math.nan
    else:
        decoder = codec.decoder
        alone = ScoreDecoder(decoder.network, regression, decoder.precision, decoder.device, decoder.tile)
        one_step = squared_error(tensor_to_picture(alone.sample(x_hat, steps, 0)), picture)
    return PosteriorChecks(
        x_hat=squared_error(tensor_to_picture(x_hat), picture),
        sample=float(np.mean([squared_error(one, picture) for one in drawn])),
        mean_of_samples=squared_error(np.mean(drawn, axis=0, dtype=np.float64), picture),
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
    """The mean of each error over pictures."""
    names = [field.name for field in fields(PosteriorChecks) if field.name != "samples"]
    return PosteriorChecks(
        **{name: float(np.mean([getattr(one, name) for one in checks])) for name in names}, samples=checks[0].samples
    )


def _open(spec: str, device: str) -> HfdCodec:
    codec = open_codec(spec, device)
    if not isinstance(codec, HfdCodec):
        raise UsageError(f"{spec} is no hfd codec: it draws no samples of an x̂")
    return codec


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.studies.posterior", description="Four checks of samples."
    )
    parser.add_argument("codecs", nargs="*", default=CODECS, metavar="CODEC", help=f"default: {' '.join(CODECS)}")
    parser.add_argument("--quality", default="1,3,5", help="qualities, default 1,3,5")
    parser.add_argument("--samples", type=int, default=4, help="K, default 4")
    parser.add_argument("--picture", type=Path, action="append", help=f"default: {PICTURES} shipped photographs")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    if not 2 <= arguments.samples <= MAX_SEED:
        parser.error("--samples is at least 2")
    try:
        qualities = [float(part) for part in arguments.quality.split(",")]
    except ValueError:
        parser.error(f"--quality {arguments.quality!r}: numbers with commas between")
    try:
        opened = {spec: _open(spec, arguments.device) for spec in arguments.codecs}
        for codec in opened.values():
            for quality in qualities:
                quality_steps(quality, codec.base.levels)  # what is out of range is said before the first line
        pictures = [load_image(path) for path in arguments.picture or sorted(FOLDER.glob("*.png"))[:PICTURES]]
        width = max(map(len, opened))
        print(f"{'PSNR in dB':{width}}  quality     x̂  sample  mean of {arguments.samples}  spread  one step  again")
        for spec, codec in opened.items():
            for quality in qualities:
                found = mean_checks([check_posterior(codec, x, quality, arguments.samples) for x in pictures])
                one_step = "     n/a" if math.isnan(found.one_step) else f"{psnr(found.one_step):8.2f}"
                print(
                    f"{spec:{width}}  {quality:7g}  {psnr(found.x_hat):5.2f}  {psnr(found.sample):6.2f}"
                    f"  {psnr(found.mean_of_samples):9.2f}  {found.spread:6.2f}  {one_step}  {psnr(found.again):5.2f}",
                    flush=True,
                )
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        raise SystemExit(error.exit_code) from None


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
