"""Files that are not shipped: downloaded once, or taken from a folder of yours, and always held against their hash."""

import hashlib
import os
import queue
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark import locks
from benchmark.errors import BenchmarkError
from benchmark.files import expanded
from benchmark.registry import Registry

if TYPE_CHECKING:
    import requests

FETCHABLE = Registry("download")
"""What `python -m benchmark fetch` knows. Entries are functions `(source: Path | None) -> Path`: they download, or take
from `source` (a file, or a folder of files), and return where the files now lie."""
FETCHABLE.add("kodak", "benchmark.datasets.kodak:fetch", "the 24 Kodak images, 15 MB, from r0k.us")
FETCHABLE.add(
    "clic2020-test", "benchmark.datasets.clic2020:fetch_test", "428 images, 1.6 GB, from data.vision.ee.ethz.ch"
)
FETCHABLE.add(
    "clic2020-professional-valid",
    "benchmark.datasets.clic2020:fetch_professional_valid",
    "41 images, 135 MB, from data.vision.ee.ethz.ch",
)
FETCHABLE.add(
    "clic2020-mobile-valid",
    "benchmark.datasets.clic2020:fetch_mobile_valid",
    "61 images, 237 MB, from data.vision.ee.ethz.ch",
)
FETCHABLE.add(
    "coco30k-val2014",
    "benchmark.datasets.coco:fetch_coco30k_val2014",
    "30,000 images, 6.6 GB, from images.cocodataset.org",
)
FETCHABLE.add(
    "coco30k-perco",
    "benchmark.datasets.coco:fetch_coco30k_perco",
    "30,000 images, 19.3 GB, from images.cocodataset.org",
)
FETCHABLE.add(
    "coco30k-taco", "benchmark.datasets.coco:fetch_coco30k_taco", "30,504 images, 6.6 GB, from images.cocodataset.org"
)
FETCHABLE.add("div2k-valid", "benchmark.datasets.div2k:fetch_valid", "100 images, 449 MB, from data.vision.ee.ethz.ch")
FETCHABLE.add(
    "coco-val2017", "benchmark.datasets.coco:fetch_coco_val2017", "5,000 images, 816 MB, from images.cocodataset.org"
)
FETCHABLE.add("inception", "benchmark.fetching:fetch_inception", "Inception weights of fid and kid, 96 MB, from GitHub")
FETCHABLE.add("dinov2", "benchmark.fetching:fetch_dinov2", "DINOv2 of fd-dinov2 and its like, 1.2 GB, from Meta")
FETCHABLE.add("clip", "benchmark.fetching:fetch_clip", "CLIP of cmmd, fd-clip and its like, 0.9 GB, from OpenAI")
FETCHABLE.add("vgg16", "benchmark.fetching:fetch_vgg16", "trunk of lpips-vgg, 553 MB, from download.pytorch.org")
FETCHABLE.add(
    "hific",
    "benchmark.baselines.hific.weights:fetch",
    "weights of HiFiC: a public checkpoint that you have, --from FILE",
)
FETCHABLE.add(
    "msillm",
    "benchmark.baselines.msillm.weights:fetch",
    "weights of MS-ILLM: public checkpoints that you have, --from FILE|FOLDER",
)

ATTEMPTS = 4
"""So often in a row a download may fail without getting PROGRESS bytes further."""
PROGRESS = 1 << 20
FIRST_PAUSE = 0.5
"""Seconds before the second attempt; each further pause is twice as long."""
PIECE = 1 << 16
"""Bytes written at a time; no more than that is lost when a connection breaks."""
TIMEOUT = (10.0, 60.0)
"""Seconds to wait for a connection, and for the next bytes."""
ANSWER = 120.0
"""Seconds to wait for the whole head of an answer, which a server may send a byte at a time."""
SLOWEST = (60.0, 60 * 1024)
"""In so many seconds so many bytes have to come, or the attempt is over."""
PATIENCE = 0.2
"""Seconds between two looks at a file that another process is downloading."""
LARGEST = 2 << 30
"""Bytes of a file whose size is not known; what is longer is another file."""
REDIRECTS = 5
"""So often an answer may lead elsewhere."""


