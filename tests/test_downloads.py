"""Downloads from servers that mean harm or are broken: where they lead, what they send, how slowly."""

import gzip
import hashlib
import http.server
import os
import resource
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support.certificates import certificate

from benchmark import addresses, fetching
from benchmark.errors import BenchmarkError
from benchmark.fetching import fetch_file

CONTENT = os.urandom(200_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


class Site:
    """A web server, with TLS or without. answers: path -> what it does. seen: (path, headers) of each request."""

    def __init__(self, folder: Path | None = None) -> None:
        self.answers: dict[str, Answer] = {}
        self.seen: list[tuple[str, dict[str, str]]] = []
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                site.answers[self.path.partition("?")[0]](self)
                self.close_connection = True

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, *_: object) -> None:
                pass  # clients go away in the middle

        self.server = Server(("127.0.0.1", 0), Handler)
        self.scheme = "http"
        if folder is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate(folder))
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            self.scheme = "https"
        self.url = f"{self.scheme}://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def sites(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[bool], Site]]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setattr(fetching, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(addresses, "FIRST_PAUSE", 0.001)
    made: list[Site] = []

    def make(secure: bool = False) -> Site:
        made.append(Site(tmp_path if secure else None))
        if secure:
            monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "certificate.pem"))
            monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        return made[-1]

    yield make
    for site in made:
        site.close()


def sends(body: bytes, status: int = 200, length: bool = True, **headers: str) -> Answer:
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        if length:
            handler.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def leads(to: str, status: int = 302) -> Answer:
    return sends(b"", status, Location=to)


def get(url: str, folder: Path) -> Path:
    return fetch_file(url, folder / "cache" / "file.bin", len(CONTENT), SHA256)


