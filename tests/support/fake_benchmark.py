"""python -m benchmark, which knows the fake codecs as well; its worker processes import this file again."""

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from support import fake_codecs
from support.zygote import Process, commands

from benchmark.cli.main import main

fake_codecs.register()


PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2


def obey_modes() -> None:
    """Called in a process before it starts a program: the modes of files then count for root as for anyone."""
    prctl = ctypes.CDLL(None).prctl
    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


PROGRAM = f"import runpy; runpy.run_path({__file__!r}, run_name='__main__')"


def start(*arguments: str, folder: Path, before: Callable[[], None] | None = None) -> "subprocess.Popen[str] | Process":
    """A process that runs the command line `arguments` in `folder`, with pipes for its output.

    before: called in the new process before the program starts, which then is one from its beginning: with signals that
    are ignored here, and an order of sets of its own. Else it is a copy of one that has imported the suite.
    """
    if before is None:
        zygote = commands()
        variables = {name: os.environ.get(name) for name in (*zygote.variables, *os.environ)}
        variables |= {name: zygote.variables[name] for name in ("PYTHONPATH", "OMP_NUM_THREADS")}
        return Process(zygote, *arguments, folder=folder, script=PROGRAM, variables=variables)
    tests = Path(__file__).parents[1]
    return subprocess.Popen(
        [sys.executable, "-P", __file__, *arguments],  # the modules beside this file would hide packages of their names
        cwd=folder,
        env=os.environ | {"PYTHONPATH": f"{tests}{os.pathsep}{tests.parent}", "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=before,
    )


if __name__ == "__main__":
    main()
