"""A device that runs out of memory, on the CPU: tensors above a size are refused as CUDA's allocator refuses them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LittleMemory(TorchDispatchMode):
    """Inside a `with`, an operation that makes a tensor of more than `most` bytes raises torch.OutOfMemoryError.

    refusals: how often. The message is as long as CUDA's, of several lines.
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most
        self.refusals = 0

    def __torch_dispatch__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        arguments: Sequence[Any] = (),
        options: Mapping[str, Any] | None = None,
    ) -> Any:
        made = function(*arguments, **(options or {}))
        held = {one.untyped_storage().data_ptr() for one in tree_leaves([arguments, options]) if torch.is_tensor(one)}
        for one in tree_leaves(made):
            if torch.is_tensor(one) and one.untyped_storage().data_ptr() not in held:  # a view takes none
                size = one.untyped_storage().nbytes()
                if size > self.most:
                    self.refusals += 1
                    raise torch.OutOfMemoryError(f"CUDA out of memory. Tried to allocate {size} bytes.\nGPU 0 has …")
        return made
