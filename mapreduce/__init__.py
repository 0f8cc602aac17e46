"""A small map-reduce for keyed integer sums over stored documents, on one machine or many.

Declare a job, run it; see `Job` and `run`. Importing this is light: engines and stores load when
they are used.
"""

from mapreduce.attempt import Limits, MapError
from mapreduce.errors import (
    JobError,
    MapReduceError,
    ObjectError,
    PartialError,
    StoreError,
    UsageError,
)
from mapreduce.fields import Float, Int, Text
from mapreduce.job import Columns, Job, Records
from mapreduce.objects.memory import Memory
from mapreduce.objects.selection import Selection, parse_sample
from mapreduce.records import Json, JsonLines, Lines
from mapreduce.run import Options, Progress, Result, run
from mapreduce.table import Distinct, Key, Max, Min, Rows, Sum, Table, WideSum, scaled

__all__ = [
    "Columns",
    "Distinct",
    "Float",
    "Int",
    "Job",
    "JobError",
    "Json",
    "JsonLines",
    "Key",
    "Limits",
    "Lines",
    "MapError",
    "MapReduceError",
    "Max",
    "Memory",
    "Min",
    "ObjectError",
    "Options",
    "PartialError",
    "Progress",
    "Records",
    "Result",
    "Rows",
    "Selection",
    "StoreError",
    "Sum",
    "Table",
    "Text",
    "UsageError",
    "WideSum",
    "parse_sample",
    "run",
    "scaled",
]
