"""Finding a job and giving it parameters: what is wrong is said with what to type instead."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mapreduce as mr
from mapreduce.errors import JobError, UsageError
from mapreduce.job.job import finished
from mapreduce.job.loader import configured, load
from mapreduce.job.name import job_code, name_of, parameters
from mapreduce.job.views import Columns
from mapreduce.tables import partial
from mapreduce.tables.partial import Partial
from tests.jobs.counting import Links, Rows


class Tuned(mr.Job):
    """Has parameters of several types."""

    limit: int
    share: float = 0.5
    words: tuple[str, ...] = ()
    on: bool = False

    records = mr.Lines("line")
    table = mr.Table(key="k", n=mr.Sum)

    def __post_init__(self) -> None:
        """Check what types cannot say."""
        if self.limit > 99:
            raise ValueError("limit is at most 99")


def _file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "job.py"
    path.write_text(textwrap.dedent(text))
    return path


GOOD = """
    import mapreduce as mr

    class Mine(mr.Job):
        limit: int = 3
        records = mr.Lines("line")
        table = mr.Table(key="k", n=mr.Sum)

        def map(self, r):
            return self.table.fold([self.limit] * len(r), n=1)
"""


def test_a_job_is_found_in_a_module_and_in_a_file(tmp_path: Path) -> None:
    found: Any = load("tests.jobs.counting:Links")
    assert type(found) is Links
    path = _file(tmp_path, GOOD)
    job: Any = load(f"{path}:Mine", {"limit": "7"}, text=True)
    assert job.limit == 7
    name = name_of(job)
    assert name.reference == f"{path}:Mine"
    assert name.shown == "job.py:Mine"
    again = load(name.reference, name.parameters)
    assert again == job


def test_the_code_of_a_job_is_part_of_its_name_but_for_comments_and_finish(tmp_path: Path) -> None:
    codes = []
    finish = "\n        def finish(self, t):\n            return {}\n"
    for n, more in enumerate(("", "    # said", finish, "        more = 1\n")):
        folder = tmp_path / str(n)
        folder.mkdir()
        codes.append(job_code(load(f"{_file(folder, GOOD + more)}:Mine")).meanings)
    plain, commented, finished_otherwise, changed = codes
    assert plain == commented == finished_otherwise
    assert changed != plain


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("tests.jobs.counting", r"expected package\.module:Job or \./file\.py:Job"),
        (":Links", "expected package"),
        ("tests.jobs.counting:", "expected package"),
        ("no_such_module:Job", r"no module 'no_such_module'.*\./file\.py:Job"),
        ("tests.jobs.none:Job", "no module 'tests.jobs.none'"),
        ("tests.jobs.counting:Linkz", "no job 'Linkz'.*jobs there: Links, Lines, Rows, PlainRows"),
        ("tests.jobs.counting:mr", "no job 'mr'"),
        ("./no/such.py:Job", r"no file .*/no/such\.py"),
        ("json:Job", "no job 'Job' in json; jobs there: none"),
        (".relative:Job", "cannot be loaded"),
        ("a..b:Job", "no module"),
    ],
)
def test_a_job_that_is_not_there_is_wrong_use(reference: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        load(reference)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import mapreduce as mr\nclass Mine(mr.Job)\n", r"(?s)job\.py.*SyntaxError"),
        ("x = 1\ny = 1 / 0\n", r"at line 2 of .*job\.py: ZeroDivisionError: division by zero"),
        ("import no_such_thing\n", "no_such_thing"),
        ("from mapreduce import nothing_such\n", "nothing_such"),
        ("raise RuntimeError('no')", "RuntimeError: no"),
        ("import mapreduce as mr\nclass Mine(mr.Job):\n    t = mr.Table(key='k')\n", "needs a key"),
    ],
)
def test_a_file_that_cannot_be_loaded_says_where(tmp_path: Path, text: str, said: str) -> None:
    path = _file(tmp_path, text)
    for _ in range(2):  # a failed load leaves nothing half made
        with pytest.raises((UsageError, JobError), match=said):
            load(f"{path}:Mine")


def test_parameters_are_typed_and_travel_as_plain_values() -> None:
    text = {"limit": "12", "share": "0.25", "on": "true"}
    job: Any = configured(Tuned, text, text=True)
    assert parameters(job) == {"limit": 12, "share": 0.25, "words": (), "on": True}
    assert configured(Tuned, parameters(job)) == job


@pytest.mark.parametrize(
    ("values", "text", "said"),
    [
        ({}, True, "Tuned needs limit: give it by --set name=value"),
        ({"limit": "1.5"}, True, "parameter limit='1.5' of Tuned"),
        ({"limit": "x"}, True, "parameter limit='x'"),
        ({"limit": "5"}, False, "parameter limit='5'"),
        ({"limit": 1, "shore": 2}, False, "no parameter 'shore'; it has: limit, share, words, on"),
        ({"limit": 100}, False, "limit is at most 99"),
        ({"limit": "9" * 20}, True, "exceeds 64 bits"),
        ({"limit": 1, "on": "perhaps"}, True, "parameter on='perhaps'"),
    ],
)
def test_wrong_parameters_are_wrong_use(values: dict[str, Any], text: bool, said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        configured(Tuned, values, text=text)


def test_a_job_no_worker_could_find_is_refused() -> None:
    class Inner(mr.Job):
        records = mr.Lines("line")
        table = mr.Table(key="k", n=mr.Sum)

    with pytest.raises(JobError, match=r"put the class in a file.*job\.py:Inner"):
        name_of(Inner())


def test_a_job_typed_at_a_prompt_is_refused() -> None:
    code = f"""
