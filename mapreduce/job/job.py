"""What a user writes: which fields, which tables, `map`, `finish`.

A job is a class at the top level of a module or file, so that a worker finds it by name; nothing
executable ever travels. Its annotated attributes are typed parameters and part of a run's
identity. `map` sees one object's records as columns and gives rows; `finish` sees the merged
tables and gives the columns to write. Neither knows where it runs.
"""

from __future__ import annotations

import dataclasses
import traceback
import typing
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, dataclass_transform

import numpy as np

from mapreduce.errors import JobError
from mapreduce.job.views import Columns
from mapreduce.tables.table import Rows, Schema, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mapreduce.formats.formats import Format
    from mapreduce.tables.arrays import Array
    from mapreduce.tables.partial import Partial

Output: TypeAlias = "Mapping[str, Array]"  # column name -> values, all of one length


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Job:
    """Base of every job. Annotate parameters with defaults; assign `records` and the tables.

    Where `whole_objects` is set, `map` sees all records of an object at once, and large objects are
    not divided: for a job in which a record's meaning depends on those before it.
    """

    whole_objects: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        dataclasses.dataclass(frozen=True, kw_only=True)(cls)

    @property
    def records(self) -> Format:
        """The format of the input: `Json(…)`, `JsonLines(…)` or `Lines(…)`."""
        raise JobError(f"{type(self).__name__} declares no records: records = Json(at=…, …)")

    def map(self, r: Any) -> Rows | Sequence[Rows]:
        """Fold one object's records into rows of the job's tables."""
        raise JobError(f"{type(self).__name__} defines no map(self, r) for {type(r).__name__}")

    def finish(self, *tables: Any) -> Output | Mapping[str, Output]:
        """Turn the merged tables into the columns to write: one mapping, or one a table.

        By default the tables as they are.
        """
        named = zip(self.tables(), tables, strict=True)
        out = {name: columns.asdict() for name, columns in named}
        return out if len(out) > 1 else next(iter(out.values()))

    def tables(self) -> dict[str, Table]:
        """Give the declared tables by name, in order of declaration.

        A job whose tables depend on its parameters gives them here, each one `named`, and always
        the same ones.
        """
        found = {
            name: value
            for base in reversed(type(self).__mro__)
            for name, value in vars(base).items()
            if isinstance(value, Table)
        }
        if not found:
            name = type(self).__name__
            raise JobError(f"{name} declares no table: table = Table(key=…, n=Sum)")
        return found

    def stored_tables(self) -> dict[str, Table]:
        """Give the tables by name, each followed by those behind its columns."""
        return {
            one.name: one
            for table in self.tables().values()
            for one in (table, *table.behind.values())
        }

    def schemas(self) -> tuple[Schema, ...]:
        """Give the stored form of each table."""
        return tuple(t.schema for t in self.stored_tables().values())


def parameter_types(cls: type[Job]) -> dict[str, Any]:
    """Give the type of each parameter by name."""
    try:
        hints = typing.get_type_hints(cls)
    except (NameError, TypeError) as error:
        raise JobError(
            f"a parameter of {cls.__name__} has an unknown type ({error}): import it at"
            " the top of the file, not under TYPE_CHECKING"
        ) from None
    return {f.name: hints[f.name] for f in dataclasses.fields(cls)}  # type: ignore[arg-type] # every subclass is a dataclass


def merged_tables(job: Job, partial: Partial) -> dict[str, Columns]:
    """Give the merged tables as `finish` sees them, by name."""
    by_name = {table.schema.name: table for table in partial.tables}
    return {
        name: Columns(
            by_name[name],
            {column: by_name[t.name] for column, t in table.behind.items()},
            table.histograms,
        )
        for name, table in job.tables().items()
    }


def finished(job: Job, partial: Partial) -> dict[str, dict[str, Array]]:
    """Run `finish` on the merged tables: table name -> column name -> array.

    Raises
    ------
    JobError
        Where `finish` gives anything but columns of equal length.
    """
    tables = job.tables()
    try:
        given: Any = job.finish(*merged_tables(job, partial).values())
    except JobError:
        raise
    except Exception as error:
        raise JobError(
            f"finish of {type(job).__name__} failed:\n"
            f"{''.join(traceback.format_exception(error)).rstrip()}\n"
            "Correct finish and type the same command again: nothing is read twice."
        ) from error
    whole = given if len(tables) > 1 else {next(iter(tables)): given}
    if not isinstance(whole, Mapping):
        raise JobError(f"finish: expected table name -> columns, got {given!r}")
    return {name: _checked(name, columns) for name, columns in whole.items()}


def _checked(table: str, given: Any) -> dict[str, Array]:
    """Give what `finish` gave for a table as arrays of one dimension and one length."""
    if not isinstance(given, Mapping):
        raise JobError(f"finish: expected a mapping of columns for {table!r}, got {given!r}")
    columns = {name: np.asarray(values) for name, values in given.items()}
    for name, column in columns.items():
        if column.ndim != 1:
            raise JobError(
                f"finish: column {name!r} of {table!r} has {column.ndim} dimensions, not one:"
                f" {column!r}"
            )
        if column.dtype.kind == "O" and (nameless := next(filter(_is_nameless, column), None)):
            raise JobError(
                f"finish: column {name!r} of {table!r} holds {nameless!r}, which cannot be"
                " written as text"
            )
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise JobError(f"finish: columns of {table!r} differ in length: {lengths}")
    return columns


def _is_nameless(value: object) -> bool:
    return type(value).__repr__ is object.__repr__ and type(value).__str__ is object.__str__
