import hashlib
import importlib.metadata
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from benchmark import fetching
from benchmark.errors import BenchmarkError
from benchmark.fetching import FETCHABLE, PIECE, Remote, cache_folder, fetch_file, fetch_files, take_file

CONTENT = os.urandom(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Server:
    """How the local server behaves, and the Range headers that it got (None: a request without one).

    break_after: bytes of the body after which the connection breaks off, one entry a request, then no more.
    statuses: answers to give first, one a request.
    """

    url: str = ""
    content: bytes = CONTENT
    ranges: bool = True
    break_after: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    requests: list[str | None] = field(default_factory=list)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            state.requests.append(wanted)
            if state.statuses:
                self.send_response(state.statuses.pop(0))
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and state.ranges else 0
            if start and start >= len(state.content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(state.content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            body = state.content[start:]
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(state.content) - 1}/{len(state.content)}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: state.break_after.pop(0)] if state.break_after else body)
            self.close_connection = True

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for variable in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(fetching, "FIRST_PAUSE", 0.001)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        state.url = f"http://127.0.0.1:{http.server_port}/file.bin"
        yield state
        http.shutdown()
        thread.join()


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "file.bin"


def part_of(destination: Path) -> Path:
    return destination.with_name(destination.name + ".part")


@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_whole_download(server: Server, destination: Path, size: int | None) -> None:
    seen: list[int] = []
    assert fetch_file(server.url, destination, size, SHA256, seen.append) == destination
    assert destination.read_bytes() == CONTENT
    assert seen == sorted(seen)
    assert seen[-1] == len(CONTENT)
    assert [path.name for path in destination.parent.iterdir()] == ["file.bin"]


def test_file_that_is_there_is_not_fetched_again(server: Server, destination: Path) -> None:
    fetch_file(server.url, destination, len(CONTENT), SHA256)
    fetch_file(server.url, destination, len(CONTENT), SHA256)
    assert len(server.requests) == 1


def test_damaged_file_is_replaced(server: Server, destination: Path) -> None:
    destination.parent.mkdir()
    destination.write_bytes(b"damaged")
    fetch_file(server.url, destination, len(CONTENT), SHA256)
    assert destination.read_bytes() == CONTENT


@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_broken_download_goes_on_where_it_was(server: Server, destination: Path, size: int | None) -> None:
    server.break_after = [2 * PIECE, PIECE]
    fetch_file(server.url, destination, size, SHA256)
    assert destination.read_bytes() == CONTENT
    assert server.requests == [None, f"bytes={2 * PIECE}-", f"bytes={3 * PIECE}-"]


def test_server_without_ranges_starts_again(server: Server, destination: Path) -> None:
    server.ranges = False
    server.break_after = [PIECE]
    fetch_file(server.url, destination, len(CONTENT), SHA256)
    assert destination.read_bytes() == CONTENT
    assert server.requests == [None, f"bytes={PIECE}-"]


def test_later_call_goes_on_from_the_piece(server: Server, destination: Path) -> None:
    server.break_after = [PIECE, 0, 0, 0]
    with pytest.raises(BenchmarkError, match="breaks off"):
        fetch_file(server.url, destination, len(CONTENT), SHA256)
    assert not destination.exists()
    assert part_of(destination).read_bytes() == CONTENT[:PIECE]
    fetch_file(server.url, destination, len(CONTENT), SHA256)
    assert destination.read_bytes() == CONTENT
    assert server.requests[-1] == f"bytes={PIECE}-"


def test_piece_of_another_file_is_dropped(server: Server, destination: Path) -> None:
    destination.parent.mkdir()
    part_of(destination).write_bytes(b"x" * 1000)
    fetch_file(server.url, destination, len(CONTENT), SHA256)
    assert destination.read_bytes() == CONTENT
    assert server.requests == ["bytes=1000-", None]


@pytest.mark.parametrize("size", [len(CONTENT), None])
@pytest.mark.parametrize("piece", [CONTENT, CONTENT + b"more"])
def test_piece_that_is_whole_or_too_long(server: Server, destination: Path, piece: bytes, size: int | None) -> None:
    destination.parent.mkdir()
    part_of(destination).write_bytes(piece)
    fetch_file(server.url, destination, size, SHA256)
    assert destination.read_bytes() == CONTENT


@pytest.mark.parametrize("content", [b"x" * len(CONTENT), b"<html>sign in</html>", CONTENT + b"more"])
def test_wrong_bytes_are_never_placed(server: Server, destination: Path, content: bytes) -> None:
    server.content = content
    with pytest.raises(BenchmarkError) as caught:
        fetch_file(server.url, destination, None if len(content) < 100 else len(CONTENT), SHA256)
    assert "another file" in str(caught.value)
    assert len(server.requests) == 1
    assert list(destination.parent.iterdir()) == []


def test_404_is_final_and_says_what_to_do(server: Server, destination: Path) -> None:
    server.statuses = [404]
    with pytest.raises(BenchmarkError) as caught:
        fetch_file(server.url, destination, len(CONTENT), SHA256)
    message = str(caught.value)
    assert "404 Not Found" in message
    assert server.url in message
    assert str(destination) in message
    assert "\n" not in message
    assert len(server.requests) == 1


