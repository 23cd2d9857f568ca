"""Checks of where the information about an image is: in the bytes that are counted, or beside them."""

import io
import math
import pickletools
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from benchmark.audit import evidence as at
from benchmark.audit.check import ROUNDING_DB, Check
from benchmark.audit.evidence import Case, Evidence, Step
from benchmark.audit.pictures import RANDOM
from benchmark.metrics.fidelity import mean_squared_error, psnr_from_mse
from benchmark.pixels import Image
from benchmark.results import quality_name

CHANCE_BITS = 64
"""An honest codec fails the check of the random image with a chance of 2 to the minus that."""

FAMILIAR = 0.05
"""Share of a stream above which what Python adds to it is worth a warning."""

_DECODED = (at.OWN, at.FRESH, at.FRESH_AGAIN, at.THREADS)


def fewest_bits(image: Image, decoded: Image) -> float:
    """Bits that any decoder needs to come so near to an image whose samples are independent and uniform on 0 to 255.

    Both uint8 (height, width, 3). n (8 − ½ log2(2πe (D + 1/12))) for n samples and the mean squared error D, Shannon's
    lower bound of the rate, less `CHANCE_BITS`: with so few bits only that share of all such images has a stream. 0 at
    least.
    """
    error = mean_squared_error(image, decoded)
    per_sample = 8 - 0.5 * math.log2(2 * math.pi * math.e * (error + 1 / 12))
    return max(0.0, image.size * per_sample - CHANCE_BITS)


def enough_bits(evidence: Evidence) -> Check:
    """An image of random samples, drawn for this audit alone, is not decoded from fewer bits than that can be done."""
    name = "enough bits"
    cases = [case for case in evidence.coded() if case[0] == RANDOM]
    failures, best = [], 0.0
    done = False
    for case in cases:
        original = evidence.pictures[case[0]].image
        bits = 8 * evidence.steps[at.ENCODE, case].data.stat().st_size
        for what in _DECODED:
            step = evidence.steps.get((what, case))
            if step is None or step.failed or tuple(step.outcome.shape or ()) != original.shape:
                continue
            done = True
            needed = fewest_bits(original, step.image())
            best = max(best, needed / 8)
            if bits < needed:
                least = f"at least {needed / 8:.0f} are needed to come so near"
                failures.append(f"{_case(case)}: {bits / 8:.0f} bytes, {least}")
                break
    if failures:
        return Check(name, "FAILED", "the decoder knows more than the bytes can hold", failures)
    if not done:
        return Check(name, "not done", "the image of random samples could not be decoded")
    if not best:
        return Check(name, "ok", "of random samples so little is kept that no bits are needed for it")
    return Check(name, "ok", f"random samples take more than the {best:.0f} bytes that anybody needs")


def bits_and_content(evidence: Evidence) -> Check:
    """Streams of different images are different, and as long as their content asks for."""
    name = "bits and content"
    failures = []
    for one, other in _same_bytes(evidence, of_one_size=True):
        for what in _DECODED:
            pair = [evidence.steps.get((what, case)) for case in (one, other)]
            if any(step is None or step.failed for step in pair):
                continue
            images = [step.image() for step in pair if step is not None]
            if images[0].shape == images[1].shape and not np.array_equal(images[0], images[1]):
                size = evidence.steps[at.ENCODE, one].data.stat().st_size
                failures.append(f"{_case(one)} and {other[0]}: the same {size} bytes are decoded to two images")
                break
    if failures:
        return Check(name, "FAILED", "what tells images apart is not in the bytes", failures)
    constant = []
    by_shape: dict[tuple[float, tuple[int, ...]], list[int]] = {}
    for case in evidence.coded():
        size = evidence.steps[at.ENCODE, case].data.stat().st_size
        by_shape.setdefault((case[1], evidence.pictures[case[0]].image.shape), []).append(size)
    for (quality, (height, width, _)), sizes in by_shape.items():
        if len(sizes) > 2 and len(set(sizes)) == 1:
            of = f"{len(sizes)} images of {width}x{height}"
            constant.append(f"quality {quality_name(quality)}: {sizes[0]} bytes each for {of}")
    if constant:
        summary = "the same number of bytes whatever the content: of a fixed rate, or nominal"
        return Check(name, "warning", summary, constant)
    count = len(evidence.coded())
    return Check(name, "ok", f"{count} streams") if count else Check(name, "not done", "no image could be coded")


