"""The notebook of the documents runs from its first cell to its last, in a kernel of its own."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[1] / "docs" / "python.ipynb"


@pytest.mark.checkout
def test_the_notebook_evaluates_a_model_in_memory_and_draws_a_pdf(tmp_path: Path) -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") for cell in notebook.cells), "outputs are not committed"
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    figure = (tmp_path / "rate-distortion.pdf").read_bytes()
    assert figure.startswith(b"%PDF")
    texts = [output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any(r"\toprule" in text for text in texts)
    assert [path.name for path in tmp_path.iterdir()] == ["rate-distortion.pdf"]