@dataclass(frozen=True)
class Remote:
    """A file to download: its address, where it goes, and how it is known.

    sha256: 64 hexadecimal digits. size: in bytes; None if nobody has written it down, and then at most LARGEST.
    """

    url: str
    destination: Path
    size: int | None
    sha256: str


INCEPTION_URL = (
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth"
)
"""`torch_fidelity.feature_extractor_inceptionv3.URL_INCEPTION_V3`, repeated here so that no torch is imported."""
INCEPTION_NAME = INCEPTION_URL.rpartition("/")[2]
INCEPTION_SIZE = 95_628_359
INCEPTION_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"


@dataclass(frozen=True)
class Weights:
    """Weights of a network that `python -m benchmark fetch NAME` brings. title: as people call the network."""

    name: str
    title: str
    url: str
    size: int | None
    sha256: str


DINOV2 = Weights(
    "dinov2",
    "DINOv2",
    "https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/dinov2_vitl14_pretrain.pth",
    1_217_586_395,
    "d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428",
)
"""ViT-L/14 without registers, Apache-2.0."""
CLIP = Weights(
    "clip",
    "CLIP",
    "https://openaipublic.azureedge.net/clip/models/"
    "3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02/ViT-L-14-336px.pt",
    None,
    "3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02",
)
"""OpenAI's ViT-L/14 for 336 pixels, MIT; its address holds its SHA-256, and its size is not written down anywhere."""

VGG16_URL = "https://download.pytorch.org/models/vgg16-397923af.pth"
"""torchvision's `VGG16_Weights.IMAGENET1K_V1`, on which the LPIPS package builds."""
VGG16_NAME = VGG16_URL.rpartition("/")[2]
VGG16_SIZE = 553_433_881
VGG16_SHA256 = "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0"


def cache_folder() -> Path:
    """Where fetched files lie: $BENCHMARK_CACHE, or else ~/.cache/hfd-benchmark. It need not exist yet."""
    return expanded(os.environ.get("BENCHMARK_CACHE") or "~/.cache/hfd-benchmark")


def make_folder(folder: Path) -> None:
    """Makes a folder for what is fetched. Raises BenchmarkError without a home folder, as in some containers."""
    if str(folder).startswith("~"):
        raise BenchmarkError(
            f"{folder}: there is no such home folder; BENCHMARK_CACHE names where to keep what is fetched"
        )
    folder.mkdir(parents=True, exist_ok=True)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, read in pieces. Raises BenchmarkError if it cannot be read."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise BenchmarkError(f"{path}: cannot be read: {error.strerror}") from error


def fetch_file(
    url: str,
    destination: Path,
    size: int | None,
    sha256: str,
    progress: Callable[[int], None] | None = None,
    stop: threading.Event | None = None,
) -> Path:
    """Downloads `url` to `destination`, unless the right file is there already; returns `destination`.

    What has arrived is kept beside it as `<name>.part`, and a later call goes on from there; where another process is
    writing that, this one waits for it. The file takes its place only whole and verified. No credentials are sent,
    whatever ~/.netrc holds, to nobody; an answer may lead to another host, since the hash says what the file is, but
    never from HTTPS to plain HTTP.

    progress: called with the number of bytes that are there. stop: when set, the download ends with BenchmarkError.
    Raises BenchmarkError, with the address and the place for a file got by other means, if the server refuses, cannot
    be reached in ATTEMPTS attempts, or sends another file.
    """
    remote = Remote(url, destination, size, sha256)
    if file_is(destination, size, sha256):
        return destination
    part = destination.with_name(destination.name + ".part")
    try:
        make_folder(destination.parent)
        with _held(remote, part, progress, stop):
            if file_is(destination, size, sha256):  # from the process that this one waited for
                return destination
            _fill(remote, part, progress, stop)
            part.replace(destination)
    except OSError as error:
        if file_is(destination, size, sha256):  # another process was faster, where files cannot be locked
            return destination
        raise BenchmarkError(f"{destination}: cannot be written: {error.strerror or error}") from error
    return destination


