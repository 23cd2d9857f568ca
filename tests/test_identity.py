"""What tells one version of anyone's code from another: each file that moves its numbers is in the record, by name."""

import dataclasses
import importlib
import importlib.metadata
import json
import math
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.codecs import anchored_spec, hold_codec, open_codec
from benchmark.errors import UsageError
from benchmark.identity import (
    anchored,
    files_mentioned,
    files_named,
    files_of_setting,
    sha256_of,
    unknown_parts,
    variables,
)
from benchmark.objects import code_hash
from benchmark.sources import distributions_of, modules_beside, packages_imported, variables_read

HEAD = "class Mine:\n    qualities = (1,)\n    def encode(self, image, q): return b'1'\n    def decode(self, d): ...\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(files: dict[str, str]) -> None:
    for name, text in files.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(textwrap.dedent(text))


# Modules


@pytest.mark.parametrize(
    ("code", "files", "found"),
    [
        ("import model", ["model.py"], ["model.py"]),
        ("def f():\n    from parts import late", ["parts/late.py"], ["parts/late.py"]),
        ("import p.deep.net", ["p/deep/net.py", "p/__init__.py"], ["p/__init__.py", "p/deep/net.py"]),
        ("from parts import *", ["parts/__init__.py", "parts/net.py"], ["parts/__init__.py"]),
        ("import importlib\nm = importlib.import_module('late')", ["late.py"], ["late.py"]),
        ("m = __import__('late')", ["late.py"], ["late.py"]),
        ("import sys\nsys.path.insert(0, 'lib')\nimport net", ["lib/net.py"], ["lib/net.py"]),
        ("import sys, os\nsys.path.append(os.path.join(HERE, 'lib'))\nimport net", ["lib/net.py"], ["lib/net.py"]),
        ("import sys\nsys.path.append('../side')\nimport net", ["../side/net.py"], ["../side/net.py"]),
        ("import fast", ["fast.so"], ["fast.so"]),
        ("import model", ["model.py", "other.py"], ["model.py"]),
        ("import numpy, json, benchmark", ["other.py"], []),
        ("this is no Python", ["other.py"], []),
    ],
)  # fmt: skip
def test_modules_that_a_file_imports_from_beside_it(here: Path, code: str, files: list[str], found: list[str]) -> None:
    write({"code/mine.py": "", **{f"code/{name}": "" for name in files}})
    Path("code/mine.py").write_text(code)
    assert list(modules_beside(Path("code/mine.py").absolute())) == found


def test_modules_of_modules_and_relative_ones(here: Path) -> None:
    write({"mine.py": "import pkg.a", "pkg/__init__.py": "", "pkg/a.py": "from . import b\nfrom .sub.c import x"})
    write({"pkg/b.py": "import top", "pkg/sub/c.py": "from ..d import y", "pkg/d.py": "", "top.py": ""})
    names = ["pkg/__init__.py", "pkg/a.py", "pkg/b.py", "pkg/d.py", "pkg/sub/c.py", "top.py"]
    assert list(modules_beside(here / "mine.py")) == names


def test_versions_of_imported_packages(here: Path) -> None:
    write({"mine.py": "import numpy\ndef f():\n    import PIL.Image, json, nowhere\n"})
    assert packages_imported([here / "mine.py"]).keys() == {"numpy", "pillow"}


def test_distributions_of_a_name_are_those_that_python_finds() -> None:
    known = importlib.metadata.packages_distributions()
    some = [*sorted(known)[::6], "numpy", "PIL", "torch", "nowhere"]
    assert {name: set(distributions_of(name)) for name in some} == {name: set(known.get(name, ())) for name in some}


