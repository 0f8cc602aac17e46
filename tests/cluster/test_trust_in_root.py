"""What another user could have put into ROOT never runs: real sshd, really planted files."""

from __future__ import annotations

import json
import os
import py_compile
import shlex
import shutil
import stat
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mapreduce.cluster.fleet import agent_control
from mapreduce.cluster.fleet.agent_control import start_agent
from mapreduce.cluster.fleet.deploy import Deployed, Plan, deploy
from mapreduce.cluster.fleet.display import Quiet
from mapreduce.cluster.onhost import content, facts, ground
from mapreduce.cluster.ssh.ssh import HostError, Remote
from tests.cluster.shelves import enrolled_shelf, small_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mapreduce.cluster.inventory.inventory import Inventory
    from tests.services.sshd import Shelf, SshHost

NOBODY = 65534
AGENT = """
import signal, sys
sys.stdin.buffer.read()
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("started", flush=True)
signal.pause()
"""
FOREIGN = "import pathlib\npathlib.Path({!r}).touch()\n"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="being another user needs root")

One = tuple["Shelf", "Inventory"]


@pytest.fixture(scope="module")
def shelf_of_one() -> Iterator[One]:
    with enrolled_shelf(1) as hosts:
        yield hosts


@pytest.fixture
def one(shelf_of_one: One) -> Iterator[One]:
    """A host whose home is empty."""
    yield shelf_of_one
    hosts = shelf_of_one[0]
    hosts.root = ".mapreduce"
    shutil.rmtree(hosts.hosts[0].home)
    hosts.hosts[0].home.mkdir()


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    return small_plan(tmp_path, monkeypatch, text=AGENT)


def state(inventory: Inventory, plan: Plan) -> str:
    return deploy(inventory, inventory.hosts, Quiet(), plan)["pi1"].state


def placed(inventory: Inventory, plan: Plan) -> Deployed:
    table = deploy(inventory, inventory.hosts, Quiet(), plan)
    table.check("deploy")
    return table.values_by_host["pi1"]


def starts(one: One, there: Deployed, run: str = "r1") -> None:
    inventory = one[1]
    with Remote(inventory.hosts[0], inventory) as remote:
        start_agent(remote, run, b"secret", there, module="smallpkg")
    agent_control.stop(inventory, inventory.hosts, Quiet())


def as_nobody(command: str) -> None:
    subprocess.run(["/bin/sh", "-c", command], user=NOBODY, group=NOBODY, cwd="/", check=True)


def test_a_root_that_others_can_write_is_not_used(one: One, plan: Plan) -> None:
    hosts, inventory = one
    there = placed(inventory, plan)
    root = hosts.hosts[0].root
    for mode in (0o777, 0o770, 0o702):
        root.chmod(mode)
        assert f"chmod go-w {root}" in state(inventory, plan)
        with pytest.raises(HostError, match="others can write into"):
            starts(one, there)
        refused = agent_control.remove(inventory, inventory.hosts, Quiet())["pi1"]
        assert not refused.ok
    root.chmod(0o755)
    assert state(inventory, plan).startswith("unchanged")


@pytest.mark.parametrize("kind", ["releases", "environments", "overlays", "runs", "inputs"])
def test_a_folder_in_root_that_others_can_write_is_not_used(
    one: One, plan: Plan, kind: str
) -> None:
    hosts, inventory = one
    there = placed(inventory, plan)
    folder = hosts.hosts[0].root / kind
    folder.mkdir(exist_ok=True)
    folder.chmod(0o777)
    assert f"others can write into {folder}" in state(inventory, plan)
    with pytest.raises(HostError, match="others can write into"):
        starts(one, there)


def test_a_folder_above_root_that_others_can_write_is_not_used(one: One, plan: Plan) -> None:
    hosts, _ = one
    home = hosts.hosts[0].home
    hosts.root = "shared/of/mine"
    inventory = hosts.inventory()
    (home / "shared").mkdir()
    (home / "shared").chmod(0o777)
    assert f"others can write into {home / 'shared'}" in state(inventory, plan)
    assert not (home / "shared" / "of").exists()
    (home / "shared").chmod(0o1777)  # as /tmp: nobody replaces there what is not theirs
    assert state(inventory, plan).startswith("deployed")
    (home / "shared" / "of").chmod(0o775)
    assert "others can write into" in state(inventory, plan)


@needs_root
def test_a_root_or_a_link_of_another_user_is_not_used(one: One, plan: Plan) -> None:
    hosts, inventory = one
    there = placed(inventory, plan)
    root = hosts.hosts[0].root
    os.chown(root, NOBODY, NOBODY)
    assert "belongs to" in state(inventory, plan)
    with pytest.raises(HostError, match="belongs to"):
        starts(one, there)
    os.chown(root, 0, 0)
    hosts.root = "open/root"
    home = hosts.hosts[0].home
    (home / "open").mkdir()
    (home / "open").chmod(0o1777)
    (home / "open" / "root").symlink_to(root)
    os.lchown(home / "open" / "root", NOBODY, NOBODY)
    assert "is a link that belongs to" in state(hosts.inventory(), plan)
    os.lchown(home / "open" / "root", 0, 0)
    assert state(hosts.inventory(), plan).startswith("unchanged")


