"""A metric of sets as large as fd-effnet's that takes no network: for runs whose size is what matters."""

import numpy as np

PATCHES, DIMENSION = 5, 1280


class DrawnFeatures:
    higher_is_better = False
    distance = "frechet"
    protocol = "1"

    def __init__(self):
        self.projection = np.random.default_rng(0).normal(size=(192, DIMENSION)).astype(np.float32)

    def features(self, image):
        rows = np.linspace(0, image.shape[0] - 1, 40).astype(int)
        samples = image[rows][:, rows].astype(np.float32) / 255
        patches = [samples[5 * k : 5 * k + 8, 5 * k : 5 * k + 8].reshape(-1) for k in range(PATCHES)]
        return np.tanh(np.stack(patches) @ self.projection)
