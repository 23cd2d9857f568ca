"""Where a run's time goes: what codecs take is theirs, the rest is the harness's."""

import time
from pathlib import Path
from typing import Any

import pytest
from support import fake_codecs
from support.pictures import write_pictures

from benchmark.errors import BenchmarkError
from benchmark.running.run import Request
from benchmark.studies.profile import HARNESS, Item, Profile, items, lines, profile

fake_codecs.register()


def request(folder: Path, **options: Any) -> Request:
    pictures = write_pictures(folder / "pictures", ["a.png", "b.png"])
    defaults = {"codecs": ["tiny"], "only": True, "qualities": ["2,3"], "metrics": ["bpp"]}
    return Request(dataset=str(pictures), output=folder / "run", **(defaults | options))


@pytest.mark.parametrize("method", ["encode", "encode_with_estimate", "estimate_bits"])
def test_a_slow_codec_is_not_the_harness(method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encode = fake_codecs.Tiny.encode

    def slow(self: Any, *arguments: Any) -> Any:
        time.sleep(0.05)  # by the clock
        end = time.process_time() + 0.05
        while time.process_time() < end:  # of the CPU
            pass
        data = encode(self, *arguments)
        return {"encode": data, "encode_with_estimate": (data, 8.0 * len(data)), "estimate_bits": 8.0 * len(data)}[
            method
        ]

    monkeypatch.setattr(fake_codecs.Tiny, method, slow, raising=False)
    found = profile(request(tmp_path))
    assert found.trials == 4
    assert found.spent["tiny encode"] >= 0.2
    assert found.wall_seconds - found.harness_wall >= 0.4
    assert sum(found.spent.values()) >= found.cpu_seconds >= found.spent["tiny encode"] + found.spent[HARNESS]


def test_items_stand_the_largest_first() -> None:
    found = Profile({"a": 1.0, "b": 3.0}, trials=1, cpu_seconds=4.0, wall_seconds=4.0, harness_wall=0.0)
    assert items(found) == [Item("b", 3.0, 75.0), Item("a", 1.0, 25.0), Item("CPU in all", 4.0, 100.0)]
    assert next(iter(lines(found))) == "    3.00 s   75.0 %  b"


def test_what_many_trials_take() -> None:
    assert Profile({}, trials=4, cpu_seconds=2.0, wall_seconds=8.0, harness_wall=0.4).per_many() == [
        "2.00 trials a second of the CPU; 30,000 take 4.2 h",
        "0.50 trials a second by the clock; 30,000 take 16.7 h",
    ]


def test_trials_that_fail_tell_of_no_time(tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", ["a.png", "b.png"])
    asked = request(tmp_path)
    (tmp_path / "pictures" / "b.png").write_bytes(b"no image")
    with pytest.raises(BenchmarkError, match=r"tiny, b: .*b\.png: not an image"):
        profile(asked)
