"""Runs one codec of a file in another interpreter: Python 3.8 or later, NumPy, and nothing of the suite.

`benchmark.elsewhere` sends this file's text to that interpreter and talks to it over its standard input and output. A
message is 4 bytes `MAGIC`, two lengths (4 and 8 bytes, little-endian), JSON of the first length, raw bytes of the
second. Bytes and arrays stand in the JSON as marks with their length, and follow in that order.
"""

from __future__ import annotations

import collections.abc
import contextlib
import faulthandler
import glob
import hashlib
import importlib.util
import inspect
import json
import operator
import os
import platform
import re
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
import typing
from typing import Any, Sequence

MAGIC = b"HFDm"
HEAD = struct.Struct("<4sIQ")
GREETING = b"\n<<worker of hfd-benchmark, protocol 1>>\n"
"""What comes first: what a login shell or a wrapper has printed before it is passed over."""

METHODS = ("encode", "decode", "describe", "estimate_bits", "encode_with_estimate", "x_hat")
VALUES = ("qualities", "stochastic", "scale", "header_bytes", "cpus", "gpus", "environment", "trained_on", "taught_by")
FRAMEWORKS = ("numpy", "torch", "tensorflow", "jax", "jaxlib")
"""Packages whose version is told if they are loaded, named in the code or not."""
NUMBERS = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64"),
)
"""NumPy's scalars that stay what they are on the way."""
LONGEST = 100000
"""Characters of a traceback that are sent."""


class Refused(Exception):
    """What the user must mend in the spec: no such file, class or setting."""


# Messages


def pack(value: Any) -> tuple[Any, list[Any]]:
    """`value` as (what JSON can hold, list of buffers)."""
    import numpy

    buffers: list[Any] = []

    def plain(one: Any) -> Any:
        kind = type(one)
        if one is None or kind in (bool, int, float, str):
            return one
        if kind is list:
            return [plain(item) for item in one]
        if kind is tuple:
            return {"tuple": [plain(item) for item in one]}
        if isinstance(one, collections.abc.Mapping):
            return {"dict": [[plain(key), plain(item)] for key, item in one.items()]}
        if kind in (bytes, bytearray):
            buffers.append(one)
            return {"bytes": len(one), "class": kind.__name__}
        if isinstance(one, numpy.ndarray) and not isinstance(one, numpy.ma.MaskedArray) and one.dtype.kind in "biufc":
            flat = numpy.ascontiguousarray(one)
            if flat.dtype.byteorder == ">" or (flat.dtype.byteorder == "=" and sys.byteorder == "big"):
                flat = flat.astype(flat.dtype.newbyteorder("<"))
            buffers.append(flat.reshape(-1).view(numpy.uint8).data if flat.size else b"")
            return {"array": flat.dtype.str, "shape": list(one.shape), "bytes": flat.nbytes}
        if isinstance(one, numpy.generic) and one.dtype.name in NUMBERS:
            return {"number": one.item(), "class": one.dtype.name}
        for base in (int, float, str):
            if isinstance(one, base):
                return getattr(base, f"__{base.__name__}__")(one)
        if isinstance(one, (list, tuple, range)):
            return {"tuple": [plain(item) for item in one]}
        return {"other": kind.__name__, "module": str(kind.__module__)}

    return plain(value), buffers


def unpack(value: Any, data: Any) -> Any:
    """The reverse. Raises ValueError, TypeError or KeyError on what `pack` has not made."""
    import numpy

    at = 0

    def take(count: Any) -> Any:
        nonlocal at
        if not isinstance(count, int) or not 0 <= count <= len(data) - at:
            raise ValueError(f"a buffer of {count!r} bytes where {len(data) - at} are left")
        at += count
        return data[at - count : at]

    def whole(one: Any) -> Any:
        if isinstance(one, list):
            return [whole(item) for item in one]
        if not isinstance(one, dict):
            return one
        if "tuple" in one:
            return tuple(whole(item) for item in one["tuple"])
        if "dict" in one:
            return {whole(key): whole(item) for key, item in one["dict"]}
        if "array" in one:
            kind = numpy.dtype(one["array"])
            if kind.kind not in "biufc" or not all(type(n) is int and n >= 0 for n in one["shape"]):
                raise ValueError("no array of numbers")
            return numpy.frombuffer(bytearray(take(one["bytes"])), kind).reshape(one["shape"])
        if "number" in one:
            if one["class"] not in NUMBERS:
                raise ValueError("no number")
            return numpy.dtype(one["class"]).type(one["number"])
        if "bytes" in one:
            return bytearray(take(one["bytes"])) if one["class"] == "bytearray" else bytes(take(one["bytes"]))
        return type(str(one["other"]), (), {"__module__": str(one.get("module", ""))})()

    found = whole(value)
    if at != len(data):
        raise ValueError(f"{len(data) - at} bytes more than it says")
    return found


