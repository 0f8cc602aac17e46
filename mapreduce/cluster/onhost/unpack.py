"""Puts a tree in place on a host: whole, checked and imported once, or not at all.

A tar comes on standard input; the whole is checked against its SHA-256, wheels are unpacked from
memory (nothing is written twice to a card), Python is compiled, and the tree is renamed into
place. What an interrupted one left behind is removed by the next. Then, if asked, `current` is
switched in one step and what is old is pruned: never the current release, nor one that a living
agent uses. A job's side input comes as it is, and is put in place under its SHA-256 likewise.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import io
import json
import os
import shutil
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

from mapreduce.cluster.onhost import content, ground, space

INCOMING, NEW = space.INCOMING, space.NEW


class Refused(Exception):  # noqa: N818 - it says what happened
    """What came cannot be put in place: the message says why."""


def main() -> None:
    """Do what is asked, and answer."""
    asked = json.loads(sys.argv[1])
    asked["root"] = root = ground.of(asked)
    os.umask(0o077)
    answer: dict[str, Any]
    try:
        ground.checked(root)
        if asked.get("place"):
            place(root, asked)
        if asked.get("input"):
            place_input(root, asked["input"])
        if asked.get("switch"):
            switch(root, asked["switch"], asked.get("environment"))
        removed = space.prune(root, asked) if asked.get("prune") else []
    except Refused as error:
        answer = {"error": str(error)}
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        answer = {"error": str(error), "disk_full": full}
    else:
        answer = {"ok": True, "removed": removed}
    print(json.dumps(answer))


def place(root: str, asked: dict[str, Any]) -> None:
    """Receive a tree into `root/asked["place"]`."""
    target = inside(root, asked["place"])
    with incoming(root, target) as room:
        tree = os.path.join(room, "tree")
        os.mkdir(tree)
        receive(tree, asked["sha256"])
        content.compiled(tree)
        check(tree, asked)
        content.noted(tree, asked["place"])
        there = os.path.lexists(target)
        if there and content.fault(root, asked["place"], asked.get("sources")) is not None:
            put_away(target)
        try:
            os.rename(tree, target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise  # else another deployment has put the same there


def put_away(target: str) -> None:
    """Take from its place what is not as it was put there: whose it is does not matter for that."""
    away = os.path.join(os.path.dirname(target), f".altered-{os.urandom(8).hex()}")
    with contextlib.suppress(FileNotFoundError):
        os.rename(target, away)
        space.delete(away)


def place_input(root: str, sha256: str) -> None:
    """Receive a file into `root/inputs`, under the name that its content makes."""
    target = inside(root, os.path.join("inputs", sha256))
    with incoming(root, target) as room:
        source = Hashed()
        path = os.path.join(room, "input")
        with open(path, "wb") as out:
            body = source.read(1 << 16)
            while body:
                out.write(body)
                body = source.read(1 << 16)
        if source.digest.hexdigest() != sha256:
            raise Refused("the transfer was truncated, or differs from what was announced")
        os.chmod(path, 0o400)
        if os.path.isdir(target) and not os.path.islink(target):
            put_away(target)
        os.rename(path, target)
        content.file_noted(target)  # a rename is a change too: not before


@contextlib.contextmanager
def incoming(root: str, target: str) -> Iterator[str]:
    """Give a room to receive something in, on the file system of its target; leave none behind."""
    os.makedirs(root, mode=0o700, exist_ok=True)
    os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
    space.healed(root)
    rooms = os.path.join(root, INCOMING)
    os.makedirs(rooms, mode=0o700, exist_ok=True)
    made = tempfile.mkdtemp(prefix=NEW, dir=rooms)
    room = os.path.join(rooms, os.path.basename(made)[len(NEW) :])
    try:
        with locked(made):
            os.rename(made, room)
            yield room
    finally:
        shutil.rmtree(room, ignore_errors=True)


class Hashed:
    """Standard input, hashed as it is read."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()

    def read(self, most: int) -> bytes:
        """Read some."""
        body = sys.stdin.buffer.read(most)
        self.digest.update(body)
        return body


def receive(tree: str, sha256: str) -> None:
    """Write what a tar holds; wheels unpacked at the top of the tree. All of it or an error."""
    source = Hashed()
    try:
        with tarfile.open(fileobj=source, mode="r|*") as tar:  # type: ignore[call-overload] # reads only
            for member in tar:
                body = tar.extractfile(member)
                if body is None:
                    continue
                if member.name.endswith(".whl"):
                    unpack_wheel(body.read(), tree)
                else:
                    write(inside(tree, member.name), body.read())
        while source.read(1 << 16):
            continue
    except (tarfile.TarError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise Refused(f"the transfer was truncated: {error}") from None
    if source.digest.hexdigest() != sha256:
        raise Refused("the transfer was truncated, or differs from what was announced")


def unpack_wheel(body: bytes, tree: str) -> None:
    """Unpack a wheel; what belongs into site-packages from its `.data` folder too."""
    with zipfile.ZipFile(io.BytesIO(body)) as wheel:
        for info in wheel.infolist():
            parts = info.filename.split("/")
            if parts[0].endswith(".data"):
                if parts[1:2] == parts[1:] or parts[1] not in ("purelib", "platlib"):
                    continue
                parts = parts[2:]
            if not info.is_dir():
                write(inside(tree, "/".join(parts)), wheel.read(info))


def write(path: str, body: bytes) -> None:
    """Write one file and the folders it needs."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as out:
        out.write(body)


def inside(root: str, name: str) -> str:
    """Join a relative name to a folder; refuse one that leads out of it."""
    path = os.path.normpath(os.path.join(root, name))
    if os.path.isabs(name) or not path.startswith(os.path.normpath(root) + os.sep):
        raise Refused(f"{name!r} leads out of {root}")
    return path


def check(tree: str, asked: dict[str, Any]) -> None:
    """Import what must be importable."""
    if not asked.get("imports"):
        return
    path = [tree] + [inside(asked["root"], p) for p in asked.get("path", [])]
    code = "import " + ", ".join(asked["imports"])
    fine, said = content.tried(code, path, asked["timeout_s"])
    if not fine:
        raise Refused(f"`{code}` fails there: {said}")


@contextlib.contextmanager
def locked(room: str) -> Iterator[None]:
    """Hold a room's lock, by which others know that its owner lives."""
    with open(os.path.join(room, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def switch(root: str, release: str, environment: str | None) -> None:
    """Make a release the current one in one step, and note which environment it goes with."""
    inside(root, os.path.join("releases", release))
    if environment:
        with open(os.path.join(root, "releases", release, content.WITH + environment), "w"):
            pass
    link = os.path.join(root, f".current.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(link)
    os.symlink(os.path.join("releases", release), link)
    os.replace(link, os.path.join(root, "current"))


if __name__ == "__main__":
    main()
