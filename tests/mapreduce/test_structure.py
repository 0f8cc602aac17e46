"""The structure of documents that are not JSON, followed in linear time and bounded memory."""

from __future__ import annotations

import time
import tracemalloc

import pytest

from mapreduce.errors import ObjectError
from mapreduce.formats import salvage


def _elements(document: bytes, at: str = "data") -> list[bytes]:
    return list(salvage.elements(document, at))


def _reason(document: bytes, at: str = "data") -> str:
    with pytest.raises(ObjectError) as caught:
        _elements(document, at)
    return caught.value.reason


@pytest.mark.parametrize(
    ("document", "at", "expected"),
    [
        (b'{"data":[NaN,{"a":1}]}', "data", [b"NaN", b'{"a":1}']),
        (b"[]", "", []),
        (b'{"data":[ \n ]}', "data", []),
        (b'{"a":{"b":[1,[2,3],{"c":[4,5]}]}}', "a.b", [b"1", b"[2,3]", b'{"c":[4,5]}']),
        (b'{"x":[9],"data":["a,]b","\\"],["],"y":{}}', "data", [b'"a,]b"', b'"\\"],["']),
        (b'{"data":["\\\\",1]}', "data", [b'"\\\\"', b"1"]),
        (b'{"d\\u0061ta":[1]}', "data", [b"1"]),
        (b'{"data":[1],"data":[2]}', "data", [b"2"]),
        (b'{"data":[{"a":1],{"b":2}]}', "data", [b'{"a":1]', b'{"b":2}']),
        (b'{"a":[7],"b":{"data":[8]},"data":[9]}', "data", [b"9"]),
        (b'{"data":[\xff]}', "data", [b"\xff"]),
    ],
)
def test_elements_are_found_by_path(document: bytes, at: str, expected: list[bytes]) -> None:
    assert _elements(document, at) == expected


@pytest.mark.parametrize(
    ("document", "at", "reason"),
    [
        (b'{"data":[1,]}', "data", "not_json"),
        (b'{"data":[,1]}', "data", "not_json"),
        (b'{"data":[1,,2]}', "data", "not_json"),
        (b'{"data":[1', "data", "not_json"),
        (b'{"data":["x]}', "data", "not_json"),
        (b'{"data":[1]}}', "data", "not_json"),
        (b'{"data":[1]} x', "data", "not_json"),
        (b'{"x":nul,"data":[1]}', "data", "not_json"),
        (b'{"x":[01],"data":[1]}', "data", "not_json"),
        (b'{"data":[1],"data":5}', "data", "wrong_shape"),
        (b'{"a":{"b":[1]},"a":{}}', "a.b", "wrong_shape"),
        (b'{"data":{"0":[1]}}', "data", "wrong_shape"),
        (b'{"data":[1]}', "", "wrong_shape"),
        (b"5", "", "wrong_shape"),
        (b'{"\xff":1,"data":[1]}', "data", "bad_encoding"),
        (b'{"data":null}', "data", "wrong_shape"),
    ],
)
def test_what_cannot_be_followed_says_why(document: bytes, at: str, reason: str) -> None:
    assert _reason(document, at) == reason


@pytest.mark.parametrize(
    ("document", "at", "said"),
    [
        (b"{}", "data", "no 'data'"),
        (b'{"data":null}', "data", "null"),
        (b'{"a":5}', "a.b", "a number at 'a'"),
        (b'{"a":{}}', "a.b", "no 'b'"),
        (b'"x"', "", "text"),
        (b"true", "data", "a boolean at the root"),
    ],
)
def test_a_wrong_shape_says_what_is_there(document: bytes, at: str, said: str) -> None:
    with pytest.raises(ObjectError, match="expected a list at") as caught:
        _elements(document, at)
    assert caught.value.place.endswith(f"got {said}")


def test_quotes_that_never_end_take_linear_time() -> None:
    document = b'{"data":["' + b'\\"' * 4_000_000
    began = time.thread_time()  # what others do meanwhile is not counted
    assert _reason(document) == "not_json"
    assert not salvage.too_deep(document + b"[" * 200)
    assert time.thread_time() - began < 10


def test_depth_is_that_outside_of_strings() -> None:
    most = salvage.MAX_DEPTH
    assert not salvage.too_deep(b"[" * most + b"]" * most)
    assert salvage.too_deep(b"[" * (most + 1) + b"]" * (most + 1))
    assert not salvage.too_deep(b'["' + b"[" * 5000 + b'"]')
    assert salvage.too_deep(b'["]",' * (most + 1))
    assert not salvage.too_deep(b'{"a":"\\"[[[","b":"\\\\"}' * 100)
    assert salvage.too_deep(b"[" * 3_000_000)


def test_many_records_are_refused_before_they_swell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(salvage, "MAX_RECORDS", 1000)
    assert len(_elements(b'{"data":[' + b"0," * 999 + b"0]}")) == 1000
    assert _reason(b'{"data":[' + b"0," * 1000 + b"0]}") == "too_large"


def test_a_large_strange_document_takes_a_few_times_its_size() -> None:
    for document in (
        b'{"other":[' + b"[]," * 800_000 + b"0]}",
        b'{"data":[' + b"0," * 300_000 + b"x]}",
        b'{"a":0' + b',"b":0' * 300_000 + b"}",
        b"{" + b'"a":[],' * 300_000 + b'"data":[]}',
        b"[" * 100 + b"[]," * 600_000,
    ):
        tracemalloc.start()
        try:
            salvage.too_deep(document)
            for _ in salvage.elements(document, "data"):
                continue
        except ObjectError:
            pass
        finally:
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        assert peak < 12 * len(document) + (48 << 20)
