"""The command line: its commands, and the one place where an error becomes a line and an exit code."""

import signal
import sys
import traceback
from collections.abc import Sequence
from functools import cache
from typing import Any, NoReturn

import typer
from typer.main import get_command

from benchmark.cli.ablate import ablate
from benchmark.cli.audit import audit
from benchmark.cli.baseline import baseline
from benchmark.cli.bd import bd
from benchmark.cli.codec_recipes import recipes
from benchmark.cli.compare import compare
from benchmark.cli.crops import crops
from benchmark.cli.decode import decode
from benchmark.cli.decoders import decoders
from benchmark.cli.encode import encode
from benchmark.cli.exchange import export_run, import_results
from benchmark.cli.explain import explain
from benchmark.cli.fetch import fetch, fetch_names
from benchmark.cli.figures import figures
from benchmark.cli.history import history
from benchmark.cli.images import images
from benchmark.cli.leaderboard import leaderboard
from benchmark.cli.list import list_names
from benchmark.cli.measure import measure
from benchmark.cli.plot import PlotCommand, plot
from benchmark.cli.report import report
from benchmark.cli.run import run
from benchmark.cli.streams import lost_output, settle_streams
from benchmark.cli.studies import studies
from benchmark.cli.study import study
from benchmark.cli.table import table
from benchmark.cli.train import train
from benchmark.errors import EXIT_CODES, BenchmarkError, kind_and_message, lacking, needs, one_line
from benchmark.guards import own_place
from benchmark.running.interruption import Terminated, heed_termination

_CODES = [f"{code} {words.partition(':')[0]}" for code, words in EXIT_CODES.items()]
EPILOG = f"Exit codes: {', '.join(_CODES)}."


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
app.command()(crops)
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
app.command()(figures)
app.add_typer(leaderboard, name="leaderboard")
app.add_typer(history, name="history")
app.add_typer(recipes, name="recipes")
app.add_typer(study, name="study")
app.add_typer(studies, name="studies")
app.add_typer(train, name="train")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs a command and ends the process with its exit code.

    A BenchmarkError is one line on standard error, without a traceback; a traceback is a mistake of the suite's own,
    which is no failed check: it ends with 3.
    A command that is fine, and whose standard output could not be written, ends with 3.
    """
    settle_streams()
    heed_termination()
    code = _exit_code(arguments)
    lost = lost_output()
    if lost is not None and code == 0:
        code = _failed(f"standard output cannot be written: {lost.strerror}", BenchmarkError.exit_code)
    sys.exit(code)


@cache
def _command() -> Any:
    """What `app` describes. A process may run many commands, tests do: it is put together once."""
    return get_command(app)


def _exit_code(arguments: Sequence[str] | None) -> int:
    try:
        _command()(args=arguments, prog_name="python -m benchmark")
    except SystemExit as ended:  # typer's, of whatever it has caught
        if ended.code == 128 + signal.SIGINT:  # of every KeyboardInterrupt
            return 128 + _signal_behind(ended)
        return ended.code if isinstance(ended.code, int) else 0
    except BenchmarkError as error:
        return _failed(one_line(error), error.exit_code)
    except OSError as error:
        place = "" if error.filename is None else f"{error.filename}: "
        return _failed(one_line(BenchmarkError(f"{place}{error.strerror or error}")), BenchmarkError.exit_code)
    except ModuleNotFoundError as error:
        package = lacking(error)
        if package is None:
            traceback.print_exc()
            return _failed(one_line(error), BenchmarkError.exit_code)
        return _failed(needs("this command", package), BenchmarkError.exit_code)
    except KeyboardInterrupt as interrupt:
        return 128 + _signal_behind(interrupt)
    except Exception as error:
        traceback.print_exc()
        asked = sys.argv[1:] if arguments is None else arguments
        if "--debug" in asked and (place := own_place(error)):  # a codec's, or a metric's: it is raised as it is
            return _failed(f"{kind_and_message(error)} ({place})", BenchmarkError.exit_code)
        return _failed("a mistake of the suite's own; please report it with the lines above", BenchmarkError.exit_code)
    return 0


def _signal_behind(error: BaseException) -> int:
    """The signal that ended the command: SIGTERM, say, or SIGINT, of Ctrl-C."""
    behind: BaseException | None = error
    while behind is not None:
        if isinstance(behind, Terminated):
            return behind.number
        behind = behind.__cause__ or behind.__context__
    return int(signal.SIGINT)


def _failed(message: str, exit_code: int) -> int:
    print(f"error: {message}", file=sys.stderr)
    return exit_code
