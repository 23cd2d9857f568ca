"""Folders as others write them are read as they are."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.reconstructions import NAMES, SIZE, Foreign, make_foreign

from benchmark.baselines.reconstructions import ImageFiles
from benchmark.codecs import open_codec
from benchmark.errors import BenchmarkError, UsageError


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Foreign:
    monkeypatch.chdir(tmp_path)
    return make_foreign(tmp_path)


def opened(spec: str) -> ImageFiles:
    codec = open_codec(spec)
    assert isinstance(codec, ImageFiles)
    return codec


def check(codec: ImageFiles, foreign: Foreign, layout: str, suffix: str = "") -> None:
    assert codec.describe()["layout"] == layout
    for (name, quality), image in foreign.images.items():
        found = codec.reconstruction(name + suffix, quality)
        assert np.array_equal(found.image, image)
        assert found.bytes == pytest.approx(foreign.bytes[name, quality], rel=1e-12)


LAYOUTS = [
    ("{quality}/rec/{name}.png", "{quality}/bin/{name}", "StableCodec's"),
    ("ft{quality}/rec/{name}.png", "ft{quality}/bin/{name}", "StableCodec's"),
    ("{quality}/{name}.png", "{quality}/data/{name}", "DiffEIC's"),
    ("net-mse-{quality}/{name}.png", "net-mse-{quality}/data/{name}", "DiffEIC's"),
    ("q{quality}_x/{name}.png", "q{quality}_x/{name}.bin", "a folder per quality, streams beside the images"),
]


@pytest.mark.parametrize(("image", "stream", "layout"), LAYOUTS)
def test_a_folder_per_quality_with_streams(foreign: Foreign, image: str, stream: str, layout: str) -> None:
    foreign.write(f"theirs/{image}", f"theirs/{stream}")
    codec = opened("images:theirs")
    assert codec.bits == "file"
    check(codec, foreign, layout)


def test_one_run_of_a_program_is_one_quality(foreign: Foreign) -> None:
    foreign.write("theirs/{quality}/rec/{name}.png", "theirs/{quality}/bin/{name}")
    codec = opened("images:theirs/2")
    assert codec.qualities == (1,)
    assert codec.reconstruction("b", 1).bytes == foreign.bytes["b", 2]


@pytest.mark.parametrize(
    ("before", "numbers", "qualities"),
    [
        ("mbt2018-mse-", ("1", "8"), (1, 8)),
        ("lambda-", ("0.0018", "0.18"), (0.0018, 0.18)),
        ("q", ("1e-3", "1e-2"), (0.001, 0.01)),
        ("gain_", ("-3", "-1"), (-3, -1)),
        ("gain=", ("-3", "+1"), (-3, 1)),
        ("", ("-3", "-1"), (-3, -1)),
    ],
)
def test_a_hyphen_behind_a_word_is_no_sign(
    foreign: Foreign, before: str, numbers: tuple[str, str], qualities: tuple[float, float]
) -> None:
    """Figures in the order of the numbers go to the folders in that order."""
    for number in numbers:
        place = Path(f"theirs/{before}{number}/a.png")
        place.parent.mkdir(parents=True)
        Image.fromarray(foreign.images["a", 1]).save(place)
    codec = opened('images:theirs,bpp="0.1 0.8"')
    assert codec.qualities == qualities
    for number, quality, bpp in zip(numbers, qualities, (0.1, 0.8), strict=True):
        assert codec.images[quality]["a"] == Path(f"theirs/{before}{number}/a.png")
        assert codec.reconstruction("a", quality).bytes == pytest.approx(bpp * SIZE[0] * SIZE[1] / 8)


@pytest.mark.parametrize("name", ["4e8713", "run1e999"])
def test_a_name_that_is_a_number_without_end_is_no_quality(foreign: Foreign, name: str) -> None:
    foreign.write("theirs/{quality}/{name}.png")
    Path("theirs", name).mkdir()
    Image.fromarray(foreign.images["a", 1]).save(Path("theirs", name, "a.png"))
    assert opened('images:theirs,bpp="0.1 0.8"').qualities == (1, 2)
    before = "run" if name.startswith("run") else ""
    with pytest.raises(UsageError, match="too large a number for a quality"):
        opened(f"images:theirs/{before}{{quality}}/{{name}}.png,bpp=1")


def test_two_streams_beside_an_image_are_asked_about(foreign: Foreign) -> None:
    foreign.write("theirs/{quality}/{name}.png", "theirs/{quality}/{name}.bin")
    Path("theirs/1/b.bits").write_bytes(b"other")
    with pytest.raises(UsageError, match=r"theirs/1/b.bin and theirs/1/b.bits lie beside one image"):
        open_codec("images:theirs")
    check(opened("images:theirs,bits=theirs/{quality}/{name}.bin"), foreign, "a folder per quality")


@pytest.mark.parametrize("long", [True, False])
def test_jpeg_ai(foreign: Foreign, long: bool) -> None:
    """Reconstructions have depth and colours behind the original's name; streams have them, or not even its size."""
    width, height = SIZE
    behind = f"_{width}x{height}_8bit_sRGB"
    foreign.write(
        f"SUBMISSIONS/VM/rec/VM_{{name}}_TE{behind}_0{{quality}}.png",
        f"SUBMISSIONS/VM/bit/VM_{{name}}_TE{behind if long else ''}_0{{quality}}.bits",
    )
    codec = opened("images:SUBMISSIONS/VM")
    assert codec.bits == "file"
    assert codec.describe()["images"] == {"1": 3, "2": 3}
    for suffix in (f"_TE_{width}x{height}", f"_TE{behind}", "_TE"):
        check(codec, foreign, "JPEG AI's", suffix)


