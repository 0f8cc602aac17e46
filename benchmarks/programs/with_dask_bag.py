"""A Dask bag of documents read by ujson, folded by link: as Dask's manual has it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import dask.bag
import ujson
from distributed import Client, LocalCluster

from benchmarks.answers import answer

if TYPE_CHECKING:
    from benchmarks.answers import Rows

FILES_A_TASK = 16
INTEGER = re.compile("-?[0-9]+")


def start(threads: int) -> Client:
    """Start as many worker processes, of one thread each: json is read under Python's lock."""
    cluster = LocalCluster(n_workers=threads, threads_per_worker=1, dashboard_address=None)
    return Client(cluster)


def speeds(_: Client, folder: str) -> Rows:
    """Run the job."""
    texts = dask.bag.read_text(f"{folder}/*/*.json", files_per_partition=FILES_A_TASK)
    fixes = texts.map(ujson.loads).pluck("data").flatten()
    matched = fixes.filter(_is_matched)
    totals = matched.foldby(_link, _add, (0, 0.0), _merge, (0, 0.0))
    for link, (count, total) in totals.compute():
        if INTEGER.fullmatch(link):
            yield int(link), count, total / count


def _is_matched(fix: dict[str, Any]) -> bool:
    response = fix["dbResponse"]
    return (
        response is not None and response["linkID"] is not None and fix["absVelocity"] is not None
    )


def _link(fix: dict[str, Any]) -> str:
    link: str = fix["dbResponse"]["linkID"]
    return link


def _add(total: tuple[int, float], fix: dict[str, Any]) -> tuple[int, float]:
    return total[0] + 1, total[1] + fix["absVelocity"]


def _merge(one: tuple[int, float], other: tuple[int, float]) -> tuple[int, float]:
    return one[0] + other[0], one[1] + other[1]


if __name__ == "__main__":
    answer(start, speeds)
