"""The same crop of the original and of codecs at about the same bits: what is cut out, said, and refused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from support.web_pages import call, make_run, write_photographs

from benchmark.errors import BenchmarkError
from benchmark.images import load_image
from benchmark.reports.crops import Place, Point, crops_of, most_detailed
from benchmark.results import RunFolder


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two images through JPEG and a stochastic fake at two qualities."""
    folder = tmp_path_factory.mktemp("crops")
    images = write_photographs(folder / "images", ["a.png", "b.png"])
    codecs = ("--codec", "jpeg", "--codec", "noisy", "--quality", "jpeg=10,90", "--quality", "noisy=2,4")
    make_run(folder / "run", images, *codecs, "--decoder-seeds", "0,1")
    make_run(folder / "bare", images, "--codec", "jpeg", "--quality", "10", keep=False)
    return folder


def bpp(run: RunFolder, codec: str, image: str, quality: float) -> float:
    (found, *_) = [t.bpp for t in run.trials() if (t.codec, t.image, t.quality) == (codec, image, quality)]
    assert found is not None
    return found


def test_each_crop_is_of_the_point_whose_bits_are_nearest_on_that_image(work: Path) -> None:
    run = RunFolder.open(work / "run")
    low, high = bpp(run, "jpeg", "a", 10), bpp(run, "jpeg", "a", 90)
    for wanted, quality in ((low * 1.05, 10.0), (high * 0.95, 90.0), (low * (high / low) ** 0.49, 10.0)):
        ((row,), _) = crops_of(run, [Place("a", (8, 16))], wanted, (40, 24))
        original, jpeg, noisy = row.crops
        assert row.name == "a, 40×24 at (8, 16)"
        cut = np.s_[16:40, 8:48]
        np.testing.assert_array_equal(original.pixels, load_image(work / "images" / "a.png")[cut])
        (trial,) = [t for t in run.trials() if (t.codec, t.image, t.quality) == ("jpeg", "a", quality)]
        np.testing.assert_array_equal(jpeg.pixels, load_image(run.reconstruction_path(trial.key))[cut])
        assert (original.title, original.caption, jpeg.title) == ("original", "", "jpeg")
        assert jpeg.caption == f"{trial.bpp:.3f} bpp, {trial.metrics['psnr']:.2f} dB"
        assert noisy.pixels.shape == (24, 40, 3)


def test_of_a_stochastic_decoder_the_first_seed_is_shown(work: Path) -> None:
    run = RunFolder.open(work / "run")
    ((row,), _) = crops_of(run, [Place("b", (0, 0))], Point("noisy", 4), (32, 32), codecs=["noisy"])
    (trial,) = [t for t in run.trials() if (t.codec, t.image, t.quality, t.decoder_seed) == ("noisy", "b", 4, 0)]
    np.testing.assert_array_equal(row.crops[1].pixels, load_image(run.reconstruction_path(trial.key))[:32, :32])


def test_bits_of_a_point_are_taken_image_by_image_and_far_ones_are_told(work: Path) -> None:
    run = RunFolder.open(work / "run")
    rows, notes = crops_of(run, [Place("a", (0, 0)), Place("b", (0, 0))], Point("jpeg", 10), (32, 32))
    told = 0
    for row in rows:
        name = row.name[0]
        wanted = bpp(run, "jpeg", name, 10)
        nearest = min((bpp(run, "noisy", name, q) for q in (2, 4)), key=lambda found: abs(np.log(found / wanted)))
        assert row.crops[1].caption.startswith(f"{wanted:.3f} bpp")
        assert row.crops[2].caption.startswith(f"{nearest:.3f} bpp")
        assert abs(nearest / wanted - 1) > 0.1
        assert notes[told].startswith(f"noisy comes no nearer to {wanted:.3g} bpp on {name} than {nearest:.3f}, at")
        told += 1
    assert len(notes) == told


def test_without_a_place_the_crop_is_where_there_is_most_detail() -> None:
    image = np.zeros((64, 96, 3), np.uint8)
    image[40:56, 60:76:2] = 255
    top, left = most_detailed(image, 16)
    assert (top, left) == (40, 60)


@pytest.mark.parametrize("scale", [1, 3])
def test_an_image_file_has_every_pixel_as_a_square(work: Path, scale: int) -> None:
    output = work / f"s{scale}.png"
    options = ("--bpp", "1", "--at", "8,16", "--size", "40x24", "--scale", str(scale), "--no-names", "-o", str(output))
    assert call("crops", str(work / "run"), "--codec", "jpeg", *options) == 0
    drawn = np.asarray(Pillow.open(output).convert("RGB"))
    wanted = load_image(work / "images" / "a.png")[16:40, 8:48].repeat(scale, 0).repeat(scale, 1)
    np.testing.assert_array_equal(drawn[: 24 * scale, : 40 * scale], wanted)
    assert drawn.shape[1] == 2 * 40 * scale + 4 * scale


