"""The suite from Python, for notebooks and training loops: `evaluate`, `load` and what they return.

    import benchmark

    results = benchmark.evaluate({"Ours": my_model, "JPEG": "jpeg"}, "kodak", metrics=["psnr", "lpips"])
    results.summary                    # a pandas frame: a value per codec, quality and metric, with its interval
    results.plot("lpips", width=3.3)   # a matplotlib figure
    results.bd("JPEG", "psnr")         # bits more or less than JPEG at equal PSNR

The command line calls the same functions.
"""

import contextlib
import difflib
import html
import operator
import os
import shutil
import tempfile
import warnings
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from functools import cached_property
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.containment import usual_torch
from benchmark.errors import BenchmarkError, UsageError
from benchmark.files import expanded
from benchmark.reconstructions import label_among
from benchmark.results import RunFolder

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from benchmark.analysis.baseline import Baseline
    from benchmark.analysis.comparison import Comparison
    from benchmark.analysis.margins import Gate
    from benchmark.datasets import Dataset
    from benchmark.results import Trial
    from benchmark.running.originals import OriginalStore

Qualities = Sequence[float] | Mapping[str, Sequence[float]]
Progress = bool | Callable[["Trial", int, int], object]

_ORIGINALS: "dict[str, OriginalStore]" = {}
"""Device -> the store of this process, made when it is first needed: the next call computes nothing of an original
again."""


def evaluate(
    codecs: Any,
    dataset: Any = "photos",
    *,
    metrics: Sequence[Any] | str | None = None,
    qualities: Qualities | float | None = None,
    limit: int | None = None,
    output: str | Path | None = None,
    workers: int | None = 1,
    seeds: Sequence[int] | int = (0,),
    device: str = "cpu",
    keep_reconstructions: bool = False,
    timing: int = 0,
    time_limit: float | None = None,
    progress: Progress = False,
    protocol: str | None = None,
) -> "Results":
    """Codes the images of `dataset` with each codec, decodes from the bytes alone, measures, and sums up.

    codecs: a codec spec ("jpeg:subsampling=4:4:4", "./my_codec.py:MyCodec"), an object with `encode(image, quality) ->
    bytes` and `decode(data) -> image` on uint8 arrays (height, width, 3), a list of both, or a mapping of labels to
    either; or, in such a mapping, images that were decoded elsewhere, {"theirs": {0.12: images}}: bits per pixel, which
    are nominal, to as many images as the data set has, in its order, or to a mapping of its names to images.
    dataset: what `run --dataset` takes, or images: a list, generator or mapping of arrays or paths, or a Hugging Face
    data set. metrics: names, "./my_metric.py:MyMetric", or metric objects; None for the usual ones.
    qualities: for all codecs, or a mapping of labels or specs to them; None for each codec's own. limit: so many
    images, spread over the set; None for all. output: a folder for the run, which goes on if it is there already; None
    leaves nothing on disk once the result is dropped. workers: processes that share the cores, None for one per
    core; an object that cannot be sent to another process runs in this one. seeds: of stochastic decoders. timing:
    repeated calls whose seconds are measured, 0 or at least 3. time_limit: seconds that a trial may take before it
    counts as failed; trials are then done in processes of their own. progress: True shows a bar, or a function that is
    called with the trial, how many are done and how many there are. protocol: a paper's set-up, as `list protocols`
    names it: `dataset` is one of its data sets or your own copy of one, and `metrics` are measured besides its own.

    A trial that fails is recorded and ends nothing: a warning counts them, `Results.failures` says why. Whatever ends
    the call early, Ctrl-C too, removes a temporary folder; the run in `output` goes on with the same call. Raises
    UsageError on an invalid argument, BenchmarkError where a file or network is missing, or where somebody else is
    writing to `output`.
    """
    from benchmark.reports.outcome import sum_up
    from benchmark.running.originals import OriginalStore
    from benchmark.running.run import Request, open_run

    if not isinstance(keep_reconstructions, bool):
        raise UsageError(f"keep_reconstructions {keep_reconstructions!r}: True or False")
    if protocol is not None:
        _texts("protocol", [protocol])
    if time_limit is not None and (isinstance(time_limit, bool) or not isinstance(time_limit, Real)):
        raise UsageError(f"time_limit {time_limit!r}: a number of seconds is needed")
    if not (isinstance(progress, bool) or callable(progress)):
        raise UsageError(f"progress {progress!r}: True, False, or a function of a trial, a number and the total")
    originals = _ORIGINALS.setdefault(str(device), OriginalStore())
    originals.begin()
    chosen = _codecs(codecs)
    asked: dict[str, Any] = {
        "qualities": _quality_options(qualities),
        "metrics": _metrics(metrics),
        "limit": None if limit is None else _count("limit", limit, 0),
        "decoder_seeds": _seeds(seeds),
        "workers": None if workers is None else _count("workers", workers, 1),
        "timing": _count("timing", timing, 0),
    }
    with usual_torch(), contextlib.ExitStack() as undone:
        temporary = None
        if output is None:
            temporary = _Temporary()
            undone.callback(temporary.remove)
            folder = Path(temporary.name) / "run"
        else:
            folder = _path("output", output)
        opened = _dataset(dataset, temporary)
        if isinstance(chosen, dict) and any(isinstance(codec, Mapping) for codec in chosen.values()):
            opened, chosen = _with_images(opened, chosen, asked["limit"], protocol, temporary)
        request = Request(
            codecs=chosen,
            only=True,
            dataset=opened,
            device=str(device),
            output=folder,
            keep_reconstructions=keep_reconstructions,
            here=workers == 1,
            command=("benchmark.evaluate",),
            originals=originals,
            without_script=True,
            protocol=protocol,
            time_limit=time_limit,
            **asked,
        )
        with open_run(request) as ready:
            with contextlib.closing(ready.execute()) as trials:
                _follow(trials, len(ready.trials), progress)
            outcome = sum_up(ready.folder, draw=False, time_limit=time_limit)
        undone.pop_all()
    results = Results(folder, notes=(*ready.notes, *outcome.notes), failures=outcome.failures, temporary=temporary)
    if results.failures:
        warnings.warn(
            f"{len(results.failures)} images or codecs failed, the first: {results.failures[0]}; "
            "Results.failures has them all",
            RuntimeWarning,
            stacklevel=2,
        )
    return results


