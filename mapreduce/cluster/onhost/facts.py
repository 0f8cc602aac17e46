"""What a host is and has: asked before a deployment and a run, and by `doctor`.

With `mark` it makes ROOT and in it the marker by which hosts that share a home are noticed. What
cannot be found out is null, never guessed.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import platform
import struct
import sys
import sysconfig
import time
from typing import Any

from mapreduce.cluster.onhost import content, ground

BITS_32 = 4  # bytes of a pointer
MARK_DIGITS = 32
LOOKS, LOOK_S = 20, 0.05  # at a marker that is being made
PLAUSIBLE_C = (-50.0, 150.0)


def main() -> None:
    """Answer with the facts; with `dial`, measure the way to an address as well."""
    print(json.dumps(facts_for(json.loads(sys.argv[1]))))


def facts_for(asked: dict[str, Any]) -> dict[str, Any]:
    """Give the facts that are asked for."""
    root = ground.of(asked)
    facts: dict[str, Any] = {
        "clock": time.time(),
        "root": root,
        "python": list(sys.version_info[:3]),
        "implementation": sys.implementation.name,
        "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
        "system": platform.system(),
        "machine": machine(),
        "libc": libc(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "releases": listed(root, "releases"),
        "environments": listed(root, "environments"),
        "overlays": listed(root, "overlays"),
        "inputs": [],
        "current": ground.current(root) or None,
        "whole": [],
    }
    try:
        ground.checked(root)
        writable(root)
        if asked.get("mark"):
            marked(root)
        facts["home"] = marker(root)
        files = listed(root, "inputs")
        facts["inputs"] = [n for n in files if content.file_whole(os.path.join(root, "inputs", n))]
        facts["whole"], facts["altered"] = looked_through(root, asked.get("whole", {}))
    except OSError as error:
        facts["home"], facts["root_error"] = None, str(error)
        facts["untrusted"] = isinstance(error, ground.Untrusted)
    facts["disk_free_bytes"] = disk_free(root)
    facts.update(memory())
    if asked.get("health"):
        facts["temperature_c"] = temperature()
        facts["throttled"] = throttled()
        facts["openssh"] = openssh()
        facts["addresses"] = {a: reach(a) for a in asked.get("reach", [])}
        facts["folders"] = {f: sees(f, w) for f, w in asked.get("sees", {}).items()}
    if asked.get("path"):
        facts["numpy"] = imports(root, asked["path"])
    if asked.get("dial"):
        facts["dial"] = dial(*asked["dial"])
    facts["clock_end"] = time.time()
    return facts


def looked_through(root: str, places: dict[str, str | None]) -> tuple[list[str], dict[str, str]]:
    """Give which of some trees are whole, and why others are not.

    A name with `*` in front of its last part is that of every tree for this Python that ends so. A
    digest is that of the sources which a tree must hold.
    """
    whole, altered = [], {}
    for name, sources in places.items():
        for place in meant(root, name):
            fault = content.fault(root, place, sources)
            if fault is not None:
                altered[place] = fault
                continue
            whole.append(place)
            with contextlib.suppress(OSError):
                os.utime(os.path.join(root, place))  # used just now: prune keeps it
    return whole, altered


def meant(root: str, name: str) -> list[str]:
    """Give the places that a name of `looked_through` is of, as far as they are there."""
    kind, _, last = name.partition("/")
    there = listed(root, kind)
    if last.startswith("*"):
        tag = "cp{}{}".format(*sys.version_info[:2])
        tag += "t-" if sysconfig.get_config_var("Py_GIL_DISABLED") else "-"
        return [f"{kind}/{n}" for n in there if n.startswith(tag) and n.endswith(last[1:])]
    return [f"{kind}/{n}" for n in there if n == last]


def writable(root: str) -> None:
    """Raise PermissionError where ROOT can be neither written nor made."""
    there = root
    while not os.path.exists(there):
        there = os.path.dirname(there)
    if not os.access(there, os.W_OK | os.X_OK):
        raise PermissionError(f"no permission to write in {there}")


def machine() -> str:
    """Name the machine as wheels do: a 32-bit Python on a 64-bit kernel is a 32-bit machine."""
    name = platform.machine()
    if struct.calcsize("P") == BITS_32:
        return {"aarch64": "armv7l", "armv8l": "armv7l", "x86_64": "i686"}.get(name, name)
    return {"arm64": "aarch64", "AMD64": "x86_64"}.get(name, name)


def libc() -> list[str]:
    """Give the C library and its version, as wheels are chosen by it."""
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").split()
    except (ValueError, OSError):
        return list(platform.libc_ver())


def listed(root: str, kind: str) -> list[str]:
    """Give what is whole in a folder of ROOT."""
    try:
        return sorted(n for n in os.listdir(os.path.join(root, kind)) if not n.startswith("."))
    except OSError:
        return []


def marked(root: str) -> None:
    """Make ROOT and its marker, where they are not there yet."""
    os.makedirs(root, mode=0o700, exist_ok=True)
    path = os.path.join(root, ground.MARKER)
    own = f"{path}.{os.urandom(16).hex()}"
    if not os.path.lexists(path):
        with open(os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(os.urandom(MARK_DIGITS // 2).hex())
        with contextlib.suppress(FileExistsError):
            os.link(own, path)  # the first one wins, whole
        os.unlink(own)


def marker(root: str) -> str | None:
    """Give the name that this ROOT was given once: hosts that tell the same share their home.

    Raises Untrusted where it was not given by us.
    """
    path = os.path.join(root, ground.MARKER)
    if not os.path.lexists(path):
        return None
    mark = ""
    for _ in range(LOOKS):  # while another host of this home makes it, it has two names
        if ground.own_file(path):
            break
        time.sleep(LOOK_S)
    if ground.own_file(path):
        with open(path) as given:
            mark = given.read(MARK_DIGITS + 1)
    if len(mark) != MARK_DIGITS or not mark.isalnum():
        raise ground.Untrusted(
            f"{path} does not belong to this program: check what it is, and remove it"
        )
    return mark


def disk_free(root: str) -> int | None:
    """Give the bytes that may still be written under ROOT."""
    while root and not os.path.exists(root):
        root = os.path.dirname(root)
    try:
        status = os.statvfs(root)
        return status.f_bavail * status.f_frsize
    except OSError:
        return None


def memory() -> dict[str, int | None]:
    """Give total and available memory in bytes."""
    found = {}
    try:
        with open("/proc/meminfo") as lines:
            for line in lines:
                name, _, rest = line.partition(":")
                found[name] = int(rest.split()[0]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return {
        "memory_bytes": found.get("MemTotal"),
        "memory_free_bytes": found.get("MemAvailable"),
    }


def temperature() -> float | None:
    """Give the temperature of the hottest zone in degrees Celsius, as a running agent tells it."""
    found = []
    for zone in glob.glob("/sys/class/thermal/thermal_zone*/temp"):
        with contextlib.suppress(OSError, ValueError), open(zone) as given:
            found.append(int(given.read()) / 1000)
    low, high = PLAUSIBLE_C
    return max((t for t in found if low < t < high), default=None)


def throttled() -> int | None:
    """Give the firmware's bits of `vcgencmd get_throttled`; null where there is no such thing."""
    said = told(["vcgencmd", "get_throttled"])
    try:
        return int(said.rpartition("=")[2], 16) if said else None
    except ValueError:
        return None


