"""The state of this process that any code may change and that others would then have to live with.

`PARTS` are values that are read and set back: the working folder, seeds, torch's flags. `tables` are mappings whose
entries are set back one by one: imported modules, functions and methods that the suite itself calls. What is in neither
is not watched, such as attributes of other modules and what a library in C keeps to itself.
"""

import builtins
import contextlib
import ctypes
import functools
import gc
import locale
import os
import random
import resource
import signal
import sys
import threading
import types
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

FOLDER = "working folder"
"""The part that says what relative paths mean."""

UNKNOWN = object()
"""The state of what is not there yet, or cannot be read; nothing is set back to it."""


@dataclass(frozen=True)
class Part:
    """A value of the process's state. module: that must be imported, else the state is `default`.

    fresh: the state after the import of the module, where it is none that is the same for all; for code that imports it
    and changes the state at once.
    """

    get: Callable[[Any], Any]
    set: Callable[[Any, Any], object]
    module: str = "sys"
    default: Any = UNKNOWN
    fresh: Callable[[Any], Any] = lambda module: UNKNOWN

    def read(self) -> Any:
        """The state; two equal ones are the same."""
        module = sys.modules.get(self.module)
        try:
            return self.default if module is None else self.get(module)
        except (AttributeError, RuntimeError, OSError, ValueError, TypeError):  # in the middle of its import, say
            return self.default

    def install(self, value: Any) -> None:
        """Makes the state `value`, as far as the process may."""
        module = sys.modules.get(self.module)
        if module is not None and value is not UNKNOWN:
            with contextlib.suppress(OSError, ValueError, RuntimeError, AttributeError, TypeError):
                self.set(module, value)


def _attribute(name: str, module: str, default: Any = UNKNOWN) -> Part:
    owner, _, last = name.rpartition(".")

    def holder(found: Any) -> Any:
        for step in owner.split(".") if owner else ():
            found = getattr(found, step)
        return found

    return Part(
        lambda found: getattr(holder(found), last),
        lambda found, value: setattr(holder(found), last, value),
        module,
        default,
    )


def _set_filters(module: Any, filters: list[Any]) -> None:
    warnings.resetwarnings()  # which also makes Python forget what it decided by other filters
    warnings.filters.extend(filters)  # type: ignore[attr-defined]


def _umask(module: Any) -> int:
    found = os.umask(0o077)
    os.umask(found)
    return found


def _set_environment(module: Any, values: Mapping[str, str]) -> None:
    for name in os.environ.keys() - values.keys():
        del os.environ[name]
    for name, value in values.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


_LIMITS = tuple(getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_"))


def _set_limits(module: Any, limits: Mapping[int, tuple[int, int]]) -> None:
    for number, (soft, hard) in limits.items():
        if resource.getrlimit(number) != (soft, hard):
            try:
                resource.setrlimit(number, (soft, hard))
            except (OSError, ValueError):  # a lowered hard limit stays
                highest = resource.getrlimit(number)[1]
                wanted = highest if soft == resource.RLIM_INFINITY or -1 < highest < soft else soft
                with contextlib.suppress(OSError, ValueError):
                    resource.setrlimit(number, (wanted, highest))


_HEARD = tuple(
    getattr(signal, f"SIG{name}")
    for name in ("INT", "TERM", "HUP", "QUIT", "ALRM", "VTALRM", "PROF", "CHLD", "PIPE", "USR1", "XCPU")
)


def _handlers(module: Any) -> Any:
    """Of the main thread alone: others may not set any."""
    if threading.current_thread() is not threading.main_thread():
        return UNKNOWN
    return {number: signal.getsignal(number) for number in _HEARD}


def _set_handlers(module: Any, handlers: Mapping[int, Any]) -> None:
    for number, handler in handlers.items():
        if handler is not None and signal.getsignal(number) is not handler:
            signal.signal(number, handler)


def _timers(module: Any) -> tuple[bool, ...]:
    return tuple(signal.getitimer(which)[0] > 0 for which in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL))


def _set_timers(module: Any, running: tuple[bool, ...]) -> None:
    """Ends those that did not run before; their time is over when the code that set them has returned."""
    for which, ran in zip((signal.ITIMER_REAL, signal.ITIMER_VIRTUAL), running, strict=True):
        if not ran:
            signal.setitimer(which, 0)


