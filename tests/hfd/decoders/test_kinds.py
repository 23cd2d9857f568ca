"""The table of the kinds of decoders, and what codec, streams and commands take from it."""

import subprocess
import sys
from dataclasses import fields

import pytest
from typer.testing import CliRunner

from benchmark.cli.main import app
from benchmark.codecs import open_codec
from benchmark.errors import UsageError
from benchmark.hfd.codec import hfd
from benchmark.hfd.container import CODES, DECODERS
from benchmark.hfd.decoders import KINDS
from benchmark.registry import settings_of

kinds = pytest.mark.parametrize("name", KINDS)


def test_streams_name_decoders_by_the_numbers_that_they_always_had() -> None:
    assert CODES == {"mse": 0, "flow": 1, "diffusion": 2, "hific-small": 3, "one-step": 4, "energy": 5}
    assert {DECODERS[code]: code for code in DECODERS} == CODES
    assert next(iter(KINDS)) == "one-step"  # the default


def test_the_table_needs_no_torch() -> None:
    code = "import sys; from benchmark.hfd.container import CODES; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@kinds
def test_each_kind_says_what_it_is(name: str) -> None:
    decoder = KINDS[name].load()
    assert decoder.task.kind == name
    assert [setting.name for setting in settings_of(decoder.settings)] == [f.name for f in fields(decoder.settings)]  # type: ignore[arg-type]
    assert all(setting.description and setting.default for setting in settings_of(decoder.settings))
    listed = [s for s in settings_of(hfd) if s.description.startswith(f"decoder={name}: ")]
    assert len(listed) == len(fields(decoder.settings))  # type: ignore[arg-type]


@kinds
def test_a_command_has_the_options_of_its_recipe_alone(name: str) -> None:
    result = CliRunner().invoke(app, ["train", name, "--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    for kind in KINDS.values():
        for field in fields(kind.load().recipe):
            option = f"--{field.name.replace('_', '-')} "
            own = field.name in {f.name for f in fields(KINDS[name].load().recipe)}
            assert (option in result.output) is own, option
    assert ("--sampling-steps" in result.output) is (name != "one-step")


def test_an_option_of_another_kind_is_refused() -> None:
    result = CliRunner().invoke(app, ["train", "flow", ".", "--views"])
    assert result.exit_code == 2
    assert "--views" in result.output


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("hfd:shift=1", "the one-step decoder has no shift; decoder=diffusion and decoder=energy have it"),
        ("hfd:decoder=flow,shift=1", "the flow decoder has no shift; decoder=diffusion and decoder=energy have it"),
        ("hfd:steps=2", "has no steps; decoder=diffusion, decoder=flow and decoder=energy have it"),
        ("hfd:decoder=diffusion,sampler=ddim,noise=0.1", "sampler=ddim has no noise"),
        ("hfd:decoder=diffusion,noise=1.5", "codec hfd:decoder=diffusion: noise is a number from 0 to 1, not '1.5'"),
    ],
)
def test_settings_that_would_do_nothing_are_refused(spec: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        open_codec(spec)
