import fcntl
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mapreduce.cluster import onhost
from mapreduce.cluster.fleet import deploy as deploying
from mapreduce.cluster.fleet.deploy import Plan, deploy, overlaid, question
from mapreduce.cluster.fleet.display import Quiet
from mapreduce.cluster.fleet.parallel import FleetError
from mapreduce.cluster.fleet.release import overlay, own_packages, packed, release
from mapreduce.cluster.fleet.wheels import (
    Cache,
    Platform,
    Requirements,
    pip_download,
    platform_of,
    worker_needs,
)
from mapreduce.cluster.inventory.inventory import Inventory
from mapreduce.cluster.onhost import space, unpack
from mapreduce.cluster.ssh.ssh import HostError, Remote
from mapreduce.errors import JobError, UsageError
from mapreduce.job.code_files import digest
from mapreduce.job.name import JobName
from mapreduce.job.sources import name_of
from tests.cluster.shelves import enrolled_shelf, small_plan, wheel
from tests.services.sshd import Shelf

PYTHONS = Path("~/.pyenv/versions").expanduser()


@pytest.fixture
def shelf_of_two() -> Iterator[tuple[Shelf, Inventory]]:
    with enrolled_shelf(2) as both:
        yield both


@pytest.fixture
def one() -> Iterator[tuple[Shelf, Inventory]]:
    with enrolled_shelf(1) as both:
        yield both


def states(inventory: Inventory, plan: Plan) -> list[str]:
    table = deploy(inventory, inventory.hosts, Quiet(), plan)
    return [o.state.split(":")[0] if o.ok else o.state for o in table.values()]


def test_a_release_is_put_in_place_and_then_left_alone(
    shelf_of_two: tuple[Shelf, Inventory], tmp_path: Path, monkeypatch: Any
) -> None:
    hosts, inventory = shelf_of_two
    plan = small_plan(tmp_path, monkeypatch)
    assert states(inventory, plan) == ["deployed", "deployed"]
    for host in hosts.hosts:
        there = (host.root / "current").resolve()
        assert there == host.root / "releases" / plan.tree.id
        assert (there / "smallpkg" / "__init__.py").read_text() == "x = 1\n"
        (environment,) = (host.root / "environments").iterdir()
        assert (environment / "smalldep.py").exists()
        assert list((host.root / ".incoming").iterdir()) == []
        assert host.root.stat().st_mode & 0o777 == 0o700
    monkeypatch.setattr(deploying, "push", never_pushed)
    assert states(inventory, plan) == ["unchanged", "unchanged"]


def never_pushed(_: Remote, place: str, *__: Any, **___: Any) -> None:
    raise AssertionError(f"{place} was sent again")


def test_a_changed_file_makes_another_release_and_pushes_no_wheel_again(
    one: tuple[Shelf, Inventory], tmp_path: Path, monkeypatch: Any
) -> None:
    hosts, inventory = one
    first = small_plan(tmp_path, monkeypatch)
    assert states(inventory, first) == ["deployed"]
    second = small_plan(tmp_path, monkeypatch, text="x = 2\n")
    assert first.tree.id != second.tree.id
    table = deploy(inventory, inventory.hosts, Quiet(), second)
    assert table["pi1"].state == f"deployed: {second.tree.id} (release, current)"
    assert (hosts.hosts[0].root / "current").resolve().name == second.tree.id


def test_old_releases_are_pruned_but_never_one_that_an_agent_uses(
    one: tuple[Shelf, Inventory], tmp_path: Path, monkeypatch: Any
) -> None:
    hosts, inventory = one
    plans = [small_plan(tmp_path, monkeypatch, text=f"x = {i}\n") for i in range(5)]
    states(inventory, plans[0])
    note_agent(hosts, "r1", plans[0], pid=os.getpid())  # lives
    states(inventory, plans[1])
    note_agent(hosts, "r2", plans[1], pid=1 << 22)  # beyond any pid: is gone
    for plan in plans[2:]:
        states(inventory, plan)
    left = {p.name for p in (hosts.hosts[0].root / "releases").iterdir()}
    assert left == {plans[i].tree.id for i in (0, 2, 3, 4)}