def _logging(logging: Any) -> tuple[Any, ...]:
    return logging.root.level, list(logging.root.handlers), logging.root.manager.disable


def _set_logging(logging: Any, state: tuple[Any, ...]) -> None:
    level, logging.root.handlers[:], disabled = state
    logging.root.setLevel(level)  # which makes loggers forget what they decided by another one
    logging.disable(disabled)


def _numpy_random(module: Any) -> tuple[Any, ...]:
    name, keys, *others = module.get_state()
    return (name, keys.tobytes(), *others)


def _set_numpy_random(module: Any, state: tuple[Any, ...]) -> None:
    from numpy import frombuffer, uint32  # it is there: `module` is its

    name, keys, *others = state
    module.set_state((name, frombuffer(keys, dtype=uint32), *others))


def _torch_random(torch: Any) -> tuple[bytes, ...]:
    states = [torch.get_rng_state()]
    if torch.cuda.is_initialized():
        states += torch.cuda.get_rng_state_all()
    return tuple(state.numpy().tobytes() for state in states)


def _set_torch_random(torch: Any, states: tuple[bytes, ...]) -> None:
    first, *of_gpus = (torch.frombuffer(bytearray(state), dtype=torch.uint8) for state in states)
    torch.set_rng_state(first)
    if of_gpus:
        torch.cuda.set_rng_state_all(of_gpus)


def _threads_asked(torch: Any) -> int:
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return int(asked) if asked.isdecimal() and int(asked) else len(os.sched_getaffinity(0))


def _deterministic(torch: Any) -> tuple[bool, bool]:
    return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()


def _autocast(torch: Any) -> tuple[Any, ...]:
    return tuple((torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind)) for kind in ("cpu", "cuda"))


def _set_autocast(torch: Any, values: tuple[Any, ...]) -> None:
    for kind, (enabled, dtype) in zip(("cpu", "cuda"), values, strict=True):
        torch.set_autocast_enabled(kind, enabled)
        torch.set_autocast_dtype(kind, dtype)


def _decimal(decimal: Any) -> tuple[Any, ...]:
    context = decimal.getcontext()
    traps = frozenset(signal for signal, trapped in context.traps.items() if trapped)
    return context.prec, context.rounding, context.Emin, context.Emax, context.capitals, context.clamp, traps


def _set_decimal(decimal: Any, state: tuple[Any, ...]) -> None:
    *numbers, traps = state
    decimal.setcontext(decimal.Context(*numbers, flags=[], traps=list(traps)))


def _set_hooks(sys: Any, hooks: tuple[Any, ...]) -> None:
    sys.excepthook, sys.unraisablehook, sys.displayhook = hooks


def _import_hooks(sys: Any) -> tuple[list[Any], list[Any]]:
    return list(sys.meta_path), list(sys.path_hooks)


def _set_import_hooks(sys: Any, hooks: tuple[list[Any], list[Any]]) -> None:
    sys.meta_path[:], sys.path_hooks[:] = hooks


_SMALLEST = sys.float_info.min


@functools.cache
def _c() -> ctypes.CDLL:
    return ctypes.CDLL(None)


def _arithmetic(module: Any) -> tuple[int, bool]:
    """Of this thread's processor: the way it rounds, and whether numbers below the smallest normal one are zero."""
    return _c().fegetround(), _SMALLEST * 0.5 == 0.0


def _set_arithmetic(module: Any, state: tuple[int, bool]) -> None:
    rounding, flushes = state
    if _arithmetic(module)[1] and not flushes:
        _c().fesetenv(ctypes.c_void_p(-1))  # FE_DFL_ENV: as every program begins
    elif flushes and (torch := sys.modules.get("torch")) is not None:
        torch.set_flush_denormal(True)
    _c().fesetround(rounding)


