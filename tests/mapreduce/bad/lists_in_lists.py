"""JSON documents of documents, `trips[].points[]`: bad outside, and bad in one of those inside."""

from __future__ import annotations

import gzip
from typing import Final

from tests.jobs.forms import OfTrips
from tests.mapreduce.bad.case import LIMITS, Cases, Form, refused, taken
from tests.mapreduce.bad.packed import bomb
from tests.mapreduce.bad.records import ODD, OF_ONE

MARK: Final = b"\xef\xbb\xbf"
TRIP: Final = b'{"points":[' + OF_ONE + b"]}"


def _of(*trips: bytes) -> bytes:
    return b'{"trips":[' + b",".join(trips) + b"]}"


def plain(n: int) -> bytes:
    """Write n plain records, each in a trip of its own."""
    return _of(*[TRIP] * n)


TWO: Final = plain(2)
MANY: Final = TRIP[:-1] + b',"x":[' + b"0," * (1 << 21) + b"0]"
GOOD: Final = {
    "good": _of(b'{"points":[{"link":1,"v":50},{"link":"2","v":51.5}]}', b'{"points":[]}'),
    "good marked": MARK + b' {"x":[{}],' + _of(b'{"id":"[","points":[{"v":7.5,"link":12}]}')[1:],
    "good packed": gzip.compress(_of(TRIP, b'{"points":[{"link":4,"v":400}]}')),
}
DOCUMENTS: Final[Cases] = {
    "nothing": refused(b"", "empty"),
    "white space": refused(b" \r\n\t ", "empty"),
    "a mark alone": refused(MARK, "empty"),
    "nothing packed.gz": refused(gzip.compress(b""), "empty"),
    "cut in a record": refused(TWO[:30], "not_json", "truncated"),
    "cut in a text": refused(b'{"trips":[{"points":[{"link":"1', "not_json", "truncated"),
    "cut before the end": refused(TWO[:-1], "not_json", "truncated"),
    "cut behind a trip": refused(TWO[:-2], "not_json", "truncated"),
    "half a letter": refused(TWO[:-1] + b',"x":"\xc3', "not_json"),
    "rubbish behind": refused(TWO + b"}", "not_json"),
    "two documents": refused(TWO + TWO, "not_json"),
    "two marks": refused(MARK * 2 + TWO, "not_json"),
    "html": refused(b"<html>503</html>", "not_json", "web page"),
    "csv": refused(b"link,v\n1,2\n", "not_json"),
    "comma too many": refused(_of(TRIP, b""), "not_json", "comma"),
    "comma in the middle": refused(_of(TRIP, b" ", TRIP), "not_json", "comma"),
    "NaN beside": refused(TWO[:-1] + b',"mean":NaN}', "not_json", "NaN"),
    "number with a zero": refused(TWO[:-1] + b',"x":01}', "not_json"),
    "zeros": refused(bytes(1000), "bad_encoding", "zeros"),
    "noise": refused(bytes(range(128, 256)) * 50, "not_json"),
    "quotes without end": refused(b'{"trips":["' + b'\\"' * 500_000, "not_json"),
    "utf-16": refused(TWO.decode().encode("utf-16"), "bad_encoding", "UTF-16"),
    "utf-16-le": refused(TWO.decode().encode("utf-16-le"), "bad_encoding", "UTF-16"),
    "utf-32": refused(TWO.decode().encode("utf-32"), "bad_encoding"),
    "latin-1 beside": refused(TWO[:-1] + b',"name":"S\xe3o"}', "bad_encoding", "UTF-8"),
    "null": refused(b"null", "wrong_shape"),
    "number": refused(b"5", "wrong_shape"),
    "list": refused(b"[" + TRIP + b"]", "wrong_shape"),
    "no list": refused(b'{"trip":[' + TRIP + b"]}", "wrong_shape", "expected a list at 'trips'"),
    "null list": refused(b'{"trips":null}', "wrong_shape", "got null"),
    "object for a list": refused(b'{"trips":{"0":1}}', "wrong_shape", "got an object"),
    "text for a list": refused(b'{"trips":"[]"}', "wrong_shape", "got text"),
    "list, then not": refused(TWO[:-1] + b',"trips":0}', "wrong_shape", "got a number"),
    "deep": refused(_of(b"[" * 100_000 + b"]" * 100_000), "too_deep"),
    "deep and cut": refused(b'{"trips":' + b"[" * 100_000, "too_deep"),
    "deep in a record": refused(
        _of(b'{"points":[{"x":' + b"[" * 200 + b"]" * 200 + b"}]}"), "too_deep"
    ),
    "deep for no use": refused(TWO[:-1] + b',"x":' + b"[" * 200 + b"]" * 200 + b"}", "too_deep"),
    "large": refused(b" " * LIMITS.object_cap_bytes + TWO, "too_large"),
    "many trips": refused(b'{"trips":[' + b"0," * (1 << 21) + b"0]}", "too_large", "2,097,152"),
    "many records": refused(
        _of(TRIP, b'{"points":[' + b"0," * (1 << 21) + b"0]}"), "too_large", "2,097,152"
    ),
    "bomb.gz": refused(lambda: bomb(b" "), "too_large"),
    "bomb of brackets without a name": refused(lambda: bomb(b"["), "too_large"),
    "named gz.gz": refused(TWO, "unreadable"),
    "cut.gz": refused(gzip.compress(plain(99))[:-9], "unreadable", "ends in the middle"),
    "packed twice.gz": refused(gzip.compress(gzip.compress(TWO)), "unreadable", "twice"),
    "many trips that are none": taken(_of(*[b"0"] * 500_000), not_a_record=500_000),
    "many trips of nothing": taken(_of(*[b'{"points":[]}'] * 300_000)),
    "many values": taken(_of(TRIP, MANY + b"}", TRIP), 3),
    "many values and a trip that is none": taken(_of(TRIP, b"0", MANY + b"}"), 2, not_a_record=1),
    "no trips": taken(b'{"trips":[ ]}'),
    "no points": taken(_of(b'{"points":[]}', b'{"points":[ ]}')),
    "a list twice": taken(b'{"trips":0,' + TWO[1:], 2),
    "deep as may be": taken(TWO[:-1] + b',"x":' + b"[" * 90 + b"]" * 90 + b"}", 2),
}