def test_a_pdf_has_the_pixels_themselves_and_the_asked_width_and_is_the_same_again(work: Path) -> None:
    words = ("crops", str(work / "run"), "--bpp", "1", "--size", "40x24", "--width", "3.3", "--columns", "2")
    for name in ("one.pdf", "two.pdf"):
        assert call(*words, "--image", "a", "--image", "b", "-o", str(work / name)) == 0
    content = (work / "one.pdf").read_bytes()
    assert content == (work / "two.pdf").read_bytes()
    assert content.count(b"/Width 40") == 6  # an original and two codecs, of two images
    box = content.partition(b"/MediaBox [ ")[2].split()
    assert float(box[2]) == pytest.approx(3.3 * 72)


def test_the_figure_has_the_name_that_was_asked_for_and_is_nothing_of_the_run(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["crops", str(work / "run"), "--match", "jpeg=90", "--size", "40x24", "-o"]
    assert call(*words, str(work / "named.PNG")) == 0
    assert (work / "named.PNG").is_file()
    assert not (work / "named.png").exists()
    kept = sorted((work / "run" / "reconstructions").rglob("*.png"))[0]
    before = kept.read_bytes()
    assert call(*words, str(kept)) == 2
    assert "is a file of the run" in capsys.readouterr().err
    assert kept.read_bytes() == before


def test_a_webp_can_be_read(work: Path) -> None:
    assert call("crops", str(work / "run"), "--match", "jpeg=90", "--size", "40x24", "-o", str(work / "c.webp")) == 0
    with Pillow.open(work / "c.webp") as image:
        assert image.format == "WEBP"


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["bare", "--bpp", "1"], 3, "the run kept no images; make it with --keep-reconstructions"),
        (["run", "--bpp", "1", "--image", "c"], 2, "--image c: the run has no such image; there are a, b"),
        (["run", "--bpp", "1", "--codec", "webp"], 2, "--codec webp: the run has no such codec; there are jpeg, noisy"),
        (["run", "--bpp", "1", "--metric", "lpips"], 2, "--metric lpips: the run has no such metric of single images"),
        (["run", "--bpp", "1", "--size", "97x8"], 2, "--size 97x8: a has 96x64 pixels"),
        (["run", "--bpp", "1", "--size", "8"], 2, "--size '8': two whole numbers are needed, such as 192x128"),
        (["run", "--bpp", "1", "--size", "0x8"], 2, "--size '0x8': two whole numbers"),
        (["run", "--bpp", "1", "--size", "32x32", "--at", "70,0"], 2, "--at 70,0: a crop of 32x32 leaves a, which has"),
        (["run", "--bpp", "1", "--at", "7,-1"], 2, "--at '7,-1': two whole numbers"),
        (
            ["run", "--bpp", "1", "--image", "a", "--image", "b", "--at", "1,1"],
            2,
            "--at: one for each --image is needed",
        ),
        (["run"], 2, "one of --bpp and --match is needed"),
        (["run", "--match", "jpeg"], 2, "--match 'jpeg': CODEC=QUALITY is needed"),
        (["run", "--match", "jpeg=11", "--size", "8x8"], 2, "--match jpeg=11: the run has no such trial of a"),
        (["run", "--bpp", "1", "--size", "8x8", "-o", "c.gif"], 2, "c.gif: a file that ends in .png, .pdf, .webp"),
        (["run", "--bpp", "1", "--label", "webp=Ours"], 2, "label 'webp=Ours': CODEC=TEXT is needed"),
        (["nowhere", "--bpp", "1"], 3, "nowhere"),
    ],
)
def test_mistakes_are_one_line(
    words: list[str],
    code: int,
    message: str,
    work: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(work)
    assert call("crops", *([] if "-o" in words else ["-o", "not.png"]), *words) == code
    (line,) = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("note: ")]
    assert line.startswith("error: ")
    assert message in line
    assert not (work / "not.png").exists()


def test_an_image_that_is_gone_or_another_is_named(work: Path, tmp_path: Path) -> None:
    images = write_photographs(tmp_path / "images", ["a.png"])
    run = RunFolder.open(make_run(tmp_path / "run", images, "--codec", "jpeg", "--quality", "10"))
    (trial,) = run.trials()
    write_photographs(tmp_path / "images", ["a.png"], corner=7)
    with pytest.raises(BenchmarkError, match=r"a: a\.png is another file than the one that was coded"):
        crops_of(run, [Place("a")], 1.0, (32, 32))
    elsewhere = {run.manifest.dataset.pictures[0].sha256: work / "images" / "a.png"}
    assert crops_of(run, [Place("a")], 1.0, (32, 32), elsewhere=elsewhere)
    run.reconstruction_path(trial.key).unlink()
    with pytest.raises(BenchmarkError, match=r"a\.png: the reconstruction is missing"):
        crops_of(run, [Place("a")], 1.0, (32, 32), elsewhere=elsewhere)
