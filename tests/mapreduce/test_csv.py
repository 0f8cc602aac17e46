"""CSV to columns: readers that agree, whatever comes; bad lines cost a record each."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import mapreduce as mr
from mapreduce.errors import JobError, ObjectError
from mapreduce.formats import csv as csv_format
from mapreduce.formats.csv import Csv
from tests.mapreduce.readings import columns

if TYPE_CHECKING:
    from mapreduce.formats.parsed import Parsed

FIELDS: dict[str, Any] = {
    "link": mr.Int("link", low=-5),
    "speed": mr.Float("kmh", optional=True, high=400.0),
    "word": mr.Text("word", optional=True, width=4),
}
TRIPS = Csv(**FIELDS)
HEAD = b"link,word,other,kmh\n"


def parsed(content: bytes, form: Csv = TRIPS) -> Parsed:
    return form.begin()(content)


def by_line(content: bytes, form: Csv = TRIPS) -> Parsed:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_format, "arrow_csv", lambda: None)
        patch.setattr(csv_format, "line_scanner", lambda *_: None)
        return parsed(content, form)


def is_fast(content: bytes, form: Csv = TRIPS) -> bool:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_format._CsvReader, "_line_by_line", lambda *_: None)
        return parsed(content, form) is not None


cells = st.one_of(
    st.integers(-20, 20).map(str),
    st.integers(-(2**65), 2**65).map(str),
    st.floats(-500, 500).map(str),
    st.text(alphabet='0123456789.eE+-xXnaif" \t\r,;\0é', max_size=6),
    st.sampled_from(["", '""', '"a"', '"a""b"', '"a,b"', '"', "0x1F", "1e999", " 7 ", "007", "-0"]),
    st.sampled_from(
        ["nan", "inf", "-inf", "Infinity", "NaN", "NULL", "NA", "+5", ".5", "5.", "1_0"]
    ),
)
rows = st.lists(cells, min_size=3, max_size=5).map(",".join)
contents = st.lists(rows, max_size=6).flatmap(
    lambda lines: st.sampled_from(["\n", "\r\n"]).map(lambda end: end.join([*lines, ""]))
)


@settings(max_examples=1500)
@given(contents)
@example('"1","a","x","2.5"\n')
@example('1,a"b,"c,2\n2,"x",y,3\n')
@example("0x10,a,b,1\n")
@example("\n\n1,a,b,2\n\n")
@example("-9223372036854775808,a,b,1\n")
@example("+1,a,b,+5\n")
@example("1,a+,b,1e+5\n")
@example("1,\0,b,1\n")
@example("9223372036854775808,a,b,1\n")
def test_both_readers_say_the_same(content: str) -> None:
    body = HEAD + content.encode()
    assert columns(parsed(body)) == columns(by_line(body))


@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(
            st.integers(-(10**6), 10**6), st.text(max_size=5), st.floats(-1e300, 1e300) | st.none()
        ),
        max_size=20,
    ),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_what_pythons_writer_wrote_is_read_back(
    records: list[tuple[int, str, float | None]], quoting: Any, delimiter: str, end: str
) -> None:
    records = [(a, "".join(c for c in b if c not in "\r\n\0"), c) for a, b, c in records]
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator=end)
    writer.writerow(["a", "b", "c"])
    writer.writerows(records)
    form = Csv(
        a=mr.Int("a"), b=mr.Text("b", optional=True), c=mr.Float("c", optional=True),
        delimiter=delimiter,
    )  # fmt: skip
    got = parsed(out.getvalue().encode("utf-8", "surrogatepass"), form)
    assert list(got.columns["a"]) == [a for a, _, _ in records]
    assert list(got.columns["b"]) == [b.encode() for _, b, _ in records]
    assert [None if v != v else v for v in got.columns["c"].tolist()] == [c for _, _, c in records]  # noqa: PLR0124 - NaN


def test_plain_blocks_are_read_by_arrow_and_others_are_not() -> None:
    assert is_fast(HEAD + b'1,a,x,2.5\n2,"a,""b",y,3\r\n,,,\n')
    for line in (b'1,a"b,x,2', b"0x1,a,x,2", b"1,a,x,nan", b"1,a,x", b"z,a,x,2", b'1,"a,x,2'):
        assert not is_fast(HEAD + b"1,a,x,2\n" + line + b"\n"), line


def test_reasons_and_places_are_told() -> None:
    lines = [b"1,ab,x,2.5", b"", b"x1,ab,x,1", b"2,ab,x", b"3,toolong,x,1", b"4,,x,1e3", b"-6,,x,"]
    got = parsed(HEAD + b"\n".join(lines))
    assert (got.read, got.rows.tolist()) == (6, [0])
    assert got.dropped == {
        "not_a_record": 1, "bad_link": 1, "link_out_of_range": 1, "speed_out_of_range": 1,
        "bad_word": 1,
    }  # fmt: skip
    assert ("bad_link", 1, '"x1"') in got.samples
    assert ("not_a_record", 2, "2,ab,x") in got.samples


@pytest.mark.parametrize(
    ("content", "reason", "told"),
    [
        (b"a,b\n1,2\n", "wrong_shape", 'no column "link"; there are: "a", "b"'),
        (b"link,kmh,link\n1,2,3\n", "wrong_shape", "column 'link' is there 2 times"),
        (b"\nlink\n", "wrong_shape", "the first line is empty"),
        (b'li"nk,"x\n1,2', "wrong_shape", "quotes no whole field"),
        (b"link,\xff\n1,2", "bad_encoding", "utf-8"),
    ],
)
def test_a_first_line_that_names_other_columns_is_refused(
    content: bytes, reason: str, told: str
) -> None:
    with pytest.raises(ObjectError) as caught:
        parsed(content)
    assert caught.value.reason == reason
    assert told in caught.value.place


def test_other_encodings_and_decimal_signs() -> None:
    form = Csv(
        names=["id", "straße", "v"], delimiter=";", encoding="cp1252", decimal=",",
        id=mr.Int("id"), street=mr.Text("straße"), v=mr.Float("v"),
    )  # fmt: skip
    got = parsed("7;Größe €;12,5\n8;x;1.5\n9;y;-,5e1\n".encode("cp1252"), form)
    assert got.columns["street"].tolist() == ["Größe €".encode(), b"y"]
    assert got.columns["v"].tolist() == [12.5, -5.0]
    assert got.dropped == {"bad_v": 1}
    latin = Csv(street=mr.Text("straße"), encoding="latin-1")
    assert (
        parsed("straße\nGröße\n".encode("latin-1"), latin).columns["street"][0] == "Größe".encode()
    )


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"delimiter": ",,"}, "a delimiter is one"),
        ({"delimiter": '"'}, "a delimiter is one"),
        ({"decimal": ","}, "a delimiter is one"),
        ({"decimal": "'"}, "a decimal sign is"),
        ({"encoding": "utf-16"}, "keeps ASCII"),
        ({"encoding": "klingon"}, "keeps ASCII"),
    ],
)
def test_options_that_mean_nothing_are_refused(more: dict[str, str], told: str) -> None:
    with pytest.raises(JobError, match=told):
        Csv(link=mr.Int("link"), **more)  # type: ignore[arg-type]