def load(run: str | Path) -> "Results":
    """The results of a run folder. Raises BenchmarkError if there is none, or if the run never came to its end."""
    from benchmark.analysis.baseline import check_complete
    from benchmark.analysis.codec_notes import codec_notes
    from benchmark.analysis.groups import StoredGroups
    from benchmark.analysis.set_values import failures_of_sets
    from benchmark.analysis.summary import coverage_notes, read_summary

    folder = RunFolder.open(_path("run", run))
    notes = []
    if (status := folder.manifest.status) != "complete":
        if not folder.summary_path.exists():
            raise BenchmarkError(
                f"{folder.path}: the run is {status} and has no summary yet; the same call or command, with this "
                "folder as its output, goes on"
            )
        notes.append(f"the run is {status}: its summary may be older than its trials")
    read_summary(folder.path)
    groups = StoredGroups(folder)
    if status == "complete":
        check_complete(folder, groups.n_trials)
    notes += [*coverage_notes(folder.manifest, groups), *codec_notes(folder.manifest)]
    return Results(folder.path, notes=notes, failures=[*groups.failures, *failures_of_sets(folder)])


def compare(base: "Results | str | Path", new: "Results | str | Path", gate: str | Path | None = None) -> "Comparison":
    """Whether `new` is worse than `base`: what `python -m benchmark compare` prints, as data.

    `frame()` of what it returns has a row per number with its outcome, `exit_code()` is that of the command.
    gate: a file with [tool.benchmark.gate]; None for ./pyproject.toml, or the default margins where it has none. Raises
    NotComparable on other images, protocols, codecs or qualities.
    """
    from benchmark.analysis.comparison import compare as compare_numbers

    return compare_numbers(_numbers(base), _numbers(new), _gate(gate))


