"""DuckDB: `read_json` with the wanted columns declared, so that nothing is inferred."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb

from benchmarks.answers import answer

if TYPE_CHECKING:
    from benchmarks.answers import Rows

QUERY = """
SELECT CAST(fix.dbResponse.linkID AS BIGINT) AS link, count(*), avg(fix.absVelocity)
FROM (
    SELECT unnest(data) AS fix
    FROM read_json('{folder}/*/*.json', format = 'newline_delimited',
        columns = {{data: 'STRUCT(absVelocity DOUBLE, dbResponse STRUCT(linkID VARCHAR))[]'}})
)
WHERE fix.absVelocity IS NOT NULL AND regexp_full_match(fix.dbResponse.linkID, '-?[0-9]+')
GROUP BY link ORDER BY link
"""


def start(threads: int) -> duckdb.DuckDBPyConnection:
    """Open a database in memory."""
    return duckdb.connect(config={"threads": threads})


def speeds(database: duckdb.DuckDBPyConnection, folder: str) -> Rows:
    """Run the query."""
    rows: Rows = database.execute(QUERY.format(folder=folder)).fetchall()
    return rows


if __name__ == "__main__":
    answer(start, speeds)
