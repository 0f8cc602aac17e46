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
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias, dataclass_transform

import msgspec
import numpy as np

from mapreduce.columns import Columns
from mapreduce.errors import JobError, MapReduceError, UsageError
from mapreduce.side_file import PREFIX, Seal, SideFile, from_parameter, side_files
from mapreduce.table import Array, Rows, Schema, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mapreduce.partial import Partial
    from mapreduce.records import Format

Output: TypeAlias = "Mapping[str, Array]"  # column name -> values, all of one length


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
    defines it says (but for `finish`), so that a resumed run notices a change. Of a side input the
    parameters have the hash, and `files` where whoever is told this name finds it.
    """

    reference: str
    parameters: dict[str, Any]
    code: str = ""
    files: dict[str, Seal] = {}

    @property
    def shown(self) -> str:
        """Give the reference for people and receipts: a file without its folder."""
        where, _, name = self.reference.rpartition(":")
        return f"{Path(where).name if where.endswith('.py') else where}:{name}"

    def load(self) -> Job:
        """Find the job, with its parameters; raises as `load` does."""
        files = {name: SideFile.of(seal) for name, seal in self.files.items()}
        return load(self.reference, {**self.parameters, **files})


def _sealed(job: Job) -> dict[str, Seal]:
    """Seal a job's side inputs, by parameter."""
    found = {}
    for name, kind in _parameter_types(type(job)).items():
        value = getattr(job, name)
        if isinstance(value, SideFile):
            found[name] = value.seal()
        elif SideFile in (kind, *typing.get_args(kind)) and value is not None:
            raise UsageError(
                f"{type(job).__name__}({name}={value!r}): give a side input as SideFile({value!r})"
            )
    return found


def parameters(job: Job, files: Mapping[str, Seal] = MappingProxyType({})) -> dict[str, Any]:
    """Give the job's parameters as plain JSON values; of a side input its hash."""

    def refused(value: Any) -> Any:
        raise JobError(
            f"{type(job).__name__}: a parameter holds {value!r}, which has no plain form; a side"
            " input is a parameter by itself: name: mr.SideFile"
        )

    fields = dataclasses.fields(job)  # type: ignore[arg-type] # every subclass is a dataclass
    plain = (f.name for f in fields if f.name not in files)
    given = {n: msgspec.to_builtins(getattr(job, n), enc_hook=refused) for n in plain}
    return given | {name: f"{PREFIX}{seal.sha256}" for name, seal in files.items()}


def name_of(job: Job) -> JobName:
    """Name a job so that another process can find it.

    Raises
    ------
    JobError
        For a class no other process can find: inside a function, or typed at a prompt.
    UsageError
        For a side input that cannot be read.
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
    files = _sealed(job)
    return JobName(f"{where}:{cls.__name__}", parameters(job, files), code, files)


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
    known = _parameter_types(cls)
    converted = {}
    for name, value in values.items():
        if name not in known:
            have = ", ".join(known) or "none"
            raise UsageError(f"{cls.__name__} has no parameter {name!r}; it has: {have}")
        try:
            converted[name] = msgspec.convert(
                value, known[name], strict=not text, dec_hook=from_parameter
            )
        except msgspec.ValidationError as error:
            raise UsageError(f"parameter {name}={value!r} of {cls.__name__}: {error}") from None
        if isinstance(converted[name], int) and not -(2**63) <= converted[name] < 2**64:
            raise UsageError(f"parameter {name}={value!r} of {cls.__name__}: more than 64 bits")
    missing = [f.name for f in dataclasses.fields(cls) if _is_required(f) and f.name not in values]  # type: ignore[arg-type] # as above
    if missing:
        raise UsageError(f"{cls.__name__} needs {', '.join(missing)}: give it by --set name=value")
    try:
        job = cls(**converted)
    except ValueError as error:
        raise UsageError(f"parameters of {cls.__name__}: {error}") from error
    for file in side_files(job):
        file.check()
    return job


def _parameter_types(cls: type[Job]) -> dict[str, Any]:
    try:
        hints = typing.get_type_hints(cls)
    except (NameError, TypeError) as error:
        raise JobError(
            f"a parameter of {cls.__name__} has a type that cannot be found ({error}): import it at"
            " the top of the file, not under TYPE_CHECKING"
        ) from None
    return {f.name: hints[f.name] for f in dataclasses.fields(cls)}  # type: ignore[arg-type] # every subclass is a dataclass


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
                f"finish: column {name!r} of {table!r} holds {nameless!r}, which has no text of its"
                " own to write"
            )
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise JobError(f"finish: columns of {table!r} differ in length: {lengths}")
    return columns


def _is_nameless(value: object) -> bool:
    return type(value).__repr__ is object.__repr__ and type(value).__str__ is object.__str__