def note_agent(hosts: Shelf, run: str, plan: Plan, *, pid: int) -> None:
    folder = hosts.hosts[0].root / "runs" / run / "pi1"
    folder.mkdir(parents=True)
    path = [f"releases/{plan.tree.id}"]
    noted = {"pid": pid, "began": "0", "path": path, "node": os.uname().nodename}
    (folder / "agent.pid").write_text(json.dumps(noted))


def test_what_an_interrupted_deployment_left_is_healed_by_the_next(
    one: tuple[Shelf, Inventory], tmp_path: Path, monkeypatch: Any
) -> None:
    hosts, inventory = one
    plan = small_plan(tmp_path, monkeypatch)
    (host,) = inventory.hosts
    with Remote(host, inventory) as remote:
        remote.ask("facts", {})
        body = os.urandom(1 << 20)
        with pytest.raises(HostError, match="truncated"):
            remote.ask("unpack", {"place": "releases/half", "sha256": "0"}, body[: 1 << 19])
    assert not (hosts.hosts[0].root / "releases" / "half").exists()
    room = hosts.hosts[0].root / ".incoming" / "tmpkilled"  # as kill -9 leaves it
    (room / "tree").mkdir(parents=True)
    (room / "lock").touch()
    assert states(inventory, plan) == ["deployed"]
    assert not room.exists()


