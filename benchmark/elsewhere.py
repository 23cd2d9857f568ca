"""Codecs that run in another interpreter: `./my_codec.py:MyCodec@python=/envs/other/bin/python`.

That interpreter gets the text of `benchmark/worker.py` and needs nothing of the suite's. All goes over its standard
input and output, so `conda run`, `docker run -i` and `ssh` can stand before it. Each codec has a process of its own
there, which is started once and loads the codec once. One that crashes, says what is no message, or does not answer in
time is ended, and the call fails; the next call starts another.
"""

import builtins
import contextlib
import fcntl
import hashlib
import inspect
import json
import os
import select
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any, Literal, NoReturn

from benchmark import watching, worker
from benchmark.errors import BenchmarkError, CorruptStream, Undefined, UsageError, signal_name, visible
from benchmark.files import expanded
from benchmark.guards import crash_place
from benchmark.identity import (
    CHECKPOINTS,
    NO_FILE,
    NUMERIC_VARIABLES,
    code_named,
    data_of_code,
    files_of_variables,
    hashes_of,
    hashes_of_programs,
    hashes_of_settings,
    name_from,
    sha256_of,
    variables,
)
from benchmark.programs import last_words, settled
from benchmark.registry import Spec
from benchmark.sources import modules_beside, source_of
from benchmark.strays import marked_environment

SECONDS_TO_START = 300.0
"""Until another interpreter greets, unless the spec says otherwise: an image may have to be pulled."""
SECONDS = 3600.0
"""That loading the codec, and each call, may take, unless the spec says otherwise."""
SECONDS_TO_END = 5.0
SECONDS_FOR_STACK = 2.0

MOST_NOISE = 1 << 20
"""Bytes before the greeting."""
MOST_WORDS = 64 << 20
"""Bytes of JSON in one message."""
MOST_BYTES = 4 << 30
"""Bytes of images and streams in one message."""
MOST_SAID = 16 << 20
"""Bytes of standard error during one call that are kept."""
LAST_SAID = 20_000
"""Bytes of it that go into a run's record of a failure."""
AT_ONCE = 1 << 20

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
OF_THIS_PYTHON = ("PYTHONPATH", "PYTHONHOME", "PYTHONSAFEPATH", "PYTHONSTARTUP", "__PYVENV_LAUNCHER__")
"""Variables that are meant for this interpreter and break another."""

BOOT = (
    "import sys;sys.version_info<(3,8) and sys.exit('Python 3.8 or later is needed, not '+sys.version.split()[0]);"
    "b=sys.stdin.buffer;exec(compile(b.read(int(b.readline())),'<worker of hfd-benchmark>','exec'));main()"
)
"""Python 2 understands it far enough to say that it is too old."""


class Raised(Exception):
    """What the codec's code raised there. The class that is raised has the name of the class over there.

    details: its traceback and what was on standard error. where: its frames, which tell one kind from another.
    """

    details = ""
    where: Sequence[str] = ()


class Gone(BenchmarkError):
    """The process there has ended, or was ended, during a call. kind: "died" or "hung"; the rest as in `Raised`."""

    kind: Literal["died", "hung"] = "died"
    details = ""
    where: Sequence[str] = ()


# The command


def command_of(text: str) -> tuple[str, ...]:
    """The words that start the interpreter: those of a shell, or the path of a program with spaces in it.

    `conda run` gets the option without which it keeps what is printed to itself. Raises UsageError.
    """
    path = expanded(text)
    if path.is_file():
        return (str(path.absolute()),)
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageError(f"@python={text}: {error}") from None
    if not words:
        raise UsageError("@python= names no interpreter")
    if shutil.which(str(expanded(words[0]))) is None:
        raise UsageError(f"@python={text}: there is no program {words[0]}; give the path of the interpreter")
    if Path(words[0]).name == "conda" and words[1:2] == ["run"] and not {"--no-capture-output", "-s"} & set(words):
        words.insert(2, "--no-capture-output")
    return settled(words)


def line_of(words: Sequence[str]) -> list[str]:
    """The whole line. What `ssh` is given goes through a shell at the other end."""
    boot = shlex.quote(BOOT) if any(Path(word).name == "ssh" for word in words) else BOOT
    return [*words, "-u", "-c", boot]