def test_500_is_tried_again_but_not_for_ever(server: Server, destination: Path) -> None:
    server.statuses = [500, 503]
    fetch_file(server.url, destination, len(CONTENT), SHA256)
    assert len(server.requests) == 3
    destination.unlink()
    server.statuses = [500] * 10
    with pytest.raises(BenchmarkError, match="500 Internal Server Error"):
        fetch_file(server.url, destination, len(CONTENT), SHA256)
    assert len(server.requests) == 3 + fetching.ATTEMPTS


def test_no_network_is_one_clear_line(server: Server, destination: Path) -> None:
    with pytest.raises(BenchmarkError, match="cannot be reached") as caught:
        fetch_file("http://127.0.0.1:1/file.bin", destination, len(CONTENT), SHA256)
    assert "\n" not in str(caught.value)
    with pytest.raises(BenchmarkError, match="MissingSchema"):
        fetch_file("file.bin", destination, len(CONTENT), SHA256)


def test_unwritable_destination_is_one_clear_line(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BenchmarkError, match="cannot be written"):
        fetch_file(server.url, tmp_path / "file" / "file.bin", len(CONTENT), SHA256)


def test_several_files_at_once(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server.break_after = [1000] * 3
    remotes = [Remote(server.url, tmp_path / f"{i}.bin", len(CONTENT), SHA256) for i in range(6)]
    fetch_files(remotes)
    assert all(remote.destination.read_bytes() == CONTENT for remote in remotes)
    out, err = capsys.readouterr()
    assert out == ""
    assert [line.split(":")[0] for line in err.splitlines()] == [f"{i} of 6" for i in range(1, 7)]


def test_a_terminal_gets_a_bar(
    server: Server, destination: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    fetch_files([Remote(server.url, destination, len(CONTENT), SHA256)])
    out, err = capsys.readouterr()
    assert out == ""
    assert "1 of 1 files" in err
    assert "300.0/300.0 kB" in err


def test_first_failure_ends_the_others_and_keeps_what_is_whole(server: Server, tmp_path: Path) -> None:
    remotes = [Remote(server.url, tmp_path / f"{i}.bin", len(CONTENT), SHA256) for i in range(3)]
    fetch_file(server.url, remotes[0].destination, len(CONTENT), SHA256)
    server.statuses = [404]
    folder = server.url.removesuffix("file.bin")
    with pytest.raises(BenchmarkError, match=rf"404.*; missing besides, from {folder} into {tmp_path}: file\.bin$"):
        fetch_files(remotes, workers=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.bin"]


def test_taken_file_is_verified(tmp_path: Path, destination: Path) -> None:
    source = tmp_path / "source.bin"
    source.write_bytes(CONTENT)
    assert take_file(source, destination, len(CONTENT), SHA256).read_bytes() == CONTENT
    source.write_bytes(CONTENT[:-1] + b"x")
    destination.unlink()
    with pytest.raises(BenchmarkError, match=r"source\.bin: not the file that was expected"):
        take_file(source, destination, len(CONTENT), SHA256)
    with pytest.raises(BenchmarkError, match="no such file"):
        take_file(tmp_path / "nothing", destination, None, SHA256)
    assert list(destination.parent.iterdir()) == []


def test_cache_folder_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCHMARK_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("BENCHMARK_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "hfd-benchmark"


def test_inception_is_torch_fidelitys() -> None:
    package = importlib.metadata.distribution("torch-fidelity")
    module = package.locate_file("torch_fidelity/feature_extractor_inceptionv3.py")
    assert f'"{fetching.INCEPTION_URL}"' in Path(str(module)).read_text(encoding="utf-8")
    assert f"-{fetching.INCEPTION_SHA256[:8]}.pth" in fetching.INCEPTION_NAME  # PyTorch's habit for released weights


@pytest.mark.parametrize(
    ("name", "constants", "weights"),
    [("inception", "INCEPTION", fetching.inception_weights), ("vgg16", "VGG16", fetching.vgg16_weights)],
)
def test_weights_from_a_file_or_its_folder_and_found_again(
    name: str, constants: str, weights: Callable[[], Path | None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCHMARK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(fetching, f"{constants}_SIZE", len(CONTENT))
    monkeypatch.setattr(fetching, f"{constants}_SHA256", SHA256)
    fetch = FETCHABLE.load(name)
    assert weights() is None

    of_torch = tmp_path / "torch" / "hub" / "checkpoints" / getattr(fetching, f"{constants}_NAME")
    of_torch.parent.mkdir(parents=True)
    of_torch.write_bytes(b"another file")
    assert weights() is None
    of_torch.write_bytes(CONTENT)
    assert weights() == of_torch

    for source in (of_torch, of_torch.parent):
        fetched = fetch(source)
        assert fetched.read_bytes() == CONTENT
        assert weights() == fetched
        fetched.unlink()


def test_every_entry_can_be_fetched() -> None:
    for name in FETCHABLE:
        assert callable(FETCHABLE.load(name))
        assert FETCHABLE.summary(name)
