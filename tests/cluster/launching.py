"""Agents as processes of this machine, for tests of the engine: no SSH between."""

from __future__ import annotations

import contextlib
import os
import signal
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from mapreduce.cluster.protocol import agent_config as configs
from mapreduce.errors import MapReduceError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mapreduce.cluster.protocol.agent_config import AgentConfig
    from mapreduce.job.name import JobName

ROOT = Path(__file__).parents[2]


class Processes:
    """Starts agents here; a test may change what they are told, and signal them."""

    release = "r-test"
    overlay = ""

    def __init__(
        self,
        change: Callable[[AgentConfig], AgentConfig] = lambda c: c,
        before: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self._before = before or {}  # a host -> what starts its agent's program
        self.agents: dict[str, subprocess.Popen[bytes]] = {}
        self.configs: dict[str, AgentConfig] = {}
        self.logs: dict[str, str] = {}
        self.ended: dict[str, int] = {}
        self.started = threading.Semaphore(0)
        self._change = change

    def prepare(self, job: JobName) -> None:
        self.job = job

    def place(self, host: str) -> JobName | None:
        if host.startswith("broken"):
            raise MapReduceError(f"{host} has no Python")
        return None

    def start(self, host: str, config: AgentConfig) -> None:
        config = self._change(config)
        self.configs[host] = config
        raw = configs.encode(config)
        with tempfile.NamedTemporaryFile(delete=False) as log:
            self.logs[host] = log.name
        with Path(self.logs[host]).open("wb") as errors:
            agent = subprocess.Popen(
                [*self._before.get(host, ()), sys.executable, "-m", "mapreduce.cluster.agent"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                cwd=ROOT,
                start_new_session=True,
            )
        self.agents[host] = agent
        assert agent.stdin is not None
        agent.stdin.write(struct.pack("<Q", len(raw)) + raw)
        agent.stdin.close()
        self.started.release()

    def stop(self, hosts: Sequence[str], run: str, patience_s: float = 1.0) -> None:
        del run, patience_s
        for host in hosts:
            agent = self.agents[host]
            try:
                self.ended[host] = agent.wait(10)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(agent.pid, signal.SIGKILL)
                self.ended[host] = agent.wait(10)
            Path(self.logs[host]).unlink()

    def log(self, host: str) -> str:
        return Path(self.logs[host]).read_text()
