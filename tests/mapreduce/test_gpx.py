"""GPX: points as records, against the standard library's tree; what is none is refused."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mapreduce as mr
from mapreduce.errors import JobError, ObjectError
from mapreduce.formats import salvage
from mapreduce.formats.gpx import MAX_MARKUP
from tests.mapreduce.readings import columns

FORM = mr.Gpx(
    lat=mr.Float("@lat", low=-90, high=90),
    lon=mr.Float("@lon"),
    time=mr.Time("time", optional=True),
    speed=mr.Float("extensions.TrackPointExtension.speed", optional=True),
    name=mr.Text("name", width=16, optional=True),
    track=mr.Int("#track"),
    segment=mr.Int("#segment"),
)
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
OLD = """<gpx version="1.0" xmlns="http://www.topografix.com/GPX/1/0"><trk><trkseg>
<trkpt lat="1" lon="2"><time>2019-03-01T08:15:30Z</time><speed>3.5</speed></trkpt>
</trkseg></trk></gpx>"""


def refusal(document: str | bytes) -> tuple[str, str]:
    raw = document.encode() if isinstance(document, str) else document
    with pytest.raises(ObjectError) as caught:
        FORM.parse(raw)
    return caught.value.reason, str(caught.value)


def track(*points: str) -> bytes:
    return f"<gpx><trk><trkseg>{''.join(points)}</trkseg></trk></gpx>".encode()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1"])
def test_points_of_tracks_are_records(encoding: str) -> None:
    document = REAL.replace("UTF-8", encoding).encode(encoding)
    parsed = FORM.parse(document)
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
    assert form.parse(OLD.encode()).columns["speed"].tolist() == [3.5]
    assert form.parse(REAL.encode()).dropped == {"no_speed": 4}


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
    parsed = FORM.parse(document)
    assert parsed.columns["lat"].tolist() == [1.0, 1.5]
    assert parsed.dropped == {
        "lat_out_of_range": 1, "no_lat": 1, "bad_lat": 4, "bad_time": 1, "bad_name": 1,
    }  # fmt: skip
    shown = {reason: value for reason, place, value in parsed.samples if place in (3, 8, 9)}
    assert shown == {"bad_lat": '"x"', "bad_time": '"noon"', "bad_name": '"seventeen-bytes-!"'}
    assert parsed.read == 10


texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=9)
points = st.lists(
    st.fixed_dictionaries(
        {"lat": texts, "lon": st.floats(-180, 180).map(repr)},
        optional={"name": texts, "other": texts, "time": st.sampled_from(["2019", "x"])},
    ),
    max_size=6,
)


@given(points)
def test_what_is_read_is_what_the_tree_holds(found: list[dict[str, str]]) -> None:
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
    got = mr.Gpx(lat=mr.Text("@lat", 40), lon=lon("@lon"), name=name).parse(ET.tostring(root))
    same = mr.Json(at="", lat=mr.Text("lat", 40), lon=lon("lon"), name=name)
    assert columns(got) == columns(same.parse(json.dumps(as_json).encode()))


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
    (REAL[: len(REAL) // 2], "unreadable"),
]


@pytest.mark.parametrize(("document", "reason"), NO_GPX)
def test_what_is_no_gpx_is_refused(document: str | bytes, reason: str) -> None:
    assert refusal(document)[0] == reason


@pytest.mark.parametrize("odd", ["<trk a='{}'/>", "<!--{}-->", "<?a {}?>", "<trk {}='1'/>"])
def test_markup_that_would_be_read_again_and_again_is_refused(odd: str) -> None:
    long = "x" * (MAX_MARKUP + (4 << 20))
    reason, told = refusal(f"<gpx>{odd.format(long)}</gpx>")
    assert (reason, "a tag or comment of over 8,388,608 bytes" in told) == ("too_large", True)


def test_long_text_between_tags_is_no_markup() -> None:
    assert FORM.parse(f"<gpx>{' ' * (MAX_MARKUP + (4 << 20))}</gpx>".encode()).read == 0


@pytest.mark.parametrize("inner", ["", "<trk/>", "<trk><trkseg/></trk>"])
def test_no_points_are_no_records(inner: str) -> None:
    assert FORM.parse(f"<gpx>{inner}</gpx>".encode()).read == 0


def test_points_elsewhere_are_no_records() -> None:
    document = "<gpx><trkpt lat='1' lon='2'/><trk><trkpt lat='1' lon='2'/></trk><x><trk><trkseg>"
    document += "<trkpt lat='1' lon='2'/></trkseg></trk></x></gpx>"
    assert FORM.parse(document.encode()).read == 0


def test_more_points_than_memory_should_hold_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(salvage, "MAX_RECORDS", 3)
    assert refusal(track(*['<trkpt lat="1" lon="2"/>'] * 4))[0] == "too_large"


@pytest.mark.parametrize("path", ["#other", "#", "@lat.more", "a..b"])
def test_a_path_that_cannot_be_is_refused(path: str) -> None:
    with pytest.raises(JobError):
        mr.Gpx(x=mr.Text(path))


def test_the_place_of_a_fault_is_told() -> None:
    said = refusal("<gpx>\n<trk>\n</gpx>")[1]
    assert "line 3, column 2" in said


def test_good_files_beside_bad_ones_count() -> None:
    from tests.jobs.points import Points  # noqa: PLC0415 - a job's file

    good = {f"{n}.gpx": track(*[f'<trkpt lat="{n}" lon="2"/>'] * (n + 1)) for n in range(4)}
    raw = [d.encode() if isinstance(d, str) else d for d, why in NO_GPX if why != "too_large"]
    bad = {f"bad{n}.gpx": document for n, document in enumerate(raw)}
    alone = mr.run(Points(), mr.Memory(good), workers=1)
    got = mr.run(Points(), mr.Memory({**good, **bad}), workers=2)
    assert got.digest == alone.digest
    assert len(got.ledger.quarantined) == len(bad)
    assert got.ledger.read == got.ledger.kept == 10
