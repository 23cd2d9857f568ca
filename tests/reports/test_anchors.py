"""Published figures: that they are right, and which of them may stand beside measured ones."""

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark.analysis.summary import read_summary
from benchmark.baselines.classical import jpeg, webp
from benchmark.datasets import kodak, open_dataset
from benchmark.errors import UsageError
from benchmark.images import load_image
from benchmark.metrics.fidelity import make_psnr
from benchmark.metrics.records import BPP
from benchmark.reports import anchors
from benchmark.reports.anchors import COLUMNS, KINDS, choose_codecs, fitting_curves, read_published

PSNR = "psnr/rgb/uint8/mean-of-db"
KODAK = "kodak 88970ca5"
SUMMARY = Path(anchors.__file__).parent / "figures" / "kodak-summary.csv"

needs_kodak = pytest.mark.skipif(
    not all((kodak.folder() / file).is_file() for file in kodak.FILES),
    reason="Kodak is not fetched (python -m benchmark fetch kodak)",
)


def published_figures(codec: str, metric: str = "psnr") -> pd.DataFrame:
    frame = read_published()
    rows = frame[(frame["dataset"] == "kodak") & (frame["codec"] == codec) & (frame["metric"] == metric)]
    return rows.set_index(rows["setting"].astype(int))


def fitting(codecs: tuple[str, ...] = (), **changes: object) -> tuple[list[anchors.PublishedCurve], dict[str, str]]:
    wanted = {"dataset": KODAK, "images": (24, 24), "metric": "psnr", "protocol": PSNR, "rate_protocol": BPP.protocol}
    return fitting_curves(codecs, **(wanted | changes))  # type: ignore[arg-type]


def test_the_figures_are_whole_and_plausible() -> None:
    frame = read_published()
    assert tuple(frame.columns) == COLUMNS
    assert not frame.drop(columns="n_images").isna().any().any()
    assert len(frame) == 1766
    assert frame["bpp"].between(0.0002, 5).all()
    assert set(frame["kind"]) == set(KINDS)
    assert (frame["protocol"].str.partition("/")[0] == frame["metric"]).all()
    for metric, (low, high) in {"psnr": (8, 50), "ms_ssim": (0.1, 1), "lpips": (0, 0.8), "dists": (0, 0.4)}.items():
        assert frame.loc[frame["metric"] == metric, "value"].between(low, high).all()
    assert not frame.duplicated(["dataset", "codec", "setting", "metric"]).any()
    assert (frame.groupby(["dataset", "codec", "setting"])["bpp"].nunique() == 1).all()
    assert (frame.groupby("codec")["label"].nunique() == 1).all()
    faithful = frame[(frame["metric"] == "psnr") & frame["kind"].isin(["classical", "distortion"])]
    for _, rows in faithful.groupby(["dataset", "codec"]):
        assert rows.sort_values("bpp")["value"].is_monotonic_increasing


def test_figures_that_are_known_from_elsewhere() -> None:
    jpeg = published_figures("jpeg")
    assert jpeg.loc[[5, 10, 15], "bpp"].tolist() == pytest.approx([0.2212, 0.3266, 0.4231], abs=1e-4)
    assert jpeg.loc[[5, 10], "value"].tolist() == pytest.approx([23.78, 26.58], abs=0.005)
    frame = read_published()
    hific = frame[(frame["dataset"] == "clic2020-test") & (frame["codec"] == "hific") & (frame["metric"] == "fid")]
    assert hific["value"].min() == pytest.approx(1.67, abs=0.005)  # HiFiC-hi


def test_how_the_bits_of_each_figure_were_counted_is_known() -> None:
    assert set(read_published()["rate_protocol"]) <= set(anchors._RATES)


def test_figures_of_recent_tables_are_those_of_their_sources() -> None:
    """Spot values, read by eye in the tables that the references name."""
    frame = read_published().set_index(["dataset", "codec", "setting", "metric"])["value"]
    assert frame["clic2020-test", "stablecodec", "9", "fid"] == 6.93
    assert frame["clic2020-test", "stablecodec", "1", "psnr"] == pytest.approx(24.9347)
    assert frame["kodak", "diffeic", "5", "lpips"] == 0.3185
    assert frame["tecnick", "rdeic-2", "1", "kid"] == pytest.approx(-0.00016, abs=5e-6)
    assert frame["kodak@square512", "cod-pixel", "0.0039", "dists"] == 0.186


