"""The readers of headers under attack, led by coverage: which mutants are followed is chosen by what they reach.

    pip install atheris && python tests/attacks/guided.py reader-hfd -runs=100000

The rest of the line is libFuzzer's. It serves what is written in Python; native decoders show no coverage here.
"""

import random
import sys
import tempfile
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[1]))

with atheris.instrument_imports(include=["benchmark.hfd.container", "benchmark.hfd.embedding", "benchmark.baselines"]):
    from attacks import child, targets
    from attacks.limits import SOUND
    from attacks.mutation import changed_bytes


def main() -> None:
    """See the module."""
    target = targets.open_target(sys.argv.pop(1), Path(tempfile.gettempdir()) / "attacks-weights")

    def decode(data: bytes) -> None:
        kind, word = child.decoded(target, data)
        if kind not in SOUND:
            raise RuntimeError(f"{kind}: {word}")

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        rng = random.Random(seed)
        changed = changed_bytes(rng, data or rng.choice(target.seeds), rng.choice(target.seeds))
        return (target.format.resealed(changed) if rng.random() < 0.7 else changed)[:most]

    with tempfile.TemporaryDirectory() as corpus:
        for place, seed in enumerate(target.seeds):
            (Path(corpus) / str(place)).write_bytes(seed)
        atheris.Setup([sys.argv[0], corpus, "-max_len=4096", *sys.argv[1:]], decode, custom_mutator=mutate)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
