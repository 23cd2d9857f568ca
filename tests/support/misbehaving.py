"""Codecs that do one thing each that a codec should not, and one that notices whatever others have left behind."""

import builtins
import contextlib
import ctypes
import decimal
import gc
import hashlib
import io
import json
import locale
import multiprocessing
import os
import random
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import warnings
import weakref
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile

SEEN = {}
"""What `Witness` saw first in this process, of what is random at its start."""


def _constant():
    """What is the same in every process."""
    torch = sys.modules.get("torch")
    return {
        "folder": str(Path.cwd()),
        "warnings": [one for one in map(str, warnings.filters) if "error" in one],
        "numpy": np.geterr(),
        "pillow": (ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS, "ODD" in Image.OPEN),
        "locale": locale.setlocale(locale.LC_ALL),
        "signals": (str(signal.getsignal(signal.SIGTERM)), str(signal.getsignal(signal.SIGALRM))),
        "timer": signal.getitimer(signal.ITIMER_REAL)[0] > 0,
        "gc": gc.isenabled(),
        "recursion": sys.getrecursionlimit(),
        "variable": os.environ.get("MISBEHAVING"),
        "home": os.environ.get("HOME"),
        "open": builtins.open is io.open,
        "asarray": np.asarray.__module__,
        "code": [one.__name__ for one in (Path.write_text, json.dumps, zlib.compress, Image.Image.save, Path.exists)],
        "hooks": (sys.excepthook is sys.__excepthook__, sys.unraisablehook is sys.__unraisablehook__),
        "hook of threads": threading.excepthook is threading.__excepthook__,
        "imports": (len(sys.meta_path) > 2, len(sys.path_hooks) > 1, sys.dont_write_bytecode),
        "interval": (sys.getswitchinterval(), gc.get_threshold()),
        "decimal": (decimal.getcontext().prec, decimal.getcontext().rounding),
        "small": (float(np.float32(1e-40) * np.float32(0.5)), float(np.float64(1e-310) * np.float64(0.5))),
        "rounding": ctypes.CDLL("libm.so.6").fegetround(),
        "printing": repr(np.float64(1) / 3) + str(np.arange(9)) + time.tzname[0],
        "trace": (sys.gettrace(), sys.getprofile(), sys.get_int_max_str_digits()),
        "dtype": "torch.float32" if torch is None else str(torch.get_default_dtype()),
        "device": "cpu" if torch is None else str(torch.get_default_device()),
        "grad": True if torch is None else torch.is_grad_enabled(),
        "deterministic": False if torch is None else torch.are_deterministic_algorithms_enabled(),
    }


def _random():
    """What is the same in one process."""
    mask = os.umask(0o22)
    os.umask(mask)
    torch = sys.modules.get("torch")
    return {
        "umask": mask,
        "limits": (resource.getrlimit(resource.RLIMIT_FSIZE), resource.getrlimit(resource.RLIMIT_NOFILE)),
        "random": hashlib.sha256(repr(random.getstate()).encode()).hexdigest(),
        "numpy": np.random.get_state()[1].tobytes(),
        "torch": None if torch is None else bytes(torch.get_rng_state().numpy()),
        "threads": None if torch is None else torch.get_num_threads(),
        "path": list(sys.path[:3]),
        "model": sys.modules.get("PIL.Image") is Image,
        "output": os.fstat(1).st_ino,
        "errors": os.fstat(2).st_ino,
        "streams": sys.stderr.closed or sys.stdout.closed,
    }


class Witness:
    """Its image is the original only where nothing is other than before; a trial's values tell."""

    qualities = (2,)

    def __init__(self, number: int = 0):
        self.number = number

    def encode(self, image, quality):
        now = _random()
        moved = [name for name, value in now.items() if value is not None and SEEN.setdefault(name, value) != value]
        state = hashlib.sha256(repr((sorted(_constant().items()), moved)).encode()).digest()[:1]
        if moved:
            print("moved:", moved, file=sys.stderr)
        return bytes(image.shape[:2]) + state + image.tobytes()

    def decode(self, data):
        image = np.frombuffer(data[3:], np.uint8).reshape(data[0], data[1], 3)
        return image ^ data[2]


def threads_left():
    threading.Thread(target=time.sleep, args=(2,)).start()
    threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()


def exits_in_a_thread():
    thread = threading.Thread(target=sys.exit, args=("in a thread",))
    thread.start()
    thread.join()


