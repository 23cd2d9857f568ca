"""The suite from Python, for notebooks and training loops: `evaluate`, `load` and what they return.

    import benchmark

    results = benchmark.evaluate({"Ours": my_model, "JPEG": "jpeg"}, "kodak", metrics=["psnr", "lpips"])
    results.summary                    # a pandas frame: a value per codec, quality and metric, with its interval
    results.plot("lpips", width=3.3)   # a matplotlib figure
    results.bd("JPEG", "psnr")         # bits more or less than JPEG at equal PSNR

The command line calls the same functions.
"""

import contextlib
import tempfile
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.errors import UsageError, one_line
from benchmark.results import RunFolder

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from benchmark.analysis.baseline import Baseline
    from benchmark.analysis.comparison import Comparison
    from benchmark.datasets import Dataset
    from benchmark.results import Trial
    from benchmark.running.originals import OriginalStore

Qualities = Sequence[float] | Mapping[str, Sequence[float]]
Progress = bool | Callable[["Trial", int, int], object]

_ORIGINALS: "list[OriginalStore]" = []
"""One store for this process, made when it is first needed: the next call computes nothing of an original again."""


def evaluate(
    codecs: Any,
    dataset: Any = "photos",
    *,
    metrics: Sequence[Any] | None = None,
    qualities: Qualities | None = None,
    limit: int | None = None,
    output: str | Path | None = None,
    workers: int | None = 1,
    seeds: Sequence[int] = (0,),
    device: str = "cpu",
    keep_reconstructions: bool = False,
    timing: int = 0,
    progress: Progress = False,
) -> "Results":
    """Codes the images of `dataset` with each codec, decodes from the bytes alone, measures, and sums up.

    codecs: a codec spec ("jpeg:subsampling=4:4:4", "./my_codec.py:MyCodec"), an object with `encode(image, quality) ->
    bytes` and `decode(data) -> image` on uint8 arrays (height, width, 3), a list of both, or a mapping of labels to
    either. dataset: what `run --dataset` takes, or images: a list, generator or mapping of arrays or paths, or a
    Hugging Face data set. metrics: names, "./my_metric.py:MyMetric", or metric objects; None for the usual ones.
    qualities: for all codecs, or a mapping of labels or specs to them; None for each codec's own. limit: so many
    images, spread over the set; None for all. output: a folder for the run, which goes on if it is there already; None
    leaves nothing on disk once the result is no longer used. workers: processes that share the cores, None for one per
    core; an object that cannot be sent to another process runs in this one. seeds: of stochastic decoders. timing:
    repeated calls whose seconds are measured, 0 or at least 3. progress: True shows a bar, or a function that is called
    with the trial, how many are done and how many there are.

    A trial that fails is recorded and ends nothing: a warning counts them, `Results.failures` says why. Raises
    UsageError on what cannot be meant, BenchmarkError where a file or network is missing.
    """
    from benchmark.reports.outcome import sum_up
    from benchmark.running.originals import OriginalStore
    from benchmark.running.run import Request, open_run

    if not _ORIGINALS:
        _ORIGINALS.append(OriginalStore())
    _ORIGINALS[0].begin()
    temporary = tempfile.TemporaryDirectory(prefix="benchmark-") if output is None else None
    folder = Path(output) if output is not None else Path(temporary.name if temporary else "") / "run"
    request = Request(
        codecs=_codecs(codecs),
        only=True,
        dataset=_dataset(dataset, temporary),
        qualities=_quality_options(qualities),
        metrics=tuple(metrics or ()),
        limit=limit,
        decoder_seeds=",".join(map(str, seeds)),
        device=device,
        output=folder,
        keep_reconstructions=keep_reconstructions,
        workers=workers,
        here=workers == 1,
        timing=timing,
        command=("benchmark.evaluate",),
        originals=_ORIGINALS[0],
    )
    with open_run(request) as ready:
        with contextlib.closing(ready.execute()) as trials:
            _follow(trials, len(ready.trials), progress)
        outcome = sum_up(ready.folder, draw=False)
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
    """The results of a run folder. Raises BenchmarkError if there is none, or no summary in it."""
    from benchmark.analysis.groups import StoredGroups
    from benchmark.analysis.summary import coverage_notes, read_summary

    folder = RunFolder.open(Path(run))
    read_summary(folder.path)
    groups = StoredGroups(folder)
    return Results(folder.path, notes=coverage_notes(folder.manifest, groups), failures=groups.failures)


