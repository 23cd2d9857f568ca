import subprocess
import sys
from dataclasses import replace

import pytest

from benchmark.errors import BenchmarkError, UsageError
from benchmark.metrics import (
    DEFAULT_METRICS,
    MADE_OF_SETTINGS,
    METRICS,
    PATCH_RULES,
    ImageMetric,
    NoReferenceMetric,
    RecodingMetric,
    SetMetric,
    metric_info,
    open_metric,
    parse_metric,
)
from benchmark.registry import Spec


@pytest.mark.parametrize("name", [name for name in METRICS if name not in MADE_OF_SETTINGS])
def test_every_metric_opens_and_says_what_it_is(name: str) -> None:
    info = metric_info(name)
    try:
        metric = open_metric(name)
    except BenchmarkError as error:  # of an extra, or of the user's own
        if "pip install" not in str(error):
            raise
        pytest.skip(str(error))
    assert replace(metric.info, parts={}) == replace(info, parts={})  # the version of its package is known now
    assert dict(metric.info.parts).items() >= dict(info.parts).items()
    assert metric.protocol.startswith(f"{name}/")
    kinds = {"image": (ImageMetric, RecodingMetric), "set": (SetMetric,), "no-reference": (NoReferenceMetric,)}
    assert isinstance(metric, kinds[info.kind])


def test_direction_unit_and_kind_are_known_without_opening() -> None:
    known = {name: metric_info(name) for name in METRICS if name not in MADE_OF_SETTINGS}
    higher = {name for name, info in known.items() if info.higher_is_better}
    assert {"psnr", "ms_ssim", "precision-effnet", "coverage-clip", "ssimulacra2", "vmaf"} <= higher
    assert higher.isdisjoint({"lpips", "dists", "flip", "fid", "kid", "cmmd", "niqe"})
    assert {name for name, info in known.items() if info.kind == "no-reference"} >= {"niqe", "musiq"}
    assert {"psnr", "lpips", "dists", "flip"} <= {name for name, info in known.items() if info.kind == "image"}
    assert metric_info("psnr").unit == "dB"
    assert set(DEFAULT_METRICS) <= set(METRICS)


def test_patches_follow_the_name() -> None:
    assert parse_metric("fd-effnet") == (Spec("fd-effnet", "fd-effnet"), None)
    assert parse_metric("fid@whole") == (Spec("fid", "fid"), "whole")
    info = metric_info("fd-effnet@patch256-hific")
    assert (info.name, info.patches, info.default_patches) == (
        "fd-effnet@patch256-hific",
        "patch256-hific",
        "patch128-hific",
    )


def test_a_rule_is_part_of_protocol_and_features() -> None:
    metrics = [open_metric(f"fd-effnet@{rule}") for rule in PATCH_RULES]
    assert len({metric.protocol for metric in metrics}) == len(PATCH_RULES)
    bare, asked = open_metric("fd-effnet"), open_metric("fd-effnet@patch128-hific")
    assert bare.protocol == asked.protocol == "fd-effnet/patch128-hific/efficientnet-lite0/bilinear-antialias"
    kernel = open_metric("kd-effnet")
    assert isinstance(bare, SetMetric)
    assert isinstance(kernel, SetMetric)
    assert bare.feature_key == kernel.feature_key
    assert bare.protocol != kernel.protocol


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("pnsr", "did you mean psnr"),
        ("psnr@whole", "compares whole images"),
        ("fid@", "no patch rule"),
        ("fid@patch64", "patch256-hific"),
        ("", "no metric"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(name: str, part: str) -> None:
    with pytest.raises(UsageError, match=part):
        metric_info(name)
    with pytest.raises(UsageError, match=part):
        open_metric(name)


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    code = (
        "import sys; from benchmark.metrics import METRICS, metric_info, open_metric; "
        "[metric_info(name) for name in METRICS if name != 'command']; "
        "open_metric('psnr'); open_metric('fd-effnet'); open_metric('kid'); "
        "print(sorted({'torch', 'scipy', 'lpips', 'pandas'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
