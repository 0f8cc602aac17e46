"""The 2019 program with the schema of the wanted fields given, so that Spark reads once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql.types import ArrayType, DoubleType, StringType, StructType

from benchmarks.answers import answer
from benchmarks.programs import with_spark

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from benchmarks.answers import Rows


def speeds(spark: SparkSession, folder: str) -> Rows:
    """Run the job."""
    response = StructType().add("linkID", StringType())
    fix = StructType().add("absVelocity", DoubleType()).add("dbResponse", response)
    return with_spark.speeds(spark, folder, StructType().add("data", ArrayType(fix)))


if __name__ == "__main__":
    answer(with_spark.start, speeds)
