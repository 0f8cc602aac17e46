"""Documents to columns: one strict grammar, two readings that agree, reasons in their order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mapreduce as mr
from mapreduce.errors import JobError, ObjectError
from mapreduce.formats import deep_stack, salvage
from mapreduce.formats.formats import Lines
from mapreduce.formats.json import Json, JsonLines
from mapreduce.formats.parsed import Parsed
from mapreduce.formats.record_list import TEXT_BYTES, read_again
from tests.mapreduce.readings import columns, read, record_list

SUITE = Path(__file__).parents[2] / "../shared/data/jsontestsuite/test_parsing"
TRIP = Json(at="data", link=mr.Int("db.link"), speed=mr.Float("v", low=0.0, high=400.0))
GOOD = b'{"db":{"link":"7"},"v":1.5}'


def again(form: Json, document: bytes) -> dict[str, Any]:
    return columns(read_again(record_list(form).shape, salvage.elements(document, form.at)))


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=6),
    st.integers(-(2**64), 2**64).map(str),
    st.sampled_from(["", " 12", "1_000", "\uff11\uff12", "+1", "-0", "007", "1e3", "null", "nan"]),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["link", "x", "é"]), inner, max_size=3),
    ),
    max_leaves=4,
)
fixes = st.dictionaries(st.sampled_from(["db", "v", "w", "ключ"]), values, max_size=4)
likely = st.builds(
    lambda link, v, other: {"db": {"link": link, **other}, "v": v},
    st.one_of(scalars, st.integers(0, 99).map(str)),
    st.one_of(scalars, st.floats(0, 500)),
    st.dictionaries(st.text(max_size=3).filter(lambda k: k != "link"), scalars, max_size=2),
)
OPTIONAL = Json(
    at="data",
    link=mr.Int("db.link", optional=True, low=0),
    speed=mr.Float("v", optional=True),
    word=mr.Text("w", optional=True, width=4),
)


@settings(max_examples=300)
@given(records=st.lists(st.one_of(fixes, likely), max_size=6), ascii_only=st.booleans())
def test_both_readings_agree_on_every_valid_document(records: list[Any], ascii_only: bool) -> None:
    text = json.dumps({"data": records, "x": [1]}, ensure_ascii=ascii_only, indent=1)
    try:
        document = text.encode()
    except UnicodeEncodeError:
        document = json.dumps({"data": records}).encode()
    for form in (TRIP, OPTIONAL):
        assert columns(read(form, document)) == again(form, document)


@settings(max_examples=200)
@given(
    records=st.lists(likely, min_size=1, max_size=6),
    place=st.integers(0, 5),
    spoil=st.sampled_from(
        [b"NaN", b"{'a':1}", b'{"v":01}', b'{"v":Infinity}', b"{]", b"nul", b'{"v":1,}',
         b'"\xff"', b'{"\\ud800":1}', b'{"v":"a\nb"}', b"7", b"null", b"[]", b'{"v" 1}']
    ),
)  # fmt: skip
def test_one_spoiled_record_costs_one_record(records: list[Any], place: int, spoil: bytes) -> None:
    place %= len(records)
    raws = [json.dumps(r).encode() for r in records]
    whole = columns(read(TRIP, b'{"data":[' + b",".join(raws) + b"]}"))
    raws.insert(place, spoil)
    spoiled = columns(read(TRIP, b'{"data":[' + b",".join(raws) + b"]}"))
    assert spoiled["columns"] == whole["columns"]
    assert spoiled["read"] == whole["read"] + 1
    assert spoiled["dropped"] == whole["dropped"] | {"not_a_record": 1}
    assert spoiled["rows"] == [r + (r >= place) for r in whole["rows"]]
    assert ("not_a_record", place) in [sample[:2] for sample in spoiled["samples"]]


def kept(link: bytes, speed: bytes = b"1.5") -> str:
    """Give what becomes of a record: `kept`, or the reason."""
    raw = b'{"db":{"link":%s},"v":%s}' % (link, speed)
    parsed = read(TRIP, b'{"data":[%s]}' % raw)
    assert parsed.read == 1
    lines = JsonLines(link=TRIP.fields["link"], speed=TRIP.fields["speed"]).parse(raw + b"\n")
    assert columns(lines) == columns(parsed) == again(TRIP, b'{"data":[%s]}' % raw)
    return next(iter(parsed.dropped), "kept")


@pytest.mark.parametrize(
    ("link", "becomes"),
    [
        (b"5", "kept"), (b'"5"', "kept"), (b'"-5"', "kept"), (b'"-0"', "kept"), (b"-0", "kept"),
        (b'"0007"', "kept"), (b'"%s7"' % (b"0" * 6000), "kept"),
        (b"9223372036854775807", "kept"), (b'"9223372036854775807"', "kept"),
        (b"-9223372036854775806", "kept"), (b"null", "no_link"),
        (b"9223372036854775808", "bad_link"), (b'"9223372036854775808"', "bad_link"),
        (b"-9223372036854775808", "bad_link"), (b'"-9223372036854775807"', "bad_link"),
        (b"18446744073709551616", "bad_link"), (b"1" * 5000, "bad_link"),
        (b'"' + b"1" * 5000 + b'"', "bad_link"), (b'"%s"' % (b"x" * 5000), "bad_link"),
        (b"5.0", "bad_link"), (b"5e0", "bad_link"), (b"1e400", "bad_link"),
        (b"true", "bad_link"), (b"false", "bad_link"), (b"[]", "bad_link"), (b"{}", "bad_link"),
        (b'""', "bad_link"), (b'" 12"', "bad_link"), (b'"12 "', "bad_link"),
        (b'"12\\n"', "bad_link"), (b'"1_000"', "bad_link"), (b'"+1"', "bad_link"),
        (b'"--1"', "bad_link"), (b'"-"', "bad_link"), (b'"1.0"', "bad_link"),
        (b'"1e3"', "bad_link"), (b'"0x1"', "bad_link"), (b'"null"', "bad_link"),
        (b'"nan"', "bad_link"), ('"\uff11\uff12"'.encode(), "bad_link"),
        ('"\u0663"'.encode(), "bad_link"),
        (b'"\\u0031"', "kept"), (b'"1\\u0000"', "bad_link"),
        (b"+1", "not_a_record"), (b"01", "not_a_record"), (b"NaN", "not_a_record"),
        (b"1_000", "not_a_record"), (b"0x1", "not_a_record"), (b"'1'", "not_a_record"),
    ],
)  # fmt: skip
def test_what_an_integer_is(link: bytes, becomes: str) -> None:
    assert kept(link) == becomes


@pytest.mark.parametrize(
    ("speed", "becomes"),
    [
        (b"0", "kept"), (b"-0.0", "kept"), (b"400", "kept"), (b"4e2", "kept"), (b"1e-400", "kept"),
        (b"null", "no_speed"), (b'"1.5"', "bad_speed"), (b'"nan"', "bad_speed"),
        (b"true", "bad_speed"), (b"1e400", "bad_speed"), (b"-1e400", "bad_speed"),
        (b"9" * 400, "bad_speed"), (b"[1]", "bad_speed"), (b'{"a":1}', "bad_speed"),
        (b"-1", "speed_out_of_range"), (b"400.0000001", "speed_out_of_range"),
        (b"99999999999999999999", "speed_out_of_range"),
        (b"NaN", "not_a_record"), (b"Infinity", "not_a_record"), (b"-Infinity", "not_a_record"),
        (b"1.", "not_a_record"), (b".5", "not_a_record"), (b"1e", "not_a_record"),
    ],
)  # fmt: skip
def test_what_a_number_is(speed: bytes, becomes: str) -> None:
    assert kept(b"1", speed) == becomes


@pytest.mark.parametrize(
    ("record", "becomes"),
    [
        (b"{}", "no_link"),
        (b'{"v":-1}', "no_link"),
        (b'{"db":null,"v":true}', "no_link"),
        (b'{"db":{"link":true},"v":null}', "bad_link"),
        (b'{"db":5,"v":null}', "bad_link"),
        (b'{"db":[],"v":1}', "bad_link"),
        (b'{"db":{"link":1}}', "no_speed"),
        (b'{"db":{"link":1},"v":"x"}', "bad_speed"),
        (b'{"db":{"link":1},"v":500}', "speed_out_of_range"),
        (b'{"db":{"link":1},"db":null,"v":1}', "no_link"),
        (b'{"db":null,"db":{"link":{}},"db":{"link":1},"v":1}', "kept"),
        (b'{"db":{"link":[],"link":2},"v":[],"v":1}', "kept"),
        (b'{"d\\u0062":{"lin\\u006b":1},"\\u0076":1}', "kept"),
        (b'{"db":{"link":1},"v":1,"x":"\\ud800"}', "not_a_record"),
        (b"[]", "not_a_record"),
        (b'"text"', "not_a_record"),
        (b"null", "not_a_record"),
    ],
)
def test_the_first_reason_that_applies_in_the_order_of_the_fields(
    record: bytes, becomes: str
) -> None:
    parsed = read(TRIP, b'{"data":[%s]}' % record)
    assert next(iter(parsed.dropped), "kept") == becomes
    assert columns(parsed) == again(TRIP, b'{"data":[%s]}' % record)


def test_an_optional_field_comes_with_a_mask() -> None:
    parsed = read(OPTIONAL, b'{"data":[{"w":"ab"},{"db":{"link":3},"v":2},{"w":7},{"w":"12345"}]}')
    assert parsed.columns["word"].tolist() == [b"ab", b""]
    assert columns(parsed)["present"] == {
        "link": [False, True], "speed": [False, True], "word": [True, False]
    }  # fmt: skip
    assert parsed.dropped == {"bad_word": 2}


def _cases(kind: str) -> list[Any]:
    found = sorted(SUITE.glob(f"{kind}_*.json")) if SUITE.exists() else []
    return [pytest.param(p.read_bytes(), id=p.stem) for p in found] or [
        pytest.param(b"", marks=pytest.mark.skip(reason="JSONTestSuite is not beside the project"))
    ]


def _member(case: bytes) -> Parsed:
    return read(TRIP, b'{"data":[%s,{"x":%s,"db":{"link":1},"v":1}]}' % (GOOD, case))


OF_OBJECTS = ("not_json", "too_deep", "bad_encoding", "wrong_shape")


def _becomes(document: bytes) -> Parsed | str:
    """Give a document's records, or the reason why there are none."""
    try:
        return read(TRIP, document)
    except ObjectError as error:
        return error.reason


