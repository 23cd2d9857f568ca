"""What the evidence says about a codec: one verdict a check, with what it rests on."""

import itertools
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmark.audit import evidence as at
from benchmark.audit.check import ROUNDING_DB, Check, Verdict
from benchmark.audit.child import Outcome
from benchmark.audit.evidence import Case, Evidence, Step
from benchmark.audit.information import (
    CHANCE_BITS,
    FAMILIAR,
    bits_and_content,
    enough_bits,
    names_of_files,
    one_process,
    python_objects,
    size_in_stream,
)
from benchmark.codecs import ESTIMATE_BYTES, ESTIMATE_SHARE
from benchmark.metrics.fidelity import mean_squared_error, psnr_from_mse
from benchmark.pixels import Image
from benchmark.results import quality_name

DEVICES_DB = 50.0
"""The same between devices, whose arithmetic may have fewer digits (TF32)."""


@dataclass(frozen=True)
class Question:
    """What a check asks. name: as the report has it. fails_if: in words, for the reference. judge: its verdict."""

    name: str
    fails_if: str
    judge: Callable[[Evidence], Check]


def judge(evidence: Evidence) -> list[Check]:
    """All checks, in the order of the report."""
    return [_judged(question, evidence) for question in CHECKS]


def _judged(question: Question, evidence: Evidence) -> Check:
    if not evidence.stopped:
        return question.judge(evidence)
    try:
        found = question.judge(evidence)
    except KeyError:  # of what was not done
        return Check(question.name, "not done", "the audit was stopped before")
    if found.verdict == "ok":
        return replace(found, verdict="not done", summary=f"the audit was stopped; until then {found.summary}")
    return found


def common_trouble(evidence: Evidence) -> str | None:
    """What every encode, or every decode of what was encoded, fails with, and its likely reason; None if they do not
    all fail in one way."""
    for what, name in ((at.ENCODE, "encode"), (at.OWN, "decode")):
        steps = [step for (done, _), step in evidence.steps.items() if done == what]
        messages = {_without_numbers(step.failed) for step in steps if step.failed is not None}
        failed = [step for step in steps if step.failed is not None]
        if len(steps) > 1 and len(failed) == len(steps) and len(messages) == 1:
            return f"every {name} fails in the same way: {failed[0].failed}{likely(failed[0])}"
    return None


def _without_numbers(text: str) -> str:
    return re.sub(r"\d+", "#", text)


_LIKELY = (
    ("No module named", "a package that the codec needs is not installed here"),
    ("audit works in an empty folder", ""),  # which says it
    ("No such file or directory", "a file that it expects in its working folder; name it in a setting"),
    ("Permission denied", "a folder or file that this user may not use"),
    ("CUDA", "the device: --device says which"),
    ("SIGKILL", "memory"),
    ("SIGSEGV", "a library in C that does not fit, or is given something else than it expects"),
    ("no answer", "it takes longer than --seconds, or never ends"),
    ("not bytes", "encode(image, quality) must return bytes"),
    ("NoneType", "a function without a return"),
    ("not uint8", "decode(data) must return a NumPy array, uint8 (height, width, 3)"),
)


def likely(step: Step) -> str:
    """The usual reason of such a failure, to be put behind it; "" if none is known."""
    return next((f"; likely {why}" if why else "" for words, why in _LIKELY if words in (step.failed or "")), "")


def bytes_and_pictures(evidence: Evidence) -> Check:
    """encode returns bytes, as many as it says; decode an image of the original's size, right in the process itself.

    Odd images have a check of their own.
    """
    name = "bytes and images"
    failures = []
    for case in [*evidence.cases, *evidence.rated]:
        step = evidence.steps[at.ENCODE, case]
        if evidence.pictures[case[0]].odd:
            continue
        problem = (
            step.failed or _wrong_length(step) or _wrong_picture(evidence, case, evidence.steps.get((at.OWN, case)))
        )
        if problem:
            failures.append(f"{_case(case)}: {problem}")
    if failures:
        return Check(name, "FAILED", f"{len(failures)} of {_count(evidence)} streams", failures)
    changed = [_case(case) for case in evidence.cases if evidence.steps[at.ENCODE, case].outcome.changed]
    if changed:
        return Check(name, "warning", "encode writes into the image that it is given", changed)
    return Check(name, "ok", f"{_count(evidence)} streams")


