"""The audit of each codec that a generative model decodes, with small random weights."""

from pathlib import Path

import pytest
import torch
from support.diffusion_folders import write_model, write_upscaler
from support.msillm_checkpoints import checkpoint
from support.ncnn_files import write_esrgan
from support.waves import waves

from benchmark.cli.main import main
from benchmark.images import png_bytes


def spec_of(name: str, folder: Path) -> str:
    """A codec spec, its weights in `folder`."""
    if name == "upscale:by=realesrgan":
        return f"{name},weights={write_esrgan(folder / 'esrgan.bin')}"
    if name == "msillm":
        torch.save(checkpoint(), folder / "msillm_target_0.14bpp.ckpt")
        return f"{name}:weights={folder}"
    if name.startswith("sd-"):
        pytest.importorskip("diffusers")
        pytest.importorskip("transformers")
        write = write_upscaler if name.startswith("sd-upscale") else write_model
        return f"{name},weights={write(folder)}"
    return name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "qualities"),
    [
        ("upscale:by=lanczos", "5,50"),
        ("upscale:by=lanczos,copy=jxl", "5,50"),
        ("upscale:by=realesrgan", "5,50"),
        ("sd-upscale:steps=2", "20,60"),
        ("sd-latent:steps=0", "3,7"),
        ("sd-latent:steps=4,strength=0.5", "3,7"),
        ("msillm", "3"),
    ],
)
def test_no_check_fails(name: str, qualities: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(png_bytes(waves(72, 96)))
    folder = tmp_path / "weights"
    folder.mkdir()
    arguments = ["--dataset", str(tmp_path / "images"), "--quality", qualities, "--damages", "12"]
    with pytest.raises(SystemExit) as ended:
        main(["audit", spec_of(name, folder), *arguments, "--output", str(tmp_path / "out")])
    assert ended.value.code == 0
    assert capsys.readouterr().out.splitlines()[-1] == "no check failed"
