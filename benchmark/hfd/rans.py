"""CompressAI's rANS decoder, kept from reading beyond the end of a forged stream.

The decoder takes words from memory without a look at where the stream ends. A symbol takes 16 bits at most, and one
that its table lacks, an escape, four bits for each digit of a number and for how many digits there are. A count of
digits goes on for as long as its own digits are 15: each byte 0xff of a forged stream asks for fifteen more behind it.
"""

import math
import re
from collections.abc import Iterable

from benchmark.errors import CorruptStream
from benchmark.hfd.compressai_parts import RansDecoder

CDF_BITS = 16
"""Precision of rANS probabilities."""
BYTES_PER_SYMBOL = 8
"""More than any symbol takes that an encoder writes, an escape of 28 bits included."""
BEYOND_PER_SYMBOL = 4
"""Zeros behind the stream for each symbol: one takes two bytes, and few of those read from zeros are escapes."""
AT_REST = 8192
"""Zeros behind any stream."""


def least_bits(likeliest: Iterable[int]) -> float:
    """The fewest bits of a symbol of each row of a table. likeliest: the largest count of each row, of 2**CDF_BITS.

    rANS with 32-bit words loses no more than 2**-14 bit a symbol against the ideal code length, on either side.
    """
    return sum(max(0.0, CDF_BITS - math.log2(count) - 2**-14) for count in likeliest)


def require_bits(stream: bytes, least: float) -> None:
    """Raises CorruptStream if `stream` has fewer bits than `least`: a large image that so few bytes cannot hold."""
    if 8 * len(stream) < int(least):
        raise CorruptStream(
            f"the stream's payload has {len(stream)} bytes; an image of this size has at least {int(least) // 8 + 1}"
        )


def guarded(stream: bytes, symbols: int) -> bytes:
    """`stream` with so many zeros behind it as a decoder of that many symbols can read, whatever is in the stream.

    Raises CorruptStream on a stream that is longer than any encoder's.
    """
    if len(stream) > (most := BYTES_PER_SYMBOL * (symbols + 2)):
        raise CorruptStream(f"an entropy-coded part has {len(stream)} bytes; no more than {most} are ever written")
    # Up to eight digits of the decoder's state and two at either end can stand beside those of the run.
    longest = max(map(len, re.findall(rb"\xff+", stream)), default=0)
    return stream + bytes(BEYOND_PER_SYMBOL * symbols + 16 * (longest + 16) + AT_REST)


def decoder_of(stream: bytes, symbols: int) -> RansDecoder:
    """A decoder of `stream`, `guarded`."""
    decoder = RansDecoder()
    decoder.set_stream(guarded(stream, symbols))
    return decoder
