"""One job under every engine: the same digest, the same account, whatever dies on the way.

Local, two hosts of the cluster over SSH (their agents started here: SSH itself has its tests in
`tests/cluster`), a Dask cluster of three worker processes, and a Spark standalone master with two
workers.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import distributed
import psutil
import pytest

import mapreduce as mr
from mapreduce.cluster.engine import Cluster
from mapreduce.engines.dask import Dask
from mapreduce.engines.local import Local
from mapreduce.engines.spark import Spark
from mapreduce.errors import JobError, StoreError
from mapreduce.limits import Limits, MapError
from mapreduce.objects import Location
from mapreduce.objects.memory import Memory
from mapreduce.objects.s3 import S3
from mapreduce.objects.s3_settings import Keys, Settings
from mapreduce.runs.driver import Options, run
from mapreduce.runs.journal import progress_of
from roadspeed.speeds import Speeds
from tests.cluster.launching import Processes
from tests.curitiba import CURITIBA, needs_curitiba
from tests.jobs.choosing import Chosen
from tests.jobs.counting import Links, PlainRows
from tests.jobs.deadly import Deadly

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mapreduce.engine import Engine
    from mapreduce.objects import Entry
    from mapreduce.runs.progress import Progress
    from tests.services.seaweed import Seaweed

pytestmark = pytest.mark.timeout(240)  # clusters start within it
SPARK = pytest.param("spark", marks=pytest.mark.xdist_group("spark"))
OTHERS = pytest.mark.parametrize("name", ["dask", SPARK])
ALL = pytest.mark.parametrize("name", ["ssh", "dask", SPARK])
ONE_EACH = Options(split_bytes=1)


@pytest.fixture
def engine(name: str, request: pytest.FixtureRequest) -> Engine:
    """Give the engine of that name, on its cluster."""
    if name == "dask":
        return Dask(request.getfixturevalue("dask_address"))
    if name == "spark":
        return Spark(context=request.getfixturevalue("spark_context"))
    assert name == "ssh"
    return Cluster({"a": 1, "b": 1}, Processes(), address="127.0.0.3")


def _trip(*links: int) -> bytes:
    return json.dumps({"data": [{"link": link, "v": link / 4} for link in links]}).encode()


GOOD = {f"{n:02}": _trip(n, 1) for n in range(20)}
BAD = {
    "03-empty": b"",
    "04-cut": _trip(1, 2)[:-3],
    "07-list": b"[1, 2]",
    "11-fast": _trip(9999, 1),
    "15-text": b'{"data": [{"link": "x", "v": 1}, {"v": 2}, {"link": 1, "v": 3}]}',
}


def _account(result: mr.Result) -> dict[str, Any]:
    """A receipt without what differs from run to run."""
    own = {"run", "engine", "times_s", "work"}
    return {key: value for key, value in result.receipt.items() if key not in own}


def _same(result: mr.Result, known: mr.Result) -> bool:
    assert result.digest == known.digest
    assert _account(result) == _account(known)
    assert result.ledger == known.ledger
    return True


@ALL
@needs_curitiba
def test_trips_in_a_folder(engine: Engine) -> None:
    known = run(Speeds(), CURITIBA / "trips", engine=Local(1))
    told: list[Progress] = []
    result = run(
        Speeds(), CURITIBA / "trips", engine=engine, options=ONE_EACH, on_progress=told.append
    )
    assert _same(result, known)
    assert result.receipt["engine"] == engine.name
    done = [p.done for p in told if p.phase == "map"]
    assert done == sorted(done)
    assert done[-1] == known.receipt["objects"]["bytes"]


@ALL
def test_bad_objects_among_good_ones(engine: Engine) -> None:
    source = Memory(GOOD | BAD)
    known = run(Links(), source, engine=Local(1))
    assert _same(run(Links(), source, engine=engine, options=Options(split_bytes=300_000)), known)
    assert {q.reason for q in known.ledger.quarantined} == {"empty", "not_json", "wrong_shape"}
    assert sum(known.receipt["records"]["dropped"].values()) > 1


@ALL
def test_nan_beside_what_is_wanted_is_taken_where_it_is_allowed(engine: Engine) -> None:
    odd = b'{"m": NaN, "data": [{"link": 1, "v": 5, "x": [NaN]}, {"link": 2, "v": -Infinity}]}'
    source = Memory(GOOD | {"05-nan": odd, "06-nan": odd.replace(b"NaN", b"nan", 1)})
    limits = Limits(allow_nan=True)
    known = run(Links(), source, engine=Local(1), options=Options(limits=limits))
    assert known.receipt["records"]["dropped"] == {"bad_speed": 1}
    assert known.receipt["allow_nan"]
    assert [q.key for q in known.ledger.quarantined] == ["06-nan"]
    got = run(Links(), source, engine=engine, options=Options(limits=limits, split_bytes=300_000))
    assert _same(got, known)


@OTHERS
def test_a_side_input_comes_once_to_each_worker(engine: Engine, tmp_path: Path) -> None:
    wanted, note = tmp_path / "wanted.json", tmp_path / "note"
    wanted.write_text(json.dumps([1, 3, 17]))
    source = Memory(GOOD)
    known = run(Chosen(wanted=mr.SideFile(wanted)), source, engine=Local(1))
    assert known.rows["link"].tolist() == [1, 3, 17]
    for _ in range(2):
        job = Chosen(wanted=mr.SideFile(wanted), note=str(note))
        got = run(job, source, engine=engine, options=ONE_EACH)
        assert got.digest == known.digest
        assert got.receipt["parameters"]["wanted"] == known.receipt["parameters"]["wanted"]
    places = [p.rpartition("/") for p in note.read_text().splitlines()]
    sha256 = known.receipt["parameters"]["wanted"].removeprefix("sha256:")
    assert {name for _, _, name in places} == {f"mapreduce-input-{sha256}"}
    assert str(tmp_path) not in {folder for folder, _, _ in places}


BESIDE = """
import mapreduce as mr
import beside_{name}

