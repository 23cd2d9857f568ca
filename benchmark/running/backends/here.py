"""The trials in this process, one after the other."""

import contextlib
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmark.codecs import Codec, CodecSpec
from benchmark.results import RunFolder, Trial
from benchmark.running.interruption import Stop
from benchmark.running.measurement import Instruments, Workbench, fresh_openers, load_networks
from benchmark.running.originals import OriginalStore
from benchmark.running.plan import PlannedTrial
from benchmark.running.setup import Setup, untimed


@dataclass
class Here:
    """The `Backend` of one worker that is this process.

    originals: what earlier runs of this process computed of originals, if it is to be kept. debug: what a codec raises
    is raised. workbench: once `open` was called.
    """

    originals: OriginalStore | None = None
    debug: bool = False
    workbench: Workbench | None = None
    codec_device: str | None = None
    _setup: Setup | None = None

    @contextlib.contextmanager
    def prepared(self, setup: Setup, codecs: Iterable[CodecSpec]) -> Iterator[None]:
        """There is nothing to begin."""
        yield

    def settle(self, setup: Setup, codecs: Mapping[str, Codec]) -> tuple[Setup, list[str]]:
        """See `Backend`."""
        self._setup = setup
        return setup, []

    def open(self, folder: RunFolder, codecs: Mapping[str, Codec], instruments: Instruments) -> None:
        """Takes what is open already, and loads networks. Raises BenchmarkError where weights are missing."""
        assert self._setup is not None
        load_networks(instruments)
        self.workbench = Workbench(
            folder,
            codecs,
            instruments,
            self._setup.keep_reconstructions,
            untimed(self._setup.workers, self._setup.timing),
            repeats=self._setup.timing,
            originals=self.originals,
            fresh=fresh_openers(self._setup.codecs, self._setup.device),
            debug=self.debug,
        )

    def execute(self, trials: Sequence[PlannedTrial], folder: RunFolder, stop: Stop) -> Generator[Trial, None, None]:
        """The records of `trials`, in order; none is begun once `stop` is asked."""
        assert self.workbench is not None
        self.workbench.is_interrupt = stop.is_meant
        for planned in trials:
            if stop.asked:
                return
            yield self.workbench.measure(planned)