def fork(then):
    child = os.fork()
    if child == 0:
        then()
        return
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == {sys.exit: 0, os._exit: 0}.get(then, 0 if then is bool else 1)


def fails():
    raise ValueError("in a forked child")


def torch_state():
    import torch

    torch.set_default_dtype(torch.float64)
    torch.set_grad_enabled(False)
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1 + torch.get_num_threads() % 2)
    torch.manual_seed(5)
    torch.set_default_device("meta")
    for library in (torch.backends.cudnn, torch.backends.mkldnn):
        library.enabled = False
    torch.backends.cudnn.allow_tf32 = False


def locale_changed():
    with contextlib.suppress(locale.Error):
        locale.setlocale(locale.LC_ALL, "C.UTF-8" if "UTF" not in locale.setlocale(locale.LC_ALL) else "C")


def limits():
    for which in (resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE):
        resource.setrlimit(which, (100, resource.getrlimit(which)[1]))


def pillow():
    ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS = True, 1
    Image.register_open("ODD", lambda *a: None, lambda prefix: True)
    Image.ID.insert(0, "ODD")


def replaces_streams():
    sys.stdout = sys.stderr = sys.stdin = None


def closes_streams():
    sys.stdout.close()
    sys.stderr.close()


def patches():
    builtins.open = lambda *a, **k: io.StringIO("nothing")
    np.asarray = lambda *a, **k: 1 / 0
    np.ascontiguousarray = np.asarray
    os.replace = os.rename = os.fsync = np.asarray
    sys.modules["PIL.Image"] = None
    sys.path[:] = []


def patches_methods():
    def nothing(*a, **k):
        return None

    for owner, name in (
        *((Path, name) for name in ("write_text", "write_bytes", "open", "is_file", "unlink")),
        *((json, name) for name in ("dumps", "loads")),
        *((tempfile, name) for name in ("mkstemp", "NamedTemporaryFile")),
        *((zlib, "compress"), (hashlib, "sha256"), (shutil, "rmtree"), (struct, "unpack"), (re, "compile")),
        *(
            (np.linalg, "norm"),
            (np.fft, "fft2"),
            (Image.Image, "save"),
            (Image.Image, "convert"),
            (time, "perf_counter"),
        ),
    ):
        setattr(owner, name, nothing)
    for owner, name in ((Path, "exists"), (threading, "Lock")):
        if name in vars(owner):  # as it was found, or as this codec left it
            delattr(owner, name)
    for name, module in list(sys.modules.items()):
        if name.startswith("benchmark.metrics."):
            for key, value in list(vars(module).items()):
                if callable(value):
                    setattr(module, key, nothing)
    if "torch" in sys.modules:
        torch = sys.modules["torch"]
        torch.Tensor.numpy = torch.nn.Conv2d.forward = torch.nn.functional.interpolate = nothing


def traces():
    sys.settrace(lambda *a: None)
    sys.setprofile(lambda *a: None)
    sys.set_int_max_str_digits(640)


def hooks():
    sys.excepthook = sys.unraisablehook = threading.excepthook = sys.displayhook = sys.exit
    sys.meta_path.clear()
    sys.path_hooks.clear()
    sys.setswitchinterval(3.0)
    sys.dont_write_bytecode = True
    gc.set_threshold(1)
    multiprocessing.set_start_method("fork", force=True)


def arithmetic():
    """Of the processor itself: small numbers are zero, and all are rounded up."""
    decimal.getcontext().prec = 1
    decimal.getcontext().rounding = decimal.ROUND_UP
    ctypes.CDLL("libm.so.6").fesetround(0x800)
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(True)


def printing():
    np.set_printoptions(precision=1, threshold=3, legacy="1.13")
    np.seterrcall(sys.exit)
    time.tzset()
    os.environ["TZ"] = "Asia/Kathmandu"
    time.tzset()


class Bad:
    def __del__(self):
        sys.exit(3)


def destructors():
    Bad()
    weakref.finalize(Bad(), sys.exit, 3)


def raises_in_a_thread():
    thread = threading.Thread(target=lambda: 1 / 0)
    thread.start()
    thread.join()


def environment():
    os.environ.clear()
    os.environ["MISBEHAVING"] = "1"


def recursion():
    sys.setrecursionlimit(200)
    gc.disable()


def signals():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN if number != signal.SIGALRM else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    signal.setitimer(signal.ITIMER_REAL, 0.2)


def seeds():
    np.random.seed(1)
    random.seed(1)


def descriptors():
    os.close(0)
    os.close(1)
    os.close(2)


