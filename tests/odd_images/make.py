"""Makes the corpus of odd image files beside this script, with programs and libraries that the suite does not use.

    python tests/odd_images/make.py [PREFIX …]

It needs an environment of its own (README.md says which packages). Each file is written by an independent writer, or
byte by byte here where no writer makes such a file; then an independent reader reads it. `images.json` gets what each
file shows, who wrote and read it, and `pixels.npz` the uint8 RGB array that the suite has to give, or `images.json` the
words of the refusal. A file that is lossless is held against the formula of its pixels here as well.
"""

import io
import json
import os
import struct
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import png
import tifffile

HERE = Path(__file__).parent
FILES = HERE / "files"
W, H = 20, 12


def rgb(width: int = W, height: int = H) -> np.ndarray:
    """The image: uint8 (height, width, 3), by a formula, no two corners alike."""
    y, x = np.mgrid[:height, :width]
    planes = (x * 10 + y, y * 15 + 3 * x, 250 - 4 * x - 9 * y)
    return np.stack([np.clip(plane, 0, 255) for plane in planes], axis=-1).astype(np.uint8)


def noisy(width: int, height: int) -> np.ndarray:
    """One with detail, so that a lossy file of it has bytes to lose."""
    y, x = np.mgrid[:height, :width]
    return ((rgb(width, height).astype(int) + (x * 37 + y * 91 + x * y * 13)[..., None] % 61) % 256).astype(np.uint8)


def grey(bits: int = 8) -> np.ndarray:
    """Levels of 0 to 2**bits - 1, all of them where there is room: (H, W)."""
    y, x = np.mgrid[:H, :W]
    return ((x * 11 + y * 5) % 2**bits if bits <= 8 else x * 2411 + y * 601).astype(
        np.uint8 if bits <= 8 else np.uint16
    )


def grey_rgb(levels: np.ndarray, highest: int) -> np.ndarray:
    """RGB of grey levels, scaled to 0 to 255: exact where 255 is a multiple of `highest`, else the nearest."""
    scaled = np.floor(levels.astype(float) * 255 / highest + 0.5).astype(np.uint8)
    return np.repeat(scaled[..., None], 3, axis=-1)


RGB = rgb()
ALPHA_OPAQUE = np.dstack([RGB, np.full((H, W), 255, np.uint8)])
ALPHA = ALPHA_OPAQUE.copy()
ALPHA[3, 5, 3] = 0
RGB16 = (RGB.astype(np.uint16) * 257) ^ 0x1234

CASES: dict[str, dict[str, Any]] = {}
PIXELS: dict[str, np.ndarray] = {}
Reader = Callable[[bytes], np.ndarray]


def tool(*command: str, **files: bytes) -> bytes:
    """What a program writes to `out` in an empty folder that holds `files` (in_png=… is in.png)."""
    with tempfile.TemporaryDirectory() as folder:
        for name, data in files.items():
            (Path(folder) / name.replace("_", ".")).write_bytes(data)
        done = subprocess.run(command, cwd=folder, capture_output=True, env={**os.environ, "TZ": "UTC"})
        out = [path for path in Path(folder).iterdir() if path.stem == "out" or path.name.startswith("out.")]
        if out:
            return out[0].read_bytes()
        if done.returncode or not done.stdout:
            raise RuntimeError(f"{command}: {done.stderr.decode()[-500:]}")
        return done.stdout


def add(
    name: str,
    data: bytes,
    writer: str,
    what: str,
    *,
    reader: str = "",
    pixels: np.ndarray | None = None,
    within: int = 0,
    tolerance: int = 0,
    refused: str = "",
) -> None:
    """A case. reader: one of READERS. pixels: by the formula, else what the reader gives. within: what the reader may
    differ from the formula by, where the format leaves the rounding open. tolerance: what the suite may differ by."""
    if ONLY and not name.startswith(tuple(ONLY)):
        return
    (FILES / name).parent.mkdir(parents=True, exist_ok=True)
    (FILES / name).write_bytes(data)
    case: dict[str, Any] = {"shows": what, "writer": writer}
    if refused:
        case["refused"] = refused
    else:
        if reader:
            read = READERS[reader](data)
            case["reader"] = reader
            if pixels is not None:
                difference = np.abs(read.astype(int) - pixels).max() if read.shape == pixels.shape else 256
                if difference > within:
                    raise SystemExit(f"{name}: {reader} reads something else than the formula, by {difference}")
            pixels = read if pixels is None else pixels
        else:
            case["reader"] = "the formula alone"
        assert pixels is not None, name
        assert (pixels.dtype, pixels.ndim) == (np.uint8, 3), name
        case["pixels"] = stored(pixels)
        case["tolerance"] = tolerance
    CASES[name] = case


def stored(pixels: np.ndarray) -> str:
    key = f"{zlib.crc32(pixels.tobytes()):08x}-{pixels.shape[1]}x{pixels.shape[0]}"
    PIXELS[key] = np.ascontiguousarray(pixels)
    return key


def to_rgb(array: np.ndarray, highest: int = 255) -> np.ndarray:
    """Grey as three channels; alpha, opaque, dropped."""
    array = np.asarray(array)
    if array.dtype == bool:
        array, highest = array.astype(np.uint8), 1
    if array.ndim == 3 and array.shape[2] in (2, 4):
        assert array[..., -1].min() == highest
        array = array[..., :-1]
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim == 2:
        return grey_rgb(array, highest)
    assert highest == 255
    return array.astype(np.uint8)


def read_pypng(data: bytes) -> np.ndarray:
    width, height, rows, _ = png.Reader(bytes=data).asRGBA8()
    return to_rgb(np.vstack([np.asarray(row, np.uint8) for row in rows]).reshape(height, width, 4))


def read_opencv(data: bytes) -> np.ndarray:
    flags = cv2.IMREAD_COLOR
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), flags), cv2.COLOR_BGR2RGB)


def read_tifffile(data: bytes) -> np.ndarray:
    page = tifffile.TiffFile(io.BytesIO(data)).pages[0]
    array = page.asarray()
    highest = 2**page.bitspersample - 1
    if page.planarconfig == 2 and array.ndim == 3:
        array = np.moveaxis(array, 0, -1)
    if page.photometric == 0:
        array = 1 - array if array.dtype == bool else highest - array
    if page.photometric == 3:
        return (page.colormap.T[array] >> 8).astype(np.uint8)
    if page.extrasamples and page.extrasamples[0] == 0:
        array = array[..., : -len(page.extrasamples)]
    return to_rgb(array, highest)


def by_tool(*command: str, suffix: str) -> Reader:
    """A reader that is a program which writes a PNG or PNM to `out`."""

    def read(data: bytes) -> np.ndarray:
        decoded = tool(*command, **{f"in_{suffix}": data})
        if decoded[:1] == b"P":
            return to_rgb(netpbm(decoded))
        return read_pypng(decoded)

    return read


def netpbm(data: bytes) -> np.ndarray:
    """P5 and P6 of maxval 255, as programs write them."""
    kind, width, height, maxval, rest = _head(data)
    assert maxval == 255
    shape = (height, width, 3) if kind == b"P6" else (height, width)
    return np.frombuffer(rest[: int(np.prod(shape))], np.uint8).reshape(shape)


def _head(data: bytes) -> tuple[bytes, int, int, int, bytes]:
    kind, size, maxval, rest = data.split(b"\n", 3)
    return kind, int(size.split()[0]), int(size.split()[1]), int(maxval), rest


READERS: dict[str, Reader] = {
    "pypng": read_pypng,
    "OpenCV": read_opencv,
    "tifffile": read_tifffile,
    "imagecodecs (libpng)": lambda data: to_rgb(imagecodecs.png_decode(data)),
    "imagecodecs (libjpeg-turbo)": lambda data: to_rgb(imagecodecs.jpeg8_decode(data)),
    "imagecodecs (libwebp)": lambda data: to_rgb(imagecodecs.webp_decode(data)),
    "imagecodecs (libavif)": lambda data: to_rgb(imagecodecs.avif_decode(data)),
    "imagecodecs (giflib)": lambda data: to_rgb(imagecodecs.gif_decode(data)),
    "imagecodecs (BMP)": lambda data: to_rgb(imagecodecs.bmp_decode(data, asrgb=True)),
    "ImageMagick (BMP)": by_tool("convert", "bmp:in.bmp", "-depth", "8", "ppm:out.ppm", suffix="bmp"),
    "ImageMagick (TIFF)": by_tool(
        "convert", "in.tif", "-depth", "8", "-type", "TrueColor", "ppm:out.ppm", suffix="tif"
    ),
    "ImageMagick (JPEG, turned)": by_tool("convert", "in.jpg", "-auto-orient", "ppm:out.ppm", suffix="jpg"),
    "libtiff (tiff2rgba)": lambda data: read_tifffile(
        tool("tiff2rgba", "-n", "-c", "none", "in.tif", "out.tif", in_tif=data)
    ),
    "avifdec": by_tool("avifdec", "-j", "1", "in.avif", "out.png", suffix="avif"),
    "dwebp": by_tool("dwebp", "in.webp", "-ppm", "-o", "out.ppm", suffix="webp"),
    "djpeg": by_tool("djpeg", "-outfile", "out.ppm", "in.jpg", suffix="jpg"),
    "netpbm": by_tool("sh", "-c", "pamtopnm < in.pnm | ppmtoppm | pamdepth 255 > out.ppm", suffix="pnm"),
}

PPM = b"P6\n%d %d\n255\n" % (W, H) + RGB.tobytes()
PGM = b"P5\n%d %d\n255\n" % (W, H) + grey().tobytes()


def ppm_of(image: np.ndarray) -> bytes:
    return b"P6\n%d %d\n255\n" % (image.shape[1], image.shape[0]) + image.tobytes()


# PNG


def chunk(kind: bytes, data: bytes, crc: int | None = None) -> bytes:
    return (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data) if crc is None else crc)
    )


def chunks_of(data: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], 8
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def png_of(chunks: Sequence[tuple[bytes, bytes]]) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks)


def with_chunk(data: bytes, kind: bytes, content: bytes, before: bytes) -> bytes:
    chunks = chunks_of(data)
    place = next(n for n, each in enumerate(chunks) if each[0] == before)
    return png_of([*chunks[:place], (kind, content), *chunks[place:]])


def pypng(array: np.ndarray, **options: Any) -> bytes:
    out = io.BytesIO()
    height, width = array.shape[:2]
    options.setdefault("greyscale", array.ndim == 2 or array.shape[2] == 2)
    options.setdefault("alpha", array.ndim == 3 and array.shape[2] in (2, 4))
    if "palette" in options:
        options["greyscale"], options["alpha"] = False, False
    options.setdefault("bitdepth", 8 * array.dtype.itemsize)
    writer = png.Writer(width, height, compression=9, **options)
    writer.write(out, array.reshape(height, -1).tolist())
    return out.getvalue()


PALETTE = [(n * 5 % 256, 255 - n, n * 37 % 256) for n in range(256)]


