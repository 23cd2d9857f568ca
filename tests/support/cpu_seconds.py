"""`pytest --cpu-seconds FILE.csv`: what each test and fixture costs in processor time, that of its processes included.

Seconds on a clock say little where other programs run. The file gets a line per fixture and phase of a test as they
end, from all workers of pytest-xdist; at the end the dearest are shown.
"""

import csv
import os
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SHOWN = 25


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--cpu-seconds", metavar="FILE", help="write processor seconds of tests and fixtures as CSV")


def pytest_configure(config: pytest.Config) -> None:
    name = config.getoption("--cpu-seconds")
    if name:
        path = Path(name).absolute()
        config.pluginmanager.register(Measurement(path), "cpu-seconds-measurement")
        if not hasattr(config, "workerinput"):
            path.write_text("kind,name,seconds\n")


def spent() -> float:
    """Seconds of user and system time of this process, of those that it started, and of those that they started."""
    import psutil  # where only some tests run, it need not be there

    me = psutil.Process()
    total = 0.0
    for process in [me, *me.children(recursive=True)]:
        try:
            times = process.cpu_times()
        except psutil.Error:  # it ended; whoever waited for it has its time
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


class Measurement:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.of_fixtures = 0.0  # of the phase that runs

    @contextmanager
    def measured(self, kind: str, name: str) -> Iterator[None]:
        before, self.of_fixtures = spent(), 0.0
        yield
        self._write(kind, name, spent() - before - self.of_fixtures)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: "pytest.FixtureDef[object]") -> Iterator[None]:
        """Fixtures of one test alone count as part of it."""
        if fixturedef.scope == "function":
            return (yield)
        before, inner = spent(), self.of_fixtures
        try:
            return (yield)
        finally:
            alone = spent() - before - (self.of_fixtures - inner)
            self.of_fixtures += alone
            self._write("fixture", f"{fixturedef.baseid}::{fixturedef.argname}", alone)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Iterator[None]:
        with self.measured("set-up", item.nodeid):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        with self.measured("call", item.nodeid):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Iterator[None]:
        with self.measured("teardown", item.nodeid):
            return (yield)

    def _write(self, kind: str, name: str, seconds: float) -> None:
        """In one piece: other workers write to the same file."""
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        try:
            os.write(file, f'{kind},"{name.replace(chr(34), chr(39))}",{seconds:.3f}\n'.encode())
        finally:
            os.close(file)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        tests: dict[str, float] = defaultdict(float)
        fixtures: dict[str, float] = defaultdict(float)
        with self.path.open(newline="") as file:
            for line in csv.DictReader(file):
                kind = fixtures if line["kind"] == "fixture" else tests
                kind[line["name"]] += float(line["seconds"])
        total = sum(tests.values()) + sum(fixtures.values())
        terminalreporter.section(f"{total:.0f} processor seconds")
        for name, seconds in sorted((tests | fixtures).items(), key=lambda entry: -entry[1])[:SHOWN]:
            terminalreporter.write_line(f"{seconds:7.2f}  {name}")