def write(stream: Any, message: Any, buffers: Sequence[Any] = ()) -> None:
    """Sends a message. message: of JSON's types."""
    text = json.dumps(message).encode("utf-8")
    views = [memoryview(one).cast("B") if len(one) else memoryview(b"") for one in buffers]
    stream.write(HEAD.pack(MAGIC, len(text), sum(view.nbytes for view in views)) + text)
    for view in views:
        stream.write(view)
    stream.flush()


def read(stream: Any) -> tuple[Any, memoryview]:
    """(message, buffers in one), or EOFError."""
    magic, words, size = HEAD.unpack(_exactly(stream, HEAD.size))
    if magic != MAGIC:
        raise EOFError(f"no message: {magic!r}")
    return json.loads(_exactly(stream, words).decode("utf-8")), memoryview(_exactly(stream, size))


def _exactly(stream: Any, count: int) -> bytearray:
    data = bytearray()
    while len(data) < count:
        part = stream.read(count - len(data))
        if not part:
            raise EOFError
        data += part
    return data


# What the codec's code does to files, as benchmark.watching sees it in its own process


class Seen:
    """Of one call: what was read (path -> st_ctime, null if it is not there), written, made, started, connected."""

    def __init__(self) -> None:
        self.read: dict[str, float | None] = {}
        self.wrote: dict[str, None] = {}
        self.created: dict[str, None] = {}
        self.programs: dict[str, None] = {}
        self.connections: dict[str, None] = {}

    def event(self, event: str, arguments: Any) -> None:
        if event == "open":
            path, _, flags = arguments
            writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
            self.file(path, bool(flags & writing))
        elif event in ("os.mkdir", "sqlite3.connect"):
            self.file(arguments[0], True)
        elif event in ("os.rename", "os.link", "os.symlink"):
            self.file(arguments[1], True)
        elif event in ("subprocess.Popen", "os.posix_spawn", "os.exec", "os.system", "os.spawn"):
            first = next(part for part in arguments if part is not None)
            first = first[0] if isinstance(first, (list, tuple)) and first else first
            self.programs[os.fsdecode(first) if isinstance(first, (str, bytes, os.PathLike)) else str(first)] = None
        elif event in ("socket.connect", "socket.sendto"):
            self.connections[str(arguments[1])] = None

    def file(self, path: Any, writing: bool) -> None:
        if not isinstance(path, (str, bytes, os.PathLike)):
            return
        name = os.path.abspath(os.fsdecode(path))
        if not writing:
            if name not in self.read and not is_installed(name):
                self.read[name] = os.stat(name).st_ctime if os.path.exists(name) else None
        elif name not in self.wrote:
            self.wrote[name] = None
            if not os.path.lexists(name):
                self.created[name] = None

    def as_json(self) -> dict[str, Any]:
        others = {name: list(getattr(self, name)) for name in ("wrote", "created", "programs", "connections")}
        return dict(others, read=self.read)


WATCHERS: list[Seen] = []


def hook(event: str, arguments: Any) -> None:
    for seen in WATCHERS:
        with contextlib.suppress(Exception):
            seen.event(event, arguments)


def is_installed(name: str) -> bool:
    """Whether a file is of Python or of an installed package."""
    parts = name.replace("\\", "/").split("/")
    library = os.path.dirname(os.__file__)
    return "site-packages" in parts or "dist-packages" in parts or name.startswith((library + os.sep, "<"))


# The codec