def fresh_process(evidence: Evidence) -> Check:
    """A decoder that has only the bytes finds the image that the encoder's process found."""
    return _same_pictures(evidence, "fresh process", at.OWN, at.FRESH, "decoded from the bytes alone")


def side_files(evidence: Evidence) -> Check:
    """Nothing but the bytes passes from encoder to decoder: no file, no connection, no process that stays."""
    failures: list[str] = []
    for what in (at.FRESH, at.FRESH_AGAIN, at.THREADS):
        for case in evidence.cases:
            step = evidence.steps.get((what, case))
            if step is not None:
                failures += [f"{_case(case)}: decode {problem}" for problem in _reached(evidence, step)]
    encoder = evidence.sessions["encoder"]
    if encoder.left_processes:
        failures.append("a process that encode started was still running after the encoder had ended")
    outside = [f"encode left {path}" for path in evidence.left_by_encoder]
    inside = [f"encode left {path} among its temporary and working folders" for path in encoder.left_files]
    if failures:
        failures = list(dict.fromkeys(failures))
        return Check("side files", "FAILED", "the decoder has more than the bytes", [*failures, *outside, *inside])
    programs = sorted({name for outcome in _outcomes(evidence) for name in outcome.programs})
    also = f"; it starts {', '.join(programs)}, whose files are not seen" if programs else ""
    if outside or inside:
        summary = "encode leaves files; the decoder did not read them here" + also
        return Check("side files", "warning", summary, [*outside, *inside])
    connected = [f"encode connected to {name}" for outcome in _outcomes(evidence) for name in outcome.connections]
    if connected:
        return Check("side files", "warning", "encode uses the network" + also, list(dict.fromkeys(connected)))
    return Check("side files", "ok", "none seen" + also)


def encode_twice(evidence: Evidence) -> Check:
    """The same image and quality give the same bytes."""
    name = "encode twice"
    failures = _other_bytes(evidence, at.ENCODE_AGAIN, "again in the same process")
    failures += _other_bytes(evidence, at.ENCODE_REPEATED, "in another process")
    if failures:
        return Check(name, "FAILED", f"encode is not deterministic: {len(failures)} streams differ", failures)
    threads = evidence.threads["threads"]
    if moved := _other_bytes(evidence, at.ENCODE_ELSEWHERE, f"with {_threads(threads)}, in another order"):
        return Check(name, "warning", f"{len(moved)} streams depend on the threads or the order of the images", moved)
    count = sum(1 for _ in evidence.both(at.ENCODE, at.ENCODE_AGAIN))
    if not count:
        return Check(name, "not done", "no image could be coded")
    return Check(name, "ok", f"{count} streams, the same bytes in two processes")


def decode_twice(evidence: Evidence) -> Check:
    """The same bytes give the same image, whatever was decoded before."""
    return _same_pictures(evidence, "decode twice", at.FRESH, at.FRESH_AGAIN, "decoded again, in another order")


def seeds(evidence: Evidence) -> Check:
    """A deterministic decoder ignores the seed; a stochastic one obeys it."""
    name = "seeds"
    found = [case for case in evidence.cases if (at.SEED_0, case) in evidence.steps]
    steps = [evidence.steps[what, case] for case in found for what in (at.SEED_0, at.SEED_0_AGAIN, at.SEED_1)]
    if not steps:
        return Check(name, "not done", "no stream to decode")
    if failed := [step.failed for step in steps if step.failed]:
        return Check(name, "FAILED", "decode fails with a seed", failed)
    first, again, other = (step.image() for step in steps)
    if not np.array_equal(first, again):
        return Check(name, "FAILED", "seed 0 gives two images", [_difference(first, again)])
    same = np.array_equal(first, other)
    if not evidence.opened.stochastic:
        if same:
            return Check(name, "ok", "deterministic, seeds make no difference")
        return Check(name, "FAILED", "the codec says that it is deterministic, but its image depends on the seed")
    if same:
        return Check(name, "warning", "the codec says that it is stochastic, but seeds 0 and 1 give the same image")
    return Check(name, "ok", f"seed 0 gives one image, seed 1 another ({_difference(first, other)})")


