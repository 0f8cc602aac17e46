"""ClickHouse in the process: `file`, with the types of CSV declared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import chdb

from benchmarks.answers import answer

if TYPE_CHECKING:
    from benchmarks.answers import Rows

CSV = """file('{folder}/*/*.csv', CSVWithNames,
    'trip String, latitude Float64, longitude Float64, link Int64, speed Float64')"""
PARQUET = "file('{folder}/*/*.parquet', Parquet)"
QUERY = """
SELECT link, count(), avg(speed) FROM {table}
WHERE link IS NOT NULL AND speed IS NOT NULL GROUP BY link
SETTINGS max_threads = {threads}
"""


def speeds(threads: int, folder: str) -> Rows:
    """Run the query."""
    table = (CSV if folder.endswith("csv") else PARQUET).format(folder=folder)
    engine: Any = chdb
    for line in str(engine.query(QUERY.format(table=table, threads=threads), "CSV")).splitlines():
        link, count, mean = line.split(",")
        yield int(link), int(count), float(mean)


if __name__ == "__main__":
    answer(lambda threads: threads, speeds)
