"""Ray on this machine, begun beside the opening of codecs, and gone with the run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.running.backends import connection

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
        command = [sys.executable, "-W", "ignore", "-c", PROGRAM, str(folder), executor, str(run)]
        ended = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=120)
        assert ended.returncode == 0, ended.stderr
        lines = map(json.loads, (run / "trials.jsonl").read_text().splitlines())
        records.append(
            sorted((line["image"], line["quality"], line["bytes"], line["metrics"]["psnr"]) for line in lines)
        )
    assert records[0] == records[1]
    assert len(records[0]) == 4


@pytest.mark.parametrize(
    ("installed", "before", "after"),
    [
        ("2.60.0", None, "token"),
        ("3.0.0rc1", None, "token"),
        ("2.60.0", "disabled", "disabled"),
        ("2.52.1", None, None),
    ],
)
def test_the_mode_of_tokens_is_set_before_the_cluster_s_thread_begins(
    installed: str, before: str | None, after: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Set in that thread, it was lost where foreign code was opened meanwhile: actors then died one after the other."""
    monkeypatch.setenv("RAY_AUTH_MODE", before or "")
    if before is None:
        monkeypatch.delenv("RAY_AUTH_MODE")
    found: list[str | None] = []
    monkeypatch.setattr(connection, "version", lambda name: installed)
    monkeypatch.setattr(connection._LocalCluster, "_live", lambda self: found.append(os.environ.get("RAY_AUTH_MODE")))
    connection._LocalCluster(1, lambda: None).end()
    assert found == [after]
