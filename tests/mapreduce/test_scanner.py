"""The scanner takes what is plain, gives up at all else, and never differs from msgspec."""

from __future__ import annotations

import itertools
import json
import random
import shutil
import subprocess
import sys
import sysconfig
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mapreduce as mr
from mapreduce.errors import ObjectError
from mapreduce.formats import salvage, scanner
from mapreduce.formats.json import Json
from mapreduce.formats.parsed import Parsed
from tests.mapreduce.readings import read, record_list

if TYPE_CHECKING:
    from mapreduce.formats.scanner import Scanner

FIELDS: dict[str, mr.Int | mr.Float | mr.Text] = {
    "link": mr.Int("db.link"),
    "speed": mr.Float("v", low=0.0, high=400.0),
    "height": mr.Float("db.h", optional=True),
    "word": mr.Text("w", optional=True, width=4),
}
FORM = Json(at="a.data", **FIELDS)
PLAIN = (
    b'{"n": 1, "a": {"b": [], "data": [\n'
    b' {"v": 1.5, "db": {"link": "7", "h": null}, "w": "ab", "x": [{"y": "\\u00e9\\n"}, true]},\n'
    b' {"w": "abcde", "db": {"link": 12, "h": -0.0}, "v": 401, "x": [{"y": "\xc3\xa9"}]},\n'
    b' {"v": 3, "db": null, "w": "ab", "x": [-1.5e-7]} ], "z": {}},'
    b' "m": "a text of more than 32 bytes in all"}\n'
)
ALIKE = (  # records of one shape: each is read along the steps of the one before
    b'{"a": {"data": ['
    b'{"v": 1.25, "x": [1, "a"], "db": {"link": "70", "h": 2}, "w": "ab", "t": true, "e": {}},\n'
    b'{"v": 1.25, "x": [1, "a"], "db": {"link": "70", "h": 2}, "w": "ab", "t": true, "e": {}},\n'
    b'{"v": 12.5, "x": [10, "a word of more than 32 bytes"], "db": {"link": "7", "h": null},'
    b' "w": null, "t": false, "e": {}},\n'
    b'{"v": 12.5, "x": [10, "a word of more than 32 bytes"], "db": {"link": "7", "h": null},'
    b' "w": "abcd", "t": false, "e": {}}'
    b"]}}"
)
LINES = (  # the cells of a line are those of the line before until one is other
    b"a,52339182,2,,5.1511,1\na,52339182,2,,5.1511,1\na,52339182,2,more than 16 bytes,5.1512,-0\r\n"
    b"\nb,52339182,,,5.,\r\nb,-7,12,,.25,1e-3\nbc,-71,12,,.25,0012.50E+2\nb,3,1,,0.1000000000000000055,2"
)
CAN_COMPILE = bool(shutil.which("cc")) and Path(sysconfig.get_path("include"), "Python.h").exists()
needs_compiler = pytest.mark.skipif(not CAN_COMPILE, reason="no C compiler, or no Python headers")


def outcome(document: bytes, form: Json = FORM) -> Parsed | ObjectError:
    try:
        return read(form, document)
    except ObjectError as error:
        return error


def quick(form: Json = FORM) -> Scanner:
    scanner = record_list(form)._scanner
    assert scanner, "the scanner is not built: run `make setup`"
    return scanner


NAN = (
    b'{"a":{"data":[{"v":NaN,"db":{"link":1,"h":-Infinity},"w":Infinity,"x":[NaN,-Infinity]},'
    b'{"v":NaN,"db":{"link":-Infinity,"h":1},"w":"abcdefghij","x":[1,-Infinity]}]},"y":NaN}'
)


@needs_compiler
def test_it_is_built_where_there_is_a_compiler_and_takes_plain_documents() -> None:
    found = quick().read(PLAIN)
    assert found
    columns, n, is_ascii = found
    assert (n, is_ascii) == (3, False)
    assert columns["link"].values.tolist() == [7, 12, 0]
    parsed = outcome(PLAIN)
    assert isinstance(parsed, Parsed)
    assert parsed.dropped == {"no_link": 1, "speed_out_of_range": 1}


