"""Agents on the hosts of an inventory, over SSH: brought up to date, started, and ended.

A host that has this machine's release is asked one question before its agent starts, in the same
conversation; one that lacks it is deployed to first. A job that is no part of the release travels
as an overlay.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from mapreduce.cluster.engine import Cluster
from mapreduce.cluster.fleet import agent_control
from mapreduce.cluster.fleet.deploy import Deployed, Plan, brought, overlaid, question
from mapreduce.cluster.fleet.display import Quiet
from mapreduce.cluster.fleet.release import FileTree, overlay, own_packages
from mapreduce.cluster.fleet.side_inputs import bring_inputs, place_of
from mapreduce.cluster.fleet.wheels import Cache, Requirements, requirement
from mapreduce.cluster.inventory.inventory import TUNNEL, Host, Inventory
from mapreduce.cluster.protocol import agent_config as configs
from mapreduce.cluster.protocol.agent_config import AgentConfig
from mapreduce.cluster.schedule.rules import Rules
from mapreduce.cluster.ssh.conversation import Conversation
from mapreduce.cluster.ssh.ssh import LOOPBACK, Remote
from mapreduce.cluster.ssh.tunnel import Tunnel
from mapreduce.engine import Sites
from mapreduce.errors import UsageError
from mapreduce.job.name import JobName

LOOK_S: Final = 2.0  # between looks at the inventory for hosts that are new
Chosen: TypeAlias = "Callable[[], Sequence[Host]]"


class OverSSH:
    """Starts agents on hosts of an inventory, each with what the job needs there.

    `requirements` are wheels it needs beyond a worker's own. `chosen` reads the inventory again and
    gives the hosts chosen now; it is None where no host may join a run. `nearest` is a store's
    endpoint of its own, by host; those of newcomers are added.
    """

    def __init__(
        self,
        inventory: Inventory,
        hosts: Sequence[Host],
        requirements: Sequence[str] = (),
        *,
        chosen: Chosen | None = None,
        nearest: dict[str, str] | None = None,
    ) -> None:
        self._chosen = chosen
        self._nearest = {} if nearest is None else nearest
        self._marks = _marks(inventory.path)
        self._looked = time.monotonic()
        self._requirements = tuple(requirement(text) for text in requirements)
        self.release = ""
        self.overlay = ""
        self._inventory = inventory
        self._hosts = {host.name: host for host in hosts}
        self._plan: Plan | None = None
        self._cache = Cache()
        self._job: JobName | None = None
        self._own, self._reference = FileTree("", {}), ""
        self._placed: dict[str, Deployed] = {}
        self._overlays: dict[str, tuple[str, ...]] = {}
        self._tunnels: dict[str, Tunnel] = {}
        self._inputs: dict[str, tuple[str, ...]] = {}
        self._parted: frozenset[str] = frozenset()
        self._talks: dict[
            str, tuple[Remote, Conversation]
        ] = {}  # between its placing and its start

    def prepare(self, job: JobName) -> None:
        """Name the release, and the overlay if the job is no part of it."""
        self._plan = Plan()
        self._job = job
        self.release = self._plan.tree.id
        self._own, self._reference = overlay(job, own_packages())
        self.overlay = self._own.id if self._own.files else ""

    def place(self, host: str) -> JobName | None:
        """Bring a host what it lacks; give the job's name there, if not as here."""
        if self._plan is None or self._job is None:
            raise UsageError("the job must be known before the hosts: call prepare first")
        if before := self._talks.pop(host, None):  # it was placed, and then not started
            before[0].close()
        remote = Remote(self._hosts[host], self._inventory)
        remote.__enter__()
        try:
            talk = Conversation(remote)
            job = self._brought(remote, talk, self._plan, self._job)
        except BaseException:
            remote.close()
            raise
        self._talks[host] = remote, talk
        return None if job is self._job else job

    def _brought(self, remote: Remote, talk: Conversation, plan: Plan, job: JobName) -> JobName:
        """Bring a host what it lacks, asking one question where that is nothing."""
        host, own = remote.host.name, self._own if self.overlay else None
        asked = plan.question
        asked["whole"] |= question(own)["whole"]
        facts = talk.ask("facts", asked)
        self._placed[host] = brought(remote, facts, plan).value
        if own is not None or self._requirements:
            needs = Requirements(self._requirements) if self._requirements else None
            code = own, self._reference, needs
            there = overlaid(remote, facts, *code, self._cache).value
            self._overlays[host] = there.paths
            job = msgspec.structs.replace(job, reference=there.reference)
        if job.files:
            files = bring_inputs(remote, job.files, plan.lock, facts)
            self._inputs[host] = tuple(place_of(seal) for seal in files.values())
            job = msgspec.structs.replace(job, files=files)
        return job

    def start(self, host: str, config: AgentConfig) -> None:
        """Start an agent, and wait until it is welcomed; through its tunnel, if it has one."""
        with contextlib.ExitStack() as kept:
            tunnel, known = self._tunnels.get(host), self._talks.pop(host, None)
            if known is not None:
                kept.callback(known[0].close)
            remote, talk = known or (None, None)
            if tunnel is not None:
                remote = remote or tunnel.remote
            remote = remote or kept.enter_context(Remote(self._hosts[host], self._inventory))
            agent_control.start_agent(
                remote,
                config.run,
                configs.encode(config),
                self._placed[host],
                overlays=self._overlays.get(host, ()),
                inputs=self._inputs.get(host, ()),
                talk=talk,
            )

    def newcomers(self) -> dict[str, int]:
        """Give the hosts that are chosen now and were not, where the inventory has changed."""
        now = time.monotonic()
        if self._chosen is None or now - self._looked < LOOK_S:
            return {}
        self._looked = now
        marks = _marks(self._inventory.path)
        if marks == self._marks:
            return {}
        self._marks = marks
        new = {host.name: host for host in self._chosen() if host.name not in self._hosts}
        self._hosts |= new
        everyone = {host.name: host for host in self._inventory.hosts} | new
        self._inventory = dataclasses.replace(self._inventory, hosts=tuple(everyone.values()))
        self._nearest.update({n: host.endpoint for n, host in new.items() if host.endpoint})
        return {name: host.slots or 0 for name, host in new.items()}

    def stop(self, hosts: Sequence[str], run: str, patience_s: float = 1.0) -> None:
        """End what has not ended by itself; a host that is gone is left to its agent's patience."""
        there = [self._hosts[h] for h in hosts if h not in self._parted]
        if not there:
            return
        agent_control.stop(self._inventory, there, Quiet(), run_id=run, patience_s=patience_s)

    def open(self, host: str, target: tuple[str, int]) -> tuple[str, int]:
        """Make a way back through SSH; give where the host dials."""
        if before := self._tunnels.pop(host, None):
            before.close()
        tunnel = self._tunnels[host] = Tunnel(self._hosts[host], self._inventory, target)
        tunnel.open()
        return LOOPBACK, tunnel.port

    def parted(self, hosts: Collection[str]) -> None:
        """Take in whose agents have ended: they are not logged in to again."""
        self._parted = frozenset(hosts)
        while self._talks:  # to hosts that were placed and then not started
            self._talks.popitem()[1][0].close()

    def close(self) -> None:
        """Close the ways back."""
        for tunnel in self._tunnels.values():
            tunnel.close()
        self._tunnels.clear()