def size_in_stream(evidence: Evidence) -> Check:
    """The decoder finds the size of the image in the bytes."""
    name = "size"
    failures = []
    for one, other in _same_bytes(evidence, of_one_size=False):
        size = evidence.steps[at.ENCODE, one].data.stat().st_size
        both = " and ".join(_size(evidence.pictures[case[0]].image) for case in (one, other))
        failures.append(f"{_case(one)} and {other[0]}: the same {size} bytes for {both}")
    for case, own, fresh in evidence.both(at.OWN, at.FRESH):
        if fresh.failed is None and fresh.outcome.shape != own.outcome.shape:
            sizes = [f"{shape[1]}x{shape[0]}" for shape in (own.outcome.shape, fresh.outcome.shape) if shape]
            failures.append(f"{_case(case)}: {sizes[0]} beside the encoder, {sizes[-1]} in a fresh process")
    if failures:
        return Check(name, "FAILED", "the decoder has the size of the image from elsewhere", failures)
    count = len(evidence.coded())
    return Check(name, "ok", f"{count} streams") if count else Check(name, "not done", "no image could be coded")


def one_process(evidence: Evidence) -> Check:
    """Encoder and decoder need not be one process."""
    name = "one process"
    alone, count = [], 0
    for case, own, fresh in evidence.both(at.OWN, at.FRESH):
        count += 1
        if fresh.failed is not None:
            alone.append(f"{_case(case)}: decoded beside the encoder, in a fresh process {fresh.failed}")
        elif own.outcome.shape == fresh.outcome.shape and _far(own, fresh):
            alone.append(f"{_case(case)}: decoded beside the encoder, in a fresh process to another image")
    if alone:
        return Check(name, "FAILED", f"{len(alone)} of {count} streams need the process that encoded them", alone)
    if not count:
        return Check(name, "not done", "no stream to decode")
    return Check(name, "ok", f"{count} streams are decoded without the process that encoded them")


def names_of_files(evidence: Evidence) -> Check:
    """No name of a file or folder that encode makes says what the bytes do not."""
    name = "names"
    encoder = evidence.sessions["encoder"].outcomes
    made = [path for outcome in encoder for path in outcome.wrote]
    listed = {
        folder for (what, _), step in evidence.steps.items() if what in _DECODED[1:] for folder in step.outcome.listed
    }
    seen: dict[str, list[str]] = {}
    for path in made:
        folder = str(Path(path).parent)
        if folder in listed:
            seen.setdefault(folder, []).append(Path(path).name)
    if seen:
        lines = [
            f"decode lists {folder}, where encode made {len(set(names))} names, such as {names[0][:60]}"
            for folder, names in seen.items()
        ]
        return Check(name, "FAILED", "the decoder reads names that encode made", lines)
    empty = [path for path in evidence.left_by_encoder if _is_empty(path)]
    if empty:
        lines = [f"encode left {path[:120]}" for path in empty]
        return Check(name, "warning", "encode leaves files without content; the decoder did not list them here", lines)
    return Check(name, "ok", "none that encode made is listed by decode")


def python_objects(evidence: Evidence) -> Check:
    """Streams hold what the codec wrote, and not what Python adds to objects."""
    name = "Python objects"
    streams = {_case(case): evidence.steps[at.ENCODE, case].data for case in evidence.coded()}
    return objects_in(streams, name)


