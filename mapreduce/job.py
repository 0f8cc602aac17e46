"""What a user writes: which fields, which tables, `map`, `finish`.

A job is a class at the top level of a module or file, so that a worker finds it by name; nothing
executable ever travels. Its annotated attributes are typed parameters and part of a run's
identity. `map` sees one object's records as columns and gives rows; `finish` sees the merged
tables and gives the columns to write. Neither knows where it runs.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import hashlib
import importlib
import importlib.util
import sys
import traceback
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, dataclass_transform

import msgspec
import numpy as np

from mapreduce.errors import JobError, MapReduceError, UsageError
from mapreduce.partial import Partial, TablePartial, wide_total
from mapreduce.records import Parsed
from mapreduce.table import Array, Rows, Schema, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mapreduce.fields import Mask
    from mapreduce.plan import Piece
    from mapreduce.records import Format

Output: TypeAlias = "Mapping[str, Array]"  # column name -> values, all of one length


class Records:
    """One object's records, in the document's order, as `map` sees them.

    Each field is an attribute: an array of length n. `object` says which object this is (its
    `key`, `ordinal`, `etag`), `rows` (int64[n]) each record's place in it, and `has(name)` where
    an optional field is present. A large object of lines comes as several `Records`; where it is
    divided, places are counted from the piece's beginning, `object.start` (a byte).
    """

    __slots__ = ("_columns", "_present", "object", "rows")

    def __init__(self, piece: Piece, parsed: Parsed, first_row: int = 0) -> None:
        self.object = piece
        self.rows = parsed.rows + first_row if first_row else parsed.rows
        self._columns = parsed.columns
        self._present = parsed.present

    def __getattr__(self, name: str) -> Array:
        try:
            return self._columns[name]
        except KeyError:
            have = ", ".join(self._columns)
            raise AttributeError(f"no field {name!r} in the job's records; it has {have}") from None

    def __len__(self) -> int:
        return len(self.rows)

    def part(self, start: int, stop: int) -> Records:
        """Give some of the records by themselves: to find the one at which a job fails."""
        some = slice(start, stop)
        columns = {name: column[some] for name, column in self._columns.items()}
        present = {name: mask[some] for name, mask in self._present.items()}
        return Records(self.object, Parsed(columns, present, self.rows[some], stop - start))

    def has(self, name: str) -> Mask:
        """Where the optional field `name` is present: bool[n]."""
        mask = self._present.get(name)
        return np.ones(len(getattr(self, name)), dtype=bool) if mask is None else mask


class Columns:
    """One merged table as `finish` sees it: its keys and values as attributes, ascending by key.

    Sums, minima, maxima and distinct counts are int64; a wide sum is an object array of exact
    Python integers.
    """

    __slots__ = ("_columns", "_rows", "_stored")

    def __init__(self, partial: TablePartial) -> None:
        schema = partial.schema
        columns: dict[str, Array | None] = dict(
            zip((k.name for k in schema.keys), partial.keys, strict=True)
        )
        stored = dict(zip((c.name for c in schema.columns), partial.values, strict=True))
        for column in schema.columns:
            name, _, limb = column.name.partition(".")
            if not limb:
                columns[name] = stored[name]
            elif limb == "hi":
                columns[name] = None  # made when asked for: exact integers are slow to make
        self._columns = columns
        self._stored = stored
        self._rows = len(partial)

    def __len__(self) -> int:
        return self._rows

    def __getattr__(self, name: str) -> Array:
        if name not in self._columns:
            have = ", ".join(self._columns)
            raise AttributeError(f"no column {name!r} in the table; it has {have}")
        column = self._columns[name]
        return wide_total(*self.limbs(name)) if column is None else column

    def limbs(self, name: str) -> tuple[Array, Array]:
        """Give a wide sum as two int64 arrays: hi * 2**32 + lo, 0 <= lo < 2**32."""
        return self._stored[f"{name}.hi"], self._stored[f"{name}.lo"]

    def asdict(self) -> dict[str, Array]:
        """All columns by name, keys first."""
        return {name: getattr(self, name) for name in self._columns}


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Job:
    """Base of every job. Annotate parameters with defaults; assign `records` and the tables."""

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

    @classmethod
    def tables(cls) -> dict[str, Table]:
        """Give the declared tables by name, in order of declaration."""
        found = {
            name: value
            for base in reversed(cls.__mro__)
            for name, value in vars(base).items()
            if isinstance(value, Table)
        }
        if not found:
            raise JobError(f"{cls.__name__} declares no table: table = Table(key=…, n=Sum)")
        return found

    @classmethod
    def schemas(cls) -> tuple[Schema, ...]:
        """Give the stored form of each table."""
        return tuple(t.schema for t in cls.tables().values())


class JobName(msgspec.Struct, frozen=True):
    """A job as it is named to a worker: where its class is found, and its parameters.

    `reference` is `package.module:Class` or `/path/file.py:Class`; `code` tells what the file that
    defines it says (but for `finish`), so that a resumed run notices a change.
    """

    reference: str
    parameters: dict[str, Any]
    code: str = ""

    @property
    def shown(self) -> str:
        """Give the reference for people and receipts: a file without its folder."""
        where, _, name = self.reference.rpartition(":")
        return f"{Path(where).name if where.endswith('.py') else where}:{name}"


def parameters(job: Job) -> dict[str, Any]:
    """Give the job's parameters as plain JSON values."""
    fields = dataclasses.fields(job)  # type: ignore[arg-type] # every subclass is a dataclass
    return {f.name: msgspec.to_builtins(getattr(job, f.name)) for f in fields}


