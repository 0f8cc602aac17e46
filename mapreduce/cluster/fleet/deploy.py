"""Releases onto hosts: what is missing is pushed, switched on in one step, and old ones pruned.

On a host, under ROOT: `releases/ID` (our packages), `environments/TAG-HASH` (unpacked wheels, for
one Python and machine), `overlays/ID` (a user's own code), `current` (a link to the release). A
folder that is there is whole and was imported once; so an unchanged host costs one question, and
an interrupted deployment is healed by the next. Hosts that share a home take turns.
"""

from __future__ import annotations

import hashlib
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from mapreduce.cluster.fleet.parallel import Display, HostDone, HostOutcomes, on_each
from mapreduce.cluster.fleet.release import FileTree, packed, release
from mapreduce.cluster.fleet.wheels import (
    Cache,
    Requirements,
    named_by_content,
    platform_of,
    unpacked_bytes,
    worker_needs,
)
from mapreduce.cluster.inventory.inventory import Host, Inventory
from mapreduce.cluster.ssh.ssh import HostError, Remote

SLOWEST_BYTES_PER_S: Final = 100_000
IMPORT_S: Final = 120  # an old Pi compiles numpy's files as it imports them
SPARE_BYTES: Final = 32 << 20


@dataclass(frozen=True, slots=True)
class Deployed:
    """Where a host keeps what a worker needs; `path` is in the order Python is to look."""

    root: str
    release: str
    environment: str

    @property
    def path(self) -> tuple[str, ...]:
        """Folders under ROOT that make a worker's PYTHONPATH."""
        return (f"releases/{self.release}", f"environments/{self.environment}")


@dataclass(slots=True)
class Plan:
    """What is deployed to everyone: made once, used by all threads."""

    needs: Requirements = field(default_factory=worker_needs)
    cache: Cache = field(default_factory=Cache)
    packages: Sequence[str] | None = None
    tree: FileTree = field(init=False)
    _locks: dict[str, threading.Lock] = field(default_factory=lambda: defaultdict(threading.Lock))

    def __post_init__(self) -> None:
        """Read and name the release."""
        self.tree = release(self.needs.pinned, self.packages)

    @property
    def question(self) -> dict[str, Any]:
        """Give what a host is asked about it: which of its parts are there as they were put."""
        release, environment = f"releases/{self.tree.id}", f"environments/*-{self.needs.digits}"
        return {"mark": True, "whole": {release: self.tree.sources, environment: None}}

    def lock(self, home: str | None) -> threading.Lock:
        """Give the lock of a home that several hosts may share."""
        return self._locks[home] if home else threading.Lock()


def deploy(
    inventory: Inventory, hosts: Sequence[Host], board: Display, plan: Plan | None = None
) -> HostOutcomes[Deployed]:
    """Bring hosts to this machine's release; those that have it are left alone."""
    plan = plan or Plan()

    def put(host: Host, tell: Callable[[str], None]) -> HostDone[Deployed]:
        tell("connects")
        with Remote(host, inventory) as remote:
            return brought(remote, remote.ask("facts", plan.question), plan, tell)

    return on_each(hosts, put, board)


def brought(
    remote: Remote,
    facts: dict[str, Any],
    plan: Plan,
    tell: Callable[[str], None] = lambda _: None,
) -> HostDone[Deployed]:
    """Bring a connected host, which has answered the plan's question, to the plan."""
    if missing(facts, plan):
        tell("waits")  # for a host that shares its home, if there is one
        with plan.lock(facts["home"]):
            return _bring(remote, remote.ask("facts", plan.question), plan, tell)
    return HostDone(f"unchanged: {plan.tree.id}", _deployed(facts, plan))


def missing(facts: dict[str, Any], plan: Plan) -> list[str]:
    """Tell what a host lacks: `environment`, `release`, `current`.

    Raises HostError where a worker cannot run there, or ROOT cannot be used.
    """
    platform = platform_of(facts)
    trusted(facts)
    whole = facts["whole"]
    there = {
        "environment": f"environments/{plan.needs.environment(platform)}" in whole,
        "release": f"releases/{plan.tree.id}" in whole,
        "current": facts["current"] == plan.tree.id,
    }
    return [what for what, is_there in there.items() if not is_there]


def trusted(facts: dict[str, Any]) -> None:
    """Raise HostError where ROOT cannot be written, or others can write it."""
    error = facts.get("root_error")
    if error:
        raise HostError(
            error if facts["untrusted"] else f"{facts['root']} cannot be written: {error}"
        )


def altered(facts: dict[str, Any]) -> str:
    """Say what was not there as it had been put there, if anything was."""
    return "".join(f"; {why}: sent again" for why in facts.get("altered", {}).values())


def _deployed(facts: dict[str, Any], plan: Plan) -> Deployed:
    environment = plan.needs.environment(platform_of(facts))
    return Deployed(facts["root"], plan.tree.id, environment)