@pytest.mark.parametrize("case", _cases("y"))
def test_json_that_must_be_accepted_is(case: bytes) -> None:
    assert _member(case).dropped == {}
    with pytest.raises(ObjectError, match="wrong_shape"):
        read(Json(at="no.such", x=mr.Int("x")), case)
    record = b'{"x":%s}' % case
    found = JsonLines(x=mr.Text("y", optional=True)).parse(record.replace(b"\n", b" "))
    assert (found.read, found.dropped) == (1, {})


@pytest.mark.parametrize("case", _cases("n"))
def test_what_is_not_json_is_refused(case: bytes) -> None:
    became = _becomes(b'{"data":[%s,{"x":%s,"db":{"link":1},"v":1}]}' % (GOOD, case))
    assert became in OF_OBJECTS or (
        isinstance(became, Parsed) and became.dropped["not_a_record"] and became.rows[0] == 0
    )
    with pytest.raises(ObjectError) as caught:
        read(Json(at="no.such", x=mr.Int("x")), case)
    assert caught.value.reason in {"not_json", "too_deep", "bad_encoding", "empty"}
    if b"\n" not in case:
        found = JsonLines(x=mr.Text("y", optional=True)).parse(b'{"x":%s}' % case)
        assert found.dropped == {"not_a_record": 1}


