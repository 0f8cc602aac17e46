"""A release: our packages' files under a name made of their contents; an overlay: the user's own.

A release's name covers the pinned dependencies too.
"""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

from mapreduce.job.code_files import BY_PATH, tops
from mapreduce.job.code_guard import compare
from mapreduce.job.name import JobName
from mapreduce.job.sources import content_digest, files_of, name_of

COMPILED: Final = (".c", ".h", ".so")  # of ours: an option of the machine that built it


@dataclass(frozen=True, slots=True)
class FileTree:
    """Files by relative path, and the name their contents make."""

    id: str
    files: Mapping[str, bytes]

    @property
    def sources(self) -> str:
        """Name the contents alone, all digits of it: what a host compares with what it has."""
        return content_digest(self.files).hexdigest()

    def tar(self) -> bytes:
        """Pack the files: the same bytes for the same files."""
        return gzip.compress(packed(self.files), compresslevel=6, mtime=0)


def release(needs: Sequence[str], packages: Sequence[str] | None = None) -> FileTree:
    """Give the release that this machine's own files make, pinned to what it needs."""
    files: dict[str, bytes] = {}
    for name in packages if packages is not None else own_packages():
        files |= {p: raw for p, raw in files_of(name).items() if not p.endswith(COMPILED)}
    return FileTree(name_of(files, needs), files)


def overlay(job: JobName, without: Sequence[str] = ()) -> tuple[FileTree, str]:
    """Give the files that a job's own code needs, and how the job is named there.

    Of each top-level package that its code belongs to all files are sent, of a module without a
    package its file; `without` are packages that hosts have in the release. The tree is empty where
    nothing is to be sent; the job's reference is for a file its path within the tree, a module's as
    it was. Raises UsageError where there is no such file or package, JobError where a file is not
    what it was when the job was named.
    """
    where, _, name = job.reference.rpartition(":")
    files = {
        p: raw for top in sorted(tops(job.code) - {*without}) for p, raw in files_of(top).items()
    }
    reference = job.reference
    if where.endswith(".py"):
        path = Path(where)
        reference = f"{path.name}:{name}"
        own = path.read_bytes()
        compare({f"{BY_PATH}{path.name}": own}, job.code)
        files[path.name] = own
    compare(files, job.code)
    return FileTree(name_of(files), files), reference


def own_packages() -> list[str]:
    """Give the packages of the distribution that this one belongs to."""
    owners = metadata.packages_distributions()
    ours = set(owners.get("mapreduce", ()))
    together = [n for n, projects in owners.items() if ours & set(projects) and n.isidentifier()]
    return sorted({"mapreduce", *together})


def packed(files: Mapping[str, bytes]) -> bytes:
    """Pack files into a tar without owners, times or folders of their own."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(files):
            info = tarfile.TarInfo(path)
            info.size = len(files[path])
            info.mode = 0o644
            tar.addfile(info, io.BytesIO(files[path]))
    return out.getvalue()
