"""An agent comes back whenever its line breaks, on every Python that a host may have."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from mapreduce.cluster.protocol.messages import Goodbye, Heartbeat
from mapreduce.objects.directory import Directory
from tests.cluster.stand_in import ROOT, Coordinator, gone, tasks
from tests.jobs.counting import Links
from tests.services.pythons import needs_of, pythons

if TYPE_CHECKING:
    from pathlib import Path

CUTS = 14
BREAKS = ("cut", "hung up", "shut")


@pytest.fixture(scope="session")
def needs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("needs")


@pytest.mark.parametrize("version", pythons())
def test_an_agent_comes_back_after_every_cut(version: str, needs: Path, tmp_path: Path) -> None:
    python = pythons()[version]
    path = os.pathsep.join([str(ROOT), str(needs_of(python, needs))])
    trips = tmp_path / "trips"
    trips.mkdir()
    for n in range(CUTS + 1):
        (trips / f"{n:02}").write_text('{"data": [{"link": 1, "v": 2.0}]}')
    given = list(tasks(Directory(trips), 1))
    with Coordinator(tmp_path) as coordinator:
        environ = {"PYTHONPATH": path, "PYTHONNOUSERSITE": "1"}
        agent = coordinator.start(coordinator.config(), python=python, environ=environ)
        line, _ = coordinator.welcome(Links())
        for n, task in enumerate(given[:CUTS]):
            line.say(task)
            assert line.take()[0].attempt == task.attempt
            line.hear(Heartbeat)
            how = BREAKS[n % len(BREAKS)]
            if how == "cut":  # a reset
                line.cut()
            elif how == "hung up":  # TLS says so, then the socket closes
                line.socket.unwrap()
                line.socket.close()
            else:  # the stream ends in the middle of TLS
                line.socket.close()
            line, _ = coordinator.welcome(Links())
        assert agent.process.poll() is None, agent.said()
        line.say(given[CUTS])
        line.take()
        slots = agent.slots()
        line.say(Goodbye())
        assert agent.code() == 0, agent.said()
        assert agent.said().count("welcomed again") == CUTS
        assert all(map(gone, slots))


@pytest.mark.parametrize("version", pythons())
def test_an_agent_that_is_told_to_leave_while_its_line_is_stuck_ends(
    version: str, needs: Path, tmp_path: Path
) -> None:
    python = pythons()[version]
    path = os.pathsep.join([str(ROOT), str(needs_of(python, needs))])
    with Coordinator(tmp_path) as coordinator:
        environ = {"PYTHONPATH": path, "PYTHONNOUSERSITE": "1"}
        agent = coordinator.start(coordinator.config(), python=python, environ=environ)
        coordinator.welcome(Links())  # and reads nothing more: its close is never answered
        agent.first_line()
        os.kill(agent.pid, signal.SIGTERM)
        assert agent.code() == 0, agent.said()
        assert "Traceback" not in agent.said()