def thread_counts(evidence: Evidence) -> Check:
    """The number of threads does not change the image beyond rounding."""
    counts = f"{evidence.threads['decoder']} and {_threads(evidence.threads['threads'])}"
    return _same_pictures(evidence, "threads", at.FRESH, at.THREADS, f"decoded with {counts}")


def quality_scale(evidence: Evidence) -> Check:
    """A higher quality takes more bits, and changes the image."""
    name = "quality"
    lengths: dict[float, dict[str, int]] = {}
    for case in [*evidence.cases, *evidence.rated]:
        step = evidence.steps[at.ENCODE, case]
        if step.failed is None and not evidence.pictures[case[0]].odd:
            lengths.setdefault(case[1], {})[case[0]] = step.data.stat().st_size
    qualities = [quality for quality in evidence.qualities if quality in lengths]
    if len(qualities) < 2:
        return Check(name, "not done", f"{len(qualities)} quality, so no order")
    failures, warnings = [], []
    for low, high in itertools.pairwise(qualities):
        common = [picture for picture in lengths[low] if picture in lengths[high]]
        totals = [sum(lengths[quality][picture] for picture in common) for quality in (low, high)]
        between = f"quality {quality_name(low)} to {quality_name(high)}"
        if totals[1] < totals[0]:
            failures.append(f"{between}: fewer bytes, {totals[0]} to {totals[1]}")
        elif totals[1] == totals[0]:
            failures.append(f"{between}: the same {totals[0]} bytes")
        else:
            fewer = [picture for picture in common if lengths[high][picture] < lengths[low][picture]]
            warnings += [f"{between}: fewer bytes for {picture}" for picture in fewer]
    for (name_low, low), (name_high, high) in itertools.pairwise(evidence.cases):
        one, other = (evidence.steps[at.OWN, case] for case in ((name_low, low), (name_high, high)))
        if name_low == name_high and not one.failed and not other.failed and np.array_equal(one.image(), other.image()):
            failures.append(f"{_case((name_low, low))}: the same image as at quality {quality_name(high)}")
    if failures:
        return Check(name, "FAILED", "the quality does not order the rate, or is ignored", failures)
    if warnings:
        return Check(name, "warning", "in sum the rate follows the quality, not for each image", warnings)
    return Check(name, "ok", f"{len(qualities)} qualities, each takes more bits than the one before")


def estimated_rate(evidence: Evidence) -> Check:
    """The codec's own estimate of its bits agrees with the bytes on disk, image by image."""
    name = "estimated rate"
    if not evidence.opened.estimates:
        return Check(name, "not done", "the codec has no estimate_bits; the rate is that of the bytes on disk")
    failures, compared = [], 0
    for case in evidence.coded():
        step = evidence.steps[at.ESTIMATE, case]
        if step.failed or step.outcome.estimate is None:
            failures.append(f"{_case(case)}: {step.failed or 'no estimate'}")
            continue
        compared += 1
        payload = evidence.steps[at.ENCODE, case].data.stat().st_size - evidence.opened.header_bytes
        estimate = step.outcome.estimate / 8
        if not abs(payload - estimate) <= ESTIMATE_SHARE * payload + ESTIMATE_BYTES:
            failures.append(f"{_case(case)}: {estimate:.0f} bytes estimated, {payload} there without the header")
    if failures:
        return Check(name, "FAILED", f"{len(failures)} estimates are not the rate", failures)
    return Check(name, "ok", f"{compared} estimates within {ESTIMATE_SHARE:.0%} and {ESTIMATE_BYTES} bytes")


