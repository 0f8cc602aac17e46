"""JSON documents whose records lie in columns, bad as documents and as columns."""

from __future__ import annotations

import gzip
import json
from typing import Final

from tests.jobs.forms import OfColumns
from tests.mapreduce.bad.case import LIMITS, Cases, Form, refused, taken
from tests.mapreduce.bad.packed import bomb

MARK: Final = b"\xef\xbb\xbf"
TWO: Final = b'{"link":[1,1],"v":[1,1]}'


def plain(n: int) -> bytes:
    """Write n plain records."""
    return json.dumps({"link": [1] * n, "v": [1] * n}).encode()


def _with(link: bytes, v: bytes = b"1") -> bytes:
    """Write an odd record between two plain ones."""
    return b'{"link":[1,%b,1],"v":[1,%b,1]}' % (link, v)


GOOD: Final = {
    "good": b'{"link":[1,"2",3],"v":[50,51.5,0]}',
    "good marked": MARK + b' {"v":[7.5,8],"x":[{},[1]],"link":[12,13]} ',
    "good packed": gzip.compress(b'{"link":[2,4],"v":[5,400]}'),
}
DOCUMENTS: Final[Cases] = {
    "nothing": refused(b"", "empty"),
    "white space": refused(b" \r\n\t ", "empty"),
    "a mark alone": refused(MARK, "empty"),
    "nothing packed.gz": refused(gzip.compress(b""), "empty"),
    "cut in a list": refused(TWO[:12], "not_json"),
    "cut in a text": refused(b'{"link":["1', "not_json"),
    "cut before the end": refused(TWO[:-1], "not_json"),
    "half a letter": refused(TWO[:-1] + b',"x":"\xc3', "not_json"),
    "rubbish behind": refused(TWO + b"}", "not_json"),
    "two documents": refused(TWO + TWO, "not_json", "more than one document"),
    "lines": refused(TWO + b"\n" + TWO + b"\n", "not_json", "JSON Lines"),
    "two marks": refused(MARK * 2 + TWO, "not_json"),
    "html": refused(b"<html>503</html>", "not_json", "web page"),
    "csv": refused(b"link,v\n1,2\n", "not_json"),
    "comma too many": refused(b'{"link":[1,],"v":[1]}', "not_json"),
    "comma in the middle": refused(b'{"link":[1,,1],"v":[1,1,1]}', "not_json"),
    "brackets crossed": refused(b'{"link":[1,1},"v":[1,1]]', "not_json"),
    "NaN wanted": refused(_with(b"1", b"NaN"), "not_json", "NaN"),
    "Infinity wanted": refused(_with(b"1", b"-Infinity"), "not_json", "Infinity"),
    "NaN beside": refused(TWO[:-1] + b',"x":[NaN]}', "not_json", "NaN"),
    "a number with a zero": refused(_with(b"01"), "not_json"),
    "a number cut": refused(_with(b"1", b"1."), "not_json"),
    "a plus": refused(_with(b"+1"), "not_json"),
    "a control character beside": refused(TWO[:-1] + b',"x":"\t"}', "not_json"),
    "a surrogate wanted": refused(_with(b'"\\ud800"'), "not_json"),
    "zeros": refused(bytes(1000), "bad_encoding", "zeros"),
    "noise": refused(bytes(range(128, 256)) * 50, "not_json"),
    "quotes without end": refused(b'{"link":["' + b'\\"' * 500_000, "not_json"),
    "utf-16": refused(TWO.decode().encode("utf-16"), "bad_encoding", "UTF-16"),
    "utf-16-be": refused(TWO.decode().encode("utf-16-be"), "bad_encoding", "UTF-16"),
    "utf-32": refused(TWO.decode().encode("utf-32"), "bad_encoding"),
    "latin-1 beside": refused(TWO[:-1] + b',"x":"S\xe3o"}', "bad_encoding", "UTF-8"),
    "latin-1 wanted": refused(_with(b'"\xe3"'), "bad_encoding", "UTF-8"),
    "NUL within": refused(TWO[:-1] + b"\0}", "not_json"),
    "null": refused(b"null", "wrong_shape"),
    "number": refused(b"5", "wrong_shape"),
    "list": refused(b'[{"link":1,"v":1}]', "wrong_shape"),
    "no columns": refused(b"{}", "wrong_shape", 'no column "link"'),
    "no speed": refused(b'{"link":[1],"V":[1]}', "wrong_shape", 'no column "v"'),
    "null for a list": refused(b'{"link":[1],"v":null}', "wrong_shape", 'no column "v"'),
    "object for a list": refused(b'{"link":[1],"v":{"0":1}}', "wrong_shape", "got an object"),
    "text for a list": refused(b'{"link":"[1]","v":[1]}', "wrong_shape", "got text"),
    "number for a list": refused(b'{"link":1,"v":1}', "wrong_shape", "got a number"),
    "records": refused(b'{"data":[{"link":1,"v":1}]}', "wrong_shape", '"data"'),
    "one shorter": refused(b'{"link":[1,1],"v":[1]}', "wrong_shape", "one length"),
    "one empty": refused(b'{"link":[1,1],"v":[]}', "wrong_shape", "one length"),
    "list, then not": refused(TWO[:-1] + b',"v":0}', "wrong_shape", "got a number"),
    "deep": refused(
        b'{"link":[1],"v":[' + b"[" * 100_000 + b"]" * 100_000 + b"]}", "too_deep", "128"
    ),
    "deep and cut": refused(b"[" * 100_000, "too_deep"),
    "deep objects": refused(b'{"link":' * 100_000, "too_deep"),
    "deep for no use": refused(
        TWO[:-1] + b',"x":' + b"[" * 200 + b"]" * 200 + b"}", "too_deep", "128"
    ),
    "large": refused(b" " * LIMITS.object_cap_bytes + TWO, "too_large"),
    "many records": refused(
        b'{"link":[' + b"1," * (1 << 21) + b'1],"v":[' + b"1," * (1 << 21) + b"1]}", "too_large"
    ),
    "bomb.gz": refused(lambda: bomb(b" "), "too_large"),
    "bomb of brackets without a name": refused(lambda: bomb(b"["), "too_large"),
    "named gz.gz": refused(TWO, "unreadable"),
    "cut.gz": refused(gzip.compress(plain(99))[:-9], "unreadable", "ends in the middle"),
    "wrong sum.gz": refused(gzip.compress(TWO)[:-8] + bytes(8), "unreadable", "damaged"),
    "packed twice.gz": refused(gzip.compress(gzip.compress(TWO)), "unreadable", "twice"),
    "no records": taken(b'{"link":[],"v":[ ]}'),
    "a list twice": taken(b'{"link":[7],"link":[1,1],"v":[1,1]}', 2),
    "a list twice, odd before": taken(b'{"link":0,"link":[1,1],"v":[1,1]}', 2),
    "deep as may be": taken(TWO[:-1] + b',"x":' + b"[" * 90 + b"]" * 90 + b"}", 2),
    "escaped name": taken(TWO.replace(b'"link"', b'"l\\u0069nk"'), 2),
    "many members": taken(TWO[:-1] + b"".join(b',"%d":[0]' % n for n in range(90_000)) + b"}", 2),
}

