"""NaN and Infinity: refused unless allowed, then taken as Python's json takes them, by all readers.

The truth is Python's own json with `parse_constant`; JSON that it takes and msgspec does not (half
pairs, integers beyond Python's own bound) is left out of what is made here.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mapreduce as mr
from mapreduce.errors import ObjectError
from mapreduce.formats import nan_tokens, salvage
from mapreduce.formats.json import Json, JsonLines
from mapreduce.formats.record_list import read_again
from mapreduce.ledger import Dropped, NanRecords
from tests.mapreduce.readings import columns, record_list

if TYPE_CHECKING:
    from collections.abc import Callable

    from mapreduce.formats.parsed import Parsed

FIELDS: dict[str, Any] = {
    "link": mr.Int("db.link", high=9_000),
    "speed": mr.Float("v", low=0.0, high=400.0),
    "word": mr.Text("w", width=4, optional=True),
}
DOCUMENT = Json(at="data", **FIELDS)
LINES = JsonLines(**FIELDS)
WORDS = ("NaN", "Infinity", "-Infinity")


class Nan:
    """A word where a value stands, as Python's json gives it to us."""

    def __init__(self, word: str) -> None:
        self.word = word


def truth(raw: bytes | str) -> Any:
    return json.loads(raw, parse_constant=Nan)


def outcome(record: Any) -> str:  # noqa: PLR0911 - one a reason
    """Say what should become of a record, from what Python's json makes of it."""
    if not isinstance(record, dict):
        return "not_a_record"
    above = record.get("db")
    link = above.get("link") if isinstance(above, dict) else None if above is None else above
    if link is None:
        return "no_link"
    if not isinstance(above, dict) or type(link) not in (int, str):
        return "bad_link"
    if isinstance(link, str) and not (link.isascii() and link.removeprefix("-").isdigit()):
        return "bad_link"
    if int(link) > 9_000:
        return "link_out_of_range"
    speed = record.get("v")
    if speed is None:
        return "no_speed"
    if type(speed) not in (int, float):
        return "bad_speed"
    if not 0 <= speed <= 400:
        return "speed_out_of_range"
    word = record.get("w")
    if word is not None and (not isinstance(word, str) or len(word.encode()) > 4 or "\0" in word):
        return "bad_word"
    return "kept"


def account(outcomes: list[str]) -> tuple[list[int], dict[str, int]]:
    kept = [n for n, how in enumerate(outcomes) if how == "kept"]
    return kept, {how: outcomes.count(how) for how in outcomes if how != "kept"}


def said(parsed: Any) -> tuple[list[int], dict[str, int]]:
    return parsed.rows.tolist(), dict(parsed.dropped)


def written(value: Any, seeded: Any) -> str:
    """Write JSON as `json.dumps` does, with words where a value is `Nan`."""
    if isinstance(value, Nan):
        return value.word
    gap = " " if seeded else ""
    if isinstance(value, dict):
        return (
            "{"
            + f",{gap}".join(f"{json.dumps(k)}:{gap}{written(v, seeded)}" for k, v in value.items())
            + "}"
        )
    if isinstance(value, list):
        return "[" + f",{gap}".join(written(v, seeded) for v in value) + "]"
    return json.dumps(value, ensure_ascii=bool(seeded))


words = st.sampled_from(WORDS).map(Nan)
texts = st.sampled_from(
    [
        "NaN",
        "",
        "7",
        "-8",
        'a"NaN',
        "\\",
        '\\"',
        "Infinity\\",
        ",NaN,",
        "é NaN",
        "-Infinity",
        "abcde",
    ]
)
leaves = st.one_of(
    st.none(), st.booleans(), st.integers(-10, 10_000), st.floats(-5, 500), texts, words, words
)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=2)),
    max_leaves=5,
)
plain = st.fixed_dictionaries(
    {"db": st.fixed_dictionaries({"link": st.integers(0, 99).map(str)}), "v": st.floats(0, 99)},
    optional={"x": values, "w": st.sampled_from(["ab", "NaN"]), "NaN": values, "y": values},
)
records = st.one_of(
    plain,
    plain,
    st.fixed_dictionaries(
        {},
        optional={
            "db": st.one_of(leaves, st.fixed_dictionaries({"link": leaves, "a": values})),
            "v": leaves,
            "w": leaves,
            "x": values,
        },
    ),
    leaves,
)


