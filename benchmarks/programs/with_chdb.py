"""ClickHouse in the process: the fastest query found among a dozen (see docs/benchmarks.md).

Whole files are parsed by `JSONExtract` with a type that names only the wanted leaves, so that the
rest is skipped; grouping is by the id's text, converted once a group.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import chdb

from benchmarks.answers import answer

if TYPE_CHECKING:
    from benchmarks.answers import Rows

QUERY = """
SELECT toInt64OrNull(id) AS link, sum(n), sum(total) / sum(n)
FROM (
    SELECT id, count() AS n, sum(speed) AS total
    FROM (
        SELECT JSONExtract(raw_blob, 'data', 'Array(Tuple(
            absVelocity Nullable(Float64), dbResponse Tuple(linkID Nullable(String))))') AS data
        FROM file('{folder}/*/*.json', RawBLOB, 'raw_blob String')
    )
    ARRAY JOIN data.absVelocity AS speed, data.dbResponse.linkID AS id
    WHERE speed IS NOT NULL AND id IS NOT NULL
    GROUP BY id
)
WHERE link IS NOT NULL
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