def tree_of(host: SshHost, plan: Plan, kind: str) -> Path:
    if kind == "release":
        return host.root / "releases" / plan.tree.id
    (environment,) = (host.root / "environments").iterdir()
    return environment


def plants_package(tree: Path, foreign: str) -> None:
    """A whole folder of others' making, as one who knows the name prepares it."""
    shutil.rmtree(tree)
    tree.mkdir(mode=0o700)
    for name in ("smallpkg", "smalldep", "sitecustomize"):
        (tree / f"{name}.py").write_text(foreign + AGENT)


def changes_file(tree: Path, foreign: str) -> None:
    for path in tree.rglob("small*.py"):
        path.write_text(foreign + path.read_text())
    for path in tree.rglob("smallpkg/__init__.py"):
        path.write_text(foreign + path.read_text())


def changes_bytes_of_the_same_size(tree: Path, _: str) -> None:
    """Same size and time of change, as `touch -r` makes it; the kernel's own time tells."""
    path = next(p for p in tree.rglob("*.py"))
    status, raw = path.stat(), path.read_bytes()
    path.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def adds_module(tree: Path, foreign: str) -> None:
    (tree / "sitecustomize.py").write_text(foreign)


def changes_what_was_compiled(tree: Path, foreign: str) -> None:
    """The source stays as it was; Python would load what was compiled."""
    compiled = next(p for p in tree.rglob("*.pyc"))
    source = next(p for p in tree.rglob("*.py"))
    status = source.stat()
    bad = tree.parent.parent / "bad.py"
    bad.write_text(foreign + AGENT)
    body = Path(py_compile.compile(str(bad), str(bad) + "c")).read_bytes()  # type: ignore[arg-type]  # it raises or gives one
    head = body[:8] + int(status.st_mtime).to_bytes(4, "little")
    compiled.write_bytes(head + status.st_size.to_bytes(4, "little") + body[16:])
    bad.unlink()
    Path(str(bad) + "c").unlink()


def links_elsewhere(tree: Path, foreign: str) -> None:
    away = tree.parent.parent.parent / "elsewhere"
    shutil.copytree(tree, away)
    adds_module(away, foreign)
    shutil.rmtree(tree)
    tree.symlink_to(away)


def links_inside(tree: Path, foreign: str) -> None:
    other = tree.parent.parent.parent / "foreign.py"
    other.write_text(foreign)
    (tree / "sitecustomize.py").symlink_to(other)


def takes_a_file_away(tree: Path, _: str) -> None:
    next(p for p in tree.rglob("*.py")).unlink()


def forges_the_note(tree: Path, foreign: str) -> None:
    """A note of another tree of ours, with the tree it is of: an old one under a new name."""
    adds_module(tree, foreign)
    for note in tree.glob(".content-*"):
        body = json.loads(note.read_text())
        body["place"] = "releases/another"
        note.write_text(json.dumps(body))


SPOILS: list[Callable[[Path, str], None]] = [
    plants_package,
    changes_file,
    changes_bytes_of_the_same_size,
    adds_module,
    changes_what_was_compiled,
    links_elsewhere,
    links_inside,
    takes_a_file_away,
    forges_the_note,
]


@pytest.mark.parametrize("kind", ["release", "environment"])
@pytest.mark.parametrize("spoil", SPOILS)
def test_what_is_not_as_it_was_put_there_is_not_run_and_is_put_anew(
    one: One, plan: Plan, tmp_path: Path, spoil: Callable[[Path, str], None], kind: str
) -> None:
    hosts, inventory = one
    there = placed(inventory, plan)
    ran = tmp_path / "ran"
    spoil(tree_of(hosts.hosts[0], plan, kind), FOREIGN.format(str(ran)))
    with pytest.raises(HostError, match="so it is not used: deploy again"):
        starts(one, there)
    said = state(inventory, plan)
    assert said.startswith("deployed")
    assert "sent again" in said
    assert state(inventory, plan).startswith("unchanged")
    starts(one, there, "r2")
    assert not ran.exists()
    left = [p.name for p in tree_of(hosts.hosts[0], plan, kind).parent.iterdir()]
    assert len(left) == 1, left


