"""Is what a decoder draws a sample of the posterior? Four checks that need no network of features.

    python -m benchmark.hfd.posterior [CODEC …] [--quality 1,3,5] [--samples 4] [--limit 4]

prints a line a codec and quality, means over the first photographs that come with the suite:

- x̂, sample: their PSNR. A draw from the posterior has twice the squared error of the posterior's mean (Blau & Michaeli,
  ICML 2019): 3.01 dB less. Much less than that is no sample but the mean; more than 3.5 dB is a fault.
- mean of K: the PSNR of the mean of K independent samples, which climbs back, MSE_K = MMSE·(1 + 1/K).
- spread: the deviation of samples over the root of the squared error that is left in their mean, found from the two
  before it. 1 is a draw from the posterior, 0 always the same picture, whatever the truth.
- one step: the PSNR of a flow or a diffusion after a single step. That is regression and no sample: at x̂'s or above, if
  x̂ can be repaired (Ohayon et al., 2024).
- again: the PSNR of x̂ of the sample, coded once more at the same quality, against x̂ itself. It is high where what was
  added agrees with the bits (Xu et al., 2024).
"""

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import islice

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from benchmark.codecs import Image, open_codec
from benchmark.errors import BenchmarkError, UsageError
from benchmark.hfd.autoencoder import quality_steps
from benchmark.hfd.codec import HfdCodec
from benchmark.hfd.container import MAX_SEED
from benchmark.hfd.embedding import Stamp
from benchmark.hfd.sampling import DiffusionSettings, FlowSettings, Sampler, ScoreDecoder
from benchmark.hfd.score import tensor_to_picture
from benchmark.images import load_image
from datasets import open_dataset

CODECS = ("hfd", "hfd:decoder=diffusion,realism=1", "hfd:decoder=flow")


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
        """Deviation of samples over the root of the squared error of their mean, as the two errors tell it."""
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
    parser = argparse.ArgumentParser(prog="python -m benchmark.hfd.posterior", description="Is it a posterior sample?")
    parser.add_argument("codecs", nargs="*", default=CODECS, metavar="CODEC", help=f"default: {' '.join(CODECS)}")
    parser.add_argument("--quality", default="1,3,5", help="qualities, default 1,3,5")
    parser.add_argument("--samples", type=int, default=4, help="K, default 4")
    parser.add_argument("--dataset", default="photos", help="data set or folder, default photos")
    parser.add_argument("--limit", type=int, default=4, help="pictures, default 4")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    if not 2 <= arguments.samples <= MAX_SEED or arguments.limit < 1:
        parser.error("--samples is at least 2, --limit at least 1")
    try:
        qualities = [float(part) for part in arguments.quality.split(",")]
    except ValueError:
        parser.error(f"--quality {arguments.quality}: numbers with commas between")
    try:
        opened = {spec: _open(spec, arguments.device) for spec in arguments.codecs}
        pictures = [
            load_image(picture.path) for picture in islice(open_dataset(arguments.dataset).pictures, arguments.limit)
        ]
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
        raise SystemExit(2) from None


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
