"""Metrics of a user's own, as a file of theirs: one of each kind, and those that misbehave."""

import os

import numpy as np

from benchmark.errors import Undefined


class Shift:
    """Signed, with all facts declared."""

    name = "shift"
    title = "Brightness shift"
    unit = "levels"
    higher_is_better = False
    signed = True
    margin = 0.25
    words = "mean of the reconstruction minus that of the original"
    protocol = "mean/rgb"
    aspect = "fidelity"

    def compare(self, original, reconstruction):
        return reconstruction.astype(float).mean() - original.astype(float).mean()


class Similarity:
    """Drawn in decibels; `prepare` once for each original."""

    higher_is_better = True
    scale = "decibel"

    def prepare(self, original):
        return original.astype(float)

    def compare(self, prepared, reconstruction):
        return 1 - np.abs(prepared - reconstruction).mean() / 255


class Rows:
    """Of sets, by a distance of the suite."""

    higher_is_better = False
    distance = "frechet"

    def features(self, image):
        return image[:4, :3, 0].astype(np.float32)


class Colours:
    """Of sets, with a distance and a setting of its own; one row per image."""

    higher_is_better = False

    def __init__(self, factor: float = 1.0):
        self.factor = factor

    def features(self, image):
        return image.mean((0, 1))

    def distance(self, originals, reconstructions):
        return self.factor * np.abs(np.concatenate(originals).mean(0) - np.concatenate(reconstructions).mean(0)).sum()


class Breaks(Colours):
    """Its distance raises."""

    def distance(self, originals, reconstructions):
        raise RuntimeError("no distance")


class Contrast:
    """Without a reference."""

    higher_is_better = True
    unit = "levels"

    def score(self, image):
        return image.astype(float).std()


class Raises:
    higher_is_better = True

    def compare(self, original, reconstruction):
        raise KeyError("no\nidea")


class Returns:
    """What `value` says."""

    higher_is_better = True

    def __init__(self, value: str):
        if value.startswith("tensor"):
            import torch

            self.value = {"tensor": torch.tensor(0.5), "tensors": torch.ones(1)}[value]
            return
        self.value = {
            "text": "0.5",
            "nothing": None,
            "nan": float("nan"),
            "huge": 1e308,
            "truth": True,
            "many": np.ones(3),
            "scalar": np.float32(0.5),
            "array": np.array(0.5),
        }[value]

    def compare(self, original, reconstruction):
        return self.value


class Undecided:
    higher_is_better = True

    def score(self, image):
        raise Undefined("too dark")


class WrongFeatures:
    """What `value` says, of an image whose first sample is 0; else one number."""

    higher_is_better = False
    distance = "frechet"

    def __init__(self, value: str):
        self.value = {
            "deep": np.ones((2, 2, 2)),
            "nan": np.array([np.nan]),
            "text": "none",
            "wide": np.ones(3),
            "empty": np.ones((2, 0)),
        }[value]

    def features(self, image):
        return np.ones(1) if image[0, 0, 0] else self.value


class Nothing:
    higher_is_better = True


class Both:
    higher_is_better = True

    def compare(self, original, reconstruction):
        return 0

    def score(self, image):
        return 0


class NoDirection:
    def score(self, image):
        return 0


class Psnr:
    name = "psnr"
    higher_is_better = True

    def score(self, image):
        return 0


class Path:
    name = "a/b"
    higher_is_better = True

    def score(self, image):
        return 0


class SignedShare:
    higher_is_better = True
    signed = True
    margin = "2 %"

    def score(self, image):
        return 0


class WrongMargin(SignedShare):
    signed = False
    margin = "two"


class WrongTitle(SignedShare):
    margin = None
    title = 3


class Wanders:
    """Leaves the working folder wherever it is called."""

    higher_is_better = True

    def __init__(self):
        os.chdir("/")

    def load(self):
        os.chdir("/")

    def compare(self, original, reconstruction):
        os.chdir("/")
        return 1.0


class Perfect:
    higher_is_better = True
    scale = "decibel"

    def compare(self, original, reconstruction):
        return 1.0


class LowDecibels(Shift):
    name = "low"
    scale = "decibel"
    signed = False


class WrongScale(SignedShare):
    margin = None
    scale = "log"


class NoDistance:
    higher_is_better = True
    distance = "wasserstein"

    def features(self, image):
        return np.ones(1)


class Nearer:
    """A distance without a direction: it has one."""

    distance = "frechet"

    def features(self, image):
        return image.reshape(-1, 3).astype(float)


class Farther(Nearer):
    higher_is_better = True


class Similar(Nearer):
    scale = "decibel"


class Quality(SignedShare):
    margin = None
    name = "quality"


class Capital(Shift):
    name = "SHIFT"


class Twin(Shift):
    """Another metric called "shift"."""


class Careless:
    """Writes to all that it is given."""

    higher_is_better = False

    def prepare(self, original):
        return {"original": original, "parts": (original[:4], [original[4:]])}

    def compare(self, prepared, reconstruction):
        value = float(prepared["original"].mean()) - float(prepared["parts"][1][0].mean())
        prepared["original"][:] = 0
        prepared["parts"][1][0][:] = 0
        reconstruction[:] = 0
        return value


class CarelessRows:
    """Normalises its features where they lie."""

    higher_is_better = False

    def features(self, image):
        return image.reshape(-1, 3).astype("float32")[:8]

    def distance(self, originals, reconstructions):
        for part in (*originals, *reconstructions):
            part /= 2
        whole = [sum(float(part.sum()) for part in side) for side in (originals, reconstructions)]
        return abs(whole[0] - whole[1])
