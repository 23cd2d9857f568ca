"""How each number of a run was made, in plain words: from its manifest and the protocol of each metric."""

from collections.abc import Iterator

from benchmark.analysis.summary import dataset_label
from benchmark.identity import unknown_parts
from benchmark.metrics import BETWEEN, MetricInfo
from benchmark.metrics.records import BPP, info_of
from benchmark.protocols import PROTOCOLS
from benchmark.reconstructions import ELSEWHERE, WORDS
from benchmark.results import CodecRecord, Manifest, MetricRecord, quality_name


def explain(manifest: Manifest) -> list[tuple[str, list[str]]]:
    """(heading, sentences) on the images, each codec, each metric, intervals, seconds and the state of the code."""
    return [
        ("Images", list(_pictures(manifest))),
        *([("Protocol", list(_protocol(manifest.protocol)))] if manifest.protocol else []),
        *((f"Codec {codec}", list(_codec(codec, record, manifest))) for codec, record in manifest.codecs.items()),
        *(
            (_title(info_of(name, record)), list(_metric(info_of(name, record), record)))
            for name, record in {"bpp": BPP, **manifest.metrics}.items()
        ),
        ("Standard errors and intervals", list(_intervals(manifest))),
        ("Seconds", list(_seconds(manifest))),
        ("Made by", list(_made_by(manifest))),
    ]


def _pictures(manifest: Manifest) -> Iterator[str]:
    dataset = manifest.dataset
    count = len(dataset.pictures)
    yield f"{dataset_label(manifest)}: {count} image{'' if count == 1 else 's'}, known by the hashes of their files."
    if dataset.preparation == "none":
        yield "They are coded as the files hold them."
    else:
        yield f"Prepared before coding: {dataset.preparation}."
    if "quick look" in dataset.name:
        yield "A quick look: not all images of the set, so its numbers are not those of the whole set."


def _protocol(name: str) -> Iterator[str]:
    protocol = PROTOCOLS.get(name)
    if protocol is None:
        yield f"Made under the protocol {name}, which this version does not know."
        return
    yield f"Made under the protocol {name}: {protocol.title}, as read in {protocol.source}."
    for what in protocol.left_open:
        yield f"Left open, or other than there: {what}."


def _codec(name: str, record: CodecRecord, manifest: Manifest) -> Iterator[str]:
    qualities = ", ".join(map(quality_name, record.qualities))
    if record.bits == "real":
        yield f"Qualities {qualities}. Each image is encoded to bytes, and decoded from these bytes alone."
    else:
        yield f"Qualities {qualities}. Its images were {ELSEWHERE}. Its bits are {WORDS[record.bits]}."
    if record.stochastic:
        seeds = ", ".join(map(str, manifest.decoder_seeds))
        yield f"Its decoder draws random numbers; decoder seeds {seeds}, one set of bits for all."
    if record.spec not in (None, name):
        yield f"Its codec spec is {record.spec}."
    if record.trained_on:
        names = ", ".join(record.trained_on)
        yield f"It was trained on {names}: figures by that metric flatter it."
    if record.audited is not None and record.bits == "real":
        yield "An audit of it found nothing." if record.audited else "It has not been audited."
    described = "; ".join(f"{name}: {_flat(value)}" for name, value in record.description.items())
    if described:
        yield f"It describes itself as {described}."
    for part in unknown_parts(record.description):
        yield f"Not part of the identity: {part}."


def _flat(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_flat(item)}" for name, item in value.items()) or "none"
    if isinstance(value, list):
        return " ".join(map(_flat, value))
    return str(value)


def protocol_words(info: MetricInfo, protocol: str) -> list[tuple[str, str]]:
    """(part, what it means) for each part of a protocol of this metric."""
    first, *others = protocol.split("/")
    unknown = "this version has no words for it"
    return [(first, info.words or unknown), *((part, info.parts.get(part, unknown)) for part in others)]


def _title(info: MetricInfo) -> str:
    return f"{info.name} ({info.title})" if info.title != info.name else info.name


def _metric(info: MetricInfo, record: MetricRecord) -> Iterator[str]:
    yield f"Protocol {record.protocol}:"
    for part, words in protocol_words(info, record.protocol):
        yield f"- {part}: {words}"
    better = "Higher" if record.higher_is_better else "Lower"
    of = "one value for the whole set" if record.kind == "set" else "one value for each image"
    yield f"{better} is better; {of}{f', in {record.unit}' if record.unit else ''}."
    if record.kind == "no-reference":
        yield f"A value {BETWEEN[record.kind]}."
    if info.signed:
        yield "It may be negative, so no ratio of two values is given."


def _intervals(manifest: Manifest) -> Iterator[str]:
    count = len(manifest.dataset.pictures)
    yield "The unit is the image, since patches of one image are alike; what varies is which images were taken."
    yield f"Means: standard deviation over √n, n up to {count} images, and Student's t for the 95 % interval."
    if any(record.kind == "set" for record in manifest.metrics.values()):
        yield (
            "Distances between sets, ratios of totals and PSNR of the mean error: each image is left out in turn "
            "(jackknife); the interval allows for skewness."
        )
    yield "Intervals of two codecs on the same images may overlap although their difference is clear."
    if any(record.stochastic for record in manifest.codecs.values()):
        if len(manifest.decoder_seeds) > 1:
            yield f"stderr_seed is the spread over {len(manifest.decoder_seeds)} decoder seeds, in a column of its own."
        else:
            yield "One decoder seed: the spread over seeds is not known."


def _seconds(manifest: Manifest) -> Iterator[str]:
    if manifest.workers == 1:
        if manifest.timing:
            threads = f"{manifest.threads} thread{'' if manifest.threads == 1 else 's'}"
            yield (
                f"Measured alone, {manifest.timing} calls of each encode and decode on {threads}, and their median "
                "taken; loading and a first call are not in it."
            )
        else:
            yield "Not measured: `run --timing 3` does."
    else:
        yield f"Not measured: {manifest.workers} processes worked at once."


def _made_by(manifest: Manifest) -> Iterator[str]:
    version = manifest.packages.get("hfd-benchmark", "of unknown version")
    state = f"Commit {manifest.git_commit}" if manifest.git_commit else f"hfd-benchmark {version}, no commit known"
    changed = " with changes that were not committed" if manifest.git_dirty else ""
    yield f"{state}{changed}; {manifest.started}, device {manifest.device}; status {manifest.status}."
    for later in manifest.resumptions:
        changed = " with changes that were not committed" if later.git_dirty else ""
        yield f"Gone on with at {later.time}, commit {later.git_commit or 'unknown'}{changed}."
    yield ", ".join(f"{name} {version}" for name, version in manifest.packages.items()) + "."
    yield ", ".join(f"{name} {value}" for name, value in manifest.machine.items()) + "."
    if manifest.environment:
        yield ", ".join(f"{name}={value}" for name, value in manifest.environment.items()) + "."
