"""A metric's facts as the records of a run keep them, so that every report works from the run alone."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from benchmark.metrics import rate, shipped_info
from benchmark.metrics.info import Metric, MetricInfo
from benchmark.results import MetricRecord

_RECORDED = [field.name for field in fields(MetricInfo) if field.name in MetricRecord.model_fields]


def _recorded(info: MetricInfo) -> dict[str, Any]:
    return {name: getattr(info, name) for name in _RECORDED}


BPP = MetricRecord(protocol=rate.PROTOCOL, **_recorded(rate.BPP))
"""The record of bits per pixel, which every trial has and no manifest lists."""


def record_of(metric: Metric, spec: str | None) -> MetricRecord:
    """What a run's manifest says of a metric. spec: what opens it again; None for an object."""
    return MetricRecord(
        protocol=metric.protocol,
        feature_key=getattr(metric, "feature_key", None),
        spec=spec,
        distance=getattr(metric, "distance_name", None),
        **_recorded(metric.info),
    )


def info_of(name: str, record: MetricRecord) -> MetricInfo:
    """The facts about the metric `name` of a run or baseline, from its record alone.

    Records of older runs have few of them; what they lack is as the suite has it, or plain.
    """
    known: Mapping[str, Any] = {"unit": record.unit, "higher_is_better": record.higher_is_better, "kind": record.kind}
    if record.title is not None:
        known = {field: getattr(record, field) for field in _RECORDED}
    info = shipped_info(name)
    if info is None:
        info = MetricInfo(name, name, record.kind, record.unit, record.higher_is_better, None, None)
    return replace(info, **known)
