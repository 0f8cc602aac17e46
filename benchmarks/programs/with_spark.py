"""The 2019 program, written anew for today's PySpark: the schema is inferred, as it was then.

Spark reads everything once to infer and once to compute. `with_spark_schema` gives the schema.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import SparkSession
from pyspark.sql import functions as sf

from benchmarks.answers import answer

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

    from benchmarks.answers import Rows


def start(threads: int) -> SparkSession:
    """Start a session in this machine's Java."""
    builder = SparkSession.builder.master(f"local[{threads}]").appName("speeds")
    options = {
        "spark.ui.enabled": "false",
        "spark.driver.memory": "4g",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.sql.shuffle.partitions": str(threads),  # 200 by default: far too many here
    }
    for name, value in options.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session


def speeds(spark: SparkSession, folder: str, schema: StructType | None = None) -> Rows:
    """Run the job."""
    fix = (
        spark.read.json(f"{folder}/*/*.json", schema=schema)
        .select(sf.explode("data").alias("fix"))
        .select("fix.dbResponse.linkID", "fix.absVelocity")
    )
    table = (
        fix.where(sf.col("linkID").isNotNull() & sf.col("absVelocity").isNotNull())
        .groupBy(sf.col("linkID").try_cast("long").alias("linkID"))
        .agg(sf.count("absVelocity").alias("count"), sf.avg("absVelocity").alias("mean"))
        .orderBy("linkID")
    )
    return [
        (r["linkID"], r["count"], r["mean"]) for r in table.collect() if r["linkID"] is not None
    ]


if __name__ == "__main__":
    answer(start, speeds)
