"""The group of studies: one way in, and one way to end, whatever is asked."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.pictures import write_pictures

from benchmark.cli.ablate import ablate
from benchmark.cli.decoders import decoders
from benchmark.cli.main import app, main
from benchmark.cli.studies import studies
from benchmark.images import write_png
from benchmark.studies.detail import VARIANTS

NAMES = [
    *("ablation", "contest", "decoders", "posterior", "detail", "departure", "seams", "metrics", "reference"),
    "exact-cost",
    *("network-speed", "profile", "device", "peers", "scale", "page-image", "coverage", "gate-errors", "intervals"),
    "documents",
]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path / "images", ["a.png", "b.png"])


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_the_group_has_all_and_two_of_them_are_commands_of_their_own() -> None:
    assert [command.name or command.callback.__name__ for command in studies.registered_commands] == NAMES  # type: ignore[union-attr]
    for group in (app, studies):
        callbacks = [command.callback for command in group.registered_commands]
        assert ablate in callbacks
        assert decoders in callbacks


def test_help_imports_no_torch_and_no_pandas() -> None:
    code = (
        "import sys; from benchmark.cli.main import app\n"
        "for words in (['studies', '--help'], *(['studies', name, '--help'] for name in sys.argv[1:])):\n"
        "    app(words, standalone_mode=False)\n"
        "assert not {'torch', 'pandas', 'matplotlib'} & set(sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code, *NAMES], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize(
    ("words", "exit_code", "message"),
    [
        (["posterior", "mse"], 2, "mse is no hfd codec: it draws no samples of an x̂"),
        (["posterior", "--quality", "3,many"], 2, "--quality '3,many': numbers with commas between"),
        (["posterior", "--samples", "99999999999"], 2, "--samples 99999999999: 2 to "),
        (["posterior", "hfd", "--image", "none.png"], 3, "none.png: no such file"),
        (["coverage", "--images", "8,many"], 2, "--images '8,many': whole numbers with commas between"),
        (["coverage", "--images", "1"], 2, "--images: numbers of at least 2 are needed"),
        (["coverage", "--only", "nothing"], 2, "--only nothing: there are mean over images, "),
        (["gate-errors", "--only", "nothing"], 2, "--only nothing: there are psnr"),
        (["gate-errors", "--family", "--only", "psnr"], 2, "--only chooses kinds of metrics"),
        (["detail", "--metric", "psnr"], 2, "--metric psnr: of single images, not of sets"),
        (["detail", "nothing", "--dataset", "images"], 2, "no codec is named 'nothing'"),
        (["page-image", "nowhere"], 3, "nowhere/index.html: no such file"),
        (["seams", "--tile", "40"], 2, "--tile 40: a multiple of 16"),
        (["seams", "images/a.png"], 2, "images/a.png: the image must have 384x256 pixels or more"),
        (["exact-cost", "none.png"], 3, "none.png: no such file"),
        (["exact-cost", "--first-stage", "none"], 3, "there are no weights at none"),
        (["network-speed", "--height", "20"], 2, "--height and --width must be positive multiples of 8"),
        (["profile", "--codec", "nothing"], 2, "no codec is named 'nothing'"),
        (["profile", "--codec", "tiny", "--only", "--dataset", "nowhere"], 2, "nowhere"),
        (["ablation", "colour"], 2, "there is no study 'colour'; there are steps"),
        (["decoders", "--codec", "nothing", "--dataset", "images"], 2, "no codec is named 'nothing'"),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(
    words: list[str], exit_code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("studies", *words) == exit_code
    told = capsys.readouterr()
    (line,) = told.err.splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert not told.out


def test_detail(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    (tmp_path / "larger").mkdir()
    for name in "ab":
        write_png(tmp_path / "larger" / f"{name}.png", generator.integers(0, 256, (64, 80, 3), dtype=np.uint8))
    words = ["--quality", "10", "--dataset", "larger", "--metric", "fd-effnet@whole"]
    assert call("studies", "detail", "jpeg", *words) == 0
    first, *rows = capsys.readouterr().out.splitlines()
    assert first.startswith("jpeg, quality 10, 2 images of larger")
    assert [row.strip().partition("  ")[0] for row in rows] == list(VARIANTS)


def test_network_speed(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("studies", "network-speed", "--height", "16", "--width", "16", "--rounds", "1") == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{'':50}       ms  GMAC/s\nconvolutions alone ")
    assert "FiLM folded, channels last, in strips, bfloat16: " in out


def test_profile(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ["--codec", "tiny", "--only", "--dataset", "images", "--metric", "psnr", "--quality", "2"]
    assert call("studies", "profile", *words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.endswith(" tiny encode") for line in lines)
    assert lines[-1].endswith(" h")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images"]


DECODERS = ("decoders", "--dataset", "images", "--metric", "psnr", "--crop", "16", "--workers", "1", "-o", "out")


def test_an_unknown_image_of_a_sheet_is_refused_before_the_run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert call(*DECODERS, "--codec", "tiny", "--image", "c") == 2
    assert "--image c: the data set has no such image; there are a, b" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_images_that_are_asked_for_are_shown_of_a_small_set_too(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmark.studies import decoders as module

    shown: list[str] = []

    def draw(rows: list[tuple[str, object]], title: str, output: Path) -> list[Path]:
        shown.extend(name for name, _ in rows)
        return []

    monkeypatch.setattr(module, "draw_sheet", draw)
    words = ["--codec", "tiny", "--codec", "noisy", "--sheet-quality", "4", "--image", "b"]
    assert call(*DECODERS, *words, "--quality", "2,4") == 0
    assert [name.partition(",")[0] for name in shown] == ["b"]


def test_decoders_that_fail_end_with_3_and_what_there_is(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert call(*DECODERS, "--codec", "wrong_shape") == 3
    told = capsys.readouterr()
    assert "failed: a: " in told.err
    assert "note: no sheet at quality 3: no codec coded anything" in told.err
    assert (tmp_path / "out" / "costs.csv").is_file()
    assert "Traceback" not in told.err
