"""What a training of the first stage moves, how fast, and what decays."""

import pytest

from benchmark.errors import UsageError
from benchmark.hfd.autoencoder import SMALL, Autoencoder
from benchmark.hfd.training.autoencoder import AutoencoderRecipe, _check_recipe, parameter_groups


def test_every_parameter_is_in_one_group_and_only_learned_kernels_decay() -> None:
    network = Autoencoder()
    names = {id(p): name for name, p in network.named_parameters()}
    decays = {
        names[id(p)]: group.get("weight_decay", 0.0)
        for group in parameter_groups(network, 0.3)
        for p in group["params"]
    }
    assert sorted(decays) == sorted(names.values())
    kept = {name for name, decay in decays.items() if not decay}
    assert kept == {"analysis.dct.weight", "synthesis.idct.weight", "log_gain", "entropy.log2_scale"}


def test_weight_decay_with_adam_is_refused() -> None:
    with pytest.raises(UsageError, match="weight-decay"):
        _check_recipe(SMALL, AutoencoderRecipe(optimiser="adam", weight_decay=0.1))