@contextmanager
def _held(
    remote: Remote, part: Path, progress: Callable[[int], None] | None, stop: threading.Event | None
) -> Iterator[None]:
    """Makes `part` if need be and holds it for this process, once no other one does. It goes again if it is empty.

    Raises BenchmarkError if it is no file, or if `stop` is set meanwhile, OSError if it cannot be opened.
    """
    with ExitStack() as stack:
        while True:
            if part.is_symlink() or (part.exists() and not part.is_file()):
                raise BenchmarkError(f"{part}: is no file, and belongs to a download; take it away")
            stream = stack.enter_context(part.open("ab"))
            while not locks.taken(stream):
                _go_on(remote, stop)
                if progress is not None:
                    progress(os.fstat(stream.fileno()).st_size)
                time.sleep(PATIENCE)
            if part.exists() and os.path.samestat(part.stat(), os.fstat(stream.fileno())):
                break
            stack.close()  # whoever held it has moved it to its place, or away
        try:
            yield
        finally:
            if part.exists() and not part.stat().st_size:
                part.unlink()


def _fill(remote: Remote, part: Path, progress: Callable[[int], None] | None, stop: threading.Event | None) -> None:
    """Brings `part` to what the remote file is. Raises BenchmarkError if that is another file."""
    _check_room(part, remote.size or 0)
    resumed = _download(remote, part, progress, stop)
    if resumed and not file_is(part, remote.size, remote.sha256):
        _empty(part)  # the beginning may be that of another version of the file
        _download(remote, part, progress, stop)
    if not file_is(part, remote.size, remote.sha256):
        found = f"{part.stat().st_size:,} bytes, sha256 {file_sha256(part)[:16]}…"
        _empty(part)
        expected = f"{'' if remote.size is None else f'{remote.size:,} bytes, '}sha256 {remote.sha256[:16]}…"
        raise _failure(remote, f"the server sent another file ({found}; expected {expected})")


def _empty(part: Path) -> None:
    """In place, so that it stays the file that this process holds."""
    os.truncate(part, 0)


def fetch_files(remotes: Sequence[Remote], workers: int = 4) -> None:
    """Downloads several files, `workers` at a time, and shows how far it is on standard error.

    The first failure ends the others and is raised, and names what else is missing; what has arrived is kept for the
    next call.
    """
    stop = threading.Event()
    failures: list[tuple[Remote, BenchmarkError]] = []
    whole: set[Remote] = set()
    with _shown(remotes) as show, ThreadPoolExecutor(workers) as pool:

        def fetch(remote: Remote) -> None:
            try:
                fetch_file(remote.url, remote.destination, remote.size, remote.sha256, lambda n: show(remote, n), stop)
                show(remote, remote.destination.stat().st_size, True)
                whole.add(remote)
            except BenchmarkError as error:
                failures.append((remote, error))  # those that follow are only told to stop
                stop.set()

        futures = [pool.submit(fetch, remote) for remote in remotes]
        try:
            for future in futures:
                future.result()
        finally:
            stop.set()
    if failures:
        first, error = failures[0]
        others = [remote for remote in remotes if remote is not first and remote not in whole]
        raise BenchmarkError(f"{error}{_also_missing(others)}") from error


def _also_missing(remotes: Sequence[Remote]) -> str:
    """The rest of a sentence that names these files, where they come from and where they go; empty for none."""
    places: dict[tuple[str, Path], list[str]] = {}
    for remote in remotes:
        folder, _, name = remote.url.rpartition("/")
        places.setdefault((folder, remote.destination.parent), []).append(name)
    return "".join(
        f"; missing besides, from {folder}/ into {place}: {', '.join(names)}"
        for (folder, place), names in places.items()
    )