@needs_root
def test_a_release_that_another_user_planted_is_not_run(
    one: One, plan: Plan, tmp_path: Path
) -> None:
    hosts, inventory = one
    placed(inventory, small_plan(tmp_path, pytest.MonkeyPatch(), text="x = 1\n"))
    host, ran = hosts.hosts[0], tmp_path / "ran"
    releases = host.root / "releases"
    for folder in (hosts.folder, host.folder, host.home, host.root, releases):
        folder.chmod(folder.stat().st_mode | 0o055)
    releases.chmod(0o777)
    tree = releases / plan.tree.id
    text, package = FOREIGN.format(str(ran)) + AGENT, shlex.quote(f"{tree}/smallpkg")
    as_nobody(f"mkdir -p {package} && printf %s {shlex.quote(text)} > {package}/__init__.py")
    assert "others can write into" in state(inventory, plan)
    releases.chmod(0o700)  # its owner follows the advice; what was planted is there still
    (tmp_path / "packages" / "smallpkg" / "__init__.py").write_text(AGENT)
    assert "belongs to" in state(inventory, plan)
    assert tree.stat().st_uid != NOBODY
    starts(one, placed(inventory, plan))
    assert not ran.exists()
    assert stat.S_IMODE(tree.stat().st_mode) == 0o700


def test_what_lies_in_a_runs_folder_is_not_imported(one: One, plan: Plan, tmp_path: Path) -> None:
    hosts, inventory = one
    there = placed(inventory, plan)
    ran, folder = tmp_path / "ran", hosts.hosts[0].root / "runs" / "r1" / "pi1"
    folder.mkdir(parents=True, mode=0o700)
    for name in ("smallpkg", "signal", "sitecustomize", "usercustomize"):
        (folder / f"{name}.py").write_text(FOREIGN.format(str(ran)) + AGENT)
    starts(one, there)
    assert not ran.exists()


@pytest.mark.parametrize("how", ["long", "link", "folder"])
def test_a_planted_home_id_is_neither_read_nor_a_reason_to_delete(
    one: One, plan: Plan, how: str, tmp_path: Path
) -> None:
    hosts, inventory = one
    root, secret = hosts.hosts[0].root, tmp_path / "secret"
    secret.write_text("of mine")
    root.mkdir(mode=0o700)
    (root / "of-mine").write_text("stays")
    mark = root / "home-id"
    if how == "long":
        mark.write_text("x" * 100)
    elif how == "link":
        mark.symlink_to(secret)
    else:
        mark.mkdir()
    said = state(inventory, plan)
    assert f"{mark} does not belong to this program" in said
    assert "of mine" not in said
    if how != "long":
        assert not agent_control.remove(inventory, inventory.hosts, Quiet())["pi1"].ok
    assert (root / "of-mine").exists()


def test_a_home_id_that_another_host_is_just_making_is_waited_for(tmp_path: Path) -> None:
    """It is whole from the first, and for a moment has two names (`facts.marked`)."""
    own = tmp_path / "home-id.of-another"
    own.write_text("a1" * 16)
    (tmp_path / "home-id").hardlink_to(own)
    threading.Timer(0.2, own.unlink).start()
    assert facts.marker(str(tmp_path)) == "a1" * 16


def test_a_home_id_that_keeps_another_name_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a1" * 16)
    (tmp_path / "home-id").hardlink_to(tmp_path / "secret")
    with pytest.raises(ground.Untrusted, match="does not belong to this program"):
        facts.marker(str(tmp_path))


def test_looking_at_a_host_puts_nothing_there(one: One, plan: Plan) -> None:
    hosts, inventory = one
    root = hosts.hosts[0].root
    agent_control.status(inventory, inventory.hosts, Quiet())
    assert not root.exists()
    placed(inventory, plan)
    agent_control.remove(inventory, inventory.hosts, Quiet()).check("remove")
    assert not root.exists()
    agent_control.status(inventory, inventory.hosts, Quiet()).check("status")
    agent_control.stop(inventory, inventory.hosts, Quiet()).check("stop")
    assert not root.exists()


def test_a_host_of_another_python_compiles_its_own_and_trusts_it_then(tmp_path: Path) -> None:
    """Hosts with two Pythons may share a home: what one compiled is nothing to the other."""
    tree = tmp_path / "releases" / "x"
    (tree / "pkg").mkdir(parents=True)
    tree.chmod(0o700)
    (tree / "pkg" / "__init__.py").write_text("x = 1\n")
    content.compiled(str(tree))
    content.noted(str(tree), "releases/x")
    other = tree / f"{content.NOTE}cpython-399"
    (tree / f"{content.NOTE}{content.TAG}").rename(other)  # as if that one had put it there
    body = json.loads(other.read_text())
    body["files"] = {p: v for p, v in body["files"].items() if not p.endswith(".pyc")}
    other.write_text(json.dumps(body))
    assert [*body["files"]] == ["pkg/__init__.py"]
    planted = next(tree.rglob("*.pyc"))
    planted.write_bytes(b"planted")
    assert content.fault(str(tmp_path), "releases/x") is None
    assert planted.read_bytes() != b"planted"
    assert (tree / f"{content.NOTE}{content.TAG}").exists()
    assert content.fault(str(tmp_path), "releases/x") is None
    planted.write_bytes(b"planted")
    assert "was changed" in (content.fault(str(tmp_path), "releases/x") or "")
    planted.unlink()
    content.compiled(str(tree))
    (tree / "pkg" / "__pycache__" / "__init__.cpython-312.pyc").write_bytes(b"theirs")
    assert content.fault(str(tmp_path), "releases/x") is None  # no Python but theirs loads it
