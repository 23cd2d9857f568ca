"""`images:PATTERN`: files by name and quality, their bits, and what is refused."""

import re
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.reconstructions import NAMES, QUALITIES, SIZE, Foreign, make_foreign

from benchmark.baselines.reconstructions import ImageFiles
from benchmark.codecs import anchored_spec, open_codec, parse_codec_spec
from benchmark.errors import BenchmarkError, UsageError
from benchmark.reconstructions import Reconstructions

PIXELS = SIZE[0] * SIZE[1]


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Foreign:
    monkeypatch.chdir(tmp_path)
    made = make_foreign(tmp_path)
    made.write("out/{quality}/{name}.png", "out/{quality}/{name}.bin")
    return made


def opened(spec: str) -> ImageFiles:
    codec = open_codec(spec)
    assert isinstance(codec, ImageFiles)
    assert isinstance(codec, Reconstructions)
    return codec


def test_sizes_of_files_are_the_bits(foreign: Foreign) -> None:
    codec = opened("images:out/{quality}/{name}.png,bits=out/{quality}/{name}.bin")
    assert codec.bits == "file"
    assert codec.qualities == QUALITIES
    assert codec.names == set(NAMES)
    for (name, quality), image in foreign.images.items():
        found = codec.reconstruction(name, quality)
        assert np.array_equal(found.image, image)
        assert found.bytes == foreign.bytes[name, quality]
        assert found.stream == Path(f"out/{quality}/{name}.bin")


@pytest.mark.parametrize("named", ["{name}", "{name}.png", "some/where/{name}.PNG"])
@pytest.mark.parametrize("unit", ["bytes", "bpp"])
def test_a_table_states_the_bits(foreign: Foreign, unit: str, named: str) -> None:
    """A stated rate is kept as it is, though it is no whole number of bytes."""
    factor = 1.0 if unit == "bytes" else 8.37 / PIXELS
    rows = [
        f"{quality},x,{named.format(name=name)},{size * factor!r}" for (name, quality), size in foreign.bytes.items()
    ]
    Path("bits.csv").write_text("\n".join(["\ufeffQuality,psnr,image," + unit, *rows, "9,x,other,7"]) + "\n")
    codec = opened("images:out/{quality}/{name}.png,bits=bits.csv")
    assert codec.bits == "stated"
    for (name, quality), size in foreign.bytes.items():
        found = codec.reconstruction(name, quality)
        assert found.stream is None
        assert found.bytes == pytest.approx(size if unit == "bytes" else size * 8.37 / 8, rel=1e-12)


def test_bytes_and_bits_per_pixel_of_one_table_agree(foreign: Foreign) -> None:
    """Else one of the two columns is of something else, such as bits that are called bytes."""
    rows = [f"{name},{quality},{size},{8 * size / PIXELS:.2f}" for (name, quality), size in foreign.bytes.items()]
    first, rest = rows[0].split(","), rows[1:]
    wrong = f"{first[0]},{first[1]},{8 * int(first[2])},{first[3]}"
    Path("bits.csv").write_text("\n".join(["image,quality,bytes,bpp", wrong, *rest]) + "\n")
    codec = opened("images:out/{quality}/{name}.png,bits=bits.csv")
    (name, quality), *others = foreign.bytes
    with pytest.raises(BenchmarkError, match=r"bytes are .* bits per pixel, and the table's bpp says"):
        codec.reconstruction(name, quality)
    for other in others:
        assert codec.reconstruction(*other).bytes == foreign.bytes[other]


@pytest.mark.usefixtures("foreign")
def test_nominal_bytes_and_bits_per_pixel_agree_too() -> None:
    """Of a whole quality: bytes that are a mean over images of other sizes are not those of this one."""
    Path("bits.csv").write_text(f"quality,bytes,bpp\n1,100,{800 / PIXELS}\n2,100,{1200 / PIXELS}\n")
    codec = opened("images:out/{quality}/{name}.png,bits=bits.csv")
    assert codec.reconstruction(NAMES[0], 1).bytes == 100
    with pytest.raises(BenchmarkError, match=r"100 bytes are .* bits per pixel, and the table's bpp says"):
        codec.reconstruction(NAMES[0], 2)