def compare(base: "Results | str | Path", new: "Results | str | Path", gate: str | Path | None = None) -> "Comparison":
    """Whether `new` is worse than `base`: what `python -m benchmark compare` prints, as data.

    gate: a file with [tool.benchmark.gate]; None for ./pyproject.toml, or the default margins where it has none. Raises
    NotComparable on other images, protocols, codecs or qualities.
    """
    from benchmark.analysis.comparison import compare as compare_numbers
    from benchmark.analysis.margins import read_gate

    return compare_numbers(_numbers(base), _numbers(new), read_gate(None if gate is None else Path(gate)))


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
        temporary: "tempfile.TemporaryDirectory[str] | None" = None,
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
        return self.table(format="html")

    @cached_property
    def _folder(self) -> RunFolder:
        return RunFolder.open(self.path)

    @cached_property
    def numbers(self) -> "Baseline":
        """What comparisons need: values of each image, and of metrics of sets those without each image."""
        from benchmark.analysis.baseline import baseline_of_run

        return baseline_of_run(self._folder)

    @cached_property
    def summary(self) -> "pandas.DataFrame":
        """A row per codec, quality, metric and aggregation: value, standard error, 95 % interval, number of images.

        `aggregation` is "mean over images" or "set" for the value that curves show; other rows have others.
        """
        from benchmark.analysis.summary import read_summary

        return read_summary(self.path)

    @cached_property
    def trials(self) -> "pandas.DataFrame":
        """A row per trial: codec, quality, decoder_seed, image, height, width, bytes, bpp, each metric, error."""
        return self._folder.frame()

    def curve(self, metric: str, codec: str | None = None) -> "pandas.DataFrame":
        """codec, quality, bpp, value, ci_low and ci_high of each point, sorted by codec and rate.

        Raises UsageError on a metric or codec that was not measured.
        """
        from benchmark.analysis.summary import HEADLINES, metric_facts

        metric_facts(self.summary, metric)
        frame = self.summary[self.summary["aggregation"].isin(HEADLINES)]
        if codec is not None:
            if codec not in set(frame["codec"]):
                raise UsageError(
                    f"no codec {codec!r} was measured; there are {', '.join(dict.fromkeys(frame['codec']))}"
                )
            frame = frame[frame["codec"] == codec]
        point = ["codec", "quality"]
        rates = frame[frame["metric"] == "bpp"][[*point, "value"]].rename(columns={"value": "bpp"})
        values = frame[frame["metric"] == metric][[*point, "value", "ci_low", "ci_high"]]
        joined = rates.merge(values, on=point, sort=False)
        joined["place"] = joined["codec"].map({name: place for place, name in enumerate(dict.fromkeys(frame["codec"]))})
        return joined.sort_values(["place", "bpp"], ignore_index=True).drop(columns="place")

    def bd(
        self, anchor: str, metric: str | Sequence[str] = (), *, resamples: int = 1000, seed: int = 0
    ) -> "pandas.DataFrame":
        """Bits in per cent that each codec needs more (+) or less (−) than `anchor` at equal `metric`; none for all.

        Columns: codec, anchor, metric, value, ci_low, ci_high, n_images, reason (why there is no value, else ""). The
        interval is 95 %, over images, with resamples and seed of its bootstrap.
        """
        import pandas

        from benchmark.analysis.rate_differences import rate_differences

        metrics = [metric] if isinstance(metric, str) else list(metric)
        rows = rate_differences(self.numbers, anchor, metrics, resamples=resamples, seed=seed)
        columns = ["codec", "anchor", "metric", "value", "ci_low", "ci_high", "n_images", "reason"]
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
        Raises UsageError on a point that was not measured.
        """
        import pandas

        from benchmark.reports.pictures import find_point, view_of

        other = None if against is None else find_point(self.numbers, against)
        view = view_of(self.numbers, metric, find_point(self.numbers, point), other)
        frame = pandas.DataFrame({"image": view.images, "share": view.shares})
        return frame.sort_values("share", ascending=False, key=abs, ignore_index=True)

    def plot(
        self,
        *metrics: str,
        ax: "Axes | None" = None,
        save: str | Path | None = None,
        beside: "Sequence[Results]" = (),
        **options: Any,
    ) -> "Figure":
        """Curves over bits per pixel as a matplotlib figure, a panel per metric; all metrics if none is named.

        ax: draws one metric into these axes. save: a file, whose suffix (.png, .svg, .pdf, .pgf) says the format.
        beside: results on the same images whose codecs are drawn too. options: fields of
        `benchmark.reports.plots.PlotOptions`, such as codecs, labels, title, width (inches), font_size, x_axis,
        intervals, xlim, ylim, caption, legend, style, published and relative_to, which draws paired differences from a
        codec. Raises UsageError on what cannot be drawn, NotComparable on results of other images or protocols.
        """
        from benchmark.analysis.summary import drawable_metrics
        from benchmark.reports.figure_style import figure_style
        from benchmark.reports.plots import PlotOptions, draw
        from benchmark.reports.plots.files import check_formats
        from benchmark.reports.plots.files import save as save_figure

        if "formats" in options:
            raise UsageError("plot: formats belongs to the command line; here save=FILE says the format by its suffix")
        suffix = "png" if save is None else Path(save).suffix.removeprefix(".")
        try:
            chosen = PlotOptions(**options, formats=(suffix,))
        except TypeError as error:
            raise UsageError(f"plot: {one_line(error).partition(' ')[2]}") from None
        runs = [self, *beside]
        numbers = [run.numbers for run in runs] if chosen.relative_to is not None else []
        with figure_style(chosen.font_size, chosen.style):
            if save is not None:
                check_formats(chosen.formats)
            summaries = [run.summary for run in runs]
            figure = draw(summaries, metrics or drawable_metrics(self.summary), chosen, numbers=numbers, ax=ax)
            if save is not None:
                save_figure(figure, Path(save).with_suffix(""), chosen.formats)
        return figure

    def table(
        self,
        *metrics: str,
        format: str = "markdown",
        rates: Sequence[float] = (),
        codecs: Sequence[str] = (),
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
        from benchmark.analysis.tabulation import tabulate
        from benchmark.reports.paper_tables import write_table

        found = tabulate(
            [self.summary],
            metrics or self._valued(),
            codecs=codecs,
            rates=rates,
            numbers=[self.numbers] if bold_ties else [],
        )
        return write_table(found, format, labels=labels, plus_minus=plus_minus, bold_ties=bold_ties)

    def _valued(self) -> list[str]:
        """Metrics that have a value, without bpp, in the order of the run."""
        frame = self.summary
        names = dict.fromkeys(frame.loc[frame["value"].notna(), "metric"])
        return [name for name in names if name != "bpp"]

    def report(self, folder: str | Path, *, maps: bool = True) -> Path:
        """Writes the page, with the images behind the numbers if the run kept its reconstructions; its index.html."""
        from benchmark.analysis.margins import read_gate
        from benchmark.reports.page.report import write_report

        write_report([self.path], Path(folder), gate=read_gate(None), maps=maps)
        return Path(folder) / "index.html"


def _numbers(of: "Results | str | Path") -> "Baseline":
    from benchmark.analysis.baseline import read_numbers

    return of.numbers if isinstance(of, Results) else read_numbers(Path(of))


def _codecs(codecs: Any) -> Any:
    """A list of specs, or a mapping of labels to specs and objects."""
    if isinstance(codecs, str):
        return (codecs,)
    if isinstance(codecs, Mapping):
        return dict(codecs)
    things = list(codecs) if isinstance(codecs, Iterable) and not hasattr(codecs, "encode") else [codecs]
    if all(isinstance(thing, str) for thing in things):
        return tuple(things)
    labels = [thing if isinstance(thing, str) else type(thing).__name__ for thing in things]
    if twice := next((label for label in labels if labels.count(label) > 1), None):
        raise UsageError(f"two codecs are called {twice}; a mapping gives each a label: {{'ours': …, 'theirs': …}}")
    return dict(zip(labels, things, strict=True))


def _dataset(dataset: Any, temporary: "tempfile.TemporaryDirectory[str] | None") -> "str | Dataset":
    from benchmark.datasets import Dataset

    if isinstance(dataset, str | Dataset):
        return dataset
    if isinstance(dataset, Path):
        return str(dataset)
    from benchmark.datasets import dataset_of

    return dataset_of(dataset, folder=None if temporary is None else Path(temporary.name) / "images")


def _quality_options(qualities: Qualities | None) -> tuple[str, ...]:
    """As `run --quality` has them."""
    if qualities is None:
        return ()
    if isinstance(qualities, Mapping):
        return tuple(f"{codec}={_listed(values)}" for codec, values in qualities.items())
    return (_listed(qualities),)


def _listed(values: Sequence[float]) -> str:
    numbers = values if isinstance(values, Iterable) else [values]
    return ",".join(repr(float(value)) for value in numbers)


def _follow(trials: "Iterable[Trial]", total: int, progress: Progress) -> None:
    if progress is True:
        from rich.console import Console

        from benchmark.cli.progress import track

        track(trials, total, Console(stderr=True))
        return
    for number, trial in enumerate(trials, start=1):
        if callable(progress):
            progress(trial, number, total)
