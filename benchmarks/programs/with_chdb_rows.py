"""ClickHouse in the process, as its manual teaches it: `JSONEachRow` with the structure given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import chdb

from benchmarks.answers import answer

if TYPE_CHECKING:
    from benchmarks.answers import Rows

QUERY = """
SELECT toInt64OrNull(id) AS link, count(), avg(speed)
FROM file('{folder}/*/*.json', JSONEachRow, 'data Array(Tuple(
    absVelocity Nullable(Float64), dbResponse Tuple(linkID Nullable(String))))')
ARRAY JOIN data.absVelocity AS speed, data.dbResponse.linkID AS id
WHERE speed IS NOT NULL AND link IS NOT NULL
GROUP BY link ORDER BY link
SETTINGS max_threads = {threads}
"""


def speeds(threads: int, folder: str) -> Rows:
    """Run the query."""
    engine: Any = chdb
    given = engine.query(QUERY.format(folder=folder, threads=threads), "CSV")
    for line in str(given).splitlines():
        link, count, mean = line.split(",")
        yield int(link), int(count), float(mean)


if __name__ == "__main__":
    answer(lambda threads: threads, speeds)
