"""The commands of docs/data-sets.md, typed as they stand on small samples in each format."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.roadspeed.osm_files import road, write_extract
from tests.roadspeed.rows import as_csv

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = (Path(__file__).parents[2] / "docs" / "data-sets.md").read_text(encoding="utf-8")
SECTIONS = dict(
    re.findall(r"^## ([^\n:]+)[^\n]*\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
)
LAYOUT = "%Y-%m-%dT%H:%M:%SZ"
START = 1_551_428_130
ROADS = [
    road(1, *((n / 1000, 50.0) for n in range(40))),
    road(2, *((0.02, 50.0 + n / 1000) for n in range(10))),
]


def drive(step_s: int = 1, shift: float = 0.0) -> list[dict[str, Any]]:
    """A car on the first road: 10 fixes, some 36 km/h."""
    return [
        {"t": START + n * step_s, "x": round(0.001 + shift + n * step_s * 0.00014, 6), "y": 50.0}
        for n in range(10)
    ]


def stamp(fix: dict[str, Any], layout: str) -> str:
    return datetime.fromtimestamp(fix["t"], UTC).strftime(layout)


def ved(here: Path) -> None:
    rows = [
        {
            "DayNum": 1.5, "VehId": vehicle, "Trip": 706,
            "Timestamp(ms)": (fix["t"] - START) * 1000,
            "Latitude[deg]": fix["y"], "Longitude[deg]": fix["x"], "Vehicle Speed[km/h]": 36.0,
            "MAF[g/sec]": "", "Engine RPM[RPM]": 1500,
        }
        for vehicle, shift in ((8, 0.0), (10, 0.002))
        for fix in drive(shift=shift)
    ]  # fmt: skip
    (here / "VED").mkdir()
    (here / "VED" / "VED_171101_week.csv").write_bytes(as_csv(rows))


def tdrive(here: Path) -> None:
    (here / "tdrive").mkdir()
    for taxi in (1, 2):
        lines = [
            f"{taxi},{stamp(fix, '%Y-%m-%d %H:%M:%S')},{fix['x']},{fix['y']}\n" for fix in drive(20)
        ]
        (here / "tdrive" / f"{taxi}.txt").write_text("".join(lines))


def geolife(here: Path) -> None:
    for person in ("000", "001"):
        folder = here / "Data" / person / "Trajectory"
        folder.mkdir(parents=True)
        head = ["Geolife trajectory", "WGS 84", "Altitude is in Feet", "Reserved 3", "0,2,255", "0"]
        lines = [
            f"{fix['y']},{fix['x']},0,492,39744.1,{stamp(fix, '%Y-%m-%d,%H:%M:%S')}"
            for fix in drive(5)
        ]
        (folder / "20081023025304.plt").write_text("\r\n".join([*head, *lines]) + "\r\n")


def porto(here: Path) -> None:
    rows = [
        {
            "TRIP_ID": f"T{n}", "CALL_TYPE": "C", "ORIGIN_CALL": "", "ORIGIN_STAND": "",
            "TAXI_ID": 20000589, "TIMESTAMP": START, "DAY_TYPE": "A", "MISSING_DATA": False,
            "POLYLINE": json.dumps([[fix["x"], fix["y"]] for fix in drive(15)]),
        }
        for n in range(2)
    ]  # fmt: skip
    (here / "train.csv").write_bytes(as_csv(rows))
    (script,) = re.findall(r"```python\n(.*?)```", SECTIONS["Porto"], re.DOTALL)
    subprocess.run([sys.executable, "-c", script], cwd=here, check=True)


def sumo(here: Path) -> None:
    rows = [
        {
            "timestep_time": fix["t"] - START, "vehicle_angle": 90.0, "vehicle_id": f"f.{car}",
            "vehicle_lane": f":J{car}_0_0", "vehicle_pos": 5.1, "vehicle_speed": 10.0,
            "vehicle_type": "DEFAULT", "vehicle_x": 1.0, "vehicle_y": 2.0,
        }
        for car in range(2)
        for fix in drive()
    ]  # fmt: skip
    rows.append(dict.fromkeys(rows[0], ""))  # a time step without a vehicle
    (here / "fcd.csv").write_bytes(as_csv(rows, ";"))


def traccar(here: Path) -> None:
    (here / "traccar").mkdir()
    found = [
        {
            "id": n, "deviceId": device, "fixTime": stamp(fix, "%Y-%m-%dT%H:%M:%S.000+00:00"),
            "latitude": fix["y"], "longitude": fix["x"], "speed": 19.44, "attributes": {"x": [1]},
        }
        for device in (1, 2)
        for n, fix in enumerate(drive())
    ]  # fmt: skip
    (here / "traccar" / "route.json").write_text(json.dumps(found))


def owntracks(here: Path) -> None:
    (here / "owntracks").mkdir()
    for user in ("ann", "bob"):
        found = [
            {"_type": "location", "tst": f["t"], "lat": f["y"], "lon": f["x"], "vel": 36, "acc": 5}
            for f in drive()
        ]
        answer = {"count": len(found), "data": found, "status": 200, "version": "0.9"}
        (here / "owntracks" / f"{user}.json").write_text(json.dumps(answer))


def gpx(here: Path) -> None:
    (here / "tracks").mkdir()
    for name in ("a", "b"):
        points = "".join(
            f'<trkpt lat="{f["y"]}" lon="{f["x"]}"><time>{stamp(f, LAYOUT)}</time></trkpt>'
            for f in drive()
        )
        track = f"<trk><trkseg>{points}</trkseg></trk>"
        text = f'<gpx xmlns="http://www.topografix.com/GPX/1/1">{track}</gpx>'
        (here / "tracks" / f"{name}.gpx").write_text(text)


SAMPLES: dict[str, tuple[Callable[[Path], None], int]] = {
    "VED": (ved, 20),
    "T-Drive": (tdrive, 18),
    "GeoLife": (geolife, 18),
    "Porto": (porto, 18),
    "SUMO": (sumo, 20),
    "Traccar": (traccar, 20),
    "OwnTracks": (owntracks, 20),
    "GPX": (gpx, 18),
}


def test_every_section_is_tried() -> None:
    assert set(SECTIONS) == set(SAMPLES)


@pytest.mark.parametrize("name", SAMPLES)
def test_the_command_of_the_page_gives_speeds(name: str, tmp_path: Path) -> None:
    make, fixes = SAMPLES[name]
    make(tmp_path)
    command = re.findall(r"```sh\n(.*?)```", SECTIONS[name], re.DOTALL)[-1]
    for extract in set(re.findall(r"\S+\.osm\.pbf", command)):
        write_extract(tmp_path / extract, ROADS)
    script = f'roadspeed() {{ "{sys.executable}" -m roadspeed.cli "$@" --no-map; }}\n{command}'
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        ["sh", "-e", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False,
        timeout=100, env=environ,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    out = tmp_path / re.findall(r"--out (\S+)", command)[-1]
    receipt = json.loads((out / "receipt.json").read_bytes())
    assert receipt["records"]["kept"] == fixes, receipt["records"]
    with (out / "speeds.csv").open(newline="", encoding="utf-8") as file:
        speeds = [float(row["avg(absVelocity)"]) for row in csv.DictReader(file, delimiter=";")]
    expected = {"m/s": 10.0, "knots": 19.44}.get(receipt["speeds"]["unit"], 36.0)
    assert speeds
    assert all(abs(speed - expected) < 0.6 for speed in speeds)
