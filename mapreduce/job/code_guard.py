"""What a process may load of a job's own code: the files that the run began with, and no others.

Installed in a slot before it loads the job, a guard compares each of the job's files with the hash
it had when the run began, at the moment it is imported, which may be in the middle of `map`. It
compiles the source it has compared: Python's cache of compiled code knows a file by its size and
whole seconds alone.

Workers of other engines outlive a run, and are sent files that were compared when they were packed.
They watch what is run while a task lasts (`watched`).
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from contextvars import ContextVar
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mapreduce.errors import JobError
from mapreduce.job.code_files import (
    BY_PATH,
    OURS,
    digest,
    file_name,
    framework_digest,
    is_installed,
    tops,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from types import CodeType, ModuleType


_HOME: Final = Path(__file__).absolute().parents[1]  # Spark says where from its folder
_UNKNOWN: Final = (
    "{} is code of the job that was not found when the run began: it is new, or is loaded by its"
    " path or by a name computed at run time. Import it by its name in the job's file, so that"
    " changes are detected, and start again"
)


class ChangedCodeError(JobError):
    """A file of the job is not what it was when the run began."""


def compare(contents: Mapping[str, bytes], began: Mapping[str, str]) -> None:
    """See that files that are about to be sent are those that a run began with.

    Parameters
    ----------
    contents, began
        By file name: what the file holds, and the hash it had, as `JobCode.digests` has it. A file
        without a hash is data beside the code.

    Raises
    ------
    ChangedCodeError
        Where one is not.
    """
    for name, content in contents.items():
        if name in began:
            _compare(name, name.removeprefix(BY_PATH), content, began)


def _compare(name: str, where: str, content: bytes, began: Mapping[str, str]) -> None:
    if name not in began:
        raise ChangedCodeError(_UNKNOWN.format(where))
    if digest(content) != began[name]:
        raise ChangedCodeError(
            f"{where} has changed since the run began, and sums of two versions must not be"
            " mixed: restore it and type the same command again, or start a new run with"
            " another --out"
        )


@dataclass(frozen=True, slots=True)
class Watch:
    """Sees that no file of the job's own is run that the run did not begin with.

    Attributes
    ----------
    began
        The hash of each file of the job, as `JobCode.digests` has them.
    folders
        Those that the job's own files lie in; an archive is one.
    """

    began: Mapping[str, str]
    folders: tuple[Path, ...]

    def look(self, event: str, arguments: tuple[object, ...]) -> None:
        """Refuse a file: whatever runs one tells Python's audit, imports by path among them."""
        if event != "exec" or not self.folders:
            return
        said = str(getattr(arguments[0], "co_filename", ""))
        if not said.endswith(".py"):
            return
        where = Path(os.path.abspath(said))  # noqa: PTH100 - keeps links, which have names too
        if is_installed(str(where)) or where.is_relative_to(_HOME):
            return
        names = {
            place.relative_to(folder).as_posix()
            for folder in self.folders
            for place in (where, where.resolve())
            if place.is_relative_to(folder)
        }
        if any(name.startswith(f"{OURS}/") for name in names):
            return  # sent beside the job: it counts as one file, which was compared
        known = names | {f"{BY_PATH}{name}" for name in names}
        if names and known.isdisjoint(self.began):
            raise ChangedCodeError(_UNKNOWN.format(where))


def own_folders(reference: str, tops: Iterable[str]) -> Iterator[Path]:
    """Give the folders that a job's top-level packages and modules, or its file, lie in."""
    where = reference.rpartition(":")[0]
    if where.endswith(".py"):
        yield Path(where).resolve().parent
    for top in tops:
        for finder in sys.meta_path:
            if (spec := finder.find_spec(top, None)) is not None:
                found = [spec.origin] if spec.has_location else []
                places = list(spec.submodule_search_locations or found)
                yield from (Path(str(place)).parent for place in places)
                break


_watching: ContextVar[Watch | None] = ContextVar("_watching", default=None)


@contextlib.contextmanager
def watched(watch: Watch) -> Iterator[None]:
    """Have a watch look at what this thread runs meanwhile: others may run other jobs."""
    _listen()
    token = _watching.set(watch)
    try:
        yield
    finally:
        _watching.reset(token)


@functools.cache
def _listen() -> None:
    """Ask the watch of the thread, once a process: such a hook stays for good."""

    def asked(event: str, arguments: tuple[object, ...]) -> None:
        if event == "exec" and (watch := _watching.get()) is not None:
            watch.look(event, arguments)

    sys.addaudithook(asked)


class Guard:
    """Finds a job's modules as other finders do, and compares them.

    Parameters
    ----------
    began
        The hash of each file of the job, as `JobCode.digests` has them.
    reference
        Where the job is found: `package.module:Class` or `/path/file.py:Class`.
    """

    def __init__(self, began: Mapping[str, str], reference: str) -> None:
        self._began = began
        self._tops = tops(began)
        self._reference = reference

    def install(self) -> None:
        """Compare from now on, this framework at once.

        Raises
        ------
        ChangedCodeError
            Where another version of it lies here by now.
        """
        here = framework_digest()
        if here and here != self._began.get(OURS, here):
            raise ChangedCodeError(
                f"the files of this program in {_HOME} have changed since the run began: the"
                " program was updated. Restore them and type the same command again, or start a"
                " new run with another --out"
            )
        folders = tuple(own_folders(self._reference, self._tops))
        sys.meta_path.insert(0, self)
        sys.addaudithook(Watch(self._began, folders).look)

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module of the job's as an import would (the protocol of `sys.meta_path`)."""
        if name.partition(".")[0] not in self._tops:
            return None
        for finder in sys.meta_path:
            if finder is not self and (spec := finder.find_spec(name, path, target)) is not None:
                return self.guarded(spec, file_name(spec))
        return None

    def guarded(self, spec: ModuleSpec, name: str) -> ModuleSpec:
        """Give a module's specification, its content compared or to be compared when it is read."""
        if spec.origin is None or not spec.has_location:
            return spec
        if isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Comparing(spec.loader, name, self._began)
        elif (get_data := getattr(spec.loader, "get_data", None)) is not None:
            _compare(name, spec.origin, get_data(spec.origin), self._began)
        return spec


def guarded(spec: ModuleSpec) -> ModuleSpec:
    """Guard a job's own file that is loaded by its path, where a guard is installed."""
    for finder in sys.meta_path:
        if isinstance(finder, Guard) and spec.origin is not None:
            return finder.guarded(spec, f"{BY_PATH}{Path(spec.origin).name}")
    return spec


class _Comparing(SourceFileLoader):
    """Loads what it has compared: the source, never a compiled copy of another time."""

    def __init__(self, loader: SourceFileLoader, name: str, began: Mapping[str, str]) -> None:
        super().__init__(loader.name, loader.path)
        self._file_name = name
        self._began = began

    def get_code(self, fullname: str) -> CodeType | None:  # noqa: ARG002 - the protocol's
        content = self.get_data(self.path)
        _compare(self._file_name, self.path, content, self._began)
        code: CodeType = self.source_to_code(content, self.path)
        return code
