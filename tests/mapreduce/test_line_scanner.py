"""Lines of plain numbers are read by compiled code as line by line, and others are left to that."""

from __future__ import annotations

import random
import shutil
import sysconfig
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import mapreduce as mr
from mapreduce.formats import csv as csv_format
from mapreduce.formats import scanner
from mapreduce.formats.csv import Csv
from tests.mapreduce.readings import columns
from tests.mapreduce.test_csv import by_line, parsed

FIELDS: dict[str, Any] = {
    "link": mr.Int("link", low=-5, null=(0,)),
    "speed": mr.Float("kmh", high=400.0),
    "height": mr.Float("height", optional=True),
    "lanes": mr.Int("lanes", optional=True),
    "time": mr.Time("time", optional=True, epoch="s"),
}
NUMBERS = Csv(**FIELDS)
COMMAS = Csv(delimiter=";", decimal=",", **FIELDS)
HEAD = b"id,link,lanes,other,kmh,height\n"  # a field that is optional has no column
PLAIN = HEAD + (
    b"a,52339182,2,,5.1511,1\n"
    b"a,52339182,2,,5.1511,1\n"
    b"a,52339182,2,of more than sixteen bytes,5.1512,-0\r\n"
    b"\n"
    b"b,52339182,,,5.,\r\n"
    b"b,-7,12,,.25,1e-3\n"
    b"b,-71,12,\xc3\xa9\0,.25,0012.50E+2\n"
    b"bc,3,12,,0.1000000000000000055,9007199254740993.5"
)
CAN_COMPILE = bool(shutil.which("cc")) and Path(sysconfig.get_path("include"), "Python.h").exists()
needs_compiler = pytest.mark.skipif(not CAN_COMPILE, reason="no C compiler, or no Python headers")


def is_scanned(content: bytes, form: Csv = NUMBERS) -> bool:
    with pytest.MonkeyPatch.context() as patch:
        for other in ("_plain", "_line_by_line"):
            patch.setattr(csv_format._CsvReader, other, lambda *_: None)
        return parsed(content, form) is not None


@needs_compiler
def test_plain_numbers_are_scanned() -> None:
    assert is_scanned(PLAIN)
    assert columns(parsed(PLAIN)) == columns(by_line(PLAIN))
    commas = PLAIN.replace(b",", b";").replace(b".", b",")
    assert is_scanned(commas, COMMAS)
    assert columns(parsed(commas, COMMAS)) == columns(by_line(commas, COMMAS))
    assert is_scanned(b"link\n1\n\n\r\n2", Csv(link=mr.Int("link")))


@pytest.mark.parametrize(
    "line",
    [
        b'"a",1,2,,3,4', b"a,1,2,,3", b"a,1,2,,3,4,5", b"a,1,2,,3,4,", b"a, 1,2,,3,4", b" ",
        b"a,1 ,2,,3,4", b"a,+1,2,,3,4", b"a,1.0,2,,3,4", b"a,1e3,2,,3,4", b"a,-,2,,3,4",
        b"a,1,2,,.,4", b"a,1,2,,nan,4", b"a,1,2,,inf,4", b"a,1,2,,1e,4", b"a,1,2,,1e+,4",
        b"a,1,2,,1.2.3,4", b"a,1,2,,0x10,4", b"a,1,2,,1e999,4", b"a,1,2,,1_0,4", b"a,1\0,2,,3,4",
        b"a,1234567890123456789,2,,3,4", b"a,1,2,,12345678901234567890.5,4", b"a,1,2\r,,3,4",
        b"\xff,1,2,,3,4", b"a,\xd9\xa1,2,,3,4", b"a,1,2,,3,4\r\r",
    ],
)  # fmt: skip
def test_what_is_not_plain_is_left_to_others(line: bytes) -> None:
    content = HEAD + b"a,1,2,,3,4\n" + line + b"\na,1,2,,3,4\n"
    assert not is_scanned(content)
    assert columns(parsed(content)) == columns(by_line(content))


