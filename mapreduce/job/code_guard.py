"""What a process may load of a job's own code: the files that the run began with, and no others.

Installed in a slot before it loads the job, a guard compares each of the job's files with the hash
it had when the run began, at the moment it is imported, which may be in the middle of `map`. It
compiles the source it has compared: Python's cache of compiled code knows a file by its size and
whole seconds alone.
"""

from __future__ import annotations

import sys
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
    from collections.abc import Iterator, Mapping, Sequence
    from types import CodeType, ModuleType


_HOME: Final = Path(__file__).parents[1]
_UNKNOWN: Final = (
    "{} is code of the job's own that the run did not know of when it began: it is new, or loaded"
    " by its path or by a name made at run time. Import it by its name in the job's file, so that"
    " a change of it is noticed, and begin anew"
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
            f"{where} has changed since the run began, and sums of two versions must not be mixed:"
            " put it back and type the same command again, or begin anew with another --out"
        )


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
        self._reference = reference.rpartition(":")[0]
        self._folders: tuple[Path, ...] = ()  # that the job's own files lie in

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
                f"the files of this program in {_HOME} are not those that the run"
                " began with: it was updated meanwhile. Put them back and type the same command"
                " again, or begin anew with another --out"
            )
        self._folders = tuple(self._own_folders())
        sys.meta_path.insert(0, self)
        sys.addaudithook(self._audit)

    def _own_folders(self) -> Iterator[Path]:
        """Give the folders that the job's top-level packages and modules, or its file, lie in."""
        if self._reference.endswith(".py"):
            yield Path(self._reference).resolve().parent
        for top in self._tops:
            for finder in sys.meta_path:
                if (spec := finder.find_spec(top, None)) is not None:
                    found = [spec.origin] if spec.has_location else []
                    places = list(spec.submodule_search_locations or found)
                    yield from (Path(str(place)).parent for place in places)
                    break

    def _audit(self, event: str, arguments: tuple[object, ...]) -> None:
        """See that no file of the job's own is run that the run did not begin with.

        Whatever runs a file tells Python's audit, imports by path among them.
        """
        if event != "exec" or not self._folders:
            return
        where = str(getattr(arguments[0], "co_filename", ""))
        if not where.endswith(".py") or is_installed(where) or Path(where).is_relative_to(_HOME):
            return
        above = [folder for folder in self._folders if Path(where).is_relative_to(folder)]
        names = {Path(where).relative_to(folder).as_posix() for folder in above}
        known = names | {f"{BY_PATH}{name}" for name in names}
        if above and known.isdisjoint(self._began):
            raise ChangedCodeError(_UNKNOWN.format(where))

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
