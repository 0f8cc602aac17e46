"""What was quarantined is tried again by itself, to the sums of a run over all that is good now."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from mapreduce.commands import run_folder
from mapreduce.errors import MapReduceError, ObjectError, UsageError
from mapreduce.ledger import Dropped
from mapreduce.objects.memory import Memory
from mapreduce.runs import kept
from mapreduce.runs.driver import Options, run
from mapreduce.runs.journal import NAME
from mapreduce.runs.receipt_file import read
from mapreduce.runs.report import published, write_account, write_receipt
from tests.jobs.counting import Links, PlainRows
from tests.jobs.here import Here, StopError
from tests.mapreduce.test_cli import JOB, mapreduce

if TYPE_CHECKING:
    from pathlib import Path

    import mapreduce as mr
    from mapreduce.objects import Entry, Location

OPTIONS = Options(split_bytes=1)
GOOD = {
    f"{n:03}": json.dumps({"data": [{"link": n % 7, "v": 1.5 * n}, {"v": 1}]}).encode()
    for n in range(12)
}
BAD = GOOD | {"002": b"<html>", "005": b"", "009": b'{"data": 7}'}


def _publish(folder: Path, objects: dict[str, bytes], **told: Any) -> mr.Result:
    """Run, and write what a command would."""
    given: dict[str, Any] = {"engine": Here(), "options": OPTIONS, "job": Links()} | told
    store = given.pop("store", Memory)(objects)
    result = run(given.pop("job"), store, folder=folder, keep_journal=True, **given)
    with published(folder) as room:
        write_receipt(room, result.receipt, write_account(room, result.ledger, result.kept))
    return result


def _fresh(objects: dict[str, bytes], job: mr.Job | None = None) -> mr.Result:
    return run(job or Links(), Memory(objects), engine=Here(), options=OPTIONS)


def test_a_retry_gives_what_a_run_over_what_is_good_now_gives(tmp_path: Path) -> None:
    first = _publish(tmp_path, BAD)
    engine = Here()
    now = GOOD | {"009": b"<html>", "000": b"changed since, and not looked at"}
    second = _publish(tmp_path, now, engine=engine, retry=True)
    known = _fresh(GOOD | {"009": b"<html>"})
    assert (second.digest, second.ledger) == (known.digest, known.ledger)
    assert second.receipt["objects"] == known.receipt["objects"]
    assert second.receipt["records"] == known.receipt["records"]
    assert len(engine.ran) == 3
    told = second.receipt["retried"]
    assert told == {
        "run": first.receipt["run"],
        "objects": 3,
        "ok": 2,
        "bytes_since": sum(len(now[key]) for key in ("002", "005", "009")),
    }
    assert run_folder.status(tmp_path).startswith("finished")
    assert "files are unchanged" in run_folder.verified(tmp_path)
    third = _publish(tmp_path, GOOD, retry=True)
    assert third.digest == _fresh(GOOD).digest
    assert third.receipt["objects"]["quarantined"] == 0
    assert not (tmp_path / kept.NAME).exists()
    with pytest.raises(UsageError, match=r"nothing to retry|a retry is not possible"):
        _publish(tmp_path, GOOD, retry=True)


def test_what_is_not_listed_any_more_stays_quarantined_as_gone(tmp_path: Path) -> None:
    _publish(tmp_path, BAD)
    left = {key: raw for key, raw in GOOD.items() if key not in ("005", "009")}
    got = _publish(tmp_path, left, retry=True)
    assert got.digest == _fresh(left).digest
    assert [(bad.key, bad.ordinal, bad.reason) for bad in got.ledger.quarantined] == [
        ("005", 5, "gone"), ("009", 9, "gone")
    ]  # fmt: skip
    assert _publish(tmp_path, {"x": b"none of them"}, retry=True).digest == got.digest


def test_records_are_counted_and_shown_in_the_order_of_the_first_listing(tmp_path: Path) -> None:
    _publish(tmp_path, BAD)
    got = _publish(tmp_path, GOOD, retry=True)
    assert got.ledger.samples == [Dropped("no_link", n, 1, f"{n:03}") for n in range(12)]


def test_the_first_nan_is_that_of_the_first_listing(tmp_path: Path) -> None:
    nan = dict.fromkeys(("001", "005"), b'{"data": [{"link": 1, "v": NaN}]}')
    bad = GOOD | nan | {"005": b""}
    _publish(tmp_path, bad)
    got = _publish(tmp_path, GOOD | nan, retry=True)
    assert got.ledger == _fresh(GOOD | nan).ledger


def test_an_interrupted_retry_goes_on_where_it_stopped(tmp_path: Path) -> None:
    _publish(tmp_path, BAD)
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(StopError):
        _publish(tmp_path, GOOD, engine=Here(1, all_listed=True), retry=True)
    assert "not finished: 1 of 3" in run_folder.status(tmp_path)
    assert files.items() <= {p.name: p.read_bytes() for p in tmp_path.iterdir()}.items()
    with pytest.raises(UsageError, match="not finished: 1 of 3"):
        run_folder.to_retry(tmp_path)
    with pytest.raises(UsageError, match=r"another run.* its retry was '.*', now it is None"):
        _publish(tmp_path, GOOD)
    engine = Here()
    got = _publish(tmp_path, GOOD, engine=engine, retry=True)
    assert (len(engine.ran), got.digest) == (2, _fresh(GOOD).digest)


def test_a_retry_that_is_killed_while_its_files_are_put_in_place_goes_on(tmp_path: Path) -> None:
    _publish(tmp_path, BAD)
    run(
        Links(), Memory(GOOD), engine=Here(), options=OPTIONS, folder=tmp_path,
        keep_journal=True, retry=True,
    )  # fmt: skip
    (tmp_path / kept.NAME).unlink()  # the first that goes
    got = _publish(tmp_path, GOOD, retry=True)
    assert got.digest == _fresh(GOOD).digest
    assert not list(tmp_path.glob(".*"))


def test_an_object_that_was_divided_is_tried_again_whole(tmp_path: Path) -> None:
    class Gone(Memory):
        def locate(self, entry: Entry) -> Location:
            if entry.key == "a.jsonl":
                raise ObjectError("gone", "")
            return super().locate(entry)

    rows = b"".join(b'{"id":%d}\n' % (n % 50) for n in range(30_000))
    objects = {"a.jsonl": rows, "b.jsonl": rows}
    told: dict[str, Any] = {"job": PlainRows(), "options": Options(split_bytes=100_000)}
    first = _publish(tmp_path, objects, store=Gone, **told)
    assert [(bad.key, bad.ordinal) for bad in first.ledger.quarantined] == [("a.jsonl", 0)]
    second = _publish(tmp_path, objects, retry=True, **told)
    assert second.digest == _fresh(objects, PlainRows()).digest


def test_another_run_has_nothing_to_retry_here(tmp_path: Path) -> None:
    _publish(tmp_path, BAD)
    others: list[dict[str, Any]] = [{"job": PlainRows()}, {"options": Options(split_bytes=2)}]
    for told in others:
        with pytest.raises(
            UsageError, match=r"cannot be retried alone: .* Run again without --retry"
        ):
            _publish(tmp_path, GOOD, retry=True, **told)
    with pytest.raises(UsageError, match="needs the folder of a finished run"):
        run(Links(), Memory(GOOD), engine=Here(), retry=True)
    assert not (tmp_path / NAME).exists()


def test_damage_to_what_was_kept_is_told(tmp_path: Path) -> None:
    _publish(tmp_path, BAD)
    path = tmp_path / kept.NAME
    raw = path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    for at in range(0, len(raw), 7):
        path.write_bytes(raw[:at] + bytes([raw[at] ^ 4]) + raw[at + 1 :])
        with pytest.raises(MapReduceError, match=r"kept\.sums is damaged"):
            _publish(tmp_path, GOOD, retry=True)
    with pytest.raises(MapReduceError, match=r"kept\.sums is not what the run wrote"):
        run_folder.verified(tmp_path)


def test_retry_repeats_the_command_that_was_typed(tmp_path: Path) -> None:
    trips, out = tmp_path / "trips", tmp_path / "out"
    trips.mkdir()
    fix = b'{"data": [{"dbResponse": {"linkID": "5"}, "tangAccel": -4.0}]}'
    for name in "abc":
        (trips / f"{name}.json").write_bytes(fix if name != "b" else b"<html>")
    assert mapreduce("run", JOB, trips, "--out", out).returncode == 3
    assert mapreduce("retry", trips).returncode == 2
    (trips / "b.json").write_bytes(fix)
    done = mapreduce("retry", out)
    assert done.returncode == 0, done.stderr
    assert "3 of 3 objects" in done.stdout
    assert mapreduce("run", JOB, trips, "--out", tmp_path / "fresh").returncode == 0
    digests = {read(folder / "receipt.json")[0].digest for folder in (out, tmp_path / "fresh")}
    assert len(digests) == 1
    assert "there is nothing to retry" in mapreduce("retry", out).stdout
