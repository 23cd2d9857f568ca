"""Runs on Ray's own test cluster, several nodes on this machine: equal to local ones, and nodes and workers that go."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support import fake_codecs, own_metrics
from support.fake_benchmark import start
from support.pictures import write_pictures
from support.web_server import served

from benchmark.codecs import open_codec
from benchmark.datasets import dataset_of
from benchmark.errors import BenchmarkError, UsageError
from benchmark.images import load_image
from benchmark.reports.outcome import sum_up
from benchmark.results import RunFolder, Trial
from benchmark.running.backends.cluster import (
    IN_HAND,
    Bench,
    Place,
    Reservation,
    check_is_there,
    parse_executor,
    parse_reservation,
    reservations,
)
from benchmark.running.plan import PlannedTrial
from benchmark.running.run import Request, open_run

pytestmark = pytest.mark.long

ray = pytest.importorskip("ray")

FAKES = Path(fake_codecs.__file__)
SLOW, NOISY, DIES = (f"{FAKES}:{name}" for name in ("Slow", "noisy", "Dies"))
NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
with socket.socket() as _unused:
    _unused.bind(("127.0.0.1", 0))
    CLIENT_PORT = _unused.getsockname()[1]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The cache folder of the nodes."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCHMARK_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="module")
def cluster(cache: Path) -> Iterator[Any]:
    """Two nodes of one CPU each, at which clients are served too."""
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    head = NODE | {"include_dashboard": False, "ray_client_server_port": CLIENT_PORT}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    cluster.add_node(**NODE)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("pictures"), [f"{name}.png" for name in "abcdef"])


def request(pictures: Path, output: Path, executor: str = "ray", **changes: Any) -> Request:
    asked = Request(
        codecs=[SLOW, NOISY], decoder_seeds="0,1", dataset=str(pictures), metrics=["psnr"], output=output,
        workers=2 if executor == "ray" else 1, executor=executor,
    )  # fmt: skip
    return replace(asked, **changes)


def run(asked: Request) -> list[Trial]:
    with open_run(asked) as ready:
        return list(ready.execute())


def records(folder: Path) -> dict[Any, dict[str, Any]]:
    """The trials by key, each there once; reasons why there is no time apart."""
    found = {}
    for line in (folder / "trials.jsonl").read_text().splitlines():
        record = json.loads(line)
        record["reasons"] = {n: r for n, r in record["reasons"].items() if not n.endswith("_seconds")}
        key = (record["codec"], record["quality"], record["decoder_seed"], record["image"])
        assert key not in found
        found[key] = record
    return found


def files(folder: Path) -> dict[str, bytes]:
    places = [path for part in ("features", "reconstructions") for path in (folder / part).rglob("*")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in places if path.is_file()}


def test_an_actor_computes_features_once(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of an original are one file, whatever the number of metrics that use them."""
    monkeypatch.setattr(
        "benchmark.running.backends.cluster.limit_threads", lambda threads: None
    )  # this process stays as it is, and is on no cluster
    monkeypatch.setattr("benchmark.running.backends.cluster._here", lambda: Place("", ""))
    asked = request(pictures, tmp_path / "run", "local", metrics=["fd-effnet@whole", "kd-effnet@whole"])
    with open_run(asked) as ready:
        bench = Bench()
        assert bench.open(ready.setup, ready.folder.manifest.model_dump_json(), str(tmp_path / "none")) == Place("", "")
        sent = []
        for planned in ready.trials[:2]:  # of one image
            measured = bench.measure(planned, original_is_known=False)
            assert not isinstance(measured, BenchmarkError)
            sent += [name for name, _ in measured[1]]
    assert len(sent) == len(set(sent)) == 3


@pytest.mark.slow
def test_equals_a_local_run(cluster: Any, pictures: Path, tmp_path: Path) -> None:
    metrics = ["psnr", "fd-effnet@whole"]
    for executor in ("local", "ray"):
        run(request(pictures, tmp_path / executor, executor, metrics=metrics, keep_reconstructions=True, workers=1))
        with open_run(
            request(pictures, tmp_path / executor, executor, metrics=metrics, keep_reconstructions=True, workers=1)
        ) as ready:
            assert not ready.trials
            sum_up(ready.folder)
    assert records(tmp_path / "ray") == records(tmp_path / "local")
    assert files(tmp_path / "ray") == files(tmp_path / "local")
    assert len(files(tmp_path / "ray")) == 6 + 36 + 36 + 24  # features of originals and trials; images, streams
    for name in ("summary.csv", "leave-one-out.json"):
        same = (tmp_path / "ray" / name).read_bytes() == (tmp_path / "local" / name).read_bytes()
        assert same == (name == "summary.csv")  # the other one names its trials.jsonl by hash
    reasons = RunFolder.open(tmp_path / "ray").trials()[0].reasons
    assert reasons["decode_seconds"] == "not measured alone: on a cluster"