PARTS: Mapping[str, Part] = {
    FOLDER: Part(lambda module: os.getcwd(), lambda module, folder: os.chdir(folder)),  # noqa: PTH109
    "environment": Part(lambda module: os.environ.copy(), _set_environment),
    "import path": Part(lambda sys: list(sys.path), lambda sys, value: setattr(sys, "path", list(value))),
    "umask": Part(_umask, lambda module, mask: os.umask(mask)),
    "limits": Part(lambda module: {number: resource.getrlimit(number) for number in _LIMITS}, _set_limits),
    "priority": Part(
        lambda module: os.getpriority(os.PRIO_PROCESS, 0),
        lambda module, value: os.setpriority(os.PRIO_PROCESS, 0, value),
    ),
    "cores": Part(lambda module: os.sched_getaffinity(0), lambda module, cores: os.sched_setaffinity(0, cores)),
    "signals": Part(_handlers, _set_handlers),
    "signal mask": Part(
        lambda module: signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        lambda module, mask: signal.pthread_sigmask(signal.SIG_SETMASK, mask),
    ),
    "timers": Part(_timers, _set_timers),
    "locale": Part(
        lambda module: locale.setlocale(locale.LC_ALL), lambda module, value: locale.setlocale(locale.LC_ALL, value)
    ),
    "recursion": Part(lambda sys: sys.getrecursionlimit(), lambda sys, value: sys.setrecursionlimit(value)),
    "digits of integers": Part(
        lambda sys: sys.get_int_max_str_digits(), lambda sys, value: sys.set_int_max_str_digits(value)
    ),
    "tracing": Part(
        lambda sys: (sys.gettrace(), sys.getprofile()),
        lambda sys, value: (sys.settrace(value[0]), sys.setprofile(value[1])),
    ),
    "garbage collection": Part(
        lambda module: gc.isenabled(), lambda module, enabled: gc.enable() if enabled else gc.disable()
    ),
    "garbage": Part(lambda module: gc.get_threshold(), lambda module, numbers: gc.set_threshold(*numbers)),
    "hooks": Part(
        lambda sys: (sys.excepthook, sys.unraisablehook, sys.displayhook),
        _set_hooks,
    ),
    "hook of threads": _attribute("excepthook", "threading"),
    "turns of threads": Part(lambda sys: sys.getswitchinterval(), lambda sys, value: sys.setswitchinterval(value)),
    "import hooks": Part(_import_hooks, _set_import_hooks),
    "bytecode": _attribute("dont_write_bytecode", "sys"),
    "arithmetic": Part(_arithmetic, _set_arithmetic),
    "decimals": Part(_decimal, _set_decimal, "decimal"),
    "time zone": Part(lambda time: (time.tzname, time.timezone), lambda time, _: time.tzset(), "time"),
    "start of processes": Part(
        lambda module: module.get_start_method(allow_none=True),
        lambda module, method: module.set_start_method(method, force=True),
        "multiprocessing",
    ),
    "warnings": Part(lambda module: list(warnings.filters), _set_filters),
    "logging": Part(_logging, _set_logging, "logging"),
    "random": Part(lambda module: random.getstate(), lambda module, state: random.setstate(state)),
    "temporary folder": _attribute("tempdir", "tempfile"),
    "sockets' patience": Part(
        lambda socket: socket.getdefaulttimeout(), lambda socket, value: socket.setdefaulttimeout(value), "socket"
    ),
    "NumPy's errors": Part(lambda numpy: numpy.geterr(), lambda numpy, value: numpy.seterr(**value), "numpy"),
    "NumPy's call on errors": Part(
        lambda numpy: numpy.geterrcall(), lambda numpy, value: numpy.seterrcall(value), "numpy"
    ),
    "NumPy's words": Part(
        lambda numpy: numpy.get_printoptions(), lambda numpy, options: numpy.set_printoptions(**options), "numpy"
    ),
    "NumPy's seed": Part(_numpy_random, _set_numpy_random, "numpy.random"),
    "Pillow's truncated files": _attribute("LOAD_TRUNCATED_IMAGES", "PIL.ImageFile", False),
    "Pillow's blocks": _attribute("MAXBLOCK", "PIL.ImageFile", 65536),
    "Pillow's largest image": _attribute("MAX_IMAGE_PIXELS", "PIL.Image", 89_478_485),
    "Pillow's longest text": _attribute("MAX_TEXT_CHUNK", "PIL.PngImagePlugin", 1 << 20),
    "Pillow's texts": _attribute("MAX_TEXT_MEMORY", "PIL.PngImagePlugin", 1 << 26),
    "Pillow's palettes": _attribute("LOADING_STRATEGY", "PIL.GifImagePlugin"),
    "Pillow's order": Part(
        lambda module: list(module.ID), lambda module, value: setattr(module, "ID", list(value)), "PIL.Image"
    ),
    "OpenCV's threads": Part(lambda cv2: cv2.getNumThreads(), lambda cv2, value: cv2.setNumThreads(value), "cv2"),
    "torch's dtype": Part(
        lambda torch: str(torch.get_default_dtype()),
        lambda torch, value: torch.set_default_dtype(getattr(torch, value.removeprefix("torch."))),
        "torch",
        "torch.float32",
    ),
    "torch's device": Part(
        lambda module: module.CURRENT_DEVICE,
        lambda module, value: sys.modules["torch"].set_default_device(value),
        "torch.utils._device",
        None,
    ),
    "torch's gradients": Part(
        lambda torch: torch.is_grad_enabled(), lambda torch, value: torch.set_grad_enabled(value), "torch", True
    ),
    "torch's deterministic algorithms": Part(
        _deterministic,
        lambda torch, value: torch.use_deterministic_algorithms(value[0], warn_only=value[1]),
        "torch",
        (False, False),
    ),
    "torch's threads": Part(
        lambda torch: torch.get_num_threads(),
        lambda torch, number: torch.set_num_threads(number),
        "torch",
        fresh=_threads_asked,
    ),
    "torch's seed": Part(
        _torch_random,
        _set_torch_random,
        "torch",
        fresh=lambda torch: (torch.Generator().get_state().numpy().tobytes(),),
    ),
    "torch's precision": Part(
        lambda torch: torch.get_float32_matmul_precision(),
        lambda torch, value: torch.set_float32_matmul_precision(value),
        "torch",
        "highest",
    ),
    "torch's autocast": Part(_autocast, _set_autocast, "torch"),
    "cuDNN's choice": _attribute("backends.cudnn.benchmark", "torch", False),
    "cuDNN's determinism": _attribute("backends.cudnn.deterministic", "torch", False),
    "cuDNN's precision": _attribute("backends.cudnn.allow_tf32", "torch", True),
    "cuDNN": _attribute("backends.cudnn.enabled", "torch", True),
    "oneDNN": _attribute("backends.mkldnn.enabled", "torch", True),
}


