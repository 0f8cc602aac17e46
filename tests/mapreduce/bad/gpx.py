"""GPX that is bad: as XML, as GPX, and in its points."""

from __future__ import annotations

import gzip
from typing import Final

from tests.jobs.forms import OfGpx
from tests.mapreduce.bad.case import LIMITS, Cases, Form, refused, taken
from tests.mapreduce.bad.packed import bomb

MARK: Final = b"\xef\xbb\xbf"
DECLARED: Final = b'<?xml version="1.0" encoding="%b"?>'


def _point(link: bytes = b"1", speed: bytes = b"1") -> bytes:
    return b"<trkpt><speed>%b</speed><extensions><link>%b</link></extensions></trkpt>" % (
        speed, link,
    )  # fmt: skip


def _track(*points: bytes) -> bytes:
    return b"<gpx><trk><trkseg>" + b"".join(points) + b"</trkseg></trk></gpx>"


def plain(n: int) -> bytes:
    """Write n plain records."""
    return _track(*[_point()] * n)


TWO: Final = plain(2)
WIDE: Final = TWO.decode()
GOOD: Final = {
    "good": _track(_point(b"1", b"50"), _point(b"2", b"51.5"), _point(b"3", b"0")),
    "good marked": MARK
    + DECLARED % b"UTF-8"
    + b"""
 <gpx version="1.1" xmlns="http://www.topografix.com/GPX/1/1" xmlns:x="x"><wpt lat="1" lon="2"/>
 <!-- <trk> --><trk><name>a &lt; b</name><trkseg><trkpt lat="1" lon="2"><x:speed> 7.5 </x:speed>
 <extensions><x:link>12</x:link></extensions></trkpt></trkseg></trk></gpx> """,
    "good packed": gzip.compress(_track(_point(b"2", b"5"), _point(b"4", b"400"))),
}


def _beside(markup: bytes) -> bytes:
    """Put something behind two plain points, within the track."""
    return TWO.replace(b"</trkseg></trk>", b"</trkseg>" + markup + b"</trk>")