@pytest.mark.parametrize(
    ("bits", "rates"),
    [
        ("bpp=0.25 0.5", (0.25, 0.5)),
        ("bpp={quality}", (1, 2)),
        ("bits=nominal.csv", (0.1, 0.2)),
        ("bits=of-all.json", (0.3, 0.4)),
        ("bits=ours.json", (0.6, 0.7)),
    ],
)
@pytest.mark.usefixtures("foreign")
def test_one_figure_for_a_quality_is_nominal(bits: str, rates: tuple[float, float]) -> None:
    Path("nominal.csv").write_text("quality,bpp\n2,0.2\n1,0.1\n")
    Path("of-all.json").write_text('{"name": "x", "results": {"bpp": [0.3, 0.4], "psnr-rgb": [30, 31]}}')
    Path("ours.json").write_text('{"results": {"bpp": [0.7, 0.6]}, "meta": {"qualities": [2, 1]}}')
    codec = opened(f"images:out/{{quality}}/{{name}}.png,{bits}")
    assert codec.bits == "nominal"
    for quality, bpp in zip(QUALITIES, rates, strict=True):
        assert [codec.reconstruction(name, quality).bytes for name in NAMES] == pytest.approx([bpp * PIXELS / 8] * 3)


def test_a_table_or_result_for_each_quality_and_image(foreign: Foreign) -> None:
    for quality in QUALITIES:
        rows = [f"{name},{foreign.bytes[name, quality]}" for name in NAMES]
        Path(f"q{quality}.csv").write_text("\n".join(["image,bytes", *rows]))
        for name in NAMES:
            rate = 8 * foreign.bytes[name, quality] / PIXELS
            Path(f"{name}-net-mse-{quality}-ans.json").write_text(
                f'{{"source": "{name}", "results": {{"bpp": {rate}}}}}'
            )
    for bits in ("q{quality}.csv", "{name}-net-mse-{quality}-ans.json"):
        codec = opened(f"images:out/{{quality}}/{{name}}.png,bits={bits}")
        assert codec.bits == "stated"
        for (name, quality), size in foreign.bytes.items():
            assert codec.reconstruction(name, quality).bytes == pytest.approx(size)


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("deep/q{quality}x/{name}_rec.png", "deep/q{quality}x/{name}_rec.png"),
        ("flat/{name}_{quality}.png", "flat/{name}_{quality}.png"),
        ("flat/{quality}-{name}.png", "flat/{quality}-{name}.png"),
        ("twice/{quality}/{name}-{quality}.png", "twice/{quality}/{name}-{quality}.png"),
        ("odd [1]/{quality}/{name}.png", "odd [1]/{quality}/{name}.png"),
        ("bare/{quality}/{name}.png", "bare/{quality}/{name}"),
        ("comma,s/{quality}/{name}.png", '"comma,s/{quality}/{name}.png"'),
        ("is=sign/{quality}/{name}.png", 'pattern="is=sign/{quality}/{name}.png"'),
        ("./a/../b/{quality}/{name}.png", "b/{quality}/{name}.png"),
        ("tree/{quality}/x/y/{name}.png", "tree/{quality}/**/{name}.png"),
        ("tree/x/{quality}/{name}.png", "tree/**/{quality}/**/{name}.png"),
    ],
)
def test_patterns(foreign: Foreign, pattern: str, wanted: str) -> None:
    Path("a").mkdir()
    foreign.write(pattern)
    codec = opened(f"images:{wanted},bpp=1 2")
    assert codec.qualities == QUALITIES
    assert codec.names == set(NAMES)