# A link -> why its record is dropped; then the same of speeds.
LINKS: Final = {
    b"null": "no_link",
    b"true": "bad_link",
    b"1.0": "bad_link",
    b"1e2": "bad_link",
    b"{}": "bad_link",
    b"[1]": "bad_link",
    b'""': "bad_link",
    b'" 12"': "bad_link",
    b'"1_000"': "bad_link",
    b'"+1"': "bad_link",
    b'"\\u0000"': "bad_link",
    b"9223372036854775808": "bad_link",
    b"7" * 5000: "bad_link",
    b'"' + b"7" * 500_000 + b'"': "bad_link",
    b'"[,],"': "bad_link",
}
SPEEDS: Final = {
    b"null": "no_speed",
    b'"50"': "bad_speed",
    b"false": "bad_speed",
    b"1e400": "bad_speed",
    b"[1]": "bad_speed",
    b"-0.1": "speed_out_of_range",
    b"401": "speed_out_of_range",
}
RECORDS: Final[Cases] = {
    **{
        f"link {n:02}": taken(_with(raw), 2, **{why: 1})
        for n, (raw, why) in enumerate(LINKS.items())
    },
    **{
        f"speed {n:02}": taken(_with(b"1", raw), 2, **{why: 1})
        for n, (raw, why) in enumerate(SPEEDS.items())
    },
    "both odd": taken(_with(b"{}", b"[]"), 2, bad_link=1),
    "many odd": taken(
        b'{"link":[' + b"{}," * 90_000 + b'1],"v":[' + b"1," * 90_000 + b"1]}", 1, bad_link=90_000
    ),
}
COLUMNS: Final = Form(OfColumns, GOOD, plain, {**DOCUMENTS, **RECORDS})
