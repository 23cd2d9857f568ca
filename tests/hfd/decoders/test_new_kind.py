"""A new kind of decoder is a file and a line in the table: codec, streams, lists and commands take it from there."""

import json
from pathlib import Path

import numpy as np
import torch
from support.tiny_networks import TINY, TINY_UNET, first_stage_file, picture  # noqa: F401
from support.zygote import Zygote

from benchmark.hfd.score import ScoreNetwork
from benchmark.hfd.weights import load_autoencoder, write_weights

FILE = """
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from benchmark.hfd.decoders.decoder import Decoder, plain_network
from benchmark.hfd.training.decoder import DecoderRecipe, DecoderTask


@dataclass(frozen=True)
class Settings:
    share: Annotated[float, Field(ge=0, le=1, description="of the correction")] = 1.0

    @classmethod
    def of(cls, configuration):
        return cls()

    @classmethod
    def configuration(cls, training, steps):
        return {}

    def idle(self):
        return {}

    def __call__(self, predict, noise):
        return self.share * noise(0)


@dataclass(frozen=True)
class Recipe(DecoderRecipe):
    sharpness: Annotated[float, Field(ge=0, description="of what is learned")] = 2.0


class Task(DecoderTask[Recipe]):
    kind = "toy-kind"


DECODER = Decoder(Settings, plain_network, Task, Recipe)
"""
PROGRAM = """
import json, sys
import benchmark.hfd.decoders as decoders

folder, first_stage, weights, image = sys.argv[1:]
decoders.__path__.append(folder)
decoders.KINDS["toy-kind"] = decoders.Kind("toy-kind", 6, "The toy kind.")  # the line

import numpy as np
from typer.testing import CliRunner
from benchmark.cli.main import app
from benchmark.codecs import open_codec
from benchmark.errors import UsageError

def said(*words):
    return CliRunner().invoke(app, words, env={"COLUMNS": "200"}).output

image = np.load(image)
spec = f"hfd:first_stage={first_stage},weights={weights}"
codec = open_codec(spec)
data = codec.encode(image, 2)
x_hat = open_codec(spec + ",share=0").decode(open_codec(spec + ",share=0").encode(image, 2))
try:
    open_codec(spec + ",steps=2")
    refused = ""
except UsageError as error:
    refused = str(error)
print(json.dumps({
    "description": codec.describe()["decoder"]["kind"] if "kind" in codec.describe()["decoder"] else "",
    "code": data[3] & 15,
    "changed": bool((codec.decode(data) != x_hat).any()),
    "mse": bool((x_hat == open_codec(f"mse:first_stage={first_stage}").decode(
        open_codec(f"mse:first_stage={first_stage}").encode(image, 2))).all()),
    "refused": refused,
    "listed": said("list", "codecs", "--details"),
    "group": said("train", "--help"),
    "command": said("train", "toy-kind", "--help"),
}))
"""


def test_a_file_and_a_line_are_enough(
    first_stage_file: Path,  # noqa: F811
    picture: np.ndarray,  # noqa: F811
    tmp_path: Path,
    coding: Zygote,
) -> None:
    (tmp_path / "toy_kind.py").write_text(FILE)
    network = ScoreNetwork(TINY_UNET, TINY.levels)
    network.residual_deviation = torch.full((3, 3), 0.05)
    _, identity = load_autoencoder(first_stage_file)
    configuration = {"unet": TINY_UNET.as_json(), "levels": 3, "first_stage": identity}
    write_weights(tmp_path / "toy.safetensors", network, "toy-kind", configuration, {})
    np.save(tmp_path / "picture.npy", picture)
    arguments = [tmp_path, first_stage_file, tmp_path / "toy.safetensors", tmp_path / "picture.npy"]
    exit_code, out, errors = coding.run(*map(str, arguments), folder=tmp_path, script=PROGRAM)
    assert exit_code == 0, errors
    found = json.loads(out)
    assert found["code"] == 6
    assert found["changed"]
    assert found["mse"]
    assert found["refused"].startswith("codec hfd: the toy-kind decoder has no steps; decoder=")
    assert "decoder=toy-kind: of the correction" in " ".join(found["listed"].split())
    assert "The toy kind." in found["group"]
    assert "--sharpness" in found["command"]
    assert "--sampling-steps" not in found["command"]
