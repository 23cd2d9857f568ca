"""The process in which an audited codec works: opens it, does what a job file says, and notes each outcome at once.

`python -m benchmark.audit.child JOB`, where JOB is a JSON file with the fields of `Job`. The first line of the job's
`outcomes` is an `Opened`, each further one an `Outcome`, in the order of the operations; a process that dies leaves the
lines of what it had done.
"""

import json
import math
import os
import resource
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmark.codecs import Codec, anchored_spec, open_codec
from benchmark.elsewhere import Gone, elsewhere_of
from benchmark.errors import BenchmarkError, UsageError
from benchmark.guards import told
from benchmark.watching import watched

Kind = Literal["usage", "refused", "raised", "memory", "wrong", "opening", "died", "hung"]
"""How an operation failed: the codec's UsageError; another error of the suite's; any other exception; out of memory;
a result that is no image or no bytes; the codec could not be opened; the process died; no answer in time."""


@dataclass(frozen=True)
class Operation:
    """Something for a codec to do.

    encode: the image in `picture` at `quality`, bytes into `data`. decode: the bytes in `data` with `seed`, image
    into `picture`. estimate: the codec's own estimate of the bits of `picture` at `quality`. Images are .npy files.
    limited: with the job's memory limit on. A quality of None is the codec's own middle one.
    """

    do: Literal["encode", "decode", "estimate"]
    picture: str
    data: str = ""
    quality: float | None = 0
    seed: int | None = None
    limited: bool = False


@dataclass(frozen=True)
class Job:
    """What a process is to do. home, work: fresh folders, the codec's from when it is open.

    memory: bytes that an operation with `limited` may take beyond what the process holds by then; None for no limit.
    lifeline: a pipe that ends when the audit does, in whatever way; then this process and what it has started end too.
    """

    codec: str
    device: str
    home: str
    work: str
    outcomes: str
    memory: int | None
    operations: Sequence[Operation]
    lifeline: int | None = None


@dataclass(frozen=True)
class Trouble:
    """Why an operation has no result, in one line."""

    kind: Kind
    message: str


@dataclass(frozen=True)
class Opened:
    """The codec as it presents itself. devices: those that its library could use, if it uses torch."""

    trouble: Trouble | None = None
    qualities: Sequence[float] = ()
    stochastic: bool = False
    estimates: bool = False
    header_bytes: int = 0
    description: dict[str, Any] = field(default_factory=dict)
    devices: Sequence[str] = ("cpu",)


@dataclass(frozen=True)
class Outcome:
    """What became of an operation.

    length: what `len` says of the bytes. estimate: bits. shape: of the image. changed: whether `encode` wrote into
    its image. The rest as in `watching.Seen`.
    """

    trouble: Trouble | None = None
    seconds: float = 0
    length: int | None = None
    estimate: float | None = None
    shape: Sequence[int] | None = None
    changed: bool = False
    read: Mapping[str, float | None] = field(default_factory=dict)
    wrote: Sequence[str] = ()
    created: Sequence[str] = ()
    programs: Sequence[str] = ()
    connections: Sequence[str] = ()
    listed: Sequence[str] = ()


def main(arguments: Sequence[str]) -> None:
    """Does the job in the file `arguments[0]`."""
    fields = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    job = Job(**fields | {"operations": [Operation(**operation) for operation in fields["operations"]]})
    if job.lifeline is not None:
        threading.Thread(target=_end_with, args=(job.lifeline,), name="lifeline", daemon=True).start()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.path[:] = [str(Path(entry).absolute()) for entry in sys.path]  # the working folder is about to change
    with Path(job.outcomes).open("a", encoding="utf-8") as outcomes:

        def note(record: Opened | Outcome) -> None:
            outcomes.write(json.dumps(asdict(record)) + "\n")
            outcomes.flush()

        try:
            codec = open_codec(anchored_spec(job.codec), job.device)
            opened = _opened(codec)
        except Exception as error:  # anyone's code
            note(Opened(trouble=_trouble(error)))
            return
        note(opened)
        os.environ["HOME"] = job.home
        os.chdir(job.work)
        tempfile.tempdir = None
        there = elsewhere_of(codec)
        if there is not None:
            there.move(job.home, tempfile.gettempdir(), job.work)
        limited = False
        for operation in job.operations:
            if operation.limited and not limited and job.memory is not None:
                limit = _data_size() + job.memory
                resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
                if there is not None:
                    there.limit_memory(job.memory)
                limited = True
            note(_perform(codec, operation))


