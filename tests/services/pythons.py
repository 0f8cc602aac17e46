"""The Pythons that a host may have, as far as this machine has them, and a worker's needs for each.

The distribution's own /usr/bin/python3 is what hosts run (Debian 12: 3.11.2), and the oldest and
newest that are supported are what they may run. What an agent needs there is put in place as a
deployment puts it: the same wheels, unpacked by the script that runs on hosts.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mapreduce.cluster import onhost
from mapreduce.cluster.fleet.release import packed
from mapreduce.cluster.fleet.wheels import Cache, platform_of, worker_needs

if TYPE_CHECKING:
    from collections.abc import Mapping

DISTRIBUTION = "/usr/bin/python3"
NAMES = ("python3.11", "python3.12", "python3.13", "python3.14", "python3")
OLDEST = (3, 11)
_ABOUT = (
    "import json, sys; print(json.dumps([sys.executable, list(sys.version_info[:3]),"
    " sys.implementation.name, sys.prefix != sys.base_prefix]))"
)


@cache
def pythons() -> dict[str, str]:
    """Give the supported Pythons of this machine by version; the distribution's first."""
    found: dict[str, str] = {}
    places = [DISTRIBUTION, *filter(None, map(shutil.which, NAMES)), *_of_pyenv()]
    for place in places:
        about = _about(place)
        if about is not None:
            found.setdefault(*about)
    return found


def _of_pyenv() -> list[str]:
    """Give those that pyenv has installed, whether or not they are switched on."""
    if shutil.which("pyenv") is None:
        return []
    root = subprocess.run(["pyenv", "root"], capture_output=True, text=True, check=False)
    places = Path(root.stdout.strip()).glob("versions/*/bin/python3")
    return sorted(str(place) for place in places) if root.stdout.strip() else []


def _about(place: str) -> tuple[str, str] | None:
    """Give version and path of a Python that may run an agent."""
    try:
        said = subprocess.run(
            [place, "-I", "-c", _ABOUT], capture_output=True, text=True, timeout=20, check=True
        )
        path, version, kind, virtual = json.loads(said.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    good = kind == "cpython" and tuple(version) >= OLDEST and not virtual
    return (".".join(map(str, version)), path) if good else None


def needs_of(python: str, root: Path) -> Path:
    """Put what a worker needs into ROOT/environments, for a Python; give the folder.

    Raises
    ------
    HostError
        Where there are no wheels for it.
    """
    asked = {"root": str(root)}
    platform = platform_of(_ask(python, "facts", asked, b""))
    needs = worker_needs()
    name = f"environments/{needs.environment(platform)}"
    if not (root / name).is_dir():
        wheels = Cache().get(needs, platform)
        body = packed({path.name: path.read_bytes() for path in wheels})
        sent = {"place": name, "sha256": hashlib.sha256(body).hexdigest(), "timeout_s": 120}
        told = _ask(python, "unpack", {**asked, **sent}, body)
        assert told.get("ok"), told
    return root / name


def _ask(python: str, script: str, asked: Mapping[str, object], body: bytes) -> dict[str, Any]:
    done = subprocess.run(
        [python, "-I", "-c", onhost.script(script), json.dumps(asked)],
        input=body,
        capture_output=True,
        check=True,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