@pytest.mark.slow
def test_actors_read_addresses(cluster: Any, pictures: Path, tmp_path: Path) -> None:
    asked: list[str] = []
    with served(pictures, asked.append) as address:
        run(request(pictures, tmp_path / "ray", dataset=f"{address}/"))
    run(request(pictures, tmp_path / "local", "local"))
    assert records(tmp_path / "ray") == records(tmp_path / "local")
    reads = Counter(path for path in asked if path.endswith(".png"))
    assert len(reads) == 6
    assert min(reads.values()) >= 2  # here for its hash, and by an actor


def test_arrays_are_sent_to_whoever_lacks_them(
    cluster: Any, cache: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = dataset_of(
        ((path.stem, load_image(path)) for path in sorted(pictures.iterdir())), folder=tmp_path / "arrays"
    )
    run(request(pictures, tmp_path / "local", "local"))

    def elsewhere(planned: PlannedTrial) -> PlannedTrial:
        return replace(planned, path=Path("/nowhere", Path(planned.path).name))

    monkeypatch.setattr("benchmark.running.backends.cluster._absolute", elsewhere)
    monkeypatch.setattr("benchmark.running.backends.cluster.CONTENTS", 2)
    run(request(pictures, tmp_path / "ray", dataset=images))
    assert records(tmp_path / "ray") == records(tmp_path / "local")
    assert {path.name for path in (cache / "arrays").iterdir()} == {
        f"image-{each.sha256}.ppm" for each in images.pictures
    }


@pytest.mark.parametrize("executors", [("local", "ray"), pytest.param(("ray", "local"), marks=pytest.mark.slow)])
def test_begun_here_and_ended_there(executors: tuple[str, str], cluster: Any, pictures: Path, tmp_path: Path) -> None:
    first, second = executors
    kept = {"keep_reconstructions": True}
    asked = request(pictures, tmp_path / "run", first, **kept)
    with open_run(asked) as ready, contextlib.closing(ready.execute()) as trials:
        for _ in range(5):
            next(trials)
    assert len(records(tmp_path / "run")) == 5
    assert len(run(request(pictures, tmp_path / "run", second, **kept))) == 36 - 5
    run(request(pictures, tmp_path / "whole", "local", **kept))
    assert records(tmp_path / "run") == records(tmp_path / "whole")
    assert files(tmp_path / "run") == files(tmp_path / "whole")
    assert RunFolder.open(tmp_path / "run").manifest.status == "complete"


@pytest.mark.slow
def test_no_more_is_sent_than_a_worker_has_in_hand(cluster: Any, pictures: Path, tmp_path: Path) -> None:
    codec = f"{FAKES}:waits:folder={tmp_path},seconds=0"
    asked = request(pictures, tmp_path / "run", codecs=[codec], only=True)
    with open_run(asked) as ready, contextlib.closing(ready.execute()) as trials:
        for taken in (1, 2, 3):
            next(trials)
            time.sleep(0.5)
            assert len(list(tmp_path.glob("decoding-*"))) <= taken + 2 * IN_HAND
        assert len(list(trials)) == 12 - 3


@pytest.mark.slow
def test_a_codec_that_kills_its_worker_costs_its_trials_only(cluster: Any, tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "pictures", ["a.png", "c.png"])
    write_pictures(folder, ["b.png"], corner=0)
    trials = run(request(folder, tmp_path / "run", codecs=[DIES], only=True, qualities=["2"]))
    assert {trial.image: trial.error is None for trial in trials} == {"a": True, "b": False, "c": True}
    (error,) = (trial.error for trial in trials if trial.error is not None)
    assert error.startswith("3 workers ended during this trial: ")


@pytest.mark.slow
def test_a_crash_is_told_with_its_line_and_a_trial_without_end_is_ended(cluster: Any, tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "pictures", ["a.png"])
    (tmp_path / "mine.py").write_text(
        "import ctypes, time\nclass Mine:\n    qualities = (1, 2, 3)\n    def encode(self, image, quality):\n"
        "        if quality == 2: ctypes.string_at(0)\n        if quality == 3: time.sleep(1000)\n"
        "        return bytes(image.shape[:2]) + image.tobytes()\n    def decode(self, data):\n"
        "        import numpy\n        return numpy.frombuffer(data[2:], 'u1').reshape(data[0], data[1], 3)\n"
    )
    asked = request(
        folder, tmp_path / "run", codecs=[f"{tmp_path}/mine.py:Mine"], only=True, time_limit=30.0, workers=1
    )
    errors = {trial.quality: trial.error for trial in run(asked)}
    assert errors[1] is None
    assert errors[3] == "the worker ended during this trial: no end after 30 seconds; it was killed"
    assert str(errors[2]).startswith("3 workers ended during this trial: ")
    place, _, path = str(errors[2]).rpartition("; ")
    assert place.endswith("(mine.py:5 in encode)")
    assert 'mine.py", line 5 in encode' in (tmp_path / "run" / path).read_text()


@pytest.mark.slow
def test_a_metric_that_ends_its_process_fails_alone(cluster: Any, tmp_path: Path) -> None:
    """On that image, of each kind and in each way; the reasons are those of a run on this machine."""
    (tmp_path / "mine.py").write_text(
        "import ctypes, os, signal, time\nENDS = {'crash': lambda: ctypes.string_at(0),\n"
        "    'leave': lambda: ctypes.CDLL(None)._exit(0), 'kill': lambda: os.kill(os.getpid(), signal.SIGKILL),\n"
        "    'hang': lambda: time.sleep(1000)}\n"
        "class Base:\n    higher_is_better = True\n"
        "    def __init__(self, how: str):\n        self.how = self.name = how\n"
        "    def value(self, image):\n        if image.shape[0] > 20:\n            ENDS[self.how]()\n"
        "        return 1.0\n"
        "class Mine(Base):\n    def compare(self, original, reconstruction):\n        return self.value(original)\n"
        "class Alone(Base):\n    def score(self, image):\n        return self.value(image)\n"
        "class Features(Base):\n    distance = 'frechet'\n    higher_is_better = False\n"
        "    def features(self, image):\n        return [self.value(image), image.mean()]\n"
    )
    folder = write_pictures(tmp_path / "pictures", ["a.png", "c.png"])
    write_pictures(folder, ["b.png"], size=(48, 32))
    own = (
        f"{tmp_path}/mine.py:{name}"
        for name in ("Mine:how=crash", "Alone:how=leave", "Features:how=kill", "Mine:how=hang")
    )
    common: dict[str, Any] = {
        "codecs": [f"{FAKES}:tiny"], "only": True, "qualities": ["2"], "metrics": ["psnr", *own], "time_limit": 20.0
    }  # fmt: skip
    run(request(folder, tmp_path / "ray", **common))
    run(request(folder, tmp_path / "local", "local", **common))
    found, same = records(tmp_path / "ray"), records(tmp_path / "local")
    for key, record in found.items():
        assert record["error"] is None
        assert record["metrics"] == same[key]["metrics"]
        told, expected = record["reasons"], same[key]["reasons"]
        assert told.keys() == expected.keys()
        if key[-1] == "b":
            assert told.keys() == {"crash", "leave", "kill", "hang"}
            assert {why.partition(": the")[0] for why in told.values()} == {"failed"}
            assert all("the worker process ended in it: " in why for why in [*told.values(), *expected.values()])
            assert "(mine.py:2 in <lambda>)" in told["crash"]
            assert told["hang"].endswith("no end after 20 seconds; it was killed")


@pytest.mark.slow
def test_what_a_worker_cannot_do_ends_the_run(cluster: Any, pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="tiny: quality 9 is not between 1 and 8"):
        run(request(pictures, tmp_path / "run", qualities=["9"]))
    assert RunFolder.open(tmp_path / "run").manifest.status == "interrupted"


def test_a_node_that_is_lost_costs_nothing(cluster: Any, pictures: Path, tmp_path: Path) -> None:
    node = next(node for node in cluster.worker_nodes if node.all_processes)
    with open_run(request(pictures, tmp_path / "run")) as ready, contextlib.closing(ready.execute()) as trials:
        for count, trial in enumerate(trials, start=1):
            assert trial.error is None
            if count == 8:
                cluster.remove_node(node, allow_graceful=False)
                cluster.add_node(**NODE)
    run(request(pictures, tmp_path / "whole", "local"))
    assert count == 36
    assert records(tmp_path / "run") == records(tmp_path / "whole")


@pytest.mark.slow
def test_nodes_that_are_lost_again_and_again(cluster: Any, pictures: Path, tmp_path: Path) -> None:
    lost = 0
    with open_run(request(pictures, tmp_path / "run", decoder_seeds="0,1,2,3")) as ready:
        for count, _ in enumerate(ready.execute(), start=1):
            if count in (5, 25, 45):
                cluster.remove_node(cluster.add_node(**NODE), allow_graceful=False)
                cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
                cluster.add_node(**NODE)
                lost += 2
    run(request(pictures, tmp_path / "whole", "local", decoder_seeds="0,1,2,3"))
    assert lost == 6
    assert records(tmp_path / "run") == records(tmp_path / "whole")


@pytest.mark.slow
def test_more_than_the_object_store_holds(cluster: Any, tmp_path: Path) -> None:
    """Twelve answers of 30 MB, where each node's store has 80 MB."""
    noise = np.random.default_rng(0).integers(0, 256, (2500, 2000, 3), dtype=np.uint8)
    (tmp_path / "pictures").mkdir()
    for number in range(3):
        Image.fromarray(noise + np.uint8(number)).save(tmp_path / "pictures" / f"{number}.png", compress_level=0)
    trials = run(
        request(
            tmp_path / "pictures",
            tmp_path / "run",
            codecs=[f"{FAKES}:tiny"],
            only=True,
            qualities=["5,6,7,8"],
            keep_reconstructions=True,
        )
    )
    assert [trial.error for trial in trials] == [None] * 12
    assert sum(map(len, files(tmp_path / "run").values())) > 240 * 2**20


@pytest.mark.slow
def test_the_driver_killed_and_started_again(cluster: Any, pictures: Path, tmp_path: Path) -> None:
    command = ("run", "--codec", SLOW, "--codec", NOISY, "--decoder-seeds", "0,1", "--metric", "psnr", "--workers", "2")
    command = (*command, "--dataset", str(pictures), "--output", "run", "--executor", "ray")
    os.environ["RAY_ADDRESS"] = cluster.address
    lines = tmp_path / "run" / "trials.jsonl"
    try:
        for count in (3, 12):
            process = start(*command, folder=tmp_path)
            end = time.monotonic() + 600
            while not lines.exists() or lines.read_bytes().count(b"\n") < count:
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < end
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
            process.communicate()
        _finish(start(*command, folder=tmp_path))
    finally:
        del os.environ["RAY_ADDRESS"]
    run(request(pictures, tmp_path / "whole", "local"))
    assert records(tmp_path / "run") == records(tmp_path / "whole")
    assert len(RunFolder.open(tmp_path / "run").manifest.resumptions) == 2


@pytest.mark.slow
def test_a_client_of_a_live_cluster(cluster: Any, tmp_path: Path) -> None:
    """ray://, from a process that is no node of the cluster: value for value what this machine gives."""
    options = (
        "--codec",
        "jpeg",
        "--only",
        "--quality",
        "20,80",
        "--metric",
        "psnr",
        "--metric",
        "ms_ssim",
        "--limit",
        "2",
    )
    executor = f"ray://127.0.0.1:{CLIENT_PORT}"
    for output, where in (("ray", ("--executor", executor)), ("local", ("--workers", "1"))):
        _finish(start("run", *options, "--output", output, *where, folder=tmp_path))
    assert records(tmp_path / "ray") == records(tmp_path / "local")
    assert len(records(tmp_path / "ray")) == 4
    assert (tmp_path / "ray" / "summary.csv").read_bytes() == (tmp_path / "local" / "summary.csv").read_bytes()
    reasons = RunFolder.open(tmp_path / "ray").trials()[0].reasons
    assert reasons["decode_seconds"] == "not measured alone: on a cluster"


def _finish(process: "subprocess.Popen[str]") -> None:
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors


@pytest.mark.parametrize("text", ["rey", "ray:", "ray://", "local:2"])
def test_executors_that_cannot_be_meant(text: str) -> None:
    with pytest.raises(UsageError, match="local, ray or ray://HOST:PORT"):
        parse_executor(text)


def test_executors() -> None:
    assert [parse_executor(text) for text in ("local", "ray", "ray://head:10001")] == [None, "ray", "ray://head:10001"]


def test_a_cluster_that_does_not_answer(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        monkeypatch.setenv("RAY_ADDRESS", address)
        for executor in ("ray", f"ray://{address}"):
            with (
                pytest.raises(BenchmarkError, match=f"no Ray cluster at .*{address}: ConnectionRefusedError"),
                open_run(request(pictures, tmp_path / "run", executor)),
            ):
                pass
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("mode", ["", "token"])
def test_a_cluster_that_wants_a_token(
    mode: str, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**options: Any) -> None:
        raise ConnectionError("ray client connection timeout")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", refuse)
    monkeypatch.setenv("RAY_AUTH_MODE", mode)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        address = f"ray://127.0.0.1:{listening.getsockname()[1]}"
        with (
            pytest.raises(BenchmarkError, match="connection timeout") as caught,
            open_run(request(pictures, tmp_path / "run", address)),
        ):
            pass
    assert ("set RAY_AUTH_MODE=token" in str(caught.value)) == (not mode)


def test_a_cluster_that_is_gone_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "nodes", lambda: [{"Alive": False}, {"Alive": True}])
    check_is_there()
    monkeypatch.setattr(ray, "nodes", lambda: [{"Alive": False}, {"Alive": False}])
    with pytest.raises(BenchmarkError, match="the cluster is gone: none of its nodes is alive"):
        check_is_there()

    def broken() -> None:
        raise RuntimeError("no connection\nand a screen of advice")

    monkeypatch.setattr(ray, "nodes", broken)
    with pytest.raises(BenchmarkError, match=r"^the cluster does not answer any more: RuntimeError: no connection$"):
        check_is_there()


def test_reserve() -> None:
    assert parse_reservation("cpus=2,gpus=0.25") == {"cpus": 2, "gpus": 0.25}
    for text in ("cpu=2", "cpus=x", "cpus=-1", "gpus=1.5", "cpus=1,cpus=1", "cpus=nan", "2"):
        with pytest.raises(UsageError, match=f"--reserve {text}: "):
            parse_reservation(text)


def test_a_codec_says_what_it_needs() -> None:
    plain, large = open_codec("jpeg"), fake_codecs.Tiny()
    large.gpus, large.cpus = 0.5, 4  # type: ignore[attr-defined]
    codecs = {"plain": plain, "large": large}
    on_gpu = {"plain": Reservation(1, 1), "large": Reservation(4, 0.5)}
    assert reservations(codecs, "cuda", {}) == on_gpu
    assert reservations(codecs, "cpu", {}) == {"plain": Reservation(1, 0), "large": Reservation(4, 0)}
    assert reservations(codecs, "cuda", {"gpus": 0.25}) == {
        "plain": Reservation(1, 0.25),
        "large": Reservation(4, 0.25),
    }
    with pytest.raises(UsageError, match="plain reserves none"):
        reservations(codecs, "cuda", {"gpus": 0})


def test_what_goes_with_a_cluster_only(pictures: Path, tmp_path: Path) -> None:
    for changes, message in (
        ({"reserve": "cpus=2", "executor": "local"}, "goes with --executor ray"),
        ({"device": "cuda:1"}, "which GPU a worker gets is the cluster's choice"),
        ({"timing": 3}, "time is measured alone"),
    ):
        with pytest.raises(UsageError, match=message), open_run(request(pictures, tmp_path / "run", **changes)):
            pass
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_metrics_of_a_user_s_own_go_along(cluster: Any, pictures: Path, tmp_path: Path) -> None:
    """One of each kind is opened by its spec in each actor; what is kept of originals comes back."""
    own = Path(own_metrics.__file__)
    metrics = ["psnr", *(f"{own}:{name}" for name in ("Shift", "Rows", "Contrast"))]
    for executor in ("local", "ray"):
        run(request(pictures, tmp_path / executor, executor, metrics=metrics))
    assert records(tmp_path / "ray") == records(tmp_path / "local")
    assert files(tmp_path / "ray") == files(tmp_path / "local")
    assert any(name.endswith("originals/a.json") for name in files(tmp_path / "ray"))
