"""Other networks, resizes and statistics, each against the package that it stands for or its definition."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import PIL.Image
import pytest
import torch
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from benchmark.codecs import Image
from benchmark.errors import BenchmarkError, Undefined, UsageError
from benchmark.metrics import (
    METRICS,
    SetMetric,
    distances,
    inception,
    open_metric,
    references,
    shipped_info,
    transformers,
)
from benchmark.metrics.distribution import (
    gaussian_distance,
    gaussian_leave_one_out,
    kernel_distance_of_subsets,
    kernel_of_subsets_leave_one_out,
)
from benchmark.metrics.extractors import load_extractor
from benchmark.metrics.extrapolation import frechet_at_infinity, frechet_at_infinity_leave_one_out
from benchmark.metrics.neighbours import (
    coverage,
    coverage_leave_one_out,
    density,
    density_leave_one_out,
    precision,
    precision_leave_one_out,
    recall,
    recall_leave_one_out,
)

Sets = list[npt.NDArray[np.float64]]
Distance = Callable[[Sets, Sets], float]


def sets(images: int, patches: int, dimension: int, shift: float = 0.3, seed: int = 0) -> tuple[Sets, Sets]:
    drawn = np.random.default_rng(seed)
    x = [drawn.normal(size=(patches, dimension)) for _ in range(images)]
    return x, [own + shift * drawn.normal(size=own.shape) + shift for own in x]


def of_sets(name: str) -> SetMetric:
    metric = open_metric(name)
    assert isinstance(metric, SetMetric)
    return metric


# Statistics


@pytest.mark.long
def test_subsets_are_those_of_torch_fidelity() -> None:
    x, y = sets(4, 300, 12)
    expected = kid_features_to_metric(
        *(torch.from_numpy(np.concatenate(side)) for side in (x, y)), verbose=False, rng_seed=2020
    )
    assert kernel_distance_of_subsets(x, y) == pytest.approx(expected["kernel_inception_distance_mean"], rel=1e-9)
    around = kernel_of_subsets_leave_one_out(x, y)
    assert around.mean() == pytest.approx(kernel_distance_of_subsets(x, y), rel=0.05)


def test_subsets_need_a_thousand_patches() -> None:
    x, y = sets(3, 333, 4)
    with pytest.raises(Undefined, match="1,000 patches need as many on each side, there are 999"):
        kernel_distance_of_subsets(x, y)


def test_precision_and_recall_are_torch_fidelity_s() -> None:
    x, y = sets(5, 12, 3, 0.8)
    found = prc_features_to_metric(
        *(torch.from_numpy(np.concatenate(side)).float() for side in (y, x)), verbose=False, prc_neighborhood=3
    )
    assert 0 < found["precision"] < found["recall"] < 1
    assert precision(x, y) == pytest.approx(found["precision"], rel=1e-6)
    assert recall(x, y) == pytest.approx(found["recall"], rel=1e-6)


def test_density_and_coverage_by_their_definitions() -> None:
    x, y = sets(4, 9, 3, 0.9)
    real, fake = np.concatenate(x), np.concatenate(y)
    between = np.linalg.norm(real[:, None] - real[None], axis=2)
    radii = np.sort(between, axis=1)[:, 5]
    inside = np.linalg.norm(real[:, None] - fake[None], axis=2) <= radii[:, None]
    assert density(x, y) == pytest.approx(inside.sum() / (5 * len(fake)))
    assert coverage(x, y) == pytest.approx(inside.any(1).mean())
    assert 0 < coverage(x, y) < 1


def test_precision_looks_at_the_reconstructions_and_recall_at_the_originals() -> None:
    """A decoder that always shows one mode is precise, and recalls little."""
    drawn = np.random.default_rng(1)
    both = [np.concatenate([drawn.normal(size=(10, 2)), drawn.normal(size=(10, 2)) + 50])]
    one = [drawn.normal(size=(20, 2)) * 0.5]
    assert precision(both, one) > 0.9
    assert recall(both, one) <= 0.5


def test_the_gaussian_distance_is_the_v_statistic_of_features_of_length_one() -> None:
    x, y = sets(3, 8, 5)
    a, b = (np.concatenate(side) / np.linalg.norm(np.concatenate(side), axis=1, keepdims=True) for side in (x, y))

    def mean(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float:
        squared = ((one[:, None] - other[None]) ** 2).sum(2)
        return float(np.exp(-squared / (2 * 2.0**2)).mean())

    expected = 1000 * (mean(a, a) + mean(b, b) - 2 * mean(a, b))
    assert gaussian_distance(x, y, 2.0) == pytest.approx(expected, rel=1e-9)
    assert gaussian_distance(x, x, 2.0) == pytest.approx(0, abs=1e-10)


def test_the_line_to_infinity_removes_the_bias_of_few_patches() -> None:
    """Two sets from one distribution: their distance is 0 without end, and far above it with few patches."""
    drawn = np.random.default_rng(3)
    x, y = ([drawn.normal(size=(10, 8)) for _ in range(20)] for _ in range(2))
    finite = of_sets("fd-effnet").distance(x, y)
    assert finite > 0.25
    assert abs(frechet_at_infinity(x, y)) < finite / 4


def test_the_line_to_infinity_finds_a_distance_that_is_known() -> None:
    x, _ = sets(30, 12, 6)
    assert frechet_at_infinity(x, [own + 2.0 for own in x]) == pytest.approx(24.0, rel=1e-6)


@pytest.mark.parametrize(("images", "patches"), [(20, 1), (4, 100), (0, 0)])
def test_a_line_to_infinity_needs_more_patches_than_features(images: int, patches: int) -> None:
    x, y = sets(images, patches, 11)
    with pytest.raises(Undefined, match="the line to infinity needs more than"):
        frechet_at_infinity(x, y)


@pytest.mark.parametrize(
    ("whole", "each"),
    [
        (precision, precision_leave_one_out),
        (recall, recall_leave_one_out),
        (density, density_leave_one_out),
        (coverage, coverage_leave_one_out),
        (gaussian_distance, gaussian_leave_one_out),
    ],
)
def test_leaving_one_out_is_the_statistic_of_the_others(whole: Distance, each: Distance) -> None:
    x, y = sets(5, 6, 3, 0.7)
    x[2], y[2] = x[2][:0], y[2][:0]
    values = np.asarray(each(x, y))
    for image in range(5):
        others = [k for k in range(5) if k != image]
        expected = whole([x[k] for k in others], [y[k] for k in others])
        assert np.isnan(values[image]) if image == 2 else values[image] == pytest.approx(expected, rel=1e-9)


def test_leaving_one_out_of_the_line_moves_it_as_much_as_that_image_weighs() -> None:
    x, y = sets(14, 6, 4, 0.5)
    y[5] += 3.0
    values = frechet_at_infinity_leave_one_out(x, y)
    assert values.shape == (14,)
    assert int(np.argmin(values)) == 5
    assert frechet_at_infinity(x, y) > values[5]


@pytest.mark.parametrize("statistic", [precision, recall, density, coverage])
def test_neighbours_need_patches(statistic: Distance) -> None:
    x, y = sets(1, 3, 4)
    with pytest.raises(Undefined, match="there are 3"):
        statistic(x, y)
    with pytest.raises(Undefined, match="without images"):
        statistic([], [])


def test_with_too_many_patches_the_radii_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = sets(6, 20, 3, 0.7)
    exact = precision_leave_one_out(x, y)
    monkeypatch.setattr("benchmark.metrics.neighbours.EXACT_COST", 0)
    assert precision_leave_one_out(x, y) == pytest.approx(exact, abs=0.1)


# Networks and resizes, with random weights: what is held against the packages is everything around them.


@pytest.fixture
def random_inception() -> Iterator[torch.nn.Module]:
    with references.stand_in_inception() as donor:
        yield donor


def patches_of(photo: Image) -> torch.Tensor:
    return torch.from_numpy(np.stack([photo[:256, :256], photo[:256, 256:512]])).permute(0, 3, 1, 2)


def near(found: npt.NDArray[np.floating[npt.NBitBase]], expected: torch.Tensor) -> bool:
    reference = expected.detach().numpy()
    return bool(np.abs(found - reference).max() <= 1e-5 * np.abs(reference).max())


def test_the_layers_without_the_resize_are_torch_fidelity_s(random_inception: torch.nn.Module, photo: Image) -> None:
    side = photo[:299, :299]
    with torch.no_grad():
        expected = random_inception(torch.from_numpy(side.copy()).permute(2, 0, 1)[None])[0]
    assert near(of_sets("fid-unresized@whole").features(side), expected)


def test_clean_fid_s_resize_is_its_own(random_inception: torch.nn.Module, photo: Image) -> None:
    from cleanfid.resize import build_resizer

    resize = build_resizer("clean")
    resized = np.stack([resize(crop) for crop in (photo[:256, :256], photo[:256, 256:512])])
    x = (torch.from_numpy(resized).permute(0, 3, 1, 2) - 128) / 128
    with torch.no_grad():
        expected = inception._pooled(random_inception, x)
    assert near(of_sets("fid-clean").features(photo[:256, :512]), expected)


def test_pytorch_fid_s_resize_is_its_own(random_inception: torch.nn.Module, photo: Image) -> None:
    """As its `InceptionV3.forward` does with `resize_input` and `normalize_input`, on pixels in [0, 1]."""
    pixels = patches_of(photo) / 255
    x = torch.nn.functional.interpolate(pixels, size=(299, 299), mode="bilinear", align_corners=False)
    with torch.no_grad():
        expected = inception._pooled(random_inception, 2 * x - 1)
    assert near(of_sets("fid-pytorch").features(photo[:256, :512]), expected)


@pytest.mark.usefixtures("random_inception")
def test_clean_fid_s_kernel_distance_is_over_its_own_resize(photo: Image) -> None:
    from cleanfid.fid import kernel_distance

    metric, of_fid = of_sets("kid-clean"), of_sets("fid-clean")
    assert metric.feature_key == of_fid.feature_key  # the same patches through the same network
    assert metric.protocol == "kid-clean/patch256-nc/inception-v3-compat/pil-bicubic/mmd2-unbiased-100x1000"
    assert np.array_equal(metric.features(photo[:256, :512]), of_fid.features(photo[:256, :512]))
    x, y = (np.random.default_rng(seed).normal(seed / 9, 1, (1000, 16)) for seed in (0, 1))
    # of exactly 1,000 patches every subset is all of them
    assert metric.distance([x], [y]) == pytest.approx(kernel_distance(x, y, num_subsets=1), rel=1e-9)


@pytest.mark.usefixtures("random_inception")
def test_the_ways_of_resizing_are_protocols_and_folders_of_their_own(photo: Image) -> None:
    metrics = [of_sets(name) for name in ("fid", "fid-clean", "fid-pytorch", "fid-unresized")]
    assert len({metric.protocol for metric in metrics}) == len({metric.feature_key for metric in metrics}) == 4
    crop = photo[:256, :256]
    values = [metric.features(crop) for metric in metrics]
    assert all(not np.array_equal(values[0], other) for other in values[1:])


def test_patches_that_inception_cannot_take_are_refused() -> None:
    with pytest.raises(UsageError, match="fid-unresized@patch64-nc: Inception takes no patch below 75"):
        open_metric("fid-unresized@patch64-nc")


def test_dinov2_is_its_authors_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, photo: Image) -> None:
    """A small one with weights from a formula. The numbers are those of the authors' code (facebookresearch/dinov2 at
    7764ea0, `DinoVisionTransformer(img_size=70, patch_size=14, embed_dim=128, depth=2, num_heads=2, init_values=1.0,
    block_chunks=0)`), on the same weights and on pixels that are resized and normalised as torch-fidelity does."""
    pytest.importorskip("timm")
    width = 128
    shapes = {
        "cls_token": (1, 1, width),
        "pos_embed": (1, 26, width),
        "mask_token": (1, width),
        "patch_embed.proj.weight": (width, 3, 14, 14),
        "patch_embed.proj.bias": (width,),
        "norm.weight": (width,),
        "norm.bias": (width,),
    }
    for block in ("blocks.0.", "blocks.1."):
        shapes |= {
            f"{block}norm1.weight": (width,),
            f"{block}norm1.bias": (width,),
            f"{block}attn.qkv.weight": (3 * width, width),
            f"{block}attn.qkv.bias": (3 * width,),
            f"{block}attn.proj.weight": (width, width),
            f"{block}attn.proj.bias": (width,),
            f"{block}ls1.gamma": (width,),
            f"{block}norm2.weight": (width,),
            f"{block}norm2.bias": (width,),
            f"{block}mlp.fc1.weight": (4 * width, width),
            f"{block}mlp.fc1.bias": (4 * width,),
            f"{block}mlp.fc2.weight": (width, 4 * width),
            f"{block}mlp.fc2.bias": (width,),
            f"{block}ls2.gamma": (width,),
        }
    state = {}
    for place, (name, shape) in enumerate(shapes.items()):
        count = int(np.prod(shape))
        state[name] = torch.from_numpy(0.1 * np.sin(np.arange(count) * 0.7 + place)).float().reshape(shape)
    weights = tmp_path / "dinov2.pth"
    torch.save(state, weights)
    monkeypatch.setattr(transformers, "found_weights", lambda _: weights)
    extractor = transformers.load_dinov2("cpu")
    with torch.inference_mode():
        found = extractor(patches_of(photo)).numpy()
    assert found.shape == (2, width)
    assert found[0, :4] == pytest.approx(DINO_FIRST, abs=2e-6)
    assert found[1, -4:] == pytest.approx(DINO_LAST, abs=2e-6)


DINO_FIRST = [-0.1009958, -0.0514317, 0.1038588, 0.1537088]
DINO_LAST = [-0.053207, -0.0519704, 0.0277913, 0.0408412]


def test_clip_is_torch_fidelity_s(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, photo: Image) -> None:
    from torch_fidelity.feature_extractor_clip import CLIPVisual, FeatureExtractorCLIP

    class Whole(torch.nn.Module):
        """As much of CLIP's archive as the loader looks at."""

        def __init__(self) -> None:
            super().__init__()
            self.visual = CLIPVisual(48, 56, 2, 64, 14).visual
            self.text_projection = torch.nn.Parameter(torch.zeros(8, 48))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            result: torch.Tensor = self.visual(x)
            return result

    torch.manual_seed(1)
    weights = tmp_path / "clip.pt"
    torch.jit.save(torch.jit.trace(Whole().eval(), torch.zeros(1, 3, 56, 56)), weights)
    oracle = FeatureExtractorCLIP("clip-vit-l-14-336px", ["clip"], feature_extractor_weights_path=str(weights))
    monkeypatch.setattr(transformers, "found_weights", lambda _: weights)
    x = patches_of(photo)
    with torch.inference_mode():
        usual = transformers.load_clip("cpu", "tf1-bilinear")(x)
        bicubic = transformers.load_clip("cpu", "bicubic")(x)
        assert torch.equal(usual, oracle(x)[0])
    assert bicubic.shape == usual.shape
    assert not torch.allclose(bicubic, usual, rtol=1e-3)