class _Temporary:
    """A folder that is removed with this object, or as the process ends; a process forked from it leaves it alone."""

    def __init__(self) -> None:
        self.name = tempfile.mkdtemp(prefix="benchmark-")
        self.remove = weakref.finalize(self, _remove, self.name, os.getpid())


def _remove(folder: str, owner: int) -> None:
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)


class Results:
    """What a run measured.

    path: the run folder. notes: what the values leave out, a line each. failures: why trials failed, a line per image
    and reason.
    """

    def __init__(
        self,
        path: Path,
        notes: Sequence[str] = (),
        failures: Sequence[str] = (),
        temporary: "_Temporary | None" = None,
    ) -> None:
        self.path = path
        self.notes = tuple(notes)
        self.failures = tuple(failures)
        self._temporary = temporary  # removed with this object

    def __repr__(self) -> str:
        manifest = self._folder.manifest
        points = sum(len(record.qualities) for record in manifest.codecs.values())
        failed = f", {len(self.failures)} failures" if self.failures else ""
        images = len(manifest.dataset.pictures)
        return f"<Results: {points} points of {', '.join(manifest.codecs)} on {images} images{failed}>"

    def _repr_html_(self) -> str:
        return self.table(format="html") if self._valued() else f"<pre>{html.escape(repr(self))}</pre>"

    def __copy__(self) -> "Results":
        return Results(self.path, self.notes, self.failures, self._temporary)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Results":
        return self.__copy__()

    def __reduce__(self) -> tuple[Any, ...]:
        if self._temporary is not None:
            raise TypeError(
                "results in a temporary folder, which goes with them, cannot be pickled; give output=FOLDER"
            )
        return Results, (self.path, self.notes, self.failures)

    @cached_property
    def _folder(self) -> RunFolder:
        return RunFolder.open(self.path)

    @cached_property
    def numbers(self) -> "Baseline":
        """What comparisons need: values of each image, and of metrics of sets those without each image."""
        from benchmark.analysis.baseline import baseline_of_run

        return baseline_of_run(self._folder)

    @property
    def summary(self) -> "pandas.DataFrame":
        """A row per codec, quality, metric and aggregation: value, standard error, 95 % interval, number of images.

        `aggregation` is "mean over images" or "set" for the value that curves show; other rows have others. A new frame
        each time: what is done to it changes no plot and no table.
        """
        return self._summary.copy()

    @property
    def trials(self) -> "pandas.DataFrame":
        """A row per trial: codec, quality, decoder_seed, image, height, width, bytes, bpp, each metric, error.

        A new frame each time.
        """
        return self._trials.copy()

    @cached_property
    def _summary(self) -> "pandas.DataFrame":
        from benchmark.analysis.summary import read_summary

        return read_summary(self.path)

    @cached_property
    def _trials(self) -> "pandas.DataFrame":
        return self._folder.frame()

    def curve(self, metric: str, codec: str | None = None) -> "pandas.DataFrame":
        """codec, quality, bpp, value, ci_low and ci_high of each point, sorted by codec and rate.

        n_images is the number behind the value, n_images_bpp behind the rate; fewer behind a value are images that have
        a rate and no value, such as an infinite PSNR.

        Raises UsageError on a metric or codec that was not measured.
        """
        from benchmark.analysis.summary import HEADLINES, metric_facts

        metric_facts(self._summary, *_texts("metric", [metric]))
        frame = self._summary[self._summary["aggregation"].isin(HEADLINES)]
        if codec is not None:
            codec = label_among(codec, list(dict.fromkeys(frame["codec"])))
            if codec not in set(frame["codec"]):
                raise UsageError(
                    f"no codec {codec!r} was measured; there are {', '.join(dict.fromkeys(frame['codec']))}"
                )
            frame = frame[frame["codec"] == codec]
        point = ["codec", "quality"]
        rates = frame[frame["metric"] == "bpp"][[*point, "value", "n_images"]]
        rates = rates.rename(columns={"value": "bpp", "n_images": "n_images_bpp"})
        values = frame[frame["metric"] == metric][[*point, "value", "ci_low", "ci_high", "n_images"]]
        joined = rates.merge(values, on=point, sort=False)
        joined["place"] = joined["codec"].map({name: place for place, name in enumerate(dict.fromkeys(frame["codec"]))})
        columns = [*point, "bpp", "value", "ci_low", "ci_high", "n_images", "n_images_bpp"]
        return joined.sort_values(["place", "bpp"], ignore_index=True)[columns]

    def bd(
        self, anchor: str, metric: str | Sequence[str] = (), *, resamples: int = 1000, seed: int = 0
    ) -> "pandas.DataFrame":
        """Bits in per cent that each codec needs more (+) or less (−) than `anchor` at equal `metric`; none for all.

        Columns: codec, anchor, metric, value, ci_low, ci_high, n_images, reason (why there is no value, else ""), notes
        (images and points that are left out, and where interpolations part, points are too few, or one image makes most
        of it). The interval is 95 %, over images, with resamples and seed of its bootstrap, and holds the error of the
        interpolation.
        """
        import pandas

        from benchmark.analysis.rate_differences import rate_differences

        metrics = _texts("metric", _sequence(metric))
        rows = rate_differences(
            self.numbers,
            anchor,
            metrics,
            resamples=_count("resamples", resamples, 100),
            seed=_count("seed", seed, 0),
        )
        columns = ["codec", "anchor", "metric", "value", "ci_low", "ci_high", "n_images", "reason", "notes"]
        return pandas.DataFrame(
            [
                (
                    row.codec,
                    row.anchor,
                    row.metric,
                    row.difference.estimate.value,
                    row.difference.estimate.ci_low,
                    row.difference.estimate.ci_high,
                    row.n,
                    row.difference.reason,
                    "; ".join(row.notes),
                )
                for row in rows
            ],
            columns=columns,
        )

    def compare(self, new: "Results | str | Path", gate: str | Path | None = None) -> "Comparison":
        """Whether `new` is worse than these; see `benchmark.compare`."""
        return compare(self, new, gate)

    def images(self, metric: str, point: str, against: str | None = None) -> "pandas.DataFrame":
        """What each image gives to `metric` of `point` ("hfd=3"), or to its difference from another, largest first.

        Columns: image, share. Of a per-image metric the share is the image's value, of a metric of sets its influence.
        Influences and differences are sorted by their size, whatever their sign. Images without a share, such as those
        of infinite PSNR, stand last with NaN. Raises UsageError on a point that was not measured.
        """
        import pandas

        from benchmark.reports.pictures import find_point, view_of

        point, *others = _texts('point, such as "hfd=3"', [point] if against is None else [point, against])
        other = find_point(self.numbers, others[0]) if others else None
        view = view_of(self.numbers, metric, find_point(self.numbers, point), other)
        frame = pandas.DataFrame({"image": view.images, "share": view.shares})
        lacking = pandas.DataFrame({"image": view.lacking, "share": [float("nan")] * len(view.lacking)})
        parts = [frame.iloc[view.order], lacking] if view.lacking else [frame.iloc[view.order]]
        return pandas.concat(parts, ignore_index=True)

    def plot(
        self,
        *metrics: str,
        ax: "Axes | None" = None,
        save: str | Path | None = None,
        beside: "Sequence[Results | str | Path] | Results | str | Path" = (),
        **options: Any,
    ) -> "Figure":
        """Curves over bits per pixel as a matplotlib figure, a panel per metric; all metrics if none is named.

        ax: draws one metric into these axes. save: a file, whose suffix (.png, .svg, .pdf, .pgf) says the format; its
        folder is made. beside: results or run folders on the same images whose codecs are drawn too. options: fields of
        `benchmark.PlotOptions`, such as codecs, labels, title, width (inches), font_size, x_axis, intervals, xlim,
        ylim, caption, legend, style, published and relative_to, which draws paired differences from a codec. Raises
        UsageError on what cannot be drawn, NotComparable on results of other images or protocols, BenchmarkError where
        the file cannot be written.
        """
        from benchmark.analysis.summary import drawable_metrics
        from benchmark.reports.figure_style import CURRENT, figure_style
        from benchmark.reports.plots import PlotOptions, draw
        from benchmark.reports.plots.files import check_formats
        from benchmark.reports.plots.files import save as save_figure

        if "formats" in options:
            raise UsageError("plot: formats belongs to the command line; here save=FILE says the format by its suffix")
        for name in options:
            known = [field.name for field in fields(PlotOptions) if field.name != "formats"]
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
                raise UsageError(f"plot: no option is named {name!r}; {hint}")
        file = None if save is None else _path("save", save)
        others = [beside] if isinstance(beside, Results) else _sequence(beside)
        runs = [self, *(other if isinstance(other, Results) else load(other) for other in others)]
        if options.get("published") is not None:
            from benchmark.protocols import references_of

            options.setdefault("references", references_of(run._folder.manifest.protocol for run in runs))
        chosen = PlotOptions(**options, formats=("png" if file is None else file.suffix.removeprefix("."),))
        numbers = [run.numbers for run in runs] if chosen.relative_to is not None else []
        looks = CURRENT if ax is not None and chosen.style is None else chosen.style  # axes of one's own keep theirs
        with figure_style(chosen.font_size, looks):
            if file is not None:
                check_formats(chosen.formats)
            summaries = [run._summary for run in runs]
            chosen_metrics = self._chosen(metrics, drawable_metrics(self._summary))
            figure = draw(summaries, chosen_metrics, chosen, numbers=numbers, ax=ax)
            if file is not None:
                save_figure(figure, [file.with_suffix("")], chosen.formats)
        return figure

    def table(
        self,
        *metrics: str,
        format: str = "markdown",
        rates: Sequence[float] | float = (),
        codecs: Sequence[str] | str = (),
        labels: Mapping[str, str] | None = None,
        plus_minus: bool = False,
        bold_ties: bool = False,
    ) -> str:
        """Rates × codecs × metrics as text: "markdown", "latex" (booktabs), "html" or "csv"; all metrics if none named.

        rates: bits per pixel, between a codec's measured points interpolated in log rate; none for the qualities that
        were measured. The best value of each rate is bold, the second underlined. plus_minus: half the width of the
        95 % interval beside each value. bold_ties: bold is every value that the paired test does not tell from the
        best. Raises UsageError on codecs and metrics that were not measured.
        """
        from benchmark.analysis.comparable import chosen_codecs
        from benchmark.analysis.tabulation import tabulate
        from benchmark.reports.paper_tables import write_table

        names = _labels(labels or {})
        chosen_codecs(self._summary, list(names))
        found = tabulate(
            [self._summary],
            self._chosen(metrics, self._valued()),
            codecs=_texts("codecs", _sequence(codecs)),
            rates=_sequence(rates),
            numbers=[self.numbers] if bold_ties or (plus_minus and _sequence(rates)) else [],
        )
        return write_table(found, format, labels=names, plus_minus=plus_minus, bold_ties=bold_ties)

    def _chosen(self, metrics: Sequence[str], there: Sequence[str]) -> Sequence[str]:
        """`metrics`, or those that are `there` where none is named. Raises BenchmarkError if none is."""
        chosen = _texts("metric, one by one", metrics) or there
        if not chosen:
            why = f": {(self.failures or self.notes)[0]}" if self.failures or self.notes else ""
            raise BenchmarkError(f"no metric has a value that can be shown{why}")
        return chosen

    def _valued(self) -> list[str]:
        """Metrics that have a value, without bpp, in the order of the run."""
        frame = self._summary
        names = dict.fromkeys(frame.loc[frame["value"].notna(), "metric"])
        return [name for name in names if name != "bpp"]

    def report(self, folder: str | Path, *, gate: str | Path | None = None, maps: bool = True) -> Path:
        """Writes the page, with the images behind the numbers if the run kept its reconstructions; its index.html.

        gate: as in `benchmark.compare`. maps: whether it has heat maps, of LPIPS and of metrics of the run that declare
        one. A warning says what the page lacks.
        Raises UsageError if `folder` holds anything but an older page.
        """
        from benchmark.reports.page.report import write_report

        place = _path("folder", folder)
        with usual_torch():
            lacking = write_report([self.path], place, gate=_gate(gate), maps=maps)
        if lacking:
            warnings.warn("; ".join(lacking), UserWarning, stacklevel=2)
        return place / "index.html"