def test_jpeg_ai_where_a_short_name_is_two_images(foreign: Foreign) -> None:
    for size in ("24x16", "9x9"):
        foreign.write(
            f"S/VM/rec/VM_{{name}}_{size}_8bit_sRGB_{{quality}}.png", f"S/VM/bit/VM_{{name}}_{size}_{{quality}}.bits"
        )
    assert opened("images:S/VM").names == {
        f"{name}_{size}{rest}" for name in NAMES for size in ("24x16", "9x9") for rest in ("", "_8bit_sRGB")
    }


def test_compressai_over_all_images(foreign: Foreign) -> None:
    foreign.write("theirs/{quality}/{name}.png")
    Path("theirs/net-ans.json").write_text('{"name": "net", "results": {"bpp": [0.2, 0.4], "ms-ssim-rgb": [1, 1]}}')
    Path("theirs/notes.json").write_text('{"seed": 1}')
    codec = opened("images:theirs")
    assert codec.bits == "nominal"
    assert codec.describe()["layout"] == "CompressAI's results and images"
    assert codec.reconstruction("a", 2).bytes == pytest.approx(0.4 * SIZE[0] * SIZE[1] / 8)


def test_compressai_of_single_images(foreign: Foreign) -> None:
    """As `eval_model --per-image` writes them: SOURCE-ARCHITECTURE-METRIC-QUALITY-CODER.json."""
    foreign.write("theirs/{quality}/{name}.png")
    for (name, quality), size in foreign.bytes.items():
        rate = 8 * size / (SIZE[0] * SIZE[1])
        text = f'{{"source": "{name}", "name": "net", "results": {{"bpp": {rate!r}}}}}'
        Path(f"theirs/{name}-mbt2018-mse-{quality}-ans.json").write_text(text)
    codec = opened("images:theirs")
    assert codec.bits == "stated"
    check(codec, foreign, "CompressAI's results and images")


def test_a_plain_folder_takes_bits_from_a_setting(foreign: Foreign) -> None:
    foreign.write("theirs/{quality}/{name}.png")
    rows = [f"{name},{quality},{size}" for (name, quality), size in foreign.bytes.items()]
    Path("bits.csv").write_text("\n".join(["image,quality,bytes", *rows]))
    check(opened("images:theirs,bits=bits.csv"), foreign, "a folder per quality")
    assert opened("images:theirs/1,bpp=0.5").bits == "nominal"


def test_what_is_not_clear_is_asked(foreign: Foreign) -> None:
    foreign.write("theirs/{quality}/{name}.png")

    def refused(why: str, spec: str = "images:theirs") -> None:
        with pytest.raises((UsageError, BenchmarkError), match=re.escape(why)):
            open_codec(spec)

    refused("how many bits?")
    Path("theirs/1/a.bin").write_bytes(b"x")
    refused("theirs/1/b.png has no stream beside it, and others have")
    assert opened('images:theirs,bpp="0.1 0.2"').bits == "nominal"  # as the message says
    Path("theirs/1/a.bin").unlink()
    for name in ("one.json", "two.json"):
        Path(f"theirs/{name}").write_text('{"results": {"bpp": [0.2, 0.4]}}')
    refused("one.json or two.json? bits=FILE says which")
    assert opened("images:theirs,bits=theirs/one.json").bits == "nominal"
    Path("theirs/two.json").write_text('{"results": {"bpp": [0.2]}}')
    Path("theirs/one.json").unlink()
    refused("two.json: 1 rates for 2 qualities")
    Path("theirs/1/bin").mkdir()
    Path("theirs/1/rec").mkdir()
    refused("its folders are not laid out alike")
    Path("theirs/x7").mkdir()
    refused("which folders are its qualities, #, x#?")
    foreign.write("other/{quality}/{name}.png")
    foreign.write("other/{quality}/{name}.jpg")
    refused("other/1/a.jpg and other/1/a.png are of one image", "images:other")
    Path("empty").mkdir()
    refused("empty: no image lies there", "images:empty,bpp=1")
    Path("s/VM/bit").mkdir(parents=True)
    Path("s/VM/rec").mkdir(parents=True)
    refused("s/VM/rec: no image lies there", "images:s/VM")
    Path("s/VM/rec/other_a_012.png").write_bytes(b"")
    refused("not called VM_NAME_RATE.png", "images:s/VM")


def test_names_of_all_layouts_are_those_of_the_originals(foreign: Foreign) -> None:
    foreign.write("theirs/{quality}/rec/{name}.png", "theirs/{quality}/bin/{name}")
    assert opened("images:theirs").names == set(NAMES)
