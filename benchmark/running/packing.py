"""Small files of a run while it goes on: as soon as a folder has as many of trials that ended as a shard takes, they
become one. Files of trials in hand are left alone: their workers may write them."""

from collections import defaultdict

from benchmark.results import RunFolder, Trial
from benchmark.shards import FILES


class Packing:
    """For the one process that appends the trials of a run; `add` each once it is appended."""

    def __init__(self, folder: RunFolder) -> None:
        metrics = [metric for metric in folder.manifest.metrics.values() if metric.feature_key is not None]
        self._folder = folder
        self._sets = {str(metric.feature_key) for metric in metrics if metric.kind == "set"}
        self._alone = {str(metric.feature_key) for metric in metrics if metric.kind != "set"}
        self._waiting: dict[tuple[str, float, int | None], list[str]] = defaultdict(list)
        self._originals: set[str] = set()

    def add(self, trial: Trial) -> None:
        """Raises BenchmarkError if a shard cannot be written; nothing is lost then."""
        if trial.error is not None or not (self._sets or self._alone):
            return
        self._originals.add(trial.image)
        if len(self._originals) == FILES:
            images, self._originals = self._originals, set()
            for image_path, keys in (
                (self._folder.original_features_path, self._sets),
                (self._folder.original_value_path, self._alone),
            ):
                self._folder.pack(image_path(key, image) for key in sorted(keys) for image in sorted(images))
        if not self._sets:
            return
        place = trial.codec, trial.quality, trial.decoder_seed
        waiting = self._waiting[place]
        waiting.append(trial.image)
        if len(waiting) == FILES:
            del self._waiting[place]
            self._folder.pack(
                self._folder.features_path(key, (*place, image)) for key in sorted(self._sets) for image in waiting
            )
