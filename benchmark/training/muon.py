"""Muon: momentum whose matrices are orthogonalised before they are applied.

Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024, with the scale of Liu et al., "Muon is
Scalable for LLM Training", arXiv 2502.16982, 2025 (equation 4), so that a learning rate means what it means for Adam.
torch's own Muon takes matrices only; here a convolution's kernel counts as one, output channels × the rest, everything
else (biases, gains, tables, thin layers) is moved by Adam, and the orthogonalisation works on the Gram matrix, which
for kernels of 192×1728 takes a fifth of the operations.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of Jordan et al.: singular values end between about 0.7 and 1.2 after five iterations."""

ITERATIONS = 5
THINNEST = 16
"""Kernels with fewer rows or columns than this are moved by Adam."""


def orthogonalise(matrix: Tensor) -> Tensor:
    """Matrices (…, m, n) with their singular values brought near 1.

    X ← aX + b(XXᵀ)X + c(XXᵀ)²X keeps the singular vectors, so five iterations are one polynomial of the Gram matrix
    G = XXᵀ, and G itself can be iterated: G ← P²G with P = a + bG + cG².
    """
    transposed = matrix.shape[-2] > matrix.shape[-1]
    x = matrix.mT if transposed else matrix
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    a, b, c = NEWTON_SCHULZ
    gram = x @ x.mT
    product = None
    for turn in range(ITERATIONS):
        polynomial = (gram @ gram).mul_(c).add_(gram, alpha=b)
        polynomial.diagonal(dim1=-2, dim2=-1).add_(a)
        product = polynomial if product is None else polynomial @ product
        if turn + 1 < ITERATIONS:
            gram = polynomial @ gram @ polynomial
    assert product is not None
    x = product @ x
    return x.mT if transposed else x


def is_matrix(parameter: nn.Parameter) -> bool:
    """Whether Muon moves `parameter`: a kernel that is not thin."""
    return parameter.ndim == 4 and min(parameter.shape[0], parameter[0].numel()) >= THINNEST


class Muon(torch.optim.Optimizer):
    """Muon for kernels, Adam for the rest. State: `step`, `exp_avg` and, for Adam's part, `exp_avg_sq`.

    weight_decay: each step shrinks the kernels by this times the learning rate, apart from the gradient. Every step of
    Muon moves all directions of a kernel alike, also those that no image of the batch uses: without a decay they grow.
    """

    def __init__(
        self,
        params: Iterable[dict[str, Any]],
        lr: float,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.99),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Moves every parameter that has a gradient. closure: not supported."""
        if closure is not None:
            raise ValueError("Muon takes no closure")
        for group in self.param_groups:
            updated = [parameter for parameter in group["params"] if parameter.grad is not None]
            for parameter in updated:
                state = self.state[parameter]
                if not state:
                    state["step"] = torch.tensor(0.0)
                    state["exp_avg"] = torch.zeros_like(parameter)
                    if not is_matrix(parameter):
                        state["exp_avg_sq"] = torch.zeros_like(parameter)
                state["step"] += 1
            # Those of one shape, or of one age, at once: on a GPU the many small steps would take as long as the rest.
            for alike in _alike(p for p in updated if is_matrix(p)):
                _muon(alike, [self.state[p] for p in alike], group)
            for alike in _alike((p for p in updated if not is_matrix(p)), lambda p: float(self.state[p]["step"])):
                _adam(alike, [self.state[p] for p in alike], group)


def _alike(
    parameters: Iterable[Tensor], key: Callable[[Tensor], Any] = lambda p: (len(p), p.numel())
) -> list[list[Tensor]]:
    found: dict[Any, list[Tensor]] = {}
    for parameter in parameters:
        found.setdefault(key(parameter), []).append(parameter)
    return list(found.values())


def _gradients(parameters: list[Tensor]) -> list[Tensor]:
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


def _muon(parameters: list[Tensor], states: list[dict[str, Tensor]], group: dict[str, Any]) -> None:
    gradients, averages = _gradients(parameters), [state["exp_avg"] for state in states]
    torch._foreach_lerp_(averages, gradients, 1 - group["momentum"])
    ahead = torch._foreach_lerp(gradients, averages, group["momentum"])  # Nesterov's
    updates = orthogonalise(torch.stack([one.flatten(1).float() for one in ahead]))
    scale = 0.2 * max(updates[0].shape) ** 0.5  # the root mean square of Adam's updates
    if group["weight_decay"]:
        torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
    moves = [update.view_as(parameter) for parameter, update in zip(parameters, updates, strict=True)]
    torch._foreach_add_(parameters, moves, alpha=-group["lr"] * scale)


def _adam(parameters: list[Tensor], states: list[dict[str, Tensor]], group: dict[str, Any]) -> None:
    (beta1, beta2), count = group["betas"], float(states[0]["step"])
    gradients = _gradients(parameters)
    averages, squares = ([state[key] for state in states] for key in ("exp_avg", "exp_avg_sq"))
    torch._foreach_lerp_(averages, gradients, 1 - beta1)
    torch._foreach_lerp_(squares, torch._foreach_mul(gradients, gradients), 1 - beta2)
    denominators = torch._foreach_div(squares, 1 - beta2**count)
    torch._foreach_sqrt_(denominators)
    torch._foreach_add_(denominators, group["eps"])
    torch._foreach_addcdiv_(parameters, averages, denominators, value=-group["lr"] / (1 - beta1**count))
