"""Recipes: their declarations, the classes with networks that keep the image, and what `recipes check` says."""

import ast
import importlib.util
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.web_pages import call

from benchmark.baselines import recipes
from benchmark.baselines.recipes import Recipe, names, read, recipe
from benchmark.baselines.recipes.check import check, require_packages, require_places, settings_of
from benchmark.codecs import parse_codec_spec
from benchmark.errors import BenchmarkError, UsageError

IMAGE = np.random.default_rng(0).integers(0, 256, (40, 72, 3), dtype=np.uint8)
CLASSES = [name for name in names() if not recipe(name).is_command]


# Declarations


@pytest.mark.parametrize("name", names())
def test_a_declaration_is_valid(name: str) -> None:
    one = recipe(name)
    assert one.run is None or one.run.weights in ("random", "trained")
    spec = parse_codec_spec(one.spec("/envs/x/bin/python", dict.fromkeys(one.places, "/somewhere")))
    assert "{python}" not in spec.text
    assert "{repository}" not in spec.text
    if one.is_command:
        assert not one.file.exists()
    else:
        assert spec.file == one.file
        assert spec.place == {"python": "/envs/x/bin/python"}


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_is_python_3_8_and_takes_the_settings_that_are_declared(name: str) -> None:
    one = recipe(name)
    tree = ast.parse(one.file.read_text(encoding="utf-8"), feature_version=(3, 8))
    (made,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == one.program)
    methods = {node.name: node.args for node in made.body if isinstance(node, ast.FunctionDef)}
    start = methods["__init__"]
    parameters = [parameter.arg for parameter in start.args[1:]]
    needed = parameters[: len(parameters) - len(start.defaults)]
    assert {key for key, place in one.places.items() if place.required} <= set(parameters)
    assert set(one.places) <= set(parameters)
    assert set(needed) - set(one.places) <= {"model", "rate"}  # a network's name, a rate: no file
    assert [argument.arg for argument in methods["encode"].args] == ["self", "image", "quality"]
    assert ("seed" in [argument.arg for argument in methods["decode"].args]) == one.stochastic


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_imports_nothing_of_the_suite(name: str) -> None:
    assert not re.search(r"\bbenchmark\b", recipe(name).file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", names())
def test_what_is_imported_is_what_is_declared(name: str) -> None:
    """At the top of the file; what lies in the peer's repository is imported later."""
    one = recipe(name)
    if one.is_command:
        return
    tree = ast.parse(one.file.read_text(encoding="utf-8"))
    top = {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
    assert top - sys.stdlib_module_names <= {"numpy", *one.packages}


def test_a_declaration_that_is_not_valid_is_one_line(tmp_path: Path) -> None:
    text = (recipes.FOLDER / "msillm" / "recipe.toml").read_text(encoding="utf-8")
    file = tmp_path / "mine" / "recipe.toml"
    file.parent.mkdir()
    wrong = {
        "bits: Input should be 'real', 'estimated' or 'nominal'": text.replace('bits = "real"', 'bits = "some"'),
        "colour: Extra inputs": f'colour = "red"\n{text}',
        "either [run] or not_run": f'not_run = "no time"\n{text}',
        "title: Field required": text.replace("title = ", "# "),
        "commit: String should match": re.sub('commit = ".', 'commit = "x', text),
        "Expected '='": "title",
    }
    for words, changed in wrong.items():
        file.write_text(changed, encoding="utf-8")
        with pytest.raises(BenchmarkError, match=re.escape(words)) as caught:
            read(file)
        assert "\n" not in str(caught.value)
    file.write_text(text, encoding="utf-8")
    assert read(file).name == "mine"


def test_the_list_has_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("recipes", "list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == names()
    for line in lines:
        one = recipe(line.split()[0])
        assert re.search(rf"{re.escape(one.title)} +{one.bits} +Python {re.escape(one.python)} +{one.status}$", line)


def test_a_recipe_that_there_is_not_is_named_with_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("recipes", "check", "nobody", "--python", sys.executable) == 2
    assert f"error: no recipe is named 'nobody'; there are {', '.join(names())}" in capsys.readouterr().err


@pytest.mark.parametrize("name", names())
def test_without_an_interpreter_it_says_how_to_make_one(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("recipes", "check", name) == 2
    said = capsys.readouterr().err
    assert f"error: {name} needs --python, an interpreter of its own (Python {recipe(name).python}): " in said
    assert f"python -m venv envs/{name} && envs/{name}/bin/pip install numpy " in said
    assert all(what in said.replace("'", "") for what in recipe(name).packages.values())


# Classes, with peers whose networks keep the image as it is


PEERS = {
    "msillm": {
        "neuralcompression/__init__.py": """
            import collections
            HyperpriorCompressedOutput = collections.namedtuple(
                "H", "latent_strings hyper_latent_strings image_size padded_size")
            """,
        "neuralcompression/zoo/__init__.py": """
            import numpy, torch
            from neuralcompression import HyperpriorCompressedOutput
            class Network(torch.nn.Module):
                factor = 64
                def update_tensor_devices(self, what):
                    assert what == "compress"
                def compress(self, x, force_cpu):
                    h, w = x.shape[2:]
                    padded = torch.nn.functional.pad(x, (0, -w % 64, 0, -h % 64))
                    data = (padded * 255).byte().numpy().tobytes()
                    return HyperpriorCompressedOutput([data], [b"hyper"], (h, w), padded.shape[2:])
                def decompress(self, coded, force_cpu):
                    assert coded.hyper_latent_strings == [b"hyper"]
                    h, w = coded.padded_size
                    x = numpy.frombuffer(coded.latent_strings[0], numpy.uint8).reshape(1, 3, h, w)
                    return torch.from_numpy(x / 255)[:, :, :coded.image_size[0], :coded.image_size[1]]
            def msillm_quality_3(pretrained):
                return Network()
            """,
    },
    "lic-tcm": {
        "models/__init__.py": """
            import numpy, torch
            class TCM(torch.nn.Module):
                def __init__(self, config, head_dim, drop_path_rate, N, M):
                    super().__init__()
                def update(self, force): pass
                def compress(self, x):
                    assert x.shape[2] % 128 == x.shape[3] % 128 == 0
                    return {"strings": [[(x * 255).byte().numpy().tobytes()], [b"z"]], "shape": None}
                def decompress(self, strings, shape):
                    (y,), (z,) = strings
                    assert z == b"z"
                    x = numpy.frombuffer(y, numpy.uint8).reshape(1, 3, 64 * shape[0], 64 * shape[1])
                    return {"x_hat": torch.from_numpy(x / 255)}
            """
    },
    "mlicpp": {
        "MLIC++/config/config.py": "def model_config(): return 7",
        "MLIC++/models/mlicpp.py": """
            import numpy, torch
            class MLICPlusPlus(torch.nn.Module):
                def __init__(self, config):
                    super().__init__()
                    assert config == 7
                def update(self, force): pass
                def compress(self, x):
                    return {"strings": [[(x * 255).byte().numpy().tobytes()], [b"z"]]}
                def decompress(self, strings, shape):
                    x = numpy.frombuffer(strings[0][0], numpy.uint8).reshape(1, 3, 64 * shape[0], 64 * shape[1])
                    return {"x_hat": torch.from_numpy(x / 255)}
            """,
    },
    "crdr": {
        "src/models/__init__.py": """
            import numpy, torch
            class Network(torch.nn.Module):
                def codec_setup(self): pass
                def compress(self, x, rate_ind):
                    header = numpy.array(x.shape[2:], numpy.uint16).tobytes() + bytes([1, int(16 * rate_ind)])
                    return {"string_list": [header, b"zz", ((x + 1) * 127.5).round().byte().numpy().tobytes()]}
                def decompress(self, strings, beta):
                    header, z, y = strings
                    assert z == b"zz" and beta == 3.84
                    h, w = numpy.frombuffer(header[:4], numpy.uint16)
                    x = numpy.frombuffer(y, numpy.uint8).reshape(1, 3, h, w)
                    return torch.from_numpy(x / 127.5 - 1), None, None
            def build_comp_model(options):
                return Network()
            """,
        "src/utils/options.py": """
            class TestConfig:
                def __init__(self, values, cfg_text): assert values["is_train"] is False
                @staticmethod
                def _file2dict_yaml(path): return {}, "", []
            """,
    },
    "stablecodec": {
        "src/my_utils/testing_utils.py": "def parse_args_testing(words): return words",
        "src/StableCodec.py": """
            import numpy, torch
            class Codec:
                def update(self, force): pass
            class StableCodec(torch.nn.Module):
                def __init__(self, sd_path, args):
                    super().__init__()
                    self.codec = Codec()
                def compress(self, x):
                    assert x.shape[2] % 256 == x.shape[3] % 256 == 0
                    data = ((x + 1) * 127.5).round().byte().numpy().tobytes()
                    return {"strings": [[b"a"], [data], [b"ccc"]], "shape": (x.shape[2] // 64, x.shape[3] // 64)}
                def decompress(self, strings, shape, prompt):
                    assert strings[0] == [b"a"] and strings[2] == [b"ccc"]
                    x = numpy.frombuffer(strings[1][0], numpy.uint8).reshape(1, 3, 64 * shape[0], 64 * shape[1])
                    return torch.from_numpy(x / 127.5 - 1)
            """,
    },
    "diffeic": {
        "ldm/xformers_state.py": "def disable_xformers(): pass",
        "omegaconf.py": "class OmegaConf: load = staticmethod(str)",
        "utils/common.py": """
            import torch
            class Network(torch.nn.Module):
                class preprocess_model:
                    update = staticmethod(lambda force: None)
                def freeze(self): pass
                def apply_condition_compress(self, x, path, height, width):
                    assert x.shape[2:] == (height, width)
                    torch.save(x, path)
                def apply_condition_decompress(self, path): return torch.load(path)
                def get_learned_conditioning(self, words): return None
                def decode_first_stage(self, x): return x * 2 - 1
            def instantiate_from_config(config): return Network()
            def load_state_dict(network, state, strict): assert state == {"a": 1, "b": 2}
            """,
        "model/spaced_sampler.py": """
            class SpacedSampler:
                def __init__(self, network, var_type): pass
                def sample(self, steps, shape, given, x_T, **rest):
                    (x,) = given["c_latent"]
                    assert (steps, shape) == (50, (1, 4, x.shape[2] // 8, x.shape[3] // 8)) and x_T.shape == shape
                    return x
            """,
    },
}
"""Recipe -> file of the repository -> what stands in it."""
OPEN = {
    "msillm": ({"weights": "random"}, 0.14),
    "lic-tcm": ({"weights": "random"}, 1.0),
    "mlicpp": ({"weights": "random", "device": "cpu"}, 1.0),
    "crdr": ({"weights": "random"}, 2.5),
    "stablecodec": ({"sd": "a", "elic": "b", "codec": "c", "device": "cpu"}, 1.0),
    "diffeic": ({"sd": "sd", "weights": "lc", "device": "cpu"}, 1.0),
}
"""Recipe -> settings beside the repository, quality."""


@pytest.fixture
def apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The modules of a peer are forgotten, and where they were looked for."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    gone = []
    for name, module in list(sys.modules.items()):
        spec = module.__dict__.get("__spec__")
        places = [] if spec is None else [spec.origin, *(spec.submodule_search_locations or ())]
        if any(place and Path(place).is_relative_to(tmp_path) for place in places):
            gone.append(name)
    for name in gone:
        del sys.modules[name]


def class_of(name: str) -> Any:
    one = recipe(name)
    spec = importlib.util.spec_from_file_location(f"recipe_{name.replace('-', '_')}", one.file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, one.program)


@pytest.mark.usefixtures("apart")
@pytest.mark.parametrize("name", PEERS)
def test_a_network_that_keeps_the_image_gives_it_back(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Size, padding, range of the values, order of the strings: all is in the bytes, and nothing else is used."""
    monkeypatch.chdir(tmp_path)
    for file, text in PEERS[name].items():
        (tmp_path / "peer" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "peer" / file).write_text(inspect.cleandoc(text), encoding="utf-8")
    if name == "diffeic":
        for file, key in (("sd", "a"), ("lc", "b")):
            torch.save({"state_dict": {key: "ab".index(key) + 1}}, tmp_path / file)
    settings, quality = OPEN[name]
    make = class_of(name)
    codec = make(repository=str(tmp_path / "peer"), **settings)
    data = codec.encode(IMAGE, quality)
    assert type(data) is bytes
    decoder = make(repository=str(tmp_path / "peer"), **settings)
    decoded = decoder.decode(data, 0) if codec.stochastic else decoder.decode(data)
    np.testing.assert_array_equal(decoded, IMAGE)
    assert decoded.dtype == np.uint8


def test_the_class_for_compressais_zoo_codes_networks_of_latent_codecs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from compressai.models import Cheng2020AnchorCheckerboard, MeanScaleHyperprior
    from compressai.zoo import image_models

    monkeypatch.setitem(image_models, "newest", lambda pretrained: Cheng2020AnchorCheckerboard(12))
    monkeypatch.setitem(image_models, "older", lambda quality, pretrained: MeanScaleHyperprior(24, 24))
    weights = str(tmp_path / "older.pth")
    torch.save({"state_dict": MeanScaleHyperprior(12, 16).state_dict()}, weights)
    make = class_of("compressai")
    for model, source in (("newest", "random"), ("older", "random"), ("older", weights)):
        codec = make(model, source)
        if model == "older":
            assert (12 if source == weights else 24) == codec.network.N
        data = codec.encode(IMAGE, 1.0)
        decoded = make(model, source).decode(data)
        assert decoded.shape == IMAGE.shape
        padded = np.pad(IMAGE, ((0, 88), (0, 56), (0, 0)), mode="edge")
        with torch.no_grad():
            coded = codec.network.compress(torch.from_numpy(padded).permute(2, 0, 1)[None].float() / 255)
            x = codec.network.decompress(coded["strings"], coded["shape"])["x_hat"][0, :, :40, :72]
        own = (x.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
        np.testing.assert_array_equal(decoded, own)
        assert len(data) == 4 + sum(4 + len(string) for (string,) in coded["strings"]) - 4


# What check says, with a peer that is made here and needs NumPy alone


DECLARED = """
title = "A stand-in"
paper = "https://example.org/paper"
repository = "https://example.org/peer"
licence = "none"
weights_licence = "none"
bits = "real"
bits_note = "All of them."
program = "Peer"
quality = "1 or 2"
python = "3.8 or newer"
not_run = "it is nobody's"
[packages]
json = "json-of-python"
[places.repository]
kind = "folder"
has = "peer.py"
text = "the peer"
how = "git clone https://example.org/peer"
[places.weights]
kind = "file"
words = ["random"]
required = false
text = "the weights"
how = "ask for them"
"""
CLASS = """
import sys
import numpy
class Peer:
    stochastic, qualities = False, (1.0, 2.0)
    def __init__(self, repository: str, weights: str = "random", lose: str = ""):
        sys.path.insert(0, repository)
        import peer
        self.peer, self.lose = peer, lose
    def encode(self, image, quality):
        self.kept = image
        if self.lose == "encode":
            raise ValueError("no\\nsuch image")
        return image.shape[0].to_bytes(2, "big") + self.peer.packed(image)
    def decode(self, data):
        if self.lose == "import":
            import a_package_of_nobody
        if self.lose == "bytes":
            return getattr(self, "kept", numpy.zeros((32, 32, 3), numpy.uint8))
        if self.lose == "shape":
            return numpy.zeros((3, 3, 3), numpy.uint8)
        return self.peer.unpacked(data[2:], int.from_bytes(data[:2], "big"))
"""
PEER = """
import numpy, zlib
def packed(image):
    return zlib.compress(image.tobytes())
def unpacked(data, height):
    return numpy.frombuffer(zlib.decompress(data), numpy.uint8).reshape(height, -1, 3)
"""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recipe]:
    folder = tmp_path / "recipes" / "stand-in"
    folder.mkdir(parents=True)
    (folder / "recipe.toml").write_text(DECLARED, encoding="utf-8")
    (folder / "codec.py").write_text(CLASS, encoding="utf-8")
    (tmp_path / "peer").mkdir()
    (tmp_path / "peer" / "peer.py").write_text(PEER, encoding="utf-8")
    monkeypatch.setattr(recipes, "FOLDER", tmp_path / "recipes")
    recipe.cache_clear()
    yield recipe("stand-in")
    recipe.cache_clear()


def test_a_codec_that_works_is_told_with_its_spec(
    stand_in: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ("--setting", f"repository={tmp_path / 'peer'}", "--setting", "weights=random")
    assert call("recipes", "check", "stand-in", "--python", sys.executable, *settings, "--size", "32") == 0
    lines = capsys.readouterr().out.splitlines()
    version = ".".join(map(str, sys.version_info[:3]))
    assert lines[0] == f"Python {version}, json: installed"
    assert re.fullmatch(r"encoded 32x32 at quality 1: [\d,]+ bytes, \d+\.\d{4} bits per pixel, real", lines[1])
    assert lines[2] == "decoded in another process, of the bytes alone: the same image, PSNR inf dB"
    spec = stand_in.spec(sys.executable, {"repository": str(tmp_path / "peer"), "weights": "random"})
    assert lines[3] == f"run it: --codec {spec}"
    assert call("run", "--only", "--codec", spec, "--limit", "1", "--metric", "psnr", "-o", str(tmp_path / "r")) == 0


@pytest.mark.parametrize(
    ("lose", "words"),
    [
        ("encode", "stand-in: encode: ValueError: no such image"),
        ("import", "-m pip install a_package_of_nobody, or what brings it"),
        ("bytes", "stand-in: another process decodes another image, up to 255 levels apart: the bytes alone do not"),
        ("shape", "stand-in: decoded as uint8 (3, 3, 3), not uint8 (32, 32, 3)"),
    ],
)
def test_a_codec_that_fails_is_told_in_a_line(lose: str, words: str, stand_in: Recipe, tmp_path: Path) -> None:
    image = np.full((32, 32, 3), 255, np.uint8)
    settings = {"repository": str(tmp_path / "peer"), "lose": lose}
    with pytest.raises(BenchmarkError, match=re.escape(words)) as caught:
        list(check(stand_in, sys.executable, settings, image, None, "cpu"))
    assert "\n" not in str(caught.value)


def test_what_is_missing_is_named_with_the_way_to_get_it(stand_in: Recipe, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as unsaid:
        require_places(stand_in, {})
    assert str(unsaid.value) == (
        "stand-in needs --setting repository=FOLDER: the peer; git clone https://example.org/peer"
    )
    there = str(tmp_path / "peer")
    wrong = {
        f"repository={tmp_path / 'x'}: there is no folder {tmp_path / 'x'}": {"repository": str(tmp_path / "x")},
        f"repository={tmp_path}: there is no peer.py in it": {"repository": str(tmp_path)},
        "weights=w.pt: there is no file w.pt: the weights; ask": {"repository": there, "weights": "w.pt"},
        "weights=w{q}.pt: there is no file": {"repository": there, "weights": "w{q}.pt"},
    }
    for words, settings in wrong.items():
        with pytest.raises(BenchmarkError, match=re.escape(f"stand-in: {words}")):
            require_places(stand_in, settings)
    (tmp_path / "w3.pt").write_bytes(b"")
    require_places(stand_in, {"repository": there, "weights": f"{tmp_path}/w{{q}}.pt"})


def test_a_package_and_an_interpreter_that_are_missing(stand_in: Recipe, tmp_path: Path) -> None:
    lacking = stand_in.model_copy(update={"packages": {"a_package_of_nobody": "nobody>=1", "json": "json"}})
    with pytest.raises(BenchmarkError) as caught:
        require_packages(lacking, sys.executable)
    version = ".".join(map(str, sys.version_info[:3]))
    assert str(caught.value) == (
        f"stand-in: {sys.executable} (Python {version}) has no a_package_of_nobody; "
        f"{sys.executable} -m pip install 'nobody>=1'"
    )
    with pytest.raises(UsageError, match="there is no program /nowhere/python"):
        require_packages(stand_in, "/nowhere/python")
    with pytest.raises(BenchmarkError, match="false: is no Python that runs: exit code 1"):
        require_packages(stand_in, "false")


def test_settings_follow_the_grammar_of_specs(stand_in: Recipe) -> None:
    assert settings_of(["a=1", 'b="x,y"'], stand_in) == {"a": "1", "b": "x,y"}
    assert settings_of([], stand_in) == {}
    with pytest.raises(UsageError, match="'a' is not key=value"):
        settings_of(["a"], stand_in)
    spec = parse_codec_spec(stand_in.spec("ssh host python", {"repository": "/a,b", "weights": "w:1"}))
    assert spec.settings == {"repository": "/a,b", "weights": "w:1"}