def take_file(source: Path, destination: Path, size: int | None, sha256: str) -> Path:
    """Copies `source` to `destination` if it is the right file; returns `destination`.

    Raises BenchmarkError if it is another file or cannot be read.
    """
    if not source.is_file():
        raise BenchmarkError(f"{source}: no such file")
    if not file_is(source, size, sha256):
        expected = f"{'' if size is None else f'{size:,} bytes, '}sha256 {sha256[:16]}…"
        found = f"{source.stat().st_size:,} bytes, sha256 {file_sha256(source)[:16]}…"
        raise BenchmarkError(f"{source}: not the file that was expected ({found}; expected {expected})")
    try:
        make_folder(destination.parent)
        with tempfile.TemporaryDirectory(dir=destination.parent, prefix=f".{destination.name}.") as folder:
            copy = Path(folder) / destination.name
            shutil.copyfile(source, copy)
            if not file_is(copy, size, sha256):
                raise BenchmarkError(f"{source}: changed while it was copied")
            copy.replace(destination)
    except OSError as error:
        raise BenchmarkError(f"{destination}: cannot be written: {error.strerror or error}") from error
    return destination


def fetch_inception(source: Path | None = None) -> Path:
    """Weights of torch-fidelity's `inception-v3-compat`, downloaded or taken from `source`, the file or its folder.

    Returns the file in the cache folder. Raises BenchmarkError as `fetch_file` and `take_file` do.
    """
    return _fetch_weights(INCEPTION_URL, INCEPTION_SIZE, INCEPTION_SHA256, source)


def fetch_vgg16(source: Path | None = None) -> Path:
    """torchvision's VGG16, which `lpips-vgg` needs, downloaded or taken from `source`, the file or its folder.

    Returns the file in the cache folder. Raises BenchmarkError as `fetch_file` and `take_file` do.
    """
    return _fetch_weights(VGG16_URL, VGG16_SIZE, VGG16_SHA256, source)


def fetch_dinov2(source: Path | None = None) -> Path:
    """Weights of DINOv2, downloaded or taken from `source`, the file or its folder. Raises as `fetch_inception`."""
    return _fetch_weights(DINOV2.url, DINOV2.size, DINOV2.sha256, source)


def fetch_clip(source: Path | None = None) -> Path:
    """Weights of CLIP, downloaded or taken from `source`, the file or its folder. Raises as `fetch_inception`."""
    return _fetch_weights(CLIP.url, CLIP.size, CLIP.sha256, source)


def found_weights(weights: Weights) -> Path | None:
    """The verified file of `weights`, from the cache folder or from torch's own; None if it is in neither."""
    return _weights(weights.url.rpartition("/")[2], weights.size, weights.sha256)


def inception_weights() -> Path | None:
    """The verified Inception weights, from the cache folder or from torch's own; None if they are in neither."""
    return _weights(INCEPTION_NAME, INCEPTION_SIZE, INCEPTION_SHA256)


def vgg16_weights() -> Path | None:
    """The verified weights of VGG16, from the cache folder or from torch's own; None if they are in neither."""
    return _weights(VGG16_NAME, VGG16_SIZE, VGG16_SHA256)


def _fetch_weights(url: str, size: int | None, sha256: str, source: Path | None) -> Path:
    remote = Remote(url, cache_folder() / url.rpartition("/")[2], size, sha256)
    if source is None:
        fetch_files([remote])
        return remote.destination
    file = source / remote.destination.name if source.is_dir() else source
    return take_file(file, remote.destination, remote.size, remote.sha256)


def _weights(name: str, size: int | None, sha256: str) -> Path | None:
    hub = Path(os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "torch")
    for folder in (cache_folder(), expanded(hub) / "hub" / "checkpoints"):
        if file_is(folder / name, size, sha256):
            return folder / name
    return None


class _PassingError(Exception):
    """An attempt that failed in a way that may pass."""


def file_is(path: Path, size: int | None, sha256: str) -> bool:
    """Whether `path` is the file of this size (None: of any) and SHA-256."""
    return path.is_file() and size in (None, path.stat().st_size) and file_sha256(path) == sha256


