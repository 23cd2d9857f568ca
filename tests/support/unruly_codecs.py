"""A codec file as others write them, with what others do in it; quality 2 is where the trouble is."""

import ctypes
import multiprocessing
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np


class Plain:
    qualities = (1, 2)

    def encode(self, image, quality):
        if quality == 2:
            self.trouble()
        return bytes(image.shape[:2]) + image.tobytes()

    def decode(self, data):
        return np.frombuffer(data[2:], np.uint8).reshape(data[0], data[1], 3)

    def describe(self):
        return {"kind": type(self).__name__}

    def trouble(self): ...


class Exits(Plain):
    def trouble(self):
        sys.exit()


class Interrupts(Plain):
    def trouble(self):
        raise KeyboardInterrupt


class Crashes(Plain):
    def trouble(self):
        ctypes.string_at(0)


class Leaves(Plain):
    def trouble(self):
        os._exit(0)


class Changes(Plain):
    def trouble(self):
        print("words on standard output")
        os.system("echo words of a program")
        os.chdir("/")
        warnings.simplefilter("error")
        np.seterr(all="raise")


class HasChildren(Plain):
    def trouble(self):
        with multiprocessing.get_context("fork").Pool(2) as pool:
            assert pool.map(abs, [-1, -2]) == [1, 2]


class LeavesChildren(Plain):
    """Starts a process that would write a file after a while, and goes on for longer than anyone waits."""

    def __init__(self, folder: str, seconds: float = 0):
        self.folder, self.seconds = Path(folder), seconds

    def trouble(self):
        code = f"import time; time.sleep(3); open({str(self.folder / 'late')!r}, 'w')"
        child = subprocess.Popen([sys.executable, "-c", code])
        (self.folder / "begun").write_text(f"{os.getpid()} {child.pid}")
        time.sleep(self.seconds)


class LeavesDaemon(Plain):
    def __init__(self, folder: str):
        self.folder = Path(folder)

    def trouble(self):
        child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
        (self.folder / "begun").write_text(str(child.pid))


class Keeps(Plain):
    """Its stream says nothing: what it decodes is what it encoded last."""

    def encode(self, image, quality):
        self.last = image
        return b"nothing"

    def decode(self, data):
        return self.last


CACHE = {}


class KeepsInModule(Plain):
    def encode(self, image, quality):
        data = bytes([len(CACHE)])
        CACHE[data] = image
        return data

    def decode(self, data):
        return CACHE.get(data, np.zeros((16, 24, 3), np.uint8))


class Restless(Plain):
    """Decodes to another image each time."""

    def decode(self, data):
        image = super().decode(data)
        return image ^ np.random.default_rng().integers(0, 2, image.shape, np.uint8)


class NoDescription:
    qualities = (1,)
    encode, decode = Plain.encode, Plain.decode


class LeavesInC(Plain):
    def trouble(self):
        ctypes.CDLL(None)._exit(0)
