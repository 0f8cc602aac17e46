"""JSON Lines that are bad: records a line, and documents a line."""

from __future__ import annotations

import gzip
from typing import Final

from tests.jobs.forms import OfLines, OfTripLines
from tests.mapreduce.bad.case import LIMITS, Cases, Form, refused, taken
from tests.mapreduce.bad.packed import bomb
from tests.mapreduce.bad.records import ODD, OF_ONE

CAP: Final = LIMITS.line_cap_bytes
MARK: Final = b"\xef\xbb\xbf"
TRIP: Final = b'{"data":[' + OF_ONE + b"]}"


def _written(line: bytes, n: int) -> bytes:
    return (line + b"\n") * n


def plain(n: int) -> bytes:
    """Write n plain records."""
    return _written(OF_ONE, n)


def plain_trips(n: int) -> bytes:
    """Write n documents of one plain record."""
    return _written(TRIP, n)


def _objects(line: bytes) -> Cases:
    """Give objects that are bad as a whole, and lines that are whatever a line holds."""
    some = _written(line, 9)
    return {
        "nothing": refused(b"", "empty", "0 bytes"),
        "a mark alone": refused(MARK, "empty", "no line"),
        "nothing packed.gz": refused(gzip.compress(b""), "empty", "no line"),
        "empty lines": taken(b"\n\r\n \t\n"),
        "utf-16": refused(some.decode().encode("utf-16"), "bad_encoding", "UTF-16"),
        "utf-16-le": refused(some.decode().encode("utf-16-le"), "bad_encoding", "UTF-16"),
        "utf-16-be": refused(some.decode().encode("utf-16-be"), "bad_encoding", "UTF-16"),
        "utf-32": refused(some.decode().encode("utf-32"), "bad_encoding", "UTF-32"),
        "utf-16, large": refused(
            _written(line, 40_000).decode().encode("utf-16"), "bad_encoding", "UTF-16"
        ),
        "large": taken(
            _written(line, 9000) + b"{\n" + _written(line, 9000), 18_000, not_a_record=1
        ),
        "large, packed, cut, not named so": refused(
            gzip.compress(_written(line, 20_000), 0)[:-9], "unreadable", "ends in the middle"
        ),
        "zeros": refused(bytes(1000), "bad_encoding", "zeros"),
        "zeros at the end": taken(some + bytes(1000), 9, not_a_record=1),
        "noise": taken(bytes(range(128, 256)) * 50, not_a_record=1),
        "parquet": refused(b"PAR1" + bytes(50) + b"PAR1", "unreadable", "Parquet"),
        "named gz.gz": refused(some, "unreadable", "gzip"),
        "cut.gz": refused(gzip.compress(some)[:-9], "unreadable", "ends in the middle"),
        "wrong sum.gz": refused(gzip.compress(some)[:-8] + bytes(8), "unreadable", "damaged"),
        "packed twice.gz": refused(gzip.compress(gzip.compress(some)), "unreadable", "twice"),
        "a bomb of a line.gz": taken(lambda: gzip.compress(some) + bomb(b" "), 9, not_a_record=1),
        "a bomb of brackets.gz": taken(lambda: gzip.compress(some) + bomb(b"["), 9, not_a_record=1),
        "a bomb of empty lines.gz": taken(lambda: gzip.compress(some) + bomb(b"\n", 32), 9),
        "html": taken(b"<html>\n<title>503</title>\n</html>\n", not_a_record=3),
        "csv": taken(b"link,v\n1,1\n", not_a_record=2),
        "a number a line": taken(b"1\n2\n", not_a_record=2),
        "two marks": taken(MARK * 2 + some, 8, not_a_record=1),
        "a mark within": taken(line + b"\n" + MARK + some, 9, not_a_record=1),
        "cut in a line": taken(some[:-3], 8, not_a_record=1),
        "cut in a letter": taken(some + b'{"x":"\xc3', 9, not_a_record=1),
        "lone carriage returns": taken(line + b"\r" + line + b"\r", not_a_record=1),
        "mixed line ends": taken(line + b"\r\n" + line + b"\n\r\n\n" + line + b" \r\n" + line, 4),
        "two in a line": taken(line + line + b"\n" + line, 1, not_a_record=1),
        "commas behind": taken((line + b",\n") * 2 + line, 1, not_a_record=2),
        "one list": taken(b"[" + line + b",\n" + line + b"]", not_a_record=2),
        "one over lines": taken(line.replace(b",", b",\n") + b"\n" + line, 1, not_a_record=2),
        "a sign before each": taken(b"\x1e" + line + b"\n\x1e" + line, not_a_record=2),
        "comments": taken(b"// one\n# two\n/* */" + line + b"\n" + line + b" //", not_a_record=4),
        "just too long": taken(line + b"\n" + line[:-1] + b" " * CAP + b"}\n", 1, not_a_record=1),
        "just not too long": taken(line[:-1] + b" " * (CAP - len(line)) + b"}", 1),
        "long key": taken(line[:-1] + b',"' + b"k" * 500_000 + b'":1}\n' + line, 2),
        "many keys": taken(line[:-1] + b"".join(b',"%d":0' % n for n in range(50_000)) + b"}", 1),
        "quotes without end": taken(line + b'\n{"' + b'\\"' * 400_000, 1, not_a_record=1),
        "deep": taken(b"[" * 500_000 + b"\n" + line, 1, not_a_record=1),
        "deep and whole": taken(
            line[:-1] + b',"x":' + b"[" * 200_000 + b"]" * 200_000 + b"}\n" + line,
            1,
            not_a_record=1,
        ),
        "deep for no use": taken(
            line[:-1] + b',"x":' + b"[" * 200 + b"]" * 200 + b"}\n" + line, 1, not_a_record=1
        ),
    }


