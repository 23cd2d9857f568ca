"""The manifest of a run, and what keeps a run from going on under another one."""

import datetime
import json
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from benchmark.addresses import recorded
from benchmark.codecs import Codec, CodecSpec, is_unproven
from benchmark.compatibility import AUDIT, check_version
from benchmark.datasets import Dataset
from benchmark.errors import BenchmarkError, printable
from benchmark.foreign import ForeignCodec, trained_on
from benchmark.identity import NUMERIC_VARIABLES, variables
from benchmark.metrics.records import record_of
from benchmark.reading import parse_json, read_text, shown
from benchmark.reconstructions import bits_of
from benchmark.redaction import redacted, redacted_in
from benchmark.results import CodecRecord, DatasetRecord, Manifest, MetricRecord, PictureRecord, quality_name
from benchmark.running import provenance
from benchmark.running.measurement import Instruments

AUDITS = Path("results")
"""Where `python -m benchmark audit` leaves its reports."""


def now() -> str:
    """The time, ISO 8601, UTC."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def dataset_record(dataset: Dataset) -> DatasetRecord:
    pictures = [
        PictureRecord(
            name=picture.name,
            sha256=picture.sha256,
            path=recorded(picture.path),
        )
        for picture in dataset.pictures
    ]
    return DatasetRecord(
        name=dataset.name, fingerprint=dataset.fingerprint, preparation=dataset.preparation, pictures=pictures
    )


def codec_record(label: str, spec: CodecSpec | None, codec: Codec, qualities: Sequence[float]) -> CodecRecord:
    """What the manifest says of a codec. spec: None for an object. Raises BenchmarkError if it cannot describe itself.

    Whether it was audited is asked of the suite's own folder for audits, `results/`.
    """
    description = codec.describe()
    audited = None
    bits = bits_of(codec)
    if spec is None or bits != "real":
        audited = False
    elif is_unproven(spec):
        audited = audited_as(spec, description)
    return CodecRecord(
        label=CodecSpec(label, label).label,
        qualities=list(qualities),
        stochastic=codec.stochastic,
        description=redacted_in(description),
        spec=None if spec is None else spec.text,
        trained_on=list(trained_on(codec)),
        audited=audited,
        bits=bits,
    )


def audited_as(spec: CodecSpec, description: Mapping[str, Any]) -> bool:
    """Whether the audit of `spec` in its usual folder is of the codec that describes itself so, and found nothing."""
    try:
        file = AUDITS / f"audit-{spec.label}" / "audit.json"
        audit = parse_json(read_text(file), shown(file))
        check_version(shown(file), AUDIT, audit)
        there = audit["about"]["description"]
        passed = audit["failed"] == [] and len(audit["checks"]) > 0 and audit.get("complete", True) is True
        return audit["codec"] == spec.text and passed and there == json.loads(json.dumps(description))
    except (BenchmarkError, OSError, ValueError, KeyError, TypeError):
        return False


def metric_records(instruments: Instruments) -> dict[str, MetricRecord]:
    """By name, per-image metrics first."""
    return {name: record_of(metric, instruments.specs.get(name, name)) for name, metric in instruments.all.items()}


def new_manifest(
    dataset: Dataset,
    codecs: dict[str, CodecRecord],
    metrics: dict[str, MetricRecord],
    *,
    decoder_seeds: Sequence[int],
    device: str,
    keep_reconstructions: bool,
    workers: int,
    timing: int,
    threads: int,
    command: Sequence[str],
    protocol: str | None = None,
) -> Manifest:
    """The manifest of a run that starts now, here."""
    commit, dirty = provenance.checkout()
    manifest = Manifest(
        command=[printable(redacted(word)) for word in command],
        git_commit=commit,
        git_dirty=dirty,
        packages=provenance.packages(),
        environment=variables(NUMERIC_VARIABLES),
        machine=provenance.machine(),
        threads=threads,
        workers=workers,
        timing=timing,
        device=device,
        dataset=dataset_record(dataset),
        codecs=codecs,
        metrics=metrics,
        decoder_seeds=list(decoder_seeds),
        protocol=protocol,
        keep_reconstructions=keep_reconstructions,
        started=now(),
    )
    return Manifest.model_validate_json(manifest.model_dump_json())  # a description's tuples are lists once written


def differences(there: Manifest, asked: Manifest) -> list[str]:
    """What keeps the run `there` from going on as `asked`, in the user's words; empty if nothing does.

    Machine, workers and the state of the code may differ: the first two move only times, the third is noted. Codecs
    and decoder seeds that `asked` has besides are no matter.
    """
    old_data, new_data = (f"{m.dataset.name} ({m.dataset.fingerprint})" for m in (there, asked))
    lines = chain(
        _differ("data set", old_data, new_data),
        _relabelled(there, asked) or _lacking("codecs", there.codecs, asked.codecs),
        *(
            _codec_differences(text, there.codecs[text], asked.codecs[text])
            for text in _both(there.codecs, asked.codecs)
        ),
        _differ("metrics", _list(there.metrics), _list(asked.metrics)),
        *(
            _differ(f"protocol of {name}", there.metrics[name].protocol, asked.metrics[name].protocol)
            for name in _both(there.metrics, asked.metrics)
        ),
        _lacking("decoder seeds", there.decoder_seeds, asked.decoder_seeds),
        _differ("protocol", there.protocol or "none", asked.protocol or "none"),
        _differ("device", there.device, asked.device),
        _differ("timing", there.timing, asked.timing),
        _parts_differ("machine", there.machine, asked.machine) if asked.timing else (),
        _differ("reconstructions", *("kept" if m.keep_reconstructions else "not kept" for m in (there, asked))),
        _parts_differ("package", there.packages, asked.packages),
        _parts_differ("environment variable", there.environment, asked.environment),
    )
    return list(lines)


def check_same(manifest: Manifest, codecs: Mapping[str, Codec], instruments: Instruments) -> None:
    """Raises BenchmarkError if the files of a codec or metric of others are not what they were when the run began.

    Of codecs, hashes that both descriptions have are held against each other: another machine may lack some.
    """
    for label, codec in codecs.items():
        known = manifest.codecs.get(label)
        if known is None or not isinstance(codec, ForeignCodec):
            continue
        there = _hashes(known.description)
        here = _hashes(codec.describe())
        if changed := [name for name, sha256 in here.items() if there.get(name, sha256) != sha256]:
            raise BenchmarkError(_changed(label, ", ".join(changed)))
    for name, metric in instruments.all.items():
        record = manifest.metrics.get(name)
        if record is not None and record.protocol != metric.protocol:
            raise BenchmarkError(_changed(name, f"{metric.protocol}, not {record.protocol}"))


def _changed(what: str, parts: str) -> str:
    return f"{what} has changed since the run began ({parts}): put it back to go on, or start another run"


def _hashes(description: Mapping[str, Any], before: str = "") -> dict[str, str]:
    """The hashes of files in a description, by their names: "modules_sha256 net.py"."""
    found: dict[str, str] = {}
    for name, value in description.items():
        if isinstance(value, Mapping) and (name.endswith("_sha256") or before):
            found |= _hashes(value, f"{name} ")
        elif isinstance(value, str) and (name.endswith("_sha256") or before):
            found[f"{before}{name}"] = value
    return found


def _relabelled(there: Manifest, asked: Manifest) -> list[str]:
    """Codecs that the run knows by another label than the one that they are asked for by."""
    labels = {spec: label for label, record in asked.codecs.items() if (spec := record.spec_or(label)) is not None}
    return [
        f"it calls {spec} {old}, not {labels[spec]}; say --label {shlex.quote(f'{spec}={old}')}"
        if old != spec
        else f"it has {spec} without a label; leave --label {shlex.quote(f'{spec}={labels[spec]}')} out"
        for old, record in there.codecs.items()
        if old not in asked.codecs and (spec := record.spec_or(old)) in labels and spec is not None
    ]


def _codec_differences(text: str, there: CodecRecord, asked: CodecRecord) -> Iterator[str]:
    old_spec, new_spec = (codec.spec_or(text) or "an object" for codec in (there, asked))
    if old_spec != new_spec:
        yield f"{text}: {old_spec} there, {new_spec} asked"
        return
    old, new = (_list(map(quality_name, codec.qualities)) for codec in (there, asked))
    yield from _differ(f"qualities of {text}", old, new)
    yield from _parts_differ(text, there.description, asked.description)


def _parts_differ(what: str, there: Mapping[str, Any], asked: Mapping[str, Any]) -> Iterator[str]:
    for part in dict.fromkeys([*there, *asked]):
        old, new = there.get(part, "none"), asked.get(part, "none")
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from _parts_differ(f"{what} {part}", old, new)
        else:
            yield from _differ(f"{what} {part}", old, new)


def _differ(what: str, there: object, asked: object) -> Iterator[str]:
    if there != asked:
        yield f"{what}: {there} there, {asked} asked"


def _lacking(what: str, there: Collection[Any], asked: Collection[Any]) -> Iterator[str]:
    if not set(there) <= set(asked):
        yield f"{what}: {_list(there)} there, {_list(asked)} asked (others may be added, none left out)"


def _both(there: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    return [name for name in there if name in asked]


def _list(items: Any) -> str:
    return ",".join(map(str, items)) or "none"
