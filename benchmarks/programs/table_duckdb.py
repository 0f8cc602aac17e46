"""DuckDB: `read_csv` with its columns declared, and `read_parquet`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.answers import answer
from benchmarks.programs.with_duckdb import start

if TYPE_CHECKING:
    import duckdb

    from benchmarks.answers import Rows

CSV = """read_csv('{folder}/*/*.csv', header = true, columns = {{trip: 'VARCHAR',
    latitude: 'DOUBLE', longitude: 'DOUBLE', link: 'BIGINT', speed: 'DOUBLE'}})"""
PARQUET = "read_parquet('{folder}/*/*.parquet')"
QUERY = """
SELECT link, count(*), avg(speed) FROM {table}
WHERE link IS NOT NULL AND speed IS NOT NULL GROUP BY link
"""


def speeds(database: duckdb.DuckDBPyConnection, folder: str) -> Rows:
    """Run the query."""
    table = (CSV if folder.endswith("csv") else PARQUET).format(folder=folder)
    rows: Rows = database.execute(QUERY.format(table=table)).fetchall()
    return rows


if __name__ == "__main__":
    answer(start, speeds)
