"""A web server of a folder, in this process."""

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@contextlib.contextmanager
def served(folder: Path, tell: Callable[[str], None] = lambda path: None) -> Iterator[str]:
    """The address of `folder` on a web server that runs inside the `with`, without "/" at its end.

    tell: called with the path of each request for a file's contents.
    """

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            tell(self.path)
            super().do_GET()

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
