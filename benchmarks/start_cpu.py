"""What the start of a run costs a host, in CPU: `python -m benchmarks.start_cpu`.

A run of one object, one slot a host, over real sshd hosts that have the release already. Counted is
all that is done on the hosts' side, from sshd's handshakes to the agent's end: this process takes
in what hosts leave behind (Linux: a child subreaper), so the kernel's count of its children is
theirs. Processes of this machine's own side are none of its children meanwhile.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import resource
import statistics
import tempfile
import time
from pathlib import Path

from mapreduce.cluster.fleet.deploy import deploy
from mapreduce.cluster.fleet.display import Quiet
from mapreduce.cluster.fleet.launcher import cluster_of
from mapreduce.runs.driver import run
from tests.cluster.shelves import enrolled
from tests.jobs.counting import Links
from tests.services.sshd import shelf

PR_SET_CHILD_SUBREAPER = 36
REAP_S = 10.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--python", default=None, help="of the host")
    options = parser.parse_args()
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    with shelf(1) as hosts, tempfile.TemporaryDirectory() as name:
        if options.python:
            hosts.overrides["pi1"] = {"python": options.python}
        hosts.overrides.setdefault("pi1", {})["slots"] = 1
        inventory = enrolled(hosts)
        deploy(inventory, inventory.hosts, Quiet()).check("deploy")
        trips = Path(name)
        (trips / "one.json").write_text('{"data": [{"link": 1, "v": 2.0}]}')
        took = []
        for _ in range(options.rounds + 1):
            hosts.hosts[0].stop()
            _reap()
            before, began = _children_s(), time.perf_counter()
            hosts.hosts[0].start()
            run(Links(), trips, engine=cluster_of(inventory, inventory.hosts))
            wall = time.perf_counter() - began
            hosts.hosts[0].stop()
            _reap()
            took.append((_children_s() - before, wall))
        cpu, wall = (statistics.median(part) for part in zip(*took[1:], strict=True))
        spread = ", ".join(f"{1000 * s:.0f}" for s, _ in took[1:])
        print(f"CPU of the host for a run: {1000 * cpu:.0f} ms (median of {spread}); {wall:.2f} s")


def _reap() -> None:
    """Wait for all that hosts left behind, so that it is counted."""
    until = time.monotonic() + REAP_S
    with contextlib.suppress(ChildProcessError):
        while time.monotonic() < until:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.02)


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
