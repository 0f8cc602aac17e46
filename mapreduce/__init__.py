"""A small map-reduce for keyed integer sums over stored documents, on one machine or many.

Declare a job, run it; see `Job` and `run`. Importing this is light: each name's module, and with
it numpy, loads when the name is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mapreduce.version import __version__ as __version__

if TYPE_CHECKING:
    from mapreduce.errors import (
        JobError,
        MapReduceError,
        ObjectError,
        PartialError,
        StoreError,
        UsageError,
    )
    from mapreduce.formats.csv import Csv
    from mapreduce.formats.fields import Float, Head, Int, Text, Time
    from mapreduce.formats.formats import Format, Lines
    from mapreduce.formats.gpx import Gpx
    from mapreduce.formats.json import Json, JsonColumns, JsonLines
    from mapreduce.formats.parquet import Parquet
    from mapreduce.job.job import Job
    from mapreduce.job.loader import load
    from mapreduce.job.side_file import SideFile
    from mapreduce.job.views import Columns, Records
    from mapreduce.limits import Limits, MapError
    from mapreduce.objects.memory import Memory
    from mapreduce.objects.selection import Selection, parse_sample
    from mapreduce.runs.driver import Options, Result, run
    from mapreduce.runs.progress import Progress, Resumed
    from mapreduce.tables.arrays import Array, scaled
    from mapreduce.tables.histogram import Distributions, Histogram
    from mapreduce.tables.rules import Distinct, Key, Max, Min, Sum, WideSum
    from mapreduce.tables.table import Rows, Table
    from mapreduce.time_cells import date, hour, weekday
    from mapreduce.time_zone import TimeZone, zone_file

_HOMES = {
    "Limits": "mapreduce.limits",
    "MapError": "mapreduce.limits",
    "JobError": "mapreduce.errors",
    "MapReduceError": "mapreduce.errors",
    "ObjectError": "mapreduce.errors",
    "PartialError": "mapreduce.errors",
    "StoreError": "mapreduce.errors",
    "UsageError": "mapreduce.errors",
    "Csv": "mapreduce.formats.csv",
    "Float": "mapreduce.formats.fields",
    "Head": "mapreduce.formats.fields",
    "Gpx": "mapreduce.formats.gpx",
    "Int": "mapreduce.formats.fields",
    "Text": "mapreduce.formats.fields",
    "Time": "mapreduce.formats.fields",
    "Columns": "mapreduce.job.views",
    "Job": "mapreduce.job.job",
    "Records": "mapreduce.job.views",
    "load": "mapreduce.job.loader",
    "Memory": "mapreduce.objects.memory",
    "Selection": "mapreduce.objects.selection",
    "parse_sample": "mapreduce.objects.selection",
    "Format": "mapreduce.formats.formats",
    "Json": "mapreduce.formats.json",
    "JsonColumns": "mapreduce.formats.json",
    "JsonLines": "mapreduce.formats.json",
    "Lines": "mapreduce.formats.formats",
    "Parquet": "mapreduce.formats.parquet",
    "Options": "mapreduce.runs.driver",
    "Progress": "mapreduce.runs.progress",
    "Resumed": "mapreduce.runs.progress",
    "Result": "mapreduce.runs.driver",
    "run": "mapreduce.runs.driver",
    "SideFile": "mapreduce.job.side_file",
    "Distributions": "mapreduce.tables.histogram",
    "Histogram": "mapreduce.tables.histogram",
    "Array": "mapreduce.tables.arrays",
    "Distinct": "mapreduce.tables.rules",
    "Key": "mapreduce.tables.rules",
    "Max": "mapreduce.tables.rules",
    "Min": "mapreduce.tables.rules",
    "Rows": "mapreduce.tables.table",
    "Sum": "mapreduce.tables.rules",
    "Table": "mapreduce.tables.table",
    "WideSum": "mapreduce.tables.rules",
    "scaled": "mapreduce.tables.arrays",
    "date": "mapreduce.time_cells",
    "hour": "mapreduce.time_cells",
    "weekday": "mapreduce.time_cells",
    "TimeZone": "mapreduce.time_zone",
    "zone_file": "mapreduce.time_zone",
}


if not TYPE_CHECKING:  # else a type checker would take any name for one of ours

    def __getattr__(name: str) -> Any:
        """Load a public name's module when the name is first used (PEP 562)."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(_HOMES[name]), name)
        globals()[name] = value
        return value


__all__ = [
    "Array",
    "Columns",
    "Csv",
    "Distinct",
    "Distributions",
    "Float",
    "Format",
    "Gpx",
    "Head",
    "Histogram",
    "Int",
    "Job",
    "JobError",
    "Json",
    "JsonColumns",
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
    "Parquet",
    "PartialError",
    "Progress",
    "Records",
    "Result",
    "Resumed",
    "Rows",
    "Selection",
    "SideFile",
    "StoreError",
    "Sum",
    "Table",
    "Text",
    "Time",
    "TimeZone",
    "UsageError",
    "WideSum",
    "date",
    "hour",
    "load",
    "parse_sample",
    "run",
    "scaled",
    "weekday",
    "zone_file",
]
