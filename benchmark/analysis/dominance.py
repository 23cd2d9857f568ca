"""Whether one image makes most of a number, so that a set without it would say something else."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from benchmark.statistics.intervals import largest_share

DOMINANT = 0.5
"""Of the variance over images."""
FEWEST = 5
"""Images; of fewer one is often far from the others."""


def dominating(images: Sequence[str], influence: npt.ArrayLike) -> tuple[str, ...]:
    """A line that names the image which makes more than DOMINANT of the variance of `influence` (n,); else none."""
    if np.size(influence) < FEWEST or not np.isfinite(influence).all():
        return ()
    place, share = largest_share(influence)
    if share <= DOMINANT:
        return ()
    return (
        f"{images[place]} makes {share:.0%} of the spread over images; the interval of a set without it is too short",
    )
