"""GPX: points as records, against the standard library's tree; what is none is refused."""

from __future__ import annotations

import gzip
import io
import json
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mapreduce as mr
from mapreduce.attempts import attempt, combiner
from mapreduce.errors import JobError, ObjectError
from mapreduce.formats.gpx import PIECE_BYTES
from mapreduce.formats.gpx_points import MAX_MARKUP, MAX_NAMES
from mapreduce.formats.parsed import Parsed, joined
from mapreduce.tables import encoding
from tests.jobs.points import Points
from tests.mapreduce.readings import columns
from tests.mapreduce.test_attempt import done

if TYPE_CHECKING:
    from pathlib import Path

FORM = mr.Gpx(
    lat=mr.Float("@lat", low=-90, high=90),
    lon=mr.Float("@lon"),
    time=mr.Time("time", optional=True),
    speed=mr.Float("extensions.TrackPointExtension.speed", optional=True),
    name=mr.Text("name", width=16, optional=True),
    track=mr.Int("#track"),
    segment=mr.Int("#segment"),
)
MAX_PEAK_BYTES = 128 << 20  # of a whole slot; a million points held at once take 288 MiB, or more
REAL = """<?xml version="1.0" encoding="UTF-8"?>
<gpx version="1.1" creator="a" xmlns="http://www.topografix.com/GPX/1/1"
 xmlns:gpxtpx="http://www.garmin.com/xmlschemas/TrackPointExtension/v2">
 <wpt lat="1" lon="2"><name>no record</name></wpt>
 <rte><rtept lat="1" lon="2"/></rte>
 <trk><name>one</name><trkseg>
  <trkpt lat="-25.5" lon="-49.25"><ele>900.5</ele><time>2019-03-01T08:15:30Z</time>
   <extensions><gpxtpx:TrackPointExtension><gpxtpx:speed> 12.5 </gpxtpx:speed>
   <gpxtpx:course>3</gpxtpx:course></gpxtpx:TrackPointExtension></extensions></trkpt>
  <trkpt lat="-25.6" lon="-49.26"><name>caf&#233; &amp; &lt;</name></trkpt>
 </trkseg><trkseg><trkpt lon="7" lat="8"><time></time><name/></trkpt></trkseg></trk>
 <trk><trkseg/><trkseg><trkpt lat="9" lon="10"/></trkseg></trk>
</gpx>
"""
BAD_TRACK = '<trkseg><trkpt lat="x" lon="1"/><trkpt lon="1"/></trkseg>'
OLD = """<gpx version="1.0" xmlns="http://www.topografix.com/GPX/1/0"><trk><trkseg>
<trkpt lat="1" lon="2"><time>2019-03-01T08:15:30Z</time><speed>3.5</speed></trkpt>
</trkseg></trk></gpx>"""


def read(form: mr.Gpx, document: bytes, piece_bytes: int = PIECE_BYTES) -> Parsed:
    """Read a document in pieces of so many bytes; give its records as one."""
    return joined([*form.batches(io.BytesIO(document).read, piece_bytes)], form.fields)


def account(parsed: Parsed) -> dict[str, Any]:
    """Give all that was read, whatever the batches it came in."""
    found = columns(parsed)
    masks = {name: mask for name, mask in found["present"].items() if not all(mask)}
    return {**found, "present": masks, "samples": sorted(found["samples"])}


def refusal(document: str | bytes, piece_bytes: int = PIECE_BYTES) -> tuple[str, str]:
    raw = document.encode() if isinstance(document, str) else document
    with pytest.raises(ObjectError) as caught:
        read(FORM, raw, piece_bytes)
    return caught.value.reason, str(caught.value)


def track(*points: str) -> bytes:
    return f"<gpx><trk><trkseg>{''.join(points)}</trkseg></trk></gpx>".encode()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1"])
def test_points_of_tracks_are_records(encoding: str) -> None:
    document = REAL.replace("UTF-8", encoding).encode(encoding)
    parsed = read(FORM, document)
    assert parsed.columns["lat"].tolist() == [-25.5, -25.6, 8.0, 9.0]
    assert parsed.columns["lon"].tolist() == [-49.25, -49.26, 7.0, 10.0]
    assert parsed.columns["track"].tolist() == [0, 0, 0, 1]
    assert parsed.columns["segment"].tolist() == [0, 0, 1, 1]
    assert parsed.columns["speed"][0] == 12.5
    assert parsed.columns["name"].tolist() == [b"", "café & <".encode(), b"", b""]
    assert parsed.present["time"].tolist() == [True, False, False, False]
    assert parsed.columns["time"][0] == 1_551_428_130_000_000
    assert parsed.present["speed"].tolist() == [True, False, False, False]


