"""How agents come to hosts and end: `fleet.launcher` does it over SSH, tests by local processes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol, runtime_checkable

from mapreduce.cluster.protocol.agent_config import AgentConfig
from mapreduce.job.name import JobName


class Launcher(Protocol):
    """How agents come to hosts, and end.

    `release` and `overlay` name the code that agents must run, once `prepare` has been called.
    """

    release: str
    overlay: str

    def prepare(self, job: JobName) -> None:
        """Make ready what every host needs for this job."""

    def place(self, host: str) -> JobName | None:
        """Bring a host what it lacks; may take long. Give the job's name there, if not as here.

        A MapReduceError says why the host cannot take part.
        """

    def start(self, host: str, config: AgentConfig) -> None:
        """Start an agent; give once it runs. A MapReduceError says why it does not."""

    def stop(self, hosts: Sequence[str], run: str, patience_s: float = 1.0) -> None:
        """End the agents of a run that have not ended by themselves.

        They finish what they are at, for so long at most.
        """


@runtime_checkable
class Parting(Protocol):
    """A launcher that wants to know, before it ends agents, which have ended by themselves."""

    def parted(self, hosts: Collection[str]) -> None:
        """Take in the hosts whose agents said goodbye; no host is started any more."""


@runtime_checkable
class Growing(Protocol):
    """A launcher that may come to know more hosts while a run is at work."""

    def newcomers(self) -> dict[str, int]:
        """Give hosts that it did not know before, with their slots; 0 for as many as they say.

        A UsageError says why they cannot be known.
        """


class Ways(Protocol):
    """How hosts that cannot dial this machine come to it."""

    def open(self, host: str, target: tuple[str, int]) -> tuple[str, int]:
        """Make a way to an address of this machine; give where the host dials, or raise why not."""

    def close(self) -> None:
        """Close all ways, once every agent has ended."""