import mapreduce as mr
from mapreduce.job.name import name_of
class Typed(mr.Job):
    {"records = mr.Lines('line')"}
    table = mr.Table(key='k', n=mr.Sum)
try:
    name_of(Typed())
except mr.JobError as error:
    print(error)
"""
    root = Path(__file__).parents[2]
    said = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=root
    )
    assert "put the class in a file, for example job.py, and run ./job.py:Typed" in said.stdout


def test_a_job_without_tables_or_records_says_so() -> None:
    class Bare(mr.Job):
        pass

    with pytest.raises(JobError, match="declares no table"):
        Bare().tables()
    with pytest.raises(JobError, match="declares no records"):
        _ = Bare().records
    with pytest.raises(JobError, match="defines no map"):
        Bare().map(None)


def _merged(job: mr.Job) -> Partial:
    parts = []
    for table in job.tables().values():
        values = {
            n: [2**62, 5] for n, r in table.values.items() if r is not mr.Distinct(per="object")
        }
        parts.append(partial.combine(table, [table.fold([2, 1], **values)], [0]))
    return Partial(tuple(parts))


def test_finish_sees_columns_ascending_by_key() -> None:
    columns = Columns(_merged(Links()).tables[0])
    assert columns.link.tolist() == [1, 2]
    assert columns.squares.tolist() == [5, 2**62]
    assert [limb.tolist() for limb in columns.limbs("squares")] == [[0, 2**30], [5, 0]]
    assert list(columns.asdict()) == ["link", "n", "objects", "total", "squares", "low", "high"]
    with pytest.raises(AttributeError, match="no column 'speed' in the table; it has link, n"):
        _ = columns.speed


def test_without_a_finish_the_tables_are_given_as_they_are() -> None:
    given = finished(Rows(), _merged(Rows()))
    assert {name: list(columns) for name, columns in given.items()} == {
        "ids": ["id", "n"], "spread": ["id", "objects"]
    }  # fmt: skip


class Uneven(mr.Job):
    """Its `finish` gives columns that differ in length."""

    records = mr.Lines("line")
    table = mr.Table(key="k", n=mr.Sum)

    def finish(self, t: Any) -> Any:
        """Give what is no table."""
        return {"k": t.k, "n": np.zeros(7)}


def test_columns_that_differ_in_length_are_refused() -> None:
    with pytest.raises(JobError, match=r"differ in length: {'k': 2, 'n': 7}"):
        finished(Uneven(), _merged(Uneven()))


def test_records_know_their_fields() -> None:
    from mapreduce.job.views import Records  # noqa: PLC0415 - used here alone
    from mapreduce.plan import Piece  # noqa: PLC0415 - the same

    form = mr.JsonLines(a=mr.Int("a"), b=mr.Int("b", optional=True))
    records = Records(Piece(3, "key", 9, "e"), form.parse(b'{"a":1}\n[]\n{"a":2,"b":5}\n'), 10)
    assert (records.a.tolist(), records.rows.tolist()) == ([1, 2], [10, 12])
    assert (records.has("b").tolist(), records.has("a").tolist()) == ([False, True], [True, True])
    assert (len(records), records.object.key) == (2, "key")
    second = records.part(1, 2)
    assert (second.b.tolist(), second.rows.tolist(), second.has("b").tolist()) == (
        [5],
        [12],
        [True],
    )
    with pytest.raises(AttributeError, match="no field 'c' in the job's records; it has a, b"):
        _ = records.c