# The process


class Elsewhere:
    """A codec of a file in another interpreter. One call at a time; other threads wait.

    spec: of a file, with the interpreter's command. folder: where relative paths begin. seconds_on_the_way: that calls
    have taken beyond what the codec itself did. Raises UsageError and BenchmarkError as `open_codec` does.
    """

    def __init__(self, spec: Spec, device: str) -> None:
        assert spec.file is not None
        self.what = f"codec {spec.name}"
        self.words = command_of(spec.place["python"])
        self.seconds = _seconds(spec.place.get("timeout"), self.what)
        self.seconds_to_start = self.seconds if "timeout" in spec.place else SECONDS_TO_START
        self.seconds_on_the_way = 0.0
        self._spec, self._device, self._file = spec, device, spec.file
        self.folder = Path.cwd()
        self._lock = threading.Lock()
        self._process: _Process | None = None
        self._moved: dict[str, Any] | None = None
        self._memory: int | None = None
        if not self._file.is_file():
            raise UsageError(f"{self.what}: there is no file {self._file}")
        # what is run is what was there now, also by a process that starts after the file was edited
        self.modules = modules_beside(self._file)
        self._files = {path: path.read_bytes() for path in (self._file, *self.modules.values())}
        self.hashes = {path: _sha256(content) for path, content in self._files.items()}
        self.opened: Mapping[str, Any] = {}
        with self._lock:
            self._start()

    @property
    def is_here(self) -> bool:
        """Whether it sees the files of this machine: the codec's own is the same file there."""
        try:
            found = self._file.stat()
        except OSError:
            return False
        return self.opened["identity"] == [found.st_dev, found.st_ino, found.st_mtime_ns]

    def call(self, method: str, *arguments: Any, **named: Any) -> Any:
        """What the method returns there. Raises `Raised`, or the suite's own errors, or `Gone`."""
        value, buffers = worker.pack((arguments, named))
        with self._lock:
            began = time.perf_counter()
            reply, data = self._ask({"do": "call", "method": method, "arguments": value}, buffers)
            try:
                result = worker.unpack(reply["value"], data)
                inside = float(reply["seconds"])
            except Exception as error:
                self._lose(f"what came from it is no answer: {type(error).__name__}: {error}")
            taken = time.perf_counter() - began
            self.seconds_on_the_way += max(0.0, taken - inside)
        return result

    def identify(self, packages: Sequence[str], paths: Mapping[str, str], names: Sequence[str]) -> Mapping[str, Any]:
        """Versions of packages, setting -> name -> SHA-256, and values of variables, all as they are there."""
        request = {"do": "identify", "packages": list(packages), "paths": dict(paths), "variables": list(names)}
        request["suffixes"] = list(CHECKPOINTS)
        with self._lock:
            reply, _ = self._ask(request)
            try:
                versions, values = (_texts(reply[name]) for name in ("packages", "variables"))
                hashes = {str(key): _texts(found) for key, found in reply["hashes"].items()}
            except Exception as error:
                self._lose(f"what came from it is no answer: {type(error).__name__}: {error}")
        return {"packages": versions, "variables": values, "hashes": hashes}

    def move(self, home: str, temporary: str, folder: str) -> None:
        """Another home, temporary and working folder, for this process and those that follow it."""
        self._moved = {"do": "move", "variables": {"HOME": home, "TMPDIR": temporary}, "folder": folder}
        with self._lock:
            self._ask(self._moved)

    def limit_memory(self, size: int) -> None:
        """Bytes that the process may take beyond what it holds when it has loaded the codec."""
        self._memory = size
        with self._lock:
            self._ask({"do": "limit", "memory": size})

    def close(self) -> None:
        """Ends the process."""
        with self._lock:
            if self._process is not None:
                self._process.end()
                self._process = None

    def _start(self) -> None:
        """Starts a process and loads the codec in it; ends it again if that fails."""
        self._process = _Process(line_of(self.words), self)
        try:
            self._open(self._process)
        except BaseException:
            if self._process is not None:
                self._process.abandon()
                self._process = None
            raise

    def _open(self, process: "_Process") -> None:
        process.greet()
        common = os.path.commonpath([path.parent for path in self._files])
        files = [
            [str(path), Path(os.path.relpath(path, common)).as_posix(), self.hashes[path], len(content)]
            for path, content in self._files.items()
        ]
        request = {
            "do": "open",
            "files": files,
            "name": self._spec.name.rpartition(":")[2],
            "settings": dict(self._spec.settings),
            "device": self._device,
            "environment": {name: os.environ[name] for name in THREAD_VARIABLES if name in os.environ},
        }
        reply, data = self._exchange(request)
        if reply.get("lacks"):  # the interpreter is on another machine
            reply, data = self._exchange(request, list(self._files.values()))
        try:
            opened = dict(reply, values=worker.unpack(reply["values"], data))
            shapes = {name: _stand_in(name, method) for name, method in opened["methods"].items()}
            opened |= {"shapes": shapes, "about": dict(opened["about"]), "defaults": dict(opened["defaults"])}
            opened |= {name: list(opened[name]) for name in ("identity", "devices")}
        except Exception as error:
            self._lose(f"what came from it is no answer: {type(error).__name__}: {error}")
        self.opened = opened
        if self._moved is not None:
            self._exchange(self._moved)
        if self._memory is not None:
            self._exchange({"do": "limit", "memory": self._memory})

    def _ask(self, request: Mapping[str, Any], buffers: Sequence[Any] = ()) -> tuple[Mapping[str, Any], memoryview]:
        if self._process is None:
            self._start()
        return self._exchange(request, buffers)

    def _exchange(
        self, request: Mapping[str, Any], buffers: Sequence[Any] = ()
    ) -> tuple[Mapping[str, Any], memoryview]:
        """An answer to a request. Raises what the code there raised."""
        assert self._process is not None
        process, watches = self._process, watching.is_watching()
        process.allow(self.seconds)
        try:
            process.send({**request, "watch": watches}, buffers)
            reply, data = process.receive()
        except BaseException:  # Ctrl-C: the answer would come to another question
            process.abandon()
            self._process = None
            raise
        if watches:
            self._tell_watchers(reply.pop("seen", None))
        if "error" in reply:
            _raise(reply["error"], process)
        return reply, data

    def _tell_watchers(self, seen: Any) -> None:
        if not isinstance(seen, dict):
            return
        if self.opened and not self.is_here:  # names of another machine's files mean nothing on this one
            seen = {name: seen[name] for name in ("programs", "connections") if name in seen}
        with contextlib.suppress(TypeError, ValueError):
            watching.tell(seen)

    def _lose(self, cause: str) -> NoReturn:
        assert self._process is not None
        self._process.lose(cause)

    def forget(self) -> None:
        """The process has ended; the next call starts another."""
        self._process = None


