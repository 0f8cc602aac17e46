"""Files of packages and modules as they travel to other machines, and the name they make.

Equal contents have equal names on every machine, so two sides that tell each other the name know
that they run the same code. Reading decides once: what is hashed is what is sent.
"""

from __future__ import annotations

import hashlib
import importlib.resources
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mapreduce.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from importlib.resources.abc import Traversable

ID_DIGITS: Final = 20
MAX_FILES: Final = 20_000
MAX_BYTES: Final = 256 << 20
LEFT_OUT: Final = ("__pycache__", "node_modules")


def name_of(files: Mapping[str, bytes], needs: Sequence[str] = ()) -> str:
    """Name contents: the first digits of the SHA-256 of sorted paths and digests, then needs."""
    digest = content_digest(files)
    for text in sorted(needs):
        digest.update(f"\0{text}\n".encode())
    return digest.hexdigest()[:ID_DIGITS]


def content_digest(files: Mapping[str, bytes]) -> hashlib._Hash:
    """Hash sorted paths and the digests of what the files hold (SHA-256)."""
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(f"{path}\0{hashlib.sha256(files[path]).hexdigest()}\n".encode())
    return digest


def files_of(name: str, *, python_only: bool = False) -> dict[str, bytes]:
    """Read all files of a top-level package, from a folder or an archive, or the one of a module.

    Raises
    ------
    UsageError
        Where there is no such package or module, it is compiled, or it holds more than code.
    """
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        spec = None
    if spec is None or (spec.origin is None and not spec.submodule_search_locations):
        raise UsageError(f"no package or module {name!r} was found here")
    if not spec.submodule_search_locations:
        path = Path(str(spec.origin))
        if path.suffix != ".py":
            raise UsageError(f"{name} is not a Python file ({spec.origin}): it cannot be sent")
        return {path.name: path.read_bytes()}
    files: dict[str, bytes] = {}
    size = 0
    for path_inside, file in _all_of(name, spec.submodule_search_locations):
        if python_only and not path_inside.endswith(".py"):
            continue
        files[path_inside] = file.read_bytes()
        size += len(files[path_inside])
        if len(files) > MAX_FILES or size > MAX_BYTES:
            raise UsageError(
                f"{name} ({spec.submodule_search_locations[0]}) holds more than {MAX_FILES:,} files"
                f" or {MAX_BYTES >> 20} MiB: a package that is sent to workers may contain only"
                " code"
            )
    return files


def _all_of(name: str, places: Iterable[str]) -> Iterator[tuple[str, Traversable]]:
    for place in map(Path, places):
        if place.is_dir():
            yield from _inside(place, name)
        else:  # within an archive, and imported already: this framework, on another engine's worker
            yield from _inside(importlib.resources.files(name), name)


def _inside(
    folder: Traversable, path: str, above: tuple[Path, ...] = ()
) -> Iterator[tuple[str, Traversable]]:
    """Give files by their path inside; a link that leads back to a folder above is not followed."""
    if isinstance(folder, Path):
        real = folder.resolve()
        if real in above:
            return
        above = (*above, real)
    for entry in sorted(folder.iterdir(), key=lambda e: e.name):
        if entry.name in LEFT_OUT or entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _inside(entry, f"{path}/{entry.name}", above)
        elif entry.is_file():
            yield f"{path}/{entry.name}", entry
