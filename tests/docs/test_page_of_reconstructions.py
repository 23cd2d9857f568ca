"""The commands and the program of docs/how-to/reconstructions.md do what the page says."""

import io
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from benchmark.cli.main import main
from benchmark.results import RunFolder

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "reconstructions.md"

pytestmark = [pytest.mark.checkout, pytest.mark.slow]


def write_results() -> dict[int, list[np.ndarray]]:
    """Originals, JPEG's reconstructions of them as PNG, and a table of the bytes of these; quality -> images."""
    rows, images = ["image,quality,bytes"], {1: [], 2: []}
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:64, 0:64]
    Path("originals").mkdir()
    for number in range(3):
        waves = np.stack([127 + 90 * np.sin((x + number * y) / 9), 3 * x, 3 * y], axis=-1)
        original = np.clip(waves + rng.normal(0, 6, waves.shape), 0, 255).astype(np.uint8)
        Pillow.fromarray(original).save(f"originals/kodim0{number}.png")
        for quality in images:
            buffer = io.BytesIO()
            Pillow.fromarray(original).save(buffer, "JPEG", quality=25 * quality)
            rows.append(f"kodim0{number},{quality},{len(buffer.getvalue())}")
            image = np.array(Pillow.open(buffer))
            images[quality].append(image)
            Path(f"results/ours/{quality}").mkdir(parents=True, exist_ok=True)
            Pillow.fromarray(image).save(f"results/ours/{quality}/kodim0{number}.png")
    Path("results/bits.csv").write_text("\n".join(rows))
    return images


def test_what_the_page_shows_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    images = write_results()
    text = PAGE.read_text(encoding="utf-8")
    commands = [line for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    assert len(commands) == 5
    for command in commands:
        python, module, name, *arguments = shlex.split(command)
        assert (python, module, name) == ("python", "-m", "benchmark")
        with pytest.raises(SystemExit) as caught:
            main(tuple(arguments))
        assert caught.value.code in (None, 0), (command, capsys.readouterr().err)
    assert set(RunFolder.open(Path("both")).manifest.codecs) == {"jpeg", "Ours (stated bits)"}
    program = re.findall(r"<!-- from python -->\n```python\n(.*?)```", text, re.DOTALL)[0]
    exec(program, {"low": images[1], "high": images[2]})
    assert "theirs (nominal bits)" in capsys.readouterr().out