def _numbers(of: "Results | str | Path") -> "Baseline":
    from benchmark.analysis.baseline import read_numbers

    return of.numbers if isinstance(of, Results) else read_numbers(_path("a run", of))


def _gate(file: str | Path | None) -> "Gate":
    from benchmark.analysis.margins import read_gate

    return read_gate(None if file is None else _path("gate", file))


def _path(what: str, place: Any) -> Path:
    """With the home folder for a leading "~", which no shell has seen here. Raises UsageError."""
    try:
        path = expanded(place)
    except TypeError:
        raise UsageError(f"{what}: {place!r} is no path") from None
    if "\0" in str(path):
        raise UsageError(f"{what}: {str(path)!r} is no path")
    return path


def _count(what: str, value: Any, least: int) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise UsageError(f"{what} {value!r}: a whole number is needed")
    if number < least:
        raise UsageError(f"{what} {number}: at least {least}")
    return number


def _sequence(values: Any) -> list[Any]:
    """What one value, or several, are as a list; arrays and tensors as Python's numbers."""
    if hasattr(values, "shape") and hasattr(values, "tolist"):
        values = values.tolist()
    return list(values) if isinstance(values, Iterable) and not isinstance(values, str | bytes) else [values]


def _texts(what: str, values: Iterable[Any]) -> list[str]:
    """`values`, which must be texts. Raises UsageError."""
    found = list(values)
    for value in found:
        if not isinstance(value, str):
            raise UsageError(f"{what}: a text is needed, not {value!r}")
    return found


