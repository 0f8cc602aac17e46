"""A plain loop over dictionaries read by ujson: what one writes first. One process."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import ujson

from benchmarks.answers import answer

if TYPE_CHECKING:
    from benchmarks.answers import Rows

INTEGER = re.compile("-?[0-9]+")


def speeds(_: int, folder: str) -> Rows:
    """Sum up speeds by link."""
    counts: dict[str, int] = {}
    totals: dict[str, float] = {}
    for path in Path(folder).glob("*/*.json"):
        for fix in ujson.loads(path.read_bytes())["data"]:
            response = fix["dbResponse"]
            speed = fix["absVelocity"]
            if response is None or speed is None:
                continue
            link = response["linkID"]
            if link is not None:
                counts[link] = counts.get(link, 0) + 1
                totals[link] = totals.get(link, 0.0) + speed
    for link, count in counts.items():
        if INTEGER.fullmatch(link):
            yield int(link), count, totals[link] / count


if __name__ == "__main__":
    answer(lambda threads: threads, speeds)
