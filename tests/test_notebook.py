"""The notebook of the documents runs from its first cell to its last, in a kernel of its own."""

from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from PIL import Image

from benchmark.datasets.shipped import FOLDER

NOTEBOOK = Path(__file__).parents[1] / "docs" / "python.ipynb"


def crops(folder: Path) -> str:
    """A Python expression for three arrays out of the first photographs, 128×96, which it reads from `folder`."""
    for number, path in enumerate(sorted(FOLDER.glob("*.png"))[:3]):
        with Image.open(path) as photo:
            np.save(folder / f"{number}.npy", np.asarray(photo.convert("RGB"))[100:196, 100:228])
    return f"[np.load(f'{folder}/{{number}}.npy') for number in range(3)]"


@pytest.mark.checkout
@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["crops", "photographs"])
def test_the_notebook_evaluates_a_model_in_memory_and_draws_a_pdf(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, whole: bool
) -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") for cell in notebook.cells), "outputs are not committed"
    if not whole:
        small = crops(tmp_path_factory.mktemp("crops"))
        evaluating = [cell for cell in notebook.cells if '"photos"' in cell.source and cell.cell_type == "code"]
        assert len(evaluating) == 2
        for cell in evaluating:
            cell.source = cell.source.replace('"photos"', small)
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    figure = (tmp_path / "rate-distortion.pdf").read_bytes()
    assert figure.startswith(b"%PDF")
    texts = [output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any(r"\toprule" in text for text in texts)
    assert [path.name for path in tmp_path.iterdir()] == ["rate-distortion.pdf"]