def test_two_codecs_with_a_module_of_one_name_get_each_its_own(here: Path) -> None:
    for name in "ab":
        write(
            {
                f"{name}/mine.py": "import model\nclass Mine:\n    qualities = (1,)\n"
                "    def encode(self, image, quality):\n        import late\n        return model.NAME + late.NAME\n"
                "    def decode(self, data): ...\n",
                f"{name}/model.py": f"NAME = b'model {name}'",
                f"{name}/late.py": f"NAME = b' late {name}'",
            }
        )
    one, other = (open_codec(f"./{name}/mine.py:Mine") for name in "ab")
    image = np.zeros((1, 1, 3), np.uint8)
    for _ in range(2):
        assert one.encode(image, 1) == b"model a late a"
        assert other.encode(image, 1) == b"model b late b"
    assert not {"model", "late"} & sys.modules.keys()


# Settings


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a.pth", [""]),
        ("models", ["a.pth", "deep/b.pth"]),
        ("models/", ["a.pth", "deep/b.pth"]),
        ("models/{q}.pth", ["a.pth"]),
        ("models/{quality}.pth", ["a.pth"]),
        ("models/**/*.pth", ["a.pth", "deep/b.pth"]),
        ("step-%04d.pth", ["step-0001.pth", "step-0002.pth"]),
        ("step-0001", [""]),
        ("a.pth,step-0001.pth", ["a.pth", "step-0001.pth"]),
        ("a.pth step-0001.pth", ["a.pth", "step-0001.pth"]),
        ("--weights=a.pth --cfg 'my file.cfg'", ["a.pth", "my file.cfg"]),
        ("@my.args", ["a.pth", "my.args"]),
        ("net.yaml", ["", "models/deep/b.pth"]),
        ("tf/model", ["model.data-00000-of-00001", "model.index"]),
        ("small", []),
        ("3", []),
        ("true", []),
        ("{q}", []),
        ("/", []),
        (".", []),
        ("nothing/there.pth", []),
    ],
)
def test_files_that_a_setting_names(here: Path, text: str, names: list[str]) -> None:
    empty = ("a.pth", "models/a.pth", "models/deep/b.pth", "step-0001.pth", "step-0002.pth", "my file.cfg", "3")
    write(dict.fromkeys((*empty, "tf/model.index", "tf/model.data-00000-of-00001"), ""))
    write({"my.args": "--weights\na.pth\n", "net.yaml": "# a.pth\nweights: models/deep/b.pth\n"})
    found = files_of_setting(text)
    assert sorted(name.removeprefix(f"{here}/") for name in found) == names
    assert all(path.is_file() for path in found.values())


def test_names_with_marks_of_patterns_mean_themselves(here: Path) -> None:
    write({"run[1]/q1.pth": "", "run1/q1.pth": ""})
    assert files_named("run[1]/q{q}.pth") == [Path("run[1]/q1.pth")]


