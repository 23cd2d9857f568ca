"""Puts this folder on the path, for `support`, makes the fake codecs known by name, and has what all tests share."""

import os
from collections.abc import Iterator
from pathlib import Path

SIDE_BY_SIDE = "PYTEST_XDIST_WORKER" in os.environ
if SIDE_BY_SIDE:  # a core each; read when torch is imported, and by the processes that tests start
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest  # noqa: E402
from support import fake_codecs  # noqa: E402
from support.cpu_seconds import pytest_addoption, pytest_configure  # noqa: E402, F401
from support.turns import turn  # noqa: E402
from support.zygote import CODING, Zygote, a_zygote  # noqa: E402

IN_CHECKOUT = (Path(__file__).parents[1] / "datasets" / "shipped.py").is_file()

fake_codecs.register()


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Side by side, a file's tests go to one worker unless `--dist` says otherwise: what they share is made once."""
    if getattr(config.option, "numprocesses", None) and config.option.dist == "no":
        config.option.dist = "loadfile"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests may be run from a copy of this folder, on an installed suite."""
    if not IN_CHECKOUT:
        for item in items:
            if item.get_closest_marker("checkout") is not None:
                item.add_marker(pytest.mark.skip(reason="about files of the checkout that are not installed"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Where tests run side by side, those marked `alone` wait until they are."""
    if not SIDE_BY_SIDE:
        return (yield)
    with turn(shared_folder(item.config), alone=item.get_closest_marker("alone") is not None):
        return (yield)


def shared_folder(config: pytest.Config) -> Path:
    """The same for all workers of a session."""
    factory: pytest.TempPathFactory = config._tmp_path_factory  # type: ignore[attr-defined]  # before any fixture
    return factory.getbasetemp().parent


@pytest.fixture(scope="session")
def coding() -> Iterator[Zygote]:
    """A process that has imported torch and codecs and done nothing else: programs in copies of it begin at once."""
    with a_zygote(CODING) as zygote:
        yield zygote


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs in this process end without their plots, which take most of the time of a small one."""
    from benchmark.reports import outcome

    monkeypatch.setattr(outcome, "draw_curves", lambda frames, metrics, folder: [])
