"""pyarrow, which reads Parquet and makes CSV fast: optional, loaded when it is first used.

A worker needs none to start. What is imported here is a library; nothing of a document is.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

from mapreduce.errors import JobError


@cache
def arrow_csv() -> Any | None:
    """Give `pyarrow.csv`, or None where it is not installed."""
    try:
        return importlib.import_module("pyarrow.csv")
    except ImportError:
        return None


@cache
def arrow_parquet() -> Any:
    """Give `pyarrow.parquet`.

    Raises
    ------
    JobError
        It is not installed.
    """
    try:
        return importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise JobError(
            "Parquet needs pyarrow, which is not installed here: pip install pyarrow"
            " (for hosts: --with pyarrow)"
        ) from None


def pyarrow() -> Any:
    """Give `pyarrow`, where one of the above has been given."""
    return importlib.import_module("pyarrow")
