"""Enrolled shelves, and a release so small that deploying it takes no time and no network."""

import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mapreduce.cluster import onhost
from mapreduce.cluster.fleet import enrol
from mapreduce.cluster.fleet.deploy import Plan
from mapreduce.cluster.fleet.display import Quiet
from mapreduce.cluster.fleet.wheels import Cache, Platform, Requirements, platform_of
from mapreduce.cluster.inventory.inventory import Inventory
from tests.services.sshd import PYTHON, Shelf, shelf


def never_ask(question: str) -> bool:
    raise AssertionError(f"nobody was to be asked, but: {question}")


def enrolled(shelf_of_hosts: Shelf) -> Inventory:
    """Write the inventory and pin every host's key."""
    inventory = shelf_of_hosts.inventory()
    shown = enrol.look(inventory, inventory.hosts, Quiet())
    assert not shown.failed, shown.failed
    assert not enrol.accept(inventory, shown.values_by_host, ask=never_ask, yes=True)
    return inventory


@contextmanager
def enrolled_shelf(count: int, *, same_home: bool = False) -> Iterator[tuple[Shelf, Inventory]]:
    with shelf(count, same_home=same_home) as hosts:
        yield hosts, enrolled(hosts)


def wheel(folder: Path, name: str, version: str, files: dict[str, str]) -> Path:
    """Make a wheel by hand, as pip takes it."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    meta = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as out:
        for inside, text in files.items():
            out.writestr(inside, text)
        out.writestr(
            f"{meta}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        out.writestr(
            f"{meta}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        out.writestr(f"{meta}/RECORD", "")
    return path


def small_plan(folder: Path, monkeypatch: pytest.MonkeyPatch, *, text: str = "x = 1\n") -> Plan:
    """Make a plan of one small package and one small wheel, of any machine and Python."""
    packages, wheels = folder / "packages", folder / "wheels"
    (packages / "smallpkg").mkdir(parents=True, exist_ok=True)
    wheels.mkdir(exist_ok=True)
    (packages / "smallpkg" / "__init__.py").write_text(text)
    wheel(wheels, "smalldep", "1.0", {"smalldep.py": "y = 2\n"})
    if str(packages) not in sys.path:
        monkeypatch.syspath_prepend(str(packages))
    needs = Requirements(("smalldep==1.0",))
    cache = Cache(folder / "cache", ("--no-index", "--find-links", str(wheels)))
    there = folder / "cache" / needs.environment(this_platform(folder))  # as pip would leave it
    if not there.exists():
        shutil.copytree(wheels, there)
    return Plan(needs=needs, cache=cache, packages=["smallpkg"])


def this_platform(folder: Path) -> Platform:
    """Give the platform of the hosts: that of the Python under the tests' own."""
    asked = json.dumps({"root": str(folder / "facts")})
    command = [PYTHON, "-I", "-c", onhost.script("facts"), asked]
    done = subprocess.run(command, check=True, capture_output=True)
    return platform_of(json.loads(done.stdout))
