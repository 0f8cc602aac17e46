"""A job as it is named to other processes: where its class is found, its parameters, its code."""

from __future__ import annotations

import dataclasses
import sys
import typing
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec

from mapreduce.errors import JobError, UsageError
from mapreduce.job.side_file import PREFIX, Seal, SideFile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mapreduce.job.code_files import JobCode
    from mapreduce.job.job import Job


class JobName(msgspec.Struct, frozen=True):
    """A job as it is named to a worker: where its class is found, and its parameters.

    `reference` is `package.module:Class` or `/path/file.py:Class`; `code` has a hash of each file
    of the user's that the job is made of, so that whoever loads it notices a change. Of a side
    input the parameters have the hash, and `files` where whoever is told this name finds it.
    """

    reference: str
    parameters: dict[str, Any]
    code: dict[str, str] = {}
    files: dict[str, Seal] = {}

    @property
    def shown(self) -> str:
        """Give the reference for people and receipts: a file without its folder."""
        where, _, name = self.reference.rpartition(":")
        return f"{Path(where).name if where.endswith('.py') else where}:{name}"

    def load(self) -> Job:
        """Find the job, with its parameters; raises as `load` does."""
        from mapreduce.job.loader import load  # noqa: PLC0415 - who only passes a name on needs no numpy

        files = {name: SideFile.of(seal) for name, seal in self.files.items()}
        return load(self.reference, {**self.parameters, **files})


def _sealed(job: Job) -> dict[str, Seal]:
    """Seal a job's side inputs, by parameter."""
    from mapreduce.job.job import parameter_types  # noqa: PLC0415 - as above

    found = {}
    for name, kind in parameter_types(type(job)).items():
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
            f"{type(job).__name__}: a parameter holds {value!r}, which cannot be sent as plain"
            " data; declare a side input as a parameter of its own: name: mr.SideFile"
        )

    fields = dataclasses.fields(job)  # type: ignore[arg-type] # every subclass is a dataclass
    plain = (f.name for f in fields if f.name not in files)
    given = {n: msgspec.to_builtins(getattr(job, n), enc_hook=refused) for n in plain}
    return given | {name: f"{PREFIX}{seal.sha256}" for name, seal in files.items()}


def name_of(job: Job, code: JobCode | None = None) -> JobName:
    """Name a job so that another process can find it.

    Parameters
    ----------
    code
        What it is made of, where that is known already.

    Raises
    ------
    JobError
        For a class no other process can find: inside a function, or typed at a prompt.
    UsageError
        For a side input that cannot be read.
    """
    from mapreduce.job.code_files import importable_name  # noqa: PLC0415 - as above

    cls = type(job)
    code = code or job_code(job)
    module = sys.modules[cls.__module__]
    where = importable_name(module) or str(Path(str(module.__file__)).resolve())
    files = _sealed(job)
    return JobName(f"{where}:{cls.__name__}", parameters(job, files), code.digests, files)


def job_code(job: Job) -> JobCode:
    """Gather what a job is made of; raises as `name_of` does."""
    from mapreduce.job.code_files import code_of  # noqa: PLC0415 - as above

    cls = type(job)
    module = sys.modules[cls.__module__]
    path = getattr(module, "__file__", None)
    if "." in cls.__qualname__ or path is None or not Path(path).exists():
        raise JobError(
            f"{cls.__qualname__} is not at the top level of a file, so workers cannot find it:"
            f" put the class in a file, for example job.py, and run ./job.py:{cls.__name__}"
        )
    return code_of(module, cls.__name__)
