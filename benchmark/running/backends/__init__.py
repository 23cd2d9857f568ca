"""Where the trials of a run are done: in this process (`here`), in others beside it (`processes`), on a `cluster`."""

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from benchmark.codecs import Codec, CodecSpec
from benchmark.results import RunFolder, Trial
from benchmark.running.interruption import Stop
from benchmark.running.measurement import Instruments
from benchmark.running.plan import PlannedTrial
from benchmark.running.setup import Setup


class Backend(Protocol):
    """Called in this order, once each.

    codec_device: where this process opens codecs to ask about them, if not on the run's device.
    """

    codec_device: str | None

    def prepared(self, setup: Setup, codecs: Iterable[CodecSpec]) -> AbstractContextManager[None]:
        """Begins what takes time while this process opens its codecs; what was begun ends with the `with`."""
        ...

    def settle(self, setup: Setup, codecs: Mapping[str, Codec]) -> tuple[Setup, list[str]]:
        """The setup with the numbers of workers and threads that there are, and notes for the user.

        Raises BenchmarkError if there is no room for a worker.
        """
        ...

    def open(self, folder: RunFolder, codecs: Mapping[str, Codec], instruments: Instruments) -> None:
        """The folder is there now. Raises BenchmarkError where weights of metrics are missing."""
        ...

    def execute(self, trials: Sequence[PlannedTrial], folder: RunFolder, stop: Stop) -> Generator[Trial, None, None]:
        """The records of `trials`, as they end; their files are in `folder` before.

        Once `stop` is asked, the trials in hand end and none begins. Raises BenchmarkError.
        """
        ...
