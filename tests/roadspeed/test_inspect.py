"""What `inspect` says of trips: the fields, the command, and what would hinder a run."""

from __future__ import annotations

import itertools
import json
import shlex
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from mapreduce.engines.local import Local
from mapreduce.errors import JobError
from mapreduce.objects.memory import Memory
from mapreduce.runs.driver import run
from roadspeed.cli import app
from roadspeed.inspect.advice import told
from roadspeed.inspect.inspect import inspected
from roadspeed.speeds import Speeds

if TYPE_CHECKING:
    from pathlib import Path


def looked(folder: Path, **documents: Any) -> str:
    folder.mkdir(exist_ok=True)
    for name, document in documents.items():
        text = document if isinstance(document, str) else json.dumps(document)
        (folder / f"{name}.json").write_text(text)
    return told(inspected(str(folder)), str(folder))


def options_of(said: str) -> dict[str, str]:
    return dict(itertools.pairwise(shlex.split(said.rpartition("\n")[2])))


def test_keys_with_dots_are_shown_as_they_are_typed_and_can_be(tmp_path: Path) -> None:
    records = [{"dbResponse.linkID": 7, "obd": {"a.speed": v}} for v in (30.0, 50.0)]
    said = looked(tmp_path / "dots", a=records)
    assert r"link id at dbResponse\.linkID, speed at obd.a\.speed" in said
    options = options_of(said)
    job = Speeds(records_at="", link=options["--link"], speed=options["--speed"])
    result = run(job, tmp_path / "dots", engine=Local(1))
    assert (result.rows["link"].tolist(), result.rows["mean"].tolist()) == ([7], [40.0])
    deep = looked(tmp_path / "deep", a={"v1.0": {"x.y": [{"link_id": 7, "speed": 1}]}})
    assert options_of(deep)["--records-at"] == r"v1\.0.x\.y"


def test_nan_is_told_with_its_fields_and_the_option(tmp_path: Path) -> None:
    fixes: list[dict[str, Any]] = [
        {"wayId": 1, "kph": 30.0, "alt": alt} for alt in (1.0, float("nan"), float("-inf"))
    ]
    fixes.append({"wayId": 1, "kph": float("nan"), "list": [1, float("inf")]})
    said = looked(tmp_path, a={"fixes": fixes})
    assert "1 NaN" in said
    assert "1 -Infinity, 1 NaN" in said
    assert "3 of these records hold NaN or Infinity, which is no JSON (kph, alt)" in said
    assert "1 hold it at kph, which is used: they are dropped in any case" in said
    assert said.endswith("--allow-nan --out OUT --roads ROADS")
    beside = looked(tmp_path / "beside", a='{"mean": NaN, "data": [{"way_id": 1, "speed": 3}]}')
    assert (
        "Without --allow-nan, objects with NaN or Infinity outside their records are quarantined"
        in beside
    )
    assert said.count("could not be read") == beside.count("could not be read") == 0


def test_another_field_that_may_be_the_speed_is_named(tmp_path: Path) -> None:
    fix = {"edge_id": 5, "gps_speed": 30, "obd_speed": 31, "speed_limit": 50}
    said = looked(tmp_path, a={"data": [fix] * 3})
    assert "Other candidates for speed: gps_speed. Choose with --speed." in said
    assert "speed_limit" not in said.partition("Likely")[2]


@pytest.mark.parametrize(
    ("time", "says"),
    [
        ("2019-08-26T22:17:27Z", "Times at t: --by hour --timezone ZONE --time t also"),
        (1566857847, "Times at t: --by hour --timezone ZONE --time t --time-epoch s also"),
        ("soon", ""),
    ],
)
def test_times_are_found_and_what_they_are_good_for(
    tmp_path: Path, time: object, says: str
) -> None:
    said = looked(tmp_path, a={"data": [{"edge_id": 5, "speed": 30, "time": time}] * 3})
    assert says.replace(" t ", " time ").replace("at t:", "at time:") in said
    assert ("Times at" in said) == bool(says)


def test_a_speed_of_minus_one_where_there_is_none_is_a_speed(tmp_path: Path) -> None:
    fixes = [{"edge_id": 5, "speed": v} for v in (-1, 30, 40, -1, 50)]
    said = looked(tmp_path, a={"data": fixes})
    assert "speed at speed (up to 50;" in said
    assert "2 values of speed are negative (from -1): a run drops such fixes" in said


def test_roads_beside_trips_are_told_and_left_out(tmp_path: Path) -> None:
    line = {"type": "LineString", "coordinates": [[0, 0], [1, 1]]}
    roads = {
        "type": "FeatureCollection",
        "features": [
            {"type": "Feature", "geometry": line, "properties": {"road_id": n, "speed": 1}}
            for n in range(50)
        ],
    }
    said = looked(tmp_path / "both", roads=roads, trip={"data": [{"edge_id": 5, "speed": 3}] * 2})
    assert "link id at edge_id, speed at speed" in said
    assert "--exclude roads.json" in said
    alone = looked(tmp_path / "alone", roads=roads)
    assert alone.endswith("These are roads: use the trips as SOURCE, and this file with --roads.")


