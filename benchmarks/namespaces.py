"""Hosts of one machine's own making: network namespaces, each with a share of a core.

Every host has its own network (a veth pair on a bridge, where the coordinator listens) and a CPU
quota (cgroup v1 or v2), and runs the agent itself, started by the launcher below: no SSH, which
other tests have. Needs root and `ip`. Whatever is made is removed again, and nothing else touched.
Its names are the machine's, so there is one shelf at a time: another waits for it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from mapreduce.cluster.protocol import agent_config as configs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from mapreduce.cluster.protocol.agent_config import AgentConfig
    from mapreduce.job.name import JobName

ROOT: Final = Path(__file__).resolve().parents[1]
CGROUPS: Final = Path("/sys/fs/cgroup")
PERIOD_US: Final = 50_000
BRIDGE: Final = "mrbench"
ADDRESS: Final = "10.213.77.1"
AGENT: Final = (sys.executable, "-m", "mapreduce.cluster.agent")
END_S: Final = 20.0
LOCK: Final = Path(tempfile.gettempdir(), f"{BRIDGE}.lock")
LENGTH: Final = struct.Struct("<Q")


def hindrance() -> str | None:
    """Say why this machine cannot do it; None where it can."""
    if os.geteuid() != 0:
        return "skipped: network namespaces and CPU quotas need root"
    if shutil.which("ip") is None:
        return "skipped: network namespaces need the program `ip` (iproute2)"
    if not _has_quotas():
        return "skipped: no cgroup of this machine has CPU quotas"
    return None


class Namespaces:
    """Hosts with a share of a core each; also the launcher of their agents.

    Parameters
    ----------
    shares
        Host -> its share of one core, in percent.
    """

    release = "r-bench"
    overlay = ""
    address = ADDRESS

    def __init__(self, shares: Mapping[str, float]) -> None:
        self._shares = dict(shares)
        self._agents: dict[str, subprocess.Popen[bytes]] = {}
        self._undo = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Make bridge, namespaces and groups."""
        try:
            fcntl.flock(self._undo.enter_context(LOCK.open("w")), fcntl.LOCK_EX)
            self._make()
        except BaseException:
            self._undo.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove all that was made."""
        self._undo.close()

    # As a launcher.

    def prepare(self, job: JobName) -> None:
        """Do nothing: hosts see this machine's files."""

    def place(self, host: str) -> JobName | None:
        """Do nothing, for the same reason."""

    def start(self, host: str, config: AgentConfig) -> None:
        """Start an agent in its namespace and group."""
        raw = configs.encode(config)
        enter = f'echo $$ > "{_group(host)}/cgroup.procs" && exec "$@"'
        agent = subprocess.Popen(
            ["sh", "-c", enter, "sh", "ip", "netns", "exec", _space(host), *AGENT],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=ROOT,
            env={k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"},
            start_new_session=True,
        )
        self._agents[host] = agent
        assert agent.stdin is not None
        agent.stdin.write(LENGTH.pack(len(raw)) + raw)
        agent.stdin.close()

    def stop(self, hosts: Sequence[str], run: str, patience_s: float = 1.0) -> None:
        """Wait for agents to end; those that do not are killed."""
        del run, patience_s
        for host in hosts:
            agent = self._agents.pop(host)
            _write(_group(host), -1)  # none of this is measured
            try:
                agent.wait(END_S)
            except subprocess.TimeoutExpired:
                agent.kill()
                agent.wait()

    # What is made.

    def _make(self) -> None:
        _ip("link", "add", BRIDGE, "type", "bridge")
        self._undo.callback(_ip, "link", "delete", BRIDGE)
        _ip("address", "add", f"{ADDRESS}/24", "dev", BRIDGE)
        _ip("link", "set", BRIDGE, "up")
        for number, (host, share) in enumerate(self._shares.items(), 2):
            self._make_network(host, number)
            _group(host).mkdir(parents=True)
            self._undo.callback(_remove_group, _group(host))
            _write(_group(host), round(share / 100 * PERIOD_US))

    def _make_network(self, host: str, number: int) -> None:
        space, near, far = _space(host), f"mrb{number}", "eth0"
        _ip("netns", "add", space)
        self._undo.callback(_ip, "netns", "delete", space)
        _ip("link", "add", near, "type", "veth", "peer", "name", far, "netns", space)
        _ip("link", "set", near, "master", BRIDGE, "up")
        address = f"{ADDRESS.rpartition('.')[0]}.{number}/24"
        _ip("-n", space, "address", "add", address, "dev", far)
        _ip("-n", space, "link", "set", far, "up")


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise RuntimeError(
            f"`ip {' '.join(arguments)}` failed: {said}. Where another was killed before: `ip link"
            f" delete {BRIDGE}`, `ip netns delete {_space('NAME')}`"
        )


def _space(host: str) -> str:
    return f"mrbench-{host}"


def _is_v2() -> bool:
    return (CGROUPS / "cgroup.controllers").exists()


def _has_quotas() -> bool:
    if _is_v2():
        return "cpu" in (CGROUPS / "cgroup.subtree_control").read_text().split()
    return (CGROUPS / "cpu/cpu.cfs_quota_us").exists()


def _group(host: str) -> Path:
    return CGROUPS / ("" if _is_v2() else "cpu") / f"mrbench-{host}"


def _write(group: Path, quota_us: int) -> None:
    if _is_v2():
        (group / "cpu.max").write_text(f"{'max' if quota_us < 0 else quota_us} {PERIOD_US}")
        return
    (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
    (group / "cpu.cfs_quota_us").write_text(str(quota_us))


def _remove_group(group: Path) -> None:
    until = time.monotonic() + END_S
    while True:
        try:
            group.rmdir()
        except OSError:  # its last processes are ending
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return
