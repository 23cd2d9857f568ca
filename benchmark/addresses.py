"""Files on this machine, or at an address that fsspec reads: s3://, gs://, abfs://, http://, memory:// and others.

Where a file lies is a `Location`: a `Path` here, or the address, a `str`. Credentials and settings are fsspec's: what
the package for the address reads, or FSSPEC_… variables and ~/.config/fsspec. Nothing is kept: who reads a file again
fetches it again. fsspec is imported when there is an address.
"""

import hashlib
import os
import posixpath
import re
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, unquote, unquote_to_bytes, urljoin, urlsplit

from benchmark.errors import BenchmarkError, UsageError, one_line, printable
from benchmark.fetching import file_sha256
from benchmark.redaction import redacted, secret_in

Location = Path | str

ATTEMPTS = 3
"""So often a read may fail; what is not there, say, fails at once (`_FINAL`)."""
FIRST_PAUSE = 0.5
"""Seconds before the second attempt; the next pause is twice as long."""
CONNECTIONS = 16
"""Files that are read at a time where many are wanted: a remote one keeps waiting, not computing."""

_HERE = ("file://", "local://")
_BYTES = "path-bytes://"
"""Before a path of this machine whose bytes are no UTF-8, percent-encoded: JSON holds no such bytes."""
_FINAL = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError, ImportError, ValueError)

Result = TypeVar("Result")


def is_address(text: str) -> bool:
    """Whether `text` begins with a scheme, "s3://" say; "file://" is one, though it means this machine."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text) is not None


def location(text: str) -> Location:
    """What `text` names: a file here, by its path, as file://PATH or as `recorded` has it; or an address as it is."""
    if text.startswith(_BYTES):
        return Path(os.fsdecode(unquote_to_bytes(text.removeprefix(_BYTES))))
    for scheme in _HERE:
        if text.startswith(scheme):
            return Path(text.removeprefix(scheme))
    return text if is_address(text) else Path(text)


def recorded(place: Location) -> str:
    """`place` as text that any file holds; `location` reads it. A path is absolute, and no link."""
    if isinstance(place, str):
        return place
    text = str(place.resolve())
    return text if printable(text) == text else _BYTES + quote(os.fsencode(text))


def absolute(place: Location) -> Location:
    """The same file, named so that the working folder does not matter."""
    return place.absolute() if isinstance(place, Path) else place


def check_address(address: str) -> None:
    """Raises UsageError on a secret, which would be written into every run, and on an address within another."""
    if secret := secret_in(address):
        raise UsageError(f"{redacted(address)}: {secret} would be written into the run; leave it to fsspec's settings")
    if "::" in address:
        raise UsageError(f"{address}: files inside an archive at an address are not read; unpack it")


def name_in(address: str) -> str:
    """The path in an address, as a local file's would read: of http:// without the query, and decoded."""
    if _is_web(address):
        parts = urlsplit(address)
        return unquote(parts.netloc + parts.path)
    return address.partition("://")[2]


def beside(address: str, entry: str) -> str:
    """What `entry`, a relative path in the list at `address`, names: seen from the list's folder."""
    scheme, _, rest = address.partition("://")
    if _is_web(address):
        rest, entry = rest.partition("?")[0], quote(entry)
    return f"{scheme}://{posixpath.normpath(posixpath.join(posixpath.dirname(rest), entry))}"


def _is_web(address: str) -> bool:
    return address.startswith(("http://", "https://"))


_STORED = re.compile(r"image-[0-9a-f]{64}\.(?:ppm|file)")


def is_stored(place: Location) -> bool:
    """Whether `place` is a file that the suite wrote for an image that came as none; its name tells its content."""
    return isinstance(place, Path) and _STORED.fullmatch(place.name) is not None


def why_gone(place: Location | None, what: str = "the original") -> str:
    """What is said of an original, `what`, that is not at `place`, where the run found it; and what helps."""
    if place is not None and is_stored(place):
        return (
            f"{what} came from a program and was kept in {Path(place).parent}, where it is no more; --dataset says "
            "where it is: what the run was given there writes it again, and so does benchmark.dataset_of in Python"
        )
    return f"{what} is not where the run found it any more; --dataset says where it is"


def is_there(place: Location) -> bool:
    """Whether the file can be found; an address that does not answer holds nothing."""
    if isinstance(place, Path):
        return place.is_file()
    try:
        return bool(_asked(place, lambda fs, path: fs.isfile(path)))
    except BenchmarkError:
        return False


def kind_at(address: str) -> str:
    """ "file", "directory", or "" if there is nothing. Raises BenchmarkError.

    What ends with "/" is a directory. On a web server all else is a file: to ask would only tell whether it is there,
    and hides why it cannot be read.
    """
    if address.endswith("/"):
        return "directory"
    if _is_web(address):
        return "file"
    try:
        return str(_asked(address, lambda fs, path: _afresh(fs).info(path))["type"])
    except FileNotFoundError:
        return ""


