"""The tables of a training, `log.csv` and `checks.csv`: rows are appended, and cut off when a training goes back."""

import csv
import io
from pathlib import Path

from benchmark.files import append_line, write_file


def append_row(path: Path, row: dict[str, float]) -> None:
    """Appends a row; columns that the table has not had so far stay empty in its earlier rows."""
    columns: list[str] = []
    if path.exists():
        with path.open(newline="") as file:
            columns = next(csv.reader(file), [])
    if new := [key for key in row if key not in columns]:
        _write_table(path, columns + new, _read_table(path))
        columns += new
    line = io.StringIO()
    csv.DictWriter(line, columns, lineterminator="\r").writerow(row)
    append_line(path, line.getvalue().encode())


def cut_table(path: Path, step: int) -> None:
    """Removes the rows after `step`: a training that was killed goes on from a state older than they are."""
    if not path.exists():
        return
    rows = [row for row in _read_table(path) if row["step"].isdigit() and int(row["step"]) <= step]
    if rows:
        _write_table(path, list(rows[0]), rows)
    else:
        path.unlink()


def _read_table(path: Path) -> list[dict[str, str]]:
    """The rows of a table, without one that was cut short."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [row for row in csv.DictReader(file) if None not in row and None not in row.values()]


def _write_table(path: Path, columns: list[str], rows: list[dict[str, str]]) -> None:
    file = io.StringIO()
    writer = csv.DictWriter(file, columns)
    writer.writeheader()
    writer.writerows(rows)
    write_file(path, file.getvalue())