def readings(form: Any, raw: bytes) -> list[Any]:
    """Read with the scanner, by msgspec alone, and record by record: they never differ."""
    ways: list[Callable[[], Parsed]] = [lambda: form.parse(raw, allow_nan=True)]
    if isinstance(form, Json):
        ways.append(lambda: record_list(form)._parse_strictly(raw, allow_nan=True))
        ways.append(
            lambda: read_again(
                record_list(form).shape,
                salvage.elements(raw, form.at, allow_nan=True),
                allow_nan=True,
            )
        )
    else:
        lines = [line for line in raw.split(b"\n") if line.strip()]
        ways.append(lambda: read_again(form.shape, lines, allow_nan=True))
    found: list[Any] = []
    for way in ways:
        try:
            found.append(columns(way()))
        except ObjectError as error:
            found.append((error.reason, error.place))
    assert all(one == found[0] for one in found), found
    return found


@settings(max_examples=400, deadline=None)
@given(st.lists(records, max_size=6), values, st.booleans())
def test_what_is_taken_is_what_pythons_json_takes(
    made: list[Any], beside: Any, spaced: bool
) -> None:
    raw = written({"meta": beside, "data": made, "NaN": Nan("NaN")}, spaced).encode()
    parsed = DOCUMENT.parse(raw, allow_nan=True)
    assert said(parsed) == account([outcome(r) for r in truth(raw)["data"]])
    readings(DOCUMENT, raw)
    block = "\n".join(written(r, spaced) for r in made).encode()
    parsed = LINES.parse(block, allow_nan=True)
    assert said(parsed) == account([outcome(truth(b)) for b in block.split(b"\n") if b.strip()])
    readings(LINES, block)


@settings(max_examples=400, deadline=None)
@given(st.lists(records, min_size=1, max_size=4), st.booleans(), st.data())
def test_of_mutated_documents_all_readers_take_what_pythons_json_takes(
    made: list[Any], spaced: bool, data: st.DataObject
) -> None:
    raw = bytearray(written({"data": made, "x": Nan("Infinity")}, spaced).encode())
    for _ in range(data.draw(st.integers(1, 2))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 3))] = data.draw(
            st.sampled_from([b"", b"NaN", b"nan", b"+Infinity", b"-NaN", b"-", b'"', b"\\", b",",
                             b"N", b"Inf", b"{", b"]", b" ", b"1", b"--Infinity"])
        )  # fmt: skip
    document = bytes(raw)
    found = readings(DOCUMENT, document)[0]
    try:
        whole = truth(document.decode())
        listed = whole["data"]
    except (ValueError, TypeError, KeyError):
        return  # no JSON as a whole: the readers agree, and nothing else can be said
    if isinstance(listed, list):
        assert (found["rows"], found["dropped"]) == account([outcome(r) for r in listed])
    else:
        assert found == ("wrong_shape", found[1])


NOT_WORDS = (
    "nan", "+Infinity", "-NaN", "NAN", "Inf", "-Inf", "Na", "NaNN", "1NaN", "NaN1", "NaNNaN",
    "- Infinity", "+NaN", "infinity", "--Infinity", "NaN.0", "InfinityNaN",
)  # fmt: skip


@pytest.mark.parametrize("word", NOT_WORDS)
def test_nothing_else_that_looks_like_it_is_taken(word: str) -> None:
    raw = b'{"data":[{"db":{"link":1},"v":2,"x":%b},{"db":{"link":1},"v":2}]}' % word.encode()
    for found in readings(DOCUMENT, raw):
        assert (found["rows"], found["dropped"]) == ([1], {"not_a_record": 1})
    with pytest.raises(ObjectError, match=r"not_json: (?!.*allow-nan)"):
        DOCUMENT.parse(b'{"x":%b,"data":[]}' % word.encode(), allow_nan=True)
    with pytest.raises(ObjectError, match="not_json"):
        DOCUMENT.parse(b'{NaN:1,"data":[]}', allow_nan=True)


def test_without_leave_the_record_is_dropped_and_word_and_place_are_told() -> None:
    good, unused = '{"db":{"link":1},"v":2}', '{"db":{"link":1},"v":2,"a":{"b.c":[1,-Infinity]}}'
    wanted, twice = '{"db":{"link":1},"v":NaN}', '{"db":{"link":1},"v":2,"x":NaN,}'
    raw = f'{{"data":[{good},{unused},{wanted},{twice},NaN]}}'.encode()
    parsed = DOCUMENT.parse(raw)
    assert said(parsed) == ([0], {"not_a_record": 4})
    assert parsed.samples == [
        ("not_a_record", 1, r"-Infinity at a.b\.c[1]"),
        ("not_a_record", 2, "NaN at v"),
        ("not_a_record", 3, twice),
        ("not_a_record", 4, "NaN"),
    ]
    assert parsed.nan is not None
    assert (parsed.nan.records, parsed.nan.unused) == (2, 1)
    assert parsed.nan.first == (1, r"-Infinity at a.b\.c[1]")
    allowed = DOCUMENT.parse(raw, allow_nan=True)
    assert said(allowed) == ([0, 1], {"bad_speed": 1, "not_a_record": 2})
    assert allowed.samples[-1] == ("bad_speed", 2, "NaN")
    assert allowed.nan is None