def test_gpx_1_0_has_speed_beside_the_time() -> None:
    form = mr.Gpx(speed=mr.Float("speed"), time=mr.Time("time"))
    assert read(form, OLD.encode()).columns["speed"].tolist() == [3.5]
    assert read(form, REAL.encode()).dropped == {"no_speed": 4}


def test_bad_values_cost_their_record_and_are_shown() -> None:
    document = track(
        '<trkpt lat="1" lon="2"/>',
        '<trkpt lat="91" lon="2"/>',
        '<trkpt lon="2"/>',
        '<trkpt lat="x" lon="2"/>',
        '<trkpt lat="NaN" lon="2"/>',
        '<trkpt lat="1e999" lon="2"/>',
        '<trkpt lat=" +1.5 " lon="2"/>',
        '<trkpt lat="0x1" lon="2"/>',
        '<trkpt lat="1" lon="2"><time>noon</time></trkpt>',
        '<trkpt lat="1" lon="2"><name>seventeen-bytes-!</name></trkpt>',
    )
    parsed = read(FORM, document)
    assert parsed.columns["lat"].tolist() == [1.0, 1.5]
    assert parsed.dropped == {
        "lat_out_of_range": 1, "no_lat": 1, "bad_lat": 4, "bad_time": 1, "bad_name": 1,
    }  # fmt: skip
    shown = {reason: value for reason, place, value in parsed.samples if place in (3, 8, 9)}
    assert shown == {"bad_lat": '"x"', "bad_time": '"noon"', "bad_name": '"seventeen-bytes-!"'}
    assert parsed.read == 10


def test_all_text_within_an_element_is_its_value() -> None:
    document = track(
        "<trkpt lat='1' lon='2'><name>a<b>c</b><![CDATA[<d>]]><!-- x -->e</name></trkpt>"
    )
    assert read(FORM, document).columns["name"].tolist() == [b"ac<d>e"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1"])
def test_pieces_cut_anywhere_give_the_same_records(encoding: str) -> None:
    text = REAL.replace("UTF-8", encoding).replace("</trk>", "</trk><trk/>", 1)
    document = text.replace("</trk>\n</gpx>", f"{BAD_TRACK}</trk></gpx>").encode(encoding)
    whole = account(read(FORM, document))
    assert whole["read"] == 6
    assert whole["dropped"] == {"bad_lat": 1, "no_lat": 1}
    for piece_bytes in range(1, len(document)):
        assert account(read(FORM, document, piece_bytes)) == whole


texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=9)
points = st.lists(
    st.fixed_dictionaries(
        {"lat": texts, "lon": st.floats(-180, 180).map(repr)},
        optional={"name": texts, "other": texts, "time": st.sampled_from(["2019", "x"])},
    ),
    max_size=6,
)


@given(points, st.integers(1, 999))
def test_what_is_read_is_what_the_tree_holds(found: list[dict[str, str]], piece_bytes: int) -> None:
    root = ET.Element("{http://www.topografix.com/GPX/1/1}gpx")
    segment = ET.SubElement(ET.SubElement(root, root.tag[:-3] + "trk"), root.tag[:-3] + "trkseg")
    for point in found:
        at = {k: point[k] for k in ("lat", "lon")}
        one = ET.SubElement(segment, root.tag[:-3] + "trkpt", at)
        for tag in ("name", "other", "time"):
            if tag in point:
                ET.SubElement(one, root.tag[:-3] + tag).text = point[tag]
    as_json = [
        {
            "lat": point["lat"].strip() or None,
            "lon": float(point["lon"]),
            "name": point.get("name", "").strip() or None,
        }
        for point in found
    ]
    lon, name = mr.Float, mr.Text("name", 40, optional=True)
    form = mr.Gpx(lat=mr.Text("@lat", 40), lon=lon("@lon"), name=name)
    got = read(form, ET.tostring(root), piece_bytes)
    same = mr.Json(at="", lat=mr.Text("lat", 40), lon=lon("lon"), name=name)
    assert account(got) == account(same.parse(json.dumps(as_json).encode()))


numbers = st.lists(
    st.none()
    | st.sampled_from(
        ["", " 1 ", "+.5", "5.", "1e5", "-1E-5", "1_0", "nan", "inf", "1e999", "\u0661", "1 2"]
    )
    | st.floats().map(repr)
    | st.text("0123456789+-.eE \t\n", max_size=5),
    max_size=6,
)