class Entries(Protocol):
    """A mapping of names whose entries can be set and taken out: a dictionary, or the attributes of a class."""

    def copy(self) -> dict[Any, Any]: ...
    def __setitem__(self, name: Any, value: Any, /) -> None: ...
    def __delitem__(self, name: Any, /) -> None: ...


class _Attributes:
    """Of a class, which hands out a view of them alone."""

    def __init__(self, owner: type) -> None:
        self._owner = owner

    def copy(self) -> dict[str, Any]:
        return vars(self._owner).copy()

    def hide(self, name: str) -> bool:
        """Whether an attribute of this name is in the place of an inherited one."""
        return any(name in vars(base) for base in self._owner.__mro__[1:])

    def __setitem__(self, name: str, value: Any) -> None:
        setattr(self._owner, name, value)

    def __delitem__(self, name: str) -> None:
        delattr(self._owner, name)


def _everything(value: Any) -> bool:
    return True


def _nothing(name: str) -> bool:
    return False


@dataclass(frozen=True)
class Table:
    """A mapping whose entries belong to the process's state.

    get: the mapping, None while there is none. added: which entries that are new are taken out again, by their name;
    those that were there are put back. holds: which of these count, by their value before.
    """

    get: Callable[[], Entries | None]
    added: Callable[[str], bool] = _nothing
    holds: Callable[[Any], bool] = _everything


def _of_pillow(name: str) -> Callable[[], Entries | None]:
    def get() -> Entries | None:
        found = sys.modules.get("PIL.Image")
        if found is None or not hasattr(found, "init"):
            return None
        found.init()  # else what it registers by itself, once, would pass for the work of others
        registry: Entries | None = getattr(found, name, None)
        return registry

    return get


def _settings_of_matplotlib() -> Entries | None:
    found: Entries | None = getattr(sys.modules.get("matplotlib"), "rcParams", None)
    return found


