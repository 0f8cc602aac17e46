"""What a host is and has: asked before a deployment, and by `doctor`.

Looks, and changes nothing but one thing: the marker file in ROOT by which hosts that share a
home folder are noticed. What cannot be found out is null, never guessed.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import socket
import struct
import subprocess
import sys
import sysconfig
import time
import uuid
from typing import Any

MARKER = "home-id"
BITS_32 = 4  # bytes of a pointer


def main() -> None:
    """Answer with the facts; with `dial`, measure the way to an address as well."""
    asked = json.loads(sys.argv[1])
    root = os.path.join(os.path.expanduser("~"), os.path.expanduser(asked["root"]))
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
        "inputs": listed(root, "inputs"),
        "current": current(root),
    }
    try:
        facts["home"] = marker(root)
    except OSError as error:
        facts["home"], facts["root_error"] = None, str(error)
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
    print(json.dumps(facts))


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


def current(root: str) -> str | None:
    """Give the release that is switched on."""
    try:
        return os.path.basename(os.readlink(os.path.join(root, "current")))
    except OSError:
        return None


def marker(root: str) -> str:
    """Give the name that this ROOT was given once: hosts that tell the same share their home."""
    os.makedirs(root, mode=0o700, exist_ok=True)
    path = os.path.join(root, MARKER)
    own = f"{path}.{uuid.uuid4().hex}"
    if not os.path.exists(path):
        with open(own, "w") as out:
            out.write(uuid.uuid4().hex)
        with contextlib.suppress(FileExistsError):
            os.link(own, path)  # the first one wins, whole
        os.unlink(own)
    with open(path) as given:
        return given.read(64)


def disk_free(root: str) -> int | None:
    """Give the bytes that may still be written under ROOT."""
    while root and not os.path.exists(root):
        root = os.path.dirname(root)
    try:
        return shutil.disk_usage(root).free
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
    """Give the processor's temperature in degrees Celsius."""
    try:
        with open("/sys/class/thermal/thermal_zone0/temp") as given:
            return int(given.read()) / 1000
    except (OSError, ValueError):
        return None


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
    return None if same else f"its {witness[0]} is another file there"


def dial(host: str, port: int) -> dict[str, Any]:
    """Read all that an address sends; give bytes and seconds, or why it could not be reached."""
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
    environ = dict(os.environ, PYTHONPATH=os.pathsep.join(os.path.join(root, p) for p in path))
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environ,
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return {"error": str(error)}
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no message"]
        return {"error": said[-1]}
    return {"version": done.stdout.decode().strip()}


if __name__ == "__main__":
    main()