@pytest.mark.parametrize(("name", "download"), [("fd-dinov2", "dinov2"), ("kd-clip", "clip"), ("cmmd", "clip")])
def test_without_weights_the_command_that_brings_them_is_said(
    name: str, download: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transformers, "found_weights", lambda _: None)
    load_extractor.cache_clear()
    with pytest.raises(BenchmarkError, match=f"python -m benchmark fetch {download}.*--from FILE"):
        of_sets(name).load()


def test_texture_is_what_gram_matrices_see(photos: dict[str, Image]) -> None:
    """Blur takes texture away; moving the image by five pixels does not."""
    metric = of_sets("gram-mmd")
    originals = [photo[:256, :384] for photo in photos.values()]
    x = [metric.features(image) for image in originals]
    blurred = [np.array(PIL.Image.fromarray(image).filter(PIL.ImageFilter.GaussianBlur(1.5))) for image in originals]
    turned = [np.roll(image, 5, axis=1) for image in originals]
    blur, turn = (metric.distance(x, [metric.features(image) for image in side]) for side in (blurred, turned))
    assert metric.distance(x, x) == pytest.approx(0, abs=1e-9)
    assert blur > 5 * turn


@pytest.mark.parametrize("name", [info.name for info in distances.METRICS])
def test_each_opens_over_its_patches_without_a_network(name: str) -> None:
    metric, info = of_sets(name), shipped_info(name)
    assert info is not None
    assert name in METRICS
    assert metric.info == info.over(None)
    assert metric.protocol.split("/")[:2] == [name, metric.info.patches]
    for part in metric.protocol.split("/")[1:]:
        assert part in info.parts, f"`explain` says nothing of {part}"


def test_an_attribute_that_no_metric_makes_is_not_there() -> None:
    with pytest.raises(AttributeError, match="make_nothing"):
        _ = distances.make_nothing
