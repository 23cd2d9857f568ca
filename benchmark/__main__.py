"""python -m benchmark."""

import importlib.util
import sys
from pathlib import Path


def foreign_package() -> str | None:
    """A line about a package that has one of the suite's names and is not the suite's; None if there is none.

    `datasets` is Hugging Face's name too.
    """
    root = Path(__file__).resolve().parents[1]
    for name in ("baselines", "datasets", "reports"):
        spec = importlib.util.find_spec(name)
        place = None if spec is None else spec.origin
        if place is None or root not in Path(place).resolve().parents:
            return (
                f"the package {name!r} that Python finds is {place or 'nowhere'}, not the suite's own; "
                f"start in {root}, or install the suite there with: pip install -e ."
            )
    return None


if trouble := foreign_package():
    print(f"error: {trouble}", file=sys.stderr)
    sys.exit(3)

from benchmark.cli.main import main  # noqa: E402  # the suite's own packages are sure to be found from here on

if __name__ == "__main__":  # worker processes import this module under another name
    main()