def _bring(
    remote: Remote, facts: dict[str, Any], plan: Plan, tell: Callable[[str], None]
) -> HostDone[Deployed]:
    """Push what is missing, in an order in which each step may be the last."""
    lacks = missing(facts, plan)
    done = _deployed(facts, plan)
    if not lacks:
        return HostDone(f"unchanged: its home is shared, {plan.tree.id}", done)
    if "environment" in lacks:
        put_wheels(remote, facts, plan.needs, plan.cache, done.environment, tell)
    if "release" in lacks:
        tell("sending the release")
        imports = (
            ["mapreduce.attempts.slot"] if "mapreduce/attempts/slot.py" in plan.tree.files else []
        )
        push(
            remote,
            f"releases/{done.release}",
            plan.tree.tar(),
            imports=imports,
            path=[f"environments/{done.environment}"],
            sources=plan.tree.sources,
        )
    tell("switches")
    step = {"switch": done.release, "environment": done.environment, "prune": True}
    removed = remote.ask("unpack", step)["removed"]
    pruned = f", {len(removed)} old ones removed" if removed else ""
    anew = altered(facts)
    return HostDone(f"deployed: {done.release} ({', '.join(lacks)}){pruned}{anew}", done)


def put_wheels(
    remote: Remote,
    facts: dict[str, Any],
    needs: Requirements,
    cache: Cache,
    name: str,
    tell: Callable[[str], None],
) -> None:
    """Fetch the wheels of an environment if they are not here, and unpack them on a host.

    Raises HostError where there are no wheels for it, or no room.
    """
    platform = platform_of(facts)
    tell(f"waiting for wheels for {platform.tag}")
    wheels = cache.get(needs, platform)
    see_room(facts, unpacked_bytes(wheels))
    body = packed({path.name: path.read_bytes() for path in wheels})
    tell(f"pushes {len(body) / 1e6:,.1f} MB of wheels")
    imports = ["numpy", "msgspec", "urllib3"] if needs.declared else []
    push(remote, f"environments/{name}", body, imports=imports)


def see_room(facts: Mapping[str, Any], size_bytes: int) -> None:
    """Raise HostError where a host's disk has no room for so much."""
    free, needed = facts["disk_free_bytes"], size_bytes + SPARE_BYTES
    if free is not None and free < needed:
        raise HostError(
            f"its disk is full: {needed >> 20:,} MiB are needed under {facts['root']},"
            f" {free >> 20:,} are free: free some space, or move root = … in hosts.toml to another"
            " disk"
        )


def push(
    remote: Remote,
    place: str,
    body: bytes,
    *,
    imports: Sequence[str] = (),
    path: Sequence[str] = (),
    sources: str | None = None,
) -> None:
    """Send a tar to a place under ROOT: there it is whole or not at all."""
    asked = {
        "place": place,
        "sources": sources,
        "sha256": hashlib.sha256(body).hexdigest(),
        "imports": list(imports),
        "path": list(path),
        "timeout_s": IMPORT_S,
    }
    timeout_s = 2 * IMPORT_S + len(body) / SLOWEST_BYTES_PER_S
    remote.ask("unpack", asked, body, timeout_s=timeout_s)


@dataclass(frozen=True, slots=True)
class Overlay:
    """A user's own code on a host: `reference` names the job there, `paths` are under ROOT."""

    id: str
    reference: str
    paths: tuple[str, ...]


def question(tree: FileTree | None) -> dict[str, Any]:
    """Give what a host is asked about an overlay."""
    return {"mark": True, "whole": {} if tree is None else {f"overlays/{tree.id}": tree.sources}}


def overlaid(
    remote: Remote,
    facts: dict[str, Any],
    tree: FileTree | None,
    reference: str,
    needs: Requirements | None,
    cache: Cache,
    tell: Callable[[str], None] = lambda _: None,
) -> HostDone[Overlay]:
    """Bring a connected host, which has answered the question about it, a job's own code."""
    trusted(facts)
    paths, new = [], False
    if tree is not None:
        paths.append(f"overlays/{tree.id}")
        if paths[0] not in facts["whole"]:
            tell("sending the code")
            push(remote, paths[0], tree.tar(), sources=tree.sources)
            new = True
    if needs is not None:
        platform = platform_of(facts)
        tell("wants wheels")
        name = named_by_content(cache.get(needs, platform), platform, "x-")
        paths.append(f"environments/{name}")
        if paths[-1] not in remote.ask("facts", {"whole": {paths[-1]: None}})["whole"]:
            put_wheels(remote, facts, needs, cache, name, tell)
            new = True
    where, _, job = reference.rpartition(":")
    there = f"{facts['root']}/{paths[0]}/{where}" if where.endswith(".py") else where
    done = Overlay("" if tree is None else tree.id, f"{there}:{job}", tuple(paths))
    return HostDone(f"{'pushed' if new else 'unchanged'}: {' '.join(paths)}", done)
