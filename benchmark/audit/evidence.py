"""What is done with an audited codec, and everything that came of it.

Each session is a fresh process with folders and a hash seed of its own:

    encoder    codes all, twice, and decodes each stream at once: the encoder's own reconstruction
    decoder    decodes in reverse order, then again in order, with nothing but the streams
    threads    one thread, or two if the encoder had one; decodes in mixed order, then codes in reverse
    encoder 2  only if `threads` wrote other bytes: the encoder's surroundings again
    damaged    decodes damaged streams, with limits of time and memory
    devices    on each other device: decodes, codes, and what it coded is decoded on the first device

Between encoder and decoder, the encoder's folders are deleted, and files that it made elsewhere are put out of reach.
"""

import contextlib
import random
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmark.audit.child import Opened, Operation, Outcome
from benchmark.audit.damage import Damaged, damaged_streams
from benchmark.audit.pictures import AuditPicture
from benchmark.audit.processes import Session, Surroundings, perform
from benchmark.codecs import Image

Case = tuple[str, float]
"""(name of an image, quality)"""

ENCODE, ENCODE_AGAIN, ENCODE_ELSEWHERE, ENCODE_REPEATED = (
    "encode",
    "encode again",
    "encode elsewhere",
    "encode repeated",
)
OWN, FRESH, FRESH_AGAIN, THREADS, ESTIMATE = "own", "fresh", "fresh again", "threads", "estimate"
SEED_0, SEED_0_AGAIN, SEED_1 = "seed 0", "seed 0 again", "seed 1"

DAMAGE_SOURCES = ("129x127", "65x63")
"""Images whose stream is damaged, the first that could be coded: small, so that many damages take little time."""


@dataclass(frozen=True)
class Plan:
    """What is to be done.

    qualities: in any order; none for the codec's own. other_devices: none for those that the codec's library finds.
    originals: files that no decoder may read. threads: of the encoder. damages: random bit flips; see
    `damaged_streams`. seconds: that one call may take.
    """

    codec: str
    pictures: Sequence[AuditPicture]
    qualities: Sequence[float] = ()
    device: str = "cpu"
    other_devices: Sequence[str] = ()
    threads: int = 1
    damages: int = 60
    seconds: float = 300.0
    originals: Sequence[Path] = ()
    surroundings: Callable[..., Surroundings] = Surroundings


@dataclass(frozen=True)
class Step:
    """One operation that was done, and the files that it left, if it succeeded."""

    outcome: Outcome
    data: Path
    picture: Path

    @property
    def failed(self) -> str | None:
        return None if self.outcome.trouble is None else self.outcome.trouble.message

    def bytes(self) -> bytes:
        return self.data.read_bytes()

    def image(self) -> Image:
        image: npt.NDArray[np.uint8] = np.load(self.picture, allow_pickle=False)
        return image


@dataclass(frozen=True)
class DamagedStep:
    """A damaged stream and what its decoding came to."""

    damage: Damaged
    step: Step


@dataclass
class Evidence:
    """All that came of a codec.

    qualities: from few bits to many. cases: that were coded and decoded. rated: that were only coded. steps: by what
    was done and with which case. started: when the encoder began, in seconds of st_ctime. sessions: by name. root: this
    audit's own folder. stopped: whether it ended before all was done.
    """

    plan: Plan
    opened: Opened
    qualities: Sequence[float]
    cases: Sequence[Case]
    rated: Sequence[Case]
    root: Path
    steps: dict[tuple[str, Case], Step] = field(default_factory=dict)
    damaged: list[DamagedStep] = field(default_factory=list)
    damage_source: Case | None = None
    sessions: dict[str, Session] = field(default_factory=dict)
    threads: dict[str, int] = field(default_factory=dict)
    devices: dict[str, str | None] = field(default_factory=dict)
    started: float = 0.0
    stopped: bool = False
    left_by_encoder: Sequence[str] = ()

    @property
    def pictures(self) -> Mapping[str, AuditPicture]:
        return {picture.name: picture for picture in self.plan.pictures}

    def both(self, one: str, other: str) -> Iterator[tuple[Case, Step, Step]]:
        """The cases with which both was done and the first succeeded."""
        for case in self.cases:
            first, second = self.steps.get((one, case)), self.steps.get((other, case))
            if first is not None and second is not None and first.failed is None:
                yield case, first, second

    def coded(self) -> list[Case]:
        """The cases whose stream there is."""
        return [case for case in self.cases if (step := self.steps.get((ENCODE, case))) and step.failed is None]


