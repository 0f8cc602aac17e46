"""A side input: a read-only file that goes along with a job and is known by its content.

Its SHA-256 is taken once, when a run begins, and is what the run's identity and receipt say of it;
a worker is told where its copy is, by a `Seal`. Each engine brings the file to its workers once,
under the name that its content makes. That it is still what it was is looked at whenever the path
is asked for and after every attempt, so no sum is made of two versions: by size and time, and by
its content when a job is loaded with a copy of it and wherever the kernel noted a change since.
What the file means is the job's business: it is never opened here but to be hashed or copied.
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from mapreduce.errors import JobError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from io import BufferedReader

CHUNK_BYTES: Final = 1 << 20
PREFIX: Final = "sha256:"  # of a parameter's value in receipt and identity


class Seal(msgspec.Struct, frozen=True):
    """What a file held when the run began, and where it is found.

    `mtime_ns` is when the file itself was last written, `ctime_ns` when the kernel last noted a
    change of it, which nobody can set; both are 0 for a copy that a run made of it.
    """

    path: str
    sha256: str
    size_bytes: int
    mtime_ns: int = 0
    ctime_ns: int = 0


class SideFile:
    """A file that a job reads beside its objects: annotate a parameter with this type.

    Parameters
    ----------
    path
        Where the file is on this machine.
    """

    __slots__ = ("_given", "_known_ns", "_seal")

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._given = os.fspath(path)
        self._seal: Seal | None = None
        self._known_ns = 0  # the kernel's time of the content that is known to be what was sealed

    @classmethod
    def of(cls, seal: Seal) -> SideFile:
        """Give the file that a seal names, as a worker has it."""
        made = cls(seal.path)
        made._seal, made._known_ns = seal, seal.ctime_ns
        return made

    def __repr__(self) -> str:
        return f"SideFile({self._given!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SideFile) and self._given == other._given

    def __hash__(self) -> int:
        return hash(self._given)

    @property
    def path(self) -> Path:
        """Where the file can be read, on whatever machine this runs.

        Raises
        ------
        UsageError
            Where there is no such file, before a run began.
        JobError
            Where it is not any more what it was when the run began.
        """
        self.check()
        return Path(self._given if self._seal is None else self._seal.path)

    def check(self) -> None:
        """See that the file is there, and has not changed since the run began."""
        if self._seal is None:
            with _opened(self._given):
                return
        seal = self._seal
        try:
            now = os.stat(seal.path)  # noqa: PTH116 - after every attempt
        except OSError as error:
            raise JobError(f"the side input {seal.path} is gone: {error.strerror}") from None
        if now.st_size != seal.size_bytes or seal.mtime_ns not in (0, now.st_mtime_ns):
            raise JobError(_changed(seal.path))
        if now.st_ctime_ns != self._known_ns:
            copied(seal, lambda _: None)
            self._known_ns = now.st_ctime_ns

    def seal(self) -> Seal:
        """Take the file's SHA-256, and hold it to that from now on.

        Raises
        ------
        UsageError
            Where it cannot be read, or is no file.
        """
        with _opened(self._given) as file:
            before = os.fstat(file.fileno())
            self._known_ns = before.st_ctime_ns
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        path = str(Path(self._given).expanduser().resolve())
        self._seal = Seal(path, digest, before.st_size, before.st_mtime_ns, self._known_ns)
        self.check()
        return self._seal


def side_files(job: Any) -> list[SideFile]:
    """Give the side inputs of a job."""
    return [value for value in vars(job).values() if isinstance(value, SideFile)]


def from_parameter(kind: type, given: Any) -> Any:
    """Make a parameter of what was typed or told (`msgspec.convert`'s hook)."""
    if kind is not SideFile:
        raise NotImplementedError(f"parameters of type {kind.__name__} are not supported")
    return given if isinstance(given, SideFile) else SideFile(given)


def copied(seal: Seal, write: Callable[[bytes], object]) -> None:
    """Hand on a file's bytes, and see that they are what was sealed.

    Raises
    ------
    JobError
        Where they are not; what was handed on is not to be used then.
    """
    digest = hashlib.sha256()
    try:
        with Path(seal.path).open("rb") as file:
            while body := file.read(CHUNK_BYTES):
                digest.update(body)
                write(body)
    except OSError as error:
        raise JobError(f"the side input {seal.path} cannot be read: {error.strerror}") from None
    if digest.hexdigest() != seal.sha256:
        raise JobError(_changed(seal.path))


def _opened(path: str) -> BufferedReader:
    """Open a file to read; refuse what is none."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 - refused before it is opened
            raise UsageError(
                f"expected a file as side input; this is not a file: {path}, which is none"
            )
        return Path(path).open("rb")
    except OSError as error:
        raise UsageError(f"the side input {path} cannot be read: {error.strerror}") from None


def _changed(path: str) -> str:
    return (
        f"the side input {path} has changed since the run began: do not change side inputs"
        " during a run. With the new content it is a different run"
    )