def test_nominal_bits_are_said_to_be_nominal() -> None:
    curves, _ = fitting(("cod-pixel",), dataset="kodak@square512 01234567")
    assert "nominal bits" in curves[0].remark


@pytest.mark.checkout
def test_the_measured_summary_of_jpeg_lies_on_the_published_curve() -> None:
    frame = read_summary(SUMMARY)
    rows = frame[(frame["codec"] == "jpeg") & (frame["aggregation"] == "mean over images")]
    measured = rows.pivot(index="quality", columns="metric", values="value")
    published = published_figures("jpeg")
    common = [quality for quality in measured.index if quality in published.index]
    assert len(common) >= 5
    assert measured.loc[common, "bpp"].to_numpy() == pytest.approx(published.loc[common, "bpp"].to_numpy(), rel=2e-3)
    assert measured.loc[common, "psnr"].to_numpy() == pytest.approx(published.loc[common, "value"].to_numpy(), abs=0.15)


@needs_kodak
def test_jpeg_and_webp_as_coded_here_lie_on_the_published_curves() -> None:
    psnr = make_psnr()
    pictures = [load_image(picture.path) for picture in open_dataset("kodak").pictures]
    # JPEG's decoders differ a little between versions of the library, WebP's do not.
    for name, codec, quality, tolerance in (
        ("jpeg", jpeg(), 5, 0.15),
        ("jpeg", jpeg(), 10, 0.15),
        ("jpeg", jpeg(), 15, 0.15),
        ("webp", webp(), 40, 0.01),
    ):
        bits, values = [], []
        for picture in pictures:
            data = codec.encode(picture, quality)
            bits.append(8 * len(data) / (picture.shape[0] * picture.shape[1]))
            values.append(psnr.compare(picture, codec.decode(data)))
        published = published_figures(name).loc[quality]
        assert np.mean(bits) == pytest.approx(published["bpp"], rel=1e-3)
        assert np.mean(values) == pytest.approx(published["value"], abs=tolerance)


def test_what_fits_a_panel_of_psnr_on_kodak() -> None:
    curves, reasons = fitting()
    assert not reasons
    names = {curve.codec for curve in curves}
    assert {"jpeg", "webp", "bpg", "bmshj2018-hyperprior", "mbt2018-mean", "cheng2020-attn", "elic"} <= names
    assert names.isdisjoint({"hific", "ms-illm"})  # by their names only
    assert {curve.codec for curve in fitting(("hific", "ms-illm"))[0]} == {"hific", "ms-illm"}
    for curve in curves:
        assert list(curve.bpp) == sorted(curve.bpp)
        assert len(curve.bpp) == len(curve.value) >= 3


def test_what_a_source_leaves_open_is_said() -> None:
    remarks = {curve.codec: curve.remark for curve in fitting()[0]}
    assert remarks["jpeg"] == ""
    assert "averaging rule" in remarks["elic"]
    assert "averaging rule" not in remarks["mbt2018-mean"]
    assert "payload" in remarks["mbt2018-mean"]


@pytest.mark.parametrize("dataset", ["photos 88970ca5", "kodak[8 of 24] 88970ca5", "kodak-88970ca5 88970ca5"])
def test_other_pictures_have_no_published_figures(dataset: str) -> None:
    assert fitting(dataset=dataset) == ([], {})


@pytest.mark.parametrize("images", [(23, 24), (23, 23), (0, 0)])
def test_points_over_fewer_pictures_are_not_compared(images: tuple[int, int]) -> None:
    curves, reasons = fitting(images=images)
    assert not curves
    assert "over 24 images, here" in reasons["jpeg"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"protocol": "psnr/rgb/uint8/of-mean-mse"}, "'mean-of-db' where this one has 'of-mean-mse'"),
        ({"protocol": "psnr/y/uint8/mean-of-db"}, "'rgb' where this one has 'y'"),
        ({"protocol": PSNR + "/cropped"}, "'nothing' where this one has 'cropped'"),
        ({"rate_protocol": "bpp/estimated/original-pixels"}, "bits counted as"),
    ],
)
def test_a_contradiction_is_never_let_pass(changes: dict[str, str], reason: str) -> None:
    curves, reasons = fitting(("jpeg", "webp"), **changes)
    assert not curves
    assert reason in reasons["jpeg"]


