"""Files people open: `speeds.csv`, `speeds.parquet`, `speeds.gpkg`, and the lists of what was left.

A writer takes a `LinkTable` and a path, and leaves there either the whole file or what was there
before (`whole`). Equal tables give equal bytes. Every column is described once, in `column_docs`.
Nothing here computes a speed, joins, or knows where a number came from.
"""

from roadspeed.outputs.link_table import LinkTable, Told
from roadspeed.outputs.write import write_outputs

__all__ = ["LinkTable", "Told", "write_outputs"]