@pytest.mark.parametrize("head", ["", '<?xml version="1.0"?>', "<!-- a\n -->\n"])
def test_gpx_is_known_by_its_first_element(head: str, tmp_path: Path) -> None:
    points = '<trkpt lat="1" lon="2"><time>2019-01-01T00:00:00Z</time></trkpt>' * 100
    track = f"{head}<gpx><trk><trkseg>{points}</trkseg></trk></gpx>"
    (tmp_path / "a.gpx").write_text(track)
    assert "100 records of gpx" in told(inspected(str(tmp_path)), str(tmp_path))


def test_points_of_gpx_far_apart_are_found(tmp_path: Path) -> None:
    far = f"<!--{' ' * 50_000}-->"
    points = f'{far}<trkpt lat="1" lon="2"><time>2019-01-01T00:00:00Z</time></trkpt>' * 60
    (tmp_path / "a.gpx").write_text(f"<gpx><trk><trkseg>{points}</trkseg></trk></gpx>")
    assert "60 records of gpx" in told(inspected(str(tmp_path)), str(tmp_path))


def test_where_no_file_can_be_read_it_fails(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("<html>")
    done = CliRunner().invoke(app, ["inspect", str(tmp_path)])
    assert (done.exit_code, done.output.count("could not be read")) == (1, 1)
    (tmp_path / "b.json").write_text('{"data": [{"edge_id": 5, "speed": 3}]}')
    assert CliRunner().invoke(app, ["inspect", str(tmp_path)]).exit_code == 0


def test_integers_of_any_length_are_looked_at(tmp_path: Path) -> None:
    for digits in (19, 20, 400, 5_000):
        fix = f'{{"edge_id": 5, "speed": 3, "x": {"9" * digits}, "max_speed": -{"9" * digits}}}'
        said = looked(tmp_path / str(digits), a=f'{{"data": [{fix}]}}')
        assert "link id at edge_id, speed at speed" in said


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"linkID": [1, 2]}, "contains no JSON objects"),
        ({"linkID": {"0": 1}}, "in pandas: orient='records'"),
        ({"data": [{"gps": [{"wayId": 1}]}]}, "also 1 records at 'data[].gps'"),
        ([{"linkID": {"N": "1"}, "speed": {"N": "3,1"}}], "speed.N holds speeds as text"),
        ([{"linkID": 1.5, "speed": 3}], "linkID is named like a link id, but holds 1.5"),
        ([{"linkID": "x" * 65, "speed": 3}], "linkID is named like a link id, but holds xxx"),
        ('{"linkID": 1}{"linkID": 2}', "several documents in one object?"),
        ([{"linkID": 1, "speed": "3,5"}], "speed holds speeds as text, such as 3,5"),
        ([{'link"id': 1, "speed": 3}], 'link"id'),
    ],
)
def test_what_a_run_cannot_read_is_told_with_what_to_do(
    tmp_path: Path, document: Any, words: str
) -> None:
    said = looked(tmp_path, a=document)
    assert words in said
    assert "Likely:" not in said


def test_objects_and_numbers_mixed_at_the_likely_link_are_told(tmp_path: Path) -> None:
    records = [{"linkID": 1, "speed": 3}] * 3 + [{"linkID": {"$numberLong": "4"}, "speed": 3}]
    assert "linkID is an object in some records: a run drops these." in looked(tmp_path, a=records)


def test_the_example_of_a_hopeless_run_is_of_the_reason_it_names(tmp_path: Path) -> None:
    good = {"dbResponse": {"linkID": "x"}, "absVelocity": 3}
    source = Memory({"a": json.dumps({"data": [good, {}, {}, {}]}).encode()})
    with pytest.raises(JobError, match=r"3 no_link, 1 bad_link\)") as caught:
        run(Speeds(), source, engine=Local(1), folder=tmp_path, keep_journal=True)
    said = str(caught.value)
    assert "First: record 1 of a: no_link." in said
    assert 'First: record 0 of a: bad_link, "x".' in said


def test_the_command_reaches_the_source_as_inspect_did(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("link,speed\n1,30\n2,40\n")
    typed = [str(tmp_path), "--endpoint", "http://127.0.0.1:1", "--requester-pays"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_REQUEST_PAYER", "")  # put back at the end
        said = CliRunner().invoke(app, ["inspect", *typed])
    assert said.exit_code == 0
    command = said.output.splitlines()[-1]
    assert f"roadspeed run {tmp_path} --endpoint http://127.0.0.1:1 --requester-pays -" in command
