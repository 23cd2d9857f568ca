"""What a decoder may take and say, and how the process that decodes tells where it is."""

import re
import struct

SECONDS, SECONDS_PER_PIXEL = 2.0, 4e-6
"""Of processor time that a mutant may take: so long, and so much longer for each pixel of an image that it gives, whose
sides count as multiples of BLOCK. A mutant that is refused has no pixels."""
BLOCK = 64
BYTES, BYTES_PER_PIXEL = 384 * 2**20, 400
"""Of memory beyond that of the process at rest, likewise."""
SOUND = ("image", "read", "corrupt", "refused")
"""Outcomes that are as they should be."""
AVAILABLE = 512 * 2**20
"""The memory that the suite's own checks are told there is, so that the same streams are refused on every machine."""
ADDRESSES = 6 * 2**30
"""Beyond those of the process at rest there are none: the end of what is not noticed earlier."""
TWICE = 16
"""Every so many images one is decoded once more and compared."""
OFTEN = 1.0
"""Seconds between reports."""

PLACE = struct.Struct("<qqd")
"""Index in the plan (-1: being opened), number, time of the clock that all processes share."""

REFUSED = re.compile(r"would take about .* GB of memory|was made on another kind of machine|whose weights are not here")
"""What may be raised beside CorruptStream: this machine cannot decode a stream that may be sound."""