class Mine(mr.Job):
    records = mr.Json(at="data", link=mr.Int("link"))
    links = mr.Table(key="link", n=mr.Sum)

    def map(self, r):
        return self.links.fold(r.link, n=beside_{name}.STEP)
"""


@OTHERS
def test_a_module_beside_the_job_comes_along_in_todays_version(
    engine: Engine, name: str, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(BESIDE.format(name=name))
    for step in (3, 4):  # the workers outlive the first run
        (tmp_path / f"beside_{name}.py").write_text(f"STEP = {step}\n")
        job = mr.load(f"{tmp_path / 'mine.py'}:Mine")
        got = run(job, Memory(GOOD), engine=engine, options=ONE_EACH)
        assert int(got.rows["n"].sum()) == step * 2 * len(GOOD)
    sys.path.remove(str(tmp_path))


HIDDEN = """
import importlib, importlib.util, runpy
import mapreduce as mr
import of_{name}.known

def by_path():
    spec = importlib.util.spec_from_file_location("loaded", {path!r})
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.STEP

def by_runpy():
    return runpy.run_path({path!r})["STEP"]

def by_name():
    return importlib.import_module("of_{name}." + "hidden").STEP

class Mine(mr.Job):
    records = mr.Json(at="data", link=mr.Int("link"))
    links = mr.Table(key="link", n=mr.Sum)

    def map(self, r):
        return self.links.fold(r.link, n={how}())
