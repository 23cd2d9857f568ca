"""The photographs that come with the suite, in `datasets/photos/`; its README.md names their authors and licences."""

from pathlib import Path

from benchmark.datasets.pictures import Dataset, known_dataset, read_sha256sums

FOLDER = Path(__file__).parent / "photos"
PROVENANCE = FOLDER / "PROVENANCE.csv"
"""Each photograph's size, source, licence and author."""


def photos() -> Dataset:
    """24 photographs of 768x512 or 512x768 pixels. Raises BenchmarkError if a file is missing or was changed."""
    in_checkout = (FOLDER.parents[1] / ".git").exists()
    remedy = "`git checkout -- datasets/photos` restores it" if in_checkout else "install the suite again"
    return known_dataset(FOLDER, "photos", read_sha256sums(FOLDER / "SHA256SUMS"), remedy)