def list_folder(address: str) -> dict[str, str]:
    """File name -> address of the files that lie in a folder, on a web server of those in it that its page links to.

    Raises BenchmarkError if it cannot be read, or if a page leads to two files of one name.
    """
    try:
        found = _asked(address, _files)
    except FileNotFoundError:
        raise BenchmarkError(f"{address}: no such folder") from None
    files: dict[str, str] = {}
    folder = posixpath.normpath(name_in(address))
    for file in sorted(found, key=lambda file: (not file.startswith(address), file)):
        name = posixpath.normpath(name_in(file))
        if _is_web(address) and posixpath.dirname(name) != folder:  # a page may lead to thumbnails, say
            continue
        other = files.setdefault(name.rpartition("/")[2], file)
        if urlsplit(other).query != urlsplit(file).query and _is_web(address):
            raise BenchmarkError(f"{address}: its page leads to {other} and {file}; a list says which is meant")
    return files


def read_bytes(address: str) -> bytes:
    """The whole file. Raises BenchmarkError that names the address and the reason."""
    try:
        data: bytes = _asked(address, lambda fs, path: fs.cat_file(path))
    except FileNotFoundError:
        raise BenchmarkError(f"{address}: no such file") from None
    return data


def sha256_of(place: Location) -> str:
    """SHA-256 of a file's bytes. Raises BenchmarkError if it cannot be read."""
    if isinstance(place, str):
        return hashlib.sha256(read_bytes(place)).hexdigest()
    return file_sha256(place)


def sha256_of_each(places: Iterable[Location]) -> list[str]:
    """SHA-256 of each file, in order; some at a time, if there is an address among them."""
    places = list(places)
    if all(isinstance(place, Path) for place in places):
        return [sha256_of(place) for place in places]
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        return list(pool.map(sha256_of, places))


def _files(fs: Any, path: str) -> list[str]:
    entries = _afresh(fs).ls(path, detail=True)
    return [fs.unstrip_protocol(entry["name"]) for entry in entries if entry["type"] == "file"]


def _afresh(fs: Any) -> Any:
    """`fs`, which forgets what it was told of folders: it lives as long as the process, and files come and go."""
    fs.invalidate_cache()
    return fs


def _asked(address: str, question: Callable[[Any, str], Result]) -> Result:
    """What `question(file system, path)` returns. Raises FileNotFoundError, and BenchmarkError on everything else."""
    import fsspec

    pause = FIRST_PAUSE
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return question(*fsspec.core.url_to_fs(address, **_settings(address)))
        except FileNotFoundError:
            raise
        except Exception as error:  # the file systems' packages raise what they like
            if isinstance(error, ImportError):
                raise BenchmarkError(f"{address}: a package is missing: {one_line(error)}") from None
            if attempt == ATTEMPTS or _is_final(error):
                raise BenchmarkError(f"{address}: cannot be read: {one_line(error)}") from None
            time.sleep(pause)
            pause *= 2
    raise AssertionError


def _settings(address: str) -> dict[str, Any]:
    """How a web server is asked, unless fsspec's settings say how: through the proxies of the environment, and never
    led from HTTPS to plain HTTP. aiohttp sends no Authorization on to another host."""
    import fsspec

    if not _is_web(address) or "get_client" in fsspec.config.conf.get(urlsplit(address).scheme, {}):
        return {}
    return {"get_client": _client}


async def _client(**settings: Any) -> Any:
    """A session of aiohttp; fsspec calls it with its settings."""
    import aiohttp

    async def refuse(_session: Any, _context: Any, asked: Any) -> None:
        leads = urljoin(str(asked.url), asked.response.headers.get("Location", ""))
        if asked.url.scheme == "https" and urlsplit(leads).scheme == "http":
            raise ValueError(f"the server leads from HTTPS to plain HTTP, at {urlsplit(leads).hostname}")

    watch = aiohttp.TraceConfig()
    watch.on_request_redirect.append(refuse)
    own: dict[str, Any] = {"trust_env": True} | settings
    return aiohttp.ClientSession(**own | {"trace_configs": [*own.get("trace_configs", ()), watch]})


def _is_final(error: BaseException) -> bool:
    """Whether asking again is no use: a server that says no (401, 403, …), but for "too slow" and "too often"."""
    status = getattr(error, "status", None)  # of aiohttp's ClientResponseError
    refused = isinstance(status, int) and 400 <= status < 500 and status not in (408, 425, 429)
    return refused or isinstance(error, _FINAL)
