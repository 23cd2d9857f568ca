"""A first look at a run that goes on: curves over the images that are done."""

import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from benchmark.errors import BenchmarkError, one_line
from benchmark.results import RunFolder, Trial

FILE = "so-far.png"
PATIENCE = 10.0
"""Seconds without a drawing, at least, before the next: a run of a few seconds draws once, at its end."""


class SoFar:
    """Draws plots/so-far.png once 1, 2, 4, 8, … images have all their trials, and fewer than all images have.

    Metrics of sets have no place in it: over a part of the images they have another value. images: the trials that are
    to do, by image. total: how many images the run has; those without a trial to do are done.
    """

    def __init__(self, folder: RunFolder, to_do: Iterable[str], patience: float | None = None) -> None:
        self._folder = folder
        self._left = Counter(to_do)
        self._images = [picture.name for picture in folder.manifest.dataset.pictures]
        self._done = len(self._images) - len(self._left)
        self._next = self._done + 1
        self.path = so_far_path(folder)
        self._patience = PATIENCE if patience is None else patience
        self._drawn = time.monotonic()

    def watch(self, trials: Iterable[Trial]) -> Iterator[tuple[Trial, str | None]]:
        """`trials`, each once it is on the disk, with a line where a figure was drawn after it."""
        for trial in trials:
            yield trial, self._taken(trial.image)

    def _taken(self, image: str) -> str | None:
        self._left[image] -= 1
        if self._left[image] > 0:
            return None
        self._done += 1
        rest = time.monotonic() - self._drawn < self._patience
        if self._done < self._next or self._done >= len(self._images) or rest:
            return None
        self._next = 2 * self._done
        try:
            found = draw_so_far(self._folder, {name for name in self._images if self._left[name] <= 0}, self.path)
        except BenchmarkError as error:  # of a look, which the run does not depend on
            return f"note: {one_line(error)}"
        finally:
            self._drawn = time.monotonic()
        return f"plot     {self.path} ({self._done} of {len(self._images)} images)" if found else None


def so_far_path(folder: RunFolder) -> Path:
    """Where the figure of a run that goes on is, there or not."""
    return folder.path / "plots" / FILE


def draw_so_far(folder: RunFolder, images: Collection[str], path: Path) -> bool:
    """Draws the curves of a run over `images` into the file `path`; False if there is nothing to draw.

    Raises BenchmarkError if the file cannot be written.
    """
    from benchmark.analysis.summary import drawable_metrics, summary_so_far
    from benchmark.reports.plots import PlotOptions, draw
    from benchmark.reports.plots.files import save_figure

    frame = summary_so_far(folder, images)
    metrics = drawable_metrics(frame)
    if not metrics:
        return False
    title = f"So far: {len(images)} of {len(folder.manifest.dataset.pictures)} images"
    save_figure(draw([frame], metrics, PlotOptions(title=title)), path)
    return True