@needs_compiler
def test_columns_may_be_written_into_as_those_of_msgspec() -> None:
    speeds = Json(at="", v=mr.Float("v")).parse(b'[{"v":1},{"v":2}]').columns["v"]
    speeds *= 2
    assert speeds.tolist() == [2, 4]


@needs_compiler
@pytest.mark.parametrize(
    "odd",
    [
        '[{"v": "1"}]', '[{"v": true}]', '[{"v": 1e400}]', '[{"v": 123456789012345678901}]',
        '[{"k": 1.5}]', '[{"k": 1e2}]', '[{"k": "1234567890123456789"}]', '[{"k": "\\u0031"}]',
        '[{"\\u006b": 1}]', '[{"s": "\\n"}]', '[{"x": "\\ud800"}]', "[null]", "[1]", "{}",
        "[" * 101 + "]" * 101,
    ],
)  # fmt: skip
def test_it_gives_up_at_what_is_out_of_the_ordinary(odd: str) -> None:
    form = Json(at="", k=mr.Int("k"), v=mr.Float("v"), s=mr.Text("s", width=9))
    assert quick(form).read(odd.encode()) is None
    outcome(odd.encode(), form)


words = st.one_of(st.none(), st.text(max_size=5), st.sampled_from(["F", "-7", "", "\u00e9"]))


@given(st.lists(st.one_of(words, st.integers(), st.booleans(), st.floats(allow_nan=False))))
def test_texts_that_may_be_integers_are_read_alike_and_texts_alone_quickly(
    values: list[Any],
) -> None:
    form = Json(at="", w=mr.Text("w", 5, optional=True, integers=True))
    document = json.dumps([{"w": value} for value in values], ensure_ascii=False).encode()
    found, known = outcome(document, form), record_list(form)._parse_strictly(document)
    assert isinstance(found, Parsed)
    assert found.columns["w"].tolist() == known.columns["w"].tolist()
    assert str(found.present) == str(known.present)
    assert found.dropped == known.dropped
    plain = all(value is None or isinstance(value, str) for value in values)
    if not plain:
        assert quick(form).read(document) is None
    elif "\\" not in document.decode():
        assert quick(form).read(document) is not None


def test_a_key_given_twice_on_the_way_to_the_list_is_not_its_business() -> None:
    twice = b'{"a":{"data":[{"v":1,"db":{"link":1}}]},"a":{}}'
    assert form_gives_up(twice)
    refused = outcome(twice)
    assert isinstance(refused, ObjectError)
    assert refused.reason == "wrong_shape"


@pytest.mark.parametrize("document", [b'{"a":{},"a":{}}', b'{"a":{"data":[],"data":[]}}'])
def test_what_is_given_twice_does_not_stand_for_a_list_that_is_missing(document: bytes) -> None:
    assert form_gives_up(document)
    outcome(document)
    outcome(document, Json(at="a.data.x", **FIELDS))


def form_gives_up(document: bytes) -> bool:
    scanner = record_list(FORM)._scanner
    return scanner is None or scanner.read(document) is None


def test_two_fields_of_one_path_have_columns_of_their_own() -> None:
    document = b'[{"v":1.5,"w":"abc"},{"v":2,"w":"abcdef"}]'
    widths = {"short": mr.Text("w", width=4), "long": mr.Text("w", width=9), "any": mr.Text("w")}
    for one, other in itertools.permutations(widths, 2):
        outcome(document, Json(at="", **{one: widths[one], other: widths[other]}))
    speeds = Json(at="", v=mr.Float("v"), u=mr.Float("v", high=9.0)).parse(document).columns
    assert not np.shares_memory(speeds["v"], speeds["u"])


def test_lists_and_objects_beside_the_list_are_as_many_as_msgspec_takes() -> None:
    form = Json(at="data", v=mr.Int("v"))
    for many in (salvage.MAX_BESIDE - 1, salvage.MAX_BESIDE):
        beside = ",".join(f'"{i}":{"{}" if i % 2 else "[]"}' for i in range(many))
        text = "[" * salvage.MAX_RECORDS  # brackets, as far as they are counted
        document = f'{{"data":[{{"v":1}}],"text":"{text}",{beside}}}'.encode()
        assert isinstance(outcome(document, form), Parsed) == (many < salvage.MAX_BESIDE)


