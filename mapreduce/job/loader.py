"""Finding a job by its name, with its parameters: in a module, or in a file of its own.

Loading runs the user's file. A run begun by that file then would load it again in each of its
workers, without end, so it is refused.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib
import importlib.util
import sys
import traceback
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from mapreduce.errors import MapReduceError, UsageError
from mapreduce.job import code_guard
from mapreduce.job.code_files import FILE_MODULE
from mapreduce.job.job import Job, parameter_types
from mapreduce.job.side_file import from_parameter, side_files

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_HOME: Final = Path(__file__).parents[1]
_loaded: ContextVar[str] = ContextVar("_loaded", default="")  # the job whose file is being run


@contextlib.contextmanager
def loading(where: str) -> Iterator[None]:
    """Refuse that a run begins meanwhile, in this thread."""
    token = _loaded.set(where)
    try:
        yield
    finally:
        _loaded.reset(token)


def refuse_while_loading() -> None:
    """See that no job is being loaded.

    Raises
    ------
    UsageError
        Where one is, which begins a run.
    """
    if _loaded.get():
        calls = [f for f in traceback.extract_stack() if not f.filename.startswith(str(_HOME))]
        place = f"line {calls[-1].lineno} of {calls[-1].filename}" if calls else _loaded.get()
        raise UsageError(
            f"{place} starts a run while its file is loaded as a job, and would do so in every"
            " worker:"
            ' put that call under `if __name__ == "__main__":`'
        )


def load(
    reference: str,
    values: Mapping[str, Any] | None = None,
    *,
    text: bool = False,
    files: bool = True,
) -> Job:
    """Find a job by name and give it its parameters.

    Parameters
    ----------
    reference
        `package.module:Class` or `./file.py:Class`.
    values
        Parameters by name; with `text`, as typed at a command line.
    files
        Whether side inputs must be there; `finish` alone seldom needs one.

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
    with loading(where):
        module = _load_file(Path(where)) if where.endswith(".py") else _import(where)
    cls = getattr(module, name, None)
    if not (isinstance(cls, type) and issubclass(cls, Job)):
        jobs = [n for n, v in vars(module).items() if isinstance(v, type) and issubclass(v, Job)]
        have = ", ".join(j for j in jobs if j != "Job") or "none"
        raise UsageError(f"no job {name!r} in {where}; jobs there: {have}")
    return configured(cls, values or {}, text=text, files=files)


def configured(
    cls: type[Job], values: Mapping[str, Any], *, text: bool = False, files: bool = True
) -> Job:
    """Make a job of typed parameters.

    Raises
    ------
    UsageError
        For an unknown parameter or a value of the wrong type.
    """
    known = parameter_types(cls)
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
            raise UsageError(f"parameter {name}={value!r} of {cls.__name__}: it exceeds 64 bits")
    missing = [f.name for f in dataclasses.fields(cls) if _is_required(f) and f.name not in values]  # type: ignore[arg-type] # as above
    if missing:
        raise UsageError(f"{cls.__name__} needs {', '.join(missing)}: give it by --set name=value")
    try:
        job = cls(**converted)
    except ValueError as error:
        raise UsageError(f"parameters of {cls.__name__}: {error}") from error
    for file in side_files(job) if files else ():
        file.check()
    return job


def _is_required(parameter: dataclasses.Field[Any]) -> bool:
    missing = dataclasses.MISSING
    return parameter.default is missing and parameter.default_factory is missing


def _import(module: str) -> Any:
    with _explained(module):
        try:
            return importlib.import_module(module)
        except ModuleNotFoundError as error:
            raise UsageError(
                f"no module {error.name!r} (wanted {module!r}): install it, run the command in"
                " the folder that contains it, or name the file: ./file.py:Job"
            ) from None


def _load_file(path: Path) -> Any:
    path = path.expanduser().resolve()
    name = FILE_MODULE + hashlib.sha256(str(path).encode()).hexdigest()[:16]
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise UsageError(f"no file {path}; expected ./file.py:Job")
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # what lies beside it is found, and hides no module
    loader = code_guard.guarded(spec).loader or spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with _explained(str(path)):
            loader.exec_module(module)
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
        said = f"{where} cannot be loaded{place}: {''.join(told).strip()}"
        raise UsageError(said + _install(error)) from error


def _install(error: Exception) -> str:
    """Say how a package that a job imports comes here: hosts have theirs by `--with`."""
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return ""
    name = error.name.partition(".")[0]
    return (
        ". A job is also imported on this machine; --with installs packages only on hosts. If"
        f" {name} is a"
        f" package: {sys.executable} -m pip install {name} (the package index may use another"
        " name); if it is a file of yours: put it beside the job's file"
    )
