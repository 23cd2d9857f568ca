"""Records of a run that need no run."""

from pathlib import Path
from typing import Any

from benchmark.fetching import file_sha256
from benchmark.results import CodecRecord, DatasetRecord, Manifest, MetricRecord, PictureRecord, Trial


def manifest(**changes: Any) -> Manifest:
    """Two images, two codecs at two qualities, psnr."""
    fields: dict[str, Any] = {
        "command": ["python", "-m", "benchmark", "run"],
        "git_commit": None,
        "git_dirty": None,
        "packages": {"python": "3.11"},
        "machine": {"system": "Linux", "cores": 2},
        "threads": 2,
        "workers": 1,
        "device": "cpu",
        "dataset": DatasetRecord(
            name="two",
            fingerprint="0123456789abcdef",
            preparation="none",
            pictures=[PictureRecord(name=name, sha256="0" * 64) for name in ("a", "b")],
        ),
        "codecs": {
            spec: CodecRecord(label=spec.replace(":", "-"), qualities=[1, 2.5], stochastic=spec == "n", description={})
            for spec in ("n", "t:x=1")
        },
        "metrics": {"psnr": MetricRecord(protocol="p", unit="dB", higher_is_better=True, kind="image")},
        "decoder_seeds": [0],
        "started": "2025-01-01T00:00:00+00:00",
    }
    return Manifest(**(fields | changes))


def with_hashes(folder: Path, own: Manifest) -> Manifest:
    """`own` with the SHA-256 of each image whose NAME.png is in `folder`."""
    files = {picture.name: folder / f"{picture.name}.png" for picture in own.dataset.pictures}
    pictures = [
        PictureRecord(name=name, sha256=file_sha256(file) if file.is_file() else "0" * 64)
        for name, file in files.items()
    ]
    return own.model_copy(update={"dataset": own.dataset.model_copy(update={"pictures": pictures})})


def trial(codec: str = "t:x=1", quality: float = 1, image: str = "a", seed: int | None = None, **fields: Any) -> Trial:
    values = {"height": 2, "width": 4, "bytes": 3, "bpp": 3.0, "metrics": {"psnr": 30.5}}
    return Trial(codec=codec, quality=quality, image=image, decoder_seed=seed, **(values | fields))
