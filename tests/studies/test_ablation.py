from pathlib import Path

import pandas as pd
import pytest

from benchmark.codecs import parse_codec_spec
from benchmark.errors import BenchmarkError, UsageError
from benchmark.hfd.weights import SHIPPED
from benchmark.studies.ablation import STUDIES, choose_studies, table_of, variants_of


def test_every_variant_is_a_spec_with_the_varied_setting() -> None:
    for name, study in STUDIES.items():
        for full in (False, True):
            variants = study.variants(full)
            assert len(variants) == len(study.lines) * len(study.values if full else study.quick)
            for spec, (line, value) in variants.items():
                settings = dict(parse_codec_spec(spec).settings)
                assert float(settings[name]) == value
                assert line in study.lines


def test_quick_values_are_among_the_full_ones_or_within_their_range() -> None:
    for study in STUDIES.values():
        assert min(study.values) <= min(study.quick)
        assert max(study.quick) <= max(study.values)


def test_specs_are_run_once_and_with_the_first_stage() -> None:
    specs = variants_of(STUDIES, full=False)
    assert specs[0] == "mse"
    assert len(specs) == len(set(specs))


def test_an_unknown_study_is_named() -> None:
    with pytest.raises(UsageError, match="no study 'colour'; there are steps"):
        choose_studies(["colour"])
    assert choose_studies([]) == STUDIES
    assert list(choose_studies(["noise"])) == ["noise"]


def test_the_table_has_the_study_and_its_start_alone() -> None:
    codecs = ["mse", "jpeg", "hfd:decoder=flow,noise=0.4", "hfd:decoder=flow,steps=2"]
    table = table_of(STUDIES["noise"], pd.DataFrame({"codec": codecs, "value": range(4)}), full=False)
    assert table["codec"].tolist() == ["mse", "hfd:decoder=flow,noise=0.4"]
    assert table["line"].tolist() == ["x̂", "flow: deviation of the start"]
    assert table["setting"].tolist()[1] == 0.4


def test_weights_make_a_study_of_what_they_were_trained_with(tmp_path: Path) -> None:
    file = SHIPPED / "flow-small.safetensors"
    studies = choose_studies([], [file])
    assert {name: study.variants(False) for name, study in studies.items()} == {
        "trained-kappa": {f"hfd:decoder=flow,weights={file}": ("flow", 1.0)}
    }
    assert list(choose_studies(["steps"], [file])) == ["steps", "trained-kappa"]
    (tmp_path / "x").write_bytes(b"no weights")
    for path, reason in (
        (tmp_path / "none", "there are no weights at"),
        (tmp_path / "x", "not a sound safetensors file"),
        (SHIPPED / "first-stage-small.safetensors", "'first stage' weights, not a score-based decoder's"),
    ):
        with pytest.raises(BenchmarkError, match=reason):
            choose_studies([], [path])
