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
    """The matrix with its singular values brought near 1, (m, n) float32.

    X ← aX + b(XXᵀ)X + c(XXᵀ)²X keeps the singular vectors, so five iterations are one polynomial of the Gram matrix
    G = XXᵀ, and G itself can be iterated: G ← P²G with P = a + bG + cG².
    """
    transposed = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if transposed else matrix
    x = x / (x.norm() + 1e-7)
    a, b, c = NEWTON_SCHULZ
    gram = x @ x.T
    product = None
    for turn in range(ITERATIONS):
        polynomial = torch.addmm(gram, gram, gram, beta=b, alpha=c)
        polynomial.diagonal().add_(a)
        product = polynomial if product is None else polynomial @ product
        if turn + 1 < ITERATIONS:
            gram = polynomial @ gram @ polynomial
    assert product is not None
    x = product @ x
    return x.T if transposed else x


def is_matrix(parameter: nn.Parameter) -> bool:
    """Whether Muon moves `parameter`: a kernel that is not thin."""
    return parameter.ndim == 4 and min(parameter.shape[0], parameter[0].numel()) >= THINNEST


class Muon(torch.optim.Optimizer):
    """Muon for kernels, Adam for the rest. State: `step`, `exp_avg` and, for Adam's part, `exp_avg_sq`."""

    def __init__(
        self,
        params: Iterable[dict[str, Any]],
        lr: float,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.99),
        eps: float = 1e-8,
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "betas": betas, "eps": eps})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Moves every parameter that has a gradient. closure: not supported."""
        if closure is not None:
            raise ValueError("Muon takes no closure")
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["step"] = torch.tensor(0.0)
                    state["exp_avg"] = torch.zeros_like(parameter)
                    if not is_matrix(parameter):
                        state["exp_avg_sq"] = torch.zeros_like(parameter)
                state["step"] += 1
                move = _muon if is_matrix(parameter) else _adam
                move(parameter, state, group)


def _muon(parameter: Tensor, state: dict[str, Tensor], group: dict[str, Any]) -> None:
    assert parameter.grad is not None
    average = state["exp_avg"].lerp_(parameter.grad, 1 - group["momentum"])
    ahead = parameter.grad.lerp(average, group["momentum"])  # Nesterov's
    update = orthogonalise(ahead.flatten(1).float())
    scale = 0.2 * max(update.shape) ** 0.5  # the root mean square of Adam's updates
    parameter.add_(update.view_as(parameter), alpha=-group["lr"] * scale)


def _adam(parameter: Tensor, state: dict[str, Tensor], group: dict[str, Any]) -> None:
    assert parameter.grad is not None
    (beta1, beta2), count = group["betas"], float(state["step"])
    average = state["exp_avg"].lerp_(parameter.grad, 1 - beta1)
    square = state["exp_avg_sq"].lerp_(parameter.grad.square(), 1 - beta2)
    denominator = (square / (1 - beta2**count)).sqrt().add_(group["eps"])
    parameter.addcdiv_(average, denominator, value=-group["lr"] / (1 - beta1**count))
