"""How many of a random sample of mutants the tests notice: `python tests/support/mutants.py --count 150`, with mutmut.

A mutant is the code with one small change: another operator, number or argument. `[tool.mutmut]` in pyproject.toml says
of which modules, and which tests are asked. It prints each mutant that no test noticed, and the share of those noticed.
"""

import argparse
import json
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

MUTANTS = Path("mutants")
SURVIVED = {0: "survived", 5: "no test calls it", 33: "no test calls it", None: "not run"}
"""By exit code of the tests; whatever else they end with, an endless loop included, they notice the mutant."""


def mutmut(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-m", "mutmut", *arguments], capture_output=True, text=True, check=False)


def outcomes() -> dict[str, int | None]:
    """Mutant -> exit code of its tests; None if it was not run."""
    found: dict[str, int | None] = {}
    for path in sorted(MUTANTS.rglob("*.py.meta")):
        found |= json.loads(path.read_text())["exit_code_by_key"]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--module", default="benchmark.", help="mutants whose names begin like this")
    parser.add_argument("--children", type=int, default=2)
    chosen = parser.parse_args()
    made = mutmut("run", "none of them")  # makes all, learns which test calls which, and says that none has the name
    names = sorted(name for name in outcomes() if name.startswith(chosen.module))
    if not names:
        sys.exit(made.stdout + made.stderr)
    sample = random.Random(chosen.seed).sample(names, min(chosen.count, len(names)))
    done = mutmut("run", "--max-children", str(chosen.children), *sample)
    codes = outcomes()
    if all(codes[name] is None for name in sample):
        sys.exit(done.stdout + done.stderr)
    told = Counter(SURVIVED.get(codes[name], "noticed") for name in sample)
    for name in sample:
        if codes[name] in SURVIVED:
            print(mutmut("show", name).stdout)
    print(f"of {len(names)} mutants {len(sample)} at random: {', '.join(f'{n} {told[n]}' for n in sorted(told))}")


if __name__ == "__main__":
    main()