def told(url: str, folder: Path) -> str:
    with pytest.raises(BenchmarkError) as caught:
        get(url, folder)
    assert not (folder / "cache" / "file.bin").exists()
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Where it leads


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_another_host_may_be_led_to_and_is_told_no_credentials(
    status: int, sites: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hash says what the file is. ~/.netrc has a password for either host, which this download does not need."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password hunter2\ndefault login me password hunter2\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    one, other = sites(), sites()
    one.answers["/a"] = leads(f"{other.url.replace('127.0.0.1', 'localhost')}/b", status)
    other.answers["/b"] = sends(CONTENT, Set_Cookie="x=1")
    assert get(f"{one.url}/a", tmp_path).read_bytes() == CONTENT
    for site in (one, other):
        assert len(site.seen) == 1
        assert not {"authorization", "cookie", "referer"} & set(site.seen[0][1])


def test_https_is_never_left_for_plain_http(sites: Any, tmp_path: Path) -> None:
    plain, secure, also = sites(), sites(True), sites(True)
    plain.answers["/a"] = sends(CONTENT)
    plain.answers["/up"] = leads(f"{secure.url}/a")
    secure.answers["/a"] = sends(CONTENT)
    secure.answers["/down"] = leads(f"{plain.url}/a?token=hunter2")
    secure.answers["/across"] = leads(f"{also.url}/down")
    also.answers["/down"] = leads(f"{plain.url}/a")
    for path in ("/down", "/across"):
        assert "leads from HTTPS to plain HTTP, at 127.0.0.1" in told(secure.url + path, tmp_path)
    assert "hunter2" not in told(f"{secure.url}/down", tmp_path)
    assert plain.seen == []
    assert get(f"{plain.url}/up", tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("place", ["file:///etc/passwd", "ftp://127.0.0.1/x", "javascript:alert(1)", "data:,x"])
def test_what_is_no_download_is_not_followed(place: str, sites: Any, tmp_path: Path) -> None:
    site = sites()
    site.answers["/a"] = leads(place)
    assert "which is no download" in told(f"{site.url}/a", tmp_path)


def test_an_address_that_is_none_is_not_followed(sites: Any, tmp_path: Path) -> None:
    site = sites()
    site.answers["/a"] = leads("http://[::1")
    assert "the server leads to what is no address" in told(f"{site.url}/a", tmp_path)


def test_the_file_that_another_process_has_placed_is_taken(
    sites: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have fetched into one piece, and the other one has put it in its place."""
    site, found = sites(), fetching._download
    site.answers["/a"] = sends(CONTENT)

    def is_late(remote: Any, part: Path, *more: Any) -> bool:
        resumed = found(remote, part, *more)
        part.replace(remote.destination)
        return resumed

    monkeypatch.setattr(fetching, "_download", is_late)
    assert get(f"{site.url}/a", tmp_path).read_bytes() == CONTENT


def test_circles_end(sites: Any, tmp_path: Path) -> None:
    site = sites()
    site.answers["/a"] = leads("/b")
    site.answers["/b"] = leads("/a")
    assert "leads elsewhere more than" in told(f"{site.url}/a", tmp_path)
    assert len(site.seen) == fetching.REDIRECTS + 1
    site.answers["/c"] = sends(b"", 302)  # to nowhere
    assert "answers 302" in told(f"{site.url}/c", tmp_path)


def test_a_datasets_address_is_not_led_from_https_to_plain_http_nor_told_on(
    sites: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """fsspec's settings may hold credentials for a server."""
    import fsspec

    plain, secure = sites(), sites(True)
    plain.answers["/a"] = plain.answers["/b"] = sends(CONTENT)
    secure.answers["/down"] = leads(f"{plain.url}/a")
    secure.answers["/a"] = sends(CONTENT)
    plain.answers["/on"] = leads(f"{plain.url.replace('127.0.0.1', 'localhost')}/b")
    headers = {"Authorization": "Bearer hunter2"}
    for scheme in ("http", "https"):
        monkeypatch.setitem(fsspec.config.conf, scheme, {"client_kwargs": {"headers": headers}})
    fsspec.filesystem("http").clear_instance_cache()
    trusted = ssl.create_default_context(cafile=str(tmp_path / "certificate.pem"))
    monkeypatch.setattr("aiohttp.connector._SSL_CONTEXT_VERIFIED", trusted)  # made when it was imported
    assert addresses.read_bytes(f"{secure.url}/a") == CONTENT
    assert secure.seen[-1][1]["authorization"] == "Bearer hunter2"
    with pytest.raises(BenchmarkError, match=r"leads from HTTPS to plain HTTP, at 127\.0\.0\.1"):
        addresses.read_bytes(f"{secure.url}/down")
    assert plain.seen == []
    assert addresses.read_bytes(f"{plain.url}/on") == CONTENT
    assert [("authorization" in headers) for _, headers in plain.seen] == [True, False]


def test_downloads_and_data_sets_go_through_the_proxy_of_the_environment(
    sites: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy is asked for whole addresses; what is behind it is nowhere else."""
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.delenv("no_proxy", raising=False)
    proxy = sites()
    proxy.answers["http://nowhere.invalid/file.bin"] = sends(CONTENT)
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, proxy.url.replace("http://", "http://me:hunter2@"))
    assert get("http://nowhere.invalid/file.bin", tmp_path).read_bytes() == CONTENT
    assert addresses.read_bytes("http://nowhere.invalid/file.bin") == CONTENT
    assert all("proxy-authorization" in headers and "authorization" not in headers for _, headers in proxy.seen)
    proxy.close()
    with pytest.raises(BenchmarkError) as caught:
        addresses.read_bytes("http://nowhere.invalid/file.bin")
    assert "hunter2" not in str(caught.value)


# What it sends


def endless(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b"x" * 65536)


def test_an_endless_body_is_read_no_further_than_the_file_is_long(sites: Any, tmp_path: Path) -> None:
    site = sites()
    site.answers["/a"] = endless
    assert "another file" in told(f"{site.url}/a", tmp_path)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_file_of_unknown_size_has_a_limit(sites: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = sites()
    site.answers["/a"] = endless
    site.answers["/b"] = sends(CONTENT, length=False)
    monkeypatch.setattr(fetching, "LARGEST", 10**6)
    place = tmp_path / "cache" / "file.bin"
    with pytest.raises(BenchmarkError, match="another file"):
        fetch_file(f"{site.url}/a", place, None, SHA256)
    assert list(place.parent.iterdir()) == []
    assert fetch_file(f"{site.url}/b", place, None, SHA256).read_bytes() == CONTENT


@pytest.mark.parametrize("length", [True, False])
def test_a_body_that_is_packed_is_not_unpacked(length: bool, sites: Any, tmp_path: Path) -> None:
    """A few bytes may unpack to gigabytes."""
    site = sites()
    site.answers["/a"] = sends(gzip.compress(bytes(50_000_000)), length=length, Content_Encoding="gzip")
    assert r"packed (gzip)" in told(f"{site.url}/a", tmp_path)
    site.answers["/b"] = sends(CONTENT, Content_Encoding="identity")
    assert get(f"{site.url}/b", tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("body", [b"", CONTENT[:-1], CONTENT[:-1] + b"x", CONTENT + b"x", b"<html>"])
@pytest.mark.parametrize("length", [True, False])
def test_wrong_bytes_and_sizes_are_never_placed(body: bytes, length: bool, sites: Any, tmp_path: Path) -> None:
    site = sites()
    site.answers["/a"] = sends(body, length=length)
    if body == CONTENT[:-1] + b"x" or len(body) > len(CONTENT) or length:
        assert "another file" in told(f"{site.url}/a", tmp_path)
    else:
        assert "breaks off" in told(f"{site.url}/a", tmp_path)  # it may be the beginning of the right one


@pytest.mark.parametrize(
    "range_",
    ["bytes 0-199999/200000", "bytes 99-199999/200000", "", "bytes */200000", "bytes 50000-49999/1", "items 50000-1/2"],
)
def test_another_range_than_was_asked_for_is_not_joined(range_: str, sites: Any, tmp_path: Path) -> None:
    site = sites()
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "file.bin.part").write_bytes(CONTENT[:50_000])

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        if "range" in site.seen[-1][1]:
            headers = {"Content_Range": range_} if range_ else {}
            sends(CONTENT[100_000:], 206, length=False, **headers)(handler)
        else:
            sends(CONTENT)(handler)

    site.answers["/a"] = answer
    assert get(f"{site.url}/a", tmp_path).read_bytes() == CONTENT


def test_a_file_that_changed_in_between_is_fetched_anew(sites: Any, tmp_path: Path) -> None:
    """The piece is of the version before: together they are neither."""
    site = sites()
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "file.bin.part").write_bytes(os.urandom(50_000))

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        start = 50_000 if "range" in site.seen[-1][1] else 0
        headers = {"Content_Range": f"bytes {start}-199999/200000"} if start else {}
        sends(CONTENT[start:], 206 if start else 200, ETag='"new"', **headers)(handler)

    site.answers["/a"] = answer
    assert get(f"{site.url}/a", tmp_path).read_bytes() == CONTENT
    assert len(site.seen) == 2


# How slowly


def test_a_body_that_drips_is_given_up(sites: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "SLOWEST", (0.2, 1e5))
    monkeypatch.setattr(fetching, "ATTEMPTS", 2)
    site = sites()

    def drip(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(CONTENT)))
        handler.end_headers()
        for byte in CONTENT:
            handler.wfile.write(bytes([byte]))
            handler.wfile.flush()
            time.sleep(0.01)

    site.answers["/a"] = drip
    assert "sends too slowly" in told(f"{site.url}/a", tmp_path)
    assert len(site.seen) == 2


def test_a_head_that_drips_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A header every now and then, for ever."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(fetching, "ANSWER", 0.3)
    monkeypatch.setattr(fetching, "ATTEMPTS", 2)
    monkeypatch.setattr(fetching, "FIRST_PAUSE", 0.001)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip(connection: socket.socket) -> None:
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\n")
                try:
                    for number in range(200):
                        connection.sendall(b"X-%d: x\r\n" % number)
                        time.sleep(0.05)
                except OSError:
                    return

        def accept() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=drip, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        assert "does not answer (2 attempts)" in told(f"http://127.0.0.1:{server.getsockname()[1]}/a", tmp_path)


# Where it goes


def test_where_no_more_can_be_written_is_one_line_and_keeps_what_came(sites: Any, tmp_path: Path) -> None:
    site = sites()
    site.answers["/a"] = sends(CONTENT)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))  # as a quota would; Python ignores the signal
    try:
        assert "cannot be written: File too large" in told(f"{site.url}/a", tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    piece = (tmp_path / "cache" / "file.bin.part").read_bytes()
    assert 50_000 < len(piece) <= 100_000
    assert CONTENT.startswith(piece)


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "device"])
def test_a_piece_that_is_no_file_is_refused(kind: str, sites: Any, tmp_path: Path) -> None:
    site = sites()
    site.answers["/a"] = sends(CONTENT)
    (tmp_path / "cache").mkdir()
    part, elsewhere = tmp_path / "cache" / "file.bin.part", tmp_path / "elsewhere"
    elsewhere.write_bytes(b"mine")
    make: dict[str, Callable[[], None]] = {
        "link": lambda: part.symlink_to(elsewhere),
        "pipe": lambda: os.mkfifo(part),
        "folder": part.mkdir,
        "device": lambda: part.symlink_to("/dev/full"),
    }
    make[kind]()
    assert told(f"{site.url}/a", tmp_path) == f"{part}: is no file, and belongs to a download; take it away"
    assert elsewhere.read_bytes() == b"mine"
    assert site.seen == []


FETCHES = """
import hashlib, pathlib, sys
from benchmark.fetching import fetch_file
fetch_file(sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
"""


@pytest.mark.parametrize("killed", [False, True])
def test_two_processes_fetch_one_file_once(killed: bool, sites: Any, tmp_path: Path) -> None:
    """The second waits for the first; where that one is killed, it goes on with what had come."""
    site = sites()
    half, go_on = threading.Event(), threading.Event()

    def halts(handler: http.server.BaseHTTPRequestHandler) -> None:
        wanted = handler.headers.get("Range")
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        handler.send_header("Content-Length", str(len(CONTENT) - start))
        handler.end_headers()
        if not start:
            handler.wfile.write(CONTENT[:100_000])
            half.set()
            go_on.wait(60)
        handler.wfile.write(CONTENT[max(start, 100_000) :])

    site.answers["/a"] = halts
    file = tmp_path / "cache" / "file.bin"
    words = [sys.executable, "-c", FETCHES, f"{site.url}/a", str(file), str(len(CONTENT)), SHA256]
    with subprocess.Popen(words) as first:
        assert half.wait(60)
        part = file.with_name("file.bin.part")
        while not part.exists() or part.stat().st_size < 100_000:
            time.sleep(0.01)
        seen: list[int] = []
        waits = threading.Event()

        def shows(there: int) -> None:
            seen.append(there)
            waits.set()

        with ThreadPoolExecutor(1) as pool:
            second = pool.submit(fetch_file, f"{site.url}/a", file, len(CONTENT), SHA256, shows)
            assert waits.wait(60)
            assert seen[0] == 100_000
            assert len(site.seen) == 1
            if killed:
                first.kill()
            else:
                go_on.set()
            assert second.result(60).read_bytes() == CONTENT
        go_on.set()
        assert first.wait(60) == (-signal.SIGKILL if killed else 0)
    assert [headers.get("range") for _, headers in site.seen] == [None, *(["bytes=100000-"] if killed else [])]
    assert [entry.name for entry in file.parent.iterdir()] == ["file.bin"]


def test_a_disk_without_room_is_said_before_the_download(
    sites: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = sites()
    monkeypatch.setattr(fetching.shutil, "disk_usage", lambda _: type("Usage", (), {"free": len(CONTENT) - 1}))
    assert "are to come" in told(f"{site.url}/a", tmp_path)
    assert site.seen == []