def output():
    print("words " * 200_000)
    os.system("echo words of a program")


def child_left():
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1)"])


HARMLESS = {
    "threads_left": threads_left,
    "exits_in_a_thread": exits_in_a_thread,
    "forked_child_comes_back": lambda: fork(bool),
    "forked_child_exits": lambda: fork(sys.exit),
    "forked_child_fails": lambda: fork(fails),
    "folder": lambda: os.chdir("/"),
    "warnings": lambda: warnings.simplefilter("error"),
    "seterr": lambda: np.seterr(all="raise"),
    "torch_state": torch_state,
    "locale": locale_changed,
    "limits": limits,
    "umask": lambda: os.umask(0o777),
    "pillow": pillow,
    "nice": lambda: os.nice(1),
    "replaces_streams": replaces_streams,
    "closes_streams": closes_streams,
    "descriptors": descriptors,
    "patches": patches,
    "patches_methods": patches_methods,
    "traces": traces,
    "hooks": hooks,
    "arithmetic": arithmetic,
    "printing": printing,
    "destructors": destructors,
    "raises_in_a_thread": raises_in_a_thread,
    "environment": environment,
    "recursion": recursion,
    "signals": signals,
    "seeds": seeds,
    "output": output,
    "child_left": child_left,
}
"""Each has no effect on any trial."""


def raises(error):
    def function():
        raise error

    return function


class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no words")


class Unpicklable(Exception):
    def __reduce__(self):
        raise RuntimeError("stays here")


class Bottom(BaseException): ...


def deep(n=0):
    return deep(n + 1)


FAILING = {
    "exits": lambda: sys.exit(0),
    "ends": lambda: os._exit(0),
    "mute": raises(Mute()),
    "unpicklable": raises(Unpicklable("x")),
    "bottom": raises(Bottom("x")),
    "generator_exit": raises(GeneratorExit()),
    "stop": raises(StopIteration()),
    "long_message": raises(ValueError("x" * 1_000_000)),
    "surrogates": raises(ValueError("\ud800 \x1b[31m \n")),
    "deep": deep,
    "memory": lambda: np.empty(2**60, np.uint8),
}
"""Each is a failure of its own trial."""

DEADLY = {
    "segmentation": lambda: ctypes.string_at(0),
    "abort": os.abort,
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "ends_in_c": lambda: ctypes.CDLL(None)._exit(0),
    "all_descriptors": lambda: (os.closerange(3, 4096), time.sleep(1000)),
    "another_program": lambda: os.execv("/bin/sleep", ["sleep", "1000"]),
    "never_ends": lambda: time.sleep(1000),
}
"""Each ends, or stops, the process that it is in."""


class Bytes(bytes):
    def __len__(self):
        return 1


def _torch(data):
    import torch

    return torch.zeros(4)


STREAMS = {
    "bytearray": bytearray,
    "memoryview": memoryview,
    "subclass": Bytes,
    "nothing": lambda data: None,
    "text": lambda data: "text",
    "generator": iter,
    "tensor": _torch,
    "empty": lambda data: b"",
}
IMAGES = {
    "float": lambda image: image / 255,
    "nan": lambda image: image * np.nan,
    "shape": lambda image: image[1:],
    "planes": lambda image: image.transpose(2, 0, 1),
    "grey": lambda image: image[..., 0],
    "signed": lambda image: image.astype(np.int8),
    "masked": np.ma.masked_array,
    "pillow_image": Image.fromarray,
    "no_image": lambda image: None,
    "lists": lambda image: image.tolist(),
    "image_tensor": _torch,
}
FINE_IMAGES = {
    "read_only": lambda image: image,
    "strides": lambda image: np.asfortranarray(image),
    "reversed": lambda image: image[::-1].copy()[::-1],
    "view_class": lambda image: image.copy().view(type("Array", (np.ndarray,), {})),
}


class Trouble:
    """what: a key of one of the tables."""

    qualities = (2,)

    def __init__(self, what: str):
        self.what = what

    def encode(self, image, quality):
        (HARMLESS | FAILING | DEADLY).get(self.what, bool)()
        data = bytes(image.shape[:2]) + image.tobytes()
        image[:] = 0
        return STREAMS.get(self.what, bytes)(data)

    def decode(self, data):
        image = np.frombuffer(data[2:], np.uint8).reshape(data[0], data[1], 3)
        return (IMAGES | FINE_IMAGES).get(self.what, np.array)(image)