def name_of(job: Job) -> JobName:
    """Name a job so that another process can find it.

    Raises
    ------
    JobError
        For a class no other process can find: inside a function, or typed at a prompt.
    """
    cls = type(job)
    module = sys.modules[cls.__module__]
    path = getattr(module, "__file__", None)
    if "." in cls.__qualname__ or path is None:
        raise JobError(
            f"{cls.__qualname__} is not at the top level of a file, so no worker can find it: put"
            f" the class in a file, say job.py, and run ./job.py:{cls.__name__}"
        )
    code = _code(Path(path))
    by_path = cls.__module__ == "__main__" or cls.__module__.startswith(_FILE_MODULE)
    where = str(Path(path).resolve()) if by_path else cls.__module__
    return JobName(f"{where}:{cls.__name__}", parameters(job), code)


def _code(path: Path) -> str:
    """Hash what a job's file says, but for its layout and what happens after the sums are made."""
    tree = ast.parse(path.read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            node.body = [
                part
                for part in node.body
                if not (isinstance(part, ast.FunctionDef) and part.name == "finish")
            ]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


_FILE_MODULE = "mapreduce_job_file_"


def load(reference: str, values: Mapping[str, Any] | None = None, *, text: bool = False) -> Job:
    """Find a job by name and give it its parameters.

    Parameters
    ----------
    reference
        `package.module:Class` or `./file.py:Class`.
    values
        Parameters by name; with `text`, as typed at a command line.

    Raises
    ------
    UsageError
        Where the module, class or a parameter is not found or of the wrong type.
    """
    where, colon, name = reference.rpartition(":")
    if not colon or not where or not name:
        raise UsageError(
            f"expected package.module:Job or ./file.py:Job, got {reference!r};"
            " for example examples/braking.py:HarshBraking"
        )
    module = _load_file(Path(where)) if where.endswith(".py") else _import(where)
    cls = getattr(module, name, None)
    if not (isinstance(cls, type) and issubclass(cls, Job)):
        jobs = [n for n, v in vars(module).items() if isinstance(v, type) and issubclass(v, Job)]
        have = ", ".join(j for j in jobs if j != "Job") or "none"
        raise UsageError(f"no job {name!r} in {where}; jobs there: {have}")
    return configured(cls, values or {}, text=text)


def configured(cls: type[Job], values: Mapping[str, Any], *, text: bool = False) -> Job:
    """Make a job of typed parameters.

    Raises
    ------
    UsageError
        For an unknown parameter or a value of the wrong type.
    """
    try:
        hints = typing.get_type_hints(cls)
    except (NameError, TypeError) as error:
        raise JobError(
            f"a parameter of {cls.__name__} has a type that cannot be found ({error}): import it at"
            " the top of the file, not under TYPE_CHECKING"
        ) from None
    known = {f.name: hints[f.name] for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    converted = {}
    for name, value in values.items():
        if name not in known:
            have = ", ".join(known) or "none"
            raise UsageError(f"{cls.__name__} has no parameter {name!r}; it has: {have}")
        try:
            converted[name] = msgspec.convert(value, known[name], strict=not text)
        except msgspec.ValidationError as error:
            raise UsageError(f"parameter {name}={value!r} of {cls.__name__}: {error}") from None
    missing = [f.name for f in dataclasses.fields(cls) if _is_required(f) and f.name not in values]  # type: ignore[arg-type] # as above
    if missing:
        raise UsageError(f"{cls.__name__} needs {', '.join(missing)}: give it by --set name=value")
    try:
        return cls(**converted)
    except ValueError as error:
        raise UsageError(f"parameters of {cls.__name__}: {error}") from error


def _is_required(parameter: dataclasses.Field[Any]) -> bool:
    missing = dataclasses.MISSING
    return parameter.default is missing and parameter.default_factory is missing


def _import(module: str) -> Any:
    with _explained(module):
        try:
            return importlib.import_module(module)
        except ModuleNotFoundError as error:
            raise UsageError(
                f"no module {error.name!r} (wanted {module!r}): install it, start from the folder"
                " that holds it, or name the file: ./file.py:Job"
            ) from None


def _load_file(path: Path) -> Any:
    path = path.expanduser().resolve()
    name = _FILE_MODULE + hashlib.sha256(str(path).encode()).hexdigest()[:16]
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise UsageError(f"no file {path}; expected ./file.py:Job")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with _explained(str(path)):
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


@contextlib.contextmanager
def _explained(where: str) -> Iterator[None]:
    """Say of an error in a job's own file where in it that is, and no more."""
    try:
        yield
    except (MapReduceError, SystemExit):
        raise
    except Exception as error:
        told = traceback.format_exception_only(error)
        frames = traceback.extract_tb(error.__traceback__)
        own = [f for f in frames if not f.filename.startswith("<") and f.filename != __file__][-1:]
        place = f" at line {own[0].lineno} of {own[0].filename}" if own else ""
        raise UsageError(f"{where} cannot be loaded{place}: {''.join(told).strip()}") from error


def finished(job: Job, partial: Partial) -> dict[str, dict[str, Array]]:
    """Run `finish` on the merged tables: table name -> column name -> array.

    Raises
    ------
    JobError
        Where `finish` gives anything but columns of equal length.
    """
    tables = job.tables()
    try:
        given: Any = job.finish(*(Columns(t) for t in partial.tables))
    except JobError:
        raise
    except Exception as error:
        raise JobError(
            f"finish of {type(job).__name__} failed:\n"
            f"{''.join(traceback.format_exception(error)).rstrip()}\n"
            "Mend finish and type the same command again: nothing is read twice."
        ) from error
    whole = dict(given) if len(tables) > 1 else {next(iter(tables)): given}
    out: dict[str, dict[str, Array]] = {}
    for name, columns in whole.items():
        if not hasattr(columns, "items"):
            raise JobError(f"finish: expected a mapping of columns for {name!r}, got {columns!r}")
        out[name] = dict(columns.items())
        lengths = {c: len(v) for c, v in out[name].items()}
        if len(set(lengths.values())) > 1:
            raise JobError(f"finish: columns of {name!r} differ in length: {lengths}")
    return out