def change(path: Path) -> None:
    """A checkpoint that was trained further in its place: as long, as old, the same inode."""
    before = path.stat()
    data = path.read_bytes()
    with path.open("r+b") as stream:
        stream.write(bytes([data[0] ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns, after.st_ino) == (before.st_size, before.st_mtime_ns, before.st_ino)


@pytest.mark.parametrize(
    ("code", "spec", "changed", "part"),
    [
        ("def __init__(self, weights): ...", "weights=w.pth", "w.pth", "settings_sha256 weights"),
        ("def __init__(self, weights): ...", "weights=all", "all/w2.pth", "settings_sha256 weights w2.pth"),
        ("def __init__(self, weights): ...", "weights=all/w{q}.pth", "all/w2.pth", "settings_sha256 weights w2.pth"),
        ("def __init__(self, weights='w.pth'): ...", "", "w.pth", "settings_sha256 weights"),
        ("def __init__(self, weights='beside.pth'): ...", "", "code/beside.pth", "settings_sha256 weights"),
        ("def __init__(self): open('w' + '.pth').read()", "", "w.pth", "files_sha256 w.pth"),
        ("def late(self): open('w.pth')", "", "w.pth", "files_sha256 w.pth"),
        ("def late(self): open(f'all/w{self.q}.pth')", "", "all/w1.pth", "files_sha256 all/w1.pth"),
        ("def late(self): open(HERE / 'data' / 'table.npy')", "", "code/data/table.npy", "files_sha256 data/table.npy"),
        ("environment = ('MY_WEIGHTS',)", "", "w.pth", "variables_sha256 MY_WEIGHTS"),
        ("def late(self): import late", "", "code/late.py", "modules_sha256 late.py"),
        # code that is named as a file, and what it imports
        ("def late(self): spec_from_file_location(HERE / 'late.py')", "", "code/late.py", "modules_sha256 late.py"),
        ("def late(self): run_path(str(HERE / 'late.py'))", "", "code/late.py", "modules_sha256 late.py"),
        ("def late(self): exec(HERE.joinpath('late.py').read_text())", "", "code/late.py", "modules_sha256 late.py"),
        ("def late(self): run_path(HERE / 'runs.py')", "", "code/late.py", "modules_sha256 late.py"),
        ("def late(self): CDLL(str(HERE / 'libx.so'))", "", "code/libx.so", "modules_sha256 libx.so"),
        # code that is imported from elsewhere than the installed packages
        ("def late(self): import elsewhere", "", "lib/elsewhere/deep/net.py", "modules_sha256 package elsewhere"),
        ("def late(self): from alone import x", "", "lib/alone.py", "modules_sha256 package alone"),
        # files that only a look into a folder finds, and those called as the code is
        ("def late(self): open(Path(__file__).with_suffix('.bin'))", "", "code/mine.bin", "files_sha256 mine.bin"),
        ("def late(self): os.path.splitext(__file__)[0] + '.bin'", "", "code/mine.bin", "files_sha256 mine.bin"),
        ("def late(self): HERE.rglob('*.npy')", "", "code/data/table.npy", "files_sha256 data/table.npy"),
        ("def late(self): os.listdir(HERE / 'nets')", "", "code/nets/n", "files_sha256 nets/n"),
        ("def late(self): (HERE / 'nets').iterdir()", "", "code/nets/n", "files_sha256 nets/n"),
        ("def late(self): os.walk('all')", "", "all/w1.pth", "files_sha256 all/w1.pth"),
        ("def late(self): files('pkg') / 'w.dat'", "", "code/pkg/w.dat", "files_sha256 pkg/w.dat"),
        ("def late(self): get_data('pkg', 'w.dat')", "", "code/pkg/w.dat", "files_sha256 pkg/w.dat"),
        # paths that are put together
        ("def late(self): open(Path('all') / 'w1.pth')", "", "all/w1.pth", "files_sha256 all/w1.pth"),
        ("def late(self): open('all' + os.sep + 'w1.pth')", "", "all/w1.pth", "files_sha256 all/w1.pth"),
        ("def late(self): join(os.environ['MY_FOLDER'], 'w1.pth')", "", "all/w1.pth", "files_sha256 all/w1.pth"),
        ("def late(self): os.getenv('MY_FOLDER') + '/w1.pth'", "", "all/w1.pth", "files_sha256 all/w1.pth"),
        # programs
        ("def late(self): subprocess.run(['mytool', '-v'])", "", "bin/mytool", "programs_sha256 mytool"),
        ("def late(self): os.system('mytool -v')", "", "bin/mytool", "programs_sha256 mytool"),
        ("def late(self): run([sys.executable, HERE / 'late.py'])", "", "code/late.py", "modules_sha256 late.py"),
        # settings
        ("def __init__(self, w): ...", "w=$MY_FOLDER/w1.pth", "all/w1.pth", "settings_sha256 w"),
        ("def __init__(self, weights): ...", "weights=linked", "all/w1.pth", "settings_sha256 weights latest/w1.pth"),
        ("def __init__(self, weights): ...", "weights=all/w1.pth|w.pth", "w.pth", "settings_sha256 weights w.pth"),
        ("def __init__(self, cfg): ...", "cfg=c.json", "all/w1.pth", "settings_sha256 cfg all/w1.pth"),
        ("def __init__(self, cfg): ...", "cfg=c.py", "base.py", "settings_sha256 cfg base.py"),
    ],
)  # fmt: skip
def test_what_a_codec_is_made_of_is_in_its_description(
    here: Path, monkeypatch: pytest.MonkeyPatch, code: str, spec: str, changed: str, part: str
) -> None:
    write(dict.fromkeys(("w.pth", "all/w1.pth", "all/w2.pth", "code/data/table.npy", "code/beside.pth"), "weights"))
    write(dict.fromkeys(("code/mine.bin", "code/nets/n", "code/pkg/w.dat", "code/libx.so"), "weights"))
    write(dict.fromkeys(("lib/elsewhere/__init__.py", "lib/elsewhere/deep/net.py", "lib/alone.py"), "# code"))
    write({"c.json": '{"model": {"weights": "all/w1.pth"}}', "c.py": "_base_ = 'base.py'", "base.py": "# base"})
    write({"code/late.py": "# late", "code/mine.py": f"{HEAD}    {code}\n", "code/runs.py": "import late"})
    script("bin/mytool", "#!/bin/sh\n")
    Path("linked").mkdir()
    Path("linked/latest").symlink_to("../all")
    monkeypatch.setenv("MY_WEIGHTS", str(here / "w.pth"))
    monkeypatch.setenv("MY_FOLDER", str(here / "all"))
    monkeypatch.setenv("PATH", f"{here}/bin{os.pathsep}{os.environ['PATH']}")
    monkeypatch.syspath_prepend(str(here / "lib"))
    text = "./code/mine.py:Mine" + (f":{spec}" if spec else "")
    before = open_codec(text).describe()
    assert open_codec(text).describe() == before
    assert open_codec(anchored_spec(text)).describe() == before  # as an audit opens it
    change(here / changed)
    assert differing(before, open_codec(text).describe()) == [part]


def differing(one: dict[str, Any], other: dict[str, Any], before: str = "") -> list[str]:
    found = []
    for key in {**one, **other}:
        old, new = one.get(key), other.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            found += differing(old, new, f"{before}{key} ")
        elif old != new:
            found.append(before + key)
    return found


def test_what_a_codec_writes_is_no_part_of_it(here: Path) -> None:
    write({"mine.py": f"{HEAD}    def __init__(self): open('log.txt', 'a').write('x'); open('own.log').close\n"})
    write({"log.txt": "", "own.log": ""})
    before = open_codec("./mine.py:Mine").describe()
    assert open_codec("./mine.py:Mine").describe() == before
    assert set(before) == {"file_sha256"}


def test_variables_that_a_codec_names(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write({"mine.py": f"{HEAD}    environment = ('MY_MODE', 'MY_TOKEN', 'NOT_SET')\n"})
    monkeypatch.setenv("MY_MODE", "fast")
    monkeypatch.setenv("MY_TOKEN", "very secret")
    found = open_codec("./mine.py:Mine").describe()["environment"]
    assert found.keys() == {"MY_MODE", "MY_TOKEN"}
    assert found["MY_MODE"] == "fast"
    assert found["MY_TOKEN"].startswith("sha256:")
    monkeypatch.setenv("MY_TOKEN", "another")
    assert open_codec("./mine.py:Mine").describe()["environment"]["MY_TOKEN"] != found["MY_TOKEN"]
    assert variables(["MY_MODE", "NOT_SET"]) == {"MY_MODE": "fast"}
    write({"bad.py": f"{HEAD}    environment = (3,)\n"})
    with pytest.raises(UsageError, match=r"bad.py:Mine: environment is \(3,\), not names of environment variables"):
        open_codec("./bad.py:Mine")


# Objects


class Kept:
    def __init__(self, steps: int = 8, guidance: Any = 1.0, sizes: Any = (), mode: Any = None, gone: int = 0) -> None:
        self.steps, self._guidance, self.sizes, self._mode, self.calls = steps, guidance, sizes, mode, 0

    def encode(self, image: Any, quality: float) -> bytes:
        self.calls += 1
        return b"1"

    def decode(self, data: bytes) -> Any: ...


@dataclasses.dataclass(slots=True)
class KeptInSlots:
    steps: int = 8

    def encode(self, image: Any, quality: float) -> bytes:
        return b"1"

    def decode(self, data: bytes) -> Any: ...


@pytest.mark.parametrize(
    "other",
    [
        Kept(9),
        Kept(guidance=1.5),
        Kept(guidance=np.float32(2)),
        Kept(sizes=[1, (2, "a")]),
        Kept(sizes={"a": 1}),
        Kept(mode="fast"),
        Kept(mode=Path("a")),
        Kept(mode=math.nan),
        Kept(steps=10**200),
    ],
)
def test_what_a_constructor_was_given_tells_objects_apart(other: Kept) -> None:
    """An object with other settings is another codec; what it counts is no setting."""
    one = Kept()
    before = hold_codec(one, "ours").describe()
    one.encode(None, 1)
    assert hold_codec(one, "ours").describe() == before
    assert hold_codec(Kept(gone=3), "ours").describe() == before
    parts = differing(before, hold_codec(other, "ours").describe())
    assert len(parts) == 1
    assert parts[0].startswith("object_settings ")
    json.dumps(hold_codec(other, "ours").describe(), allow_nan=False)


def test_settings_in_slots_and_secrets() -> None:
    before, after = (hold_codec(KeptInSlots(steps), "ours").describe() for steps in (1, 2))
    assert differing(before, after) == ["object_settings steps"]

    class WithKey(Kept):
        def __init__(self, api_key: str) -> None:
            super().__init__()
            self.api_key = api_key

    texts = [json.dumps(hold_codec(WithKey(key), "ours").describe()) for key in ("abcdefgh", "hgfedcba")]
    assert texts[0] != texts[1]
    assert "abcdefgh" not in texts[0]


def test_the_files_of_base_classes_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "leaf_of_mine.py").write_text("from base_of_mine import Base\nclass Leaf(Base): ...\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = []
    for number in (1, 2):
        (tmp_path / "base_of_mine.py").write_text(f"class Base:\n    def encode(self, i, q): return {number}\n")
        for name in ("leaf_of_mine", "base_of_mine"):
            monkeypatch.delitem(sys.modules, name, raising=False)
        importlib.invalidate_caches()
        found.append(code_hash(importlib.import_module("leaf_of_mine").Leaf))
    assert found[0] != found[1]
    assert None not in found


def test_weights_of_objects() -> None:
    import torch

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(2, 2)

        def encode(self, image: Any, quality: float) -> bytes:
            return b"1"

        def decode(self, data: bytes) -> Any: ...

    net = Net()

    def description() -> Any:
        return hold_codec(net, "ours").describe()

    before = description()
    assert description() == before
    with torch.no_grad():
        net.layer.weight[0, 0] += 1e-6
    assert differing(before, description()) == ["weights_sha256"]


@pytest.mark.parametrize(
    ("moved", "counts"),
    [
        (lambda one: one.table.__setitem__(0, 2.0), True),
        (lambda one: one.parts["a"][0].__setitem__(0, 2.0), True),
        (lambda one: setattr(one, "last", np.zeros((4, 4, 3), np.uint8)), False),
        (lambda one: setattr(one, "calls", 3), False),
    ],
)
def test_weights_of_objects_are_arrays_of_real_numbers(moved: Callable[[Any], None], counts: bool) -> None:
    class Own:
        def __init__(self) -> None:
            self.table, self.parts, self.again = np.zeros(3), {"a": [np.zeros(2, np.float32)]}, self

        def encode(self, image: Any, quality: float) -> bytes:
            return b"1"

        def decode(self, data: bytes) -> Any: ...

    one = Own()
    before = hold_codec(one, "ours").describe()
    moved(one)
    assert differing(before, hold_codec(one, "ours").describe()) == (["weights_sha256"] if counts else [])


# Command lines


def script(name: str, text: str) -> None:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(text)
    Path(name).chmod(0o755)


@pytest.mark.parametrize(
    ("line", "changed"),
    [
        ("sh ./enc.sh {in} {out} {q}", "enc.sh"),
        ("sh enc.sh {in} {out} {q}", "enc.sh"),
        ("env A=1 sh ./enc.sh {in} {out} {q}", "enc.sh"),
        ("sh -c 'HERE/enc.sh {in} {out} {q}'", "enc.sh"),
        ("./enc.sh {in} {out} {q}", "tool.sh"),
        ("PYTHON enc.py {in} {out} {q}", "enc.py"),
        ("PYTHON enc.py {in} {out} {q}", "net.py"),
        ("PYTHON -m own_codec {in} {out} {q}", "lib/own_codec/parts.py"),
        ("sh ./enc.sh --model=models/{q}.bin {in} {out}", "models/30.bin"),
        ("sh ./enc.sh --models models {in} {out} {q}", "models/30.bin"),
        ("sh ./enc.sh --cfg 'my file.cfg' {in} {out} {q}", "my file.cfg"),
        ("sh ./enc.sh --cfg my.cfg {in} {out} {q}", "models/60.bin"),
        ("sh ./enc.sh @my.args {in} {out} {q}", "my.args"),
    ],
)
def test_the_files_of_a_command_line(here: Path, monkeypatch: pytest.MonkeyPatch, line: str, changed: str) -> None:
    write({"models/30.bin": "30", "models/60.bin": "60", "my.cfg": "model = models/60.bin", "my file.cfg": "x"})
    write({"my.args": "-v", "enc.py": "import net", "net.py": "", "lib/own_codec/parts.py": "1"})
    write({"lib/own_codec/__init__.py": "", "lib/own_codec/__main__.py": ""})
    for name, text in {"enc.sh": f"#!/bin/sh\n{here}/tool.sh $1 $2\n", "tool.sh": "cp $1 $2"}.items():
        script(name, text)
    monkeypatch.setenv("PYTHONPATH", str(here / "lib"))
    from benchmark import programs

    line = line.replace("PYTHON", sys.executable).replace("HERE", str(here))
    spec = f'command:enc="{line}",dec="cp {{in}} {{out}}",qualities=30'
    before = open_codec(spec).describe()
    assert open_codec(spec).describe() == before
    Path(changed).write_text(Path(changed).read_text() + "\n# other")
    programs._code_of_module.cache_clear()
    found = differing(before, open_codec(spec).describe())
    assert found
    named = f"module {changed.split('/')[1]}" if changed.startswith("lib/") else changed
    assert any(part.endswith((named, "programs ./enc.sh")) for part in found), found


def test_variables_of_a_command_line(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_MODE", "fast")
    spec = 'command:enc="cp {in} {out} {q}",dec="cp {in} {out}",environment="MY_MODE OTHER"'
    assert open_codec(spec).describe()["environment"] == {"MY_MODE": "fast"}
    with pytest.raises(UsageError, match="'A=B' is no name of a variable"):
        open_codec(spec.replace("OTHER", "A=B"))


def test_scripts_name_files_and_programs_in_turn(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script("one.sh", "#!/usr/bin/env bash\n. ./two.sh\n# notes.txt\n")
    write({"two.sh": "mytool --table tables/t.bin\n", "tables/t.bin": "", "notes.txt": "", "bin/mytool": "#!/bin/sh\n"})
    Path("bin/mytool").chmod(0o755)
    monkeypatch.setenv("PATH", f"{here}/bin{os.pathsep}{os.environ['PATH']}")
    found = {path.resolve() for path in files_mentioned(here / "one.sh")}
    assert {here / name for name in ("two.sh", "tables/t.bin", "bin/mytool")} <= found
    assert here / "notes.txt" not in found


# Where it is not known


@pytest.mark.parametrize(
    ("description", "words"),
    [
        ({"programs": {}}, "libraries that the programs load"),
        ({"file_sha256": ""}, "files that it opens only while it codes"),
        ({"package": "x 1"}, "environment variables that it does not name"),
        ({"object": ""}, "settings of the object that are no weights"),
        ({"encoder": "Pillow"}, ""),
    ],
)
def test_what_is_not_known_is_said(description: dict[str, Any], words: str) -> None:
    assert words in "; ".join(unknown_parts(description))
    assert bool(unknown_parts(description)) == bool(words)


# Paths


@pytest.mark.parametrize(
    ("text", "anchors"),
    [
        ("./mine.py:Mine:weights=w.pth,size=small", "{here}/mine.py:Mine:weights=\"{here}/w.pth\",size=\"small\""),
        ("bpp:./mine.py:Mine:weights=all/w{q}.pth", "bpp:{here}/mine.py:Mine:weights=\"{here}/all/w{q}.pth\""),
        ("match:./mine.py:Mine:weights=w.pth~jpeg", "match:{here}/mine.py:Mine:weights=\"{here}/w.pth\"~jpeg"),
        ("match:jpeg:subsampling=4:4:4~./mine.py:Mine", "match:jpeg:subsampling=\"4:4:4\"~{here}/mine.py:Mine"),
        ('./mine.py:Mine:weights="w.pth,all/w1.pth"', "{here}/mine.py:Mine:weights=\"{here}/w.pth,{here}/all/w1.pth\""),
        ("jpeg", "jpeg"),
    ],
)  # fmt: skip
def test_relative_paths_of_a_spec_are_made_absolute(here: Path, text: str, anchors: str) -> None:
    write({"mine.py": "", "w.pth": "", "all/w1.pth": "", "small": ""})
    assert anchored_spec(text).text == anchors.replace("{here}", str(here))
    assert anchored("small") == "small"


def test_the_hash_is_of_the_whole_file(here: Path) -> None:
    write({"a": "x" * 100})
    before = sha256_of(Path("a"))
    change(Path("a"))
    assert sha256_of(Path("a")) != before


def test_threads_and_processes_that_are_left_do_not_keep_the_command(here: Path) -> None:
    write(
        {
            "mine.py": """
            import multiprocessing, threading, time
            import numpy as np
            def images():
                print("words of a data set")
                threading.Thread(target=time.sleep, args=(600,)).start()
                multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,)).start()
                yield np.zeros((8, 8, 3), np.uint8)
            """
        }
    )
    line = [
        sys.executable,
        "-m",
        "benchmark",
        "run",
        "--only",
        "--codec",
        "jpeg",
        "--quality",
        "50",
        "--metric",
        "psnr",
    ]
    ended = subprocess.run(
        [*line, "--dataset", "./mine.py:images"], capture_output=True, text=True, timeout=600, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert "words" not in ended.stdout
    assert "words of a data set" in ended.stderr


def test_variables_that_the_code_reads_are_known_by_its_text(here: Path) -> None:
    (here / "beside.py").write_text("import os\nQ = os.getenv('OF_THE_MODULE', '1')\n")
    (here / "mine.py").write_text(
        "import os\nfrom os import environ, getenv\nimport beside\nA = os.environ['INDEXED']\n"
        "B = environ.get('GOT', 'no')\nC = getenv('ASKED')\nos.environ['SET'] = '1'\nD = os.environ.get('HOME')\n"
        "E = {}.get('NONE')\nF = os.environ[A]\n"
    )
    assert variables_read(here / "mine.py") == ("ASKED", "GOT", "INDEXED", "OF_THE_MODULE")
