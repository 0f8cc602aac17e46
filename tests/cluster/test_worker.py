"""The agent as a real process with real slots, against a stand-in for the coordinator.

The stand-in is the tests' own (`stand_in.py`): the real wire over real TLS on loopback, where a
test says each word the coordinator would.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import ssl
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import mapreduce as mr
from mapreduce.attempts.slot_process import STOPPED_S
from mapreduce.cluster.protocol.framing import Arrived
from mapreduce.cluster.protocol.messages import (
    PROTOCOL,
    Failed,
    Forget,
    Goodbye,
    Heartbeat,
    Hello,
    Offer,
    Pace,
    Pull,
    Refused,
    Task,
)
from mapreduce.job.name import JobName
from mapreduce.objects.directory import Directory
from mapreduce.tables import encoding, partial
from mapreduce.tls import Authority, server_context
from tests.cluster.stand_in import RUN, Coordinator, gone, soon, tasks
from tests.jobs.counting import Links
from tests.jobs.deadly import Deadly

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@pytest.fixture
def coordinator(tmp_path: Path) -> Iterator[Coordinator]:
    with Coordinator(tmp_path) as running:
        yield running


@pytest.fixture
def trips(tmp_path: Path) -> Directory:
    return _folder(tmp_path / "trips", [f"{n:02}" for n in range(24)])


def _folder(path: Path, names: Iterable[str]) -> Directory:
    path.mkdir()
    for n, name in enumerate(names):
        rows = [{"link": n % 5 + i, "v": float(i)} for i in range(20)]
        (path / name).write_text(json.dumps({"data": rows}))
    return Directory(path)


def _deadly(tmp_path: Path, names: Iterable[str]) -> list[Task]:
    return list(tasks(_folder(tmp_path / "deadly", names), 1))


def _noted(note: Path) -> list[int]:
    """Process ids that mapped something."""
    return [int(line.split()[0]) for line in note.read_text().splitlines()] if note.exists() else []


def _digest(job: mr.Job, bodies: Iterable[bytes]) -> str:
    schemas = tuple(job.schemas())
    return encoding.digest(partial.merge([encoding.unpack(b, schemas) for b in bodies]))


def test_two_slots_give_what_one_machine_gives(coordinator: Coordinator, trips: Directory) -> None:
    agent = coordinator.start(coordinator.config())
    line, hello = coordinator.welcome(Links())
    assert (hello.worker, hello.host, hello.slots, hello.holding) == ("w1", "pi01", 2, ())
    assert (hello.protocol, hello.release) == (PROTOCOL, "r1")
    assert agent.first_line() == b"welcomed, 2 slots\n"
    given = list(tasks(trips, 4))
    for task in given:
        line.say(task)
    took = [line.take() for _ in given]
    assert sorted(offer.attempt for offer, _ in took) == [t.attempt for t in given]
    assert sum(offer.ledger.ok for offer, _ in took) == 24
    assert all(offer.cost.peak_bytes > 0 for offer, _ in took)
    here = mr.run(Links(), os.fspath(trips.path), workers=1)
    assert _digest(Links(), (body for _, body in took)) == here.digest
    line.forget(Heartbeat)
    beat = line.hear(Heartbeat, lambda b: not b.attempts)
    assert beat.health.load is not None
    assert len(agent.slots()) == 2
    line.say(Goodbye("done"))
    assert agent.code() == 0
    assert len(agent.said().splitlines()) == 2  # hardly anything for the card


def test_a_configuration_may_also_come_to_the_end_of_the_input(coordinator: Coordinator) -> None:
    agent = coordinator.start(coordinator.config(slots=1), framed=False)
    line, hello = coordinator.welcome(Links())
    assert hello.slots == 1
    line.say(Goodbye())
    assert agent.code() == 0


def test_a_refused_worker_says_why_and_ends(coordinator: Coordinator) -> None:
    agent = coordinator.start(coordinator.config())
    line = coordinator.accept()
    line.hear(Hello)
    line.say(Refused("the worker 'w1' has release 'r1', the coordinator 'r2': run `fab deploy`"))
    assert agent.code() == 2
    assert "has release 'r1', the coordinator 'r2'" in agent.said()


def test_another_run_is_refused_by_the_worker(coordinator: Coordinator) -> None:
    agent = coordinator.start(coordinator.config())
    coordinator.welcome(Links(), run="run-2")
    assert agent.code() == 2
    assert f"expected run '{RUN}', got 'run-2'" in agent.said()


def test_a_coordinator_of_another_authority_hears_nothing(coordinator: Coordinator) -> None:
    agent = coordinator.start(coordinator.config(Authority("another")))
    with pytest.raises(ssl.SSLError):
        coordinator.accept()
    assert agent.code() == 2
    assert "is not this run's coordinator" in agent.said()


def test_a_coordinator_of_another_name_hears_nothing(coordinator: Coordinator) -> None:
    agent = coordinator.start(coordinator.config(server_name="127.0.0.9"))
    with pytest.raises(ssl.SSLError):
        coordinator.accept()
    assert agent.code() == 2
    assert "is not this run's coordinator" in agent.said()


def test_a_worker_whose_certificate_is_refused_ends(coordinator: Coordinator) -> None:
    stranger = Authority("another").worker("w1")
    config = coordinator.config(
        certificate=stranger.certificate.encode(), key=stranger.key.encode(), patience_s=5.0
    )
    agent = coordinator.start(config)
    coordinator.listener.settimeout(0.2)
    while agent.process.poll() is None:
        with contextlib.suppress(TimeoutError), pytest.raises(ssl.SSLError):
            coordinator.accept()
    # The alert that says why may be lost, where the line is reset before it is read.
    assert agent.code() in {2, 3}
    assert "welcomed" not in agent.said()


def test_without_tls_nothing_is_said(coordinator: Coordinator) -> None:
    agent = coordinator.start(coordinator.config(patience_s=0.3))
    line, _ = coordinator.listener.accept()
    coordinator.listener.close()
    with line:
        line.settimeout(10)
        hello = line.recv(1 << 16)
        assert hello.startswith(b"\x16\x03")  # a TLS handshake, and no name of anything in it
        assert b"pi01" not in hello
        line.sendall(b"MR\x01\x00 come on in")
        while line.recv(1 << 16):
            continue
    assert agent.code() == 3


@pytest.mark.parametrize(
    ("how", "number", "code", "said"),
    [("kill", signal.SIGKILL, None, "SIGKILL"), ("exit", None, 3, "exit code 3")],
)
def test_a_slots_death_is_told_and_the_next_attempt_runs(
    coordinator: Coordinator,
    tmp_path: Path,
    how: str,
    number: int | None,
    code: int | None,
    said: str,
) -> None:
    store = _folder(tmp_path / "trips", ["00", "01-deadly", "02", "03"])
    first, second = tasks(store, 3)
    coordinator.start(coordinator.config(slots=1))
    line, _ = coordinator.welcome(Deadly(how=how))
    line.say(first)
    line.say(second)
    failed = line.hear(Failed)
    assert (failed.attempt, failed.kind) == (first.attempt, "crashed")
    assert (failed.signal, failed.exit_code, failed.ordinal) == (number, code, 1)
    assert said in failed.message
    assert failed.peak_bytes is not None
    assert failed.peak_bytes > 1 << 20
    offer, _ = line.take()
    assert offer.attempt == second.attempt


def test_a_slot_that_needs_too_much_memory_is_told_so(
    coordinator: Coordinator, tmp_path: Path
) -> None:
    (task,) = _deadly(tmp_path, ["deadly"])
    coordinator.start(coordinator.config(slots=1, memory_bytes=1 << 29))
    line, _ = coordinator.welcome(Deadly(how="flood"))
    line.say(task)
    assert line.hear(Failed).message.startswith("out of memory within its limit")


def test_a_fault_of_the_job_is_passed_on(coordinator: Coordinator, tmp_path: Path) -> None:
    store = _folder(tmp_path / "trips", ["deadly"])
    (task,) = tasks(store, 1)
    coordinator.start(coordinator.config(slots=1))
    line, _ = coordinator.welcome(Deadly(how="together"))
    line.say(task)
    failed = line.hear(Failed)
    assert failed.kind == "map"
    assert "two at once" in failed.message


def test_a_job_that_cannot_be_found_fails_as_the_jobs_fault(
    coordinator: Coordinator, trips: Directory
) -> None:
    coordinator.start(coordinator.config(slots=1))
    line, _ = coordinator.welcome(Links(), job=JobName("no.such.module:Job", {}))
    line.say(next(tasks(trips, 1)))
    failed = line.hear(Failed)
    assert failed.kind == "job"
    assert "no.such" in failed.message


def test_a_slot_killed_while_idle_blames_no_attempt(
    coordinator: Coordinator, trips: Directory
) -> None:
    agent = coordinator.start(coordinator.config(slots=1))
    line, _ = coordinator.welcome(Links())
    first, second, *_ = tasks(trips, 4)
    line.say(first)
    line.take()
    (slot,) = agent.slots()
    os.kill(slot, signal.SIGKILL)
    assert soon(lambda: gone(slot))
    line.say(second)
    offer, _ = line.take()
    assert offer.attempt == second.attempt
    assert not line.heard(Failed)


def test_a_cancelled_attempt_is_stopped_and_the_slot_serves_on(
    coordinator: Coordinator, tmp_path: Path
) -> None:
    note = tmp_path / "note"
    hung, waits, good = _deadly(tmp_path, ["00-deadly", "01-deadly", "02"])
    coordinator.start(coordinator.config(slots=1))
    line, _ = coordinator.welcome(Deadly(how="hang", note=os.fspath(note)))
    for task in (hung, waits, good):
        line.say(task)
    assert soon(lambda: _noted(note))
    line.say(Forget(waits.attempt))
    line.say(Forget(hung.attempt))
    offer, _ = line.take()
    assert offer.attempt == good.attempt
    assert not line.heard(Failed)
    assert len(_noted(note)) == 2  # the one that waited was never begun
    assert gone(_noted(note)[0])


def test_what_is_cancelled_before_its_slot_is_ready_never_runs(
    coordinator: Coordinator, tmp_path: Path
) -> None:
    note = tmp_path / "note"
    hung, good = _deadly(tmp_path, ["00-deadly", "01"])
    coordinator.start(coordinator.config(slots=1))
    line, _ = coordinator.welcome(Deadly(how="hang", note=os.fspath(note)))
    for word in (hung, Forget(hung.attempt), good):
        line.say(word)
    offer, _ = line.take()
    assert offer.attempt == good.attempt
    assert len(_noted(note)) == 1


def test_a_partial_is_forgotten_when_it_is_not_needed(
    coordinator: Coordinator, trips: Directory
) -> None:
    coordinator.start(coordinator.config(slots=1))
    line, _ = coordinator.welcome(Links())
    first, second, *_ = tasks(trips, 4)
    line.say(first)
    offer = line.hear(Offer)
    line.hear(Heartbeat, lambda b: [p.attempt for p in b.attempts] == [offer.attempt])
    line.say(Forget(offer.attempt))
    line.forget(Heartbeat)
    line.hear(Heartbeat, lambda b: not b.attempts)
    line.say(second)
    assert line.take()[0].attempt == second.attempt


def test_a_broken_connection_is_mended_with_what_is_held(
    coordinator: Coordinator, tmp_path: Path
) -> None:
    hangs, done, waits = _deadly(tmp_path, ["00-deadly", "01", "02-deadly"])
    agent = coordinator.start(coordinator.config())
    line, _ = coordinator.welcome(Deadly(how="hang"))
    for task in (hangs, done, waits):
        line.say(task)
    offer = line.hear(Offer)
    slots = agent.slots()
    line.cut()
    line, hello = coordinator.welcome(Deadly(how="hang"))
    assert sorted(hello.holding) == [t.attempt for t in (hangs, done, waits)]
    again, body = line.take()
    assert again == offer
    assert len(body) == offer.size_bytes
    assert agent.slots() == slots
    line.say(Goodbye())
    assert agent.code() == 0
    assert all(map(gone, slots))


def test_a_partial_cut_off_on_its_way_is_offered_anew_and_comes_whole(
    coordinator: Coordinator, trips: Directory
) -> None:
    coordinator.start(coordinator.config(slots=1))
    line, _ = coordinator.welcome(Links())
    (task,) = tasks(trips, 100)
    line.say(task)
    offer = line.hear(Offer)
    line.say(Pull(offer.attempt))
    line.cut()
    line, hello = coordinator.welcome(Links())
    assert hello.holding == (offer.attempt,)
    _, body = line.take()
    here = mr.run(Links(), os.fspath(trips.path), workers=1)
    assert _digest(Links(), [body]) == here.digest


def test_what_fails_while_nobody_listens_is_said_later(
    coordinator: Coordinator, tmp_path: Path
) -> None:
    note = tmp_path / "note"
    (hung,) = _deadly(tmp_path, ["00-deadly"])
    agent = coordinator.start(coordinator.config())
    line, _ = coordinator.welcome(Deadly(how="hang", note=os.fspath(note)))
    line.say(hung)
    assert soon(lambda: _noted(note))
    line.cut()
    os.kill(_noted(note)[0], signal.SIGTERM)
    assert soon(lambda: f"attempt {hung.attempt} failed" in agent.said())
    line, hello = coordinator.welcome(Deadly(how="hang"))
    assert hello.holding == (hung.attempt,)
    failed = line.hear(Failed)
    assert (failed.attempt, failed.signal) == (hung.attempt, signal.SIGTERM)
    line.hear(Heartbeat, lambda b: not b.attempts)


def test_a_worker_stopped_and_continued_goes_on(coordinator: Coordinator, trips: Directory) -> None:
    agent = coordinator.start(coordinator.config())
    line, _ = coordinator.welcome(Links())
    line.hear(Heartbeat)
    os.kill(agent.pid, signal.SIGSTOP)
    first, second, *_ = tasks(trips, 4)
    line.say(first)
    line.say(second)
    os.kill(agent.pid, signal.SIGCONT)
    assert {line.take()[0].attempt, line.take()[0].attempt} == {first.attempt, second.attempt}


def test_work_of_a_slot_that_is_stopped_is_given_to_another(
    coordinator: Coordinator, tmp_path: Path
) -> None:
    note = tmp_path / "note"
    (hung,) = _deadly(tmp_path, ["00-deadly"])
    coordinator.start(coordinator.config())
    line, _ = coordinator.welcome(Deadly(how="hang", note=os.fspath(note)))
    line.say(hung)
    assert soon(lambda: _noted(note))
    os.kill(_noted(note)[0], signal.SIGSTOP)
    assert soon(lambda: len(_noted(note)) == 2, STOPPED_S + 30)
    stopped, other = _noted(note)
    assert soon(lambda: not Path(f"/proc/{stopped}").exists())
    assert other != stopped
    line.hear(Heartbeat, lambda b: [a.attempt for a in b.attempts] == [hung.attempt])


def test_a_worker_stopped_until_it_was_given_up_comes_back(
    coordinator: Coordinator, tmp_path: Path
) -> None:
    (hung,) = _deadly(tmp_path, ["00-deadly"])
    agent = coordinator.start(coordinator.config())
    line, _ = coordinator.welcome(Deadly(how="hang"))
    line.say(hung)
    line.hear(Heartbeat, lambda b: bool(b.attempts))
    os.kill(agent.pid, signal.SIGSTOP)
    line.cut()
    os.kill(agent.pid, signal.SIGCONT)
    line, hello = coordinator.welcome(Deadly(how="hang"))
    assert hello.holding == (hung.attempt,)
    line.say(Forget(hung.attempt))
    line.hear(Heartbeat, lambda b: not b.attempts)


def _files_with(key: bytes) -> list[Path]:
    """Find this key where files are that nobody would look for."""
    found = []
    for path in [*Path("/dev/shm").rglob("*"), *Path(tempfile.gettempdir()).glob("mapreduce-*/*")]:
        with contextlib.suppress(OSError):
            found += [path] if path.is_file() and key in path.read_bytes() else []
    return found


def test_it_ends_itself_when_the_coordinator_is_gone_for_good(
    coordinator: Coordinator, tmp_path: Path
) -> None:
    note = tmp_path / "note"
    (hung,) = _deadly(tmp_path, ["00-deadly"])
    config = coordinator.config(patience_s=0.5)
    agent = coordinator.start(config)
    line, _ = coordinator.welcome(Deadly(how="hang", note=os.fspath(note)))
    line.say(hung)
    assert soon(lambda: _noted(note))
    slots = agent.slots()
    coordinator.listener.close()
    line.cut()
    assert agent.code() == 3
    assert "for 0.5 s" in agent.said()
    assert len(slots) == 2
    assert all(map(gone, slots))
    assert not _files_with(config.key)


@pytest.mark.parametrize("there", ["nothing", "another run"])
def test_it_ends_soon_where_the_coordinators_port_is_no_longer_its_own(
    coordinator: Coordinator, there: str
) -> None:
    agent = coordinator.start(coordinator.config(refused_s=0.5, patience_s=1000.0))
    line, _ = coordinator.welcome(Links())
    agent.first_line()
    if there == "nothing":
        coordinator.listener.close()
    else:
        coordinator.context = server_context(Authority("another").coordinator("127.0.0.1"))
        coordinator.listener.settimeout(0.2)
    line.cut()
    while there == "another run" and agent.process.poll() is None:
        with contextlib.suppress(TimeoutError, ssl.SSLError, ConnectionError):
            coordinator.accept()
    assert agent.code() == 3
    assert "for 0.5 s: its run is over" in agent.said()


def test_slots_end_when_the_agent_is_killed(coordinator: Coordinator, tmp_path: Path) -> None:
    note = tmp_path / "note"
    (hung,) = _deadly(tmp_path, ["00-deadly"])
    agent = coordinator.start(coordinator.config())
    line, _ = coordinator.welcome(Deadly(how="hang", note=os.fspath(note)))
    line.say(hung)
    assert soon(lambda: _noted(note))
    slots = agent.slots()
    os.kill(agent.pid, signal.SIGKILL)
    assert len(slots) == 2
    assert soon(lambda: all(map(gone, slots)))


def test_asked_to_end_it_finishes_what_it_is_at_and_begins_nothing(
    coordinator: Coordinator, tmp_path: Path
) -> None:
    note, gate = tmp_path / "note", tmp_path / "gate"
    runs, waits = _deadly(tmp_path, ["00-deadly", "01-deadly"])
    agent = coordinator.start(coordinator.config(slots=1))
    line, _ = coordinator.welcome(Deadly(how="wait", gate=os.fspath(gate), note=os.fspath(note)))
    line.say(runs)
    line.say(waits)
    assert soon(lambda: _noted(note))
    slots = agent.slots()
    os.kill(agent.pid, signal.SIGTERM)
    assert line.hear(Goodbye).why == "SIGTERM"
    line.cut()  # what it promised holds on the next connection too
    line, hello = coordinator.welcome(Deadly(how="wait", gate=os.fspath(gate)))
    assert runs.attempt in hello.holding
    assert line.hear(Goodbye).why == "SIGTERM"
    gate.touch()
    assert line.take()[0].attempt == runs.attempt
    assert agent.code() == 0
    assert len(_noted(note)) == 1
    assert all(map(gone, slots))


def test_asked_to_end_twice_or_by_ctrl_c_it_finishes_nothing(
    coordinator: Coordinator, tmp_path: Path
) -> None:
    note = tmp_path / "note"
    (hung,) = _deadly(tmp_path, ["00-deadly"])
    for numbers in ((signal.SIGTERM, signal.SIGTERM), (signal.SIGINT,)):
        note.unlink(missing_ok=True)
        agent = coordinator.start(coordinator.config())
        line, _ = coordinator.welcome(Deadly(how="hang", note=os.fspath(note)))
        line.say(hung)
        assert soon(lambda: _noted(note))
        slots = agent.slots()
        for number in numbers:
            os.kill(agent.pid, number)
            assert line.hear(Goodbye).why == signal.Signals(number).name
        assert agent.code() == 0
        assert all(map(gone, slots))


def test_told_goodbye_it_answers_once_no_slot_is_left(
    coordinator: Coordinator, tmp_path: Path
) -> None:
    note = tmp_path / "note"
    (hung,) = _deadly(tmp_path, ["00-deadly"])
    agent = coordinator.start(coordinator.config())
    line, _ = coordinator.welcome(Deadly(how="hang", note=os.fspath(note)))
    line.say(hung)
    assert soon(lambda: _noted(note))
    slots = agent.slots()
    line.say(Goodbye("done"))
    line.hear(Goodbye)
    assert all(map(gone, slots))
    assert agent.code() == 0
    assert "cannot run" not in agent.said()


def test_no_attempt_begins_while_too_much_waits_to_be_pulled(
    coordinator: Coordinator, trips: Directory
) -> None:
    coordinator.start(coordinator.config(slots=1), kept_bytes=1)
    line, _ = coordinator.welcome(Links())
    first, second, *_ = tasks(trips, 8)
    line.say(first)
    line.say(second)
    offer = line.hear(Offer)
    line.forget(Heartbeat)
    both = {first.attempt, second.attempt}
    for _ in range(3):
        beat = line.hear(Heartbeat, lambda b: {p.attempt for p in b.attempts} == both)
        waiting = next(p for p in beat.attempts if p.attempt == second.attempt)
        assert (waiting.objects, waiting.read_bytes) == (0, 0)
    assert not line.heard(Offer)
    line.say(Pull(offer.attempt))
    line.hear(Arrived)
    line.say(Forget(offer.attempt))
    assert line.hear(Offer).attempt == second.attempt


def test_progress_is_told_while_an_attempt_runs(coordinator: Coordinator, tmp_path: Path) -> None:
    store, gate = _folder(tmp_path / "trips", ["00", "01", "02-deadly", "03"]), tmp_path / "gate"
    (task,) = tasks(store, 4)
    coordinator.start(coordinator.config(slots=1))
    line, _ = coordinator.welcome(Deadly(how="wait", gate=os.fspath(gate)))
    line.say(task)
    beat = line.hear(Heartbeat, lambda b: any(p.objects == 2 for p in b.attempts))
    (progress,) = beat.attempts
    assert progress.read_bytes == sum(p.size_bytes for p in task.pieces[:2])
    gate.touch()
    assert line.take()[0].ledger.ok == 4


def test_a_pace_is_kept_to_and_no_secret_is_seen(
    coordinator: Coordinator, trips: Directory
) -> None:
    config = coordinator.config(slots=1)
    agent = coordinator.start(config)
    line, _ = coordinator.welcome(Links(), requests=4)
    line.say(Pace(1))
    (task,) = tasks(trips, 100)
    line.say(task)
    line.take()
    secret = config.key.split(b"\n")[1]
    for pid in (agent.pid, *agent.slots()):
        for name in ("cmdline", "environ"):
            assert secret not in Path(f"/proc/{pid}/{name}").read_bytes()
    assert secret.decode() not in agent.said()
    assert secret.decode() not in repr(config)


def test_a_job_that_prints_does_not_fill_the_card(coordinator: Coordinator, tmp_path: Path) -> None:
    (task,) = _deadly(tmp_path, ["00-deadly"])
    agent = coordinator.start(coordinator.config(slots=1))
    line, _ = coordinator.welcome(Deadly(how="chatter"))
    line.say(task)
    assert line.take()[0].ledger.ok == 1
    line.say(Goodbye())
    assert agent.code() == 0
    assert "record 0\n" in agent.said()
    assert "(it says more, which is left out)" in agent.said()
    assert agent.log.stat().st_size < 1 << 16


def test_it_listens_nowhere(coordinator: Coordinator) -> None:
    agent = coordinator.start(coordinator.config(slots=1))
    line, _ = coordinator.welcome(Links())
    line.hear(Heartbeat)
    listening = {
        row.split()[9]
        for name in ("tcp", "tcp6")
        for row in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
        if row.split()[3] == "0A"
    }
    for pid in (agent.pid, *agent.slots()):
        links = set()
        for fd in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed since it was listed
                links.add(os.fspath(fd.readlink()))
        assert links
        assert not {f"socket:[{inode}]" for inode in listening} & links