def _labels(labels: Any) -> dict[str, str]:
    """Raises UsageError unless it is a mapping of texts to texts."""
    if not isinstance(labels, Mapping):
        raise UsageError(f"labels: a mapping by codec is needed, not {labels!r}")
    for codec, text in labels.items():
        _texts(f"label of {codec}", [text])
    return dict(labels)


def _metrics(metrics: Any) -> tuple[Any, ...]:
    """As `run --metric` has them; none for the usual ones."""
    if metrics is None:
        return ()
    if not (found := tuple(_sequence(metrics))):
        raise UsageError('metrics: none is named; None takes the usual ones, ["bpp"] the rate alone')
    return found


def _seeds(seeds: Any) -> str:
    if not (found := [_count("seeds", seed, 0) for seed in _sequence(seeds)]):
        raise UsageError("seeds: at least one is needed")
    return ",".join(map(str, found))


def _codecs(codecs: Any) -> Any:
    """A list of specs, or a mapping of labels to specs and objects."""
    if isinstance(codecs, Sequence | Mapping) and not codecs:
        raise UsageError("codecs: none is given")
    if isinstance(codecs, str):
        return (codecs,)
    if isinstance(codecs, Mapping):
        return dict(codecs)
    several = isinstance(codecs, Iterable) and not hasattr(codecs, "encode") and not isinstance(codecs, type)
    things = list(codecs) if several else [codecs]
    if all(isinstance(thing, str) for thing in things):
        return tuple(things)
    labels = [thing if isinstance(thing, str) else type(thing).__name__ for thing in things]
    if twice := next((label for label in labels if labels.count(label) > 1), None):
        raise UsageError(f"two codecs are called {twice}; a mapping gives each a label: {{'ours': …, 'theirs': …}}")
    return dict(zip(labels, things, strict=True))


