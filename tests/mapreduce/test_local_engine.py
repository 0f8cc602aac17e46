"""The local engine with real processes: what kills one, fails in one, hangs one or outlives one."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import mapreduce as mr
from mapreduce.attempts import slot_process
from mapreduce.engines.local import Local
from mapreduce.engines.local_tasks import LocalTasks
from mapreduce.errors import JobError, ObjectError, StoreError, UsageError
from mapreduce.limits import Limits, MapError
from mapreduce.objects.memory import Memory
from mapreduce.runs.driver import Options, run
from mapreduce.runs.journal import progress_of
from tests.jobs.deadly import Deadly

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mapreduce.objects import Entry, Location
    from mapreduce.plan import Split

ROOT = Path(__file__).parents[2]
ALL_IN_ONE = Options(split_bytes=1 << 40)


def _trip(*links: int) -> bytes:
    return json.dumps({"data": [{"link": link} for link in links]}).encode()


GOOD = {f"{n:02}": _trip(n, 1) for n in range(7)}


def _among(**deadly: bytes) -> Memory:
    return Memory(GOOD | deadly)


def _slots(note: Path) -> dict[int, list[str]]:
    """Which process mapped which objects."""
    found: dict[int, list[str]] = {}
    for line in note.read_text().splitlines():
        pid, _, key = line.partition(" ")
        found.setdefault(int(pid), []).append(key)
    return found


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def _soon(what: Any, timeout_s: float = 20.0) -> bool:
    until = time.monotonic() + timeout_s
    while not what():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture(scope="module")
def alone() -> mr.Result:
    """What the good objects give by themselves."""
    return run(Deadly(), Memory(GOOD), workers=1)


@pytest.mark.parametrize(
    ("how", "said", "names"),
    [
        ("kill", "signal SIGKILL", ["03-deadly", "05-deadly"]),
        ("exit", "exit code 3", ["00-deadly"]),
        ("segfault", "signal SIGSEGV", ["99-deadly"]),
    ],
)
def test_an_object_that_kills_its_process_is_set_aside_alone(
    how: str, said: str, names: list[str], alone: mr.Result, tmp_path: Path
) -> None:
    note = tmp_path / "note"
    source = _among(**dict.fromkeys(names, _trip(3)))
    got = run(Deadly(how=how, note=str(note)), source, workers=1, options=ALL_IN_ONE)
    assert got.digest == alone.digest
    assert [(q.key, q.reason) for q in got.ledger.quarantined] == [(n, "crashed") for n in names]
    for bad in got.ledger.quarantined:
        assert said in bad.place
        assert "peak memory" in bad.place
        assert bad.place.endswith("MiB")
    assert got.receipt["objects"]["ok"] == 7
    slots = _slots(note)
    assert all(_is_gone(pid) for pid in slots)
    # Once, once more telling where it is, then twice alone; what comes behind need not begin anew.
    deaths = [keys[-1] for keys in slots.values() if "deadly" in keys[-1]]
    assert len(deaths) == 1 + 3 * len(names)


def _children() -> list[int]:
    """Give the processes that this one started and that map."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            command = (path.parent / "cmdline").read_bytes()
            if parent == os.getpid() and b"mapreduce.attempts.slot" in command:
                found.append(int(path.parent.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds processes in /proc")
@pytest.mark.parametrize("workers", [1, 2])
def test_all_processes_killed_again_and_again_convict_no_object(
    workers: int, alone: mr.Result, tmp_path: Path
) -> None:
    """As by the kernel, where memory is short: nothing is known of who does it."""
    kills, note = 0, tmp_path / "note"

    def kill(_: Any) -> None:
        nonlocal kills
        if kills < 12 and note.exists():  # they were ready once
            for pid in _children():
                with contextlib.suppress(ProcessLookupError):  # ended since it was listed
                    os.kill(pid, signal.SIGKILL)
                    kills += 1

    source = Memory({f"{key}-deadly": body for key, body in GOOD.items()})
    job = Deadly(how="slow", note=str(note))
    got = run(job, source, workers=workers, options=ALL_IN_ONE, on_progress=kill)
    assert kills >= 4  # how many there was time for
    assert got.ledger.quarantined == []
    assert got.digest == alone.digest


def test_processes_that_die_between_ready_and_work_cost_a_start(
    alone: mr.Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ready one dies with nothing to do, and the next one while it starts."""
    ready = slot_process.SlotProcess.start
    killed: list[int] = []

    def start(self: slot_process.SlotProcess) -> subprocess.Popen[bytes]:
        process = ready(self)
        if len(killed) < 3:
            killed.append(process.pid)
            process.kill()
            process.wait()
        return process

    def began(self: slot_process.SlotProcess, *told: Any) -> Any:
        if len(killed) < 3:  # as `start` says where the process ends before it is ready
            self.start()
            raise slot_process.StartError("a worker process ended before it was ready")
        return run_work(self, *told)

    run_work = slot_process.SlotProcess.run
    monkeypatch.setattr(slot_process.SlotProcess, "start", start)
    monkeypatch.setattr(slot_process.SlotProcess, "run", began)
    got = run(Deadly(), Memory(GOOD), workers=1, options=ALL_IN_ONE)
    assert got.digest == alone.digest
    assert got.ledger.quarantined == []
    assert len(killed) == 3


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds processes in /proc")
def test_work_of_a_process_that_is_stopped_is_given_to_another(
    alone: mr.Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slot_process, "STOPPED_S", 1.0)
    stopped: list[int] = []

    def stop(_: Any) -> None:
        for pid in _children() if note.exists() and not stopped else ():
            os.kill(pid, signal.SIGSTOP)
            stopped.append(pid)

    note = tmp_path / "note"
    source = Memory({f"{key}-deadly": body for key, body in GOOD.items()})
    job = Deadly(how="slow", note=str(note))
    got = run(job, source, workers=1, options=ALL_IN_ONE, on_progress=stop)
    assert got.digest == alone.digest
    assert got.ledger.quarantined == []
    assert len(stopped) == 1
    assert _is_gone(stopped[0])


def test_an_object_that_needs_too_much_memory_is_set_aside(alone: mr.Result) -> None:
    engine = Local(1, memory_bytes=600 << 20)
    got = run(Deadly(how="flood"), _among(**{"03-deadly": _trip(3)}), engine=engine)
    assert got.digest == alone.digest
    (bad,) = got.ledger.quarantined
    assert (bad.reason, bad.key) == ("crashed", "03-deadly")
    assert "out of memory within its limit" in bad.place


def test_the_peak_memory_of_a_crash_is_not_taken_from_this_process() -> None:
    assert len(bytearray(os.urandom(1) * (300 << 20))) > 0  # this process has had more
    got = run(Deadly(how="kill"), Memory({"a-deadly": _trip(3), "b": _trip(1)}), workers=1)
    assert "peak memory at most" in got.ledger.quarantined[0].place


def test_an_exception_in_map_stops_the_run_and_all_processes(tmp_path: Path) -> None:
    note = tmp_path / "note"
    source = _among(**{"03-deadly": _trip(1, 13)})
    began = time.monotonic()
    with pytest.raises(MapError) as caught:
        run(Deadly(how="fail", note=str(note)), source, workers=2, options=Options(split_bytes=1))
    assert "'03-deadly', record 1:" in str(caught.value)
    assert "ZeroDivisionError: thirteen" in str(caught.value)
    assert all(_is_gone(pid) for pid in _slots(note))
    assert time.monotonic() - began < 30


def test_map_errors_can_be_set_aside(alone: mr.Result) -> None:
    options = Options(limits=Limits(quarantine_map_errors=True))
    source = _among(**{"03-deadly": _trip(1, 13)})
    got = run(Deadly(how="fail"), source, workers=1, options=options)
    assert got.digest == alone.digest
    assert [q.reason for q in got.ledger.quarantined] == ["map_failed"]


def test_a_job_sees_an_empty_input_and_may_print() -> None:
    source = Memory({"deadly": _trip(1), "z": _trip(2)})
    assert run(Deadly(how="read"), source, workers=1).receipt["objects"]["ok"] == 2


class _Unlocatable(Memory):
    """Cannot say where one object is."""

    def locate(self, entry: Entry) -> Location:
        if "deadly" in entry.key:
            raise ObjectError("unreadable", "no address for it")
        return super().locate(entry)


def test_an_object_that_cannot_be_located_is_set_aside(alone: mr.Result) -> None:
    source = _Unlocatable(GOOD | {"03-deadly": _trip(3)})
    got = run(Deadly(), source, workers=1)
    assert got.digest == alone.digest
    assert [(q.key, q.reason) for q in got.ledger.quarantined] == [("03-deadly", "unreadable")]
    assert got.receipt["objects"]["ok"] == 7


class _Broken(Memory):
    """Fails as a whole after some objects: while listing, or while locating."""

    def __init__(self, objects: dict[str, bytes], *, listing: bool) -> None:
        super().__init__(objects)
        self.listing = listing

    def entries(self) -> Iterator[Entry]:
        for number, entry in enumerate(super().entries()):
            if self.listing and number == 3:
                raise StoreError("the listing broke")
            yield entry

    def locate(self, entry: Entry) -> Location:
        if not self.listing and entry.key == "03":
            raise StoreError("the store broke")
        return super().locate(entry)


@pytest.mark.parametrize("listing", [True, False])
def test_a_store_that_fails_as_a_whole_stops_the_run_resumably(
    listing: bool, alone: mr.Result, tmp_path: Path
) -> None:
    options = Options(split_bytes=1)
    note = tmp_path / "note"
    job = Deadly(note=str(note))
    with pytest.raises(StoreError, match="broke"):
        run(job, _Broken(GOOD, listing=listing), workers=1, folder=tmp_path, options=options)
    first = [key for keys in _slots(note).values() for key in keys]
    assert all(_is_gone(pid) for pid in _slots(note))
    got = run(job, Memory(GOOD), workers=1, folder=tmp_path, options=options)
    assert got.digest == alone.digest
    assert got.ledger.quarantined == []
    every = [key for keys in _slots(note).values() for key in keys]
    assert first == ["00", "01", "02"][: 2 if listing else 3]
    assert sorted(every) == sorted(GOOD)  # each was mapped once, in the one run or the other


def test_a_listing_that_stalls_does_not_keep_a_failed_run_waiting() -> None:
    class Stalling(Memory):
        def entries(self) -> Iterator[Entry]:
            yield from super().entries()
            time.sleep(2.5)
            yield from ()

    source = Stalling({f"{n}-deadly": _trip(13) for n in range(3)})
    began = time.monotonic()
    with pytest.raises(MapError):
        run(Deadly(how="fail"), source, workers=3, options=Options(split_bytes=1))
    assert time.monotonic() - began < 20


def test_a_slot_that_waits_for_the_listing_keeps_no_other_from_telling() -> None:
    listed = threading.Event()
    asked = threading.Event()

    def splits() -> Iterator[Split]:
        asked.set()
        listed.wait()
        yield from ()

    desk = LocalTasks(splits())
    waiting = threading.Thread(target=desk.take)
    waiting.start()
    asked.wait()
    others = threading.Thread(target=desk.lived, args=(1.0,))
    others.start()
    others.join(30)
    held_up = others.is_alive()
    listed.set()
    waiting.join()
    others.join()
    assert not held_up


def test_a_job_that_cannot_be_loaded_in_a_worker_says_so(tmp_path: Path) -> None:
    path = tmp_path / "only_here.py"
    path.write_text(
        "import os\nimport mapreduce as mr\n"
        f"if os.getpid() != {os.getpid()}: raise RuntimeError('not at home')\n"
        "class Mine(mr.Job):\n"
        "    records = mr.Lines('line')\n"
        "    t = mr.Table(key='k', n=mr.Sum)\n"
    )
    with pytest.raises(JobError, match=r"worker process could not load the job.*not at home"):
        run(mr.load(f"{path}:Mine"), Memory(GOOD), workers=1)


@pytest.mark.parametrize(("deaths", "starts"), [(2, 3), (3, 3)])
def test_a_process_that_dies_before_it_is_ready_is_started_again_thrice_at_most(
    deaths: int, starts: int, tmp_path: Path
) -> None:
    path, note = tmp_path / "short_lived.py", tmp_path / "starts"
    note.touch()
    path.write_text(
        "import os, pathlib, signal\nimport mapreduce as mr\n"
        f"note = pathlib.Path({str(note)!r})\n"
        f"if os.getpid() != {os.getpid()}:\n"
        "    note.write_text(note.read_text() + 'x')\n"
        f"    if len(note.read_text()) <= {deaths}: os.kill(os.getpid(), signal.SIGKILL)\n"
        "class Mine(mr.Job):\n"
        "    records = mr.Lines('line')\n"
        "    t = mr.Table(key='k', n=mr.Sum)\n"
        "    def map(self, r): return self.t.fold(r.rows, n=1)\n"
    )
    job = mr.load(f"{path}:Mine")
    if deaths < starts:
        assert run(job, Memory(GOOD), workers=1).receipt["objects"]["ok"] == len(GOOD)
    else:
        with pytest.raises(
            mr.MapReduceError, match=r"before it was ready.*SIGKILL.*3 processes in a row"
        ):
            run(job, Memory(GOOD), workers=1)
    assert len(note.read_text()) == starts


def test_no_workers_are_wrong_use() -> None:
    with pytest.raises(UsageError, match="--workers is at least 1, got 0"):
        run(Deadly(), Memory(GOOD), workers=0)
    with pytest.raises(UsageError, match="unknown engine 'spork'"):
        run(Deadly(), Memory(GOOD), engine="spork")


PARENT = """
import sys
from mapreduce.runs.driver import Options, run
from tests.jobs.deadly import Deadly
how, note, source, out = sys.argv[1:]
if __name__ == "__main__":
    print("ready", flush=True)
    try:
        got = run(Deadly(how=how, note=note), source, workers=2, folder=out,
                  options=Options(split_bytes=1))
    except KeyboardInterrupt:
        print("interrupted", flush=True)
        raise SystemExit(130) from None
    print(got.digest, flush=True)
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder of good objects, and of one that takes its time."""
    folder = tmp_path / "in"
    folder.mkdir()
    for name, body in GOOD.items():
        (folder / name).write_bytes(body)
    (folder / "03-deadly").write_bytes(_trip(3))
    return folder


def _parent(how: str, source: Path) -> subprocess.Popen[str]:
    note, out = source.parent / "note", source.parent / "out"
    command = [sys.executable, "-c", PARENT, how, str(note), str(source), str(out)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def _reached(source: Path, key: str) -> bool:
    note = source.parent / "note"
    return note.exists() and key in note.read_text()


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL, signal.SIGTERM])
def test_slots_end_with_their_parent_whatever_they_are_at(
    sign: signal.Signals, source: Path
) -> None:
    with _parent("hang", source) as parent:
        assert _soon(lambda: _reached(source, "03-deadly"))
        parent.send_signal(sign)
        assert parent.wait(20) == (130 if sign == signal.SIGINT else -sign)
        slots = _slots(source.parent / "note")
        assert _soon(lambda: all(_is_gone(pid) for pid in slots), 10)
        if sign == signal.SIGINT:
            assert parent.stdout is not None
            assert "interrupted" in parent.stdout.read()


def _committed(out: Path) -> int:
    with contextlib.suppress(UsageError):  # no journal yet
        return progress_of(out).committed
    return 0


def test_a_killed_run_goes_on_where_it_stopped(source: Path, tmp_path: Path) -> None:
    with _parent("hang", source) as parent:
        assert _soon(lambda: _committed(tmp_path / "out") == 7, 60)
        assert _soon(lambda: _reached(source, "03-deadly"))
        parent.kill()
    before = [key for keys in _slots(tmp_path / "note").values() for key in keys]
    job = Deadly(how="slow", note=str(tmp_path / "note"))
    options = Options(split_bytes=1)
    with pytest.raises(UsageError, match="belongs to another run"):
        run(job, source, workers=1, folder=tmp_path / "out", options=options)
    same = Deadly(how="hang", note=str(tmp_path / "note"))
    (source / "03-deadly").unlink()  # what hangs is gone when the run goes on
    got = run(same, source, workers=2, folder=tmp_path / "out", options=options)
    after = [key for keys in _slots(tmp_path / "note").values() for key in keys][len(before) :]
    assert after == []  # all that is there was committed
    assert len(set(before) & set(GOOD)) == 7
    assert [(q.key, q.reason) for q in got.ledger.quarantined] == [("03-deadly", "gone")]
    whole = run(same, source, workers=1, options=options)
    assert got.digest == whole.digest
    assert got.receipt["records"] == whole.receipt["records"]
    assert got.receipt["objects"]["ok"] == whole.receipt["objects"]["ok"] == 7
    assert not (tmp_path / "out" / "journal.sqlite").exists()
