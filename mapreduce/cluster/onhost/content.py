"""What a release, an environment or an overlay holds, noted when it was put in place.

Before anything of a tree is run it is looked through: every file and folder ours, no link, none
missing, none more, each as noted. A file whose size, inode and time of change are those noted has
not been touched since (that time is the kernel's: nobody sets it); any other is hashed. A note is
trusted because it is a file of ours, which nobody else can make, and names its place. There is one
for each Python, since what Python compiles is code too: of other Pythons it is never loaded.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import stat
import sys
from typing import Any, Dict, List

from mapreduce.cluster.onhost import ground

NOTE = ".content-"
WITH = ".with."
TAG = sys.implementation.cache_tag or "none"
TESTS = re.compile(r"/tests?/")
CHUNK_BYTES = 1 << 20
Files = Dict[str, List[Any]]  # by path below the tree: bytes, inode, time of change in ns, SHA-256


class Altered(Exception):  # noqa: N818 - it says what happened
    """A tree is not what was put there: the message says what differs."""


def compiled(tree: str) -> None:
    """Compile what may be imported: on a Pi that would be most of a worker's start.

    What cannot be compiled is found by whoever imports it.
    """
    import compileall  # noqa: PLC0415 - hardly ever needed

    for path in files_of(tree):
        if compiled_by(path) == TAG:
            os.unlink(os.path.join(tree, path))
    with contextlib.redirect_stdout(sys.stderr):  # the answer alone goes to standard output
        compileall.compile_dir(tree, quiet=2, rx=TESTS)


def tried(code: str, path: list[str], timeout_s: float) -> tuple[bool, str]:
    """Run some Python as a worker would; tell whether it went well, and its last line."""
    import subprocess  # noqa: PLC0415 - not for a run

    environ = dict(os.environ, PYTHONPATH=os.pathsep.join(path), PYTHONNOUSERSITE="1")
    environ.update(PYTHONSAFEPATH="1", PYTHONDONTWRITEBYTECODE="1")  # a tree stays as it was put
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            env=environ,
            timeout=timeout_s,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return False, str(error)
    said = (done.stderr if done.returncode else done.stdout).decode("utf-8", "replace")
    return not done.returncode, (said.strip().splitlines() or ["no message"])[-1]


def noted(tree: str, place: str) -> None:
    """Note what a tree holds."""
    held: Files = {}
    for path, status in files_of(tree).items():
        if compiled_by(path) in (None, TAG):
            held[path] = [*marks(status), digest(os.path.join(tree, path))]
    ground.put(os.path.join(tree, NOTE + TAG), json.dumps({"place": place, "files": held}))


def whole(root: str, place: str, sources: str | None = None) -> None:
    """Raise Altered where a tree under ROOT is not what was put there, or has other `sources`."""
    tree = os.path.join(root, place)
    try:
        if os.path.islink(tree):
            raise Altered(f"{tree} is a link")
        ground.private(tree)
        own = NOTE + TAG
        other = own if os.path.lexists(os.path.join(tree, own)) else any_note(tree)
        held = read_note(os.path.join(tree, other), place)
        compare(tree, held, other[len(NOTE) :])
    except (ground.Untrusted, OSError) as error:
        raise Altered(str(error)) from None
    if sources is not None and digest_of_sources(held) != sources:
        raise Altered(f"{tree} contains other sources than its name says")
    if other != own:
        compiled(tree)
        noted(tree, place)  # another Python put it down: hosts of both share this home


def fault(root: str, place: str, sources: str | None = None) -> str | None:
    """Say why a tree is not `whole`; null where it is."""
    try:
        whole(root, place, sources)
    except Altered as error:
        return str(error)
    return None


def compare(tree: str, held: Files, tag: str) -> None:
    """Raise Altered where a tree does not hold what is noted, and nothing else."""
    found = files_of(tree)
    for path in sorted(held.keys() | found.keys()):
        if path not in found:
            raise Altered(f"{tree}/{path} is missing")
        if path not in held:
            if compiled_by(path) not in (None, tag):
                continue
            raise Altered(f"{tree}/{path} was not installed by this program")
        size, inode, changed, sha256 = held[path]
        if marks(found[path]) != [size, inode, changed] and (
            found[path].st_size != size or digest(os.path.join(tree, path)) != sha256
        ):
            raise Altered(f"{tree}/{path} was changed")


def files_of(tree: str, below: str = "") -> dict[str, os.stat_result]:
    """Give every file of a tree but our notes.

    Raises Altered where something is neither a file nor a folder, or is not ours.
    """
    found: dict[str, os.stat_result] = {}
    with os.scandir(os.path.join(tree, below)) as entries:
        for entry in entries:
            path = os.path.join(below, entry.name)
            status = entry.stat(follow_symlinks=False)
            if status.st_uid != os.geteuid():
                raise Altered(f"{tree}/{path} belongs to {ground.owner(status)}")
            if stat.S_ISDIR(status.st_mode):
                found.update(files_of(tree, path))
            elif not stat.S_ISREG(status.st_mode):
                raise Altered(f"{tree}/{path} is a link or not a regular file")
            elif not (below == "" and ours(entry.name, status)):
                found[path] = status
    return found


def ours(name: str, status: os.stat_result) -> bool:
    """Tell whether a file at a tree's top is a note of ours: nothing that Python would load."""
    return name.startswith(NOTE) or (name.startswith(WITH) and status.st_size == 0)


