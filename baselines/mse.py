"""`mse`: the first stage of HFD without its score-based decoder. One autoencoder, written once, in `benchmark.hfd`."""

from benchmark.hfd.codec import mse

__all__ = ["mse"]
