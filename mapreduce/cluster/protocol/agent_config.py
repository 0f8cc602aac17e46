"""What an agent is told when it is started: one msgpack message on its standard input.

Keys and certificates travel in it by SSH, never in an argument, an environment or a file. Its
`repr` names nothing secret.
"""

from __future__ import annotations

import msgspec


class AgentConfig(msgspec.Struct, frozen=True):
    """How one agent takes part in one run.

    Attributes
    ----------
    run, worker, host
        Id of the run; id of this worker, which is the name in its certificate; the host's name in
        hosts.toml.
    address, port
        Where the coordinator listens; with `address = "ssh"` the near end of its tunnel.
    server_name
        The name in the coordinator's certificate.
    release, overlay
        Names of the releases this agent was started from: "" where there is no overlay.
    authority, certificate, key
        PEM: the run's authority, this worker's certificate and its private key.
    slots
        Attempts at once; 0 for what cores and memory allow.
    memory_bytes
        Memory a slot may use; 0 for what the host allows.
    path
        Folders to find modules in, first the overlay's.
    patience_s
        How long the coordinator may be gone before the agent ends itself.
    refused_s
        The same where its machine answers that nothing listens there, or somebody else does: the
        run's authority has died with its process.
    """

    run: str
    worker: str
    host: str
    address: str
    port: int
    server_name: str
    release: str
    authority: bytes
    certificate: bytes
    key: bytes
    overlay: str = ""
    slots: int = 0
    memory_bytes: int = 0
    path: tuple[str, ...] = ()
    patience_s: float = 120.0
    refused_s: float = 15.0

    def __repr__(self) -> str:
        return f"AgentConfig(run={self.run!r}, worker={self.worker!r})"


def encode(config: AgentConfig) -> bytes:
    """Give the bytes for an agent's standard input."""
    return msgspec.msgpack.encode(config)


def decode(raw: bytes) -> AgentConfig:
    """Read what `encode` gave; a MsgspecError on anything else."""
    return msgspec.msgpack.decode(raw, type=AgentConfig)