def any_note(tree: str) -> str:
    """Give the name of another Python's note; raise Altered where there is none."""
    for name in sorted(os.listdir(tree)):
        if name.startswith(NOTE):
            return name
    raise Altered(f"{tree} was not installed by this program: it has no {NOTE}{TAG}")


def read_note(path: str, place: str) -> Files:
    """Read what is noted of a place; raise Altered where it is no note of ours for that place."""
    if not ground.own_file(path):
        raise Altered(f"{path} is not ours")
    try:
        with open(path) as given:
            body = json.load(given)
        files: Files = {str(name): list(row) for name, row in body["files"].items()}
        if body["place"] != place or any(len(row) != 4 for row in files.values()):  # noqa: PLR2004 - as `Files` says
            raise Altered(f"{path} belongs to another place")
    except (ValueError, TypeError, KeyError, AttributeError):
        raise Altered(f"{path} cannot be read") from None
    return files


def compiled_by(path: str) -> str | None:
    """Give which Python compiled a file; None where it is no such file."""
    folder, name = os.path.split(path)
    parts = name.split(".")
    if os.path.basename(folder) != "__pycache__" or parts[-1] != "pyc" or len(parts) < 3:  # noqa: PLR2004 - module.tag.pyc
        return None
    return parts[-3] if parts[-2].startswith("opt-") else parts[-2]


def marks(status: os.stat_result) -> list[int]:
    """Give what no write leaves as it was."""
    return [status.st_size, status.st_ino, status.st_ctime_ns]


def digest(path: str) -> str:
    """Hash a file."""
    sha256 = hashlib.sha256()
    with open(path, "rb") as given:
        for body in iter(lambda: given.read(CHUNK_BYTES), b""):
            sha256.update(body)
    return sha256.hexdigest()


def digest_of_sources(held: Files) -> str:
    """Hash what was sent of a tree: all but what was compiled of it there."""
    sha256 = hashlib.sha256()
    for path in sorted(held):
        if compiled_by(path) is None:
            sha256.update(f"{path}\0{held[path][3]}\n".encode())
    return sha256.hexdigest()


def file_noted(path: str) -> None:
    """Note a file of its own that was just put in place under the name that its content makes."""
    folder, name = os.path.split(path)
    ground.put(os.path.join(folder, NOTE + name), json.dumps(marks(os.lstat(path))))


def file_whole(path: str) -> bool:
    """Tell whether a file holds what its name says: by its note, or else by its digest."""
    folder, name = os.path.split(path)
    note = os.path.join(folder, NOTE + name)
    if not ground.own_file(path):
        return False
    try:
        if ground.own_file(note):
            with open(note) as given:
                if json.load(given) == marks(os.lstat(path)):
                    return True
        return digest(path) == name
    except (OSError, ValueError):
        return False
