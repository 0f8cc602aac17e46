"""What somebody meets who imports this: types that fit, and wrong use refused in words."""

from __future__ import annotations

import copy
import re
from pathlib import Path

import pytest

import mapreduce as mr
from mapreduce.engines.local import Local
from mapreduce.job.views import Columns
from mapreduce.runs.journal import NAME


class Words(mr.Job):
    """Typed as docs/jobs.md says: the type checker sees this file too."""

    least: int = 1

    records = mr.Lines("text")
    words = mr.Table(key=mr.Key("word", width=24), count=mr.Sum)
    lengths = mr.Table(key="length", words=mr.Sum, texts=mr.Distinct(per="object"))

    def map(self, r: mr.Records) -> list[mr.Rows]:
        words = [w for w in b" ".join(r.text.tolist()).split() if len(w) >= self.least]
        lengths = [len(w) for w in words]
        return [self.words.fold(words, count=1), self.lengths.fold(lengths, words=1)]

    def finish(self, words: mr.Columns, lengths: mr.Columns) -> dict[str, dict[str, mr.Array]]:
        assert len(words) == len(words.word) > 0  # nothing at all is never finished
        return {"words": words.asdict(), "lengths": {"texts": lengths.texts}}


TEXTS = mr.Memory({"a": b"to be or\nnot to be", "b": b"to do"})


def test_a_typed_job_of_two_tables_gives_both() -> None:
    result = mr.run(Words(least=2), TEXTS, workers=1)
    assert result.tables["words"]["word"].tolist() == [b"be", b"do", b"not", b"or", b"to"]
    assert result.tables["lengths"]["texts"].tolist() == [2, 1]


@pytest.mark.parametrize("page", ["docs/jobs.md", "README.md"])
def test_the_job_in_the_docs_is_found_and_runs(page: str, tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / page).read_text()
    (tmp_path / "job.py").write_text(text.partition("```python\n")[2].partition("```")[0])
    name = "Words" if "Words" in text else "HarshBraking"
    trip = b'{"data":[{"dbResponse":{"linkID":"5"}, "tangAccel": -3.5}]}'
    result = mr.run(mr.load(f"{tmp_path}/job.py:{name}"), mr.Memory({"a": trip}), workers=1)
    assert all(len(column) for column in result.rows.values())


def test_a_class_in_place_of_a_job_is_refused_with_what_to_write() -> None:
    with pytest.raises(mr.UsageError, match=r"an instance of a job, Words\(\), got <class"):
        mr.run(Words, TEXTS)  # type: ignore[arg-type] # the point


def test_workers_beside_an_engine_that_has_its_own_are_refused() -> None:
    with pytest.raises(mr.UsageError, match="workers=3 with an engine that has its own"):
        mr.run(Words(), TEXTS, engine=Local(1), workers=3)


def test_an_empty_source_is_told_before_finish_sees_nothing() -> None:
    with pytest.raises(mr.UsageError, match="memory holds no object"):
        mr.run(Words(), mr.Memory({}), workers=1)


def test_wrong_use_of_a_folder_leaves_it_free_for_the_next_run(tmp_path: Path) -> None:
    with pytest.raises(mr.UsageError, match="a split is 1 byte or more"):
        mr.run(Words(), TEXTS, folder=tmp_path, options=mr.Options(split_bytes=0))
    assert mr.run(Words(), TEXTS, workers=1, folder=tmp_path).receipt["complete"]
    assert not (tmp_path / NAME).exists()


def test_a_name_that_is_not_ours_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Tabel'"):
        getattr(mr, "Tabel")  # noqa: B009 - a type checker refuses it, which is the point
    assert set(mr.__all__) == set(mr._HOMES)


def test_one_glob_in_place_of_several_is_refused() -> None:
    with pytest.raises(mr.UsageError, match=r"a tuple of globs, \('2019/\*',\), not '2019/\*'"):
        mr.Selection(match="2019/*")  # type: ignore[arg-type] # the point


def test_fields_that_are_none_are_refused_by_name() -> None:
    with pytest.raises(
        mr.JobError, match="field 'link': expected Int, Float, Text or Time of a path"
    ):
        mr.Json(at="data", link="linkID")  # type: ignore[arg-type] # the point
    with pytest.raises(mr.JobError, match="a width is 1 to 1024 bytes, got 0"):
        mr.JsonLines(word=mr.Text("word", width=0))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"words": {"n": 3}, "lengths": {}}, "column 'n' of 'words' has 0 dimensions, not one"),
        ({"words": {"n": [3], "m": []}}, "columns of 'words' differ in length: {'n': 1, 'm': 0}"),
        ({"words": {"n": [3, object()]}}, "column 'n' of 'words' holds <object object at"),
        ({"words": None}, "a mapping of columns for 'words', got None"),
        (None, "table name -> columns, got None"),
    ],
)
def test_what_finish_may_not_give_is_told(
    given: object, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Words, "finish", lambda *_: given)
    with pytest.raises(mr.JobError, match=re.escape(says)):
        mr.run(Words(), TEXTS, workers=1)


def test_columns_can_be_copied() -> None:
    table = mr.run(Words(), TEXTS, workers=1).partial.tables[0]
    assert copy.copy(Columns(table)).word.tolist() == table.keys[0].tolist()