def test_lpips_of_an_unstated_network_is_not_let_pass() -> None:
    curves, reasons = fitting(choose_codecs("all"), metric="lpips", protocol="lpips/v0.1/alex")
    assert {curve.codec for curve in curves} == {"ms-illm", "no-gan", "crdr-beta-0", "crdr-beta-3.84", "stablecodec"}
    assert all("version of LPIPS" in curve.remark for curve in curves)
    assert "does not state" in reasons["hific"]
    assert not fitting(metric="lpips-vgg", protocol="lpips/v0.1/vgg")[0]


@pytest.mark.parametrize("dataset", ["clic2020-test", "div2k-valid", "kodak"])
def test_published_fid_is_in_no_panel_of_another_distance(dataset: str) -> None:
    for metric, protocol in {
        "fd-effnet": "fd-effnet/patch128-hific/efficientnet-lite0/bilinear-antialias",
        "fd-effnet@patch256-hific": "fd-effnet/patch256-hific/efficientnet-lite0/bilinear-antialias",
        "fid": "fid/patch128-hific/inception-v3-compat/tf1-bilinear",
        "fid@patch256-hific": "fid/patch256-hific/inception-v3-compat/tf1-bilinear",
    }.items():
        frame = f"{dataset} 01234567"
        assert not fitting(choose_codecs("all"), dataset=frame, metric=metric, protocol=protocol)[0]


def test_published_fid_stands_beside_the_fid_of_the_same_patches() -> None:
    protocol = "fid/patch256-nc/inception-v3-compat/tf1-bilinear"
    curves, reasons = fitting(
        choose_codecs("all"),
        dataset="clic2020-test 01234567",
        images=(428, 428),
        metric="fid@patch256-nc",
        protocol=protocol,
    )
    assert {curve.codec for curve in curves} == {"ms-illm", "no-gan", "stablecodec"}
    assert all(curve.remark.endswith("headers count as bits") for curve in curves)
    assert "patch256-hific" in reasons["diffeic"]
    assert "does not state" in reasons["crdr-beta-0"]


def test_numbers_of_two_protocols_are_two_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = read_published().copy()
    rows = (frame["codec"] == "webp") & (frame["metric"] == "psnr")
    high = rows & (frame["bpp"] > 1)
    frame.loc[high, "protocol"] = "psnr/?/uint8/mean-of-db"
    monkeypatch.setattr(anchors, "read_published", lambda: frame)
    curves, _ = fitting(("webp",))
    assert sorted(len(curve.bpp) for curve in curves) == sorted([int(high.sum()), int((rows & ~high).sum())])
    low, rest = sorted(curves, key=lambda curve: curve.bpp[0])
    assert max(low.bpp) <= 1 < min(rest.bpp)


def test_figures_over_an_unstated_number_of_pictures_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = read_published().copy()
    frame["n_images"] = pd.array([None] * len(frame), dtype="Int64")
    monkeypatch.setattr(anchors, "read_published", lambda: frame)
    curves, reasons = fitting()
    assert not curves
    assert "unstated number" in reasons["jpeg"]


def test_names() -> None:
    assert choose_codecs("") == ()
    assert choose_codecs("jpeg, mbt2018-mean,jpeg") == ("jpeg", "mbt2018-mean")
    assert len(choose_codecs("all")) == read_published()["codec"].nunique()
    with pytest.raises(UsageError, match=r"'mbt2018-maen'; did you mean mbt2018-mean"):
        choose_codecs("jpeg,mbt2018-maen")
    with pytest.raises(UsageError, match=r"there are .*bpg"):
        choose_codecs("jpeg,")


def test_interpolated_psnr_of_jpeg_and_webp_is_ordered_as_published() -> None:
    curves = {curve.codec: curve for curve in fitting()[0]}
    at = np.log([0.3, 0.5, 0.8])
    heights = {name: np.interp(at, np.log(curve.bpp), curve.value) for name, curve in curves.items()}
    order = ["elic", "cheng2020-attn", "mbt2018-mean", "bmshj2018-hyperprior", "webp", "jpeg"]
    for better, worse in pairwise(order):
        assert (heights[better] > heights[worse]).all()
    assert all(math.isfinite(value) for value in heights["bpg"])
