"""Wheels for hosts of any machine and Python, fetched on this machine by pip and kept in a cache.

So a host needs no internet, no pip, no venv and no compiler. What is wanted is the versions that
this machine itself runs; where one has no wheel for a host's Python, the newest that fits what
the project declares. A 32-bit ARM host takes its wheels from piwheels.org. Nothing is built.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import threading
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from mapreduce.cluster.ssh.ssh import HostError
from mapreduce.errors import UsageError
from mapreduce.interpreter import command

OLDEST_PYTHON: Final = (3, 11)
PIWHEELS: Final = "https://www.piwheels.org/simple"
ARM_32: Final = ("armv6l", "armv7l")
GLIBC_OLDEST: Final = 17
MUSL_OLDEST: Final = 1
PIP_S: Final = 600.0
WORKER: Final = ("numpy", "msgspec", "urllib3")


@dataclass(frozen=True, slots=True)
class Platform:
    """What wheels must fit: Python's version, the machine, the C library."""

    python: tuple[int, int]
    machine: str
    libc: str = "glibc"
    libc_minor: int = GLIBC_OLDEST
    free_threaded: bool = False

    @property
    def tag(self) -> str:
        """Name it: `cp311-aarch64-glibc36`; wheels for a newer C library may not load there."""
        threads = "t" if self.free_threaded else ""
        python = f"cp{self.python[0]}{self.python[1]}{threads}"
        return f"{python}-{self.machine}-{self.libc}{self.libc_minor}"

    def platforms(self) -> list[str]:
        """Give the names of fitting platforms as pip takes them, the most particular first."""
        if self.libc != "glibc":
            minors = range(self.libc_minor, MUSL_OLDEST - 1, -1)
            return [f"musllinux_1_{n}_{self.machine}" for n in minors]
        minors = range(self.libc_minor, GLIBC_OLDEST - 1, -1)
        names = [f"manylinux_2_{n}_{self.machine}" for n in minors]
        machines = ARM_32[ARM_32.index(self.machine) :: -1] if self.machine in ARM_32 else ()
        return [*names, f"manylinux2014_{self.machine}", *(f"linux_{m}" for m in machines)]


def platform_of(facts: Mapping[str, Any]) -> Platform:
    """Tell a host's platform from its facts; a HostError where a worker cannot run there."""
    python = tuple(facts["python"])
    version = ".".join(map(str, python))
    if facts["system"] != "Linux":
        raise HostError(f"expected Linux, found {facts['system']}: such hosts are not supported")
    if python < OLDEST_PYTHON:
        raise HostError(
            f"expected Python 3.11 or newer, found {version}: `sudo apt install python3.11`, or"
            " Raspberry Pi OS 12 or newer; then python = … in hosts.toml"
        )
    if facts["implementation"] != "cpython":
        raise HostError(f"expected CPython, found {facts['implementation']} {version}")
    name, _, number = (facts["libc"] or ["", ""])[0], None, (facts["libc"] or ["", ""])[-1]
    minor = int(number.split(".")[1]) if name == "glibc" and "." in number else 0
    return Platform(
        python=(python[0], python[1]),
        machine=facts["machine"],
        libc="glibc" if name == "glibc" else "musl",
        libc_minor=minor if name == "glibc" else 2,
        free_threaded=facts["free_threaded"],
    )


@dataclass(frozen=True, slots=True)
class Requirements:
    """Requirements of an environment: as pinned, and what they may give way to."""

    pinned: tuple[str, ...]
    declared: tuple[str, ...] = ()

    def environment(self, platform: Platform, prefix: str = "") -> str:
        """Name the environment of a platform that holds these."""
        return f"{prefix}{platform.tag}-{self.digits}"

    @property
    def digits(self) -> str:
        """Give what the names of their environments end with, whatever the platform."""
        text = "\n".join([*sorted(self.pinned), *sorted(self.declared)])
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def worker_needs() -> Requirements:
    """Give what a worker needs, in the versions that this machine runs."""
    pinned = tuple(f"{name}=={metadata.version(name)}" for name in WORKER)
    declared: list[str] = []
    for project in metadata.packages_distributions().get("mapreduce", []):
        required = [text for text in metadata.requires(project) or [] if ";" not in text]
        declared += [text for text in required if text.startswith(WORKER)]
    return Requirements(pinned, tuple(sorted(declared)))


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "mapreduce" / "wheels"