def _texts(found: Any) -> dict[str, str]:
    return {str(key): str(value) for key, value in found.items()}


def _seconds(text: str | None, what: str) -> float:
    try:
        seconds = SECONDS if text is None else float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise UsageError(f"{what}: @timeout={text}: seconds that a call may take, above 0")
    return seconds


class _Process:
    """One process there, in a group of its own, and the pipes to it. owner: to be told when it has ended.

    What it is asked must be answered within the seconds that `allow` has given.
    """

    def __init__(self, line: Sequence[str], owner: Elsewhere) -> None:
        self._owner = owner
        self.said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # `_end` closes it
        fcntl.fcntl(self.said, fcntl.F_SETFL, os.O_APPEND)
        environment = {name: value for name, value in marked_environment().items() if name not in OF_THIS_PYTHON}
        try:
            self._popen = subprocess.Popen(
                line,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.said,
                env=environment,
                cwd=owner.folder,
                bufsize=0,
                start_new_session=True,  # so that it can be ended with all that it has started
            )
        except OSError as error:
            owner.forget()
            raise BenchmarkError(f"{line[0]}: cannot be started: {error.strerror or error}") from None
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        self._in, self._out = self._popen.stdin.fileno(), self._popen.stdout.fileno()
        os.set_blocking(self._in, False)
        self.end = weakref.finalize(self, _end, self._popen, self.said, os.getpid())
        self._give(owner.seconds_to_start)  # what it has said by now may be why it ended

    def allow(self, seconds: float) -> None:
        """Begins another request: what was said before is forgotten, and it is to be answered in time."""
        self._give(seconds)
        self._forget_said()

    def _give(self, seconds: float) -> None:
        self._seconds, self._deadline = seconds, time.monotonic() + seconds

    def greet(self) -> None:
        """Sends the worker's text and waits for its greeting. Raises `Gone`."""
        source = _source()
        self._write(b"%d\n" % len(source) + source)
        heard = bytearray()
        while worker.GREETING not in heard:
            if len(heard) > MOST_NOISE:
                self.lose(f"it says other things than a worker does: {_shown(heard)}")
            heard += self._some(AT_ONCE, f"it has said {_shown(heard)}" if heard else "")
        if not heard.endswith(worker.GREETING):
            self.lose(
                f"what it says after its greeting was not asked for: {_shown(heard.partition(worker.GREETING)[2])}"
            )

    def send(self, message: Mapping[str, Any], buffers: Sequence[Any]) -> None:
        """Raises `Gone`."""
        text = json.dumps(message).encode()
        views = [memoryview(one).cast("B") for one in buffers if len(one)]
        self._write(worker.HEAD.pack(worker.MAGIC, len(text), sum(view.nbytes for view in views)) + text)
        for view in views:
            self._write(view)

    def abandon(self) -> None:
        """Ends the process in the middle of what it does."""
        _kill(self._popen)
        self.end()

    def receive(self) -> tuple[dict[str, Any], memoryview]:
        """A whole message. Raises `Gone` on anything else."""
        head = self._exactly(worker.HEAD.size)
        magic, words, size = worker.HEAD.unpack(head)
        if magic != worker.MAGIC:
            self.lose(f"what came from it is no message: {_shown(head)}")
        if words > MOST_WORDS or size > MOST_BYTES:
            self.lose(f"it announces a message of {words + size:,} bytes, more than there can be")
        text, data = self._exactly(words), self._exactly(size)
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            self.lose(f"what came from it is no message: {_shown(text)}")
        if not isinstance(message, dict):
            self.lose(f"what came from it is no answer: {_shown(text)}")
        return message, memoryview(data)

    def _forget_said(self) -> None:
        os.ftruncate(self.said.fileno(), 0)

    def lose(self, cause: str, kind: Literal["died", "hung"] = "died") -> NoReturn:
        """Ends the process and raises `Gone` with its last words and, if it crashed, its stack."""
        _kill(self._popen)
        self.said.seek(0)
        report = self.said.read(MOST_SAID).decode(errors="replace")
        words = "" if "Current thread" in report or "Fatal Python" in report else last_words(self.said)
        place = crash_place(report)
        error = Gone(f"{_named(self._owner)}: {cause}" + (f" ({place})" if place else "") + words)
        error.kind, error.where = kind, (cause, place)
        error.details = _details("", report)
        self.end()
        self._owner.forget()
        raise error

    def _write(self, data: Any) -> None:
        view, poll = memoryview(data), select.poll()
        poll.register(self._in, select.POLLOUT)
        while view:
            try:
                view = view[os.write(self._in, view[:AT_ONCE]) :]
            except BlockingIOError:
                self._wait(poll)
            except OSError:
                self._ended()

    def _exactly(self, count: int) -> bytearray:
        data = bytearray()
        while len(data) < count:
            data += self._some(min(AT_ONCE, count - len(data)))
        return data

    def _some(self, most: int, besides: str = "") -> bytes:
        """At least one byte."""
        poll = select.poll()
        poll.register(self._out, select.POLLIN)
        self._wait(poll, besides)
        data = os.read(self._out, most)
        if not data:
            self._ended()
        return data

    def _wait(self, poll: "select.poll", besides: str = "") -> None:
        """Until a pipe is ready. Raises `Gone` where the process has ended, or does not answer."""
        while True:
            left = self._deadline - time.monotonic()
            if left <= 0:
                self._ask_for_stack()
                cause = f"no answer after {self._seconds:g} seconds; it was killed"
                self.lose(cause + (f"; {besides}" if besides else ""), "hung")
            if poll.poll(min(left, 0.5) * 1000):
                return
            if os.fstat(self.said.fileno()).st_size > MOST_SAID:
                self._forget_said()
            if self._popen.poll() is not None and not poll.poll(0):  # what it started holds the pipe open
                self._ended()

    def _ask_for_stack(self) -> None:
        before, end = os.fstat(self.said.fileno()).st_size, time.monotonic() + SECONDS_FOR_STACK
        with contextlib.suppress(OSError):
            os.killpg(self._popen.pid, signal.SIGUSR1)
        while self._popen.poll() is None and time.monotonic() < end:
            if os.fstat(self.said.fileno()).st_size > before:
                return
            time.sleep(0.01)

    def _ended(self) -> NoReturn:
        """It has closed its pipes."""
        try:
            code = self._popen.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self.lose("it closed its connection and went on; it was killed")
        if code >= 0:
            self.lose(f"it ended: exit code {code}")
        name = signal_name(-code)
        self.lose(f"it ended: signal {-code} ({name})")