def test_the_place_told_is_one_that_leave_would_help() -> None:
    used = b'{"data": [{"db": {"link": 1}, "v": NaN}, {"db": {"link": 2}, "v": 1, "other": NaN}]}'
    parsed = DOCUMENT.parse(used)
    assert parsed.nan is not None
    assert (parsed.nan.records, parsed.nan.unused) == (2, 1)
    assert parsed.nan.first[0] == 1
    assert "other" in parsed.nan.first[1]
    lost = NanRecords(1, 0, Dropped("not_a_record", 0, 0, "a", "NaN at v"))
    helped = NanRecords(1, 1, Dropped("not_a_record", 1, 7, "b", "NaN at other"))
    assert (lost + helped).first == (helped + lost).first == helped.first


def test_beside_the_list_it_is_told_with_its_place_and_the_option() -> None:
    raw = b'{"data":[{"db":{"link":1},"v":2},{"x":NaN}],"mean":Infinity}'
    with pytest.raises(ObjectError, match=r"byte 51: Infinity is not JSON; --allow-nan accepts it"):
        DOCUMENT.parse(raw)
    assert said(DOCUMENT.parse(raw, allow_nan=True)) == ([0], {"no_link": 1})
    with pytest.raises(ObjectError, match="wrong_shape: expected a list at 'data', got NaN"):
        DOCUMENT.parse(b'{"data":NaN}', allow_nan=True)


def test_values_shown_are_those_of_the_document_whoever_reads() -> None:
    long = "é" * 100
    raw = json.dumps({"data": [
        {"db": {"link": "no\x1b[31m"}, "v": 1}, {"db": {"link": 1.5}, "v": 1},
        {"db": {"link": 1}, "v": 401}, {"db": {"link": 1}, "v": "7"},
        {"db": {"link": 1}, "v": 1, "w": long}, {"db": 5, "v": 1}, {"v": 1},
        {"db": {"link": 10**30}, "v": 1}, {"db": {"link": 9_001}, "v": 1},
    ]}).encode()  # fmt: skip
    values = {place: value for _, place, value in DOCUMENT.parse(raw).samples}
    assert values == {
        0: r'"no\u001b[31m"', 1: "1.5", 2: "401", 3: '"7"', 4: '"' + "é" * 59 + "…", 5: "5", 6: "",
        7: "1" + "0" * 30, 8: "9001",
    }  # fmt: skip
    quick = (
        b'{"data":[{"db":{"link":"x"},"v":1,"w":"%b"},{"db":{"link":"x"},"v":NaN},'
        b'{"db":{"link":7},"v":NaN},{"db":{"link":7},"v":1,"w":"abcde"}]}' % long.encode()
    )
    for found in readings(DOCUMENT, quick):
        assert found["samples"] == [
            ("bad_link", 0, '"x"'), ("bad_link", 1, '"x"'), ("bad_speed", 2, "NaN"),
            ("bad_word", 3, '"abcde"'),
        ]  # fmt: skip


def test_the_words_in_texts_stay_as_they_are() -> None:
    raw = rb'{"a":"NaN","b\"":"\\\"NaN","c":NaN,"NaN":[-Infinity]}'
    assert nan_tokens.masked(raw) == rb'{"a":"NaN","b\"":"\\\"NaN","c":true,"NaN":[true]}'
    nothing = b'{"a":"NaN"}'
    assert nan_tokens.masked(nothing) is nothing


def test_where_no_record_would_be_taken_the_used_field_is_named() -> None:
    form = Json(at="", link=mr.Int("link"), speed=mr.Float("v"))
    for document, told in (
        (b'[{"alt": NaN, "v": -Infinity, "link": 1}]', "-Infinity at v"),
        (b'[{"alt": NaN, "v": 1, "link": "x"}]', "NaN at alt"),
        (b'[{"alt": NaN, "v": NaN, "link": 1}, {"alt": NaN, "v": 1, "link": 1}]', "NaN at alt"),
    ):
        nan = form.parse(document).nan
        assert nan is not None
        assert nan.first[1] == told