cells = st.one_of(
    st.integers(-20, 20).map(str),
    st.integers(-(2**65), 2**65).map(str),
    st.floats(-500, 500).map(str),
    st.decimals(-500, 500, places=3).map(str),
    st.sampled_from(
        ["", "", "0", "-0", "007", ".5", "5.", "1e3", "+5", " 7", "1e999", "nan", "\r"]
    ),
    st.text(alphabet="0123456789.eE+- \r\0", max_size=4),
)
lines = st.lists(cells, min_size=6, max_size=6).map(",".join)
# lines that begin alike, as most do: some cells are those of the line before
alike = st.builds(
    lambda first, rest, at: "\n".join([first, *(first[:at] + one[at:] for one in rest)]),
    lines, st.lists(lines, max_size=3), st.integers(0, 12),
)  # fmt: skip
contents = st.builds(
    lambda blocks, end: end.join("\n".join(blocks).split("\n")),
    st.lists(st.one_of(lines, alike), max_size=4), st.sampled_from(["\n", "\r\n"]),
)  # fmt: skip


@settings(max_examples=1500)
@given(contents)
@example("a,1,2,,3,4\na,1,2,,3,4\na,1,2,,3,40\na,1,2,,3,4\n")
@example("a,1,2,,3,4\n\na,1,2,,3\n")
def test_all_ways_of_reading_say_the_same(content: str) -> None:
    body = HEAD + content.encode()
    assert columns(parsed(body)) == columns(by_line(body))


def test_a_byte_more_less_or_other_anywhere_is_read_alike() -> None:
    for at in range(len(HEAD), len(PLAIN) + 1):
        for inside in (b"", b",", b"\n", b"\r", b"-", b".", b"e", b"7", b"\0", b'"'):
            for behind in (at, at + 1):
                body = PLAIN[:at] + inside + PLAIN[behind:]
                assert columns(parsed(body)) == columns(by_line(body)), body


decimals = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.from_regex(
        r"-?([0-9]{1,20}\.?|[0-9]{0,18}\.[0-9]{1,22})(e[+-]?[0-9]{1,3})?", fullmatch=True
    ),
    # halfway between two doubles, or next to it
    st.builds(
        lambda n, k: f"{n // 10**k}.{n % 10**k:0{k}}",
        st.integers(2**53, 2**54).map(lambda n: 2 * n + 1),
        st.integers(1, 17),
    ),
)


@settings(max_examples=300)
@given(st.lists(decimals, min_size=1, max_size=20))
def test_numbers_are_rounded_as_python_rounds_them(numbers: list[str]) -> None:
    form = Csv(v=mr.Float("v"))
    for text in numbers:
        content = f"v\n{text}\n".encode()
        if is_scanned(content, form):
            (got,) = parsed(content, form).columns["v"]
            assert (got, np.signbit(got)) == (float(text), text.startswith("-"))


def test_it_can_be_left_out_and_gives_up_at_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_scanned(PLAIN, Csv(link=mr.Int("link"), word=mr.Text("other", optional=True)))
    assert not is_scanned(PLAIN, Csv(link=mr.Int("link"), same=mr.Float("link")))
    assert is_scanned(PLAIN, Csv(link=mr.Int("link"), same=mr.Int("link"))) == CAN_COMPILE
    monkeypatch.setenv(scanner.SWITCH, "0")
    assert not is_scanned(PLAIN)


@needs_compiler
@pytest.mark.parametrize(
    "asked",
    [
        (PLAIN, -1, b"i", ",", "."), (PLAIN, len(PLAIN) + 1, b"i", ",", "."),
        (PLAIN, 0, b"", ",", "."), (PLAIN, 0, b"-" * 1025, ",", "."),
        (PLAIN, 0, b"i" * 65, ",", "."), (PLAIN, 0, b"i", "\0", "."), (PLAIN, 0, b"i", ",", "é"),
        (bytearray(PLAIN), 0, b"i", ",", "."),
    ],
)  # fmt: skip
def test_what_it_cannot_take_is_refused(asked: tuple[Any, ...]) -> None:
    with pytest.raises((TypeError, ValueError)):
        scanner._scan.lines(*asked)


def test_many_random_lines_are_plain_and_read_alike() -> None:
    seeded = random.Random(7)
    rows = [
        f"trip{seeded.randrange(9) * 10**n},{seeded.randrange(10**n)},{n},{'x' * n},"
        f"{round(seeded.uniform(0, 400), n % 5)},{seeded.choice(['', -1, 2.5])}"
        for n in [seeded.randrange(1, 18) for _ in range(3000)]
        for _ in range(seeded.randrange(4))
    ]
    content = HEAD + "\n".join(rows).encode()
    assert is_scanned(content) == CAN_COMPILE
    assert columns(parsed(content)) == columns(by_line(content))