def _dataset(dataset: Any, temporary: "_Temporary | None") -> "str | Dataset":
    from benchmark.datasets import Dataset

    if isinstance(dataset, str | Dataset):
        return dataset
    if isinstance(dataset, os.PathLike):
        return str(_path("dataset", dataset))
    from benchmark.datasets import dataset_of

    return dataset_of(dataset, folder=None if temporary is None else Path(temporary.name) / "images")


def _with_images(
    dataset: "str | Dataset",
    codecs: dict[str, Any],
    limited: int | None,
    protocol: str | None,
    temporary: "_Temporary | None",
) -> "tuple[str | Dataset, dict[str, Any]]":
    """The opened data set, and the codecs with files in place of images that the program holds."""
    from benchmark.baselines.reconstructions import given
    from benchmark.datasets import Dataset, dataset_of, limit, open_dataset
    from benchmark.protocols import dataset_of_protocol, protocol_of

    if not isinstance(dataset, Dataset):
        dataset = open_dataset(dataset if protocol is None else dataset_of_protocol(protocol_of(protocol), dataset))
    whole = [picture.name for picture in dataset.pictures]
    part = [picture.name for picture in limit(dataset, limited or 0).pictures]
    folder = None if temporary is None else Path(temporary.name) / "reconstructions"
    found = {}
    for label, codec in codecs.items():
        if not isinstance(codec, Mapping):
            found[label] = codec
            continue
        files: dict[float, dict[str, Path]] = {}
        for bpp, images in codec.items():
            if isinstance(bpp, bool) or not isinstance(bpp, Real):
                raise UsageError(f"{label}: {bpp!r}: bits per pixel are needed as keys, {{0.12: images}}")
            pictures = dataset_of(images, f"{label} at {float(bpp):g} bpp", folder).pictures
            names = [picture.name for picture in pictures]
            if not isinstance(images, Mapping):
                counts = {len(part): part, len(whole): whole}
                if len(pictures) not in counts:
                    raise UsageError(
                        f"{label} at {float(bpp):g} bpp: {len(pictures)} images for the {len(part)} of {dataset.name}; "
                        "a mapping of names to images may leave some out"
                    )
                names = counts[len(pictures)]
            files[float(bpp)] = {name: Path(picture.path) for name, picture in zip(names, pictures, strict=True)}
        if not files:
            raise UsageError(f"{label}: there is nothing in it; bits per pixel to images are needed, {{0.12: images}}")
        found[label] = given(files)
    return dataset, found


def _quality_options(qualities: Qualities | float | None) -> tuple[str, ...]:
    """As `run --quality` has them."""
    if qualities is None:
        return ()
    if isinstance(qualities, Mapping):
        return tuple(f"{codec}={_listed(values)}" for codec, values in qualities.items())
    return (_listed(qualities),)


def _listed(values: Any) -> str:
    numbers = _sequence(values)
    try:
        texts = [repr(float(number)) for number in numbers if not isinstance(number, str | bool)]
    except (TypeError, ValueError):
        texts = []
    if not texts or len(texts) < len(numbers):
        raise UsageError(f"qualities {values!r}: numbers are needed, at least one")
    return ",".join(texts)


def _follow(trials: "Iterable[Trial]", total: int, progress: Progress) -> None:
    if progress is True:
        from benchmark.cli.progress import track
        from benchmark.cli.terminal import terminal

        track(trials, total, terminal(stderr=True))
        return
    for number, trial in enumerate(trials, start=1):
        if callable(progress):
            progress(trial, number, total)
