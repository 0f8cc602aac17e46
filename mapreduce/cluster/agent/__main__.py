"""The program on a host: `python -m mapreduce.cluster.agent`.

It is told what to do on standard input: an `AgentConfig`, to the end or with its length before it
(8 bytes, little endian). One line on standard output says that the coordinator took it in;
everything else goes to standard error. SIGTERM has it finish what it is at and end, a second one
end at once, as SIGINT does. It ends with 0 when told to end, 2 where it can take no part in the
run, 3 when the coordinator is gone for good.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import struct
import sys
from typing import IO, Final

import msgspec

from mapreduce.cluster.agent.agent import Agent, LeaveError, log
from mapreduce.cluster.protocol import agent_config as configs
from mapreduce.cluster.protocol.agent_config import AgentConfig
from mapreduce.safe_text import printable

LENGTH: Final = struct.Struct("<Q")
MAX_CONFIG_BYTES: Final = 1 << 20


def read_config(source: IO[bytes]) -> AgentConfig:
    """Read what the agent is told; a LeaveError where it is something else."""
    head = source.read(LENGTH.size)
    if len(head) == LENGTH.size and LENGTH.unpack(head)[0] <= MAX_CONFIG_BYTES:
        raw = source.read(LENGTH.unpack(head)[0])
    else:  # a configuration's first bytes are never a small number
        raw = head + source.read(MAX_CONFIG_BYTES)
    try:
        return configs.decode(raw)
    except msgspec.MsgspecError as error:
        raise LeaveError(2, f"no configuration on standard input: {error}") from None


def _tell_starter(slots: int) -> None:
    """Say that we are taken in; whoever listened may be gone, and hears nothing more."""
    with contextlib.suppress(OSError):
        os.write(1, f"welcomed, {slots} slots\n".encode())
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.close(nothing)


async def _serve(config: AgentConfig, kept_bytes: int | None) -> int:
    agent = Agent(config, _tell_starter, kept_bytes)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, agent.drain, "SIGTERM")
    loop.add_signal_handler(signal.SIGINT, agent.leave, 0, "SIGINT")
    return await agent.run()


class _Plain(logging.Formatter):
    """Writes what stands in keys, messages of slots and answers so that a log can be looked at."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def main(kept_bytes: int | None = None) -> None:
    """Be an agent; `kept_bytes` as `Agent` has it."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Plain("%(asctime)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.raiseExceptions = False  # a log that is gone is no reason to end
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the SSH session that started us has ended
    try:
        config = read_config(sys.stdin.buffer)
        code = asyncio.run(_serve(config, kept_bytes))
    except LeaveError as leave:
        log.info("ends: %s", leave)
        code = leave.code
    sys.exit(code)


if __name__ == "__main__":
    main()