def _named(owner: Elsewhere) -> str:
    return f"the interpreter {shlex.join(owner.words)}"


def _shown(data: Any) -> str:
    return visible(repr(bytes(data[:80])))


def _kill(popen: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(popen.pid, signal.SIGKILL)
    popen.wait()


def _end(popen: "subprocess.Popen[bytes]", said: IO[bytes], owner: int) -> None:
    """Ends the process: it is told by the end of its input, and killed with what it has started."""
    if os.getpid() != owner:  # in a fork of the process that started it
        return
    for stream in (popen.stdin, popen.stdout):
        with contextlib.suppress(OSError):
            stream.close()  # type: ignore[union-attr]
    with contextlib.suppress(subprocess.TimeoutExpired):
        popen.wait(SECONDS_TO_END)
    _kill(popen)
    said.close()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@cache
def _source() -> bytes:
    return Path(worker.__file__).read_bytes()


def _details(trace: str, said: str) -> str:
    tail = said[-LAST_SAID:]
    return trace + (f"\nstandard error:\n{tail}" if tail.strip() else "")


def _raise(error: Any, process: _Process) -> NoReturn:
    """Raises what the code there raised: as the suite's own class where it has such a name."""
    try:
        name, message, place = str(error["type"]), str(error["message"]), str(error["place"])
        bases, where, trace = list(error["bases"]), [str(one) for one in error["where"]], str(error["traceback"])
        refused = bool(error["refused"])
    except (KeyError, TypeError):
        process.lose("what came from it is no answer: an error without its name")
    if refused:
        raise UsageError(message)
    for ours in (Undefined, CorruptStream, UsageError, BenchmarkError):
        if ours.__name__ in bases:
            raise ours(message)
    process.said.seek(0)
    said = process.said.read(MOST_SAID).decode(errors="replace")
    # its name alone tells the user what it was; MemoryError and FileNotFoundError are asked for by class
    base = getattr(builtins, name, None)
    bases_here = (Raised, MemoryError) if base is MemoryError else (Raised,)
    raised = type(name if name.isidentifier() else "Error", bases_here, {})(message + (f" ({place})" if place else ""))
    raised.details, raised.where = _details(trace, said), where
    raise raised


# The codec


class StandIn:
    """A codec here that hands its calls on to `elsewhere`. It has the methods and values that the codec there has.

    The parameters of its methods are those of the codec's own, so that it is checked as one of this process.
    """

    def __init__(self, elsewhere: Elsewhere) -> None:
        self.elsewhere = elsewhere
        for name, value in elsewhere.opened["values"].items():
            setattr(self, name, value)
        for name, shape in elsewhere.opened["shapes"].items():
            setattr(self, name, shape(elsewhere))


def elsewhere_of(codec: object) -> Elsewhere | None:
    """The other interpreter that an opened codec runs in; None for one of this process."""
    found = getattr(codec, "elsewhere", None)
    return found if isinstance(found, Elsewhere) else None


def _stand_in(name: str, method: Mapping[str, Any]) -> Callable[[Elsewhere], Any]:
    """elsewhere -> a function that calls the method there, or an object of no callable class. Raises on nonsense."""
    if not method["callable"]:
        value = type(str(method["class"]), (), {})()
        return lambda elsewhere: value
    signature = None
    if method["parameters"] is not None:
        kinds = (
            inspect.Parameter.POSITIONAL_ONLY,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            inspect.Parameter.VAR_POSITIONAL,
            inspect.Parameter.KEYWORD_ONLY,
            inspect.Parameter.VAR_KEYWORD,
        )  # by number
        signature = inspect.Signature(
            [
                inspect.Parameter(str(parameter), kinds[kind], default=None if has else inspect.Parameter.empty)
                for parameter, kind, has in method["parameters"]
            ]
        )
    is_async = bool(method["async"])

    def make(elsewhere: Elsewhere) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            return elsewhere.call(name, *arguments, **named)

        async def wait(*arguments: Any, **named: Any) -> Any:
            """Never called: it lets the suite see that the codec's own is async, which it refuses in one line."""
            raise AssertionError(f"{name} is async, and was called")

        function: Any = wait if is_async else call
        if signature is not None:
            function.__signature__ = signature
        return function

    return make


def open_elsewhere(spec: Spec, device: str) -> StandIn:
    """The codec that `spec` names, in the interpreter that it names. Raises UsageError and BenchmarkError."""
    what = f"codec {spec.name}"
    try:
        return StandIn(Elsewhere(spec, device))
    except UsageError as error:
        raise UsageError(str(error) if str(error).startswith(what) else f"{what}: {error}") from None
    except BenchmarkError as error:
        raise BenchmarkError(f"{what}: cannot be opened: {error}") from error
    except Raised as error:
        raise BenchmarkError(f"{what}: cannot be opened: {type(error).__name__}: {error}") from error
    except OSError as error:
        raise BenchmarkError(f"{what}: cannot be read: {error.strerror or error}") from error


@dataclass(frozen=True)
class MadeOf:
    """What tells a codec that runs elsewhere from another version of it. read: files that it opened while loading."""

    spec: Spec
    codec: StandIn
    read: Sequence[Path]
    names: tuple[str, ...]

    def __call__(self) -> dict[str, Any]:
        """JSON values for the manifest. Raises BenchmarkError."""
        file, elsewhere = self.spec.file, self.codec.elsewhere
        assert file is not None
        modules = elsewhere.modules
        imported = {
            name.partition(".")[0]
            for path in (file, *modules.values())
            for dots, name in source_of(path).imports
            if not dots
        }
        settings = {**elsewhere.opened["defaults"], **self.spec.settings}
        paths = {key: text for key, text in settings.items() if not NO_FILE.fullmatch(text)}
        there = elsewhere.identify(sorted(imported - sys.stdlib_module_names), paths, [*self.names, *NUMERIC_VARIABLES])
        made_of: dict[str, Any] = {
            "file_sha256": elsewhere.hashes[file],
            "modules_sha256": {name: elsewhere.hashes[path] for name, path in modules.items()},
            "packages": there["packages"],
        }
        if elsewhere.is_here:
            of_settings = hashes_of_settings(settings, [file.parent])
            data = data_of_code(file) | {name_from(path, file.parent): path for path in self.read}
            hashes = hashes_of(dict(sorted(data.items())))
            made_of["files_sha256"] = {name: sha for name, sha in hashes.items() if sha not in of_settings.values()}
            made_of["modules_sha256"] |= hashes_of(code_named(file))
            made_of["programs_sha256"] = hashes_of_programs(file)
            made_of["variables_sha256"] = files_of_variables(self.names)
        else:
            of_settings = {
                f"{key} {name}".rstrip(): sha for key, found in there["hashes"].items() for name, sha in found.items()
            }
        made_of["settings_sha256"] = of_settings
        made_of["environment"] = variables([*self.names, *NUMERIC_VARIABLES], there["variables"])
        made_of["elsewhere"] = {
            **elsewhere.opened["about"],
            "command": shlex.join(elsewhere.words),
            **({"scripts_sha256": scripts} if (scripts := _scripts(elsewhere.words)) else {}),
            **({"file": "sent"} if elsewhere.opened.get("sent") else {}),
        }
        return {name: value for name, value in made_of.items() if value}


def _scripts(words: Sequence[str]) -> dict[str, str]:
    """Word -> SHA-256, of those that are the user's own scripts: texts, not programs."""
    found = {}
    for word in words:
        path = Path(word)
        with contextlib.suppress(OSError, ValueError):
            if path.is_file() and b"\0" not in path.open("rb").read(4096):
                found[word] = sha256_of(path)
    return found
