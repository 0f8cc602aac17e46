"""What other engines' workers are given: this package and the job's own code, as one archive.

Workers of Dask and Spark need numpy, msgspec and urllib3; the rest comes with the run, named by
its content. A job keeps its module's name, and its whole package goes along; a job in a file of
its own gets a name made of what the file holds. Sources alone are shipped: a package with compiled
parts has to be installed where the workers are. Side inputs go beside the archive, each under a
name made of its content.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from mapreduce.atomic_file import whole
from mapreduce.errors import UsageError
from mapreduce.job.code_files import BY_PATH, OURS, digest, tops
from mapreduce.job.code_guard import compare, own_folders
from mapreduce.job.side_file import Seal, copied
from mapreduce.job.sources import files_of, name_of

if TYPE_CHECKING:
    from mapreduce.job.name import JobName

MAX_BYTES: Final = 32 << 20
EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # an archive's bytes say nothing of when it was made


@dataclass(frozen=True, slots=True)
class Shipment:
    """An archive of sources: its file name (of its content), its bytes, and the job's name there.

    `release` names this package's part of it; `folders` are where the job's files lie here, which
    workers may see too.
    """

    archive: str
    content: bytes
    job: JobName
    release: str
    inputs: tuple[Seal, ...] = ()
    folders: tuple[str, ...] = ()

    def write(self, folder: Path) -> Path:
        """Write the archive into a folder and say where."""
        path = folder / self.archive
        path.write_bytes(self.content)
        return path

    def write_inputs(self, folder: Path) -> list[Path]:
        """Copy the side inputs that a folder does not hold yet into it, and say where.

        Raises
        ------
        JobError
            Where one is not any more what it was when the run began.
        """
        paths = []
        for seal in self.inputs:
            path = folder / input_name(seal)
            if not path.exists():
                with whole(path) as partial, partial.open("wb") as out:
                    copied(seal, out.write)
                paths.append(path)
        return paths


def shipment(job: JobName) -> Shipment:
    """Gather all that a worker needs to find a job.

    Raises
    ------
    UsageError
        Where the job's package is too large to ship.
    """
    files = files_of(OURS, python_only=True)
    release = name_of(files)
    for top in sorted(tops(job.code)):
        files |= files_of(top, python_only=True)
    compare({**files, **_by_path(job)}, job.code)
    folders = tuple(sorted({str(f) for f in own_folders(job.reference, tops(job.code))}))
    job, own = _named_by_content(job)
    files |= own
    inputs = tuple(job.files.values())
    there = {n: Seal(input_name(s), s.sha256, s.size_bytes) for n, s in job.files.items()}
    job = msgspec.structs.replace(job, files=there)
    size = sum(map(len, files.values()))
    if size > MAX_BYTES:
        raise UsageError(
            f"the sources of {', '.join(sorted(tops(job.code)))} are {size:,} bytes, more than"
            f" the limit of {MAX_BYTES:,} for workers: put the job in a package or file of its"
            " own"
        )
    archive = f"{OURS}-{name_of(files)}.zip"
    return Shipment(archive, _zipped(files), job, release, inputs, folders)


def input_name(seal: Seal) -> str:
    """Name a side input as workers have it, beside the archive."""
    return f"{OURS}-input-{seal.sha256}"


def release() -> str:
    """Name the release of this package that this process runs, by its content."""
    return name_of(files_of(OURS, python_only=True))


def _by_path(job: JobName) -> dict[str, bytes]:
    """Read the job's own file where it is loaded by its path."""
    path = job.reference.rpartition(":")[0]
    return {f"{BY_PATH}{Path(path).name}": Path(path).read_bytes()} if path.endswith(".py") else {}


def _named_by_content(job: JobName) -> tuple[JobName, dict[str, bytes]]:
    """Give a job in a file of its own a module made of what the file holds; else as it is.

    Two files of one name are two modules on a worker, however long it lives.
    """
    where, _, name = job.reference.rpartition(":")
    own = f"{BY_PATH}{Path(where).name}" if where.endswith(".py") else f"{where}.py"
    if own not in job.code:  # a module of a package
        return job, {}
    content = Path(where).read_bytes() if where.endswith(".py") else files_of(where)[own]
    stem = Path(own).stem.replace(".", "_")
    top = f"{OURS}_job_{hashlib.sha256(content).hexdigest()[:16]}"
    files = {f"{top}/__init__.py": b"", f"{top}/{stem}.py": content}
    code = {k: v for k, v in job.code.items() if k != own}
    code |= {path: digest(content) for path, content in files.items()}
    return msgspec.structs.replace(job, reference=f"{top}.{stem}:{name}", code=code), files


def _zipped(files: dict[str, bytes]) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(path, EPOCH), content, zipfile.ZIP_DEFLATED)
    return whole.getvalue()
