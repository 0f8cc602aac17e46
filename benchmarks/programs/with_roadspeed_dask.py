"""Our own job, whole, on a Dask cluster of this machine; the cluster is started before the work."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import mapreduce as mr
from benchmarks.answers import answer
from benchmarks.programs import with_dask_bag
from mapreduce.engines.dask import Dask
from roadspeed.speeds import Speeds

if TYPE_CHECKING:
    from distributed import Client

    from benchmarks.answers import Rows


def speeds(client: Client, folder: str) -> Rows:
    """Run the job."""
    with contextlib.closing(client):
        rows = mr.run(Speeds(), folder, engine=Dask(client=client)).rows
    return zip(rows["link"].tolist(), rows["fixes"].tolist(), rows["mean"].tolist(), strict=True)


if __name__ == "__main__":
    answer(with_dask_bag.start, speeds)
