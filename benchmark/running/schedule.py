"""Which worker does which trial next."""

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import groupby

from benchmark.running.plan import PlannedTrial

Encoding = deque[PlannedTrial]
"""The trials that share one byte string: one codec, one quality, one image, and each decoder seed."""


class Schedule:
    """Hands out trials so that an image is read by one worker and a byte string is written by one worker.

    A worker goes on with its byte string, then with its image, then with an image that no one has. At the end, when
    no such image is left, it takes a byte string from the image that has the most left.
    """

    def __init__(self, trials: Iterable[PlannedTrial]) -> None:
        self._free: deque[deque[Encoding]] = deque(
            deque(deque(group) for _, group in groupby(of_picture, key=lambda trial: trial.encoding))
            for _, of_picture in groupby(trials, key=lambda trial: trial.image)
        )
        self._pictures: dict[int, deque[Encoding]] = {}
        self._encodings: dict[int, Encoding] = {}

    def next(self, worker: int) -> PlannedTrial | None:
        """The trial that `worker` does next; None if there is nothing left for it."""
        if not self._encodings.get(worker):
            encoding = self._next_encoding(worker)
            if encoding is None:
                return None
            self._encodings[worker] = encoding
        return self._encodings[worker].popleft()

    def has_more(self, worker: int) -> bool:
        """Whether `next` would find a trial for `worker`."""
        return bool(self._free or self._encodings.get(worker)) or any(self._pictures.values())

    def put_back(self, worker: int, trials: Sequence[PlannedTrial] = ()) -> None:
        """`worker` is gone: what it had left, and before that `trials`, which it did not end, go to who comes next."""
        encodings = [deque(group) for _, group in groupby(trials, key=lambda trial: trial.encoding)]
        if rest := self._encodings.pop(worker, None):
            encodings.append(rest)
        left = deque([*encodings, *self._pictures.pop(worker, ())])
        if left:
            self._free.appendleft(left)

    def _next_encoding(self, worker: int) -> Encoding | None:
        if not self._pictures.get(worker) and self._free:
            self._pictures[worker] = self._free.popleft()
        own = self._pictures.get(worker)
        if own:
            return own.popleft()
        fullest = max(self._pictures.values(), key=len, default=None)
        return fullest.pop() if fullest else None
