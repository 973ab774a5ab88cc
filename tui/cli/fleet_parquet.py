"""A folder of Parquet files with a report about a fleet, for DuckDB, Spark and pandas; pyarrow writes it."""

from pathlib import Path

import click
import pyarrow as pa
from pyarrow import parquet

from fleet import tables
from fleet.report import Report
from tui.cli.fleet_database import plain

__all__ = ["fleet_parquet"]

_TYPES = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}


def fleet_parquet(report: Report, folder: Path) -> None:
    """Make the folder, for its owner only, with a file for each table.

    Raises:
        ClickException: It cannot be written.
    """
    try:
        folder.mkdir(mode=0o700)
        for name, rows in tables.all_rows(report).items():
            schema = pa.schema([(column, _TYPES[kind]) for column, kind in tables.COLUMNS[name].items()])
            table = pa.Table.from_pylist([plain(row) for row in rows], schema)
            parquet.write_table(table, folder / f"{name}.parquet")
    except OSError as error:
        raise click.ClickException(f"{folder} cannot be written: {error}") from error
