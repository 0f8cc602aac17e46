"""Runs that are added give what one run over all the objects gives, to the last byte."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mapreduce.commands import run_folder
from mapreduce.commands.run_steps import write_result
from mapreduce.errors import MapReduceError, UsageError
from mapreduce.limits import Limits
from mapreduce.objects.memory import Memory
from mapreduce.runs import object_list, sums
from mapreduce.runs.adding import Addition
from mapreduce.runs.driver import Options, run
from mapreduce.runs.folder_lock import holding
from mapreduce.runs.object_list import objects_in
from mapreduce.runs.receipt_file import read
from mapreduce.runs.report import file_digest, published, write_receipt
from tests.jobs.counting import Links, PlainRows, Rows
from tests.jobs.here import Here, StopError
from tests.mapreduce.test_cli import JOB, mapreduce

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import mapreduce as mr

OPTIONS = Options(split_bytes=1)
LINKS = "tests.jobs.counting:Links"
OBJECTS = {
    f"{n:03}": json.dumps({"data": [{"link": n % 7, "v": 1.5 * n}, {"v": 1}]}).encode()
    for n in range(12)
} | {"x": b"<html>", "y": b"", "_no": b"ignored"}
Tree = Any  # a number of a part, or a list of trees


def ran(folder: Path, objects: dict[str, bytes], **told: Any) -> mr.Result:
    """Run, and write what a command would."""
    given: dict[str, Any] = {"engine": Here(), "options": OPTIONS, "job": Links()} | told
    keep = given.pop("sums", True)
    result = run(given.pop("job"), Memory(objects), folder=folder, keep_journal=True, **given)
    with published(folder) as room:
        write_result(room, result, sums=keep)
    return result


def added(out: Path, *folders: Path, reference: str = LINKS, other_code: bool = False) -> mr.Result:
    addition = Addition(folders, other_code=other_code)
    with holding():
        result = addition.result(addition.loaded(reference), out, 1000)
        with published(out) as room:
            write_result(room, result, sums=True)
    return result


def files_of(folder: Path) -> dict[str, bytes]:
    """Give what does not tell when and where."""
    paths = (p for p in folder.iterdir() if p.name not in {"receipt.json", "command.json"})
    return {path.name: path.read_bytes() for path in paths}


@st.composite
def splittings(draw: st.DrawFn) -> tuple[list[list[str]], Tree, Tree]:
    """Divide the objects into parts, and draw two ways to add these."""
    count = draw(st.integers(2, 4))
    parts: list[list[str]] = [[] for _ in range(count)]
    for n, key in enumerate(sorted(OBJECTS)):
        parts[n if n < count else draw(st.integers(0, count - 1))].append(key)

    def tree(numbers: Sequence[int]) -> Tree:
        shuffled = draw(st.permutations(numbers))
        if len(shuffled) <= 2:
            return shuffled
        cut = draw(st.integers(1, len(shuffled) - 1))
        sides = [shuffled[:cut], shuffled[cut:]]
        return [side[0] if len(side) == 1 else tree(side) for side in sides]

    return parts, tree(range(count)), tree(range(count))


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(splittings())
def test_any_order_and_grouping_of_any_parts_gives_the_run_over_all(
    tmp_path_factory: pytest.TempPathFactory, drawn: tuple[list[list[str]], Tree, Tree]
) -> None:
    room = tmp_path_factory.mktemp("add")
    parts, *trees = drawn
    known = ran(room / "whole", OBJECTS)
    for number, keys in enumerate(parts):
        ran(room / str(number), {key: OBJECTS[key] for key in keys})

    def grown(tree: Tree, name: str) -> Path:
        if isinstance(tree, int):
            return room / str(tree)
        branches = [grown(branch, f"{name}-{n}") for n, branch in enumerate(tree)]
        added(room / name, *branches)
        return room / name

    outs = [grown(tree, name) for tree, name in zip(trees, "pq", strict=True)]
    assert files_of(outs[0]) == files_of(outs[1])
    for out in outs:
        receipt, said = read(out / "receipt.json")
        assert receipt.digest == known.digest
        assert said["objects"] == known.receipt["objects"]
        assert said["records"] == known.receipt["records"]
        assert (out / "links.csv").read_bytes() == (room / "whole" / "links.csv").read_bytes()
        assert list(objects_in(out / sums.OBJECTS)) == list(
            objects_in(room / "whole" / sums.OBJECTS)
        )
        ledger = object_list.head_in(out / sums.OBJECTS).ledger
        for name in ("quarantined", "samples"):  # as in the whole listing, but for the address
            whole = [(one.ordinal, f"memory/{one.key}") for one in getattr(known.ledger, name)]
            assert [(one.ordinal, one.key) for one in getattr(ledger, name)] == whole
        assert "files are unchanged" in run_folder.verified(out)


def test_a_run_keeps_its_sums_whatever_happened_to_it(tmp_path: Path) -> None:
    known = ran(tmp_path / "a", OBJECTS)
    assert f"sha256:{file_digest(tmp_path / 'a' / sums.PARTIAL)}" == known.digest
    with pytest.raises(StopError):
        ran(tmp_path / "b", OBJECTS, engine=Here(3))
    ran(tmp_path / "b", OBJECTS)
    for name in sums.SUMS:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
        assert (tmp_path / "a" / name).stat().st_mode & 0o777 == 0o600
    states = {o.address: o.reason for o in objects_in(tmp_path / "a" / sums.OBJECTS)}
    assert states == {f"memory/{key}": "" for key in OBJECTS if key != "_no"} | {
        "memory/x": "not_json", "memory/y": "empty"
    }  # fmt: skip
    ran(tmp_path / "a", OBJECTS, sums=False)
    assert not {path.name for path in (tmp_path / "a").iterdir()} & set(sums.SUMS)


def test_an_object_that_was_divided_is_listed_once(tmp_path: Path) -> None:
    rows = b"".join(b'{"id":%d}\n' % (n % 50) for n in range(30_000))
    for name in "ab":
        ran(tmp_path / name, {name: rows}, job=PlainRows(), options=Options(split_bytes=100_000))
        assert [o.address for o in objects_in(tmp_path / name / sums.OBJECTS)] == [f"memory/{name}"]
    reference = "tests.jobs.counting:PlainRows"
    result = added(tmp_path / "c", tmp_path / "a", tmp_path / "b", reference=reference)
    assert result.receipt["objects"]["ok"] == 2
    assert result.receipt["records"]["kept"] == 60_000


def test_the_sums_of_a_retried_run_are_those_of_a_run_over_what_is_good_now(tmp_path: Path) -> None:
    good = OBJECTS | {"x": OBJECTS["001"], "y": OBJECTS["002"]}
    ran(tmp_path / "a", OBJECTS)
    ran(tmp_path / "a", good | {"y": b"still bad"}, retry=True)
    ran(tmp_path / "known", good | {"y": b"still bad"})
    for name in sums.SUMS:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "known" / name).read_bytes()
    ran(tmp_path / "a", {key: good[key] for key in good if key != "y"}, retry=True)
    assert {o.address: o.reason for o in objects_in(tmp_path / "a" / sums.OBJECTS)}[
        "memory/y"
    ] == "gone"
    ran(tmp_path / "a", OBJECTS, sums=False)
    ran(tmp_path / "a", good, retry=True)  # of what it covers, nothing is known
    assert not (tmp_path / "a" / sums.PARTIAL).exists()


def test_verify_holds_the_sums_against_the_digest(tmp_path: Path) -> None:
    ran(tmp_path / "a", OBJECTS)
    receipt, said = read(tmp_path / "a" / "receipt.json")
    del said["files"], said["checksum"]
    said["digest"] = f"sha256:{'0' * 64}"
    write_receipt(tmp_path / "a", said, [tmp_path / "a" / name for name in receipt.files])
    with pytest.raises(MapReduceError, match=r"sums\.partial does not hold the sums of this run"):
        run_folder.verified(tmp_path / "a")
    ran(tmp_path / "b", {"z": OBJECTS["001"]})
    with pytest.raises(MapReduceError, match="does not hold the sums"):
        Addition([tmp_path / "a", tmp_path / "b"])


def test_objects_in_two_runs_are_refused_and_named(tmp_path: Path) -> None:
    ran(tmp_path / "a", OBJECTS)
    ran(tmp_path / "b", {"000": OBJECTS["000"], "001": b"[]", "x": b"<html>", "z": OBJECTS["002"]})
    with pytest.raises(UsageError) as refused:
        added(tmp_path / "c", tmp_path / "a", tmp_path / "b")
    told = str(refused.value)
    assert told.startswith(
        "3 objects are in more than one of the runs (2 in the same version, 1 in another version),"
        f" and would count twice: memory/000 in {tmp_path / 'a'} and {tmp_path / 'b'}; memory/001"
        " (as "
    )
    assert not list((tmp_path / "c").glob("*.csv"))
    ran(tmp_path / "d", {f"{n:04}": OBJECTS["000"] for n in range(9)})
    ran(tmp_path / "e", {f"{n:04}": OBJECTS["000"] for n in range(9)})
    with pytest.raises(UsageError, match=r"^9 objects .* and 6 more"):
        added(tmp_path / "c", tmp_path / "d", tmp_path / "a", tmp_path / "e")


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"job": Rows()}, r"its job is '.*:Links', there it is '.*:Rows'"),
        ({"options": Options(limits=Limits(allow_nan=True))}, "its allow-nan is False, there"),
        ({"options": Options(split_bytes=9)}, None),
    ],
)
def test_runs_that_differ_in_what_their_sums_are_of_are_refused(
    told: dict[str, Any], says: str | None, tmp_path: Path
) -> None:
    ran(tmp_path / "a", {"a": OBJECTS["001"]})
    content = b'{"id": 5}' if "job" in told else OBJECTS["001"]
    ran(tmp_path / "b", {"b": content}, **told)
    if says is None:
        added(tmp_path / "c", tmp_path / "a", tmp_path / "b")
        return
    with pytest.raises(UsageError, match=says):
        added(tmp_path / "c", tmp_path / "a", tmp_path / "b")


def rewritten(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Write a run's sums as if it had another identity."""

    path = folder / sums.OBJECTS
    head, objects = object_list.head_in(path), list(objects_in(path))
    identity = json.loads(head.identity)
    change(identity)
    head = msgspec.structs.replace(head, identity=json.dumps(identity))
    with path.open("wb") as file:
        object_list.write_list(file, head, lambda: objects)
    receipt, said = read(folder / "receipt.json")
    del said["files"], said["checksum"]
    write_receipt(folder, said, [folder / name for name in receipt.files])


