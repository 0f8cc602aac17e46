"""Our own job, whole, on Spark in this machine; Java is started before the work, Pythons in it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import mapreduce as mr
from benchmarks.answers import answer
from benchmarks.programs import with_spark
from mapreduce.engines.spark import Spark
from roadspeed.speeds import Speeds

if TYPE_CHECKING:
    from pyspark import SparkContext

    from benchmarks.answers import Rows


def start(threads: int) -> SparkContext:
    """Start a session in this machine's Java."""
    context = with_spark.start(threads).sparkContext
    context.pythonExec = sys.executable
    return context


def speeds(context: SparkContext, folder: str) -> Rows:
    """Run the job."""
    rows = mr.run(Speeds(), folder, engine=Spark(context=context)).rows
    return zip(rows["link"].tolist(), rows["fixes"].tolist(), rows["mean"].tolist(), strict=True)


if __name__ == "__main__":
    answer(start, speeds)