def _entities() -> bytes:
    """Ten entities, each of ten of the one before."""
    lines = [b'<!ENTITY a0 "lol">']
    lines += [b'<!ENTITY a%d "%b">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 10)]
    return b"<!DOCTYPE gpx [" + b"".join(lines) + b"]>" + _track(_point(b"&a9;"))


FILES: Final[Cases] = {
    "nothing": refused(b"", "empty"),
    "white space": refused(b" \r\n\t ", "empty"),
    "a mark alone": refused(MARK, "empty"),
    "nothing packed.gz": refused(gzip.compress(b""), "empty"),
    "words": refused(b"none", "unreadable", "line 1"),
    "json": refused(b'{"data":[{"link":1,"v":1}]}', "unreadable", "line 1"),
    "csv": refused(b"link,v\n1,1\n", "unreadable", "line 1"),
    "html": refused(b"<html><body>503</body></html>", "wrong_shape", "<html>"),
    "html as it is": refused(b"<!DOCTYPE html><html><br></html>", "unreadable", "DOCTYPE"),
    "kml": refused(b'<kml xmlns="http://www.opengis.net/kml/2.2"/>', "wrong_shape", "<kml>"),
    "an error of a store": refused(
        b"<Error><Code>NoSuchKey</Code></Error>", "wrong_shape", "<Error>"
    ),
    "GPX in capitals": refused(TWO.replace(b"gpx>", b"GPX>"), "wrong_shape", "<GPX>"),
    "a list of gpx": refused(b"<all>" + TWO + b"</all>", "wrong_shape", "<all>"),
    "cut in a tag": refused(TWO[:25], "unreadable"),
    "cut in a text": refused(TWO[: TWO.index(b"1<") + 1], "unreadable"),
    "cut behind a point": refused(TWO[: TWO.rindex(b"</trkseg>")], "unreadable"),
    "cut before the end": refused(TWO[:-1], "unreadable"),
    "half a letter": refused(TWO[:-6] + b"\xc3", "unreadable"),
    "rubbish behind": refused(TWO + b"x", "unreadable", "junk"),
    "two documents": refused(TWO + TWO, "unreadable", "junk"),
    "NULs behind": refused(TWO + bytes(100), "unreadable"),
    "two marks": refused(MARK * 2 + TWO, "unreadable"),
    "a blank before the declaration": refused(b" " + DECLARED % b"utf-8" + TWO, "unreadable"),
    "tags crossed": refused(TWO.replace(b"</trkseg></trk>", b"</trk></trkseg>"), "unreadable"),
    "a tag not closed": refused(_beside(b"<br>"), "unreadable", "mismatched"),
    "quotes left out": refused(_beside(b"<link href=x/>"), "unreadable", "not well-formed"),
    "a quote left open": refused(_beside(b'<link href="x/>'), "unreadable"),
    "an attribute twice": refused(_beside(b'<a b="1" b="2"/>'), "unreadable", "duplicate"),
    "a name space that is none": refused(_beside(b"<x:a/>"), "unreadable", "prefix"),
    "a comment left open": refused(_beside(b"<!-- "), "unreadable"),
    "an ampersand": refused(_beside(b"<name>a & b</name>"), "unreadable", "not well-formed"),
    "an entity of html": refused(_beside(b"<name>&nbsp;</name>"), "unreadable", "entity"),
    "a NUL": refused(_beside(b"<name>\0</name>"), "unreadable", "not well-formed"),
    "a NUL by number": refused(_beside(b"<name>&#0;</name>"), "unreadable", "reference"),
    "a control character": refused(_beside(b"<name>\x01</name>"), "unreadable", "not well-formed"),
    "zeros": refused(bytes(1000), "unreadable"),
    "noise": refused(bytes(range(128, 256)) * 50, "unreadable"),
    "latin-1 said to be UTF-8": refused(_beside(b"<name>S\xe3o</name>"), "unreadable", "line 1"),
    "UTF-8 said to be UTF-16": refused(DECLARED % b"utf-16" + TWO, "unreadable", "encoding"),
    "an encoding that is none": refused(DECLARED % b"klingon" + TWO, "unreadable", "encoding"),
    "utf-32": refused(WIDE.encode("utf-32"), "unreadable"),
    "a wide encoding": refused(DECLARED % b"shift_jis" + TWO, "unreadable", "encoding"),
    "utf-16": taken(WIDE.encode("utf-16"), 2),
    "latin-1": taken(DECLARED % b"latin1" + _beside(b"<name>S\xe3o</name>"), 2),
    "a document type": refused(b"<!DOCTYPE gpx>" + TWO, "unreadable", "DOCTYPE"),
    "a bomb of entities": refused(_entities(), "unreadable", "DOCTYPE"),
    "an entity of the host": refused(
        b'<!DOCTYPE gpx [<!ENTITY a SYSTEM "file:///etc/hostname">]>' + _track(_point(b"&a;")),
        "unreadable",
        "DOCTYPE",
    ),
    "deep": refused(_beside(b"<a>" * 100_000 + b"</a>" * 100_000), "too_deep", "128"),
    "deep and cut": refused(b"<gpx>" * 100_000, "too_deep"),
    "deep as may be": taken(_beside(b"<a>" * 120 + b"</a>" * 120), 2),
    "a long value": refused(_track(_point(b"7" * 70_000)), "too_large", "65,536"),
    "a long value that nobody wants": taken(_beside(b"<name>" + b"x" * 3_000_000 + b"</name>"), 2),
    "a long attribute": taken(_beside(b'<a b="' + b"x" * 7_500_000 + b'"/>'), 2),
    "a long name": taken(_beside(b"<" + b"x" * 1_000_000 + b"/>"), 2),
    "many attributes": taken(
        _beside(b"<a" + b"".join(b' b%d=""' % n for n in range(9_000)) + b"/>"), 2
    ),
    "more names than are held": refused(
        _beside(b"<a" + b"".join(b' b%d=""' % n for n in range(90_000)) + b"/>"),
        "too_large",
        "names",
    ),
    "many elements": taken(_beside(b"<a/>" * 900_000), 2),
    "many points of nothing": taken(_track(b"<trkpt/>" * 300_000), no_link=300_000),
    "large": taken(TWO + b" " * LIMITS.object_cap_bytes, 2),
    "bomb.gz": refused(lambda: bomb(b" "), "empty"),
    "bomb of a comment.gz": refused(lambda: bomb(b" ", begin=b"<gpx><!--"), "too_large", "comment"),
    "bomb of tags without a name": refused(lambda: bomb(b"<"), "unreadable"),
    "named gz.gz": refused(TWO, "unreadable", "gzip"),
    "cut.gz": refused(gzip.compress(plain(99))[:-9], "unreadable", "ends in the middle"),
    "packed twice.gz": refused(gzip.compress(gzip.compress(TWO)), "unreadable", "twice"),
    "no track": taken(b'<gpx><wpt lat="1" lon="1"><speed>1</speed></wpt></gpx>'),
    "points beside a segment": taken(_beside(_point(b"x")), 2),
    "a route": taken(b"<gpx><rte><rtept><speed>1</speed></rtept></rte></gpx>"),
}

# What a point holds -> why it is dropped; None where it is kept.
POINTS: Final[dict[bytes, str | None]] = {
    b"<trkpt/>": "no_link",
    b"<trkpt><link>1</link><speed>1</speed></trkpt>": "no_link",
    b"<trkpt><extensions><Link>1</Link></extensions><speed>1</speed></trkpt>": "no_link",
    b"<trkpt><extensions><x><link>1</link></x></extensions><speed>1</speed></trkpt>": "no_link",
    b"<trkpt><extensions/><extensions><link>1</link></extensions></trkpt>": "no_speed",
    _point(b""): "no_link",
    _point(b" \n "): "no_link",
    _point(b"<!-- 1 -->"): "no_link",
    _point(b"x"): "bad_link",
    _point(b"1.0"): "bad_link",
    _point(b"1e2"): "bad_link",
    _point(b"1 2"): "bad_link",
    _point(b"1_000"): "bad_link",
    _point(b"+1"): "bad_link",
    _point(b"0x1F"): "bad_link",
    _point(b"true"): "bad_link",
    _point("\uff11".encode()): "bad_link",
    _point(b"&lt;1"): "bad_link",
    _point(b"9223372036854775808"): "bad_link",
    _point(b"7" * 60_000): "bad_link",
    _point(b"1", b""): "no_speed",
    _point(b"1", b"fast"): "bad_speed",
    _point(b"1", b"NaN"): "bad_speed",
    _point(b"1", b"-inf"): "bad_speed",
    _point(b"1", b"1e400"): "bad_speed",
    _point(b"1", b"1,5"): "bad_speed",
    _point(b"1", b"1 m/s"): "bad_speed",
    _point(b"1", b"-0.1"): "speed_out_of_range",
    _point(b"1", b"401"): "speed_out_of_range",
    _point(b"\n 1\t", b" +1.0 "): None,
    _point(b"&#49;", b"<![CDATA[1]]>"): None,
    _point(b"00<!-- -->1", b"<?pi?>1"): None,
    _point(b"7</link><link>1"): None,
}
RECORDS: Final[Cases] = {
    f"point {n:02}": taken(
        _track(_point(), point, _point()), 2 + (why is None), **({why: 1} if why else {})
    )
    for n, (point, why) in enumerate(POINTS.items())
}
GPX: Final = Form(OfGpx, GOOD, plain, {**FILES, **RECORDS})
