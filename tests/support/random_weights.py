"""Networks with random weights in place of those that are a download."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import torch

import benchmark.fetching
from benchmark.metrics import inception
from benchmark.metrics.extractors import load_extractor


@contextmanager
def random_inception(weights: Path) -> Iterator[torch.nn.Module]:
    """Inside, the suite finds Inception's weights at `weights`; yields torch-fidelity's own network with the same."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    torch.manual_seed(3)
    torch.save({}, weights)
    with patch.object(FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None):
        donor = FeatureExtractorInceptionV3("donor", ["2048"], feature_extractor_weights_path=str(weights))
    torch.save(donor.state_dict(), weights)
    with patch.object(benchmark.fetching, "inception_weights", lambda: weights):
        try:
            _forget()
            yield donor
        finally:
            _forget()


def _forget() -> None:
    for cached in (load_extractor, inception._network):
        cached.cache_clear()
