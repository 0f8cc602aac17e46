"""How soon an agent is back after its line was cut: `python -m benchmarks.reconnect`.

Real agents on every supported Python that this machine has, 14 cuts each, in turns so that others'
work on this machine strikes all alike. Fails where one is not welcomed again. The time is that from
the cut to the next hello, pauses of the agent's own included (0.1 s and more, by lot).
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cluster.stand_in import ROOT, AgentProcess, Coordinator, Line
from tests.jobs.counting import Links
from tests.services.pythons import needs_of, pythons

if TYPE_CHECKING:
    from collections.abc import Mapping


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuts", type=int, default=14)
    options = parser.parse_args()
    with ExitStack() as open_ones, tempfile.TemporaryDirectory() as name:
        agents = {
            version: _agent(open_ones, python, Path(name), version)
            for version, python in pythons().items()
        }
        times: dict[str, list[float]] = {version: [] for version in agents}
        for _ in range(options.cuts):
            for version, (coordinator, agent, line) in agents.items():
                began = time.perf_counter()
                line.cut()
                again, _ = coordinator.welcome(Links())
                times[version].append(time.perf_counter() - began)
                agents[version] = coordinator, agent, again
        print(_table(times))


def _agent(
    open_ones: ExitStack, python: str, folder: Path, version: str
) -> tuple[Coordinator, AgentProcess, Line]:
    own = folder / version
    own.mkdir()
    coordinator = open_ones.enter_context(Coordinator(own))
    path = os.pathsep.join([str(ROOT), str(needs_of(python, folder / "needs"))])
    environ = {"PYTHONPATH": path, "PYTHONNOUSERSITE": "1"}
    agent = coordinator.start(coordinator.config(), python=python, environ=environ)
    line, _ = coordinator.welcome(Links())
    return coordinator, agent, line


def _table(times: Mapping[str, list[float]]) -> str:
    rows = ["| Python | Cuts | Welcomed again | Seconds each (median) |", "|---|---|---|---|"]
    for version, took in sorted(times.items()):
        again = f"{len(took)} of {len(took)}"
        rows.append(f"| {version} | {len(took)} | {again} | {statistics.median(took):.3f} |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