@pytest.mark.parametrize("case", _cases("i"))
def test_what_may_be_either_does_not_crash(case: bytes) -> None:
    for document in (case, b'{"data":[%s,{"x":%s}]}' % (GOOD, case)):
        became = _becomes(document)
        assert became in OF_OBJECTS or (
            isinstance(became, Parsed)
            and became.read == len(became.rows) + sum(became.dropped.values())
        )


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b"", "empty"), (b" \n\t", "empty"), (b"\xef\xbb\xbf", "empty"),
        (b"{", "not_json"), (b'{"data":[', "not_json"), (b'{"data":[{"v":1}', "not_json"),
        (b'{"data":[{"v":1}]', "not_json"), (b'{"data":["', "not_json"),
        (b"\xef\xbb\xbf\xef\xbb\xbf{}", "not_json"), (b'{"data":[]}{"data":[]}', "not_json"),
        (b"<html></html>", "not_json"), (b"PK\x03\x04", "not_json"), (b"data: []", "not_json"),
        ('{"data":[]}'.encode("utf-16"), "bad_encoding"),
        ('{"data":[]}'.encode("utf-16-be"), "bad_encoding"),
        ('{"data":[]}'.encode("utf-16-le"), "bad_encoding"),
        ('{"data":[]}'.encode("utf-32"), "bad_encoding"),
        (b'{"x":"\xe9","data":[]}', "bad_encoding"),
        (b"{}", "wrong_shape"), (b"[]", "wrong_shape"), (b"null", "wrong_shape"),
        (b'{"data":{}}', "wrong_shape"), (b'{"data":null}', "wrong_shape"),
        (b'{"data":"[]"}', "wrong_shape"), (b'{"Data":[]}', "wrong_shape"),
        (b"[" * 100_000, "too_deep"), (b'{"data":' * 100_000, "too_deep"),
        (b"[" * 100_000 + b"]" * 100_000, "too_deep"),
        (b'{"data":[{"x":' + b"[" * 129 + b"]" * 129 + b"}]}", "too_deep"),
    ],
)  # fmt: skip
def test_a_document_that_cannot_be_read_says_why(document: bytes, reason: str) -> None:
    with pytest.raises(ObjectError) as caught:
        read(TRIP, document)
    assert caught.value.reason == reason


