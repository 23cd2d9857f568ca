"""Whether tiles show: an image decoded whole, in tiles that see beyond their borders, and in tiles that do not.

`python -m benchmark studies seams` draws the three, and the mean gradient of each column over the whole image's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from benchmark.datasets.shipped import FOLDER
from benchmark.errors import UsageError
from benchmark.hfd.autoencoder import FirstStage
from benchmark.hfd.container import steps_of
from benchmark.hfd.decoders import KINDS
from benchmark.hfd.decoders.flow import FlowSettings
from benchmark.hfd.sampling import Sampler, ScoreDecoder
from benchmark.hfd.score import ScoreNetwork, load_score_network, picture_to_tensor, tensor_to_picture
from benchmark.hfd.weights import FIRST_STAGE_FILE, SHIPPED, load_autoencoder
from benchmark.images import load_image
from benchmark.reports.plots.files import save_figure

PHOTO = FOLDER / "budgie-oakland-zoo-otters.png"


def without_overlap(network: ScoreNetwork, sampler: Sampler, tile: int) -> ScoreDecoder:
    """A decoder whose tiles see nothing beyond their borders: what is to be avoided."""
    decoder = ScoreDecoder(network, sampler, tile=tile)
    decoder.overlap = 0
    return decoder


def column_gradient(x: Tensor) -> Tensor:
    """Mean absolute difference of each column of x (1, 3, H, W) to the next: (W − 1,)."""
    return (x[..., 1:] - x[..., :-1]).abs().mean((0, 1, 2))


def border_gradient(x: Tensor, side: int) -> float:
    """Mean absolute difference across the vertical borders of tiles of `side` pixels in x (1, 3, H, W)."""
    return float(column_gradient(x)[side - 1 :: side].mean())


@dataclass(frozen=True)
class Seams:
    """An image decoded whole, and in tiles of `tile` pixels: label and image, (1, 3, H, W) in [-0.5, 0.5] each."""

    whole: Tensor
    others: Sequence[tuple[str, Tensor]]
    tile: int


def decode(path: Path = PHOTO, tile: int = 128, quality: float = 2.0) -> Seams:
    """The flow's image of the upper left part of 2×3 tiles of the file, in three ways.

    Raises UsageError if `tile` is no positive multiple of 16, the quality is out of range, or the image too small.
    """
    if tile < 16 or tile % 16:
        raise UsageError(f"--tile {tile}: a multiple of 16")
    first_stage = FirstStage(load_autoencoder(SHIPPED / FIRST_STAGE_FILE)[0])
    network, configuration, _ = load_score_network(SHIPPED / KINDS["flow"].shipped_file(), "flow")
    sampler, latents = FlowSettings(int(configuration["steps"])), tile // 16
    steps = steps_of(quality, first_stage.levels)
    # equal parts, so that every border is where the plot has it
    image = load_image(path)[: 2 * tile, : 3 * tile]
    if image.shape[:2] != (2 * tile, 3 * tile):
        raise UsageError(f"{path}: the image must have {3 * tile}x{2 * tile} pixels or more")
    x_hat = first_stage.reconstruct(picture_to_tensor(image), steps)
    decoders = {
        "tiles that see beyond their borders": ScoreDecoder(network, sampler, tile=latents),
        "tiles without overlap": without_overlap(network, sampler, latents),
    }
    others = [(label, decoder.sample(x_hat, steps, 0)) for label, decoder in decoders.items()]
    return Seams(ScoreDecoder(network, sampler).sample(x_hat, steps, 0), others, tile)


def lines(seams: Seams) -> Iterator[str]:
    """A line for each way to tile."""
    expected = border_gradient(seams.whole, seams.tile)
    for label, x in seams.others:
        yield (
            f"{label}: gradient across borders {border_gradient(x, seams.tile) / expected:.5f} of the whole image's, "
            f"largest difference {float((x - seams.whole).abs().max()) * 255:.5f} levels"
        )


def draw(whole: Tensor, others: Sequence[tuple[str, Tensor]], side: int, path: Path) -> None:
    """Writes `path`: below each image its gradients over those of `whole`; borders are every `side` columns."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    images = [("whole", whole), *others]
    figure, axes = pyplot.subplots(2, len(images), figsize=(5 * len(images), 5.5), height_ratios=(2, 1))
    reference = column_gradient(whole)
    ratios = [column_gradient(x) / reference for _, x in images]
    top = max(1.2, 1.1 * float(torch.cat(ratios).max()))
    for n, ((label, x), ratio) in enumerate(zip(images, ratios, strict=True)):
        axes[0, n].imshow(tensor_to_picture(x))
        axes[0, n].set_title(label)
        axes[0, n].axis("off")
        axes[1, n].plot(ratio.numpy(), linewidth=0.8)
        for border in range(side, x.shape[-1], side):
            axes[1, n].axvline(border - 1, color="grey", linewidth=0.5, linestyle=":")
        axes[1, n].set(ylim=(0.5, top), xlim=(0, x.shape[-1]), xlabel="column")
    axes[1, 0].set_ylabel("gradient over the whole image's")
    figure.tight_layout()
    save_figure(figure, path, dpi=110)
    pyplot.close(figure)
