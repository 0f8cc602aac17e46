"""Agents on the hosts of an inventory, over SSH: brought up to date, started, and ended.

A host that has this machine's release is asked one question before its agent starts; one that
lacks it is deployed to first. A job that is no part of the release travels as an overlay. What an
agent is told goes to its standard input and nowhere else. It decides nothing about the run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from mapreduce.cluster import agents
from mapreduce.cluster import config as configs
from mapreduce.cluster.board import Quiet
from mapreduce.cluster.deploy import Deployed, Plan, deploy, deploy_overlay
from mapreduce.cluster.inventory import TUNNEL
from mapreduce.cluster.release import overlay, own_packages
from mapreduce.cluster.remote import HostError, Remote
from mapreduce.cluster.rules import Rules
from mapreduce.engines.cluster import Cluster
from mapreduce.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mapreduce.cluster.config import AgentConfig
    from mapreduce.cluster.fleet import Table
    from mapreduce.cluster.inventory import Host, Inventory
    from mapreduce.job import JobName


class OverSSH:
    """Starts agents on hosts of an inventory.

    Parameters
    ----------
    inventory
        How they are reached.
    hosts
        Those that take part.
    """

    def __init__(self, inventory: Inventory, hosts: Sequence[Host]) -> None:
        self.release = ""
        self.overlay = ""
        self._inventory = inventory
        self._hosts = {host.name: host for host in hosts}
        self._plan: Plan | None = None
        self._job: JobName | None = None
        self._placed: dict[str, Deployed] = {}
        self._overlays: dict[str, tuple[str, ...]] = {}

    def prepare(self, job: JobName) -> None:
        """Name the release, and the overlay if the job is no part of it."""
        self._plan = Plan()
        self._job = job
        self.release = self._plan.tree.id
        where = job.reference.rpartition(":")[0]
        own = not where.endswith(".py") and where.partition(".")[0] in own_packages()
        self.overlay = "" if own else overlay(job.reference)[0].id

    def place(self, host: str) -> JobName | None:
        """Bring a host what it lacks; give the job's name there, if not as here."""
        if self._plan is None or self._job is None:
            raise UsageError("the hosts are placed before the job is known: call prepare first")
        one = [self._hosts[host]]
        self._placed[host] = _of(host, deploy(self._inventory, one, Quiet(), self._plan))
        if not self.overlay:
            return None
        there = _of(host, deploy_overlay(self._inventory, one, self._job.reference, Quiet()))
        self._overlays[host] = there.paths
        return msgspec.structs.replace(self._job, reference=there.reference)

    def start(self, host: str, config: AgentConfig) -> None:
        """Start an agent, and wait until it is welcomed."""
        with Remote(self._hosts[host], self._inventory) as remote:
            agents.start_agent(
                remote,
                config.run,
                configs.encode(config),
                self._placed[host],
                overlays=self._overlays.get(host, ()),
            )

    def stop(self, hosts: Sequence[str], run: str) -> None:
        """End what has not ended by itself; a host that is gone is left to its agent's patience."""
        there = [self._hosts[h] for h in hosts]
        agents.stop(self._inventory, there, Quiet(), run_id=run, patience_s=1.0)


def cluster_of(inventory: Inventory, hosts: Sequence[Host], folder: Path | None = None) -> Cluster:
    """Make the engine for hosts of an inventory.

    Raises
    ------
    UsageError
        Where it is not known which address of this machine they dial.
    """
    if inventory.address is None or inventory.address == TUNNEL:
        raise UsageError(
            f'{inventory.path}: expected address = "…" in [cluster], the one address of this'
            f" machine that the hosts dial; found {inventory.address or 'none'}"
        )
    return Cluster(
        {host.name: host.slots or 0 for host in hosts},
        OverSSH(inventory, hosts),
        address=inventory.address,
        port=inventory.listen_port,
        rules=Rules(max_requests=inventory.store.max_requests),
        folder=folder,
    )


def _of(host: str, table: Table[Any]) -> Any:
    outcome = table[host]
    if not outcome.ok or outcome.value is None:
        raise HostError(outcome.state)
    return outcome.value
