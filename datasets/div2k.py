"""DIV2K (Agustsson and Timofte 2017): the 100 images of its validation set, as many papers evaluate on."""

from benchmark.datasets.archives import Archive, Archived

VALID = Archived(
    "div2k-valid",
    (
        Archive(
            "https://data.vision.ee.ethz.ch/cvl/DIV2K/DIV2K_valid_HR.zip",
            448_993_893,
            "20dd31fd84d777bc1cf5d6b7654a3f569c0aec74458ae094122ad1d0489900fc",
        ),
    ),
    100,
    licence="for academic research only; the images remain their owners', says the source",
)

open_valid, fetch_valid = VALID.open, VALID.fetch
