"""What a codec makes of its own reconstruction: idempotence, as Xu et al. 2024 (arXiv:2401.08920) have it.

A decoder that keeps to what the bits say gives an image that, coded again, says the same. So the reconstruction y is
encoded at the trial's quality, and x̂ of these bits, what they say before a generative decoder adds to it, is held
against x̂ of the original's.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from benchmark.errors import BenchmarkError, Undefined
from benchmark.metrics.fidelity import PSNR, mean_squared_error, psnr_from_mse
from benchmark.metrics.info import MetricInfo
from benchmark.pixels import Image

SAME = "both x̂ are identical: PSNR is infinite"

RE_ENCODE = replace(
    PSNR,
    name="re-encode",
    title="PSNR after coding again",
    words="PSNR between x̂ of the reconstruction, coded again at the same quality, and x̂ of the original",
    parts={**PSNR.parts, "same-quality": "coded again at the trial's quality"},
    infinite=SAME,
    unstated={},
    elsewhere={},
    make="benchmark.metrics.recoding:make_re_encode",
    summary="idempotence: PSNR in dB of x̂ of the reconstruction against x̂ of the original; codecs with an x̂",
    source="Xu et al. 2024, arXiv:2401.08920",
)
METRICS = (RE_ENCODE,)


@dataclass(frozen=True)
class ReEncode:
    """PSNR between two x̂, in dB."""

    info: MetricInfo
    protocol: str = "re-encode/rgb/uint8/mean-of-db/same-quality"

    def recode(self, encode: Callable[[Image], bytes], x_hat: Callable[[bytes], Image], data: bytes, y: Image) -> float:
        """In dB. Raises Undefined if both x̂ are identical, BenchmarkError if one has another shape."""
        before, after = x_hat(data), x_hat(encode(y))
        if before.shape != y.shape or after.shape != y.shape:
            raise BenchmarkError(f"x̂ are {before.shape} and {after.shape}, the reconstruction is {y.shape}")
        error = mean_squared_error(before, after)
        if error == 0:
            raise Undefined(SAME)
        return psnr_from_mse(error)


def make_re_encode() -> ReEncode:
    """Opens it."""
    return ReEncode(RE_ENCODE)
