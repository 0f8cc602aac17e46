"""Agents on hosts: start one for a run, tell which there are, end them, read their logs.

On a host a run is `ROOT/runs/RUN/HOST/` with `agent.pid`, `agent.log` and a `lock`. What an
agent must know, keys too, goes to its standard input over SSH and is in no argument, environment
or file. An agent is started detached, nice 10, with the release's folders as its PYTHONPATH, and
says one line on standard output when it is ready; from then on it must not write there.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mapreduce.cluster.fleet.deploy import Deployed
from mapreduce.cluster.fleet.display import Quiet
from mapreduce.cluster.fleet.parallel import Display, HostDone, HostOutcome, HostOutcomes, on_each
from mapreduce.cluster.inventory.inventory import Host, Inventory
from mapreduce.cluster.ssh.conversation import Conversation
from mapreduce.cluster.ssh.ssh import HostError, Remote
from mapreduce.errors import UsageError
from mapreduce.output import say

WORKER: Final = "mapreduce.cluster.agent"
NICE: Final = 10
START_S: Final = 60
PATIENCE_S: Final = 30.0
SLACK_S: Final = 20.0
HOST_S: Final = 90.0
_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Started:
    """An agent that runs: its pid there, and the line it said."""

    pid: int
    said: str


def start_agent(
    remote: Remote,
    run_id: str,
    config: bytes,
    deployed: Deployed,
    *,
    overlays: Sequence[str] = (),
    inputs: Sequence[str] = (),
    module: str = WORKER,
    timeout_s: int = START_S,
    talk: Conversation | None = None,
) -> Started:
    """Start the agent of a run on a connected host, and wait until it says that it started.

    `config` is what it reads from standard input, to its end: secrets belong here and nowhere else.
    `overlays` are folders under ROOT that come before the release, `inputs` files there that the
    job reads, `talk` is a conversation with that host, if one goes on. Raises HostError where it
    ends or says nothing in time, with its last words.
    """
    asked = {
        "run": checked_run(run_id),
        "host": remote.host.name,
        "path": [*overlays, *deployed.path],
        "inputs": list(inputs),
        "command": ["-m", module],
        "nice": NICE,
        "timeout_s": timeout_s,
    }
    wait_s = timeout_s + SLACK_S
    if talk is not None:
        told = talk.ask("start", asked, config, timeout_s=wait_s)
    else:
        told = remote.ask("agents", {"act": "start", **asked}, config, timeout_s=wait_s)
    return Started(told["pid"], told["said"])


def status(
    inventory: Inventory, hosts: Sequence[Host], board: Display
) -> HostOutcomes[dict[str, Any]]:
    """Tell each host's release and runs."""

    def tell_of(host: Host, tell: Callable[[str], None]) -> HostDone[dict[str, Any]]:
        tell("connects")
        with Remote(host, inventory) as remote:
            facts = remote.ask("facts", {})
            runs = remote.ask("agents", {"act": "list", "host": host.name})["runs"]
        living = [r["run"] for r in runs if r["alive"]]
        works = f"runs {', '.join(living)}" if living else "idle"
        state = f"{works}; release {facts['current'] or 'none: deploy first'}"
        return HostDone(state, {"facts": facts, "runs": runs})

    return on_each(hosts, tell_of, board, timeout_s=HOST_S)


def stop(
    inventory: Inventory,
    hosts: Sequence[Host],
    board: Display,
    *,
    run_id: str | None = None,
    patience_s: float = PATIENCE_S,
) -> HostOutcomes[dict[str, Any]]:
    """Ask agents to drain and end; after `patience_s` kill them with all they started."""
    asked = {"act": "stop", "run": run_id and checked_run(run_id), "patience_s": patience_s}

    def end(host: Host, tell: Callable[[str], None]) -> HostDone[dict[str, Any]]:
        tell("drains")
        with Remote(host, inventory) as remote:
            own = {**asked, "host": host.name}
            told = remote.ask("agents", own, timeout_s=patience_s + SLACK_S)
        ended = f"ended {', '.join(told['ended'])}" if told["ended"] else "no agent was running"
        killed = f", killed {', '.join(told['killed'])}" if told["killed"] else ""
        return HostDone(ended + killed, told)

    return on_each(hosts, end, board, timeout_s=patience_s + HOST_S)


def remove(
    inventory: Inventory, hosts: Sequence[Host], board: Display
) -> HostOutcomes[dict[str, Any]]:
    """End all agents, on every host before any ROOT is deleted: some may share one."""
    stopped = stop(inventory, hosts, Quiet())
    asked = {"act": "remove", "patience_s": PATIENCE_S}

    def clear(host: Host, tell: Callable[[str], None]) -> HostDone[dict[str, Any]]:
        tell("removes")
        if not stopped[host.name].ok:
            raise HostError(stopped[host.name].state)
        with Remote(host, inventory) as remote:
            own = {**asked, "host": host.name}
            told = remote.ask("agents", own, timeout_s=2 * PATIENCE_S + SLACK_S)
        return HostDone("removed" if told["removed"] else "nothing was installed", told)

    return on_each(hosts, clear, board, timeout_s=PATIENCE_S + HOST_S)


def logs(
    inventory: Inventory,
    hosts: Sequence[Host],
    *,
    run_id: str | None = None,
    lines: int = 20,
    follow: bool = False,
    last: bool = False,
) -> list[HostOutcome[None]]:
    """Write the agents' logs to standard output, each line after its host's name.

    With `last`, of each host's newest run alone.

    Returns
    -------
    list
        The hosts whose logs could not be read, and why.
    """
    run = run_id and checked_run(run_id)
    asked = {"act": "logs", "run": run, "lines": lines, "follow": follow, "last": last}
    width = max(len(h.name) for h in hosts)
    lock = threading.Lock()
    failed: list[HostOutcome[None]] = []

    def read(host: Host) -> None:
        try:
            with Remote(host, inventory) as remote:
                rest = b""
                for body in remote.stream("agents", {**asked, "host": host.name}):
                    *whole, rest = (rest + body).split(b"\n")
                    write(host, whole)
                write(host, [rest] if rest else [])
        except (HostError, UsageError) as error:
            failed.append(HostOutcome(host.name, False, str(error), 0.0))

    def write(host: Host, said: list[bytes]) -> None:
        with lock:
            for line in said:
                say(f"{host.name.ljust(width)}  {line.decode(errors='replace')}")

    threads = [threading.Thread(target=read, args=(h,), daemon=True) for h in hosts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failed


def checked_run(run_id: str) -> str:
    """Give a run's id; a UsageError where it may not name a folder."""
    if not _RUN.fullmatch(run_id):
        raise UsageError(f"expected a run's id of letters, digits, '.', '_', '-', got {run_id!r}")
    return run_id