def begin(plan: Plan, opened: Opened, root: Path) -> Evidence:
    """What is to be found out of the codec that presents itself as `opened`, with nothing found yet.

    At the lowest, the middle and the highest quality streams are decoded; at the others they are only coded, for their
    rate. Odd images are coded at the middle quality.
    """
    qualities = in_order(plan.qualities, opened.qualities)
    middle = qualities[(len(qualities) - 1) // 2]
    checked = list(dict.fromkeys([qualities[0], middle, qualities[-1]]))
    ordinary = [picture.name for picture in plan.pictures if not picture.odd]
    odd = [picture.name for picture in plan.pictures if picture.odd]
    return Evidence(
        plan,
        opened,
        qualities=qualities,
        cases=[(name, quality) for name in ordinary for quality in checked] + [(name, middle) for name in odd],
        rated=[(name, quality) for name in ordinary for quality in qualities if quality not in checked],
        root=root,
    )


def gather(evidence: Evidence, tell: Callable[[str], None]) -> None:
    """Does all of the plan and fills `evidence`; `tell` gets a line before each session."""
    plan, opened, root, cases = evidence.plan, evidence.opened, evidence.root, evidence.cases
    ordinary = [picture.name for picture in plan.pictures if not picture.odd]
    odd = [picture.name for picture in plan.pictures if picture.odd]
    middle = cases[-1][1] if odd else evidence.qualities[(len(evidence.qualities) - 1) // 2]
    laboratory = _Laboratory(evidence, root)
    tell(f"codes {len(evidence.cases) + len(evidence.rated)} streams and decodes them at once")
    evidence.started = time.time() - 0.02  # the clock of files is a little behind
    laboratory.encoder()
    with _out_of_reach(evidence, root / "out-of-reach"):
        tell("decodes in a fresh process, twice, from the bytes alone")
        laboratory.decoder((ordinary or odd)[0], middle)
        tell("decodes and codes with another number of threads, in another order")
        laboratory.other_threads()
        tell("decodes damaged streams")
        laboratory.damaged()
        first = "cuda:0" if plan.device == "cuda" else plan.device
        for device in plan.other_devices or [device for device in opened.devices if device != first]:
            tell(f"codes and decodes on {device}")
            laboratory.device(device, [case for case in evidence.cases if not evidence.pictures[case[0]].odd])


def expected_seconds(evidence: Evidence, opening: float, encode: float, decode: float, pixels: int) -> float:
    """About how long `gather` takes. opening: seconds of a process that opens the codec. encode, decode: of an image
    of `pixels`; time is taken to grow with them."""
    sizes = {picture.name: picture.image.size / 3 / pixels for picture in evidence.plan.pictures}
    cases = sum(sizes[name] for name, _ in evidence.cases)
    rated = sum(sizes[name] for name, _ in evidence.rated)
    small = min(sizes.values())
    devices = len(evidence.plan.other_devices or evidence.opened.devices[1:])
    seconds = (4 + 3 * devices) * opening + 3 * cases * encode + rated * encode + 4 * cases * decode
    seconds += devices * cases * (encode + 2 * decode) + evidence.plan.damages * small * decode
    return seconds + (cases * encode if evidence.opened.estimates else 0)


def in_order(asked: Sequence[float], own: Sequence[float]) -> list[float]:
    """The qualities `asked`, or else the codec's `own`, from few bits to many as the codec orders them.

    A codec whose own qualities fall (a quantiser, say) has its best quality at the lowest number.
    """
    if not asked:
        return list(own)
    return sorted(asked, reverse=len(own) > 1 and own[0] > own[-1])


class _Laboratory:
    """Runs sessions and files their outcomes."""

    def __init__(self, evidence: Evidence, root: Path) -> None:
        self.evidence = evidence
        self.root = root
        self.plan = evidence.plan
        self._number = 0
        self._originals: dict[str, Path] = {}
        (root / "pictures").mkdir()
        (root / "streams").mkdir()
        for index, picture in enumerate(self.plan.pictures):
            path = root / "pictures" / f"{index}.npy"
            np.save(path, picture.image, allow_pickle=False)
            self._originals[picture.name] = path

    def encoder(self) -> None:
        todo: list[tuple[str, Case, Operation]] = []
        for case in self.evidence.cases:
            encode = self._encode(case)
            todo += [
                (ENCODE, case, encode),
                (OWN, case, self._decode(Path(encode.data))),
                (ENCODE_AGAIN, case, self._encode(case)),
            ]
        todo += [(ENCODE, case, self._encode(case)) for case in self.evidence.rated]
        if self.evidence.opened.estimates:
            todo += [
                (ESTIMATE, (name, quality), Operation("estimate", str(self._originals[name]), quality=quality))
                for name, quality in self.evidence.cases
            ]
        session = self._session("encoder", todo, threads=self.plan.threads, hash_seed=1)
        outside = {path for outcome in session.outcomes for path in outcome.created if Path(path).exists()}
        self.evidence.left_by_encoder = sorted(path for path in outside if not path.startswith(("/proc/", "/sys/")))

    def decoder(self, name: str, quality: float) -> None:
        coded = self.evidence.coded()
        todo = [(FRESH, case, self._decode(self._stream(case))) for case in reversed(coded)]
        todo += [(FRESH_AGAIN, case, self._decode(self._stream(case))) for case in coded]
        case = (name, quality)
        if case in coded:
            for step, seed in ((SEED_0, 0), (SEED_1, 1), (SEED_0_AGAIN, 0)):
                todo.append((step, case, self._decode(self._stream(case), seed)))
        self._session("decoder", todo, threads=self.plan.threads, hash_seed=2)

    def other_threads(self) -> None:
        coded = self.evidence.coded()
        mixed = coded[:]
        random.Random(0).shuffle(mixed)
        todo = [(THREADS, case, self._decode(self._stream(case))) for case in mixed]
        todo += [(ENCODE_ELSEWHERE, case, self._encode(case)) for case in reversed(coded)]
        self._session("threads", todo, threads=1 if self.plan.threads > 1 else 2, hash_seed=3)
        different = [
            case
            for case, first, other in self.evidence.both(ENCODE, ENCODE_ELSEWHERE)
            if other.failed is None and first.bytes() != other.bytes()
        ]
        if different:
            again = [(ENCODE_REPEATED, case, self._encode(case)) for case in different]
            self._session("encoder 2", again, threads=self.plan.threads, hash_seed=4)

    def damaged(self) -> None:
        coded = self.evidence.coded()
        own = self.evidence.steps
        sources = [case for name in DAMAGE_SOURCES for case in coded if case[0] == name] + coded
        sources = [case for case in sources if (step := own.get((OWN, case))) is not None and step.failed is None]
        if not sources or not self.plan.damages:
            return
        self.evidence.damage_source = source = sources[0]
        pixels = self.evidence.pictures[source[0]].image.size // 3
        damages = damaged_streams(self._stream(source).read_bytes(), self.plan.damages, seed=0)
        intact = self._decode(self._stream(source))
        operations = [intact]
        for damage in damages:
            path = self._new("streams", ".bin")
            path.write_bytes(damage.data)
            operations.append(self._decode(path, limited=True))
        session = perform(
            self.plan.surroundings(
                codec=self.plan.codec,
                device=self.plan.device,
                threads=self.plan.threads,
                hash_seed=5,
                seconds=min(self.plan.seconds, max(10.0, 20 * own[OWN, source].outcome.seconds)),
                memory=2**30 + 1024 * pixels,
            ),
            operations,
            self.root,
        )
        self.evidence.sessions["damaged"] = session
        for damage, operation, outcome in zip(damages, operations[1:], session.outcomes[1:], strict=True):
            self.evidence.damaged.append(DamagedStep(damage, _step(operation, outcome)))

    def device(self, device: str, cases: Sequence[Case]) -> None:
        coded = [case for case in self.evidence.coded() if case in cases]
        todo = [(f"decode on {device}", case, self._decode(self._stream(case))) for case in coded]
        todo += [(f"encode on {device}", case, self._encode(case)) for case in coded]
        session = self._session(device, todo, threads=self.plan.threads, hash_seed=6, device=device)
        trouble = session.opened.trouble
        self.evidence.devices[device] = None if trouble is None else trouble.message
        if trouble is not None:
            return
        back = []
        for case in coded:
            step = self.evidence.steps[f"encode on {device}", case]
            if step.failed is None:
                back.append((f"own on {device}", case, self._decode(step.data)))
        self._session(f"{device} own", back, threads=self.plan.threads, hash_seed=7, device=device)
        back = [(f"decode of {device}", case, self._decode(Path(operation.data))) for _, case, operation in back]
        self._session(f"{device} back", back, threads=self.plan.threads, hash_seed=8)

    def _session(
        self,
        name: str,
        todo: Sequence[tuple[str, Case, Operation]],
        *,
        threads: int,
        hash_seed: int,
        device: str | None = None,
    ) -> Session:
        surroundings = self.plan.surroundings(
            codec=self.plan.codec,
            device=device or self.plan.device,
            threads=threads,
            hash_seed=hash_seed,
            seconds=self.plan.seconds,
        )
        outcomes: list[Outcome] = []
        self.evidence.threads[name] = threads
        try:
            session = perform(surroundings, [operation for _, _, operation in todo], self.root, outcomes)
            self.evidence.sessions[name] = session
        finally:  # those that were done before it was stopped, too
            for (what, case, operation), outcome in zip(todo, outcomes, strict=False):
                self.evidence.steps[what, case] = _step(operation, outcome)
        return session

    def _encode(self, case: Case) -> Operation:
        name, quality = case
        return Operation("encode", str(self._originals[name]), str(self._new("streams", ".bin")), quality)

    def _decode(self, data: Path, seed: int | None = None, limited: bool = False) -> Operation:
        return Operation("decode", str(self._new("pictures", ".npy")), str(data), seed=seed, limited=limited)

    def _stream(self, case: Case) -> Path:
        return self.evidence.steps[ENCODE, case].data

    def _new(self, folder: str, suffix: str) -> Path:
        self._number += 1
        return self.root / folder / f"{self._number:05}{suffix}"


def _step(operation: Operation, outcome: Outcome) -> Step:
    return Step(outcome, Path(operation.data), Path(operation.picture))


@contextlib.contextmanager
def _out_of_reach(evidence: Evidence, folder: Path) -> Iterator[None]:
    """Moves what the encoder left outside its folders into `folder`, and at the end back, where the place is free."""
    folder.mkdir()
    moved: list[tuple[Path, Path]] = []
    try:
        for index, name in enumerate(evidence.left_by_encoder):
            with contextlib.suppress(OSError):  # moved with its folder already, or not ours to move
                shutil.move(name, folder / str(index))
                moved.append((Path(name), folder / str(index)))
        yield
    finally:
        for place, kept in moved:
            with contextlib.suppress(OSError):
                if not place.exists():
                    shutil.move(kept, place)