def test_an_agent_script_killed_in_the_middle_leaves_nothing_in_place(tmp_path: Path) -> None:
    asked = f'{{"root": "{tmp_path}/r", "place": "releases/x", "sha256": "0"}}'
    script = onhost.script("unpack")
    process = subprocess.Popen([sys.executable, "-I", "-c", script, asked], stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(release([], ["mapreduce"]).tar()[:2000])
    process.stdin.flush()
    while not list(tmp_path.glob("r/.incoming/*/tree")):
        assert process.poll() is None
        time.sleep(0.01)  # there is no event to wait for in another process's folder
    process.kill()
    process.wait()
    process.stdin.close()
    assert not list(tmp_path.glob("r/releases/*"))
    healed = subprocess.run(
        [sys.executable, "-I", "-c", script, asked], input=b"", capture_output=True, check=True
    )
    assert b"truncated" in healed.stdout
    assert list(tmp_path.glob("r/.incoming/*")) == []


def test_a_deployment_that_begins_meanwhile_leaves_a_room_just_made_alone(
    tmp_path: Path, monkeypatch: Any
) -> None:
    flock, mkdtemp = fcntl.flock, tempfile.mkdtemp

    def made(**more: Any) -> str:
        room: str = mkdtemp(**more)
        space.healed(str(tmp_path))  # as another one does, before this one's lock is there
        return room

    def late(file: Any, how: int) -> None:
        if how == fcntl.LOCK_EX:
            space.healed(str(tmp_path))  # and before it is held
        flock(file, how)

    monkeypatch.setattr(tempfile, "mkdtemp", made)
    monkeypatch.setattr(fcntl, "flock", late)
    with unpack.incoming(str(tmp_path), str(tmp_path / "releases" / "x")) as room:
        space.healed(str(tmp_path))
        assert [path.name for path in Path(room).iterdir()] == ["lock"]
    assert [*(tmp_path / ".incoming").iterdir()] == []
    left = Path(mkdtemp(prefix=unpack.NEW, dir=tmp_path / ".incoming"))
    os.utime(left, (1e9, 1e9))
    space.healed(str(tmp_path))
    assert not left.exists()


def test_hosts_that_share_a_home_are_deployed_to_once(tmp_path: Path, monkeypatch: Any) -> None:
    with enrolled_shelf(3, same_home=True) as (_, inventory):
        plan = small_plan(tmp_path, monkeypatch)
        pushed: list[str] = []
        real = deploying.push

        def counted(remote: Remote, place: str, *args: Any, **kwargs: Any) -> None:
            pushed.append(place)
            real(remote, place, *args, **kwargs)

        monkeypatch.setattr(deploying, "push", counted)
        assert sorted(states(inventory, plan)) == ["deployed", "unchanged", "unchanged"]
        assert [p.split("/")[0] for p in pushed] == ["environments", "releases"]


def test_hosts_that_cannot_take_it_are_named_and_the_rest_deployed(
    tmp_path: Path, monkeypatch: Any
) -> None:
    with enrolled_shelf(4) as (hosts, _):
        hosts.overrides["pi1"] = {"python": "no-such-python; touch ran"}
        hosts.hosts[1].own_program("old", "#!/bin/sh\necho 'Unknown option: -I' >&2; exit 2\n")
        hosts.overrides["pi2"] = {"python": "old"}
        (hosts.hosts[2].home / ".mapreduce").write_text("a file where ROOT should be")
        inventory = hosts.inventory()
        plan = small_plan(tmp_path, monkeypatch)
        with pytest.raises(FleetError, match="deploy failed on 3 of 4 hosts") as caught:
            deploy(inventory, inventory.hosts, Quiet(), plan).check("deploy")
        said = {o.host: o.state for o in caught.value.failed}
        assert "sudo apt install python3" in said["pi1"]
        assert "Python 3.11 or newer is needed" in said["pi2"]
        assert "cannot be written" in said["pi3"] or "File exists" in said["pi3"]
        assert (hosts.hosts[3].root / "current").exists()
        assert not list(hosts.folder.rglob("ran"))


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_is_told_and_leaves_nothing_half(tmp_path: Path, monkeypatch: Any) -> None:
    with enrolled_shelf(1) as (hosts, inventory):
        home = hosts.hosts[0].home
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", home], check=True)
        try:
            plan = small_plan(tmp_path, monkeypatch)
            assert "its disk is full" in states(inventory, plan)[0]  # seen before anything is sent
            monkeypatch.setattr(deploying, "SPARE_BYTES", 0)
            (tmp_path / "packages" / "smallpkg" / "big.bin").write_bytes(os.urandom(4 << 20))
            full = Plan(needs=plan.needs, cache=plan.cache, packages=["smallpkg"])
            assert "its disk is full" in states(inventory, full)[0]  # seen while writing
            assert list(home.glob(".mapreduce/releases/*")) == []
            assert list(home.glob(".mapreduce/.incoming/*")) == []
            assert states(inventory, plan) == ["deployed"]
        finally:
            subprocess.run(["umount", "-l", home], check=True)


def test_the_users_own_file_and_what_it_requires_travel_as_an_overlay(
    one: tuple[Shelf, Inventory], tmp_path: Path, monkeypatch: Any
) -> None:
    hosts, inventory = one
    cache = small_plan(tmp_path, monkeypatch).cache
    job = tmp_path / "it's $(mine).py"
    job.write_text("class Words: pass\n")

    def sent() -> tuple[str, Any]:
        tree, reference = overlay(JobName(f"{job}:Words", {}))
        needs = Requirements(("smalldep",))
        with Remote(inventory.hosts[0], inventory) as remote:
            facts = remote.ask("facts", question(tree))
            done = overlaid(remote, facts, tree, reference, needs, cache, print)
        return done.state.split(":")[0], done.value

    state, placed = sent()
    assert state == "pushed"
    where, _, name = placed.reference.rpartition(":")
    assert name == "Words"
    assert Path(where).read_text() == job.read_text()
    assert Path(where).is_relative_to(hosts.hosts[0].root)
    assert (hosts.hosts[0].root / placed.paths[1] / "smalldep.py").exists()
    with monkeypatch.context() as patch:
        patch.setattr(deploying, "push", never_pushed)
        assert sent() == ("unchanged", placed)
    job.write_text("class Words: x = 1\n")
    state, other = sent()
    assert state == "pushed"
    assert other.id != placed.id


def test_a_package_travels_whole_and_keeps_its_name(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "mine" / "deep").mkdir(parents=True)
    for name in ("__init__.py", "deep/__init__.py", "deep/job.py", "table.json", ".secret"):
        (tmp_path / "mine" / name).write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    code = {"mine/deep/job.py": digest(b""), "mine/__init__.py": digest(b"")}
    tree, reference = overlay(JobName("mine.deep.job:Job", {}, code))
    assert reference == "mine.deep.job:Job"
    assert set(tree.files) == {
        f"mine/{n}" for n in ("__init__.py", "deep/__init__.py", "deep/job.py", "table.json")
    }
    assert overlay(JobName("mine.deep.job:Job", {}, code), ["mine"])[0].files == {}
    for wrong in ("nothing/here.py", "sys.py"):
        with pytest.raises(UsageError):
            overlay(JobName("mine.deep.job:Job", {}, code | {wrong: ""}))
    (tmp_path / "mine" / "deep" / "job.py").write_text("changed = True")
    with pytest.raises(JobError, match=r"mine/deep/job.py has changed since the run began"):
        overlay(JobName("mine.deep.job:Job", {}, code))


def test_a_release_is_named_by_contents_and_needs_alone() -> None:
    first = {"a.py": b"1", "b.py": b"2"}
    assert name_of(first) == name_of(dict(reversed(first.items())))
    others = [{"a.py": b"1"}, {"a.py": b"12", "b.py": b""}, {"a.py": b"2", "b.py": b"1"}]
    names = {name_of(first), name_of(first, ["numpy==2"]), *(name_of(o) for o in others)}
    assert len(names) == 5
    assert release([], ["mapreduce"]).tar() == release([], ["mapreduce"]).tar()


def test_the_projects_own_packages_travel_without_being_named() -> None:
    assert own_packages() == ["mapreduce", "roadspeed"]
    files = release(worker_needs().pinned).files
    assert "mapreduce/attempts/slot.py" in files
    assert not any("__pycache__" in f or f.startswith("tests") for f in files)
    for folder in ("mapreduce/formats/scanner/", "mapreduce/tables/grouping/"):
        sent = [f for f in files if f.startswith(folder)]
        assert f"{folder}__init__.py" in sent
        assert all(f.endswith(".py") for f in sent)  # what was compiled here is not for hosts


def test_a_tree_that_is_not_what_was_announced_is_refused(tmp_path: Path) -> None:
    asked = f'{{"root": "{tmp_path}/r", "place": "releases/x", "sha256": "{"0" * 64}"}}'
    done = subprocess.run(
        [sys.executable, "-I", "-c", onhost.script("unpack"), asked],
        input=packed({"a.py": b"x = 1"}),
        capture_output=True,
        check=True,
    )
    assert b"differs from what was announced" in done.stdout
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_a_tree_that_leads_out_of_its_place_is_refused(tmp_path: Path) -> None:
    for name in ("../out", "/tmp/out", "a/../../out"):
        body = packed({name: b"x"})
        digest = hashlib.sha256(body).hexdigest()
        asked = f'{{"root": "{tmp_path}/r", "place": "releases/x", "sha256": "{digest}"}}'
        done = subprocess.run(
            [sys.executable, "-I", "-c", onhost.script("unpack"), asked],
            input=body,
            capture_output=True,
            check=True,
        )
        assert b"leads out of" in done.stdout
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


FACTS: dict[str, Any] = {
    "python": [3, 11, 2],
    "system": "Linux",
    "implementation": "cpython",
    "machine": "aarch64",
    "libc": ["glibc", "2.36"],
    "free_threaded": False,
}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"python": [3, 9, 2]}, "expected Python 3.11 or newer, found 3.9.2"),
        ({"system": "Darwin"}, "expected Linux"),
        ({"implementation": "pypy"}, "expected CPython"),
    ],
)
def test_a_host_that_can_run_no_worker_is_told_why(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(HostError, match=re.escape(said)):
        platform_of(FACTS | changes)


def test_platforms_are_named_as_wheels_are() -> None:
    pi = platform_of(FACTS)
    assert pi.tag == "cp311-aarch64-glibc36"
    assert pi.platforms()[0] == "manylinux_2_36_aarch64"
    assert pi.platforms()[-2:] == ["manylinux_2_17_aarch64", "manylinux2014_aarch64"]
    old = Platform((3, 11), "armv7l", libc_minor=36)
    assert old.platforms()[-2:] == ["linux_armv7l", "linux_armv6l"]
    assert "https://www.piwheels.org/simple" in pip_download(old, ["numpy"], Path("w"))
    assert "https://www.piwheels.org/simple" not in pip_download(pi, ["numpy"], Path("w"))
    assert platform_of(FACTS | {"libc": ["", ""]}).tag == "cp311-aarch64-musl2"
    assert Platform((3, 13), "x86_64", free_threaded=True).tag == "cp313t-x86_64-glibc17"


def test_a_requirement_is_never_an_option_of_pip() -> None:
    with pytest.raises(UsageError, match="expected a requirement"):
        pip_download(platform_of(FACTS), ["--index-url=http://evil"], Path("w"))


def test_a_host_without_wheels_is_told_plainly(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", ("--no-index", "--find-links", str(tmp_path)))
    old = Platform((3, 11), "armv6l", libc_minor=36)
    with pytest.raises(
        HostError, match=r"no wheels for cp311-armv6l-glibc36 .*access to piwheels\.org"
    ):
        cache.get(Requirements(("numpy==2.0",)), old)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_version_without_wheels_gives_way_to_one_that_is_declared(tmp_path: Path) -> None:
    wheel(tmp_path, "smalldep", "1.5", {"smalldep.py": ""})
    cache = Cache(tmp_path / "cache", ("--no-index", "--find-links", str(tmp_path)))
    (found,) = cache.get(Requirements(("smalldep==2.0",), ("smalldep>=1.0",)), platform_of(FACTS))
    assert found.name == "smalldep-1.5-py3-none-any.whl"


def test_threads_that_want_the_same_wheels_fetch_them_once(
    tmp_path: Path, monkeypatch: Any
) -> None:
    wheel(tmp_path, "smalldep", "1.0", {"smalldep.py": ""})
    cache = Cache(tmp_path / "cache", ("--no-index", "--find-links", str(tmp_path)))
    calls: list[Any] = []
    real = subprocess.run

    def counted(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        return real(*args, **kwargs)

    monkeypatch.setattr(subprocess, "run", counted)
    wanted = Requirements(("smalldep==1.0",))
    threads = [
        threading.Thread(target=cache.get, args=(wanted, platform_of(FACTS))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1


def test_the_real_release_runs_on_bare_pythons_of_two_versions(monkeypatch: Any) -> None:
    """Fetches numpy's wheels, as a first deployment does."""
    other = next(iter(sorted(PYTHONS.glob("3.12*/bin/python3"))), None)
    with enrolled_shelf(2) as (hosts, _):
        if other is not None:
            hosts.overrides["pi2"] = {"python": str(other)}
        inventory = hosts.inventory()
        plan = Plan()
        table = deploy(inventory, inventory.hosts, Quiet(), plan)
        table.check("deploy")
        for host, served in zip(inventory.hosts, hosts.hosts, strict=True):
            placed = table[host.name].value
            assert placed is not None
            path = ":".join(f"{placed.root}/{p}" for p in placed.path)
            code = "import mapreduce.attempts.slot, roadspeed.speeds, numpy; print(numpy.__file__)"
            done = subprocess.run(
                [host.python, "-c", code],
                env={"PYTHONPATH": path, "HOME": str(served.home)},
                cwd="/",
                capture_output=True,
                text=True,
                check=True,
            )
            assert done.stdout.startswith(placed.root)
        monkeypatch.setattr(deploying, "push", never_pushed)
        again = deploy(inventory, inventory.hosts, Quiet(), plan)
        assert all(o.state.startswith("unchanged") for o in again.values())


def test_wheels_that_another_run_fetched_meanwhile_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetched_twice(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        wanted = next(Path(word) for word in command if word.endswith("wheels"))
        for folder in (wanted, tmp_path / needs.environment(pi)):
            folder.mkdir()
            (folder / "a.whl").touch()
        return subprocess.CompletedProcess(command, 0, "", "")

    needs, pi = Requirements(("a==1",)), Platform((3, 11), "aarch64")
    monkeypatch.setattr(subprocess, "run", fetched_twice)
    assert [path.name for path in Cache(tmp_path).get(needs, pi)] == ["a.whl"]