"""


@OTHERS
@pytest.mark.parametrize("how", ["by_path", "by_runpy", "by_name"])
def test_a_file_of_the_jobs_own_that_no_import_names_is_refused(
    engine: Engine, name: str, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    package, mine = tmp_path / f"of_{name}", tmp_path / "mine.py"
    package.mkdir()
    for part in ("__init__", "known", "hidden"):
        (package / f"{part}.py").write_text("STEP = 2\n")
    text = HIDDEN.format(name=name, how=how, path=str(package / "hidden.py"))
    mine.write_text(text)
    said = rf"of_{name}/hidden\.py is code of the job that was not found.*Import it by its name"
    with pytest.raises(JobError, match=said):
        run(mr.load(f"{mine}:Mine"), Memory(GOOD), engine=engine, options=ONE_EACH)
    mine = tmp_path / "named.py"
    mine.write_text(text.replace(".known", ".hidden"))
    got = run(mr.load(f"{mine}:Mine"), Memory(GOOD), engine=engine, options=ONE_EACH)
    assert int(got.rows["n"].sum()) == 2 * 2 * len(GOOD)
    for loaded in [one for one in sys.modules if one.partition(".")[0] == f"of_{name}"]:
        del sys.modules[loaded]


@ALL
def test_lines_divided_by_ranges_among_whole_objects(engine: Engine) -> None:
    long = b"".join(b'{"id": %d}\n' % (n % 900) for n in range(40_000))
    source = Memory(
        {f"{n:02}.jsonl": b'{"id": 7}\n' for n in range(9)}
        | {"03-long.jsonl": long, "05-bad.jsonl": long + b"\xff\n", "06-long.jsonl": long * 2}
    )
    options = Options(split_bytes=1 << 16)
    known = run(PlainRows(), source, engine=Local(1), options=options)
    assert known.receipt["records"]["kept"] > 120_000
    assert _same(run(PlainRows(), source, engine=engine, options=options), known)


@pytest.fixture
def stored(seaweed: Seaweed) -> S3:
    """Put the good and bad objects into a bucket."""
    bucket = seaweed.bucket()
    seaweed.put(bucket, GOOD | BAD)
    keys = Keys(seaweed.access, seaweed.secret)
    return S3(bucket, settings=Settings(endpoint=seaweed.endpoint, region="us-east-1", keys=keys))


@ALL
def test_a_bucket_whose_first_addresses_have_expired(
    engine: Engine, stored: S3, seaweed: Seaweed
) -> None:
    class Late:
        """Gives each address at first as it was signed two hours ago."""

        name = stored.name

        def __init__(self) -> None:
            self.asked: set[str] = set()

        def entries(self) -> Iterator[Entry]:
            return stored.entries()

        def locate(self, entry: Entry) -> Location:
            if entry.key in self.asked:
                return stored.locate(entry)
            self.asked.add(entry.key)
            signed = datetime.now(UTC) - timedelta(hours=2)
            url = seaweed.client.presigned_get_object(
                stored.bucket, entry.key, timedelta(minutes=5), request_date=signed
            )
            return Location(url=url)

    known = run(Links(), stored, engine=Local(1))
    options = Options(split_bytes=1 << 19)
    assert _same(run(Links(), Late(), engine=engine, options=options), known)


@pytest.fixture(scope="module")
def alone() -> mr.Result:
    """Give what the good objects bring by themselves."""
    return run(Deadly(), Memory(GOOD), engine=Local(1))


@ALL
def test_objects_that_kill_their_worker_are_set_aside_alone(
    engine: Engine, alone: mr.Result
) -> None:
    deadly = ["03-deadly", "05-deadly"]
    source = Memory(GOOD | dict.fromkeys(deadly, _trip(3)))
    got = run(Deadly(how="kill"), source, engine=engine, options=Options(split_bytes=1 << 20))
    assert got.digest == alone.digest
    assert [(q.key, q.reason) for q in got.ledger.quarantined] == [(k, "crashed") for k in deadly]
    assert all("signal SIGKILL" in q.place for q in got.ledger.quarantined)
    assert got.receipt["objects"]["ok"] == len(GOOD)


def _killed_at(note: Path, chosen: Callable[[psutil.Process], psutil.Process]) -> threading.Thread:
    """Kill a worker, or what `chosen` finds from it, as soon as it has mapped an object."""

    def kill() -> None:
        until = time.monotonic() + 60
        while not (note.exists() and (text := note.read_text()).endswith("\n")):
            if time.monotonic() > until:
                return
            time.sleep(0.01)
        chosen(psutil.Process(int(text.split()[0]))).kill()
        note.with_name("killed").touch()

    thread = threading.Thread(target=kill)
    thread.start()
    return thread


def _itself(process: psutil.Process) -> psutil.Process:
    return process


def _nanny(process: psutil.Process) -> psutil.Process:
    """Find the executor's Java above a Python worker of Spark's."""
    return next(p for p in process.parents() if p.name() == "java")


@pytest.mark.parametrize(
    ("name", "whom"),
    [
        ("dask", _itself),
        pytest.param("spark", _itself, marks=pytest.mark.xdist_group("spark")),
        pytest.param("spark", _nanny, marks=pytest.mark.xdist_group("spark")),
    ],
    ids=["dask-worker", "spark-task", "spark-executor"],
)
def test_a_worker_killed_on_the_way_costs_nothing_but_time(
    engine: Engine,
    whom: Callable[[psutil.Process], psutil.Process],
    tmp_path: Path,
) -> None:
    note = tmp_path / "note"
    source = Memory({f"{key}-deadly": body for key, body in GOOD.items()})
    known = run(Deadly(how="slow"), source, engine=Local(2))
    killer = _killed_at(note, whom)
    got = run(Deadly(how="slow", note=str(note)), source, engine=engine, options=ONE_EACH)
    killer.join()
    assert (tmp_path / "killed").exists()
    assert got.digest == known.digest
    assert got.ledger == known.ledger


@ALL
def test_an_exception_in_map_stops_the_run_with_its_traceback(engine: Engine) -> None:
    source = Memory(GOOD | {"03-deadly": _trip(1, 13)})
    with pytest.raises(MapError) as caught:
        run(Deadly(how="fail"), source, engine=engine, options=ONE_EACH)
    assert "'03-deadly', record 1:" in str(caught.value)
    assert "ZeroDivisionError: thirteen" in str(caught.value)
    options = Options(limits=Limits(quarantine_map_errors=True))
    got = run(Deadly(how="fail"), source, engine=engine, options=options)
    assert [q.reason for q in got.ledger.quarantined] == ["map_failed"]


@OTHERS
def test_a_store_that_fails_as_a_whole_stops_the_run(engine: Engine, tmp_path: Path) -> None:
    class Broken(Memory):
        def locate(self, entry: Entry) -> Location:
            if entry.key == "07":
                raise StoreError("the store broke")
            return super().locate(entry)

    with pytest.raises(StoreError, match="the store broke"):
        run(Deadly(), Broken(GOOD), engine=engine, options=ONE_EACH)

    class Elsewhere(Memory):
        def locate(self, entry: Entry) -> Location:
            return Location(path=str(tmp_path / "not here" / entry.key))

    with pytest.raises(StoreError, match=r"has no folder .*not here.* shared file system"):
        run(Deadly(), Elsewhere(GOOD), engine=engine)


@ALL
def test_keys_beyond_the_limit_stop_the_run(engine: Engine) -> None:
    options = Options(split_bytes=1, limits=Limits(max_keys=5))
    with pytest.raises(JobError, match="more than --max-keys 5"):
        run(Links(), Memory(GOOD), engine=engine, options=options)


@pytest.mark.parametrize("name", ["dask"])
def test_a_worker_that_lost_sight_of_an_archive_is_helped(engine: Dask) -> None:
    known = run(Links(), Memory(GOOD), engine=engine)

    def lose() -> int:
        """Forget what is in the archives, as a list read while one is written leaves it."""
        cache = importlib.import_module("zipimport")._zip_directory_cache
        ours = [path for path in cache if "mapreduce-" in path]
        return sum(cache.pop(path) is not None for path in ours)

    with distributed.Client(engine.scheduler, set_as_default=False) as client:
        assert all(lost > 0 for lost in client.run(lose).values())
    assert _same(run(Links(), Memory(GOOD), engine=engine), known)


@OTHERS
def test_a_run_goes_on_from_what_was_committed(engine: Engine, tmp_path: Path) -> None:
    objects = {f"{n:04}": _trip(n, 1) for n in range(70)}
    note, out = tmp_path / "note", tmp_path / "out"
    job = Deadly(note=str(note))

    class Endless(Memory):
        """A listing that stands still before its last object."""

        def entries(self) -> Iterator[Entry]:
            *most, last = super().entries()
            yield from most
            stopped.wait(100)
            yield last

    stopped = threading.Event()

    def until_committed(_: Progress) -> None:
        if progress_of(out).committed:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(
            job,
            Endless(objects),
            engine=engine,
            folder=out,
            options=ONE_EACH,
            on_progress=until_committed,
        )
    stopped.set()
    committed = progress_of(out).committed
    assert 1 < committed < 70
    note.unlink()
    got = run(job, Memory(objects), engine=engine, folder=out, options=ONE_EACH)
    # By name: an attempt of the first run that nobody waits for any more may note its object late.
    assert len({line.split()[1] for line in note.read_text().splitlines()}) == 70 - committed
    assert got.digest == run(Deadly(), Memory(objects), engine=Local(1)).digest
    assert got.receipt["objects"]["ok"] == 70


@OTHERS
def test_a_job_that_changed_is_run_as_it_is_now(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "shelf" / "of_mine"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path / "shelf")
    for step in (1, 5):
        text = JOB.replace("STEP", str(step))
        (package / "work.py").write_text(text)
        (tmp_path / f"alone{step}.py").write_text(text)
        for name in ("of_mine", "of_mine.work"):
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        for reference in ("of_mine.work:Counted", f"{tmp_path}/alone{step}.py:Counted"):
            got = run(mr.load(reference), Memory({"a": b"x\nx\n"}), engine=engine)
            assert got.rows["n"].tolist() == [2 * step]


JOB = """
import mapreduce as mr

class Counted(mr.Job):
    records = mr.Lines("line")
    lines = mr.Table(key=mr.Key("line", width=4), n=mr.Sum)

    def map(self, r):
        return self.lines.fold(r.line, n=STEP)
"""


@OTHERS
def test_a_job_that_cannot_be_loaded_there_says_why(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "only_here.py"
    path.write_text(f"import os\nif os.getpid() != {os.getpid()}: import nothing_like_it\n{JOB}")
    with pytest.raises(JobError, match=r"could not load the job.*nothing_like_it"):
        run(mr.load(f"{path}:Counted"), Memory({"a": b"x"}), engine=engine)
