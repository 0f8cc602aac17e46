"""What is under ROOT, which of it is in use, and what may go.

In use is what a living agent was started with. An agent holds the lock of its run's folder while it
lives, whatever node it is on, so hosts that share a home see each other's. Nothing that is in use
goes; of the rest the newest of each kind stay.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import json
import os
import shutil
import stat
import time
from typing import Any

from mapreduce.cluster.onhost import content, ground

LOCK = "lock"
NOTE = "agent.pid"
EXTRA = "x"  # how the name of an environment of `--with` begins
INCOMING = ".incoming"
NEW = "new-"  # a room that nobody holds yet: so its name begins, until it is locked
NEW_S = 3600.0  # after which it is one that was left
KEPT = {"releases": 3, "overlays": 6, "extras": 4, "inputs": 3, "runs": 10}


def prune(root: str, asked: dict[str, Any], kept: dict[str, int] | None = None) -> list[str]:
    """Remove old releases, environments none of the rest uses, overlays, side inputs and runs.

    `switch`, `environment` and `keep` of what is asked stay as well.
    """
    most = KEPT if kept is None else kept
    used = living(root) | set(asked.get("keep", []))
    used |= {n for n in (asked.get("switch"), asked.get("environment")) if n}
    if asked.get("switch") is None and kept is None:
        used |= {ground.current(root)}
    releases = newest(os.path.join(root, "releases"))
    staying = set(releases[: most["releases"]]) | used
    wanted = set(used)
    for release in staying & set(releases):
        names = []
        with contextlib.suppress(OSError):  # no folder, or gone: then it wants nothing
            names = os.listdir(os.path.join(root, "releases", release))
        wanted |= {n[len(content.WITH) :] for n in names if n.startswith(content.WITH)}
    environments = newest(os.path.join(root, "environments"))
    extras = [n for n in environments if n.startswith(EXTRA)]
    going = [f"releases/{n}" for n in releases if n not in staying]
    going += [f"environments/{n}" for n in environments if n not in wanted and n not in extras]
    going += [f"environments/{n}" for n in extras[most["extras"] :] if n not in used]
    for kind in ("overlays", "inputs"):  # inputs may be large
        old = newest(os.path.join(root, kind))[most[kind] :]
        going += [f"{kind}/{n}" for n in old if n not in used]
    for place in going:
        delete(os.path.join(root, place))
        if place.startswith("inputs/"):
            delete(os.path.join(root, "inputs", content.NOTE + place[len("inputs/") :]))
    link = os.path.join(root, "current")
    if os.path.islink(link) and not os.path.exists(link):
        delete(link)
    return going + prune_runs(root, most["runs"])


def prune_runs(root: str, most: int) -> list[str]:
    """Remove what ended agents left: of each host the newest stay."""
    by_host: dict[str, list[str]] = {}
    for folder in glob.glob(os.path.join(glob.escape(root), "runs", "*", "*")):
        if os.path.isdir(folder) and not os.path.islink(folder):
            by_host.setdefault(os.path.basename(folder), []).append(folder)
    gone = []
    for folders in by_host.values():
        folders.sort(key=when, reverse=True)
        for folder in folders[most:]:
            if not busy(folder):
                delete(folder)
                gone.append(os.path.relpath(folder, root))
    for run in glob.glob(os.path.join(glob.escape(root), "runs", "*")):
        with contextlib.suppress(OSError):  # others are in it
            os.rmdir(run)
    return gone


def delete(path: str) -> None:
    """Delete something of ours; hosts that share it may delete it at once."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def living(root: str) -> set[str]:
    """Give the names of releases, environments, overlays and inputs that running agents use."""
    used: set[str] = set()
    for path in glob.glob(os.path.join(glob.escape(root), "runs", "*", "*", NOTE)):
        folder = os.path.dirname(path)
        if busy(folder):
            noted = read(folder)
            used |= {os.path.basename(p) for p in noted.get("path", []) + noted.get("inputs", [])}
    return used


def read(folder: str) -> dict[str, Any]:
    """Read what is noted of a run's agent; nothing where the note is not ours."""
    path = os.path.join(folder, NOTE)
    if not ground.own_file(path):
        return {}
    try:
        with open(path) as given:
            noted = json.load(given)
    except (OSError, ValueError):
        return {}
    return noted if isinstance(noted, dict) and isinstance(noted.get("pid"), int) else {}


def busy(folder: str) -> bool:
    """Tell whether the agent of a run's folder lives.

    Where there is no lock, its start was cut off, or an older release's: a process of this node
    that may be the one noted counts.
    """
    if os.path.lexists(os.path.join(folder, LOCK)):
        return held(folder)
    noted = read(folder)
    here = noted.get("node") == os.uname().nodename
    return here and os.path.exists(f"/proc/{noted['pid']}")


def held(folder: str) -> bool:
    """Tell whether a living agent, on whatever node, holds the lock of its run's folder."""
    try:
        with open(os.path.join(folder, LOCK)) as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True  # or locks cannot be had there, and nobody knows
    return False


def newest(folder: str) -> list[str]:
    """Give the names in a folder, the newest first."""
    try:
        names = [n for n in os.listdir(folder) if not n.startswith(".")]
    except OSError:
        return []
    return sorted(names, key=lambda n: (when(os.path.join(folder, n)), n), reverse=True)


def when(path: str) -> float:
    """Give when something was last used; the beginning of time where it is gone."""
    with contextlib.suppress(OSError):
        return os.lstat(path).st_mtime
    return 0.0


def use(root: str) -> dict[str, dict[str, int]]:
    """Tell, for each kind, how many there are, their bytes, and how many are in use."""
    used = living(root)
    told = {}
    for kind in ground.KINDS:
        names = newest(os.path.join(root, kind))
        if kind == "runs":
            folders = glob.glob(os.path.join(glob.escape(root), "runs", "*", "*"))
            at_work = sum(busy(folder) for folder in folders)
        else:
            at_work = len(used & set(names))
        size = size_of(os.path.join(root, kind))
        if names or size:
            told[kind.lstrip(".")] = {"count": len(names), "bytes": size, "in_use": at_work}
    return told


def size_of(folder: str) -> int:
    """Give what a folder takes on its disk, as `du` counts."""
    total = 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    status = entry.stat(follow_symlinks=False)
                    total += status.st_blocks * 512
                    if stat.S_ISDIR(status.st_mode):
                        total += size_of(entry.path)
    except OSError:
        pass
    return total


def healed(root: str) -> list[str]:
    """Remove what interrupted deployments left: rooms whose lock nobody holds."""
    rooms, gone = os.path.join(root, INCOMING), []
    for name in os.listdir(rooms) if os.path.isdir(rooms) else []:
        room = os.path.join(rooms, name)
        try:
            if name.startswith(NEW) and time.time() - os.path.getmtime(room) < NEW_S:
                continue
            with open(os.path.join(room, "lock")) as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(room, ignore_errors=True)
        except FileNotFoundError:
            with contextlib.suppress(OSError):
                os.rmdir(room)  # it has no lock: its owner is gone
        except OSError:
            continue  # held: its owner lives
        gone.append(f"{INCOMING}/{name}")
    return gone