def load(path: str, name: str, settings: dict[str, str], device: str) -> tuple[Any, dict[str, str]]:
    """(the object that the class or function `name` of the file makes, text defaults of its settings)."""
    folder = os.path.dirname(path)
    others = [one for one in sys.path if one not in ("", folder)]
    sys.path[:] = [folder, *others, os.getcwd()]  # behind installed packages, so that it hides none
    spec = importlib.util.spec_from_file_location("file_" + hashlib.sha256(path.encode()).hexdigest()[:16], path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    if not hasattr(module, name):
        raise Refused(f"{path} has no {name}")
    make = getattr(module, name)
    if not callable(make):
        raise Refused(f"an object of class {type(make).__name__} is neither a class nor a function")
    parameters = inspect.signature(make).parameters.values()
    named = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    free = any(p.kind is p.VAR_KEYWORD for p in parameters)
    for key, text in settings.items():
        if key == "device":
            raise Refused(f"'device' is no setting; say --device {text}")
        if key not in named and not free:
            there = ", ".join(sorted(named - {"device"})) or "none"
            raise Refused(f"it has no setting {key!r}; its settings: {there}")
    for p in parameters:
        if p.name in named and p.name not in settings and p.name != "device" and p.default is p.empty:
            raise Refused(f"it needs the setting {p.name}: {name}:{p.name}=…")
    hints = hints_of(make)
    arguments: dict[str, Any] = {key: converted(text, hints.get(key, str), key) for key, text in settings.items()}
    if "device" in named:
        arguments["device"] = device
    defaults = {p.name: str(p.default) for p in parameters if isinstance(p.default, (str, os.PathLike))}
    return make(**arguments), defaults


def hints_of(make: Any) -> dict[str, Any]:
    """Parameter -> annotation, as far as this version of Python can read it; "int | None" in any."""
    function: Any = getattr(make, "__init__") if isinstance(make, type) else make  # noqa: B009
    try:
        written = getattr(function, "__annotations__", {})
    except NameError:  # from Python 3.14 on they are read here, and one may name what is not there
        import annotationlib  # type: ignore[import-not-found]

        written = annotationlib.get_annotations(function, format=annotationlib.Format.STRING)
    found: dict[str, Any] = {}
    for key, hint in written.items():
        if isinstance(hint, str):
            names = dict(vars(typing), **getattr(function, "__globals__", {}))
            parts = []
            for text in hint.split("|") if "[" not in hint else [hint]:
                try:
                    parts.append(eval(text.strip(), names))  # as typing.get_type_hints does
                except Exception:  # an annotation names what is not there; its setting stays text, as for the suite
                    parts = []
                    break
            if not parts:
                continue
            hint = typing.Union[tuple(parts)] if len(parts) > 1 else parts[0]
        found[key] = hint
    return found


def converted(text: str, hint: Any, key: str) -> Any:
    """A setting's text as its annotation wants it; the text itself for annotations that are no simple type."""
    bounds: list[Any] = []
    while True:
        arguments = getattr(hint, "__args__", ())
        if hasattr(hint, "__metadata__"):
            for part in hint.__metadata__:
                bounds += getattr(part, "metadata", [part])
            hint = hint.__origin__
        elif getattr(hint, "__origin__", None) is typing.Union or type(hint).__name__ == "UnionType":
            others = [one for one in arguments if one is not type(None)]
            if len(others) != 1:
                return text
            hint = others[0]
        else:
            break
    if str(getattr(hint, "__origin__", "")) == "typing.Literal":
        for one in hint.__args__:
            if str(one) == text:
                return one
        raise Refused("{} is {}, not {!r}".format(key, " or ".join(map(str, hint.__args__)), text))
    value: Any
    try:
        if hint in (int, float) and not text.isascii():  # other digits, which Python reads and the suite does not
            raise ValueError
        if hint is bool:
            low = text.strip().lower()
            value = low in ("1", "true", "t", "yes", "y", "on")
            if not value and low not in ("0", "false", "f", "no", "n", "off"):
                raise ValueError
        elif hint is int:
            value = int(float(text)) if "." in text else int(text)  # as it is: a float holds 53 bits
            if "." in text and value != float(text):
                raise ValueError
        elif hint is float:
            value = float(text)
        elif isinstance(hint, type) and issubclass(hint, os.PathLike):
            value = typing.cast(Any, hint)(text)
        else:
            return text
    except (ValueError, OverflowError):
        what = {bool: "true or false", int: "a whole number", float: "a number"}.get(hint, "a value of its type")
        raise Refused(f"{key} is {what}, not {text!r}") from None
    for part in bounds:
        for name, words, good in (
            ("ge", "at least", operator.ge),
            ("gt", "above", operator.gt),
            ("le", "at most", operator.le),
            ("lt", "below", operator.lt),
        ):
            limit = getattr(part, name, None)
            if limit is not None and not good(value, limit):
                raise Refused(f"{key} is {words} {limit}, not {text!r}")
    return value


def shape_of(codec: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the codec presents: its values, and the parameters of its methods."""
    methods = {}
    for name in METHODS:
        if not hasattr(codec, name):
            continue
        method = getattr(codec, name)
        found: dict[str, Any] = {"callable": callable(method), "async": inspect.iscoroutinefunction(method)}
        found["class"] = type(method).__name__
        try:
            parameters = inspect.signature(method).parameters.values()
            found["parameters"] = [[p.name, int(p.kind), p.default is not p.empty] for p in parameters]
        except (TypeError, ValueError):
            found["parameters"] = None
        methods[name] = found
    return {name: getattr(codec, name) for name in VALUES if hasattr(codec, name)}, methods


def versions(names: Sequence[str]) -> dict[str, str]:
    """Package -> version here, of those of `names` that there are, and of the frameworks that are loaded."""
    from importlib import metadata

    wanted = set(names) | {name for name in FRAMEWORKS if name in sys.modules}
    found: dict[str, str] = {}
    for name in sorted(wanted):
        try:
            found[name] = metadata.version(name)
            continue
        except (metadata.PackageNotFoundError, ValueError, KeyError, OSError):  # a package whose metadata is damaged
            pass
        owners = []
        with contextlib.suppress(ValueError, KeyError, AttributeError, TypeError, OSError):
            owners = _owners(name)
        for owner in owners:
            found[owner] = metadata.version(owner)
        version = getattr(sys.modules.get(name), "__version__", None)
        if not owners and isinstance(version, str):
            found[name] = version
    return found


def _owners(name: str) -> list[str]:
    """The distributions that the module or package `name` is of, as `importlib.metadata.packages_distributions` says.

    That one parses the lists of all their files, which takes longer than to start Python.
    """
    from importlib import metadata

    there = []
    line = re.compile(rf'^"?{re.escape(name)}(/[^\n]*)?\.py"?,', re.MULTILINE)
    for distribution in metadata.distributions():
        declared = (distribution.read_text("top_level.txt") or "").split()
        if name in declared or (not declared and line.search(distribution.read_text("RECORD") or "")):
            there.append(distribution.metadata["Name"])
    return there


def hashes(path: str, suffixes: Sequence[str] = ()) -> dict[str, str]:
    """Name below `path` -> SHA-256, of a file (""), or of at most 1000 files of a folder or that a pattern stands for.

    "{q}", "%03d" and the like are patterns, too. suffixes: of checkpoints that are called without them.
    """
    files = [path] if os.path.isfile(path) else []
    pattern = re.sub(r"\{[^{}]*\}|%\d*[dsgf]", "*", path)
    top = path
    if not os.path.lexists(path) and any(mark in pattern for mark in "*?[") and pattern.replace("*", "").strip("./"):
        top = os.path.dirname(re.split(r"[*?\[]", pattern, maxsplit=1)[0]) or "."
        files = sorted(one for one in glob.glob(pattern, recursive=True) if os.path.isfile(one))
        if len(files) > 1000:
            return {"files": "not read: more than 1000"}
    elif not os.path.lexists(path):
        top = os.path.dirname(path) or "."
        files = [path + suffix for suffix in suffixes if os.path.isfile(path + suffix)]
    if os.path.isdir(path) and os.path.realpath(path) not in ("/", os.path.expanduser("~")):
        for place, folders, names in os.walk(path):
            folders[:] = sorted(one for one in folders if not one.startswith(".") and one != "__pycache__")
            files += [os.path.join(place, one) for one in sorted(names)]
            if len(files) > 1000:
                return {"files": "not read: more than 1000"}
    found = {}
    for one in files:
        with contextlib.suppress(OSError), open(one, "rb") as stream:
            digest = hashlib.sha256()
            while True:
                part = stream.read(1 << 20)
                if not part:
                    break
                digest.update(part)
            found["" if one == path else os.path.relpath(one, top)] = digest.hexdigest()
    return found


def synchronise() -> None:
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "cuda") and torch.cuda.is_initialized():
        torch.cuda.synchronize()


def devices() -> list[str]:
    """Those that torch could use here, if it is loaded."""
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "cuda") or not torch.cuda.is_available():
        return ["cpu"]
    return ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]


def described(error: BaseException) -> dict[str, Any]:
    """An exception as a message."""
    name, message = type(error).__name__, ""
    with contextlib.suppress(Exception):
        message = str(error)
    if isinstance(error, SystemExit):
        code = "" if error.code is None else repr(error.code)
        name, message = "RuntimeError", f"it calls sys.exit({code})"
    elif not isinstance(error, Exception):
        name, message = "RuntimeError", f"it raises {name}: {message}".rstrip(": ")
    place, where = "", []  # type: str, list[str]
    for frame in traceback.extract_tb(error.__traceback__):
        where.append(f"{frame.filename}:{frame.lineno}")
        if not is_installed(frame.filename):
            place = f"{os.path.basename(frame.filename)}:{frame.lineno} in {frame.name}"
    lines = traceback.format_exception(type(error), error, error.__traceback__)
    return {
        "type": name,
        "bases": [one.__name__ for one in type(error).__mro__],
        "message": message,
        "place": place,
        "where": where,
        "traceback": "".join(lines)[-LONGEST:],
        "refused": isinstance(error, Refused),
    }


Answer = typing.Tuple[typing.Dict[str, typing.Any], typing.Sequence[typing.Any]]
"""A message and its buffers."""


class Worker:
    """A codec and what is asked of it. place: a folder for its files if they have to be sent; made when needed."""

    def __init__(self, place: str) -> None:
        self.place, self.process = place, os.getpid()
        self.codec: Any = None

    def answer(self, request: Any, data: memoryview) -> Answer:
        """(message, buffers) for one request."""
        seen = Seen()
        if request.get("watch"):
            WATCHERS.append(seen)
        try:
            reply, buffers = getattr(self, "do_" + request["do"])(request, data)
        except BaseException as error:
            reply, buffers = {"error": described(error)}, ()
        finally:
            del WATCHERS[:]
        if os.getpid() != self.process:  # a child that the codec forked and that came back
            os.kill(os.getpid(), signal.SIGKILL)
        with contextlib.suppress(Exception):
            sys.stdout.flush()
        with contextlib.suppress(Exception):
            sys.stderr.flush()
        if request.get("watch"):
            reply["seen"] = seen.as_json()
        return reply, buffers

    def do_open(self, request: Any, data: memoryview) -> Answer:
        """Loads the codec. files: [path, path below a common folder, SHA-256, length], the codec's own first."""
        files = request["files"]
        path, sent = files[0][0], len(data) > 0
        if not sent and any(hashes(one[0]).get("") != one[2] for one in files):
            return {"lacks": True}, ()
        if sent:
            at = 0
            for _, name, _, length in files:
                target = os.path.join(self.place, *name.split("/"))
                os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
                with open(target, "wb") as stream:
                    stream.write(data[at : at + length])
                at += length
            path = os.path.join(self.place, *files[0][1].split("/"))
        os.environ.update(request["environment"])
        try:
            self.codec, defaults = load(path, request["name"], request["settings"], request["device"])
            values, methods = shape_of(self.codec)
            found, buffers = pack(values)
        except ModuleNotFoundError as error:
            if error.name != "numpy":
                raise
            raise Refused(f"{sys.executable} has no NumPy; {sys.executable} -m pip install numpy") from None
        status = os.stat(path)
        about = {
            "python": platform.python_version(),
            "implementation": platform.python_implementation(),
            "system": f"{platform.system()} {platform.machine()}",
        }
        reply = {"values": found, "methods": methods, "defaults": defaults, "about": about, "sent": sent}
        reply["identity"] = [status.st_dev, status.st_ino, status.st_mtime_ns]
        reply["devices"] = devices()
        return reply, buffers

    def do_call(self, request: Any, data: memoryview) -> Answer:
        """Calls a method, and says how long that took."""
        arguments, named = unpack(request["arguments"], data)
        method = getattr(self.codec, request["method"])
        synchronise()
        began = time.perf_counter()
        result = method(*arguments, **named)
        synchronise()
        seconds = time.perf_counter() - began
        value, buffers = pack(result)
        return {"value": value, "seconds": seconds}, buffers

    def do_identify(self, request: Any, data: memoryview) -> Answer:
        """Versions of packages, hashes of what settings name, values of variables."""
        return {
            "packages": versions(request["packages"]),
            "hashes": {
                key: hashes(os.path.expanduser(text), request.get("suffixes", ()))
                for key, text in request["paths"].items()
            },
            "variables": {name: os.environ[name] for name in request["variables"] if name in os.environ},
        }, ()

    def do_move(self, request: Any, data: memoryview) -> Answer:
        """Another home, temporary and working folder, where there are such."""
        for name, folder in request["variables"].items():
            if os.path.isdir(folder):
                os.environ[name] = folder
        if os.path.isdir(request["folder"]):
            os.chdir(request["folder"])
        tempfile.tempdir = None
        return {}, ()

    def do_limit(self, request: Any, data: memoryview) -> Answer:
        """Memory that the process may take beyond what it holds."""
        import resource

        held = 0
        with open("/proc/self/status") as status:
            for line in status:
                if line.startswith("VmData:"):
                    held = int(line.split()[1]) * 1024
        resource.setrlimit(resource.RLIMIT_DATA, (held + request["memory"],) * 2)
        return {}, ()


# The process


def watch_over(requests: int, place: str) -> None:
    """A process that ends this one, and all of its group, once nobody holds the other end of `requests`.

    This process itself may be deep inside of compiled code and see nothing. `place` goes too. The other one is no child
    of this one, for which code that waits for its children would wait, too.
    """
    watched = os.getpid()
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    if os.fork():
        LEAVE(0)
    import select

    def lives() -> bool:
        try:
            os.kill(watched, 0)
        except OSError:
            return False
        return True

    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    os.closerange(3, requests)
    os.closerange(requests + 1, 256)
    for name in ("SIGUSR1", "SIGINT", "SIGTERM", "SIGHUP"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    poll = select.poll()
    poll.register(requests, 0)
    while True:
        gone = bool(poll.poll(500))
        if gone:
            for _ in range(20):  # it ends by itself, if it can
                if not lives():
                    break
                time.sleep(0.05)
        if gone or not lives():
            shutil.rmtree(place, ignore_errors=True)
            if gone:
                os.killpg(0, signal.SIGKILL)
            LEAVE(0)


def refuse_exit(status: int) -> typing.NoReturn:
    """Instead of `os._exit`, in this process; a child ends by it."""
    if os.getpid() != PROCESS:
        LEAVE(status)
    raise RuntimeError(f"it calls os._exit({status!r})")


PROCESS, LEAVE = os.getpid(), os._exit


def main() -> None:
    """Answers requests until there are no more."""
    requests, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)  # whatever the codec prints goes to standard error
    place = os.path.join(tempfile.gettempdir(), f"benchmark-codec-{os.getpid()}-{os.urandom(4).hex()}")
    if hasattr(os, "fork"):
        watch_over(requests, place)
    with contextlib.suppress(Exception):
        faulthandler.enable(file=2)
        faulthandler.register(signal.SIGUSR1, file=2)
    sys.addaudithook(hook)
    os._exit = refuse_exit  # type: ignore[assignment]
    incoming, outgoing = os.fdopen(requests, "rb", 0), os.fdopen(answers, "wb", 0)

    class Whole:
        """Writes all of what it is given; raw files may write less."""

        @staticmethod
        def write(data: Any) -> None:
            view = memoryview(data).cast("B")
            while view:
                view = view[outgoing.write(view) :]

        flush = staticmethod(outgoing.flush)

    outgoing.write(GREETING)
    worker = Worker(place)
    try:
        while True:
            request, data = read(incoming)
            reply, buffers = worker.answer(request, data)
            write(Whole, reply, buffers)
    except (EOFError, OSError, ValueError):
        pass
    finally:
        shutil.rmtree(place, ignore_errors=True)
        LEAVE(0)
