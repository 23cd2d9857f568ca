"""The same floats for any number of threads.

On the CPU, oneDNN splits the sums of a convolution differently when the number of threads changes, which moves results
by 1e-6 and so flips a pixel here and there. So each picture is coded on one thread, and a run uses the cores by coding
several pictures at once (`--workers`), which is faster besides: no thread waits for another.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def on_one_thread() -> Iterator[None]:
    """torch uses one CPU thread within, and as many as before afterwards. Also works as a decorator."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