def _from_deep(levels: int, document: bytes) -> Parsed:
    return (
        deep_stack.parsed(TRIP.parse, document) if levels == 0 else _from_deep(levels - 1, document)
    )


@pytest.mark.parametrize("levels", [0, 300, 600, 800])
def test_the_depth_allowed_does_not_depend_on_the_callers_stack(levels: int) -> None:
    fits = salvage.MAX_DEPTH - 3
    good = b'{"data":[{"db":{"link":1},"v":1,"x":' + b"[" * fits + b"]" * fits + b"},NaN]}"
    assert _from_deep(levels, good).dropped == {"not_a_record": 1}
    assert len(_from_deep(levels, good.replace(b",NaN", b"")).rows) == 1
    with pytest.raises(ObjectError, match="too_deep"):
        _from_deep(levels, good.replace(b"[[", b"[[[").replace(b"]]", b"]]]"))


def test_a_line_is_one_record_whatever_its_neighbours_are() -> None:
    form = JsonLines(a=mr.Int("a"))
    lines = [
        b'{"a":1}', b'{"a":2}{"a":3}', b'{"a":4},{"a":5}', b'{"a":', b"6}", b"", b'{"a":7}\r',
        b'{"a":8} ', b' {"a":9}', b'{"a":{}', b'{"a":[{}', b'{"b":1}]}', b"[]", b"\x0c",
        b'{"a":10}\r{"a":11}', '{"a":12,"é":1}'.encode(), b'{"a":13,"x":"\xe9"}',
        b'{"a":14,"x":' + b"[" * 200 + b"]" * 200 + b"}", b"]" * 300 + b"[" * 300,
    ]  # fmt: skip
    alone = [form.parse(line + b"\n") for line in lines]
    together = form.parse(b"\n".join(lines))
    assert together.columns["a"].tolist() == [1, 7, 8, 9, 12]
    assert together.columns["a"].tolist() == [a for p in alone for a in p.columns["a"].tolist()]
    assert together.read == sum(p.read for p in alone) == 17
    for cut in range(len(lines)):
        halves = [form.parse(b"\n".join(part)) for part in (lines[:cut], lines[cut:]) if part]
        assert sum(p.read for p in halves) == 17


def test_text_lines_keep_their_bytes() -> None:
    parsed = Lines("line").parse(b"a\r\n\n\xff\x00\nlast")
    assert parsed.columns["line"].tolist() == [b"a", b"", b"\xff\x00", b"last"]


@pytest.mark.parametrize("name", ["object", "rows", "has", "part", "_x", "a b", "1a"])
def test_names_that_records_have_already_are_refused(name: str) -> None:
    with pytest.raises(JobError, match="expected a Python identifier"):
        Json(at="", **{name: mr.Int("x")})
    with pytest.raises(JobError, match="expected a Python identifier"):
        Lines(name)


