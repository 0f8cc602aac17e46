"""CSV that is bad, in every way that was thought of."""

from __future__ import annotations

import gzip
from typing import Final

from tests.jobs.forms import OfCsv
from tests.mapreduce.bad.case import LIMITS, Cases, Form, refused, taken
from tests.mapreduce.bad.packed import bomb

HEAD: Final = b"link,v\n"
LONG: Final = b"7" * (LIMITS.line_cap_bytes + 1)


def plain(n: int) -> bytes:
    """Write n plain records."""
    return HEAD + b"1,1\n" * n


GOOD: Final = {
    "good": HEAD + b"1,50\n2,51.5\n3,0\n",
    "good quoted": b'\xef\xbb\xbf"v","other","link"\r\n"7.5","a, ""b""","12"\r\n8,,13',
    "good packed": gzip.compress(HEAD + b"2,5\n4,400\n"),
}

OBJECTS: Final[Cases] = {
    "nothing": refused(b"", "empty", "0 bytes"),
    "a mark alone": refused(b"\xef\xbb\xbf", "empty"),
    "white space": refused(b" \r\n\n\t\n", "wrong_shape", "first line is empty"),
    "nothing packed.gz": refused(gzip.compress(b""), "empty"),
    "no first line": refused(b"1,50\n2,51\n", "wrong_shape", 'no column "link"; there are: "1"'),
    "a first line that is empty": refused(b"\n" + plain(2), "wrong_shape", "first line is empty"),
    "no link": refused(b"id,v\n1,50\n", "wrong_shape", 'no column "link"; there are: "id", "v"'),
    "no speed": refused(b"link\n1\n", "wrong_shape", 'no column "v"; there are: "link"'),
    "another case": refused(b"Link,V\n1,50\n", "wrong_shape", 'there are: "Link", "V"'),
    "link twice": refused(b"link,v,link\n1,50,2\n", "wrong_shape", "'link' is there 2 times"),
    "speed twice, once quoted": refused(b'link,v,"v"\n1,50,2\n', "wrong_shape", "'v' is there 2"),
    "another twice": taken(b"link,x,v,x\n1,a,1,b\n", 1),
    "first line with an open quote": refused(b'link,"v\n1,50\n', "wrong_shape", "first line"),
    "first line too long": refused(b"x" * len(LONG) + b",link,v\n", "wrong_shape", "first line of"),
    "two marks": refused(b"\xef\xbb\xbf" * 2 + plain(1), "wrong_shape", 'no column "link"'),
    "semicolons": refused(b"link;v\n1;50\n", "wrong_shape", "delimiter"),
    "tabs": refused(b"link\tv\n1\t50\n", "wrong_shape", "delimiter"),
    "a line for a spreadsheet": refused(b"sep=,\n" + plain(1), "wrong_shape", '"sep="'),
    "lone carriage returns": refused(b"link,v\r1,50\r2,51\r", "wrong_shape", "carriage return"),
    "utf-16": refused(plain(2).decode().encode("utf-16"), "bad_encoding", "UTF-16"),
    "utf-16-le": refused(plain(2).decode().encode("utf-16-le"), "bad_encoding", "UTF-16"),
    "utf-16-be": refused(plain(2).decode().encode("utf-16-be"), "bad_encoding", "UTF-16"),
    "utf-32": refused(plain(2).decode().encode("utf-32"), "bad_encoding", "UTF-16 or UTF-32"),
    "utf-16, large": refused(plain(90_000).decode().encode("utf-16"), "bad_encoding", "UTF-16"),
    "large": taken(plain(90_000) + b'1,"1\n' + b"1,1\n" * 90_000, 180_000, not_a_record=1),
    "short lines": taken(HEAD + b"0\n" * 500_000, not_a_record=500_000),
    "large, without names": refused(b"1,1\n" * 90_000, "wrong_shape", "no column"),
    "large, packed, cut, not named so": refused(
        gzip.compress(plain(90_000), 0)[:-9], "unreadable", "ends in the middle"
    ),
    "latin-1 names": refused(b"link,v,S\xe3o\n1,50,a\n", "bad_encoding", "encoding="),
    "zeros": refused(bytes(1000), "bad_encoding", "zeros"),
    "noise": refused(bytes(range(128, 256)) * 50, "bad_encoding", "encoding="),
    "html": refused(b"<html>\n<title>503</title>\n</html>\n", "wrong_shape", "<html>"),
    "json": refused(b'{"data":[{"link":1,"v":50}]}', "wrong_shape"),
    "json lines": refused(b'{"link":1,"v":50}\n{"link":1,"v":50}\n', "wrong_shape"),
    "parquet": refused(b"PAR1" + bytes(50) + b"PAR1", "unreadable", "Parquet"),
    "named gz.gz": refused(plain(1), "unreadable"),
    "cut.gz": refused(gzip.compress(plain(9))[:-9], "unreadable", "ends in the middle"),
    "packed twice.gz": refused(gzip.compress(gzip.compress(plain(9))), "unreadable", "twice"),
    "a bomb of a first line.gz": refused(lambda: bomb(b"x"), "wrong_shape", "first line of"),
    "a bomb of a line.gz": taken(lambda: gzip.compress(HEAD) + bomb(b" "), not_a_record=1),
    "a bomb of empty lines.gz": taken(lambda: gzip.compress(plain(1)) + bomb(b"\n", 32), 1),
    "a first line alone": taken(b"link,v"),
    "many columns": taken(
        b"link,v" + b",x" * 100_000 + b"\n" + (b"1,1" + b"," * 100_000 + b"\n") * 30, 30
    ),
}

