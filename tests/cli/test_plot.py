"""plot: --published, whose value may be left out, and what each option does to the files."""

from pathlib import Path

import pytest
from support.baselines import synthetic

from benchmark.analysis.baseline import baseline_json
from benchmark.analysis.differences import joined_numbers
from benchmark.cli.main import main
from benchmark.cli.plot import _with_values

SUMMARY = Path(__file__).parents[2] / "reports" / "figures" / "kodak-summary.csv"
pytestmark = pytest.mark.checkout


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["here", "--published"], ["here", "--published="]),
        (["--published", "here"], ["--published=", "here"]),
        (["here", "--published", "--metric", "psnr"], ["here", "--published=", "--metric", "psnr"]),
        (["here", "--published", "jpeg,bpg"], ["here", "--published", "jpeg,bpg"]),
        (["here", "--published=all"], ["here", "--published=all"]),
        (["here"], ["here"]),
        ([], []),
    ],
)
def test_published_may_stand_alone(
    arguments: list[str], meant: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("here").mkdir()
    assert _with_values(arguments) == meant


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(["plot", str(SUMMARY), *arguments])
    assert isinstance(caught.value.code, int)
    return caught.value.code


@pytest.mark.checkout
def test_published_curves_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = ("--output", str(tmp_path / "plots"))
    assert call("--metric", "psnr", *output, "--published") == 0
    assert ">mbt2018-mean<" in (tmp_path / "plots" / "psnr.svg").read_text()
    assert call("--metric", "fd-effnet", *output, "--published") == 4
    assert "none of FD-EffNet on kodak" in capsys.readouterr().err
    assert call("--metric", "psnr", *output, "--published", "mbt2018-maen") == 2
    assert "did you mean mbt2018-mean" in capsys.readouterr().err


FLOW = "hfd:decoder=flow"


def test_a_figure_for_a_column_of_a_paper(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = [
        "--metric",
        "lpips",
        "--codec",
        "jpeg",
        "--codec",
        FLOW,
        "--label",
        f"{FLOW}=Ours",
        "--label",
        "jpeg=JPEG",
    ]
    options += ["--title", "Kodak", "--width", "3.3", "--font-size", "8", "--format", "svg,pdf", "--linear"]
    options += ["--intervals", "bands", "--xlim", "0:1.5", "--ylim", "lpips=0:0.6", "--no-caption", "--legend", "below"]
    style = tmp_path / "paper.mplstyle"
    style.write_text("axes.facecolor: ABCDEF\n")
    options += ["--style", str(style)]
    assert call(*options, "--output", str(tmp_path / "plots")) == 0
    written = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert [path.name for path in written] == ["lpips.svg", "lpips.pdf", "curves.svg", "curves.pdf"]
    assert written[1].read_bytes().startswith(b"%PDF")
    svg = written[0].read_text()
    assert 'width="237.6pt"' in svg  # 3.3 inches
    for part in (">Kodak<", ">Ours<", ">JPEG<", "#abcdef", ">1.5<"):
        assert part in svg
    assert svg.index(">JPEG<") < svg.index(">Ours<")
    assert "88970ca5" not in svg
    assert FLOW not in svg


def test_differences_from_a_baseline_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    numbers = joined_numbers([synthetic(), synthetic(psnr_loss=0.5)], [{"noisy": "jpeg"}, {"noisy": "mine"}])
    (tmp_path / "base.json").write_text(baseline_json(numbers))
    arguments = [str(tmp_path / "base.json"), "--metric", "psnr", "--relative-to", "jpeg", "--format", "svg"]
    with pytest.raises(SystemExit) as caught:
        main(["plot", *arguments])
    assert caught.value.code == 0
    first, _ = (Path(line) for line in capsys.readouterr().out.splitlines())
    assert first == tmp_path / "plots" / "psnr-relative-to-jpeg.svg"
    assert "PSNR minus that of jpeg (dB)" in first.read_text()
    assert call("--relative-to", "jpeg") == 2
    assert "name the run folder or a baseline file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--codec", "webp"), "no codec 'webp' was measured"),
        (("--label", "webp=x"), "label 'webp=x': CODEC=TEXT is needed"),
        (("--width", "0.1"), "width 0.1: between 1 and 50"),
        (("--font-size", "100"), "font size 100"),
        (("--format", "gif"), "format 'gif': there are png, svg, pdf, pgf"),
        (("--intervals", "lines"), "intervals 'lines': there are bars, bands, none"),
        (("--legend", "left"), "legend 'left'"),
        (("--xlim", "1"), "range '1': LOW:HIGH is needed"),
        (("--xlim", "0:1"), "a logarithmic axis begins above 0"),
        (("--ylim", "0:1"), "METRIC=LOW:HIGH is needed"),
        (("--ylim", "fid=0:1"), "ylim of 'fid': it is not drawn"),
        (("--style", "papre"), "style 'papre' is neither a file nor"),
        (("--height", "1"), "height 1: the panels need"),
        (("--metric", "fid"), "no curve of 'fid' can be drawn"),
    ],
)
def test_wrong_values_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    assert call(*arguments, "--output", str(tmp_path / "plots")) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
    assert not list(tmp_path.glob("plots/*"))