def objects_in(streams: Mapping[str, Path], name: str = "Python objects") -> Check:
    """The same of any files."""
    if not streams:
        return Check(name, "not done", "there is no stream")
    lines, shares = [], []
    for what, path in streams.items():
        data = path.read_bytes()
        found = overhead(data)
        if found is not None and found[1] > FAMILIAR * len(data):
            lines.append(f"{what}: {found[0]}, {found[1]} of {len(data)} bytes are no content")
            shares.append(found[1] / len(data))
    if lines:
        summary = f"up to {max(shares):.0%} of a stream is what Python writes around an object, and is charged as bits"
        return Check(name, "warning", summary, lines)
    return Check(name, "ok", f"none in {len(streams)} streams")


def overhead(data: bytes) -> tuple[str, int] | None:
    """What kind of Python's files `data` is, and how many of its bytes are no content; None if it is none.

    Pickles (wherever they begin), NumPy's .npy, and the archives of torch.save and numpy.savez are known.
    """
    if data[:4] == b"PK\x03\x04" and (content := _archived(data)) is not None:
        return "an archive as torch.save and numpy.savez write it", len(data) - content
    if data[:6] == b"\x93NUMPY" and len(data) > 10:
        wide = data[6] > 1
        length = int.from_bytes(data[8:12] if wide else data[8:10], "little") + (12 if wide else 10)
        return "a file of NumPy's", min(length, len(data))
    start = 0
    while (start := data.find(b"\x80", start)) >= 0:
        if data[start + 1 : start + 2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
            found = _pickled(data[start:])
            if found is not None:
                return "a pickle", found[0] - found[1]
        start += 1
    return None


def _pickled(data: bytes) -> tuple[int, int] | None:
    """(bytes of the pickle that `data` begins with, bytes of the bytes objects in it); None if it is no pickle.

    Nothing is loaded. A few bytes that happen to be a pickle hold no object of bytes or text, and do not count.
    """
    content = count = 0
    as_text = False  # before protocol 3, bytes are written as text that is encoded again
    try:
        for opcode, argument, place in pickletools.genops(io.BytesIO(data)):
            count += 1
            if isinstance(argument, bytes | bytearray):
                content += len(argument)
            elif opcode.name == "GLOBAL" and argument == "_codecs encode":
                as_text = True
            elif isinstance(argument, str) and as_text:
                content, as_text = content + len(argument), False
            if opcode.name == "STOP":
                return (int(place or 0) + 1, content) if content and count > 3 else None
    except (ValueError, IndexError, KeyError, OverflowError, EOFError):  # it is none
        return None
    return None


def _archived(data: bytes) -> int | None:
    """Bytes of the contents of an archive; None if it is none of Python's."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError):
        return None
    names = [member.filename for member in members]
    if not any(one.endswith((".npy", "data.pkl")) for one in names):
        return None
    return sum(member.compress_size for member in members if not member.filename.endswith(("data.pkl", "version")))


def _same_bytes(evidence: Evidence, *, of_one_size: bool) -> Iterable[tuple[Case, Case]]:
    """Pairs of cases of one quality with one byte string: of images of one size, or of two sizes."""
    found: dict[tuple[float, bytes, str], Case] = {}
    for case in evidence.coded():
        size = _size(evidence.pictures[case[0]].image)
        key = case[1], evidence.steps[at.ENCODE, case].bytes(), size if of_one_size else ""
        other = found.setdefault(key, case)
        if other != case and (of_one_size or size != _size(evidence.pictures[other[0]].image)):
            yield other, case


def _far(one: Step, other: Step) -> bool:
    """Further apart than rounding brings them."""
    error = mean_squared_error(one.image(), other.image())
    return error > 0 and psnr_from_mse(error) < ROUNDING_DB


def _is_empty(path: str) -> bool:
    try:
        return Path(path).is_file() and not Path(path).stat().st_size
    except OSError:
        return False


def _size(image: Image) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"


def _case(case: Case) -> str:
    return f"{case[0]} at quality {quality_name(case[1])}"