def test_names_in_folders_of_their_own(foreign: Foreign) -> None:
    """As data sets with subfolders are decoded; a link back to the top adds nothing, and one name twice is asked."""
    for number, name in enumerate(NAMES):
        for quality in QUALITIES:
            folder = Path(f"tree/{quality:g}/{number}")
            folder.mkdir(parents=True)
            for suffix in (".png", ".bin"):
                Path(f"out/{quality:g}/{name}{suffix}").rename(folder / f"{name}{suffix}")
    Path("tree/1/loop").symlink_to(Path("tree/1").absolute())
    codec = opened("images:tree/{quality}/**/{name}.png,bits=tree/{quality}/**/{name}.bin")
    assert codec.names == set(NAMES)
    for (name, quality), size in foreign.bytes.items():
        assert codec.reconstruction(name, quality).bytes == size
    Path("tree/1/other").mkdir()
    Path(f"tree/1/other/{NAMES[0]}.png").write_bytes(Path(f"tree/1/0/{NAMES[0]}.png").read_bytes())
    with pytest.raises(UsageError, match="are of one image and one quality"):
        open_codec("images:tree/{quality}/**/{name}.png,bpp=1 2")


@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_table_as_spreadsheets_write_it(foreign: Foreign, separator: str) -> None:
    """Where the decimal sign is a comma, a semicolon or a tab stands between the cells."""

    def comma(number: float) -> str:
        return f"{number!r}".replace(".", ",")

    rows = [["Image", "QUALITY", "psnr", "bpp"]]
    rows += [[name, comma(q), "33,5", comma(8 * size / PIXELS)] for (name, q), size in foreign.bytes.items()]
    Path("bits.csv").write_text("\ufeff" + "\r\n".join(separator.join(row) for row in rows) + "\r\n")
    codec = opened("images:out/{quality}/{name}.png,bits=bits.csv")
    for (name, quality), size in foreign.bytes.items():
        assert codec.reconstruction(name, quality).bytes == pytest.approx(size, rel=1e-12)


def test_qualities_are_ordered_by_their_bits(foreign: Foreign) -> None:
    """As a quantiser's, whose best quality is the lowest number."""
    codec = opened("images:out/{quality}/{name}.png,bpp=2 1")
    assert codec.qualities == (2, 1)
    foreign.write("one/{name}-only.png")
    assert opened("images:one/{name}-only.png,bpp=1").qualities == (1,)


def test_a_suffix_that_belongs_to_the_name_stays(foreign: Foreign) -> None:
    """Data sets call images by their whole names where stems collide."""
    foreign.write("whole/{quality}/{name}.png.png")
    assert opened("images:whole/{quality}/{name}.png,bpp=1 2").names == {f"{name}.png" for name in NAMES}


