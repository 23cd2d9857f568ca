"""The network of LPIPS v0.1 (Zhang et al. 2018), as the package `lpips` defines it, with its linear layers.

The package itself imports torchvision, which takes as long as torch does, and fills the whole of AlexNet or VGG16 with
random numbers before anyone can give it weights. Tests hold this network against the package's, value for value.
"""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

CHANNELS = {"alex": (64, 192, 384, 256, 256), "vgg": (64, 128, 256, 512, 512)}
"""Of the five maps, by trunk."""

SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""Of RGB in [−1, 1], to ImageNet's mean and deviation."""


def normalize_tensor(features: Tensor) -> Tensor:
    """(N, C, h, w) with unit vectors along C."""
    norm = torch.sqrt(torch.sum(features**2, dim=1, keepdim=True))
    return features / (norm + 1e-10)


class Linear(nn.Module):
    """A weight for each channel of a map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Conv2d(channels, 1, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.model(x))


class Scaling(nn.Module):
    """From RGB in [−1, 1] to what the trunk has learned on."""

    shift: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("shift", torch.tensor(SHIFT)[None, :, None, None])
        self.register_buffer("scale", torch.tensor(SCALE)[None, :, None, None])

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.shift) / self.scale


class Trunk(nn.Module):
    """Torchvision's `features` up to the fifth map, in the five parts that end in one: (N, 3, H, W) to five maps.

    Each part is named `slice1` and so on, each layer by its place in `features`.
    """

    def __init__(self, net: str) -> None:
        super().__init__()
        layers = _alexnet() if net == "alex" else _vgg16()
        place = 0
        for number, part in enumerate(layers, start=1):
            made = nn.Sequential()
            for layer in part:
                made.add_module(str(place), layer)
                place += 1
            self.add_module(f"slice{number}", made)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        maps = []
        for part in self.children():
            x = part(x)
            maps.append(x)
        return tuple(maps)


def _alexnet() -> list[list[nn.Module]]:
    """Krizhevsky, "One weird trick", 2014, as torchvision has it."""
    return [
        [nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(inplace=True)],
        [nn.MaxPool2d(3, stride=2), nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(inplace=True)],
        [nn.MaxPool2d(3, stride=2), nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(inplace=True)],
        [nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(inplace=True)],
        [nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(inplace=True)],
    ]


def _vgg16() -> list[list[nn.Module]]:
    """Simonyan and Zisserman 2015, column D."""
    parts: list[list[nn.Module]] = []
    channels = 3
    for width, convolutions in zip(CHANNELS["vgg"], (2, 2, 3, 3, 3), strict=True):
        part: list[nn.Module] = [nn.MaxPool2d(2, stride=2)] if parts else []
        for _ in range(convolutions):
            part += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
            channels = width
        parts.append(part)
    return parts


class LpipsNetwork(nn.Module):
    """Two batches (N, 3, H, W) in [−1, 1] to the distance of each pair, (N, 1, 1, 1)."""

    def __init__(self, net: str) -> None:
        super().__init__()
        self.scaling_layer = Scaling()
        self.net = Trunk(net)
        self.lins = nn.ModuleList(Linear(channels) for channels in CHANNELS[net])

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        pairs = zip(self.lins, self.maps(one), self.maps(other), strict=True)
        distances = [linear((x - y) ** 2).mean([2, 3], keepdim=True) for linear, x, y in pairs]
        return cast(Tensor, sum(distances))

    def maps(self, x: Tensor) -> list[Tensor]:
        """The five maps of a batch, with unit vectors along their channels."""
        return [normalize_tensor(features) for features in self.net(self.scaling_layer(x))]


def lpips_network(net: str, trunk: Mapping[str, Tensor]) -> LpipsNetwork:
    """The network over the trunk "alex" or "vgg", on the CPU. trunk: torchvision's, "features.0.weight" and so on.

    The linear layers are the package's file. Raises ModuleNotFoundError if the package is not installed.
    """
    with torch.random.fork_rng(devices=[]):  # its random start draws from nobody else's numbers
        network = LpipsNetwork(net)
    linear = torch.load(_package() / "weights" / "v0.1" / f"{net}.pth", map_location="cpu", weights_only=True)
    names = {name: name.replace(name.split(".")[0], "features", 1) for name in network.net.state_dict()}
    network.net.load_state_dict({name: trunk[there] for name, there in names.items()})
    weights = {f"{number}.model.0.weight": linear[f"lin{number}.model.1.weight"] for number in range(5)}
    network.lins.load_state_dict(weights)
    return network.eval().requires_grad_(False)


def _package() -> Path:
    """The folder of the package, which is not imported."""
    spec = importlib.util.find_spec("lpips")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("No module named 'lpips'", name="lpips")
    return Path(spec.origin).parent
