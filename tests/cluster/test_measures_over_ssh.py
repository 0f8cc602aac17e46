"""Measures on hosts: the rules of a zone and the lines of links come as side inputs; one digest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from roadspeed.town import make_town
from tests.cluster.shelves import enrolled_shelf
from tests.cluster.test_command_lines import over, receipt, typed

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.timeout(240), pytest.mark.xdist_group("shelf")]


def test_hours_and_directions_are_the_same_here_and_on_hosts(tmp_path: Path) -> None:
    made = make_town(tmp_path / "town", 8)
    words = (
        "run", made.trips, "--roads", made.roads, "--no-map", "--timezone", "Australia/Lord_Howe",
        "--by", "hour,direction-week-hour,date", "--heading", "angle", "--trip-ends", 100,
        "--speed-limit", "dbResponse.speedLimit",
    )  # fmt: skip
    here, there = tmp_path / "here", tmp_path / "ssh"
    typed(*words, "--out", here, program="roadspeed.cli")
    with enrolled_shelf(2) as (hosts, _):
        typed(*words, "--out", there, *over(hosts), program="roadspeed.cli")
    assert receipt(there)["engine"] == "ssh"
    assert receipt(there)["parameters"]["zone"].startswith("sha256:")
    for same in ("digest", "records", "groupings", "parameters"):
        assert receipt(there)[same] == receipt(here)[same]
    names = sorted(path.name for path in here.glob("*.csv"))
    assert "speeds-by-direction-week-hour.csv" in names
    for name in names:
        assert (there / name).read_bytes() == (here / name).read_bytes()