@given(numbers)
def test_numbers_read_at_once_are_those_read_one_by_one(found: list[str | None]) -> None:
    form = mr.Gpx(x=mr.Float("@x"), y=mr.Float("y", low=0, optional=True))
    odd = "<trkpt x='?' ><y>?</y></trkpt>"  # with one such all are read one by one
    points = [
        "<trkpt/>" if text is None else f"<trkpt x='{text}'><y>{text}</y></trkpt>" for text in found
    ]
    at_once, alone = (read(form, track(*points, *more)) for more in ((), [odd]))
    by_itself = [read(form, track(point, odd)) for point in points]
    assert at_once.columns["x"].tolist() == alone.columns["x"].tolist()
    assert at_once.columns["x"].tolist() == [x for one in by_itself for x in one.columns["x"]]
    assert at_once.rows.tolist() == [n for n, one in enumerate(by_itself) if len(one.rows)]
    assert alone.read == at_once.read + 1


BOMB = "<!DOCTYPE gpx [<!ENTITY a '" + "a" * 999 + "'>]><gpx>" + "&a;" * 9 + "</gpx>"
NO_GPX: list[tuple[str | bytes, str]] = [
    ("", "empty"),
    (" \n", "empty"),
    ("words", "unreadable"),
    ("{}", "unreadable"),
    ("<gpx>", "unreadable"),
    ("<gpx></gpx><gpx/>", "unreadable"),
    ("<gpx></gpx>\0", "unreadable"),
    ("<gpx><trk></gpx>", "unreadable"),
    ("<gpx><trk a=1/></gpx>", "unreadable"),
    ("<gpx>&amp</gpx>", "unreadable"),
    ("<gpx>&other;</gpx>", "unreadable"),
    ("<gpx><a b='1' b='2'/></gpx>", "unreadable"),
    ("<gpx><x:a/></gpx>", "unreadable"),
    (BOMB, "unreadable"),
    ("<!DOCTYPE gpx SYSTEM 'file:///etc/passwd'><gpx/>", "unreadable"),
    ("<!DOCTYPE gpx PUBLIC '-//x' 'http://127.0.0.1:1/x.dtd'><gpx/>", "unreadable"),
    (b"<gpx>\xff</gpx>", "unreadable"),
    ("<?xml version='1.0' encoding='nonsense'?><gpx/>", "unreadable"),
    ("<kml/>", "wrong_shape"),
    ("<html><body/></html>", "wrong_shape"),
    ("<gpx>" + "<a>" * 200 + "</a>" * 200 + "</gpx>", "too_deep"),
    (track(f'<trkpt lat="1" lon="2"><name>{"n" * 70_000}</name></trkpt>'), "too_large"),
    (f"<gpx><trk><trkseg><trkpt><name>{'n' * 70_000}", "too_large"),
    (REAL[: len(REAL) // 2], "unreadable"),
]


@pytest.mark.parametrize(("document", "reason"), NO_GPX)
def test_what_is_no_gpx_is_refused(document: str | bytes, reason: str) -> None:
    assert refusal(document)[0] == reason
    assert refusal(document, piece_bytes=101)[0] == reason


@pytest.mark.parametrize("odd", ["<trk a='{}'/>", "<!--{}-->", "<?a {}?>", "<trk {}='1'/>"])
def test_markup_that_would_be_read_again_and_again_is_refused(odd: str) -> None:
    long = "x" * (MAX_MARKUP + (4 << 20))
    reason, told = refusal(f"<gpx>{odd.format(long)}</gpx>")
    assert (reason, "a tag or comment of over 8,388,608 bytes" in told) == ("too_large", True)


NAMES = {
    "elements": "<e{0}/>",
    "attributes": "<e a{0}=''/>",
    "prefixes": "<e xmlns:p{0}='u'/>",
    "namespaces": "<e xmlns='u{0}'/>",
    "names at many places": f"{'<e{0}>' * 99}<f/>{'</e{0}>' * 99}",
}


@pytest.mark.parametrize("kind", NAMES)
def test_names_that_would_all_be_held_are_refused(kind: str) -> None:
    many = (MAX_NAMES + 1) // max(1, NAMES[kind].count("<e")) + 1
    told = f"over {MAX_NAMES:,} names of elements and attributes"
    for n in (many // 4, many):
        document = f"<gpx>{''.join(map(NAMES[kind].format, range(n)))}</gpx>"
        if n < many:
            assert read(FORM, document.encode()).read == 0
        else:
            assert refusal(document) == ("too_large", f"too_large: {told}")


def test_long_text_between_tags_is_no_markup() -> None:
    assert read(FORM, f"<gpx>{' ' * (MAX_MARKUP + (4 << 20))}</gpx>".encode()).read == 0


@pytest.mark.parametrize("inner", ["", "<trk/>", "<trk><trkseg/></trk>"])
def test_no_points_are_no_records(inner: str) -> None:
    assert read(FORM, f"<gpx>{inner}</gpx>".encode()).read == 0


def test_points_elsewhere_are_no_records() -> None:
    document = "<gpx><trkpt lat='1' lon='2'/><trk><trkpt lat='1' lon='2'/></trk><x><trk><trkseg>"
    document += "<trkpt lat='1' lon='2'/></trkseg></trk></x></gpx>"
    assert read(FORM, document.encode()).read == 0


@pytest.mark.parametrize("path", ["#other", "#", "@lat.more", "a..b", "time.x"])
def test_a_path_that_cannot_be_is_refused(path: str) -> None:
    with pytest.raises(JobError):
        mr.Gpx(x=mr.Text(path), time=mr.Time("time"))


def test_the_place_of_a_fault_is_told() -> None:
    said = refusal("<gpx>\n<trk>\n</gpx>")[1]
    assert "line 3, column 2" in said


def test_good_files_beside_bad_ones_count() -> None:
    good = {f"{n}.gpx": track(*[f'<trkpt lat="{n}" lon="2"/>'] * (n + 1)) for n in range(4)}
    raw = [d.encode() if isinstance(d, str) else d for d, why in NO_GPX if why != "too_large"]
    bad = {f"bad{n}.gpx": document for n, document in enumerate(raw)}
    alone = mr.run(Points(), mr.Memory(good), workers=1)
    got = mr.run(Points(), mr.Memory({**good, **bad}), workers=2)
    assert got.digest == alone.digest
    assert len(got.ledger.quarantined) == len(bad)
    assert got.ledger.read == got.ledger.kept == 10


LONG = track(*(f'<trkpt lat="{n % 7}" lon="2"/>' for n in range(100_000)))


def test_a_file_of_many_batches_is_one_file() -> None:
    assert len(LONG) > 2 * PIECE_BYTES
    got = mr.run(Points(), mr.Memory({"a": LONG, "b": LONG, "c": track("<trkpt lat='1'/>")}))
    assert got.rows["n"].sum() == got.ledger.kept == 200_001
    assert got.rows["files"].tolist() == [2, 3, 2, 2, 2, 2, 2]
    assert got.receipt["objects"]["ok"] == 3


@pytest.mark.parametrize("rows_held", [1, 1 << 18])
def test_a_file_that_breaks_at_its_end_leaves_no_trace(
    rows_held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (attempt, combiner):
        monkeypatch.setattr(module, "ROWS_HELD", rows_held)
    broken = {"cut.gpx": LONG[:-1], "more.gpx.gz": gzip.compress(LONG + b"<more/>")}
    good = {"a.gpx": track("<trkpt lat='1'/>"), "z.gpx": LONG}
    whole, ledger = done(Points(), broken | good)
    alone, of_good = done(Points(), good)
    assert encoding.digest(whole) == encoding.digest(alone)
    assert [(q.key, q.reason) for q in ledger.quarantined] == [
        ("cut.gpx", "unreadable"), ("more.gpx.gz", "unreadable")
    ]  # fmt: skip
    assert (ledger.ok, ledger.read, ledger.kept) == (2, of_good.read, of_good.kept)


def test_a_million_points_take_the_memory_of_a_few(tmp_path: Path) -> None:
    head, _, tail = track("?").partition(b"?")
    point = '<trkpt lat="{}" lon="7.25"><ele>900.5</ele><time>2019-03-01T08:15:30Z</time></trkpt>\n'
    block = gzip.compress("".join(point.format(n % 9) for n in range(10_000)).encode())
    with (tmp_path / "a.gpx.gz").open("wb") as file:  # members of gzip, one after the other
        file.write(gzip.compress(head))
        for _ in range(100):
            file.write(block)
        file.write(gzip.compress(tail))
    got = mr.run(Points(), tmp_path, workers=1)
    assert got.ledger.kept == 1_000_000
    assert got.receipt["work"]["worker_peak_bytes"] < MAX_PEAK_BYTES
