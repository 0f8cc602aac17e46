"""Whether ROOT is ours alone: owners and modes, of it and of all above it.

What others could have written is not run, listed or deleted. The rule is that of OpenSSH's
StrictModes, with one thing more and one less: it holds up to `/` and for every link on the way, and
a sticky folder (as /tmp is) may be above ROOT, since nobody can replace there what is not theirs.
"""

from __future__ import annotations

import os
import stat
from typing import Any

OTHERS_WRITE = 0o022
MOST_LINKS = 40
KINDS = ("releases", "environments", "overlays", "inputs", "runs", ".incoming")
MARKER = "home-id"
ELSEWHERE = "root = … in hosts.toml must name a folder that only you can write to"


class Untrusted(OSError):  # noqa: N818 - it says what was found
    """Somebody else may have written there: the message says where, and what to do."""

    def __str__(self) -> str:
        return str(self.args[0])


def of(asked: dict[str, Any]) -> str:
    """Give where ROOT is."""
    return os.path.join(os.path.expanduser("~"), os.path.expanduser(asked["root"]))


def checked(root: str) -> None:
    """See that nobody else can write, or could put something, into ROOT and what is above it.

    Raises Untrusted where somebody could, NotADirectoryError where something else is in its place.
    """
    for path in way(root):
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode):
            if status.st_uid not in (0, os.geteuid()):
                raise Untrusted(f"{path} is a link that belongs to {owner(status)}: {ELSEWHERE}")
        elif not stat.S_ISDIR(status.st_mode):
            raise NotADirectoryError(f"{path} is no folder")
        else:
            not_others(path, status, sticky=True)
    if not os.path.isdir(root):
        return
    private(os.path.realpath(root))
    for kind in KINDS:
        if os.path.lexists(os.path.join(root, kind)):
            private(os.path.join(root, kind))


def private(path: str) -> None:
    """Raise Untrusted where a folder is none, is not ours, or can be written by others."""
    status = os.lstat(path)
    if not stat.S_ISDIR(status.st_mode):
        raise Untrusted(f"{path} is not a folder of this program: check what it is, and remove it")
    if status.st_uid != os.geteuid():
        raise Untrusted(f"{path} belongs to {owner(status)}, not to you: {ELSEWHERE}")
    not_others(path, status, sticky=False)


def not_others(path: str, status: os.stat_result, *, sticky: bool) -> None:
    """Raise Untrusted where others can write into a folder."""
    if status.st_uid not in (0, os.geteuid()):
        raise Untrusted(
            f"{path} belongs to {owner(status)}, who can change what is in it: {ELSEWHERE}"
        )
    if status.st_mode & OTHERS_WRITE and not (sticky and status.st_mode & stat.S_ISVTX):
        raise Untrusted(
            f"others can write into {path} (mode {stat.S_IMODE(status.st_mode):04o}), so its"
            f" contents are not trusted: `chmod go-w {path}` there, or {ELSEWHERE}"
        )


def way(path: str) -> list[str]:
    """Give each folder and link that a path leads through, as far as there is one.

    Raises Untrusted where the links form a cycle.
    """
    found = ["/"]
    left = [part for part in path.split("/") if part][::-1]
    here, links = "/", 0
    while left:
        part = left.pop()
        if part == ".":
            continue
        if part == "..":
            here = os.path.dirname(here)
            continue
        there = os.path.join(here, part)
        if not os.path.lexists(there):
            break
        found.append(there)
        if os.path.islink(there):
            links += 1
            if links > MOST_LINKS:
                raise Untrusted(f"the links on the way to {path} form a cycle")
            target = os.readlink(there)
            here = "/" if os.path.isabs(target) else here
            left += [p for p in target.split("/") if p][::-1]
        else:
            here = there
    return found


def own_file(path: str) -> bool:
    """Tell whether a path is a file of ours that is under this one name."""
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and status.st_nlink == 1


def put(path: str, text: str) -> None:
    """Write a small file whole, readable by its owner alone."""
    new = f"{path}.{os.getpid()}"
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "w") as out:
        out.write(text)
    os.replace(new, path)


def current(root: str) -> str:
    """Give the release that is switched on; nothing where none is."""
    try:
        return os.path.basename(os.readlink(os.path.join(root, "current")))
    except OSError:
        return ""


def owner(status: os.stat_result) -> str:
    """Name who something belongs to."""
    import pwd  # noqa: PLC0415 - hardly ever needed

    try:
        return pwd.getpwuid(status.st_uid).pw_name
    except KeyError:
        return f"user {status.st_uid}"
