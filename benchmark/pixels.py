"""What an image is in memory. Imports no more than NumPy, so that codecs and metrics can be listed at once."""

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
"""An image: uint8, (height, width, 3), RGB."""
