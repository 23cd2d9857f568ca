"""The parts of CompressAI that streams are made of, without the rest of it.

`import compressai` imports its data sets of point clouds, and with them PyTorch Geometric and torch's compiler, which
take longer than torch itself: each process that codes or decodes would wait for them.
"""

from benchmark.deferred import defer

defer("compressai")

from compressai._CXX import pmf_to_quantized_cdf  # noqa: E402
from compressai.ans import BufferedRansEncoder, RansDecoder  # noqa: E402
from compressai.entropy_models import EntropyBottleneck, EntropyModel, GaussianConditional  # noqa: E402
from compressai.ops import LowerBound  # noqa: E402
from compressai.ops.bound_ops import LowerBoundFunction  # noqa: E402

__all__ = [
    "BufferedRansEncoder",
    "EntropyBottleneck",
    "EntropyModel",
    "GaussianConditional",
    "LowerBound",
    "LowerBoundFunction",
    "RansDecoder",
    "pmf_to_quantized_cdf",
]