def test_of_a_key_given_twice_in_a_record_the_last_counts() -> None:
    record = b'{"v":1,"db":{"link":1,"h":2},"v":2,"db":{"link":5}}'
    parsed = outcome(b'{"a":{"data":[%s]}}' % record)
    assert isinstance(parsed, Parsed)
    assert parsed.columns["link"].tolist() == [5]
    assert parsed.columns["speed"].tolist() == [2.0]
    assert not parsed.present["height"].any()


def test_of_an_object_given_twice_nothing_of_the_first_is_left() -> None:
    number, word = mr.Int("o.n", optional=True), mr.Text("o.w", width=3, optional=True)
    parsed = outcome(b'[{"o":{"n":5,"w":"ab"},"o":{}}]', Json(at="", n=number, w=word))
    assert isinstance(parsed, Parsed)
    assert (parsed.columns["n"].tolist(), parsed.columns["w"].tolist()) == ([0], [b""])


def test_of_a_key_given_twice_the_last_counts_in_each_of_many_records() -> None:
    each = b'{"db":{"link":1,"h":%d},"v":%d,"db":{"link":%d},"v":7}'
    document = b",".join(each % (i % 7, i % 3, i % 5) for i in range(99))
    parsed = outcome(b'{"a":{"data":[%s]}}' % document)
    assert isinstance(parsed, Parsed)
    assert parsed.columns["link"].tolist() == [i % 5 for i in range(99)]
    assert parsed.columns["speed"].tolist() == [7.0] * 99
    assert not parsed.present["height"].any()


@pytest.mark.parametrize("document", [PLAIN, ALIKE], ids=["plain", "alike"])
def test_every_truncation_and_every_odd_byte_is_read_alike(document: bytes) -> None:
    for stop in range(len(document) + 1):
        outcome(document[:stop])
    for place in range(len(document)):
        for byte in b'\x00 "\\}],0.\x80':
            outcome(document[:place] + bytes([byte]) + document[place + 1 :])


VALUES = [
    b"1", b"12", b"1.5", b"1.55", b"1.5e1", b"-1", b"-0.0", b"01", b"1.", b"999999999999999",
    b"true", b"tru", b"false", b"null", b'"1"', b'"12"', b'"ab"', b'"abc"', b'"abcde"', b'"a',
    b'"\\u0031"', b'"\xc3\xa9"', b'"\xc3"', b'"' + b"long " * 9 + b'"', b"{}", b"[]", b"[1]", b"",
    b'{"link":3}', b'{"link":"4","h":1}', b'{"link":"5","h":1.5}', b'{"h":null}',
]  # fmt: skip
KEYS = [b'"v"', b'"db"', b'"w"', b'"x"', b'"long_key_of_more_than_32_bytes_in_all"']
records = st.builds(
    lambda keys, repeated: (keys, repeated),
    st.lists(st.sampled_from(KEYS), min_size=1, max_size=6),
    st.lists(st.lists(st.sampled_from(VALUES), min_size=6, max_size=6), min_size=1, max_size=3),
)


@settings(max_examples=500)
@given(
    records, st.lists(st.integers(0, 2), min_size=2, max_size=6), st.sampled_from([b"", b"\n  "])
)
def test_records_of_one_shape_with_any_values_are_read_alike(
    shaped: tuple[list[bytes], list[list[bytes]]], order: list[int], space: bytes
) -> None:
    keys, repeated = shaped
    texts = [
        b"{" + b",".join(space + k + b":" + v for k, v in zip(keys, values, strict=False)) + b"}"
        for values in (repeated[i % len(repeated)] for i in order)
    ]
    outcome(b'{"a":{"data":[' + b",".join(texts) + b"]}}")


@needs_compiler
def test_records_with_more_values_than_steps_are_kept_are_plain() -> None:
    many = b",".join(b'"k%d":%d' % (i, i) for i in range(300))
    document = b'{"a":{"data":[' + b",".join([b'{"v":1.5,"db":{"link":7},%s}' % many] * 3) + b"]}}"
    assert quick().read(document)
    parsed = outcome(document)
    assert isinstance(parsed, Parsed)
    assert parsed.columns["link"].tolist() == [7, 7, 7]


