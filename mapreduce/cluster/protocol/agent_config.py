"""What an agent is told when it is started: one msgpack message on its standard input.

Keys and certificates travel in it by SSH, never in an argument, an environment or a file.
"""

from __future__ import annotations

import msgspec


class AgentConfig(msgspec.Struct, frozen=True):
    """How one agent takes part in one run."""

    run: str
    worker: str  # the name in its certificate
    host: str  # its name in hosts.toml
    address: str  # where the coordinator listens, or the near end of the tunnel that leads there
    port: int
    server_name: str  # the name in the coordinator's certificate
    release: str  # the releases that this agent was started from; no overlay is ""
    authority: bytes  # as PEM, like those that follow
    certificate: bytes
    key: bytes
    overlay: str = ""
    slots: int = 0  # attempts at once; 0 for what cores and memory allow
    memory_bytes: int = 0  # that a slot may use; 0 for what the host allows
    path: tuple[str, ...] = ()  # folders to find modules in, before all others
    patience_s: float = 120.0  # how long the coordinator may be gone before the agent ends itself
    # The same where its machine answers that nothing listens there, or somebody else does: the
    # run's authority has died with its process.
    refused_s: float = 15.0

    def __repr__(self) -> str:
        return f"AgentConfig(run={self.run!r}, worker={self.worker!r})"


def encode(config: AgentConfig) -> bytes:
    """Give the bytes for an agent's standard input."""
    return msgspec.msgpack.encode(config)


def decode(raw: bytes) -> AgentConfig:
    """Read what `encode` gave; a MsgspecError on anything else."""
    return msgspec.msgpack.decode(raw, type=AgentConfig)