# What stands for a trip and is none: it costs one record, and the trips beside it nothing.
NO_TRIPS: Final = {
    "null": b"null",
    "a number": b"7",
    "text": b'"points"',
    "a list": b"[" + OF_ONE + b"]",
    "a record": OF_ONE,
    "no points": b'{"point":[' + OF_ONE + b"]}",
    "null points": b'{"points":null}',
    "an object for points": b'{"points":{"0":1}}',
    "text for points": b'{"points":"[]"}',
    "points, then not": b'{"points":[' + OF_ONE + b'],"points":0}',
    "NaN beside": b'{"points":[' + OF_ONE + b'],"mean":NaN}',
    "Infinity for points": b'{"points":Infinity}',
    "latin-1 beside": b'{"points":[' + OF_ONE + b'],"name":"S\xe3o"}',
    "comma too many": b'{"points":[' + OF_ONE + b",]}",
    "a zero before": b'{"points":[' + OF_ONE + b'],"x":01}',
    "a key without quotes": b"{points:[" + OF_ONE + b"]}",
    "a mark before": MARK + TRIP,
    "words": b"none",
    "two trips": TRIP + TRIP,
}
TRIPS: Final[Cases] = {
    f"trip: {name}": taken(_of(TRIP, trip, TRIP), 2, not_a_record=1)
    for name, trip in NO_TRIPS.items()
}


def _records() -> Cases:
    cases = {}
    for number, (raw, reason) in enumerate(ODD.items()):
        if reason is not None:
            trip = b'{"points":[' + b",".join((OF_ONE, raw, OF_ONE)) + b"]}"
            cases[f"record {number:02}"] = taken(_of(TRIP, trip, TRIP), 4, **{reason: 1})
    return cases


LISTS: Final = Form(OfTrips, GOOD, plain, {**DOCUMENTS, **TRIPS, **_records()})
