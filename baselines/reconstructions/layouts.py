"""Folders as others write them: which file is which image at which quality, and where its bits are.

| layout | reconstructions | bits |
| --- | --- | --- |
| JPEG AI's quality framework, `SUBMISSIONS/CODEC` | `rec/CODEC_NAME_8bit_sRGB_RATE.png` | `bit/CODEC_NAME….bits` |
| StableCodec's | `rec/NAME.png` | `bin/NAME` |
| DiffEIC's | `NAME.png` | `data/NAME` |
| plain | `NAME.png` | `NAME.bin` beside it, where all have one |
| CompressAI's | as the plain one | a result of `eval_model`, for all images or `--per-image`, in FOLDER |

But for JPEG AI's, each is one quality: FOLDER itself, or folders in it that are called by a number with the same words
around it, such as `ft2` and `ft32`. A hyphen behind a letter or a digit is no sign: `mse-3` is quality 3.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from benchmark.baselines.reconstructions.patterns import NUMBER, ONLY, Files, name_of
from benchmark.baselines.reconstructions.rates import Rates, of_result, of_results, of_streams
from benchmark.errors import BenchmarkError, UsageError, printable
from benchmark.formats import is_named_as_image
from benchmark.reading import parse_json, read_text, shown

STREAMS = (".bin", ".bits", ".bit", ".bitstream", ".str")
"""Suffixes of bitstreams that lie beside their images."""

_DEPTH = re.compile(r"_\d+bit_[A-Za-z0-9]+$")
"""What JPEG AI puts behind the name of the original in that of a reconstruction."""
_SIZE = re.compile(r"_\d+x\d+$")
_NUMBERED = re.compile(rf"(.*?)((?:(?<![^\W_])(?=[+-])|(?=[\d.])){NUMBER})(\D*)")
"""What stands before a number, the number, what stands behind it. A hyphen behind a letter or digit is one: `mse-3`."""


@dataclass(frozen=True)
class Layout:
    """name: in words. rates: None where the folder does not tell. folders: one a quality; none in JPEG AI's layout, of
    which every file counts."""

    name: str
    images: Files
    rates: Rates | None
    folders: tuple[Path, ...] = ()


def read_layout(folder: Path, rates: bool = True) -> Layout:
    """What lies in `folder`. rates: whether bits are looked for beside plain images; not where a setting says them.

    Raises UsageError if nothing that is known lies there, or bits that are not clear, BenchmarkError on what cannot be
    read.
    """
    try:
        if (folder / "rec").is_dir() and (folder / "bit").is_dir():
            return _jpeg_ai(folder)
        qualities = _folders_of_qualities(folder)
        inner = qualities or {ONLY: folder}
        kinds = {kind for own in inner.values() for kind in [_kind(own)]}
        if len(kinds) > 1:
            raise UsageError(f"{shown(folder)}: its folders are not laid out alike; name a pattern with {{name}}")
        reconstructions, streams = kinds.pop()
        images = {quality: _images(own / reconstructions) for quality, own in inner.items()}
        if empty := [inner[quality] for quality, own in images.items() if not own]:
            raise UsageError(f"{shown(empty[0] / reconstructions)}: no image lies there; name a pattern with {{name}}")
        if streams:
            files = {quality: _files(own / streams) for quality, own in inner.items()}
            name = "StableCodec's" if reconstructions else "DiffEIC's"
            return Layout(name, images, of_streams(files), tuple(inner.values()))
        return replace(_plain(folder, inner, images, rates), folders=tuple(inner.values()))
    except OSError as error:
        raise BenchmarkError(f"{error.filename}: cannot be read: {error.strerror or error}") from None


def _kind(folder: Path) -> tuple[str, str]:
    """(folder of the images, folder of the streams), below `folder`."""
    if (folder / "rec").is_dir():
        return ("rec", "bin") if (folder / "bin").is_dir() else ("rec", "")
    return ("", "data") if (folder / "data").is_dir() else ("", "")


def _folders_of_qualities(folder: Path) -> dict[float, Path]:
    """The folders in it that are called by a number, with the same words around it; in order."""
    found: dict[tuple[str, str], dict[float, Path]] = {}
    for path in sorted(folder.iterdir()):
        match = _NUMBERED.fullmatch(path.name)
        if path.is_dir() and match is not None and math.isfinite(float(match[2])):
            own = found.setdefault((match[1], match[3]), {})
            if (other := own.setdefault(float(match[2]), path)) != path:
                raise UsageError(f"{shown(other)} and {shown(path)} are of one quality")
    if len(found) > 1:
        names = ", ".join(f"{first}#{last}" for first, last in found)
        raise UsageError(f"{shown(folder)}: which folders are its qualities, {names}? name a pattern with {{quality}}")
    return dict(sorted(next(iter(found.values())).items())) if found else {}


def _images(folder: Path) -> dict[str, Path]:
    return _by_name(path for path in sorted(folder.iterdir()) if is_named_as_image(path.name) and path.is_file())


def _files(folder: Path) -> dict[str, Path]:
    return {printable(path.name): path for path in sorted(folder.iterdir()) if path.is_file()}


def _by_name(paths: Iterable[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in paths:
        name = name_of(printable(path.name))
        if (other := found.setdefault(name, path)) != path:
            raise UsageError(f"{shown(other)} and {shown(path)} are of one image; name a pattern with {{name}}")
    return found


def _plain(folder: Path, inner: dict[float, Path], images: Files, look: bool) -> Layout:
    if not look:
        return Layout("a folder per quality", images, None)
    beside = {q: {name: _stream(path) for name, path in own.items()} for q, own in images.items()}
    streams = {q: {name: path for name, path in own.items() if path is not None} for q, own in beside.items()}
    whole = all(len(streams[quality]) == len(own) for quality, own in images.items())
    if whole:
        return Layout("a folder per quality, streams beside the images", images, of_streams(streams))
    if any(streams.values()):
        q, name = next((q, name) for q, own in beside.items() for name, path in own.items() if path is None)
        raise UsageError(f"{shown(images[q][name])} has no stream beside it, and others have; name bits=PATTERN")
    rates = _compressai(folder, list(inner))
    return Layout("a folder per quality" if rates is None else "CompressAI's results and images", images, rates)


def _stream(image: Path) -> Path | None:
    """The file of its bits beside an image, if there is one. Raises UsageError if there are several."""
    found = [path for suffix in STREAMS if (path := image.with_suffix(suffix)).is_file()]
    if len(found) > 1:
        raise UsageError(
            f"{shown(found[0])} and {shown(found[1])} lie beside one image; bits=PATTERN says which holds its bits"
        )
    return found[0] if found else None


def _compressai(folder: Path, qualities: list[float]) -> Rates | None:
    """The results of `eval_model` in `folder`: of single images where there are such, else the only one of all."""
    single: Files = {}
    whole: list[Path] = []
    for path in sorted(folder.glob("*.json")):
        document = parse_json(read_text(path), shown(path))
        results = document.get("results") if isinstance(document, dict) else None
        if not isinstance(results, dict) or "bpp" not in results:
            continue
        source = document.get("source")
        if not isinstance(source, str):
            whole.append(path)
            continue
        # SOURCE-ARCHITECTURE-METRIC-QUALITY-CODER, or SOURCE-CHECKPOINT-CODER, whose quality no name tells
        number = re.search(rf"-({NUMBER})-[^-]*$", path.stem.removeprefix(source))
        quality = float(number[1]) if number is not None else ONLY
        if len(qualities) == 1:
            quality = qualities[0]
        if (other := single.setdefault(quality, {}).setdefault(source, path)) != path:
            raise UsageError(f"{shown(other)} and {shown(path)} are of one image and one quality")
    if single:
        return of_results(single)
    if len(whole) > 1:
        raise UsageError(f"{shown(folder)}: {whole[0].name} or {whole[1].name}? bits=FILE says which holds the bits")
    return of_result(whole[0], qualities) if whole else None


def _jpeg_ai(folder: Path) -> Layout:
    """Each image under every name that its original may have: whole, without depth and colours, and without its size;
    of the shorter names, those that two images of one quality have are left out."""
    images: Files = {}
    streams: Files = {}
    bits = _submitted(folder / "bit")
    for quality, own in _submitted(folder / "rec").items():
        names = {path: _names_of_original(whole) for whole, path in own.items()}
        counts = Counter(name for several in names.values() for name in several)
        for path, several in names.items():
            known = [name for name in several if counts[name] == 1]
            stream = next((found for name in known if (found := bits.get(quality, {}).get(name)) is not None), None)
            images.setdefault(quality, {}).update(dict.fromkeys(known, path))
            if stream is not None:
                streams.setdefault(quality, {}).update(dict.fromkeys(known, stream))
    if not images:
        raise UsageError(f"{shown(folder / 'rec')}: no image lies there")
    return Layout("JPEG AI's", images, of_streams(streams))


def _names_of_original(whole: str) -> list[str]:
    without_depth = _DEPTH.sub("", whole)
    return list(dict.fromkeys([whole, without_depth, _SIZE.sub("", without_depth)]))


def _submitted(folder: Path) -> Files:
    """Files CODEC_NAME_RATE in `folder`, by NAME; RATE in hundredths of bits per pixel is the quality."""
    found: Files = {}
    codec = folder.parent.resolve().name
    for path in sorted(folder.iterdir()):
        if not path.is_file() or path.name.startswith("."):
            continue
        match = re.fullmatch(rf"{re.escape(codec)}_(.+)_(\d+)", path.stem)
        if match is None:
            raise UsageError(
                f"{shown(path)}: not called {codec}_NAME_RATE{path.suffix}, as in JPEG AI's layout; name a pattern"
            )
        whole, quality = printable(match[1]), float(match[2])
        if (other := found.setdefault(quality, {}).setdefault(whole, path)) != path:
            raise UsageError(f"{shown(other)} and {shown(path)} are of one image and one quality")
    return dict(sorted(found.items()))