def test_the_spec_keeps_its_meaning_in_another_folder(
    foreign: Foreign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = anchored_spec("images:out/{quality}/{name}.png,bits=out/{quality}/{name}.bin")
    monkeypatch.chdir(foreign.originals)
    codec = open_codec(spec)
    assert isinstance(codec, ImageFiles)
    assert codec.reconstruction("a", 1).bytes == foreign.bytes["a", 1]
    assert spec.settings["pattern"] == f"{tmp_path}/out/{{quality}}/{{name}}.png"


@pytest.mark.usefixtures("foreign")
def test_the_description_follows_the_content_and_not_the_place() -> None:
    spec = "images:out/{quality}/{name}.png,bits=out/{quality}/{name}.bin"
    before = opened(spec).describe()
    assert before["images"] == {"1": 3, "2": 3}
    Path("out/1/a.bin").write_bytes(b"changed")
    streams = opened(spec).describe()
    assert streams["images_sha256"] == before["images_sha256"]
    assert [streams["streams_sha256"][q] != before["streams_sha256"][q] for q in ("1", "2")] == [True, False]
    Path("out/2/b.png").write_bytes(Path("out/2/c.png").read_bytes())
    images = opened(spec).describe()
    assert [images["images_sha256"][q] != before["images_sha256"][q] for q in ("1", "2")] == [False, True]
    other = opened("images:out/{quality}/{name}.png,bpp=1 2").describe()["stated_sha256"]
    assert other != opened("images:out/{quality}/{name}.png,bpp=1 3").describe()["stated_sha256"]


@pytest.mark.parametrize(
    ("rest", "why"),
    [
        ("out/{quality}/{name}.png", "how many bits?"),
        ("out/{quality}/{name}.png,bpp=1", "1 figures for the qualities 1 2"),
        ("out/{quality}/{name}.png,bpp=1 x", "numbers with spaces between them"),
        ("out/{quality}/{name}.png,bpp=1 0", "bits per pixel are a number above 0"),
        ("out/{quality}/{name}.png,bpp=1 nan", "bits per pixel are a number above 0"),
        ("out/{quality}/{name}.png,bpp=1 2,bits=x.csv", "two ways to say how many bits"),
        ("out/{quality}/{name}.png,bits=out/{name}.bin", "no file fits out/{name}.bin"),
        ("out/{quality}/{name}.png,bits=out/1/{name}.bin", "the pattern has no {quality}"),
        ("out/{quality}/{name}.png,bits=out/{quality}/{name}.csv", "a table for each image is not read"),
        ("out/{quality}/{name}.png,bits=nowhere.csv", "there is no file nowhere.csv"),
        ("out/{quality}/{name}.png,bits=out/1/a.bin", "a pattern with {name}, a .csv or CompressAI's .json"),
        ("out/{quality}/{name}.png,rate=1", "has no setting 'rate'"),
        ("out/{quality}/a.png,bpp=1 2", "a pattern needs a {name}"),
        ("out/{quality}/{name}.jpg,bpp=1", "no file fits out/{quality}/{name}.jpg; out holds 1, 2"),
        ("nowhere/{quality}/{name}.png,bpp=1", "there is no folder nowhere"),
        ("nowhere,bpp=1", "there is no folder nowhere"),
        ("out/{quality}/{nmae}{name}.png,bpp=1", "{nmae} is no field"),
        ("out/{quality}{name}.png,bpp=1", "something must stand, to tell them apart"),
    ],
)
@pytest.mark.usefixtures("foreign")
def test_what_cannot_be_meant_is_one_line(rest: str, why: str) -> None:
    with pytest.raises(UsageError, match=re.escape(why)) as caught:
        open_codec(f"images:{rest}")
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("foreign")
def test_tables_that_contradict_each_other_are_refused() -> None:
    Path("q1.csv").write_text("image,quality,bpp\na,1,0.1\na,2,0.2\n")
    Path("q2.csv").write_text("image,quality,bpp\na,1,0.1\na,2,0.2\n")
    spec = "images:out/{quality}/{name}.png,bits=q{quality}.csv"
    assert opened(spec).reconstruction("a", 2).bytes == pytest.approx(0.2 * PIXELS / 8)
    Path("q2.csv").write_text("image,quality,bpp\na,1,0.3\na,2,0.2\n")
    with pytest.raises(BenchmarkError, match=r"q1\.csv and q2\.csv: they say different things of a at quality 1"):
        open_codec(spec)


def test_one_quality_in_two_spellings(foreign: Foreign) -> None:
    foreign.write("q/{quality}/{name}.png")
    foreign.write("q/0{quality}/{name}.png")
    with pytest.raises(UsageError, match=r"q/01/a.png and q/1/a.png are of one image and one quality"):
        open_codec("images:q/{quality}/{name}.png,bpp=1 2")


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ("image,quality,size\na,1,2\n", "it has the columns image, quality, size, and neither bytes nor bpp"),
        ("image,bytes\na,2\n", "it has no column quality, and there are 2 of them"),
        ("image,quality,bytes\na,1,2\na,1,3\n", "line 3: not a table of bits: a at quality 1 is there twice"),
        (
            "name,quality,bytes\na,1,2\nb,1,3\n",
            "line 3: not a table of bits: quality 1 is there twice, and no column is",
        ),
        ("image;quality;bytes\na;1;1,234\n", "line 2: not a table of bits: bytes: '1,234' is no whole number"),
        ("image;quality;bpp\na;1;1.234,5\n", "bpp: '1.234,5' is no finite number"),
        ('image,quality,bpp\na,1,"0,5"\n', "bpp: '0,5' is no finite number"),
        ("image,quality,bytes\n", "it has no line below its first"),
        ("image,quality,bpp\na,1,-2\n", "bpp: -2 is no rate"),
        ("image,quality,bytes\na,1,2.5\n", "line 2: not a table of bits: bytes: '2.5' is no whole number"),
        ("image,quality,bytes\na,low,2\n", "quality: 'low' is no finite number"),
        ("image,quality,bpp\na,1,1e9\n", "is no rate"),
        ("quality,bpp\n1,1\n", "no rate for quality 2"),
        ("", "the file is empty"),
    ],
)
@pytest.mark.usefixtures("foreign")
def test_a_table_that_says_nothing_is_refused_with_its_line(table: str, why: str) -> None:
    Path("bits.csv").write_text(table)
    with pytest.raises(BenchmarkError, match=re.escape(why)) as caught:
        open_codec("images:out/{quality}/{name}.png,bits=bits.csv")
    assert "bits.csv" in str(caught.value)