def _end_with(lifeline: int) -> None:
    os.set_inheritable(lifeline, False)
    os.read(lifeline, 1)
    os.killpg(0, signal.SIGKILL)


def _opened(codec: Codec) -> Opened:
    devices = ["cpu"]
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        devices += [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    if (there := elsewhere_of(codec)) is not None:
        devices = list(there.opened["devices"])
    return Opened(
        qualities=[float(quality) for quality in codec.qualities],
        stochastic=bool(codec.stochastic),
        estimates=callable(getattr(codec, "estimate_bits", None)),
        header_bytes=int(getattr(codec, "header_bytes", 0)),
        description=json.loads(json.dumps(codec.describe(), default=str), parse_constant=str),  # no NaN
        devices=devices,
    )


def _perform(codec: Any, operation: Operation) -> Outcome:
    picture: Any = None
    data = b""
    if operation.do != "decode":
        picture = np.load(operation.picture)
    elif Path(operation.data).exists():
        data = Path(operation.data).read_bytes()
    else:
        return Outcome(trouble=Trouble("raised", "there is no stream to decode"))
    result: Any = None
    trouble = None
    given = None if picture is None else picture.copy()
    quality = operation.quality
    if quality is None:
        quality = codec.qualities[(len(codec.qualities) - 1) // 2] if codec.qualities else 1
    with watched() as seen:
        start = time.perf_counter()
        try:
            if operation.do == "encode":
                result = codec.encode(given, quality)
            elif operation.do == "decode":
                result = codec.decode(data, operation.seed)
            else:
                result = float(codec.estimate_bits(given, quality))
        except Exception as error:  # anyone's code
            trouble = _trouble(error)
        seconds = time.perf_counter() - start
    length, shape, estimate = None, None, None
    if trouble is None and operation.do == "encode":
        if isinstance(result, bytes):
            length = len(result)
            Path(operation.data).write_bytes(memoryview(result))  # the bytes themselves, whatever `len` is made to say
        if type(result) is not bytes:
            trouble = Trouble("wrong", f"encode returned {type(result).__module__}.{type(result).__name__}, not bytes")
    elif trouble is None and operation.do == "decode":
        if isinstance(result, np.ndarray) and result.dtype == np.uint8 and result.ndim == 3 and result.shape[2] == 3:
            shape = result.shape
            np.save(operation.picture, np.ascontiguousarray(result), allow_pickle=False)
        else:
            what = f"{result.dtype} {result.shape}" if isinstance(result, np.ndarray) else type(result).__name__
            trouble = Trouble("wrong", f"decode returned {what}, not uint8 (height, width, 3)")
    elif trouble is None and not math.isfinite(result):
        trouble = Trouble("wrong", f"estimate_bits returned {result}")
    else:
        estimate = result
    return Outcome(
        trouble=trouble,
        seconds=seconds,
        length=length,
        estimate=estimate,
        shape=shape,
        changed=given is not None and not np.array_equal(given, picture),
        **asdict(seen),
    )


def _trouble(error: Exception) -> Trouble:
    message = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, Gone):
        return Trouble(error.kind, message)
    if isinstance(error, UsageError):
        return Trouble("usage", message)
    if isinstance(error, BenchmarkError):
        return Trouble("refused", message)
    message = told(error)
    if isinstance(error, FileNotFoundError) and not Path(str(error.filename or "/")).is_absolute():
        message += "; an audit works in an empty folder: name files in settings, or with absolute paths"
    if isinstance(error, MemoryError) or any(words in message for words in ("out of memory", "can't allocate memory")):
        return Trouble("memory", message)
    return Trouble("raised", message)


def _data_size() -> int:
    """Bytes of private writable memory, which RLIMIT_DATA limits. proc(5), VmData."""
    for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/self/status has no VmData")


if __name__ == "__main__":
    main(sys.argv[1:])
