"""python -m benchmark, which knows the fake codecs as well; its worker processes import this file again."""

import os
import subprocess
import sys
from pathlib import Path

from support import fake_codecs

from benchmark.cli.main import main

fake_codecs.register()


def start(*arguments: str, folder: Path) -> "subprocess.Popen[str]":
    """A process that runs the command line `arguments` in `folder`, with pipes for its output."""
    tests = Path(__file__).parents[1]
    return subprocess.Popen(
        [sys.executable, __file__, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": f"{tests}{os.pathsep}{tests.parent}", "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


if __name__ == "__main__":
    main()