@pytest.mark.parametrize("result", ["[1]", '{"results": {"psnr": [1]}}', '{"results": {"bpp": ["1", 2]}}', "{"])
@pytest.mark.usefixtures("foreign")
def test_a_result_without_rates_is_refused(result: str) -> None:
    Path("bits.json").write_text(result)
    with pytest.raises(BenchmarkError, match=r"bits\.json: not a result of CompressAI"):
        open_codec("images:out/{quality}/{name}.png,bits=bits.json")


def _removed(path: Path) -> None:
    path.unlink()


def _emptied(path: Path) -> None:
    path.write_bytes(b"")


def _pointer(path: Path) -> None:
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 1\n")


@pytest.mark.parametrize(
    ("harm", "file", "why"),
    [
        (_removed, "out/1/a.png", "no reconstruction of a at quality 1"),
        (_emptied, "out/1/a.png", "the file is empty"),
        (_pointer, "out/1/a.png", "Git LFS"),
        (_removed, "out/1/a.bin", "nothing says how many bits a took at quality 1"),
        (_emptied, "out/1/a.bin", "an empty file, so no bits at all"),
        (_pointer, "out/1/a.bin", "Git LFS"),
    ],
)
@pytest.mark.usefixtures("foreign")
def test_what_is_missing_or_empty_concerns_one_image(harm: Callable[[Path], None], file: str, why: str) -> None:
    harm(Path(file))
    codec = opened("images:out/{quality}/{name}.png,bits=out/{quality}/{name}.bin")
    with pytest.raises(BenchmarkError, match=why):
        codec.reconstruction("a", 1)
    assert codec.reconstruction("b", 1).bytes == 11


@pytest.mark.usefixtures("foreign")
def test_a_link_that_leads_nowhere_is_an_error() -> None:
    Path("out/1/d.png").symlink_to("gone.png")
    with pytest.raises(BenchmarkError, match=r"out/1/d\.png: a link that leads nowhere"):
        opened("images:out/{quality}/{name}.png,bpp=1 2")


@pytest.mark.usefixtures("foreign")
def test_nothing_is_coded() -> None:
    codec = opened("images:out/{quality}/{name}.png,bpp=1 2")
    for call in (lambda: codec.encode(np.zeros((1, 1, 3), np.uint8), 1), lambda: codec.decode(b"")):
        with pytest.raises(UsageError, match="made elsewhere, not coded here"):
            call()
    with pytest.raises(UsageError, match="nothing of quality 7; there are 1, 2"):
        codec.reconstruction("a", 7)


