"""Whether tiles show: a picture decoded whole, in tiles that see beyond their borders, and in tiles that do not.

`python -m benchmark.studies.seams [PICTURE] [-o FILE.png] [--tile 128] [--quality 2]` draws the three, and the mean
gradient of each column over the whole picture's; without a picture it takes a photograph that comes with the suite.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from benchmark.datasets.shipped import FOLDER
from benchmark.hfd.autoencoder import FirstStage, quality_steps
from benchmark.hfd.codec import DECODER_FILES, FIRST_STAGE_FILE
from benchmark.hfd.sampling import FlowSettings, Sampler, ScoreDecoder
from benchmark.hfd.score import ScoreNetwork, load_score_network, picture_to_tensor, tensor_to_picture
from benchmark.hfd.weights import SHIPPED, load_autoencoder
from benchmark.images import load_image

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


def draw(whole: Tensor, others: Sequence[tuple[str, Tensor]], side: int, path: Path) -> None:
    """Writes `path`: below each picture its gradients over those of `whole`; borders are every `side` columns."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    pictures = [("whole", whole), *others]
    figure, axes = pyplot.subplots(2, len(pictures), figsize=(5 * len(pictures), 5.5), height_ratios=(2, 1))
    reference = column_gradient(whole)
    ratios = [column_gradient(x) / reference for _, x in pictures]
    top = max(1.2, 1.1 * float(torch.cat(ratios).max()))
    for n, ((label, x), ratio) in enumerate(zip(pictures, ratios, strict=True)):
        axes[0, n].imshow(tensor_to_picture(x))
        axes[0, n].set_title(label)
        axes[0, n].axis("off")
        axes[1, n].plot(ratio.numpy(), linewidth=0.8)
        for border in range(side, x.shape[-1], side):
            axes[1, n].axvline(border - 1, color="grey", linewidth=0.5, linestyle=":")
        axes[1, n].set(ylim=(0.5, top), xlim=(0, x.shape[-1]), xlabel="column")
    axes[1, 0].set_ylabel("gradient over the whole picture's")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmark.studies.seams", description=__doc__)
    parser.add_argument("picture", nargs="?", type=Path, default=PHOTO)
    parser.add_argument("-o", "--output", type=Path, default=Path("seams.png"))
    parser.add_argument("--tile", type=int, default=128, help="side of a tile in pixels, a multiple of 16")
    parser.add_argument("--quality", type=float, default=2.0)
    arguments = parser.parse_args()
    if arguments.tile < 16 or arguments.tile % 16:
        parser.error("--tile must be a multiple of 16")
    first_stage = FirstStage(load_autoencoder(SHIPPED / FIRST_STAGE_FILE)[0])
    network, configuration, _ = load_score_network(SHIPPED / DECODER_FILES["flow"], "flow")
    sampler, tile = FlowSettings(int(configuration["steps"])), arguments.tile // 16
    steps = quality_steps(arguments.quality, first_stage.levels)
    # equal parts, so that every border is where the plot has it
    picture = load_image(arguments.picture)[: 2 * arguments.tile, : 3 * arguments.tile]
    if picture.shape[:2] != (2 * arguments.tile, 3 * arguments.tile):
        parser.error(f"the picture must have {3 * arguments.tile}x{2 * arguments.tile} pixels or more")
    x_hat = first_stage.reconstruct(picture_to_tensor(picture), steps)
    whole = ScoreDecoder(network, sampler).sample(x_hat, steps, 0)
    others = [
        (label, decoder.sample(x_hat, steps, 0))
        for label, decoder in (
            ("tiles that see beyond their borders", ScoreDecoder(network, sampler, tile=tile)),
            ("tiles without overlap", without_overlap(network, sampler, tile)),
        )
    ]
    draw(whole, others, arguments.tile, arguments.output)
    expected = border_gradient(whole, arguments.tile)
    for label, x in others:
        print(
            f"{label}: gradient across borders {border_gradient(x, arguments.tile) / expected:.5f} of the whole "
            f"picture's, largest difference {float((x - whole).abs().max()) * 255:.5f} levels"
        )
    print(f"wrote {arguments.output}")


if __name__ == "__main__":
    main()
