"""A release: our packages' files under a name made of their contents; an overlay: the user's own.

Equal contents have equal names on every machine, so two sides that tell each other the name know
that they run the same code. A release's name covers the pinned dependencies too. Reading decides
once: what is hashed is what is sent.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import io
import tarfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mapreduce.errors import UsageError
from mapreduce.job.code_files import BY_PATH, tops
from mapreduce.job.code_guard import compare

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mapreduce.job.name import JobName

ID_DIGITS: Final = 20
MAX_FILES: Final = 20_000
MAX_BYTES: Final = 256 << 20
LEFT_OUT: Final = ("__pycache__", "node_modules")
COMPILED: Final = (".c", ".h", ".so")  # of ours: an option of the machine that built it


@dataclass(frozen=True, slots=True)
class FileTree:
    """Files by relative path, and the name their contents make."""

    id: str
    files: Mapping[str, bytes]

    @property
    def sources(self) -> str:
        """Name the contents alone, all digits of it: what a host compares with what it has."""
        return _digest(self.files).hexdigest()

    def tar(self) -> bytes:
        """Pack the files: the same bytes for the same files."""
        return gzip.compress(packed(self.files), compresslevel=6, mtime=0)


def release(needs: Sequence[str], packages: Sequence[str] | None = None) -> FileTree:
    """Give the release that this machine's own files make, pinned to what it needs."""
    files: dict[str, bytes] = {}
    for name in packages if packages is not None else own_packages():
        files |= {p: raw for p, raw in _package(name).items() if not p.endswith(COMPILED)}
    return FileTree(name_of(files, needs), files)


def overlay(job: JobName, without: Sequence[str] = ()) -> tuple[FileTree, str]:
    """Give the files that a job's own code needs, and how the job is named there.

    Parameters
    ----------
    job
        Of each top-level package that its code belongs to all files are sent, of a module without
        a package its file.
    without
        Packages that hosts have in the release.

    Returns
    -------
    tuple
        The tree, empty where nothing is to be sent, and the reference: for a file its path within
        the tree, a module's as it was.

    Raises
    ------
    UsageError
        Where there is no such file or package.
    JobError
        Where a file is not what it was when the job was named.
    """
    where, _, name = job.reference.rpartition(":")
    files = {
        p: raw for top in sorted(tops(job.code) - {*without}) for p, raw in _package(top).items()
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


def name_of(files: Mapping[str, bytes], needs: Sequence[str] = ()) -> str:
    """Name contents: the first digits of the SHA-256 of sorted paths and digests, then needs."""
    digest = _digest(files)
    for text in sorted(needs):
        digest.update(f"\0{text}\n".encode())
    return digest.hexdigest()[:ID_DIGITS]


def _digest(files: Mapping[str, bytes]) -> hashlib._Hash:
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(f"{path}\0{hashlib.sha256(files[path]).hexdigest()}\n".encode())
    return digest


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


def _package(name: str) -> dict[str, bytes]:
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        spec = None
    if spec is None or (spec.origin is None and not spec.submodule_search_locations):
        raise UsageError(f"no package or module {name!r} is found from here")
    if not spec.submodule_search_locations:
        path = Path(str(spec.origin))
        if path.suffix != ".py":
            raise UsageError(f"{name} is no Python file ({spec.origin}): it cannot be sent")
        return {path.name: path.read_bytes()}
    files: dict[str, bytes] = {}
    size = 0
    for top in map(Path, spec.submodule_search_locations):
        for path in sorted(top.rglob("*")):
            parts = path.relative_to(top).parts
            if not path.is_file() or any(p in LEFT_OUT or p.startswith(".") for p in parts):
                continue
            files["/".join((name, *parts))] = path.read_bytes()
            size += path.stat().st_size
            if len(files) > MAX_FILES or size > MAX_BYTES:
                raise UsageError(
                    f"{top} holds more than {MAX_FILES:,} files or {MAX_BYTES >> 20} MiB: a"
                    " package that travels holds code alone"
                )
    return files