@needs_compiler
def test_steps_are_counted_beyond_an_int(tmp_path: Path) -> None:
    program = tmp_path / "steps.c"
    program.write_text("""
#include <limits.h>
#include "scan.h"
int main(void) {
    static Scan s = {.steps = INT_MAX};
    step(&s, NULL, NULL, NULL);
    return s.steps <= MAX_STEPS;
}
""")
    folder = Path(scanner.__file__).parent
    subprocess.run(["cc", f"-I{folder}", program, "-o", tmp_path / "steps", "-lm"], check=True)
    assert subprocess.run([tmp_path / "steps"], check=False).returncode == 0


TOKENS = [
    b"{", b"}", b"[", b"]", b":", b",", b" ", b"\n", b'"v"', b'"db"', b'"link"', b'"h"', b'"w"',
    b'"a"', b'"data"', b"null", b"true", b"1", b"-0", b"1.5", b"1e5", b"-1E-3", b"01", b"1.",
    b'"12"', b'"-007"', b'"x"', b'"\\u00e9"', b'"\\/"', b'"\xc3\xa9"', b"\xff", b"\\", b'"',
    b'{"a":{"data":[', b'{"v":1,"db":{"link":"3"}}', b"]}}",
]  # fmt: skip


@settings(max_examples=300)
@given(st.lists(st.sampled_from(TOKENS), max_size=12), st.integers(0, 400), st.integers(0, 30))
def test_any_tokens_in_any_place_are_read_alike(inside: list[bytes], at: int, cut: int) -> None:
    at %= len(PLAIN)
    outcome(PLAIN[:at] + b"".join(inside) + PLAIN[at + cut :])
    outcome(b"".join(inside))
    outcome(b'{"a":{"data":[' + b"".join(inside) + b"]}}")


decimals = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.floats(-500, 500).map(repr),
    st.from_regex(r"-?(0|[1-9][0-9]{0,19})(\.[0-9]{1,21})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
    # halfway between two doubles, or next to it: 2**53 + 1 and its like, over powers of ten
    st.builds(
        lambda n, k: f"{n // 10**k}.{n % 10**k:0{k}}",
        st.integers(2**53, 2**54).map(lambda n: 2 * n + 1),
        st.integers(1, 17),
    ),
)


@settings(max_examples=200)
@given(st.lists(decimals, min_size=1, max_size=20))
def test_numbers_are_rounded_as_python_rounds_them(numbers: list[str]) -> None:
    form = Json(at="", v=mr.Float("v"))
    for text in numbers:
        parsed = outcome(f'[{{"v":{text}}}]'.encode(), form)
        if isinstance(parsed, Parsed) and parsed.read and not parsed.dropped:
            (got,) = parsed.columns["v"]
            assert (got, np.signbit(got)) == (float(text), _sign(text))


def _sign(text: str) -> bool:
    """msgspec reads `-0` as an integer, which has no sign."""
    return text.startswith("-") and not (text.lstrip("-").isdigit() and int(text) == 0)


def test_more_records_than_a_document_may_have_are_given_up() -> None:
    form = Json(at="", v=mr.Float("v"))
    few = scanner.scanner("", form.fields, 300)
    if few is None:
        assert not CAN_COMPILE
        return
    assert few.read(b"[" + b",".join([b'{"v":1}'] * 300) + b"]")
    assert few.read(b"[" + b",".join([b'{"v":1}'] * 301) + b"]") is None
    assert salvage.MAX_RECORDS > 300


def test_it_can_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(scanner.SWITCH, "0")
    form = Json(at="a.data", **FIELDS)
    assert record_list(form)._scanner is None
    assert isinstance(outcome(PLAIN, form), Parsed)


@needs_compiler
@pytest.mark.parametrize(
    "leaf",
    [("t", 0), ("t", -1), ("t", 1 << 60), ("i", 1), ("f", 4), ("x", 8), ("i", 1 << 99), (), 8],
)
def test_a_plan_is_made_of_nothing_but_columns_it_can_fill(leaf: Any) -> None:
    with pytest.raises((TypeError, ValueError, OverflowError)):
        scanner._scan.plan([{b"v": leaf}], 9)