def odd_pictures(evidence: Evidence) -> Check:
    """Odd sizes, grey, flat and tiny images are coded, or refused with a reason."""
    name = "odd images"
    failures, refusals, fine = [], [], 0
    for case in evidence.cases:
        if not evidence.pictures[case[0]].odd:
            continue
        encode = evidence.steps[at.ENCODE, case]
        own = evidence.steps[at.OWN, case]
        trouble = encode.outcome.trouble
        if trouble is not None and trouble.kind in ("refused", "usage"):
            refusals.append(f"{case[0]}: refused: {trouble.message}")
        elif problem := encode.failed or _wrong_length(encode) or _wrong_picture(evidence, case, own):
            failures.append(f"{case[0]}: {problem}")
        else:
            fine += 1
    if failures:
        return Check(name, "FAILED", f"{len(failures)} of {fine + len(failures) + len(refusals)}", failures + refusals)
    if refusals:
        return Check(name, "warning", f"{len(refusals)} refused, {fine} fine", refusals)
    return Check(name, "ok", f"{fine} images") if fine else Check(name, "not done", "no odd images")


def damaged_streams(evidence: Evidence) -> Check:
    """A damaged stream ends in an error or in an image of the right size: no crash, no hang, no flood of memory.

    Another size is a warning where bytes were changed: a format without a checksum cannot know, and a run refuses such
    an image. It is a failure where the stream was only cut or lengthened.
    """
    name = "damaged streams"
    if not evidence.damaged or evidence.damage_source is None:
        return Check(name, "not done", "no stream that could be damaged")
    right = evidence.pictures[evidence.damage_source[0]].image.shape
    failures: list[str] = []
    warnings: list[str] = []
    counts: Counter[str] = Counter()
    for one in evidence.damaged:
        trouble = one.step.outcome.trouble
        what = f"{_case(evidence.damage_source)}, {one.damage.what}"
        if trouble is None and tuple(one.step.outcome.shape or ()) == right:
            counts["decoded to an image of the right size"] += 1
        elif trouble is None:
            counts["decoded to an image of another size"] += 1
            wrong_size = f"{what}: an image of {_size(one.step.outcome.shape)}"
            (warnings if one.damage.changed else failures).append(wrong_size)
        elif trouble.kind in ("refused", "usage"):
            counts["refused"] += 1
        elif trouble.kind in ("raised", "wrong"):
            counts["ended in an error that is no CorruptStream"] += 1
            warnings.append(f"{what}: {trouble.message}")
        else:
            counts["ended in a crash, without an answer, or without memory"] += 1
            failures.append(f"{what}: {trouble.message}")
    summary = ", ".join(f"{count} {what}" for what, count in counts.most_common())
    verdict: Verdict = "FAILED" if failures else "warning" if warnings else "ok"
    return Check(name, verdict, summary, failures + warnings)


def devices(evidence: Evidence) -> Check:
    """What is coded on one device is decoded on another."""
    name = "devices"
    if not evidence.devices:
        return Check(name, "not done", f"{evidence.plan.device} is the only device known here")
    failures, notes = [], []
    worst: float | None = None
    done = 0
    for device, trouble in evidence.devices.items():
        if trouble is not None:
            notes.append(f"{device}: {trouble}")
            continue
        pairs = (
            (at.OWN, f"decode on {device}", f"coded on {evidence.plan.device}, decoded on {device}"),
            (f"own on {device}", f"decode of {device}", f"coded on {device}, decoded on {evidence.plan.device}"),
        )
        for case in evidence.cases:
            encode = evidence.steps.get((f"encode on {device}", case))
            if encode is not None and encode.failed:
                failures.append(f"{_case(case)}, coded on {device}: {encode.failed}")
        for one, other, what in pairs:
            for case, first, second in evidence.both(one, other):
                done += 1
                if second.failed:
                    failures.append(f"{_case(case)}, {what}: {second.failed}")
                    continue
                distance = _psnr(first.image(), second.image())
                if distance is not None and distance < DEVICES_DB:
                    failures.append(f"{_case(case)}, {what}: {_difference(first.image(), second.image())}")
                elif distance is not None:
                    worst = distance if worst is None else min(worst, distance)
    if failures:
        return Check(name, "FAILED", f"{len(failures)} of {done} streams", failures + notes)
    if not done:
        return Check(name, "not done", "no other device could be used", notes)
    near = "identical" if worst is None else f"equal but for rounding, at least {worst:.1f} dB"
    return Check(name, "ok", f"{done} streams across {len(evidence.devices) - len(notes) + 1} devices: {near}", notes)