def cluster_of(
    inventory: Inventory,
    hosts: Sequence[Host],
    folder: Path | None = None,
    *,
    requirements: Sequence[str] = (),
    memory_bytes: int = 0,
    chosen: Chosen | None = None,
) -> Cluster:
    """Make the engine for hosts of an inventory; parameters are those of `OverSSH` and `Cluster`.

    Raises UsageError where it is not known which address of this machine they dial, or a
    requirement is none.
    """
    if inventory.address is None:
        raise UsageError(
            f'{inventory.path}: expected address = "…" in [cluster], the address of this'
            ' machine to which the hosts connect ("ssh" if they cannot); found none'
        )
    nearest = {host.name: host.endpoint for host in hosts if host.endpoint}
    launcher = OverSSH(inventory, hosts, requirements, chosen=chosen, nearest=nearest)
    tunnelled = inventory.address == TUNNEL
    return Cluster(
        {host.name: host.slots or 0 for host in hosts},
        launcher,
        address=LOOPBACK if tunnelled else inventory.address,
        port=inventory.listen_port,
        ways=launcher if tunnelled else None,
        rules=Rules(max_requests=inventory.store.max_requests),
        folder=folder,
        sites=Sites(
            inventory.store.endpoints,
            inventory.store.region,
            nearest,
            inventory.store.shared,
        ),
        memory_bytes=memory_bytes,
    )


def _marks(path: Path) -> tuple[int, ...]:
    """Give what a change of a file does not leave as it was."""
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_size, status.st_ino, status.st_mtime_ns