def _records() -> Cases:
    cases = {}
    for number, (raw, reason) in enumerate(ODD.items()):
        if reason is not None:
            content = OF_ONE + b"\r\n" + raw + b"\n" + OF_ONE
            cases[f"record {number:02}"] = taken(content, 2, **{reason: 1})
    return cases


def _records_of_trips() -> Cases:
    """Put the same records among others of a trip: each costs itself, not its document."""
    cases = {}
    for number, (raw, reason) in enumerate(ODD.items()):
        if reason is not None:
            content = b'{"data":[' + b",".join((OF_ONE, raw, OF_ONE)) + b"]}\n" + TRIP
            cases[f"record {number:02}"] = taken(content, 3, **{reason: 1})
    return cases


# A line that is no document of records, so it costs one record.
NO_TRIPS: Final = {
    "null": b"null",
    "a list": b"[" + OF_ONE + b"]",
    "a record": OF_ONE,
    "no list": b'{"date":[]}',
    "null for a list": b'{"data":null}',
    "object for a list": b'{"data":{"0":1}}',
    "text for a list": b'{"data":"[]"}',
    "list, then not": b'{"data":[' + OF_ONE + b'],"data":0}',
    "NaN beside": b'{"data":[' + OF_ONE + b'],"mean":NaN}',
    "latin-1 beside": b'{"data":[' + OF_ONE + b'],"name":"S\xe3o"}',
    "a number with a zero beside": b'{"data":[' + OF_ONE + b'],"x":01}',
    "a text cut beside": b'{"data":[' + OF_ONE + b'],"x":"}',
    "comma too many": b'{"data":[' + OF_ONE + b",]}",
    "comma in the middle": b'{"data":[' + OF_ONE + b",," + OF_ONE + b"]}",
    "brackets crossed": b'{"data":[' + OF_ONE + b"}]",
    "rubbish behind": TRIP + b"x",
    "cut in the list": TRIP[:-2],
    "a key without quotes": b"{data:[" + OF_ONE + b"]}",
}
GOOD: Final = {
    "good": b'{"link":1,"v":50}\n{"link":"2","v":51.5}\n{"link":3,"v":0}\n',
    "good marked": MARK + b'{"v":7.5,"other":[{}],"link":12}\r\n\r\n{"link":8,"v":13}',
    "good packed": gzip.compress(b'{"link":2,"v":5}\n{"link":4,"v":400}\n'),
}
GOOD_TRIPS: Final = {
    "good": b'{"data":[{"link":1,"v":50},{"link":"2","v":51.5}]}\n{"data":[]}\n',
    "good marked": MARK + b'{"x":[{}],"data":[{"v":7.5,"link":12}]}\r\n\r\n' + TRIP,
    "good packed": gzip.compress(b'{"data":[{"link":2,"v":5}]}\n{"data":[{"link":4,"v":400}]}\n'),
}
LINES: Final = Form(OfLines, GOOD, plain, {**_objects(OF_ONE), **_records()})
TRIPS: Final = Form(
    OfTripLines,
    GOOD_TRIPS,
    plain_trips,
    {
        **_objects(TRIP),
        **_records_of_trips(),
        **{
            name: taken(TRIP + b"\n" + line + b"\n" + TRIP, 2, not_a_record=1)
            for name, line in NO_TRIPS.items()
        },
        "no records": taken(b'{"data":[]}\n{"data":[ ]}'),
    },
)