def test_the_first_setting_needs_no_key() -> None:
    assert parse_codec_spec("images:a/{name}.png,bpp=1").settings == {"pattern": "a/{name}.png", "bpp": "1"}
    assert parse_codec_spec("images:pattern=a,bpp=1").settings == {"pattern": "a", "bpp": "1"}
    with pytest.raises(UsageError, match="is not key=value"):
        parse_codec_spec("jpeg:a/b")
    with pytest.raises(UsageError, match="'pattern' is set twice"):
        parse_codec_spec("images:a,pattern=b")


def test_what_lies_beside_a_pattern_is_named(foreign: Foreign) -> None:
    assert opened("images:out/{quality}/{name}.png,bits=out/{quality}/{name}.bin").passed_over == ()
    foreign.write("out/q2{quality}/{name}.png")
    for file in ("out/1/a_rec.jpg", "out/1/b.heic", "out/1/notes.txt", "out/30/d.jpg", "out/1/e.bin"):
        Path(file).parent.mkdir(exist_ok=True)
        Path(file).write_bytes(b"x")
    Path("out/2/c.png").unlink()
    codec = opened("images:out/{quality}/{name}.png,bits=out/{quality}/{name}.bin")
    assert codec.qualities == QUALITIES
    assert codec.passed_over == (
        "out/q21, out/q22 not taken: no number is in the place of {quality}",
        "out/30 not taken: nothing in it fits the pattern",
        "out/1/a_rec.jpg, out/1/b.heic not taken: the pattern does not fit it",
        "bits of e at 1, c at 2 are not used: there is no such image",
    )
    assert codec.others(["a", "c"]) == ["b"]


def test_what_lies_beside_a_folder_per_quality_is_named(foreign: Foreign) -> None:
    foreign.write("theirs/q{quality}/{name}.png", "theirs/q{quality}/{name}.bin")
    assert opened("images:theirs").passed_over == ()
    foreign.write("theirs/best/{name}.png")
    foreign.write("theirs/more/of/{name}.png")
    foreign.write("theirs/{name}.png")
    Path("theirs/logs").mkdir()
    Path("theirs/q1/x.heic").write_bytes(b"x")
    codec = opened("images:theirs")
    assert codec.qualities == QUALITIES
    assert codec.passed_over == (
        "theirs/best, theirs/more not taken: no number is in its name, as in those of the qualities",
        "theirs/a.png, theirs/b.png, theirs/c.png not taken: it lies beside the folders of the qualities",
        "theirs/q1/x.heic not taken: it is named like no image of the kinds that are read",
    )
    foreign.write("theirs/{quality}/{name}.png")
    with pytest.raises(UsageError, match="which folders are its qualities, #, q#"):
        opened("images:theirs")


def test_a_suffix_within_a_name_makes_no_idle_bits(foreign: Foreign) -> None:
    for quality in ("1", "2"):
        for suffix in (".png", ".bin"):
            Path(f"out/{quality}/a{suffix}").rename(f"out/{quality}/a.png{suffix}")
    codec = opened("images:out/{quality}/{name}.png,bits=out/{quality}/{name}.bin")
    assert "a.png" in codec.names
    assert codec.passed_over == ()


def test_a_name_in_another_form_of_unicode_is_told(foreign: Foreign) -> None:
    composed, apart = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))
    for quality in ("1", "2"):
        for suffix in (".png", ".bin"):
            Path(f"out/{quality}/a{suffix}").rename(f"out/{quality}/{apart}{suffix}")
    codec = opened("images:out/{quality}/{name}.png,bits=out/{quality}/{name}.bin")
    with pytest.raises(BenchmarkError, match="looks the same, in another form of Unicode"):
        codec.reconstruction(composed, 1)
    assert codec.reconstruction(apart, 1).bytes == Path(f"out/1/{apart}.bin").stat().st_size
    with pytest.raises(BenchmarkError, match=r"no reconstruction of e at quality 1$"):
        codec.reconstruction("e", 1)