def _check_room(part: Path, size: int) -> None:
    """Raises BenchmarkError if the disk has no room for what is not there yet."""
    wanted = size - (part.stat().st_size if part.exists() else 0)
    free = shutil.disk_usage(part.parent).free
    if wanted > free:
        raise BenchmarkError(
            f"{part.parent}: {wanted / 1e6:,.0f} MB are to come, and {free / 1e6:,.0f} MB are free there"
        )


def _failure(remote: Remote, reason: str) -> BenchmarkError:
    return BenchmarkError(
        f"{remote.url}: {reason}; if you can get the file elsewhere, name it with --from, "
        f"or put it where it belongs: {remote.destination}"
    )


def _download(remote: Remote, part: Path, progress: Callable[[int], None] | None, stop: threading.Event | None) -> bool:
    """Brings `part` to its full length, in several attempts if need be. Returns whether it went on from a piece."""
    failures = 0
    resumed = False
    while True:
        before = part.stat().st_size if part.exists() else 0
        resumed = resumed or before > 0
        try:
            _attempt(remote, part, progress, stop)
            return resumed
        except _PassingError as error:
            after = part.stat().st_size if part.exists() else 0
            failures = 1 if after - before >= PROGRESS else failures + 1
            if failures == ATTEMPTS:
                raise _failure(remote, f"{error} ({ATTEMPTS} attempts)") from error.__cause__
        (stop or threading.Event()).wait(FIRST_PAUSE * 2 ** (failures - 1))


def _attempt(remote: Remote, part: Path, progress: Callable[[int], None] | None, stop: threading.Event | None) -> None:
    """One request for what `part` lacks. Raises _PassingError if another attempt may help."""
    import requests
    import urllib3

    _go_on(remote, stop)
    have = part.stat().st_size if part.exists() else 0
    if remote.size is not None and have >= remote.size:
        return  # whole, or too long, which verification finds
    headers = {"Accept-Encoding": "identity"}  # ranges and lengths count the file's own bytes
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        with _answer(remote, headers) as response:
            if response.status_code == 416:
                if response.headers.get("Content-Range") == f"bytes */{have}":
                    return
                _empty(part)
                raise _PassingError("the server's file is shorter than what had arrived")
            if response.status_code == 429 or response.status_code >= 500:
                raise _PassingError(f"the server answers {response.status_code} {response.reason}")
            if response.status_code not in (200, 206):
                raise _failure(remote, f"the server answers {response.status_code} {response.reason}")
            if response.status_code == 206 and not response.headers.get("Content-Range", "").startswith(
                f"bytes {have}-"
            ):
                _empty(part)
                raise _PassingError("the server sent another range than was asked for")
            if response.status_code == 200:
                have = 0  # this server knows no ranges: from the beginning
            encoding = response.headers.get("Content-Encoding", "identity")
            if encoding.lower() not in ("", "identity"):
                raise _failure(
                    remote, f"the server sends it packed ({encoding[:20]}), though asked for the file itself"
                )
            length = response.headers.get("Content-Length", "")
            if remote.size is not None and length.isdecimal() and have + int(length) != remote.size:
                _empty(part)
                found = f"{have + int(length):,} bytes; expected {remote.size:,}"
                raise _failure(remote, f"the server has another file ({found})")
            with part.open("ab" if have else "wb") as stream:
                since, before = time.monotonic(), have
                while piece := response.raw.read1(PIECE, decode_content=False):
                    _go_on(remote, stop)
                    stream.write(piece)
                    have += len(piece)
                    if progress is not None:
                        progress(have)
                    if have > (LARGEST if remote.size is None else remote.size):
                        return  # another file: verification says so, without the rest of it
                    if time.monotonic() - since >= SLOWEST[0]:
                        if have - before < SLOWEST[1]:
                            raise _PassingError("the server sends too slowly")
                        since, before = time.monotonic(), have
    except requests.exceptions.SSLError as error:
        raise _failure(remote, "the server's certificate is not accepted") from error
    except (requests.exceptions.Timeout, urllib3.exceptions.ReadTimeoutError) as error:
        raise _PassingError("the server does not answer") from error
    except (requests.exceptions.ChunkedEncodingError, urllib3.exceptions.HTTPError) as error:
        raise _PassingError("the connection breaks off") from error
    except requests.exceptions.ConnectionError as error:
        raise _PassingError("the server cannot be reached (no network, or a proxy or firewall in between)") from error
    except requests.exceptions.RequestException as error:
        raise _failure(remote, f"the request failed: {type(error).__name__}") from error
    except ValueError as error:  # of Python's own reading of addresses
        raise _failure(remote, "the server leads to what is no address") from error
    if remote.size is not None and have < remote.size:
        raise _PassingError("the connection breaks off")


