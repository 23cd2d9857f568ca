"""The same floats for any number of threads.

On the CPU, oneDNN splits the sums of a convolution differently when the number of threads changes, which moves results
by 1e-6 and so flips a pixel here and there. So each image is coded on one thread, and a run uses the cores by coding
several images at once (`--workers`), which is faster besides: no thread waits for another.

On a GPU, cuDNN by default keeps ten bits of a convolution's factors (TF32) and may choose other kernels each time.
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


@contextmanager
def repeatable() -> Iterator[None]:
    """`on_one_thread`, and on a GPU full float32 and the same kernels each time. Also works as a decorator."""
    cudnn = torch.backends.cudnn
    with on_one_thread(), cudnn.flags(cudnn.enabled, benchmark=False, deterministic=True, allow_tf32=False):
        yield