_FIXED: Mapping[str, Table] = {
    "modules": Table(lambda: sys.modules),
    "builtins": Table(lambda: vars(builtins), added=_everything),
    "matplotlib's settings": Table(_settings_of_matplotlib),
    **{
        f"Pillow's {name}": Table(_of_pillow(name), added=_everything)
        for name in ("OPEN", "MIME", "SAVE", "SAVE_ALL", "EXTENSION", "DECODERS", "ENCODERS")
    },
}

_MODULES = frozenset(
    (
        *("codecs", "contextlib", "copy", "csv", "functools", "gc", "glob", "hashlib", "importlib", "io", "itertools"),
        *("json", "json.decoder", "json.encoder", "math", "operator", "os", "pickle", "posixpath", "random", "re"),
        *("select", "shutil", "signal", "socket", "statistics", "struct", "subprocess", "sys", "tempfile", "threading"),
        *("time", "traceback", "urllib.request", "warnings", "zipfile", "zlib"),
        *("numpy", "numpy.fft", "numpy.linalg", "scipy.fft", "scipy.ndimage", "scipy.special"),
        *("PIL.Image", "PIL.ImageFile", "PIL.ImageOps", "torch", "torch.fft", "torch.linalg", "torch.nn.functional"),
        *("dataclasses", "inspect", "multiprocessing.connection", "pydantic.main", "pydantic_core", "shlex", "stat"),
        *("benchmark.codecs", "benchmark.containment", "benchmark.errors", "benchmark.files", "benchmark.foreign"),
        *("benchmark.guards", "benchmark.images", "benchmark.results", "benchmark.running.measurement"),
    )
)
"""Whose functions the suite calls for each trial; so are those of `benchmark.metrics`."""

_CLASSES = frozenset(
    (
        *("pathlib.Path", "pathlib.PurePath", "json.encoder.JSONEncoder", "subprocess.Popen", "threading.Thread"),
        *("PIL.Image.Image", "PIL.ImageFile.ImageFile", "PIL.PngImagePlugin.PngImageFile", "torch.Tensor"),
        *("pydantic.main.BaseModel", "multiprocessing.connection.Connection", "threading.Condition", "zipfile.ZipFile"),
        *("multiprocessing.connection._ConnectionBase", "contextlib.ExitStack", "benchmark.foreign.ForeignCodec"),
        *("torch.nn.modules.module.Module", "torch.nn.modules.conv.Conv2d", "benchmark.results.RunFolder"),
        *("benchmark.results.Trial", "benchmark.running.measurement.Workbench"),
    )
)
"""Whose methods it calls."""

_METRICS = "benchmark.metrics."


def _is_code(value: Any) -> bool:
    return callable(value) or isinstance(value, classmethod | property | functools.cached_property)


_TABLES_OF: dict[str, tuple[Any, Table]] = {}
"""Name -> a module or class, and the table of its code."""


def _of(what: str, owner: Any) -> Table:
    known = _TABLES_OF.get(what)
    if known is None or known[0] is not owner:
        if isinstance(owner, type):
            attributes = _Attributes(owner)
            known = owner, Table(lambda: attributes, attributes.hide, _is_code)
        else:
            known = owner, Table(lambda: vars(owner), holds=_is_code)
        _TABLES_OF[what] = known
    return known[1]


_WATCHED: tuple[int, tuple[str, ...]] = 0, ()
"""How many modules there were, and the names of those that are watched."""


def tables() -> dict[str, Table]:
    """Name -> table, of what is there. A module that is being imported still changes by itself, so it is left out."""
    global _WATCHED
    if _WATCHED[0] != len(sys.modules):
        names = list(sys.modules)
        _WATCHED = len(names), tuple(name for name in names if name in _MODULES or name.startswith(_METRICS))
    found = dict(_FIXED)
    for name in _WATCHED[1]:
        module = sys.modules.get(name)
        if isinstance(module, types.ModuleType) and not getattr(module.__spec__, "_initializing", False):
            found[f"functions of {name}"] = _of(name, module)
    for name in _CLASSES:
        place, _, last = name.rpartition(".")
        if isinstance(owner := getattr(sys.modules.get(place), last, None), type):
            found[f"methods of {name}"] = _of(name, owner)
    return found