def _answer(remote: Remote, headers: Mapping[str, str]) -> "requests.Response":
    """The answer to one request, wherever it leads. Raises BenchmarkError where it may not lead."""
    from requests.compat import urljoin, urlsplit

    url = remote.url
    for _ in range(REDIRECTS + 1):
        response = _head(url, headers)
        if not response.is_redirect:
            return response
        before, url = url, urljoin(url, response.headers["Location"])
        response.close()
        schemes = [urlsplit(address).scheme.lower() for address in (before, url)]
        if schemes[1] not in ("http", "https"):
            raise _failure(remote, f"the server leads to {schemes[1][:20]}:, which is no download")
        if schemes == ["https", "http"]:
            raise _failure(remote, f"the server leads from HTTPS to plain HTTP, at {urlsplit(url).hostname}")
    raise _failure(remote, f"the server leads elsewhere more than {REDIRECTS} times")


def _head(url: str, headers: Mapping[str, str]) -> "requests.Response":
    """An answer whose head has come. Raises _PassingError if that takes longer than ANSWER seconds."""
    import requests

    found: queue.SimpleQueue[requests.Response | BaseException] = queue.SimpleQueue()
    given_up = threading.Event()

    def ask() -> None:
        try:
            # a function that adds nothing keeps requests from looking for credentials in the address and ~/.netrc
            response = requests.get(
                url, headers=headers, stream=True, timeout=TIMEOUT, allow_redirects=False, auth=lambda request: request
            )
        except BaseException as error:
            found.put(error)
            return
        found.put(response)
        if given_up.is_set():
            response.close()

    threading.Thread(target=ask, daemon=True).start()  # its reading cannot be broken off: it is left behind
    try:
        answer = found.get(timeout=ANSWER)
    except queue.Empty:
        given_up.set()
        raise _PassingError("the server does not answer") from None
    if isinstance(answer, BaseException):
        raise answer
    return answer


def _go_on(remote: Remote, stop: threading.Event | None) -> None:
    if stop is not None and stop.is_set():
        raise BenchmarkError(f"{remote.url}: the download was broken off")


@contextmanager
def _shown(remotes: Sequence[Remote]) -> Iterator[Callable[..., None]]:
    """Yields show(remote, bytes that are there, finished=False): a bar on a terminal, else a line for each file."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    console = Console(stderr=True)
    sizes = [remote.size for remote in remotes]
    total = None if None in sizes else sum(size or 0 for size in sizes)
    received: dict[Path, int] = {}
    finished: set[Path] = set()
    lock = threading.Lock()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"0 of {len(remotes)} files", total=total)

        def show(remote: Remote, there: int, whole: bool = False) -> None:
            with lock:
                received[remote.destination] = there
                if whole:
                    finished.add(remote.destination)
                    if not console.is_terminal:
                        line = f"{len(finished)} of {len(remotes)}: {remote.destination.name}, {there / 1e6:.1f} MB"
                        console.print(line, highlight=False, markup=False, soft_wrap=True)
                description = f"{len(finished)} of {len(remotes)} files"
                bar.update(task, completed=sum(received.values()), description=description)

        yield show
