"""Ray on this machine, begun beside the opening of codecs, and gone with the run."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.zygote import commands

from benchmark.containment import Containment
from benchmark.running.backends import connection

pytestmark = pytest.mark.long

pytest.importorskip("ray")

PROGRAM = """
import os, sys, threading
os.environ.pop("RAY_ADDRESS", None)
from benchmark.cli.main import main
sys.argv = ["benchmark", "run", "--only", "--codec", "jpeg", "--dataset", sys.argv[1], "--quality", "30,60",
            "--metric", "psnr", "--executor", sys.argv[2], "--workers", "2", "--output", sys.argv[3]]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
import ray
assert not ray.is_initialized()
assert [thread.name for thread in threading.enumerate() if thread.name == "ray"] == []
"""


def test_a_cluster_of_this_machine_begins_and_ends_with_the_run(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for name in "ab":
        Image.fromarray(generator.integers(0, 256, (48, 64, 3), dtype=np.uint8)).save(folder / f"{name}.png")
    records = []
    for executor in ("local", "ray"):
        run = tmp_path / executor
        words = (str(folder), executor, str(run))
        if executor == "local":
            code, _, errors = commands().run(*words, folder=tmp_path, script=PROGRAM)
        else:
            command = [sys.executable, "-W", "ignore", "-c", PROGRAM, *words]
            ended = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=600)
            code, errors = ended.returncode, ended.stderr
        assert code == 0, errors
        lines = map(json.loads, (run / "trials.jsonl").read_text().splitlines())
        records.append(
            sorted((line["image"], line["quality"], line["bytes"], line["metrics"]["psnr"]) for line in lines)
        )
    assert records[0] == records[1]
    assert len(records[0]) == 4


def test_no_foreign_code_is_opened_while_a_cluster_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray sets RAY_AUTH_MODE meanwhile; put back, it left processes that want a token beside others that send none."""
    monkeypatch.setenv("FOR_THE_CLUSTER", "")
    entered = threading.Event()

    def init(**options: object) -> None:
        entered.set()
        time.sleep(0.2)
        os.environ["FOR_THE_CLUSTER"] = "token"

    monkeypatch.setattr(connection, "_init", init)
    monkeypatch.setattr("ray.shutdown", lambda: None)
    cluster = connection._LocalCluster(1, lambda: None)
    entered.wait()
    with Containment().inside():
        assert os.environ["FOR_THE_CLUSTER"] == "token"
    cluster.wait()
    cluster.end()
    assert os.environ["FOR_THE_CLUSTER"] == "token"
