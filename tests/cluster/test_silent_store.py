"""A store that takes a connection and never answers: people hear of it while the run waits."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING

import pytest

from mapreduce.cluster.engine import Cluster
from mapreduce.cluster.schedule.rules import Rules
from mapreduce.console import terminal
from mapreduce.console.host_table import note
from mapreduce.engines.local import Local
from mapreduce.objects.memory import Memory
from mapreduce.objects.s3 import S3
from mapreduce.objects.s3_settings import Keys, Settings
from mapreduce.runs.driver import run
from tests.cluster.launching import Processes
from tests.jobs.counting import Links
from tests.services.proxy import Fault, proxied

if TYPE_CHECKING:
    from mapreduce.runs.progress import Progress
    from tests.services.seaweed import Seaweed

QUICK = Rules(heartbeat_s=0.3, silent_s=1.0, lease_s=2.0, reconnect_s=1.0)
OBJECTS = {f"{n}": b'{"data": [{"link": %d, "v": 1.5}]}' % n for n in range(8)}


@pytest.mark.parametrize("where", ["local", "ssh"])
def test_a_store_that_hangs_is_told_of_while_it_is_listed_and_while_it_is_read(
    where: str,
    seaweed: Seaweed,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(terminal, "PLAIN_EVERY_S", 0.1)
    cluster = Cluster({"a": 1}, Processes(), address="127.0.0.3", rules=QUICK)
    bucket, goes_on = seaweed.bucket(), {"list": threading.Event(), "map": threading.Event()}
    seaweed.put(bucket, OBJECTS)
    said: dict[str, str] = {}
    notes: list[str] = []
    with (
        proxied(seaweed.endpoint.removeprefix("http://")) as proxy,
        terminal.Terminal() as shown,
    ):
        proxy.lay(Fault(hold=goes_on["list"]), *(Fault(hold=goes_on["map"]) for _ in OBJECTS))

        def hear(progress: Progress) -> None:
            shown(progress)
            if "no data" in progress.note and progress.phase not in said:
                said[progress.phase] = progress.note
                notes.extend(note(h) for h in (cluster.status.hosts if cluster.status else ()))
                goes_on[progress.phase].set()

        settings = Settings(proxy.endpoint, keys=Keys(seaweed.access, seaweed.secret))
        engine = Local(1) if where == "local" else cluster
        got = run(Links(), S3(bucket, settings=settings), engine=engine, on_progress=hear)
        node = proxy.endpoint.removeprefix("http://")
    assert got.digest == run(Links(), Memory(OBJECTS), workers=1).digest
    silence = f"no data from {node} for "
    assert said["list"].startswith(silence)
    assert f"of 8 objects; {silence}" in said["map"]
    assert re.search(re.escape(silence) + r"\d+ s", capsys.readouterr().err)
    if where == "ssh":
        assert notes[-1].startswith(silence)