CHECKS: Sequence[Question] = (
    Question(
        "bytes and images",
        "`encode` returns no bytes or fewer than it says, or `decode` no image of the original's size",
        bytes_and_pictures,
    ),
    Question(
        "fresh process",
        "a decoder with nothing but the bytes, in another process and folder, does not find the encoder's image",
        fresh_process,
    ),
    Question(
        "one process",
        "a stream is decoded beside the encoder, and in a fresh process not, or to another image",
        one_process,
    ),
    Question(
        "side files",
        "`decode` reads what `encode` wrote, an original or a younger file, or connects to a network; or `encode` "
        "leaves a process",
        side_files,
    ),
    Question(
        "names",
        "`decode` lists a folder in which `encode` made files or folders: their names may say what the bytes do not",
        names_of_files,
    ),
    Question("encode twice", "the same image gives other bytes, in the same or in another process", encode_twice),
    Question("decode twice", "the same bytes give another image, in another order", decode_twice),
    Question("seeds", "a deterministic decoder depends on the seed, or a stochastic one does not keep to it", seeds),
    Question(
        "threads",
        f"another number of threads changes the image by more than rounding (PSNR below {ROUNDING_DB:g} dB)",
        thread_counts,
    ),
    Question("quality", "a higher quality takes no more bytes, or gives the same image", quality_scale),
    Question(
        "bits and content",
        "the same bytes are decoded to two images; a warning if all images of one size take the same number of bytes, "
        "which are then of a fixed rate or nominal",
        bits_and_content,
    ),
    Question(
        "enough bits",
        "random samples, drawn for this audit alone, come back nearer than anybody can bring them with so few bits "
        f"(Shannon's lower bound; an honest codec fails with a chance of 2^-{CHANCE_BITS})",
        enough_bits,
    ),
    Question(
        "Python objects",
        "never; a warning if a pickle, a file of NumPy's or an archive of torch.save charges more than "
        f"{FAMILIAR:.0%} of a stream for what is no content",
        python_objects,
    ),
    Question(
        "estimated rate",
        "a codec's `estimate_bits(image, quality)` is off by more than "
        f"{ESTIMATE_SHARE * 100:g} % + {ESTIMATE_BYTES} bytes, its `header_bytes` set aside",
        estimated_rate,
    ),
    Question(
        "size", "images of two sizes have the same bytes, or a fresh process decodes to another size", size_in_stream
    ),
    Question(
        "odd images",
        "a tiny, thin, odd-sized, grey or flat image ends in an error that is no refusal, in a crash, or in another "
        "size",
        odd_pictures,
    ),
    Question(
        "damaged streams",
        "a cut or changed stream ends in a crash, no answer, or a flood of memory; or a cut one in an image of "
        "another size",
        damaged_streams,
    ),
    Question(
        "devices",
        f"what one device codes another does not decode, except for rounding (PSNR below {DEVICES_DB:g} dB)",
        devices,
    ),
)
"""In the order of the report."""


def _same_pictures(evidence: Evidence, name: str, one: str, other: str, how: str) -> Check:
    failures: list[str] = []
    rounded: list[str] = []
    count = 0
    for case, first, second in evidence.both(one, other):
        count += 1
        if second.failed:
            failures.append(f"{_case(case)}, {how}: {second.failed}")
            continue
        before, after = first.image(), second.image()
        distance = _psnr(before, after)
        if distance is None:
            continue
        line = f"{_case(case)}, {how}: {_difference(before, after)}"
        (rounded if distance >= ROUNDING_DB else failures).append(line)
    if failures:
        return Check(name, "FAILED", f"{len(failures)} of {count} images are not the same", failures + rounded)
    if rounded:
        return Check(name, "warning", f"{len(rounded)} of {count} images differ by rounding", rounded)
    if not count:
        return Check(name, "not done", "no stream to decode")
    return Check(name, "ok", f"{count} images, {how}: identical")