@needs_compiler
def test_a_plan_is_made_of_objects_around_one_list_of_records() -> None:
    leaf = ("i", 8)
    trees: list[Any] = [{b"v": leaf}, [], [[{}]], [{b"v": [{}]}], [leaf], {"data": [{}]}, None]
    for tree in trees:
        with pytest.raises(TypeError):
            scanner._scan.plan(tree, 9)
    with pytest.raises(ValueError, match="too many columns"):
        scanner._scan.plan([{b"%d" % i: leaf for i in range(scanner.MAX_COLUMNS + 1)}], 9)
    deep: Any = [{b"v": leaf}]
    for _ in range(200_000):
        deep = {b"a": deep}
    with pytest.raises(RecursionError):
        scanner._scan.plan(deep, 9)


@needs_compiler
def test_a_plan_keeps_its_keys() -> None:
    inner = {bytes(key): ("i", 8) for key in [bytearray(b"first"), bytearray(b"second")]}
    plan = scanner._scan.plan([{b"in": inner}], 9)
    inner.clear()
    others = [bytes(bytearray(b"other%d" % i)) for i in range(999)]  # in the room of those freed
    _, _, columns = scanner._scan.scan(plan, b'[{"in":{"first":1,"second":2}}]')
    assert [int.from_bytes(values, sys.byteorder) for values, *_ in columns] == [1, 2]
    del others


@needs_compiler
def test_many_threads_with_small_stacks_read_by_one_plan() -> None:
    form = Json(at="", v=mr.Float("v"))
    deep = "[" * 97 + "]" * 97
    documents = [f'[{{"v":{i},"x":{deep}}}{",{}" * 400 * i}]'.encode() for i in range(8)]
    assert all(map(quick(form).read, documents))
    before = threading.stack_size(64 << 10)
    try:
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(quick(form).read, documents * 50))
    finally:
        threading.stack_size(before)
    told = [(one[1], one[0]["v"].values[0]) for one in found if one]
    assert told == [(400 * i + 1, i) for i in range(8)] * 50


@needs_compiler
def test_mutated_documents_break_no_memory_with_vectors_and_without(tmp_path: Path) -> None:
    folder = Path(scanner.__file__).parent
    built = []
    for name, flags in (("vectors", []), ("bytes", ["-U__SSE2__"])):
        to = tmp_path / f"{name}.so"
        command = ["cc", "-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
        include = "-I" + sysconfig.get_path("include")
        source = str(folder / "module.c")
        subprocess.run(
            [*command, *flags, "-shared", "-fPIC", include, source, "-o", to, "-lm"], check=True
        )
        built.append(str(to))
    library = subprocess.run(
        ["cc", "-print-file-name=libasan.so"], check=True, capture_output=True, text=True
    ).stdout.strip()
    (tmp_path / "plain.json").write_bytes(PLAIN)
    (tmp_path / "alike.json").write_bytes(ALIKE)
    (tmp_path / "nan.json").write_bytes(NAN)
    (tmp_path / "lines.csv").write_bytes(LINES)
    told = subprocess.run(
        [sys.executable, Path(__file__).with_name("sanitized.py"), tmp_path, *built],
        # Documents are guarded too where each has a block of malloc's for itself.
        env={"LD_PRELOAD": library, "ASAN_OPTIONS": "detect_leaks=0", "PYTHONMALLOC": "malloc"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    tried, taken = json.loads(told.stdout)
    assert tried == 80_000
    assert tried / 20 < taken < tried  # many were plain still, many not


def test_trips_of_random_numbers_are_plain_and_read_alike() -> None:
    seeded = random.Random(7)
    fixes = [
        {
            "v": seeded.choice([None, 0, round(seeded.uniform(-1, 410), seeded.randrange(17))]),
            "db": seeded.choice([None, {"link": str(seeded.randrange(10**9)), "h": 1.0}]),
            "w": seeded.choice(["", "abc", "ж", None]),
            "noise": [{"deep": [seeded.random(), "x" * seeded.randrange(99)]}],
        }
        for _ in range(2000)
    ]
    for document in (
        json.dumps({"a": {"data": fixes}}, ensure_ascii=False).encode(),
        json.dumps({"a": {"data": fixes}}, indent=2, ensure_ascii=False).encode(),
    ):
        parsed = outcome(document)
        assert isinstance(parsed, Parsed)
        assert parsed.read == 2000
        assert record_list(FORM)._scanner is None or not form_gives_up(document)