def test_other_code_is_refused_unless_it_is_said_to_be_meant(tmp_path: Path) -> None:
    for name in "ab":
        ran(tmp_path / name, {name: OBJECTS["001"]})
    rewritten(tmp_path / "b", lambda said: said["code"].update({"mapreduce": "of before"}))
    with pytest.raises(UsageError, match=r"this program itself has changed; .*--other-code"):
        added(tmp_path / "c", tmp_path / "a", tmp_path / "b")
    result = added(tmp_path / "c", tmp_path / "a", tmp_path / "b", other_code=True)
    assert result.receipt["other_code"] is True
    rewritten(tmp_path / "a", lambda said: said["code"].update({"mapreduce": "of before"}))
    with pytest.raises(UsageError, match="was run by other code than is here"):
        added(tmp_path / "d", tmp_path / "a", tmp_path / "b")
    rewritten(tmp_path / "a", lambda said: said["parameters"].update(limit=7))
    with pytest.raises(UsageError, match=r"its parameter limit is 7, there it is None; only runs"):
        added(tmp_path / "d", tmp_path / "a", tmp_path / "b", other_code=True)


def test_what_is_no_finished_run_with_sums_is_told(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    ran(a, OBJECTS)
    with pytest.raises(UsageError, match="takes two runs or more, got 1"):
        Addition([a])
    with pytest.raises(UsageError, match="are one folder: a run counts once"):
        Addition([a, tmp_path / "." / "b" / ".." / "a"])
    with pytest.raises(UsageError, match="is not the --out folder of a run"):
        Addition([a, b])
    with pytest.raises(StopError):
        ran(b, {"b": OBJECTS["001"], "c": b""}, engine=Here(1))
    with pytest.raises(UsageError, match=r"is not finished: mapreduce resume"):
        Addition([a, b])
    ran(tmp_path / "d", {"d": OBJECTS["001"]})
    with pytest.raises(UsageError, match="holds a run that is not finished"):
        added(b, a, tmp_path / "d")
    ran(b, {"b": OBJECTS["001"], "c": b""}, sums=False)
    with pytest.raises(UsageError, match=r"kept no sums .* again, without --no-keep-sums"):
        Addition([a, b])
    ran(b, {"b": OBJECTS["001"], "c": b""})
    with pytest.raises(UsageError, match="is one of the runs that are added"):
        added(a, a, b)
    with pytest.raises(UsageError, match="is of the job"):
        added(tmp_path / "c", a, b, reference="tests.jobs.counting:Rows")
    for name in sums.SUMS:
        raw = (b / name).read_bytes()
        (b / name).write_bytes(raw[:-1])
        with pytest.raises(MapReduceError, match=r"is not what the run wrote .* there are"):
            Addition([a, b])
        (b / name).write_bytes(raw)


def test_what_was_added_cannot_be_retried_by_itself(tmp_path: Path) -> None:
    ran(tmp_path / "a", OBJECTS)
    ran(tmp_path / "b", {"b": OBJECTS["001"]})
    added(tmp_path / "c", tmp_path / "a", tmp_path / "b")
    with pytest.raises(UsageError, match=r"was made of other runs by `add`: retry those \(.*/a, "):
        run_folder.to_retry(tmp_path / "c")


def test_objects_are_known_by_their_address_whatever_part_of_a_folder_was_read(
    tmp_path: Path,
) -> None:
    trips = tmp_path / "trips"
    (trips / "2019").mkdir(parents=True)
    (trips / "2020").mkdir()
    fix = json.dumps({"data": [{"dbResponse": {"linkID": "5"}, "tangAccel": -4.0}]})
    for year in ("2019", "2020"):
        (trips / year / "a.json").write_text(fix)
    (tmp_path / "link").symlink_to(trips / "2019")
    for name, source in {"whole": trips, "old": trips / "2019", "new": trips / "2020"}.items():
        assert mapreduce("run", JOB, source, "--out", tmp_path / name).returncode == 0
    out = tmp_path / "out"
    done = mapreduce("add", JOB, tmp_path / "old", tmp_path / "new", "--out", out)
    assert done.returncode == 0, done.stderr
    assert "2 of 2 objects, 2 of 2 records" in done.stdout
    assert "the sums of 2 runs: " in done.stdout
    assert (out / "braking.csv").read_text() == (tmp_path / "whole" / "braking.csv").read_text()
    assert read(out / "receipt.json")[1]["complete"] is True
    assert mapreduce("verify", out).returncode == 0
    twice = mapreduce("add", JOB, tmp_path / "whole", tmp_path / "new", "--out", tmp_path / "no")
    assert twice.returncode == 2
    assert f"{trips.resolve()}/2020/a.json in {tmp_path / 'whole'}" in twice.stderr
    assert mapreduce("run", JOB, tmp_path / "link", "--out", tmp_path / "links").returncode == 0
    assert mapreduce("add", JOB, tmp_path / "old", tmp_path / "links", "--out", out).returncode == 2


def test_parameters_are_those_of_the_runs(tmp_path: Path) -> None:
    fix = json.dumps({"data": [{"dbResponse": {"linkID": "5"}, "tangAccel": -4.0}]})
    for name, limit in (("a", "2.5"), ("b", "2.5"), ("c", "5")):
        (tmp_path / f"in-{name}").mkdir()
        (tmp_path / f"in-{name}" / "trip.json").write_text(fix)
        done = mapreduce(
            "run", JOB, tmp_path / f"in-{name}", "--out", tmp_path / name, "--set", f"limit={limit}"
        )
        assert done.returncode == 0, done.stderr
    done = mapreduce("add", JOB, tmp_path / "a", tmp_path / "b", "--out", tmp_path / "ab", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["parameters"] == {"limit": 2.5}
    refused = mapreduce("add", JOB, tmp_path / "a", tmp_path / "c", "--out", tmp_path / "ac")
    assert refused.returncode == 2
    assert "its parameter limit is 2.5, there it is 5.0" in refused.stderr
