"""Documents of other shapes: a head, documents within documents, columns. One reading for all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mapreduce as mr
from mapreduce.errors import JobError, ObjectError
from mapreduce.formats import salvage
from mapreduce.formats.field_path import keys_of, parts_at_list, path_of
from tests.mapreduce.readings import columns

if TYPE_CHECKING:
    from mapreduce.formats.parsed import Parsed

LINK, SPEED = mr.Int("link"), mr.Float("v", high=100.0)
TRIP = mr.Head(mr.Int("id"))
HEAD: Any = TRIP
FLAT = mr.Json(at="", link=LINK, speed=SPEED)
NESTED = mr.Json(
    at="trips[].points",
    link=LINK,
    speed=SPEED,
    trip=mr.Head(mr.Int("trips[].id")),
    car=mr.Head("car.name"),
)
LISTS = mr.JsonColumns(at="", link=LINK, speed=SPEED)

leaves: st.SearchStrategy[Any] = st.one_of(
    st.integers(-5, 5), st.sampled_from(["7", "x", None, True, 1.5, 1e300, [], {}, 2**70])
)
records = st.fixed_dictionaries({}, optional={"link": leaves, "v": leaves, "w": leaves})


def dumped(value: Any) -> bytes:
    return json.dumps(value).encode()


def refusal(form: Any, document: bytes) -> tuple[str, str]:
    with pytest.raises(ObjectError) as caught:
        form.parse(document)
    return caught.value.reason, str(caught.value)


def sorted_columns(parsed: Parsed) -> dict[str, Any]:
    """Give what was read; which samples of a reason come first is no part of it."""
    found = columns(parsed)
    return {**found, "samples": sorted(found["samples"])}


def rows(parsed: Parsed, *names: str) -> list[Any]:
    return list(zip(*(parsed.columns[name].tolist() for name in names), strict=True))


@given(st.lists(st.lists(records, max_size=4), max_size=4))
def test_lists_within_a_list_read_as_one_list_of_all(groups: list[list[Any]]) -> None:
    whole = FLAT.parse(dumped([record for group in groups for record in group]))
    trips = [{"x": [1], "points": group} for group in groups]
    for at, document in (
        ("trips[].points", {"trips": trips, "more": 1}),
        ("[].points", trips),
        ("[]", groups),
        ("a.b[].c[].points", {"a": {"b": [{"c": [trip]} for trip in trips]}}),
    ):
        found = mr.Json(at=at, link=LINK, speed=SPEED).parse(dumped(document))
        assert sorted_columns(found) == sorted_columns(whole)


@given(st.lists(st.fixed_dictionaries({"link": leaves, "v": leaves}), max_size=6))
def test_columns_read_as_the_records_that_they_are(found: list[dict[str, Any]]) -> None:
    document = {name: [record[name] for record in found] for name in ("link", "v")}
    whole = columns(FLAT.parse(dumped(found)))
    assert columns(LISTS.parse(dumped(document))) == whole
    deep = mr.JsonColumns(at="a.b", link=LINK, speed=SPEED)
    assert columns(deep.parse(dumped({"a": {"b": document}}))) == whole
    many = mr.JsonColumns(at="trips[]", link=LINK, speed=SPEED)
    assert columns(many.parse(dumped({"trips": [document]}))) == whole


def test_each_record_has_what_stands_beside_it() -> None:
    document = {
        "trips": [
            {"id": 7, "points": [{"link": 1, "v": 10}, {"link": 2, "v": 20}]},
            {"points": [{"link": 3, "v": 30}], "id": "8"},
        ],
        "car": {"name": "Anna"},
    }
    parsed = NESTED.parse(dumped(document))
    assert rows(parsed, "link", "trip", "car") == [
        (1, 7, b"Anna"),
        (2, 7, b"Anna"),
        (3, 8, b"Anna"),
    ]
    assert parsed.dropped == {}


def test_a_head_that_is_none_costs_the_records_that_need_it() -> None:
    document = {
        "trips": [
            {"id": 7, "points": [{"link": 1, "v": 10}, {"v": 10}]},
            {"points": [{"link": 2, "v": 20}]},
            {"id": [9], "points": [{"link": 3, "v": 30}]},
        ],
        "car": {"name": "Anna"},
    }
    parsed = NESTED.parse(dumped(document))
    assert rows(parsed, "link", "trip") == [(1, 7)]
    assert parsed.dropped == {"no_link": 1, "no_trip": 1, "bad_trip": 1}
    assert parsed.rows.tolist() == [0]
    assert ("bad_trip", 3, "[9]") in parsed.samples
    del document["car"]
    assert NESTED.parse(dumped(document)).dropped["no_car"] == 1


@pytest.mark.parametrize("scanner", ["0", "1"], ids=["plain Python", "compiled"])
def test_text_is_a_number_where_that_is_said(scanner: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAPREDUCE_SCANNER", scanner)
    values = ["43.2", 7, "-1e2", "", "x", "0x1", "1_0", " 1", "nan", "1e999", None, "+5", "5."]
    document = dumped([{"v": value} for value in values])
    parsed = mr.Json(at="", v=mr.Float("v", text=True)).parse(document)
    assert parsed.columns["v"].tolist() == [43.2, 7.0, -100.0]
    assert parsed.dropped == {"no_v": 1, "bad_v": 9}
    strict = mr.Json(at="", v=mr.Float("v")).parse(document)
    assert strict.columns["v"].tolist() == [7.0]


def test_an_optional_head_is_absent() -> None:
    form = mr.Json(at="data", link=LINK, car=mr.Head(mr.Int("car", optional=True)))
    parsed = form.parse(b'{"data": [{"link": 1}, {"link": 2}]}')
    assert parsed.columns["car"].tolist() == [0, 0]
    assert parsed.present["car"].tolist() == [False, False]
    assert form.parse(b'{"data": [{"link": 1}], "car": 3}').columns["car"].tolist() == [3]


@pytest.mark.parametrize("scanner", ["0", "1"], ids=["plain Python", "compiled"])
def test_a_head_is_read_beside_records_that_are_no_json(
    scanner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAPREDUCE_SCANNER", scanner)
    form = mr.Json(at="data", link=LINK, trip=TRIP)
    for bad in (b"nonsense", b'{"link": 01}', b'{"link": NaN}', b'{"x": NaN}'):
        parsed = form.parse(b'{"id": 5, "data": [{"link": 1}, %b, {"link": 2}]}' % bad)
        assert rows(parsed, "link", "trip") == [(1, 5), (2, 5)], bad
        assert parsed.dropped == {"not_a_record": 1}
        assert parsed.rows.tolist() == [0, 2]
    allowed = form.parse(b'{"id": 5, "data": [{"link": 1, "x": NaN}]}', allow_nan=True)
    assert rows(allowed, "link", "trip") == [(1, 5)]
    beside = form.parse(b'{"id": NaN, "data": [{"link": 1}]}', allow_nan=True)
    assert beside.dropped == {"bad_trip": 1}


def test_a_document_that_is_none_costs_one_record() -> None:
    raw = b'{"trips": [{"id": 1, "points": [{"link": 1, "v": 1}]}, null, {"id": 2}, [], 7,'
    raw += b' {"id": 3, "points": [{"link": 3, "v": 1}]}], "car": {"name": "A"}}'
    parsed = NESTED.parse(raw)
    assert rows(parsed, "link", "trip") == [(1, 1), (3, 3)]
    assert (parsed.read, parsed.dropped) == (6, {"not_a_record": 4})
    broken = raw.replace(b"null", b"nul")
    assert rows(NESTED.parse(broken), "link", "trip") == [(1, 1), (3, 3)]


def test_several_trips_a_line() -> None:
    form = mr.JsonLines(records_at="[].points", link=LINK, trip=mr.Head(mr.Int("[].id")))
    line = dumped([{"id": 1, "points": [{"link": 1}]}, {"id": 2, "points": [{"link": 2}]}])
    parsed = form.begin()(line + b"\n\nx\n" + line + b"\n")
    assert rows(parsed, "link", "trip") == [(1, 1), (2, 2)] * 2
    assert parsed.dropped == {"not_a_record": 1}


NO_COLUMNS = [
    (b"", "empty"),
    (b" \n", "empty"),
    (b"\xff\xfe[\0]\0", "bad_encoding"),
    (b'{"link": [1], "v": ["\xff"]}', "bad_encoding"),
    (b'{"link": [1], "v": [1]', "not_json"),
    (b'{"link": [1], "v": [1]} x', "not_json"),
    (b'{"link": [1], "v": [NaN]}', "not_json"),
    (b'{"link": [1,], "v": [1]}', "not_json"),
    (b"[]", "wrong_shape"),
    (b"7", "wrong_shape"),
    (b"null", "wrong_shape"),
    (b"{}", "wrong_shape"),
    (b'{"link": [1]}', "wrong_shape"),
    (b'{"link": [1], "v": null}', "wrong_shape"),
    (b'{"link": [1], "v": 7}', "wrong_shape"),
    (b'{"link": [1], "v": {"a": [1]}}', "wrong_shape"),
    (b'{"link": [1, 2], "v": [1]}', "wrong_shape"),
    (b'{"link": [], "v": [1]}', "wrong_shape"),
    (b'{"link": [1], "v": [1], "x": ' + b"[" * 200 + b"]" * 200 + b"}", "too_deep"),
    (b'{"link": [1], "v": [1], "x": ' + b"[" * 90_000, "too_deep"),
]


@pytest.mark.parametrize(("document", "reason"), NO_COLUMNS)
def test_what_holds_no_columns_is_refused(document: bytes, reason: str) -> None:
    assert refusal(LISTS, document)[0] == reason


def test_a_missing_list_names_those_there_are() -> None:
    said = refusal(LISTS, b'{"link": [1], "speed": [1]}')[1]
    assert 'no column "v"; there are: "link", "speed"' in said

    said = refusal(LISTS, b'{"link": [1, 2], "v": [1]}')[1]
    assert "'link' 2" in said
    assert "'v' 1" in said


def test_more_records_than_memory_should_hold_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(salvage, "MAX_RECORDS", 10)
    many = dumped({"link": [1] * 11, "v": [1] * 11})
    assert refusal(LISTS, many)[0] == "too_large"
    form = mr.Json(at="[]", link=LINK, speed=SPEED)
    several = dumped([[{"link": 1, "v": 1}] * 6] * 2)
    assert refusal(form, several)[0] == "too_large"
    commas = mr.JsonColumns(at="", word=mr.Text("w"))
    assert commas.parse(dumped({"w": ["," * 50]})).columns["word"].tolist() == [b"," * 50]


def test_empty_lists_hold_no_record() -> None:
    assert LISTS.parse(b'{"link": [], "v": []}').read == 0
    assert NESTED.parse(b'{"trips": [], "car": {"name": "A"}}').read == 0


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: mr.Csv(link=LINK, trip=HEAD), "a Head needs a format of documents"),
        (lambda: mr.Parquet(link=LINK, trip=HEAD), "a Head needs a format of documents"),
        (lambda: mr.JsonLines(link=LINK, trip=TRIP), "a Head needs a format of documents"),
        (lambda: mr.Json(at="data", trip=TRIP), "at least one field"),
        (lambda: mr.Json(at="data", link=mr.Int("a[].b")), "leads into a list"),
        (lambda: mr.Json(at="data", link=LINK, t=mr.Head("a[].b")), "leads into a list"),
        (lambda: mr.Json(at="a[].b", link=LINK, t=mr.Head("x[].b")), "leads into a list"),
        (lambda: mr.Json(at="a..b", link=LINK), "an empty key"),
    ],
)
def test_a_format_that_cannot_be_is_refused(make: Any, told: str) -> None:
    with pytest.raises(JobError, match=told.replace("[", r"\[")):
        make()


def test_a_key_may_end_in_brackets() -> None:
    assert keys_of(r"a\[].b", "field") == ["a[]", "b"]
    assert path_of(["a[]", "b.c"]) == r"a\[].b\.c"
    assert parts_at_list(r"a\[].b") is None
    assert parts_at_list("a[].b[].c") == ("a", "b[].c")
    form = mr.Json(at=r"a\[]", link=LINK)
    assert form.parse(b'{"a[]": [{"link": 4}]}').columns["link"].tolist() == [4]


def test_a_job_reads_documents_of_any_shape_and_counts_alike() -> None:
    from tests.jobs.shapes import Shaped  # noqa: PLC0415 - a job's file

    groups = [[{"link": g % 3, "v": n} for n in range(5)] for g in range(7)]
    flat = [record for group in groups for record in group]
    shapes: dict[str, list[Any]] = {
        "flat": [{"points": group} for group in groups],
        "nested": [{"points": [{"p": groups[:3]}, {"p": groups[3:]}]}],
        "columns": [{"points": {k: [r[k] for r in flat] for k in ("link", "v")}}],
    }
    digests = set()
    for shape, documents in shapes.items():
        objects = {f"{n}.json": dumped(document) for n, document in enumerate(documents)}
        result = mr.run(Shaped(shape=shape), mr.Memory(objects), workers=2)
        digests.add(result.digest)
        assert result.ledger.kept == 35
        assert np.asarray(result.rows["n"]).sum() == 35
    assert len(digests) == 1