# A line, or more, -> why it is dropped; None where it is kept.
LINES: Final[dict[bytes, str | None]] = {
    b"1": "not_a_record",
    b"1,1,": "not_a_record",
    b"1,1,1": "not_a_record",
    b",": "no_link",
    b",1": "no_link",
    b'"",1': "no_link",
    b"1,": "no_speed",
    b'1,""': "no_speed",
    b"link,v": "bad_link",
    b"\xef\xbb\xbflink,v": "bad_link",
    b"# one,comment": "bad_link",
    b"# a comment": "not_a_record",
    b" ": "not_a_record",
    b'"1,1': "not_a_record",
    b'1,"1': "not_a_record",
    b'"1"x,1': "not_a_record",
    b'"1""1': "not_a_record",
    b'1"": 1,1': "bad_link",
    b'1,1"': "bad_speed",
    b"'1',1": "bad_link",
    b"1\r1,1": "not_a_record",
    b"1,1\r\r": "not_a_record",
    b"1\0,1": "bad_link",
    b"1,\0": "bad_speed",
    b"\0\0\0\0": "not_a_record",
    b"1,\xff": "not_a_record",
    b"1,S\xe3o": "not_a_record",
    b"\xed\xa0\x80,1": "not_a_record",
    "\uff11,1".encode(): "bad_link",
    "1\u00a0,1".encode(): "bad_link",
    b"1\x0b,1": "bad_link",
    b" ,1": "bad_link",
    b"9223372036854775808,1": "bad_link",
    b"-9223372036854775809,1": "bad_link",
    b"7" * 5000 + b",1": "bad_link",
    b"7" * 500_000 + b",1": "bad_link",
    LONG + b",1": "not_a_record",
    b"1.0,1": "bad_link",
    b"1e2,1": "bad_link",
    b"1_000,1": "bad_link",
    b"0x1F,1": "bad_link",
    b"+1,1": "bad_link",
    b"true,1": "bad_link",
    b"NULL,1": "bad_link",
    b"\\N,1": "bad_link",
    b'"1,000",1': "bad_link",
    b"1,nan": "bad_speed",
    b"1,NaN": "bad_speed",
    b"1,inf": "bad_speed",
    b"1,-Infinity": "bad_speed",
    b"1,1e400": "bad_speed",
    b'1,"1,5"': "bad_speed",
    b"1,1 km/h": "bad_speed",
    b"1,--1": "bad_speed",
    b"1,0x1p3": "bad_speed",
    b"1," + b"9" * 400: "bad_speed",
    b"1,-0.1": "speed_out_of_range",
    b"1,400.1": "speed_out_of_range",
    b"1,1e308": "speed_out_of_range",
    b"": "",  # no record at all
    b"\r": "",
    b"001,1.0": None,
    b' 1 ,"1"': None,
    b'"1","1"\r': None,
    b"1,1e0": None,
    b"1,.1e1": None,
}


def _of_lines() -> Cases:
    """Put each line between plain ones, and after one that ends otherwise."""
    cases = {}
    for number, (line, reason) in enumerate(LINES.items()):
        kept = 2 + (reason is None)
        content = HEAD + b"1,1\r\n" + line + b"\n1,1"
        dropped = {reason: 1} if reason else {}
        cases[f"line {number:02} {line[:12]!r}".replace("/", "|")] = taken(content, kept, **dropped)
    return cases


MORE: Final[Cases] = {
    "cut in a record": taken(HEAD + b"1,1\n1", 1, not_a_record=1),
    "cut in a quote": taken(HEAD + b'1,1\n1,"1', 1, not_a_record=1),
    "a quote over lines": taken(b'link,v,x\n1,1,"a\nb"\n1,1,c\n', 1, not_a_record=2),
    "a quote over all": taken(b'link,v,x\n1,1,"a\n1,1,b\n1,1,c"\n', 2, not_a_record=1),
}
CSV: Final = Form(OfCsv, GOOD, plain, {**OBJECTS, **_of_lines(), **MORE})
