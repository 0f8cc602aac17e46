"""Agents on the hosts of an inventory, over SSH: brought up to date, started, and ended.

A host that has this machine's release is asked one question before its agent starts; one that
lacks it is deployed to first. A job that is no part of the release travels as an overlay. What an
agent is told goes to its standard input and nowhere else. It decides nothing about the run.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import msgspec

from mapreduce.cluster import agents
from mapreduce.cluster import config as configs
from mapreduce.cluster.board import Quiet
from mapreduce.cluster.deploy import Deployed, Overlay, Plan, deploy, deploy_overlay
from mapreduce.cluster.inputs import bring_inputs, place_of
from mapreduce.cluster.inventory import TUNNEL
from mapreduce.cluster.release import Tree, overlay, own_packages
from mapreduce.cluster.remote import LOOPBACK, HostError, Remote
from mapreduce.cluster.rules import Rules
from mapreduce.cluster.tunnel import Tunnel
from mapreduce.cluster.wheels import Cache, requirement
from mapreduce.engines import Sites
from mapreduce.engines.cluster import Cluster
from mapreduce.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mapreduce.cluster.config import AgentConfig
    from mapreduce.cluster.fleet import Table
    from mapreduce.cluster.inventory import Host, Inventory
    from mapreduce.job_name import JobName


class OverSSH:
    """Starts agents on hosts of an inventory, each with what the job needs there.

    Parameters
    ----------
    inventory
        How they are reached.
    hosts
        Those that take part.
    requirements
        What the job needs there beyond a worker's own: as wheels.
    """

    def __init__(
        self, inventory: Inventory, hosts: Sequence[Host], requirements: Sequence[str] = ()
    ) -> None:
        self._requirements = tuple(requirement(text) for text in requirements)
        self.release = ""
        self.overlay = ""
        self._inventory = inventory
        self._hosts = {host.name: host for host in hosts}
        self._plan: Plan | None = None
        self._cache = Cache()
        self._job: JobName | None = None
        self._own, self._reference = Tree("", {}), ""
        self._placed: dict[str, Deployed] = {}
        self._overlays: dict[str, tuple[str, ...]] = {}
        self._tunnels: dict[str, Tunnel] = {}
        self._inputs: dict[str, tuple[str, ...]] = {}

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
            raise UsageError("the hosts are placed before the job is known: call prepare first")
        one = [self._hosts[host]]
        self._placed[host] = _of(host, deploy(self._inventory, one, Quiet(), self._plan))
        job = self._job
        if self.overlay or self._requirements:
            there = self._with_own(one)
            self._overlays[host] = there.paths
            job = msgspec.structs.replace(job, reference=there.reference)
        if job.files:
            with Remote(self._hosts[host], self._inventory) as remote:
                files = bring_inputs(remote, job.files, self._plan.lock)
            self._inputs[host] = tuple(place_of(seal) for seal in files.values())
            job = msgspec.structs.replace(job, files=files)
        return None if job is self._job else job

    def _with_own(self, one: Sequence[Host]) -> Overlay:
        table = deploy_overlay(
            self._inventory,
            one,
            self._own if self.overlay else None,
            self._reference,
            Quiet(),
            requirements=self._requirements,
            cache=self._cache,
        )
        there: Overlay = _of(one[0].name, table)
        return there

    def start(self, host: str, config: AgentConfig) -> None:
        """Start an agent, and wait until it is welcomed; through its tunnel, if it has one."""
        tunnel, own = self._tunnels.get(host), Remote(self._hosts[host], self._inventory)
        with own if tunnel is None else contextlib.nullcontext(tunnel.remote) as remote:
            agents.start_agent(
                remote,
                config.run,
                configs.encode(config),
                self._placed[host],
                overlays=self._overlays.get(host, ()),
                inputs=self._inputs.get(host, ()),
            )

    def stop(self, hosts: Sequence[str], run: str) -> None:
        """End what has not ended by itself; a host that is gone is left to its agent's patience."""
        there = [self._hosts[h] for h in hosts]
        agents.stop(self._inventory, there, Quiet(), run_id=run, patience_s=1.0)

    def open(self, host: str, target: tuple[str, int]) -> tuple[str, int]:
        """Make a way back through SSH; give where the host dials."""
        tunnel = self._tunnels[host] = Tunnel(self._hosts[host], self._inventory, target)
        tunnel.open()
        return LOOPBACK, tunnel.port

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
) -> Cluster:
    """Make the engine for hosts of an inventory.

    Parameters
    ----------
    requirements
        What the job needs there beyond a worker's own.
    memory_bytes
        Memory a slot may use; 0 for what its host allows.

    Raises
    ------
    UsageError
        Where it is not known which address of this machine they dial, or a requirement is none.
    """
    if inventory.address is None:
        raise UsageError(
            f'{inventory.path}: expected address = "…" in [cluster], the one address of this'
            ' machine that the hosts dial ("ssh" where they cannot); found none'
        )
    launcher = OverSSH(inventory, hosts, requirements)
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
            {host.name: host.endpoint for host in hosts if host.endpoint},
            inventory.store.shared,
        ),
        memory_bytes=memory_bytes,
    )


def _of(host: str, table: Table[Any]) -> Any:
    outcome = table[host]
    if not outcome.ok or outcome.value is None:
        raise HostError(outcome.state)
    return outcome.value
