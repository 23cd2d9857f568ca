"""Checkpoints in the public form: read, kept, refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from support.hific_checkpoints import SMALL, checkpoint, values_of

from benchmark.baselines.hific.weights import ADDRESSES, fetch, kept_file, load_hific, read_checkpoint
from benchmark.errors import BenchmarkError, UsageError
from benchmark.fetching import file_sha256


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCHMARK_CACHE", str(tmp_path / "cache"))


def save(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


def test_sizes_and_conventions_come_from_the_file(tmp_path: Path) -> None:
    config = replace(SMALL, likelihood="logistic", signed_range=False, blocks=3, latents=12)
    model, read = load_hific(save(tmp_path / "a.pt", checkpoint(config, regime="med")))
    assert model.config == read.config == config
    assert read.variant == "med"
    assert not any(parameter.requires_grad for parameter in model.parameters())
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, values_of(name, tuple(tensor.shape))), name


def test_what_fetch_keeps_is_the_same_model(checkpoint_file: Path) -> None:
    kept = fetch(checkpoint_file)
    assert kept == kept_file("low")
    public, own = read_checkpoint(checkpoint_file), read_checkpoint(kept)
    assert own.identity == public.identity
    assert (own.config, own.variant) == (public.config, "low")
    assert own.source == public.source == {"file": checkpoint_file.name, "sha256": file_sha256(checkpoint_file)}
    assert not any(name.startswith("Discriminator") for name in load_file(kept))
    assert {file.name for file in kept.parent.iterdir()} == {kept.name}


def test_a_folder_of_checkpoints(tmp_path: Path) -> None:
    folder = tmp_path / "public"
    folder.mkdir()
    save(folder / "HIFIC-med.pt", checkpoint(replace(SMALL, likelihood="logistic", signed_range=False)))
    save(folder / "hific_high.pt", checkpoint())
    assert fetch(folder) == kept_file("med").parent
    assert sorted(file.name for file in kept_file("med").parent.iterdir()) == [
        "hific-high.safetensors",
        "hific-med.safetensors",
    ]


def test_identity_changes_with_every_number_and_convention(tmp_path: Path) -> None:
    content = checkpoint()
    identities = [read_checkpoint(save(tmp_path / "a.pt", content)).identity]
    content["args"]["normalize_input_image"] = False
    identities.append(read_checkpoint(save(tmp_path / "b.pt", content)).identity)
    content["model_state_dict"]["Generator.conv_block_out.1.bias"][1] += 1e-6
    identities.append(read_checkpoint(save(tmp_path / "c.pt", content)).identity)
    content["model_state_dict"]["Discriminator.conv_out.bias"][0] += 1  # no part of the codec
    identities.append(read_checkpoint(save(tmp_path / "d.pt", content)).identity)
    assert len(set(identities)) == 3
    assert identities[2] == identities[3]


def test_names_of_a_model_that_was_trained_on_several_devices(tmp_path: Path, checkpoint_file: Path) -> None:
    content = checkpoint()
    content["model_state_dict"] = {f"module.{name}": value for name, value in content["model_state_dict"].items()}
    assert read_checkpoint(save(tmp_path / "a.pt", content)).identity == read_checkpoint(checkpoint_file).identity


def test_tables_of_the_public_entropy_coder_are_left_out(tmp_path: Path, checkpoint_file: Path) -> None:
    content = checkpoint()
    content["model_state_dict"]["Hyperprior.prior_entropy_model.CDF"] = torch.zeros(64, 9, dtype=torch.int32)
    content["model_state_dict"]["Hyperprior.hyperprior_entropy_model.CDF_length"] = torch.zeros(9)
    assert read_checkpoint(save(tmp_path / "a.pt", content)).identity == read_checkpoint(checkpoint_file).identity


@pytest.mark.parametrize(
    ("name", "regime", "variant"),
    [
        ("hific-low.pt", "low", "low"),
        ("HIFIC-high.pt", None, "high"),
        ("hific_v0.1_openimages_compression_gan_med.pt", "low", "med"),  # the name is meant, a default may not be
        ("weights.pt", "high", "high"),
        ("slowly.pt", None, None),
        ("low-or-high.pt", None, None),
        ("weights.pt", 7, None),
    ],
)
def test_variant(tmp_path: Path, name: str, regime: Any, variant: str | None) -> None:
    assert read_checkpoint(save(tmp_path / name, checkpoint(regime=regime))).variant == variant


class Foreign:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (print, ("this code was run",))


def changed(change: str) -> Any:
    content = checkpoint()
    state, arguments = content["model_state_dict"], content["args"]
    if change == "code":
        arguments["x"] = Foreign()
    elif change == "no args":
        del content["args"]
    elif change == "a list":
        return [1, 2]
    elif change == "state is a list":
        content["model_state_dict"] = []
    elif change == "mixture":
        arguments["use_latent_mixture_model"] = True
    elif change == "noise":
        arguments["sample_noise"] = True
    elif change == "instance norm":
        arguments["use_channel_norm"] = False
    elif change == "likelihood":
        arguments["likelihood_type"] = "laplace"
    elif change == "range":
        del arguments["normalize_input_image"]
    elif change == "blocks":
        arguments["n_residual_blocks"] = 9
    elif change == "missing":
        del state["Generator.upconv_block2.0.bias"]
    elif change == "no encoder":
        del state["Encoder.conv_block3.1.weight"]
    elif change == "no density":
        content["model_state_dict"] = {n: t for n, t in state.items() if "likelihood" not in n}
    elif change == "unknown":
        state["Generator.attention.weight"] = torch.zeros(3)
    elif change == "shape":
        state["Generator.conv_block_out.1.bias"] = torch.zeros(4)
    elif change == "not finite":
        state["Generator.conv_block_out.1.bias"][1] = float("nan")
    return content


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("code", "could run code"),
        ("no args", "no model_state_dict and args"),
        ("a list", "no HiFiC checkpoint"),
        ("state is a list", "no dictionary"),
        ("mixture", "mixture"),
        ("noise", "draws noise"),
        ("instance norm", "instance normalisation"),
        ("likelihood", "'laplace', not gaussian or logistic"),
        ("range", "normalize_input_image"),
        ("blocks", "n_residual_blocks 9, its weights 2"),
        ("missing", "no Generator.upconv_block2.0.bias"),
        ("no encoder", "no sound 'Encoder.conv_block3.1.weight'"),
        ("no density", "another architecture"),
        ("unknown", "Generator.attention.weight"),
        ("shape", "Generator.conv_block_out.1.bias"),
        ("not finite", "not finite"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str], change: str, words: str) -> None:
    path = save(tmp_path / "hific-low.pt", changed(change))
    with pytest.raises(BenchmarkError, match=words) as caught:
        load_hific(path)
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "this code was run" not in capfd.readouterr().out
    with pytest.raises(BenchmarkError):
        fetch(path)
    assert not kept_file("low").exists()


def test_bytes_that_are_no_checkpoint(tmp_path: Path, checkpoint_file: Path) -> None:
    whole = checkpoint_file.read_bytes()
    for name, content in {
        "text.pt": b"hello there, this is no checkpoint",
        "empty.pt": b"",
        "cut.pt": whole[: len(whole) // 2],
        "text.safetensors": b"hello there, this is no checkpoint",
        "empty.safetensors": b"",
    }.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(BenchmarkError, match=name) as caught:
            load_hific(path)
        assert "\n" not in str(caught.value)


def test_safetensors_of_something_else(tmp_path: Path, checkpoint_file: Path) -> None:
    path = tmp_path / "flow.safetensors"
    save_file({"a": torch.zeros(1)}, path, {"kind": "flow"})
    with pytest.raises(BenchmarkError, match="holds 'flow' weights"):
        load_hific(path)
    with safe_open(fetch(checkpoint_file), "pt") as file:
        metadata = file.metadata()
    configuration = json.loads(metadata["configuration"])
    save_file({"a": torch.zeros(1)}, path, {**metadata, "configuration": json.dumps(configuration | {"depth": 3})})
    with pytest.raises(BenchmarkError, match="not a sound weights file"):
        load_hific(path)
    save_file({"a": torch.zeros(1)}, path, metadata)
    with pytest.raises(BenchmarkError, match="another architecture"):
        load_hific(path)


def test_without_a_file_the_addresses_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not downloaded by this command") as caught:
        fetch(None)
    for address in ADDRESSES.values():
        assert address in str(caught.value)
    with pytest.raises(BenchmarkError, match="no such file"):
        fetch(tmp_path / "nowhere.pt")
    with pytest.raises(BenchmarkError, match="no checkpoint in this folder"):
        fetch(tmp_path)
    with pytest.raises(UsageError, match="give it one of the names hific-low"):
        fetch(save(tmp_path / "weights.pt", checkpoint(regime=None)))
