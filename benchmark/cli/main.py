"""The command line: its commands, and the one place where an error becomes a line and an exit code."""

import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

import typer

from benchmark.cli.ablate import ablate
from benchmark.cli.audit import audit
from benchmark.cli.baseline import baseline
from benchmark.cli.bd import bd
from benchmark.cli.compare import compare
from benchmark.cli.decode import decode
from benchmark.cli.decoders import decoders
from benchmark.cli.encode import encode
from benchmark.cli.exchange import export_run, import_results
from benchmark.cli.explain import explain
from benchmark.cli.fetch import fetch, fetch_names
from benchmark.cli.history import history
from benchmark.cli.images import images
from benchmark.cli.leaderboard import leaderboard
from benchmark.cli.list import list_names
from benchmark.cli.measure import measure
from benchmark.cli.plot import PlotCommand, plot
from benchmark.cli.report import report
from benchmark.cli.run import run
from benchmark.cli.streams import outlive_readers
from benchmark.cli.studies import studies
from benchmark.cli.study import study
from benchmark.cli.table import table
from benchmark.cli.train import train
from benchmark.errors import BenchmarkError, lacking, needs, one_line

EPILOG = (
    "Exit codes: 0 fine, 1 a check failed, 2 usage, 3 something could not be read, coded or measured, "
    "4 not comparable, 130 interrupted."
)


app = typer.Typer(
    help="Benchmark of the HFD image codec beside others: bits, distortion, realism.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(run)
app.command()(measure)
app.command("list")(list_names)
app.command()(encode)
app.command()(decode)
app.command(cls=PlotCommand)(plot)
app.command()(table)
app.command()(ablate)
app.command()(decoders)
app.command()(bd)
app.command()(baseline)
app.command()(compare)
app.command()(images)
app.command()(explain)
app.command()(report)
app.command("export")(export_run)
app.command("import")(import_results)
app.command(epilog=fetch_names())(fetch)
app.command()(audit)
app.add_typer(leaderboard, name="leaderboard")
app.add_typer(history, name="history")
app.add_typer(study, name="study")
app.add_typer(studies, name="studies")
app.add_typer(train, name="train")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs a command and ends the process with its exit code.

    A BenchmarkError is one line on standard error, without a traceback; a traceback is a mistake of the suite's own.
    """
    outlive_readers()
    try:
        app(args=arguments, prog_name="python -m benchmark")
    except BenchmarkError as error:
        _fail(one_line(error), error.exit_code)
    except OSError as error:
        _fail(one_line(error), BenchmarkError.exit_code)
    except ModuleNotFoundError as error:
        package = lacking(error)
        if package is None:
            raise
        _fail(needs("this command", package), BenchmarkError.exit_code)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    sys.exit(0)


def _fail(message: str, exit_code: int) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(exit_code)