def openssh() -> str | None:
    """Give the version of the host's OpenSSH, as its client tells it."""
    return told(["ssh", "-V"])


def told(command: list[str]) -> str | None:
    """Give what a program says, or null where it is missing, fails or takes too long."""
    import subprocess  # noqa: PLC0415 - not for a run

    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else None


def reach(address: str) -> str | None:
    """Try to connect; give null where it worked, else why not."""
    import socket  # noqa: PLC0415 - not for a run

    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
    except (OSError, ValueError) as error:
        return str(error)
    return None


def sees(folder: str, witness: list[Any] | None) -> str | None:
    """Look for a file of a shared folder, in its version; give null where it is there."""
    try:
        if witness is None:
            os.listdir(folder)
            return None
        status = os.stat(os.path.join(folder, witness[0]))
    except OSError as error:
        return str(error)
    same = [status.st_mtime_ns, status.st_size] == witness[1:]
    return None if same else f"its {witness[0]} is a different file there"


def dial(host: str, port: int) -> dict[str, Any]:
    """Read all that an address sends; give bytes and seconds, or why it could not be reached."""
    import socket  # noqa: PLC0415 - not for a run

    began = time.monotonic()
    count = 0
    try:
        with socket.create_connection((host, port), timeout=5) as line:
            began = time.monotonic()
            while True:
                body = line.recv(1 << 18)
                if not body:
                    break
                count += len(body)
    except OSError as error:
        return {"error": str(error)}
    return {"bytes": count, "seconds": time.monotonic() - began}


def imports(root: str, path: list[str]) -> dict[str, str]:
    """Import numpy as a worker would; give its version or the error's last line."""
    code = "import numpy, msgspec, urllib3; print(numpy.__version__)"
    fine, said = content.tried(code, [os.path.join(root, p) for p in path], 60)
    return {"version" if fine else "error": said}


if __name__ == "__main__":
    main()