def make_png() -> None:
    deep = "more than 8 bits"
    for bits in (1, 2, 4, 8):
        levels, highest = grey(bits), 2**bits - 1
        whole = grey_rgb(levels, highest)
        add(
            f"png/grey{bits}.png",
            pypng(levels, bitdepth=bits),
            "pypng",
            f"grey, {bits} bits",
            reader="pypng",
            pixels=whole,
        )
        add(
            f"png/grey{bits}-interlaced.png",
            pypng(levels, bitdepth=bits, interlace=True),
            "pypng",
            f"grey, {bits} bits, interlaced",
            reader="imagecodecs (libpng)" if bits == 8 else "pypng",
            pixels=whole,
        )
        used = int(levels[2, 3])
        add(
            f"png/grey{bits}-trns-used.png",
            pypng(levels, bitdepth=bits, transparent=used),
            "pypng",
            f"grey, {bits} bits; the transparent level occurs",
            refused="transparent",
        )
        without = levels.copy()
        without[levels == used] = 0 if used else highest
        add(
            f"png/grey{bits}-trns-unused.png",
            pypng(without, bitdepth=bits, transparent=used),
            "pypng",
            f"grey, {bits} bits; the transparent level does not occur",
            reader="pypng",
            pixels=grey_rgb(without, highest),
        )
        count = min(2**bits, 200)
        palette = PALETTE[:count]
        indices = (grey(8) % count).astype(np.uint8)
        colours = np.array(palette, np.uint8)[indices]
        add(
            f"png/palette{bits}.png",
            pypng(indices, bitdepth=bits, palette=palette),
            "pypng",
            f"palette of {count}",
            reader="pypng",
            pixels=colours,
        )
        see_through = [(*colour, 0 if n == 1 else 255) for n, colour in enumerate(palette)]
        add(
            f"png/palette{bits}-trns-used.png",
            pypng(indices, bitdepth=bits, palette=see_through),
            "pypng",
            f"palette of {count}, of which one that occurs is transparent",
            refused="transparent",
        )
        other = np.where(indices == 1, 0, indices).astype(np.uint8)
        add(
            f"png/palette{bits}-trns-unused.png",
            pypng(other, bitdepth=bits, palette=see_through),
            "pypng",
            f"palette of {count}, of which one that does not occur is transparent",
            reader="pypng",
            pixels=np.array(palette, np.uint8)[other],
        )
    add("png/grey16.png", pypng(grey(16)), "pypng", "grey, 16 bits", refused=deep)
    add("png/rgb16.png", pypng(RGB16), "pypng", "RGB, 16 bits a channel", refused=deep)
    add("png/rgb16-interlaced.png", pypng(RGB16, interlace=True), "pypng", "RGB, 16 bits, interlaced", refused=deep)
    add(
        "png/greyalpha16.png",
        pypng(np.dstack([grey(16), np.full((H, W), 65535, np.uint16)])),
        "pypng",
        "grey and opaque alpha, 16 bits",
        refused=deep,
    )
    add(
        "png/rgba16.png",
        pypng(np.dstack([RGB16, np.full((H, W), 65535, np.uint16)])),
        "pypng",
        "RGB and opaque alpha, 16 bits",
        refused=deep,
    )
    add(
        "png/grey16-trns.png",
        pypng(grey(16), transparent=7),
        "pypng",
        "grey, 16 bits, a transparent level",
        refused=deep,
    )
    plain = pypng(RGB)
    add("png/rgb8.png", plain, "pypng", "RGB", reader="imagecodecs (libpng)", pixels=RGB)
    add(
        "png/rgb8-interlaced.png",
        pypng(RGB, interlace=True),
        "pypng",
        "RGB, interlaced",
        reader="imagecodecs (libpng)",
        pixels=RGB,
    )
    add(
        "png/rgb8-magick.png",
        tool("convert", "in.ppm", "png24:out.png", in_ppm=PPM),
        "ImageMagick",
        "RGB with gAMA, cHRM and text",
        reader="OpenCV",
        pixels=RGB,
    )
    add(
        "png/rgb8-netpbm.png",
        tool("pnmtopng", "-gamma", "1.0", "in.ppm", in_ppm=PPM),
        "netpbm",
        "RGB, gamma 1.0: samples as they are",
        reader="imagecodecs (libpng)",
        pixels=RGB,
    )
    add(
        "png/rgb8-trns-used.png",
        pypng(RGB, transparent=tuple(map(int, RGB[4, 4]))),
        "pypng",
        "RGB; the transparent colour occurs",
        refused="transparent",
    )
    add(
        "png/rgb8-trns-unused.png",
        pypng(RGB, transparent=(1, 2, 3)),
        "pypng",
        "RGB; the transparent colour does not occur",
        reader="pypng",
        pixels=RGB,
    )
    add("png/rgba8-opaque.png", pypng(ALPHA_OPAQUE), "pypng", "opaque alpha", reader="pypng", pixels=RGB)
    add("png/rgba8.png", pypng(ALPHA), "pypng", "alpha, one transparent pixel", refused="transparent")
    almost = ALPHA_OPAQUE.copy()
    almost[H - 1, W - 1, 3] = 254
    add("png/rgba8-almost.png", pypng(almost), "pypng", "alpha of 254 in one pixel", refused="transparent")
    add(
        "png/greyalpha8-opaque.png",
        pypng(np.dstack([grey(), ALPHA_OPAQUE[..., 3]])),
        "pypng",
        "grey, opaque alpha",
        reader="pypng",
        pixels=grey_rgb(grey(), 255),
    )
    add("png/greyalpha8.png", pypng(np.dstack([grey(), ALPHA[..., 3]])), "pypng", "grey, alpha", refused="transparent")
    add(
        "png/chunks-of-7.png",
        pypng(RGB, chunk_limit=7),
        "pypng",
        "image data in chunks of 7 bytes",
        reader="pypng",
        pixels=RGB,
    )
    add(
        "png/sbit.png",
        with_chunk(plain, b"sBIT", b"\5\6\5", b"IDAT"),
        "by hand",
        "sBIT of 5, 6, 5: samples as they are",
        reader="imagecodecs (libpng)",
        pixels=RGB,
    )
    add(
        "png/cicp-pq.png",
        with_chunk(plain, b"cICP", b"\x09\x10\x00\x01", b"IDAT"),
        "by hand",
        "cICP of BT.2020 and PQ: samples as they are",
        reader="imagecodecs (libpng)",
        pixels=RGB,
    )
    turned = tool("exiftool", "-n", "-Orientation=6", "-o", "out.png", "in.png", in_png=plain)
    add("png/exif6.png", turned, "pypng, ExifTool", "EXIF orientation 6", pixels=np.rot90(RGB, -1))
    chunks = chunks_of(turned)
    late = [each for each in chunks if each[0] != b"eXIf"]
    late.insert(-1, next(each for each in chunks if each[0] == b"eXIf"))
    add(
        "png/exif6-late.png",
        png_of(late),
        "pypng, ExifTool",
        "EXIF orientation 6, behind the image data",
        pixels=np.rot90(RGB, -1),
    )
    add(
        "png/trailing.png",
        plain + b"anything",
        "by hand",
        "bytes behind IEND",
        reader="imagecodecs (libpng)",
        pixels=RGB,
    )
    add(
        "png/unknown-critical.png",
        with_chunk(plain, b"ABCD", b"", b"IDAT"),
        "by hand",
        "a chunk that no reader may pass over",
        refused="'ABCD'",
    )
    second = pypng(RGB[::-1].copy())
    moving = tool("sh", "-c", "apngasm out.png frame1.png 1 10 >&2", frame1_png=plain, frame2_png=second)
    add("png/apng-2.png", moving, "apngasm", "APNG of two frames", refused="2 frames")
    head, idat = chunks_of(plain)[0], next(each for each in chunks_of(plain) if each[0] == b"IDAT")
    control = struct.pack(">IIIIIHHBB", 0, W, H, 0, 0, 1, 10, 0, 0)
    add(
        "png/apng-1.png",
        png_of([head, (b"acTL", struct.pack(">II", 1, 0)), (b"fcTL", control), idat, (b"IEND", b"")]),
        "by hand",
        "APNG of one frame",
        reader="imagecodecs (libpng)",
        pixels=RGB,
    )
    hidden = next(each for each in chunks_of(second) if each[0] == b"IDAT")
    add(
        "png/apng-hidden.png",
        png_of(
            [
                head,
                (b"acTL", struct.pack(">II", 1, 0)),
                idat,
                (b"fcTL", control),
                (b"fdAT", struct.pack(">I", 1) + hidden[1]),
                (b"IEND", b""),
            ]
        ),
        "by hand",
        "APNG whose one frame is another image than the one that is shown without animation",
        refused="2 frames",
    )
    # damaged
    raw = zlib.decompress(idat[1])
    bad = "cannot be read|damaged"
    short = zlib.compress(raw[: len(raw) // 2], 9)
    add(
        "png/rows-missing.png",
        png_of([head, (b"IDAT", short), (b"IEND", b"")]),
        "by hand",
        "half of the rows, all sums right",
        refused=bad,
    )
    add(
        "png/rows-missing-1.png",
        png_of([head, (b"IDAT", zlib.compress(raw[:-1], 9)), (b"IEND", b"")]),
        "by hand",
        "the last byte of the last row is missing, all sums right",
        refused=bad,
    )
    add("png/no-iend.png", png_of([head, idat]), "by hand", "no IEND", refused=bad)
    wrong = bytearray(raw)
    wrong[200] ^= 8
    crc = zlib.crc32(b"IDAT" + idat[1])
    add(
        "png/idat-crc.png",
        b"\x89PNG\r\n\x1a\n" + chunk(*head) + chunk(b"IDAT", zlib.compress(bytes(wrong), 9), crc) + chunk(b"IEND", b""),
        "by hand",
        "a sample differs, and the CRC of the image data says so",
        refused=bad,
    )
    flipped = zlib.compress(bytes(wrong), 9)[:-4] + idat[1][-4:]
    add(
        "png/adler.png",
        png_of([head, (b"IDAT", flipped), (b"IEND", b"")]),
        "by hand",
        "a sample differs, and the checksum of zlib says so",
        refused=bad,
    )
    indexed = chunks_of(pypng((grey(8) % 100).astype(np.uint8), bitdepth=8, palette=PALETTE[:100]))
    short_palette = [(kind, content[:150] if kind == b"PLTE" else content) for kind, content in indexed]
    add(
        "png/palette-index.png",
        png_of(short_palette),
        "by hand",
        "a palette of 50 colours, indices up to 99",
        refused=bad,
    )
    no_palette = [each for each in chunks_of(pypng(grey(4), bitdepth=4, palette=PALETTE[:16])) if each[0] != b"PLTE"]
    add("png/no-palette.png", png_of(no_palette), "by hand", "indices, and no palette", refused=bad)

    indices = (grey() % 4).astype(np.uint8)
    head, idat, end = (
        dict(chunks_of(pypng(indices, bitdepth=8, palette=PALETTE[:4])))[kind] for kind in (b"IHDR", b"IDAT", b"IEND")
    )
    colours = bytes(channel for colour in PALETTE[:4] for channel in colour)
    ihdr, rows, last = (b"IHDR", head), (b"IDAT", idat), (b"IEND", end)
    plte, other = (b"PLTE", colours), (b"PLTE", colours[::-1])
    clear, opaque = (b"tRNS", b"\0"), (b"tRNS", b"\xff")
    order = "twice, or at a wrong place"
    for name, chunks, what, why in (
        ("palette-twice", [ihdr, plte, other, rows, last], "two palettes", order),
        ("palette-late", [ihdr, rows, plte, last], "the palette is behind the samples", order),
        ("palette-again-late", [ihdr, plte, rows, other, last], "a second palette behind the samples", order),
        (
            "palette-part",
            [ihdr, (b"PLTE", colours + b"x"), rows, last],
            "a third of a colour in the palette",
            "not whole",
        ),
        ("trns-twice", [ihdr, plte, clear, opaque, rows, last], "two transparencies, the second opaque", order),
        ("trns-first", [ihdr, opaque, plte, rows, last], "transparency before the palette", order),
    ):
        add(f"png/{name}.png", png_of(chunks), "by hand", what, refused=why)


# JPEG


def cjpeg(*options: str, image: np.ndarray = RGB) -> bytes:
    return tool("cjpeg", "-quality", "90", *options, "-outfile", "out.jpg", "in.ppm", in_ppm=ppm_of(image))


def make_jpeg() -> None:
    turbo = "imagecodecs (libjpeg-turbo)"
    for name, options in {
        "444": ("-sample", "1x1"),
        "422": ("-sample", "2x1"),
        "440": ("-sample", "1x2"),
        "420": ("-sample", "2x2"),
        "411": ("-sample", "4x1"),
        "progressive": ("-progressive",),
        "optimised": ("-optimize",),
        "restart": ("-restart", "1B"),
        "restart-progressive": ("-progressive", "-restart", "1B"),
        "grey": ("-grayscale",),
        "rgb": ("-rgb",),
        "quality1": ("-quality", "1"),
        "quality100": ("-quality", "100"),
    }.items():
        add(f"jpeg/{name}.jpg", cjpeg(*options), "cjpeg", " ".join(options), reader=turbo)
    for name, options in {"arithmetic": (), "arithmetic-progressive": ("-progressive",)}.items():
        data = cjpeg("-arithmetic", *options)
        add(f"jpeg/{name}.jpg", data, "cjpeg", "arithmetic coding", refused="arithmetic coding.*jpegtran")
        lossless = tool("jpegtran", "-optimize", *options, "-outfile", "out.jpg", "in.jpg", in_jpg=data)
        add(f"jpeg/{name}-jpegtran.jpg", lossless, "cjpeg, jpegtran", "the same in Huffman codes", reader=turbo)
        assert np.array_equal(READERS[turbo](lossless), READERS["djpeg"](data))
    odd = rgb(23, 13)
    add("jpeg/odd-420.jpg", cjpeg("-sample", "2x2", image=odd), "cjpeg", "23x13, chroma halved both ways", reader=turbo)
    add("jpeg/smallest.jpg", cjpeg("-sample", "2x2", image=rgb(1, 1)), "cjpeg", "1x1", reader=turbo)
    add(
        "jpeg/opencv.jpg",
        cv2.imencode(".jpg", RGB[..., ::-1], [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x221111])[1].tobytes(),
        "OpenCV",
        "as OpenCV writes it",
        reader="OpenCV",
    )
    plain = cjpeg("-sample", "1x1")
    upright = READERS[turbo](plain)
    for orientation in range(1, 9):
        turned = {
            1: upright,
            2: upright[:, ::-1],
            3: upright[::-1, ::-1],
            4: upright[::-1],
            5: upright.transpose(1, 0, 2),
            6: np.rot90(upright, -1),
            7: upright[::-1, ::-1].transpose(1, 0, 2),
            8: np.rot90(upright),
        }[orientation]
        data = tool("exiftool", "-n", f"-Orientation={orientation}", "-o", "out.jpg", "in.jpg", in_jpg=plain)
        add(
            f"jpeg/exif{orientation}.jpg",
            data,
            "cjpeg, ExifTool",
            f"EXIF orientation {orientation}",
            reader="ImageMagick (JPEG, turned)",
            pixels=turned,
            within=3,
        )
        assert np.array_equal(READERS["OpenCV"](data), turned), orientation
    add(
        "jpeg/xmp6.jpg",
        tool("exiftool", "-n", "-XMP-tiff:Orientation=6", "-o", "out.jpg", "in.jpg", in_jpg=plain),
        "cjpeg, ExifTool",
        "orientation 6 in XMP, and no EXIF",
        pixels=np.rot90(upright, -1),
    )
    add(
        "jpeg/exif9.jpg",
        tool("exiftool", "-n", "-Orientation=9", "-o", "out.jpg", "in.jpg", in_jpg=plain),
        "cjpeg, ExifTool",
        "EXIF orientation 9, which means nothing",
        reader=turbo,
    )
    colour = "colour mode"
    add(
        "jpeg/cmyk.jpg",
        tool("convert", "in.ppm", "-colorspace", "CMYK", "jpeg:out.jpg", in_ppm=PPM),
        "ImageMagick",
        "CMYK",
        refused=colour,
    )
    add(
        "jpeg/ycck.jpg",
        imagecodecs.jpeg8_encode(ALPHA_OPAQUE, colorspace="CMYK", outcolorspace="YCCK"),
        "imagecodecs",
        "YCCK",
        refused=colour,
    )
    add(
        "jpeg/12bit.jpg",
        imagecodecs.jpeg_encode(RGB.astype(np.uint16) * 16, bitspersample=12),
        "imagecodecs",
        "12 bits",
        refused="12-bit|cannot be read|not a",
    )
    add(
        "jpeg/lossless8.jpg",
        imagecodecs.ljpeg_encode(grey(), bitspersample=8),
        "imagecodecs",
        "lossless (SOF3), 8 bits, grey",
        reader="",
        pixels=grey_rgb(grey(), 255),
    )
    add(
        "jpeg/lossless16.jpg",
        imagecodecs.ljpeg_encode(grey(16), bitspersample=16),
        "imagecodecs",
        "lossless, 16 bits",
        refused="16-bit|cannot be read|not a",
    )
    add("jpeg/ls.jls", imagecodecs.jpegls_encode(RGB), "imagecodecs", "JPEG-LS", refused="JPEG-LS")
    add(
        "jpeg/ultrahdr.jpg",
        imagecodecs.ultrahdr_encode(np.dstack([RGB / 255, np.ones((H, W))]).astype(np.float16)),
        "imagecodecs",
        "Ultra HDR: a gain map, a second JPEG, behind the first one",
        reader=turbo,
    )
    add("jpeg/trailing.jpg", plain + b"anything", "by hand", "bytes behind the end", reader=turbo)
    add(
        "jpeg/fill-bytes.jpg",
        plain.replace(b"\xff\xc4", b"\xff\xff\xff\xc4"),
        "by hand",
        "fill bytes before markers",
        reader=turbo,
    )
    add(
        "jpeg/padded.jpg",
        plain[:-2] + bytes(8) + plain[-2:],
        "by hand",
        "eight zeros before the end marker",
        reader=turbo,
    )
    # damaged, and the end looks right
    large = noisy(40, 32)
    cut = "ends too early|cannot be read|damaged"
    for name, options in {
        "baseline": ("-sample", "1x1"),
        "420": ("-sample", "2x2"),
        "progressive": ("-progressive",),
        "restart": ("-sample", "1x1", "-restart", "1"),
        "grey": ("-grayscale",),
        "optimised": ("-optimize", "-quality", "30"),
    }.items():
        whole = cjpeg("-quality", "40", *options, image=large)
        add(f"jpeg/whole-{name}.jpg", whole, "cjpeg", f"40x32, {' '.join(options)}", reader=turbo)
        add(
            f"jpeg/half-{name}.jpg",
            whole[: len(whole) * 6 // 10] + b"\xff\xd9",
            "by hand",
            "cut, and an end marker put behind",
            refused=cut,
        )
        if name == "restart":
            starts = [n for n in range(len(whole) - 1) if whole[n] == 0xFF and 0xD0 <= whole[n + 1] <= 0xD7]
            add(
                "jpeg/restart-missing.jpg",
                whole[: starts[1]] + whole[starts[2] :],
                "by hand",
                "one restart interval is missing",
                refused=cut,
            )
        if name == "progressive":
            scans = [n for n in range(len(whole) - 1) if whole[n : n + 2] == b"\xff\xda"]
            add(
                "jpeg/scans-missing.jpg",
                whole[: scans[-1]] + b"\xff\xd9",
                "by hand",
                "the last scan of a progressive JPEG is missing",
                refused=cut,
            )
            add(
                "jpeg/scan-short.jpg",
                whole[: scans[2] - 20] + whole[scans[2] :],
                "by hand",
                "20 bytes are missing at the end of an inner scan",
                refused=cut,
            )


# TIFF


def tiff(array: np.ndarray, **options: Any) -> bytes:
    out = io.BytesIO()
    big, order = options.pop("bigtiff", False), options.pop("byteorder", "<")
    with tifffile.TiffWriter(out, bigtiff=big, byteorder=order) as writer:
        options.setdefault("software", False)
        options.setdefault("metadata", None)
        writer.write(array, **options)
    return out.getvalue()


def set_tag(data: bytes, tag: int, *values: int) -> bytes:
    """With another value of a tag whose value lies in its entry (little-endian, classic)."""
    out = bytearray(data)
    (at,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, at)
    for n in range(count):
        place = at + 2 + 12 * n
        if struct.unpack_from("<H", data, place)[0] == tag:
            kind, number = struct.unpack_from("<HI", data, place + 2)
            form = {3: "H", 4: "I"}[kind]
            where = place + 8 if number * struct.calcsize(form) <= 4 else struct.unpack_from("<I", data, place + 8)[0]
            assert len(values) == number
            struct.pack_into(f"<{number}{form}", out, where, *values)
            return bytes(out)
    raise KeyError(tag)


def make_tiff() -> None:
    deep, bad, colour = "more than 8 bits", "cannot be read|damaged|not a", "colour mode|not a"
    planes = np.moveaxis(RGB, -1, 0).copy()
    for name, compression in {
        "raw": None,
        "lzw": "lzw",
        "deflate": "zlib",
        "packbits": "packbits",
        "lzma": "lzma",
        "zstd": "zstd",
    }.items():
        for layout, array, options in (
            ("chunky", RGB, {}),
            ("planar", planes, {"planarconfig": "separate"}),
            ("tiles", RGB, {"tile": (16, 16)}),
            ("planar-tiles", planes, {"planarconfig": "separate", "tile": (16, 16)}),
        ):
            if layout != "chunky" and name in ("packbits", "lzma", "zstd"):
                continue
            options = {"photometric": "rgb", "compression": compression, "rowsperstrip": 5, **options}
            add(
                f"tiff/rgb8-{layout}-{name}.tif",
                tiff(array, **options),
                "tifffile",
                f"RGB, {layout}, {name}",
                reader="tifffile",
                pixels=RGB,
            )
            if name in ("raw", "lzw", "deflate"):
                array16 = RGB16 if array is RGB else np.moveaxis(RGB16, -1, 0).copy()
                add(
                    f"tiff/rgb16-{layout}-{name}.tif",
                    tiff(array16, **options),
                    "tifffile",
                    f"RGB of 16 bits, {layout}, {name}",
                    refused=deep,
                )
    add(
        "tiff/rgb8-predictor.tif",
        tiff(RGB, photometric="rgb", compression="lzw", predictor=True),
        "tifffile",
        "LZW with differences",
        reader="tifffile",
        pixels=RGB,
    )
    add(
        "tiff/rgb8-big-endian.tif",
        tiff(RGB, photometric="rgb", byteorder=">"),
        "tifffile",
        "big-endian",
        reader="tifffile",
        pixels=RGB,
    )
    add(
        "tiff/rgb8-bigtiff.tif",
        tiff(RGB, photometric="rgb", bigtiff=True),
        "tifffile",
        "BigTIFF",
        reader="tifffile",
        pixels=RGB,
    )
    add(
        "tiff/rgb8-bigtiff-deflate.tif",
        tiff(RGB, photometric="rgb", bigtiff=True, compression="zlib", byteorder=">"),
        "tifffile",
        "BigTIFF, deflated, big-endian",
        refused="big-endian BigTIFF",
    )
    add(
        "tiff/rgb8-bigtiff-zip.tif",
        tiff(RGB, photometric="rgb", bigtiff=True, compression="zlib"),
        "tifffile",
        "BigTIFF, deflated",
        reader="tifffile",
        pixels=RGB,
    )
    add(
        "tiff/rgb16-big-endian.tif",
        tiff(RGB16, photometric="rgb", byteorder=">"),
        "tifffile",
        "16 bits, big-endian",
        refused=deep,
    )
    add(
        "tiff/rgb16-bigtiff.tif",
        tiff(RGB16, photometric="rgb", bigtiff=True, compression="zlib"),
        "tifffile",
        "16 bits, BigTIFF, deflated",
        refused=deep,
    )
    add("tiff/grey16.tif", tiff(grey(16), photometric="minisblack"), "tifffile", "grey, 16 bits", refused=deep)
    add(
        "tiff/grey16-white0.tif",
        tiff(grey(16), photometric="miniswhite"),
        "tifffile",
        "grey, 16 bits, 0 is white",
        refused=deep + "|not a",
    )
    add(
        "tiff/grey32.tif",
        tiff(grey(16).astype(np.uint32), photometric="minisblack"),
        "tifffile",
        "grey, 32 bits",
        refused=deep + "|not a",
    )
    add(
        "tiff/grey-float16.tif",
        tiff((grey() / 255).astype(np.float16), photometric="minisblack"),
        "tifffile",
        "grey, half floats",
        refused=deep + "|not a",
    )
    add(
        "tiff/grey-float32.tif",
        tiff((grey() / 255).astype(np.float32), photometric="minisblack"),
        "tifffile",
        "grey, floats",
        refused=deep,
    )
    add(
        "tiff/rgb-float32.tif",
        tiff((RGB / 255).astype(np.float32), photometric="rgb"),
        "tifffile",
        "RGB, floats",
        refused=deep + "|not a",
    )
    add(
        "tiff/rgb-float32-planar.tif",
        tiff((planes / 255).astype(np.float32), photometric="rgb", planarconfig="separate"),
        "tifffile",
        "planes of floats",
        refused=deep + "|not a",
    )
    add(
        "tiff/grey-int8.tif",
        tiff(grey().astype(np.int8), photometric="minisblack"),
        "tifffile",
        "signed, 8 bits",
        refused="no unsigned|not a",
    )
    add(
        "tiff/grey-int16.tif",
        tiff(grey(16).astype(np.int16), photometric="minisblack"),
        "tifffile",
        "signed, 16 bits",
        refused=deep,
    )
    for bits in (2, 4):
        levels, highest = grey(bits), 2**bits - 1
        packed = np.packbits(
            np.unpackbits(levels[..., None], axis=-1)[..., 8 - bits :].reshape(H, -1), axis=1
        ).tobytes()
        for photometric, kind, shown in ((1, "black0", levels), (0, "white0", highest - levels)):
            data = tiff_by_hand({258: (3, bits), 262: (3, photometric), 277: (3, 1)}, packed)
            add(
                f"tiff/grey{bits}-{kind}.tif",
                data,
                "by hand",
                f"grey, {bits} bits, 0 is {kind[:5]}",
                reader="libtiff (tiff2rgba)",
                pixels=grey_rgb(shown, highest),
            )
    for bits in (10, 12):
        out = tool("convert", "in.ppm", "-depth", str(bits), "-compress", "None", "out.tif", in_ppm=PPM)
        add(f"tiff/rgb{bits}.tif", out, "ImageMagick", f"RGB, {bits} bits", refused=deep + "|not a")
    bilevel = grey(1).astype(bool)
    for kind in ("minisblack", "miniswhite"):
        white = bilevel if kind == "minisblack" else ~bilevel
        add(
            f"tiff/bilevel-{kind}.tif",
            tiff(white, photometric=kind),
            "tifffile",
            f"two levels, {kind}",
            reader="tifffile",
            pixels=grey_rgb(grey(1), 1),
        )
    pbm = b"P4\n%d %d\n" % (W, H) + np.packbits(1 - grey(1), axis=1).tobytes()
    for name, compression in {"g3": "Fax", "g4": "Group4", "packbits": "RLE"}.items():
        add(
            f"tiff/bilevel-{name}.tif",
            tool("convert", "in.pbm", "-compress", compression, "out.tif", in_pbm=pbm),
            "ImageMagick",
            f"two levels, {name}",
            reader="ImageMagick (TIFF)",
            pixels=grey_rgb(grey(1), 1),
        )
    add(
        "tiff/bilevel-lsb.tif",
        tool("tiffcp", "-f", "lsb2msb", "in.tif", "out.tif", in_tif=tiff(bilevel, photometric="minisblack")),
        "tiffcp",
        "two levels, bits in the other order",
        reader="ImageMagick (TIFF)",
        pixels=grey_rgb(grey(1), 1),
    )
    add(
        "tiff/grey8-white0.tif",
        tiff(grey(), photometric="miniswhite"),
        "tifffile",
        "0 is white",
        reader="tifffile",
        pixels=255 - grey_rgb(grey(), 255),
    )
    add(
        "tiff/grey8-white0-deflate.tif",
        tiff(grey(), photometric="miniswhite", compression="zlib"),
        "tifffile",
        "0 is white, deflated",
        reader="tifffile",
        pixels=255 - grey_rgb(grey(), 255),
    )
    table = np.array(PALETTE, np.uint16).T
    colours = np.array(PALETTE, np.uint8)[grey()]
    add(
        "tiff/palette8-257.tif",
        tiff(grey(), photometric="palette", colormap=table * 257),
        "tifffile",
        "palette, 16-bit entries 257 times 8 bits",
        reader="tifffile",
        pixels=colours,
    )
    add(
        "tiff/palette8-256.tif",
        tiff(grey(), photometric="palette", colormap=table * 256),
        "tifffile",
        "palette, 16-bit entries 256 times 8 bits",
        reader="tifffile",
        pixels=colours,
    )
    add(
        "tiff/palette8-deep.tif",
        tiff(grey(), photometric="palette", colormap=table * 257 ^ 0x35),
        "tifffile",
        "palette of 16-bit colours",
        refused=deep,
    )
    add(
        "tiff/palette8-low.tif",
        tiff(grey(), photometric="palette", colormap=table),
        "tifffile",
        "palette whose 16-bit entries hold 8 bits",
        refused=deep + "|palette",
    )
    for bits in (1, 2, 4):
        packed = np.packbits(np.unpackbits(grey(bits)[..., None], axis=-1)[..., 8 - bits :].reshape(H, -1), axis=1)
        colours = np.array(PALETTE[: 2**bits], np.uint8)
        data = tiff_by_hand(
            {258: (3, bits), 262: (3, 3), 277: (3, 1), 320: (3, *(colours.T.astype(int) * 257).ravel().tolist())},
            packed.tobytes(),
        )
        add(
            f"tiff/palette{bits}.tif",
            data,
            "by hand",
            f"palette of {2**bits}",
            reader="libtiff (tiff2rgba)",
            pixels=colours[grey(bits)],
        )
    for name, extra in {"unspecified": "unspecified", "associated": "assocalpha", "unassociated": "unassalpha"}.items():
        for state, array in (("opaque", ALPHA_OPAQUE), ("used", ALPHA)):
            for layout, options in (("chunky", {}), ("planar", {"planarconfig": "separate"})):
                samples = array if layout == "chunky" else np.moveaxis(array, -1, 0).copy()
                data = tiff(samples, photometric="rgb", extrasamples=[extra], **options)
                what = f"a fourth sample, {name}, {state}, {layout}"
                if layout == "planar" and name != "unassociated":
                    add(f"tiff/extra-{name}-{state}-{layout}.tif", data, "tifffile", what, refused="planes")
                elif state == "opaque" or name == "unspecified":
                    add(
                        f"tiff/extra-{name}-{state}-{layout}.tif", data, "tifffile", what, reader="tifffile", pixels=RGB
                    )
                else:
                    add(f"tiff/extra-{name}-{state}-{layout}.tif", data, "tifffile", what, refused="transparent")
    la = np.dstack([grey(), ALPHA[..., 3]])
    add(
        "tiff/greyalpha.tif",
        tiff(la, photometric="minisblack", extrasamples=["unassalpha"]),
        "tifffile",
        "grey and alpha",
        refused="transparent|not a",
    )
    la[..., 1] = 255
    add(
        "tiff/greyalpha-opaque.tif",
        tiff(la, photometric="minisblack", extrasamples=["unassalpha"]),
        "tifffile",
        "grey, opaque alpha",
        reader="tifffile",
        pixels=grey_rgb(grey(), 255),
    )
    add(
        "tiff/five-samples.tif",
        tiff(np.dstack([ALPHA_OPAQUE, grey()]), photometric="rgb", extrasamples=["unassalpha", "unspecified"]),
        "tifffile",
        "five samples, alpha opaque",
        reader="",
        pixels=RGB,
    )
    add("tiff/cmyk.tif", tiff(ALPHA_OPAQUE, photometric="separated"), "tifffile", "CMYK", refused=colour)
    add(
        "tiff/cmyk16.tif",
        tiff(ALPHA_OPAQUE.astype(np.uint16) * 257, photometric="separated"),
        "tifffile",
        "CMYK, 16 bits",
        refused=f"{deep}|{colour}",
    )
    add(
        "tiff/lab.tif",
        tool("convert", "in.ppm", "-colorspace", "Lab", "out.tif", in_ppm=PPM),
        "ImageMagick",
        "Lab",
        refused=colour,
    )
    add("tiff/icclab.tif", tiff(RGB, photometric="icclab"), "tifffile", "ICC Lab", refused="unknown pixel mode")
    ycc = cv2.cvtColor(RGB, cv2.COLOR_RGB2YCrCb)[..., [0, 2, 1]].copy()
    add(
        "tiff/ycbcr-444.tif",
        ycbcr(ycc, 1, 1),
        "by hand",
        "YCbCr, uncompressed, 4:4:4",
        reader="libtiff (tiff2rgba)",
        tolerance=1,
    )
    add(
        "tiff/ycbcr-420.tif",
        ycbcr(ycc, 2, 2),
        "by hand",
        "YCbCr, uncompressed, 4:2:0",
        refused="subsampl|not a|cannot be read",
    )
    add(
        "tiff/ycbcr-422.tif",
        ycbcr(ycc, 2, 1),
        "by hand",
        "YCbCr, uncompressed, 4:2:2",
        refused="subsampl|not a|cannot be read",
    )
    for name, options in {"444": {"subsampling": (1, 1)}, "420": {"subsampling": (2, 2)}}.items():
        add(
            f"tiff/jpeg-ycbcr-{name}.tif",
            tiff(RGB, photometric="rgb", compression="jpeg", compressionargs={"level": 90}, **options),
            "tifffile",
            f"JPEG inside, YCbCr {name}",
            reader="libtiff (tiff2rgba)",
            tolerance=1,
        )
    add(
        "tiff/jpeg-grey.tif",
        tiff(grey(), photometric="minisblack", compression="jpeg"),
        "tifffile",
        "JPEG inside, grey",
        reader="tifffile",
    )
    add(
        "tiff/webp.tif",
        tiff(np.ascontiguousarray(RGB), photometric="rgb", compression="webp", compressionargs={"lossless": True}),
        "tifffile",
        "WebP inside, lossless",
        refused="compression",
    )
    for orientation in range(1, 9):
        data = tool(
            "sh",
            "-c",
            f"tiffset -s 274 {orientation} in.tif && mv in.tif out.tif",
            in_tif=tiff(RGB, photometric="rgb", compression="zlib" if orientation % 2 else None),
        )
        add(
            f"tiff/orientation{orientation}.tif",
            data,
            "tifffile, tiffset",
            f"orientation {orientation}, {'deflated' if orientation % 2 else 'raw'}",
            pixels=oriented(RGB, orientation),
        )
        other = tool(
            "sh",
            "-c",
            f"tiffset -s 274 {orientation} in.tif && mv in.tif out.tif",
            in_tif=tiff(RGB, photometric="rgb", compression=None if orientation % 2 else "lzw"),
        )
        add(
            f"tiff/orientation{orientation}-other.tif",
            other,
            "tifffile, tiffset",
            f"orientation {orientation}, {'raw' if orientation % 2 else 'LZW'}",
            pixels=oriented(RGB, orientation),
        )
    out = io.BytesIO()
    with tifffile.TiffWriter(out) as writer:
        for image in (RGB, RGB[::-1]):
            writer.write(image, photometric="rgb", metadata=None, software=False)
    add("tiff/pages-2.tif", out.getvalue(), "tifffile", "two pages", refused="2 frames or pages")
    imagej = io.BytesIO()
    tifffile.imwrite(imagej, np.stack([RGB, RGB[::-1]]), imagej=True, truncate=True)
    add(
        "tiff/imagej-stack.tif",
        imagej.getvalue(),
        "tifffile",
        "two slices behind one page, as ImageJ writes large stacks",
        refused="a stack of 2 slices",
    )
    add(
        "tiff/image-depth.tif",
        tiff(np.stack([RGB[..., 0], RGB[::-1, :, 0]]), volumetric=True, photometric="minisblack", rowsperstrip=12),
        "tifffile",
        "a depth of two images",
        refused="a stack of 2 slices",
    )
    out = io.BytesIO()
    with tifffile.TiffWriter(out) as writer:
        writer.write(RGB, photometric="rgb", metadata=None, software=False, subifds=1)
        writer.write(RGB[::2, ::2], photometric="rgb", metadata=None, software=False, subfiletype=1)
    add(
        "tiff/subifd.tif",
        out.getvalue(),
        "tifffile",
        "a smaller version in a sub-directory",
        reader="tifffile",
        pixels=RGB,
    )
    add(
        "tiff/magick.tif",
        tool("convert", "in.ppm", "-compress", "Zip", "out.tif", in_ppm=PPM),
        "ImageMagick",
        "as ImageMagick writes it",
        reader="ImageMagick (TIFF)",
        pixels=RGB,
    )
    add(
        "tiff/ppm2tiff.tif",
        tool("ppm2tiff", "-c", "lzw:2", "in.ppm", "out.tif", in_ppm=PPM),
        "libtiff",
        "as ppm2tiff writes it",
        reader="tifffile",
        pixels=RGB,
    )
    # damaged
    raw = tiff(RGB, photometric="rgb", rowsperstrip=3)
    add("tiff/cut-raw.tif", raw[:-200], "by hand", "the last strip is cut", refused=bad)
    offsets = tifffile.TiffFile(io.BytesIO(raw)).pages[0].dataoffsets
    counts = tifffile.TiffFile(io.BytesIO(raw)).pages[0].databytecounts
    add(
        "tiff/strip-short.tif",
        set_tag(raw, 279, *counts[:3], counts[3] - 90),
        "by hand",
        "the last strip says that it is short",
        refused=bad,
    )
    add(
        "tiff/strip-absent.tif",
        set_tag(set_tag(raw, 279, *counts[:3], 0), 273, *offsets[:3], 0),
        "by hand",
        "the last strip is not there (sparse)",
        refused=bad,
    )
    for name in ("zlib", "lzw", "packbits", "jpeg"):
        image = noisy(24, 24)
        whole = tiff(image, photometric="rgb", compression=name, rowsperstrip=8 if name != "jpeg" else 16)
        page = tifffile.TiffFile(io.BytesIO(whole)).pages[0]
        counts, offsets = page.databytecounts, page.dataoffsets
        short = [counts[0] * 2 // 3, *counts[1:]]
        add(
            f"tiff/strip-short-{name}.tif",
            set_tag(whole, 279, *short),
            "by hand",
            f"the first strip says that it is short, {name}",
            refused=bad,
        )
        add(
            f"tiff/strip-absent-{name}.tif",
            set_tag(set_tag(whole, 279, 0, *counts[1:]), 273, 0, *offsets[1:]),
            "by hand",
            f"the first strip is not there, {name}",
            refused=bad,
        )
        add(
            f"tiff/cut-{name}.tif",
            whole[: offsets[-1] + counts[-1] // 2],
            "by hand",
            f"the last strip is cut, {name}",
            refused=bad,
        )
    for name in ("Fax", "Group4", "LZMA", "ZSTD"):
        if name in ("Fax", "Group4"):
            whole = tool("convert", "in.pbm", "-compress", name, "out.tif", in_pbm=pbm)
        else:
            whole = tiff(RGB, photometric="rgb", compression=name.lower())
        (size,) = tifffile.TiffFile(io.BytesIO(whole)).pages[0].databytecounts
        short = set_tag(whole, 279, size * 2 // 3)
        add(f"tiff/strip-short-{name.lower()}.tif", short, "by hand", f"a strip that is short, {name}", refused=bad)
    args = {"level": 90, "outcolorspace": "rgb"}
    data = tiff(RGB, photometric="rgb", compression="jpeg", compressionargs=args)
    add("tiff/jpeg-rgb.tif", data, "tifffile", "JPEG inside, RGB", reader="libtiff (tiff2rgba)", tolerance=1)
    whole = bytearray(tiff(RGB, photometric="rgb", compression="zlib"))
    page = tifffile.TiffFile(io.BytesIO(bytes(whole))).pages[0]
    whole[page.dataoffsets[0] + page.databytecounts[0] - 2] ^= 1
    add("tiff/adler.tif", bytes(whole), "by hand", "the checksum of the deflated strip is wrong", refused=bad)

    ycc = np.stack([grey(), RGB[..., 0], RGB[..., 1]], -1)
    meaning = {258: (3, 8, 8, 8), 262: (3, 6), 277: (3, 3), 530: (3, 1, 1)}
    bt709 = (5, 2126, 10000, 7152, 10000, 722, 10000)
    limited = (5, 16, 1, 235, 1, 128, 1, 240, 1, 128, 1, 240, 1)
    for name, tags in {"matrix": {529: bt709}, "range": {532: limited}}.items():
        data = tiff_by_hand({**meaning, **tags}, ycc.tobytes())
        add(f"tiff/ycbcr-{name}.tif", data, "by hand", f"YCbCr of another {name}", refused="another matrix or range")
    data = tiff_by_hand({**meaning, 529: bt709, 259: (3, 5)}, imagecodecs.lzw_encode(ycc.tobytes()))
    add(
        "tiff/ycbcr-matrix-lzw.tif",
        data,
        "imagecodecs, by hand",
        "YCbCr of another matrix, LZW",
        reader="libtiff (tiff2rgba)",
    )
    full = (5, 0, 1, 255, 1, 128, 1, 255, 1, 128, 1, 255, 1)
    data = tiff_by_hand({**meaning, 529: (5, 299, 1000, 587, 1000, 114, 1000), 532: full}, ycc.tobytes())
    add(
        "tiff/ycbcr-said.tif",
        data,
        "by hand",
        "YCbCr, its usual matrix and range said",
        reader="libtiff (tiff2rgba)",
        tolerance=1,
    )
    add(
        "tiff/no-photometric.tif",
        tiff_by_hand({258: (3, 8), 277: (3, 1)}, grey().tobytes()),
        "by hand",
        "grey, without a word of whether 0 is black",
        refused="PhotometricInterpretation",
    )


def oriented(image: np.ndarray, orientation: int) -> np.ndarray:
    return {
        1: image,
        2: image[:, ::-1],
        3: image[::-1, ::-1],
        4: image[::-1],
        5: image.transpose(1, 0, 2),
        6: np.rot90(image, -1),
        7: image[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(image),
    }[orientation]


def ycbcr(ycc: np.ndarray, across: int, down: int) -> bytes:
    """Uncompressed YCbCr, units of `across` by `down` luma samples and a pair of chroma (TIFF 6, section 21)."""
    data = bytearray()
    for top in range(0, H, down):
        for left in range(0, W, across):
            block = ycc[top : top + down, left : left + across]
            data += block[..., 0].tobytes() + bytes(int(block[..., n].mean()) for n in (1, 2))
    return tiff_by_hand({258: (3, 8, 8, 8), 262: (3, 6), 277: (3, 3), 530: (3, across, down)}, bytes(data))


def tiff_by_hand(tags: dict[int, tuple[int, ...]], data: bytes) -> bytes:
    """A little-endian TIFF of one uncompressed strip. tags: number -> (3 for short, 4 for long or 5 for
    fractions, values)."""
    tags = {256: (3, W), 257: (3, H), 259: (3, 1), 273: (4, 0), 278: (3, H), 279: (4, len(data)), **tags}
    end = 8 + 2 + 12 * len(tags) + 4
    far = bytearray()
    for tag, (kind, *values) in tags.items():
        packed = struct.pack(f"<{len(values)}{'H' if kind == 3 else 'I'}", *values)
        if len(packed) > 4:
            tags[tag] = (-kind, len(values) // (2 if kind == 5 else 1), end + len(far))
            far += packed
    tags[273] = (4, end + len(far))
    directory = bytearray()
    for tag, (kind, *values) in sorted(tags.items()):
        number, value = values if kind < 0 else (len(values), sum(v << 16 * n for n, v in enumerate(values)))
        directory += struct.pack("<HHII", tag, abs(kind), number, value)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + bytes(directory) + bytes(4) + bytes(far) + data


# BMP


def bmp(
    bits: int,
    rows: bytes,
    *,
    palette: bytes = b"",
    masks: bytes = b"",
    compression: int = 0,
    height: int = H,
    size: int = 40,
    width: int = W,
) -> bytes:
    information = struct.pack(
        "<IiiHHIIiiII", size, width, height, 1, bits, compression, len(rows), 2835, 2835, len(palette) // 4, 0
    )
    body = information + masks + palette
    body += bytes(max(0, size - 40 - len(masks)))
    return b"BM" + struct.pack("<IHHI", 14 + len(body) + len(rows), 0, 0, 14 + len(body)) + body + rows


def make_bmp() -> None:
    for kind in ("BMP2", "BMP3", "BMP"):
        add(
            f"bmp/rgb24-{kind}.bmp",
            tool("convert", "in.ppm", f"{kind}:out.bmp", in_ppm=PPM),
            "ImageMagick",
            f"24 bits, {kind}",
            reader="OpenCV",
            pixels=RGB,
        )
    add(
        "bmp/netpbm.bmp",
        tool("ppmtobmp", "in.ppm", in_ppm=PPM),
        "netpbm",
        "as ppmtobmp writes it",
        reader="ImageMagick (BMP)",
        pixels=RGB,
    )
    add(
        "bmp/netpbm-os2.bmp",
        tool("ppmtobmp", "-os2", "in.ppm", in_ppm=PPM),
        "netpbm",
        "OS/2",
        reader="ImageMagick (BMP)",
        pixels=RGB,
    )
    palette = b"".join(bytes([b, g, r, 0]) for r, g, b in PALETTE)
    for bits in (1, 4, 8):
        levels = grey(bits)
        packed = np.packbits(np.unpackbits(levels[..., None], axis=-1)[..., 8 - bits :].reshape(H, -1), axis=1)
        packed = np.pad(packed, ((0, 0), (0, -packed.shape[1] % 4)))
        add(
            f"bmp/palette{bits}.bmp",
            bmp(bits, packed[::-1].tobytes(), palette=palette[: 4 * 2**bits]),
            "by hand",
            f"palette, {bits} bits",
            reader="ImageMagick (BMP)",
            pixels=np.array(PALETTE, np.uint8)[levels],
        )
    add(
        "bmp/top-down.bmp",
        bmp(24, RGB[..., ::-1].tobytes(), height=-H),
        "by hand",
        "rows from the top",
        reader="OpenCV",
        pixels=RGB,
    )
    flat = (grey() // 16 * 16).astype(np.uint8)
    image = np.array(PALETTE, np.uint8)[flat]
    add(
        "bmp/rle8.bmp",
        tool(
            "convert",
            "in.png",
            "-type",
            "Palette",
            "-compress",
            "RLE",
            "BMP3:out.bmp",
            in_png=pypng(flat, bitdepth=8, palette=PALETTE),
        ),
        "ImageMagick",
        "RLE8",
        reader="OpenCV",
        pixels=image,
    )
    bgr0 = np.dstack([RGB[..., ::-1], np.arange(H * W).reshape(H, W).astype(np.uint8)])[::-1]
    add(
        "bmp/rgb32-reserved.bmp",
        bmp(32, bgr0.tobytes()),
        "by hand",
        "32 bits, the fourth byte is reserved and not 0",
        reader="OpenCV",
        pixels=RGB,
    )
    for state, array in (("opaque", ALPHA_OPAQUE), ("used", ALPHA)):
        masks = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
        data = bmp(32, array[::-1, :, [2, 1, 0, 3]].tobytes(), masks=masks, compression=3, size=108)
        if state == "opaque":
            add(
                "bmp/rgba32-opaque.bmp",
                data,
                "by hand",
                "version 4, opaque alpha",
                reader="ImageMagick (BMP)",
                pixels=RGB,
            )
        else:
            add("bmp/rgba32.bmp", data, "by hand", "version 4, alpha", refused="transparent")
    add(
        "bmp/rgba32-magick.bmp",
        tool("convert", "in.png", "BMP:out.bmp", in_png=pypng(ALPHA)),
        "ImageMagick",
        "alpha as ImageMagick writes it",
        refused="transparent",
    )
    fields = (RGB >> [3, 2, 3]).astype(np.uint16)
    five = (RGB >> 3).astype(np.uint16)
    expected565 = np.floor(
        np.dstack([fields[..., 0] * 255 / 31, fields[..., 1] * 255 / 63, fields[..., 2] * 255 / 31])
    ).astype(np.uint8)
    pixels565 = (fields[..., 0] << 11 | fields[..., 1] << 5 | fields[..., 2]).astype("<u2")[::-1]
    add(
        "bmp/rgb565.bmp",
        bmp(16, pixels565.tobytes(), masks=struct.pack("<3I", 0xF800, 0x7E0, 0x1F), compression=3),
        "by hand",
        "5, 6 and 5 bits",
        reader="ImageMagick (BMP)",
        pixels=expected565,
        within=1,
    )
    pixels555 = (five[..., 0] << 10 | five[..., 1] << 5 | five[..., 2]).astype("<u2")[::-1]
    add(
        "bmp/rgb555.bmp",
        bmp(16, pixels555.tobytes()),
        "by hand",
        "5, 5 and 5 bits",
        reader="ImageMagick (BMP)",
        pixels=np.floor(five * 255 / 31).astype(np.uint8),
        within=1,
    )
    ten = (RGB.astype(np.uint32) << 2)[::-1]
    add(
        "bmp/rgb-10-10-10.bmp",
        bmp(
            32,
            (ten[..., 0] << 20 | ten[..., 1] << 10 | ten[..., 2]).astype("<u4").tobytes(),
            masks=struct.pack("<3I", 0x3FF00000, 0xFFC00, 0x3FF),
            compression=3,
        ),
        "by hand",
        "10 bits a channel",
        refused="more than 8 bits|cannot be read|not a",
    )
    whole = bmp(24, RGB[::-1, :, ::-1].tobytes())
    add("bmp/cut.bmp", whole[:-100], "by hand", "cut", refused="cannot be read|damaged")
    rle = bytes([W, 3, 0, 0]) * (H // 2)
    add(
        "bmp/rle8-short.bmp",
        bmp(8, rle + b"\0\1", palette=palette, compression=1),
        "by hand",
        "RLE8 that ends after half of the rows",
        refused="cannot be read|damaged|undefined",
    )
    add(
        "bmp/rle8-skip.bmp",
        bmp(
            8,
            b"\0\2\5\4" + bytes([W - 5, 3, 0, 0]) + bytes([W, 3, 0, 0]) * (H - 5) + b"\0\1",
            palette=palette,
            compression=1,
        ),
        "by hand",
        "RLE8 that skips pixels, which are undefined",
        refused="cannot be read|damaged|undefined",
    )
    add(
        "bmp/palette-index.bmp",
        bmp(8, np.pad(grey(), ((0, 0), (0, 0)))[::-1].tobytes(), palette=palette[:400]),
        "by hand",
        "a palette of 100 colours, indices up to 255",
        refused="damaged|cannot be read",
    )
    two = (grey() > 99).astype(np.uint8)
    black_white = grey_rgb(two, 1)
    levels = (grey() % 16).astype(np.uint8)
    ramp = bytes(value for n in range(100) for value in (n, n, n, 0))
    nibbles = {
        name: (each[:, 0::2] << 4 | each[:, 1::2]).astype(np.uint8) for name, each in (("two", two), ("ramp", levels))
    }
    runs = b"".join(b"".join(bytes([1, value]) for value in row) + b"\0\0" for row in two[::-1])[:-2] + b"\0\1"
    for name, data, what, image in (
        ("two-4", bmp(4, bmp_rows(nibbles["two"]), palette=BLACK_WHITE), "4 bits", black_white),
        ("two-8", bmp(8, bmp_rows(two), palette=BLACK_WHITE), "8 bits", black_white),
        ("two-rle8", bmp(8, runs, palette=BLACK_WHITE, compression=1), "8 bits, run-length codes", black_white),
        (
            "ramp-4",
            bmp(4, bmp_rows(nibbles["ramp"]), palette=ramp[:64]),
            "4 bits, the levels 0 to 15",
            grey_rgb(levels, 255),
        ),
    ):
        add(
            f"bmp/{name}.bmp",
            data,
            "by hand",
            f"a palette of black and white, or of greys in order: {what}",
            reader="ImageMagick (BMP)",
            pixels=image,
        )
    data = bmp(8, bmp_rows(grey()), palette=ramp)
    add("bmp/ramp-index.bmp", data, "by hand", "an index beyond a palette of greys in order", refused="index")
    data = bmp(1, bmp_rows(np.packbits(two, axis=1)), palette=BLACK_WHITE[:4])
    add("bmp/one-colour.bmp", data, "by hand", "an index of 1 in a palette of one colour", refused="index")
    samples = (grey() >> 3).astype("<u2") * (1 + 32 + 1024)
    masks = struct.pack("<IIII", 0x7C00, 0x3E0, 0x1F, 0x8000)
    partly = np.where(grey() > 99, samples, samples | 0x8000).astype("<u2")
    for name, pixels in (("used", partly), ("opaque", samples | 0x8000)):
        data = bmp(16, bmp_rows(pixels), masks=masks, compression=3, size=56)
        says = (
            {"refused": "transparent"}
            if name == "used"
            else {"reader": "ImageMagick (BMP)", "pixels": grey_rgb(grey() >> 3, 31), "within": 1, "tolerance": 1}
        )
        add(f"bmp/argb1555-{name}.bmp", data, "by hand", f"16 bits, one of them alpha, {name}", **says)
    data = bytearray(bmp(24, bmp_rows(RGB[..., ::-1])))
    data[10:14] = bytes(4)
    add("bmp/no-offset.bmp", bytes(data), "by hand", "rows that begin at 0", refused="within its header")


def bmp_rows(samples: np.ndarray) -> bytes:
    """The rows from the last to the first, each filled to four bytes."""
    rows = (row.tobytes() for row in samples[::-1])
    return b"".join(row + bytes(-len(row) % 4) for row in rows)


BLACK_WHITE = bytes((0, 0, 0, 0, 255, 255, 255, 0))


# PNM


def make_pnm() -> None:
    add("pnm/p6.ppm", PPM, "by hand", "P6", reader="netpbm", pixels=RGB)
    add("pnm/p3.ppm", tool("pnmtoplainpnm", "in.ppm", in_ppm=PPM), "netpbm", "P3, plain", reader="netpbm", pixels=RGB)
    add(
        "pnm/p2.pgm",
        tool("pnmtoplainpnm", "in.pgm", in_pgm=PGM),
        "netpbm",
        "P2, plain",
        reader="netpbm",
        pixels=grey_rgb(grey(), 255),
    )
    add("pnm/p5.pgm", PGM, "by hand", "P5", reader="netpbm", pixels=grey_rgb(grey(), 255))
    add(
        "pnm/p4.pbm",
        b"P4\n%d %d\n" % (W, H) + np.packbits(grey(1), axis=1).tobytes(),
        "by hand",
        "P4: 1 is black",
        reader="netpbm",
        pixels=255 - grey_rgb(grey(1), 1),
    )
    add(
        "pnm/p1.pbm",
        b"P1\n%d %d\n" % (W, H) + b"\n".join(b"".join(b"%d" % v for v in row) for row in grey(1).tolist()),
        "by hand",
        "P1, no blanks",
        reader="netpbm",
        pixels=255 - grey_rgb(grey(1), 1),
    )
    add(
        "pnm/comments.ppm",
        b"P6 # kind\n# who\n%d # width\n%d\n#maxval\n255\n" % (W, H) + RGB.tobytes(),
        "by hand",
        "comments in the header",
        reader="netpbm",
        pixels=RGB,
    )
    for maxval in (1, 15, 100, 254):
        levels = (RGB.astype(int) * maxval // 255).astype(np.uint8)
        scaled = np.rint(levels.astype(int) * 255 / maxval).astype(np.uint8)  # halves to the even side
        add(
            f"pnm/p6-max{maxval}.ppm",
            b"P6\n%d %d\n%d\n" % (W, H, maxval) + levels.tobytes(),
            "by hand",
            f"maxval {maxval}",
            reader="netpbm",
            pixels=scaled,
            within=1,
        )
        grey_levels = levels[..., 0]
        add(
            f"pnm/p5-max{maxval}.pgm",
            b"P5\n%d %d\n%d\n" % (W, H, maxval) + grey_levels.tobytes(),
            "by hand",
            f"grey, maxval {maxval}",
            reader="netpbm",
            pixels=np.repeat(scaled[..., :1], 3, axis=-1),
            within=1,
        )
    for maxval in (256, 1023, 65535):
        levels = (RGB16.astype(int) * maxval // 65535).astype(">u2")
        for kind, array in (("p6", levels), ("p5", levels[..., 0])):
            add(
                f"pnm/{kind}-max{maxval}.{'ppm' if kind == 'p6' else 'pgm'}",
                b"%s\n%d %d\n%d\n" % (kind.upper().encode(), W, H, maxval) + array.tobytes(),
                "by hand",
                f"maxval {maxval}",
                refused="more than 8 bits",
            )
    add(
        "pnm/p3-max1023.ppm",
        tool("pnmtoplainpnm", "in.ppm", in_ppm=b"P6\n%d %d\n1023\n" % (W, H) + levels_of(1023)),
        "netpbm",
        "plain, maxval 1023",
        refused="more than 8 bits",
    )
    add(
        "pnm/p7-rgb.pam",
        tool("sh", "-c", "pamtopam < in.ppm > out.pam", in_ppm=PPM),
        "netpbm",
        "P7, PAM",
        refused="not a",
    )
    add(
        "pnm/pf.pfm",
        b"PF\n%d %d\n-1.0\n" % (W, H) + (RGB / 255).astype("<f4").tobytes(),
        "by hand",
        "PF, floats",
        refused="not a|more than 8",
    )
    add(
        "pnm/pf-grey.pfm",
        b"Pf\n%d %d\n-1.0\n" % (W, H) + (grey() / 255).astype("<f4").tobytes(),
        "by hand",
        "Pf, floats",
        refused="not a|more than 8",
    )
    add(
        "pnm/two-images.ppm",
        PPM + ppm_of(RGB[::-1].copy()),
        "by hand",
        "two images in one file",
        refused="2 |second|frames|behind",
    )
    add("pnm/newline.ppm", PPM + b"\n", "by hand", "a line break behind the samples", reader="netpbm", pixels=RGB)
    add("pnm/short.ppm", PPM[:-5], "by hand", "five bytes are missing", refused="cannot be read|damaged")
    add(
        "pnm/short-max100.ppm",
        (b"P6\n%d %d\n100\n" % (W, H) + (RGB // 3).tobytes())[:-5],
        "by hand",
        "five bytes are missing, maxval 100",
        refused="cannot be read|damaged",
    )
    add(
        "pnm/short-p3.ppm",
        tool("pnmtoplainpnm", "in.ppm", in_ppm=PPM)[:-60],
        "by hand",
        "plain, the last values are missing",
        refused="cannot be read|damaged",
    )
    add(
        "pnm/above-maxval.pgm",
        b"P5\n%d %d\n100\n" % (W, H) + grey().tobytes(),
        "by hand",
        "samples above the maxval of 100",
        refused="damaged|above",
    )


def levels_of(maxval: int) -> bytes:
    return (RGB16.astype(int) * maxval // 65535).astype(">u2").tobytes()


# WebP, AVIF, GIF, others


def make_webp() -> None:
    library = "imagecodecs (libwebp)"
    source = pypng(RGB)

    def cwebp(*options: str, data: bytes = source) -> bytes:
        return tool("cwebp", "-quiet", *options, "in.png", "-o", "out.webp", in_png=data)

    add("webp/lossless.webp", cwebp("-lossless", "-exact"), "cwebp", "lossless", reader="dwebp", pixels=RGB)
    add("webp/lossy.webp", cwebp("-q", "80"), "cwebp", "lossy", reader=library)
    add("webp/lossy-odd.webp", cwebp("-q", "80", data=pypng(rgb(23, 13))), "cwebp", "lossy, 23x13", reader=library)
    add(
        "webp/lossy-opencv.webp",
        cv2.imencode(".webp", RGB[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, 50])[1].tobytes(),
        "OpenCV",
        "lossy",
        reader="OpenCV",
    )
    add(
        "webp/alpha-opaque.webp",
        imagecodecs.webp_encode(ALPHA_OPAQUE, lossless=True),
        "imagecodecs",
        "lossless, opaque alpha",
        reader=library,
        pixels=RGB,
    )
    add(
        "webp/alpha.webp",
        cwebp("-lossless", "-exact", data=pypng(ALPHA)),
        "cwebp",
        "lossless, alpha",
        refused="transparent",
    )
    add("webp/alpha-lossy.webp", cwebp("-q", "80", data=pypng(ALPHA)), "cwebp", "lossy, alpha", refused="transparent")
    lossless = cwebp("-lossless", "-exact")
    exif = b"Exif\0\0" + b"MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"
    add(
        "webp/exif6.webp",
        tool("webpmux", "-set", "exif", "in.exif", "in.webp", "-o", "out.webp", in_webp=lossless, in_exif=exif[6:]),
        "webpmux",
        "EXIF orientation 6",
        pixels=np.rot90(RGB, -1),
    )
    add(
        "webp/icc.webp",
        tool("webpmux", "-set", "icc", "in.icc", "in.webp", "-o", "out.webp", in_webp=lossless, in_icc=bytes(200)),
        "webpmux",
        "a (meaningless) ICC profile",
        reader="dwebp",
        pixels=RGB,
    )
    moving = tool(
        "img2webp",
        "-lossless",
        "-d",
        "50",
        "a.png",
        "b.png",
        "-o",
        "out.webp",
        a_png=source,
        b_png=pypng(RGB[::-1].copy()),
    )
    add("webp/animated.webp", moving, "img2webp", "two frames", refused="2 frames")
    frame = (
        struct.pack("<I", 2)[:3]
        + struct.pack("<I", 2)[:3]
        + b"".join(struct.pack("<I", n)[:3] for n in (W - 1, H - 1, 50))
        + b"\0"
        + lossless[12:]
    )
    canvas = b"".join(struct.pack("<I", n)[:3] for n in (W + 9, H + 9))
    body = (
        b"WEBPVP8X"
        + struct.pack("<I", 10)
        + b"\x12\0\0\0"
        + canvas
        + b"ANIM"
        + struct.pack("<I", 6)
        + bytes(6)
        + b"ANMF"
        + struct.pack("<I", len(frame))
        + frame
    )
    add(
        "webp/one-frame-offset.webp",
        b"RIFF" + struct.pack("<I", len(body)) + body,
        "by hand",
        "an animation of one frame that leaves a border",
        refused="part of the canvas",
    )
    add("webp/trailing.webp", lossless + b"anything", "by hand", "bytes behind the end", reader="dwebp", pixels=RGB)
    large = tool("cwebp", "-quiet", "-q", "60", "in.png", "-o", "out.webp", in_png=pypng(noisy(40, 32)))
    add("webp/whole.webp", large, "cwebp", "40x32, lossy", reader=library)
    body = large[20 : 20 + (len(large) - 20) * 6 // 10 // 2 * 2]
    add(
        "webp/cut-sizes-right.webp",
        b"RIFF" + struct.pack("<I", 12 + len(body)) + b"WEBPVP8 " + struct.pack("<I", len(body)) + body,
        "by hand",
        "lossy, cut, and the sizes made to fit",
        refused="cannot be read|damaged|ends too early",
    )
    whole = tool("cwebp", "-quiet", "-lossless", "in.png", "-o", "out.webp", in_png=pypng(noisy(40, 32)))
    body = whole[20 : 20 + (len(whole) - 20) * 6 // 10 // 2 * 2]
    add(
        "webp/cut-lossless-sizes-right.webp",
        b"RIFF" + struct.pack("<I", 12 + len(body)) + b"WEBPVP8L" + struct.pack("<I", len(body)) + body,
        "by hand",
        "lossless, cut, and the sizes made to fit",
        refused="cannot be read|damaged|ends too early|not a",
    )
    for name, data in (
        ("alpha-denied", cwebp("-q", "80", data=pypng(ALPHA))),
        ("alpha-denied-lossless", extended(cwebp("-lossless", "-exact", data=pypng(ALPHA)))),
    ):
        denied = bytearray(data)
        denied[20] &= ~0x10
        add(f"webp/{name}.webp", bytes(denied), "cwebp, by hand", "alpha that the header denies", refused="opaque")
    one, other = cwebp("-q", "80"), cwebp("-q", "80", data=pypng(255 - RGB))
    both = one[8:] + other[12:]
    twice = b"RIFF" + struct.pack("<I", len(both)) + both
    add("webp/two-images.webp", twice, "cwebp, by hand", "two images and no animation", refused="2 frames")


def extended(webp: bytes) -> bytes:
    """With an extended header in front of its only chunk, for an image of W by H."""
    body = b"WEBPVP8X" + struct.pack("<IB3x", 10, 0x10) + (W - 1).to_bytes(3, "little") + (H - 1).to_bytes(3, "little")
    body += webp[12:]
    return b"RIFF" + struct.pack("<I", len(body)) + body


def make_avif() -> None:
    source = pypng(RGB)

    def avifenc(*options: str, data: bytes = source) -> bytes:
        return tool(
            "avifenc",
            "-j",
            "1",
            "-s",
            "6",
            "--ignore-exif",
            "--ignore-xmp",
            "--ignore-icc",
            *options,
            "in.png",
            "out.avif",
            in_png=data,
        )

    add("avif/lossless.avif", avifenc("--lossless"), "avifenc", "lossless", reader="imagecodecs (libavif)", pixels=RGB)
    for yuv in ("444", "422", "420"):
        add(
            f"avif/lossy-{yuv}.avif",
            avifenc("-y", yuv, "--min", "10", "--max", "20"),
            "avifenc",
            f"lossy, {yuv}",
            reader="avifdec",
            tolerance=2,
        )
    add(
        "avif/lossy-limited.avif",
        avifenc("-y", "444", "-r", "limited"),
        "avifenc",
        "limited range",
        reader="avifdec",
        tolerance=2,
    )
    add(
        "avif/bt709.avif",
        avifenc("-y", "444", "--cicp", "1/13/1"),
        "avifenc",
        "matrix of BT.709",
        reader="avifdec",
        tolerance=2,
    )
    add(
        "avif/pq.avif",
        avifenc("--lossless", "--cicp", "9/16/0"),
        "avifenc",
        "CICP of BT.2020 and PQ: samples as they are",
        reader="imagecodecs (libavif)",
        pixels=RGB,
    )
    add(
        "avif/grey.avif",
        avifenc("-y", "400", "--min", "0", "--max", "0", data=pypng(grey())),
        "avifenc",
        "grey, lossless",
        reader="avifdec",
        pixels=grey_rgb(grey(), 255),
    )
    for depth in ("10", "12"):
        add(f"avif/depth{depth}.avif", avifenc("-d", depth), "avifenc", f"{depth} bits", refused="more than 8 bits")
        add(
            f"avif/depth{depth}-icc.avif",
            tool(
                "avifenc",
                "-j",
                "1",
                "-s",
                "8",
                "-d",
                depth,
                "--icc",
                "in.icc",
                "in.png",
                "out.avif",
                in_png=source,
                in_icc=profile(1500),
            ),
            "avifenc",
            f"{depth} bits, and a large ICC profile before the header that tells",
            refused="more than 8 bits",
        )
    add(
        "avif/icc.avif",
        tool(
            "avifenc",
            "-j",
            "1",
            "-s",
            "8",
            "--lossless",
            "--icc",
            "in.icc",
            "in.png",
            "out.avif",
            in_png=source,
            in_icc=profile(1500),
        ),
        "avifenc",
        "a large ICC profile",
        reader="imagecodecs (libavif)",
    )
    add(
        "avif/alpha-opaque.avif",
        avifenc("--lossless", data=pypng(ALPHA_OPAQUE)),
        "avifenc",
        "opaque alpha",
        reader="imagecodecs (libavif)",
        pixels=RGB,
    )
    add("avif/alpha.avif", avifenc("--lossless", data=pypng(ALPHA)), "avifenc", "alpha", refused="transparent")
    add(
        "avif/irot1.avif",
        avifenc("--lossless", "--irot", "1"),
        "avifenc",
        "turned by irot",
        pixels=np.rot90(RGB).copy(),
    )
    for axis, image in ((0, RGB[::-1]), (1, RGB[:, ::-1])):
        add(
            f"avif/imir{axis}.avif",
            avifenc("--lossless", "--imir", str(axis)),
            "avifenc",
            f"mirrored by imir, axis {axis}",
            pixels=image.copy(),
        )
    add(
        "avif/irot3-imir0.avif",
        avifenc("--lossless", "--irot", "3", "--imir", "0"),
        "avifenc",
        "turned by irot, then mirrored by imir",
        pixels=np.rot90(RGB, -1)[::-1].copy(),
    )
    add(
        "avif/clap.avif",
        avifenc("--lossless", "--crop", "2,2,16,10"),
        "avifenc",
        "cropped by clap",
        refused="clap|crop",
    )
    add(
        "avif/pasp.avif",
        avifenc("--lossless", "--pasp", "2,1"),
        "avifenc",
        "pixels that are not square: samples as they are",
        reader="imagecodecs (libavif)",
        pixels=RGB,
    )
    large = rgb(128, 64) // 64 * 64
    parts = {f"{n}_png": pypng(large[:, 64 * n : 64 * n + 64].copy()) for n in range(2)}
    add(
        "avif/grid.avif",
        tool("avifenc", "-j", "1", "-s", "8", "--lossless", "--grid", "2x1", "0.png", "1.png", "out.avif", **parts),
        "avifenc",
        "a grid of two",
        reader="imagecodecs (libavif)",
        pixels=large,
    )
    add(
        "avif/grid10.avif",
        tool("avifenc", "-j", "1", "-s", "8", "-d", "10", "--grid", "2x1", "0.png", "1.png", "out.avif", **parts),
        "avifenc",
        "a grid of two, 10 bits",
        refused="more than 8 bits",
    )
    moving = tool(
        "avifenc", "-j", "1", "-s", "8", "a.png", "b.png", "out.avif", a_png=source, b_png=pypng(RGB[::-1].copy())
    )
    add("avif/sequence.avif", moving, "avifenc", "two frames", refused="2 frames")
    add(
        "avif/trailing.avif",
        avifenc("--lossless") + b"anything",
        "by hand",
        "bytes behind the end",
        reader="imagecodecs (libavif)",
        pixels=RGB,
    )
    for name, tag, what in (("exif6", "Orientation", "EXIF"), ("xmp6", "XMP-tiff:Orientation", "XMP")):
        data = tool("exiftool", "-n", f"-{tag}=6", "-o", "out.avif", "in.avif", in_avif=avifenc("--lossless"))
        add(
            f"avif/{name}.avif",
            data,
            "avifenc, ExifTool",
            f"an orientation in {what}, which turns nothing in AVIF",
            reader="imagecodecs (libavif)",
            pixels=RGB,
        )


def profile(size: int) -> bytes:
    """An ICC profile of `size` bytes: a head and one tag of text."""
    head = struct.pack(
        ">I4sI4s4s4s12x4s4sI4sI8s12s48x",
        size,
        b"test",
        0x02100000,
        b"mntr",
        b"RGB ",
        b"XYZ ",
        b"acsp",
        b"APPL",
        0,
        b"none",
        0,
        bytes(8),
        struct.pack(">3I", 63190, 65536, 54061),
    )[:128]
    head = head.ljust(128, b"\0")
    text = b"desc" + bytes(4) + struct.pack(">I", 5) + b"test\0"
    table = struct.pack(">I4sII", 1, b"desc", 144, size - 144)
    noise = bytes((n * n * 31 + n // 3) % 251 for n in range(size))
    return (head + table + text + noise)[:size]


def make_gif() -> None:
    palette = PALETTE
    image = np.array(palette, np.uint8)[grey()]
    source = pypng(grey(), bitdepth=8, palette=palette)
    add(
        "gif/plain.gif",
        tool("convert", "in.png", "out.gif", in_png=source),
        "ImageMagick",
        "256 colours",
        reader="imagecodecs (giflib)",
        pixels=image,
    )
    add(
        "gif/interlaced.gif",
        tool("convert", "in.png", "-interlace", "GIF", "out.gif", in_png=source),
        "ImageMagick",
        "interlaced",
        reader="OpenCV",
        pixels=image,
    )
    add(
        "gif/netpbm.gif",
        tool("sh", "-c", "ppmtogif in.ppm > out.gif", in_ppm=ppm_of(image)),
        "netpbm",
        "as ppmtogif writes it",
        reader="imagecodecs (giflib)",
        pixels=image,
    )
    add(
        "gif/transparent-used.gif",
        tool(
            "sh",
            "-c",
            "ppmtogif -transparent=black in.ppm > out.gif",
            in_ppm=ppm_of(np.where(grey()[..., None] > 99, image, 0).astype(np.uint8)),
        ),
        "netpbm",
        "a transparent colour occurs",
        refused="transparent",
    )
    add(
        "gif/animated.gif",
        tool("convert", "in.png", "-flip", "in.png", "out.gif", in_png=source),
        "ImageMagick",
        "two frames",
        refused="2 frames",
    )
    small = tool("convert", "in.png", "-repage", "40x30+6+5", "out.gif", in_png=source)
    add(
        "gif/offset.gif",
        small,
        "ImageMagick",
        "the frame covers a part of the screen",
        refused="part|transparent|screen",
    )
    plain = tool("convert", "in.png", "out.gif", in_png=source)
    add("gif/cut.gif", plain[:-100], "by hand", "cut", refused="cannot be read|damaged|ends too early")
    add(
        "gif/cut-trailer.gif",
        plain[:-60] + b"\0;",
        "by hand",
        "cut, and an end put behind",
        refused="cannot be read|damaged|ends too early",
    )
    add(
        "gif/trailing.gif",
        plain + b"anything",
        "by hand",
        "bytes behind the end",
        reader="imagecodecs (giflib)",
        pixels=image,
    )
    plain = imagecodecs.gif_encode(grey())
    colours = 3 << (plain[10] & 7) + 1
    data = plain[:10] + bytes([plain[10] & 0x7F]) + plain[11:13] + plain[13 + colours :]
    add("gif/no-colours.gif", data, "imagecodecs, by hand", "no table of colours", refused="no table of colours")


def make_others() -> None:
    add(
        "other/image.jxl",
        tool("cjxl", "-d", "0", "in.png", "out.jxl", in_png=pypng(RGB)),
        "cjxl",
        "JPEG XL",
        refused="not a",
    )
    add(
        "other/image.jp2",
        tool("opj_compress", "-n", "3", "-i", "in.ppm", "-o", "out.jp2", in_ppm=PPM),
        "OpenJPEG",
        "JPEG 2000",
        refused="not a",
    )
    add("other/deep.jp2", imagecodecs.jpeg2k_encode(RGB16), "imagecodecs", "JPEG 2000, 16 bits", refused="not a")
    add("other/image.tga", tool("convert", "in.ppm", "out.tga", in_ppm=PPM), "ImageMagick", "TGA", refused="not a")
    add("other/image.qoi", imagecodecs.qoi_encode(RGB), "imagecodecs", "QOI", refused="not a")
    add(
        "other/image.hdr",
        cv2.imencode(".hdr", (RGB / 255).astype(np.float32))[1].tobytes(),
        "OpenCV",
        "Radiance HDR",
        refused="not a",
    )
    add(
        "other/pointer-lfs.png",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n",
        "by hand",
        "a pointer of Git LFS",
        refused="Git LFS",
    )
    add(
        "other/pointer-annex.png",
        b"/annex/objects/SHA256E-s12345--" + b"0" * 64 + b".png\n",
        "by hand",
        "an unlocked pointer of git-annex",
        refused="git-annex",
    )
    add(
        "other/pointer-dvc.png",
        b"outs:\n- md5: 00000000000000000000000000000000\n  size: 12345\n  path: a.png\n",
        "by hand",
        "a file of DVC",
        refused="DVC",
    )
    add(
        "other/html.png",
        b"<!DOCTYPE html>\n<html><body>404 Not Found</body></html>\n",
        "by hand",
        "a web page",
        refused="not a",
    )
    add("other/empty.png", b"", "by hand", "an empty file", refused="empty|not a")


ONLY = sys.argv[1:]
if __name__ == "__main__":
    if ONLY and (HERE / "images.json").exists():
        CASES.update(json.loads((HERE / "images.json").read_text()))
        PIXELS.update(np.load(HERE / "pixels.npz"))
    for name, function in list(globals().items()):
        if name.startswith("make_") and (not ONLY or any(name[5:].startswith(only.partition("/")[0]) for only in ONLY)):
            function()
    used = {case["pixels"] for case in CASES.values() if "pixels" in case}
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(case)}" for name, case in sorted(CASES.items()))
    (HERE / "images.json").write_text(f"{{\n{lines}\n}}\n")
    np.savez_compressed(HERE / "pixels.npz", **{key: PIXELS[key] for key in sorted(used)})
    print(len(CASES), "files", sum(path.stat().st_size for path in FILES.rglob("*") if path.is_file()), "bytes")