def _reached(evidence: Evidence, step: Step) -> list[str]:
    """What decode touched that it must not."""
    outcome = step.outcome
    problems = [f"connected to {address}" for address in outcome.connections]
    originals = {str(path) for path in evidence.plan.originals}
    encoder_wrote = {path for other in evidence.sessions["encoder"].outcomes for path in other.wrote}
    for path, changed in outcome.read.items():
        if path in originals:
            problems.append(f"read an original: {path}")
        elif path.startswith(f"{evidence.root}/"):
            if not _in_sandbox(evidence.root, path):
                problems.append(f"read {path}, which belongs to the audit")
        elif path in encoder_wrote:
            problems.append(f"read {path}, which encode wrote")
        elif changed is not None and changed >= evidence.started and not _nobodys(path):
            problems.append(f"read {path}, which is younger than the encoder")
    return problems


def _nobodys(path: str) -> bool:
    """Files that are young without anyone's doing."""
    return path.startswith(("/proc/", "/sys/", "/dev/")) or "/__pycache__/" in path


def _in_sandbox(root: Path, path: str) -> bool:
    return Path(path).relative_to(root).parts[0].startswith("process-")


def _other_bytes(evidence: Evidence, what: str, how: str) -> list[str]:
    lines = []
    for case, first, second in evidence.both(at.ENCODE, what):
        if second.failed:
            lines.append(f"{_case(case)}, {how}: {second.failed}")
        elif first.bytes() != second.bytes():
            lengths = f"{first.data.stat().st_size} and {second.data.stat().st_size} bytes"
            lines.append(f"{_case(case)}, {how}: other bytes ({lengths})")
    return lines


def _wrong_length(step: Step) -> str | None:
    size = step.data.stat().st_size
    if step.outcome.length != size:
        return f"{step.outcome.length} bytes by its own account, {size} on disk"
    return None if size else "no bytes at all"


def _wrong_picture(evidence: Evidence, case: Case, own: Step | None) -> str | None:
    if own is None:
        return None
    if own.failed:
        return f"decode: {own.failed}"
    right = evidence.pictures[case[0]].image.shape
    if tuple(own.outcome.shape or ()) != right:
        return f"decode returned {_size(own.outcome.shape)}, the original is {_size(right)}"
    return None


def _outcomes(evidence: Evidence) -> Iterable[Outcome]:
    return evidence.sessions["encoder"].outcomes


def _count(evidence: Evidence) -> int:
    return sum(not evidence.pictures[name].odd for name, _ in [*evidence.cases, *evidence.rated])


def _case(case: Case) -> str:
    return f"{case[0]} at quality {quality_name(case[1])}"


def _size(shape: Sequence[int] | None) -> str:
    return "no image" if shape is None else f"{shape[1]}x{shape[0]}"


def _threads(count: int) -> str:
    return f"{count} thread" if count == 1 else f"{count} threads"


def _psnr(one: Image, other: Image) -> float | None:
    """dB between two images, None if they are identical, minus infinity if their sizes differ."""
    if one.shape != other.shape:
        return -math.inf
    error = mean_squared_error(one, other)
    return None if error == 0 else psnr_from_mse(error)


def _difference(one: Image, other: Image) -> str:
    if one.shape != other.shape:
        return f"{_size(one.shape)} and {_size(other.shape)}"
    apart = np.abs(one.astype(np.int16) - other)
    decibels = _psnr(one, other) or math.inf
    return f"{np.mean(apart > 0):.2%} of the samples differ, by up to {apart.max()}; {decibels:.1f} dB"