@dataclass(slots=True)
class Cache:
    """Fetched wheels by environment; threads that want the same wait for one download.

    `sources` are more options of pip: `--extra-index-url`, `--find-links`.
    """

    folder: Path = field(default_factory=_cache_folder)
    sources: tuple[str, ...] = ()
    _locks: dict[str, threading.Lock] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, wanted: Requirements, platform: Platform) -> list[Path]:
        """Give the wheels of an environment, fetched if they are not here, or raise HostError."""
        name = wanted.environment(platform)
        with self._lock:
            lock = self._locks.setdefault(name, threading.Lock())
        with lock:
            place = self.folder / name
            if not place.is_dir():
                self._fetch(wanted, platform, place)
            return sorted(place.glob("*.whl"))

    def _fetch(self, wanted: Requirements, platform: Platform, place: Path) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        room = Path(tempfile.mkdtemp(prefix=".", dir=self.folder))
        try:
            said = ""
            for choice in (wanted.pinned, wanted.declared):
                if not choice:
                    continue
                done = subprocess.run(
                    pip_download(platform, choice, room / "wheels", self.sources),
                    capture_output=True,
                    text=True,
                    timeout=PIP_S,
                    check=False,
                )
                if done.returncode == 0:
                    try:
                        (room / "wheels").replace(place)
                    except OSError:
                        if not place.is_dir():
                            raise  # else another process has fetched the same meanwhile
                    return
                said = said or _complaint(done.stderr)
            raise HostError(_no_wheels(platform, said))
        except subprocess.TimeoutExpired:
            raise HostError(f"pip downloaded no wheels within {PIP_S:g} s") from None
        finally:
            shutil.rmtree(room, ignore_errors=True)


def requirement(text: str) -> str:
    """Give a requirement as pip takes it; a wheel's file is named with its SHA-256.

    Raises UsageError for a file that is not there, and what pip would take for an option.
    """
    if not text.strip() or text.startswith("-"):
        raise UsageError(f"expected a requirement such as shapely==2.1, got {text!r}")
    if not text.endswith(".whl") or "://" in text:
        return text
    path = Path(text).expanduser().resolve()
    if not path.is_file():
        raise UsageError(f"no wheel {text}: expected a file, or a requirement such as shapely==2.1")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return f"{path.name.partition('-')[0]} @ {path.as_uri()}#sha256={digest}"


def named_by_content(wheels: Sequence[Path], platform: Platform, prefix: str) -> str:
    """Name the environment that wheels make, by what is in them."""
    digest = hashlib.sha256()
    for path in sorted(wheels, key=lambda p: p.name):
        digest.update(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return f"{prefix}{platform.tag}-{digest.hexdigest()[:12]}"


def pip_download(
    platform: Platform, requirements: Sequence[str], folder: Path, sources: Sequence[str] = ()
) -> list[str]:
    """Give the command that fetches wheels for a platform."""
    wanted = [requirement(text) for text in requirements]
    major, minor = platform.python
    pip = command("pip", "download", "--quiet", "--no-input")
    pip += ["--disable-pip-version-check", "--only-binary=:all:", "--dest", str(folder)]
    pip += ["--implementation", "cp", "--python-version", f"{major}.{minor}"]
    if platform.free_threaded:
        pip += ["--abi", f"cp{major}{minor}t"]
    for name in platform.platforms():
        pip += ["--platform", name]
    if platform.machine in ARM_32:
        pip += ["--extra-index-url", PIWHEELS]
    return [*pip, *sources, "--", *wanted]


def unpacked_bytes(wheels: Sequence[Path]) -> int:
    """Give how much room wheels take once unpacked, compiled files included, roughly."""
    total = 0
    for path in wheels:
        with zipfile.ZipFile(path) as wheel:
            total += sum(info.file_size for info in wheel.infolist())
    return total * 5 // 4


def _complaint(said: str) -> str:
    if "No module named pip" in said:
        return "pip is missing here: python -m ensurepip"
    lines = [s for s in said.splitlines() if s.startswith("ERROR")] or said.splitlines()[-1:]
    return lines[0].removeprefix("ERROR: ") if lines else "pip printed nothing"


def _no_wheels(platform: Platform, said: str) -> str:
    hint = ""
    if platform.machine in ARM_32:
        hint = (
            " A 32-bit system needs access to piwheels.org from this machine; a 64-bit Raspberry"
            " Pi OS, for a Pi 3 and newer, does not."
        )
    return (
        f"no wheels for {platform.tag} were found ({said}). `deploy` accepts other sources by"
        f" --find-links FOLDER and --extra-index-url URL; --with accepts a wheel file.{hint}"
    )
