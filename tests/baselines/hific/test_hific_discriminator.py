import pytest
import torch
from support.hific_checkpoints import example_picture, fill_by_rule

from benchmark.baselines.hific.discriminator import Discriminator

# By github.com/Justin-Tan/high-fidelity-generative-compression at 7d4e9e7, whose fourth convolution has stride 2, with
# the weights of `values_of`, for example_picture(64, 64) in [−1, 1] and ŷ = sin(0), sin(1), … of shape (1, 10, 4, 4).
# The vectors of its spectral norm are no eigenvectors under that rule, so the logits are large.
PUBLIC = [
    [-16011453, -32359010, 2582860.5, 8391018],
    [865122.5, 16882268, 17488360, -6896370],
    [24290604, -50275380, 13618529, 1193955],
    [-33070582, 32922100, -13979910, 1560313.75],
]


def test_as_the_public_code_judges() -> None:
    discriminator = Discriminator(10, last_stride=2).eval()
    fill_by_rule(discriminator)
    picture = torch.from_numpy(example_picture(64, 64).transpose(2, 0, 1))[None].float() / 127.5 - 1
    with torch.no_grad():
        logits = discriminator(picture, torch.sin(torch.arange(160.0)).reshape(1, 10, 4, 4))
    assert logits.shape == (1, 1, 4, 4)
    assert logits[0, 0].numpy() == pytest.approx(torch.tensor(PUBLIC).numpy(), rel=1e-3, abs=5e3)


def test_the_papers_size() -> None:
    with torch.device("meta"):
        discriminator = Discriminator()
        logits = discriminator(torch.empty(2, 3, 256, 256), torch.empty(2, 220, 16, 16))
    shapes = {name: tuple(tensor.shape) for name, tensor in discriminator.state_dict().items()}
    assert shapes["context_conv.weight"] == (12, 220, 3, 3)
    assert shapes["conv1.weight_orig"] == (64, 15, 4, 4)
    assert shapes["conv4.weight_orig"] == (512, 256, 4, 4)
    assert shapes["conv4.weight_u"] == (512,)
    assert shapes["conv4.weight_v"] == (256 * 16,)
    assert shapes["conv_out.weight"] == (1, 512, 1, 1)
    assert len(shapes) == 2 + 4 * 4 + 2
    assert logits.shape == (2, 1, 31, 31)  # the last convolution of stride 1 and width 4 leaves one less


def test_each_picture_is_judged_with_its_own_latents() -> None:
    torch.manual_seed(0)
    discriminator = Discriminator(10)
    pictures, latents = torch.rand(3, 3, 64, 64), torch.randn(3, 10, 4, 4)
    with torch.no_grad():
        for _ in range(5):
            discriminator(pictures[:1], latents[:1])  # the spectral norm is estimated in training mode
        discriminator.eval()
        together = discriminator(pictures, latents)
        alone = torch.cat([discriminator(pictures[n : n + 1], latents[n : n + 1]) for n in range(3)])
        assert together.numpy() == pytest.approx(alone.numpy(), abs=1e-5)
        assert not torch.allclose(together, discriminator(pictures, latents.flip(0)), atol=1e-4)


def test_gradient_reaches_the_picture_and_not_the_latents() -> None:
    discriminator = Discriminator(10)
    picture = torch.rand(1, 3, 64, 64, requires_grad=True)
    latents = torch.randn(1, 10, 4, 4, requires_grad=True)
    discriminator(picture, latents).sum().backward()
    assert picture.grad is not None
    assert float(picture.grad.abs().max()) > 0
    assert latents.grad is None


def test_spectral_norm_is_one() -> None:
    torch.manual_seed(0)
    discriminator = Discriminator(10)
    for _ in range(12):
        discriminator(torch.rand(1, 3, 32, 32), torch.randn(1, 10, 2, 2))
    for layer in range(1, 5):
        weight = discriminator.get_submodule(f"conv{layer}").weight.detach().flatten(1)  # type: ignore[operator]
        assert float(torch.linalg.matrix_norm(weight, 2)) == pytest.approx(1, abs=0.1)