@pytest.mark.parametrize("paths", [("a", "a.b"), ("a.b", "a"), ("", "b"), ("a..b", "c")])
def test_paths_that_clash_are_refused(paths: tuple[str, str]) -> None:
    with pytest.raises(JobError, match=r"path|both"):
        JsonLines(one=mr.Int(paths[0]), two=mr.Int(paths[1]))


def test_two_fields_may_be_of_one_path() -> None:
    parsed = JsonLines(a=mr.Int("x.y"), b=mr.Int("x.y", high=5)).parse(b'{"x":{"y":4}}\n')
    assert [c.tolist() for c in parsed.columns.values()] == [[4], [4]]


def test_long_texts_are_not_remembered_as_ids() -> None:
    wanted = mr.Int("x")
    wanted.column(["x" * 4000 + str(i) for i in range(1000)])
    assert len(wanted._known) == 0
    assert wanted.column(["5", "5", 6]).values.tolist() == [5, 5, 6]
    assert np.array_equal(wanted.column([]).values, np.zeros(0, np.int64))


@pytest.mark.parametrize("path", ["a..b", ".a", 'a"b.c', "a\\b", "a\n", "a\udcff"])
def test_a_path_that_no_decoder_can_name_is_refused_where_it_is_declared(path: str) -> None:
    with pytest.raises(JobError, match="field 'v'"):
        Json(at="data", v=mr.Float(path))
    with pytest.raises(JobError, match="records at"):
        Json(at=path, v=mr.Float("v"))


@given(st.sampled_from(["ab", "ab\0", "abé"]).flatmap(lambda a: st.lists(st.text(a, max_size=5))))
def test_texts_turned_into_bytes_at_once_are_those_turned_one_by_one(texts: list[str]) -> None:
    field = mr.Text("x", width=3, null=("a",))
    column = field.column(texts)
    good = [len(raw := text.encode()) <= 3 and b"\0" not in raw for text in texts]
    absent = [text == "a" for text in texts]
    assert column.values.dtype == "S3"
    assert column.values.tolist() == [
        text.encode() if fits else b"" for text, fits in zip(texts, good, strict=True)
    ]
    assert (column.bad is None) == all(good)
    assert column.bad is None or column.bad.tolist() == [not fits for fits in good]
    assert (column.absent is None) == (not any(absent))
    assert column.absent is None or column.absent.tolist() == absent


WIDE = {f"w{n}": mr.Text(f"w{n}", width=1024, optional=True) for n in range(8)}


@pytest.mark.parametrize("bad", [b"", b',{"w0":NaN}'])
def test_text_columns_that_would_not_fit_are_refused_before_they_are_made(bad: bytes) -> None:
    wide = Json(at="", **WIDE)
    most = TEXT_BYTES >> 13
    document = b"[" + b",".join([b"{}"] * (most + 1)) + bad + b"]"
    with pytest.raises(ObjectError, match=r"too_large: .* Declare a smaller width, or no width"):
        read(wide, document)
    few = read(wide, b"[" + b",".join([b'{"w0":"x"}'] * 9) + b"]")
    assert few.columns["w0"].tolist() == [b"x"] * 9


class WideLines(mr.Job):
    """Lines with texts that are declared much wider than they are."""

    records = JsonLines(records_at=None, **WIDE)
    words = mr.Table(key="n", seen=mr.Sum)

    def map(self, r: Any) -> mr.Rows:
        assert sum(r.w0.nbytes for _ in WIDE) <= TEXT_BYTES
        return self.words.fold(np.zeros(len(r), np.int64), seen=1)


def test_lines_with_wide_texts_are_read_in_smaller_blocks() -> None:
    rows = 500_000
    got = mr.run(WideLines(), mr.Memory({"a": b"{}\n" * rows}), workers=1)
    assert got.rows["seen"].tolist() == [rows]


def test_two_fields_of_one_path_and_two_types_are_told_as_such() -> None:
    with pytest.raises(JobError, match=r"'speed': another field reads 'PATH' as another type"):
        Json(at="", link=mr.Int("PATH"), speed=mr.Float("PATH"))


def test_documents_one_behind_the_other_are_told_as_such() -> None:
    form = Json(at="data", link=mr.Int("link"))
    with pytest.raises(
        ObjectError, match=r"trailing characters \(byte 14\); more than one document"
    ):
        read(form, b'{"data": []}\n{"data": []}')
