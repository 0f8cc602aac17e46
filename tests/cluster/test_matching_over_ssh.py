"""Matching on hosts: Valhalla comes with `--with`, the graph as a side input; one digest."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest

from tests.cluster.shelves import enrolled_shelf
from tests.cluster.test_command_lines import over, receipt, typed
from tests.curitiba import CURITIBA, needs_curitiba
from tests.roadspeed.osm_files import write_extract

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.services.sshd import Shelf

pytestmark = [pytest.mark.timeout(240), pytest.mark.xdist_group("shelf")]


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    with enrolled_shelf(2) as (hosts, _):
        yield hosts


@needs_curitiba
def test_real_drives_are_matched_alike_here_and_on_hosts(shelf: Shelf, tmp_path: Path) -> None:
    extract = tmp_path / "city.osm.pbf"
    write_extract(extract, json.loads((CURITIBA / "roads.geojson").read_bytes())["features"])
    words = ("run", CURITIBA / "trips", "--osm", extract, "--speed-from", "positions", "--no-map")
    typed(*words, "--out", tmp_path / "here", program="roadspeed.cli")
    package = f"pyvalhalla-weekly=={version('pyvalhalla-weekly')}"
    out = tmp_path / "ssh"
    typed(*words, "--out", out, *over(shelf), "--with", package, program="roadspeed.cli")
    assert receipt(out)["engine"] == "ssh"
    assert receipt(out)["digest"] == receipt(tmp_path / "here")["digest"]
    assert receipt(out)["records"] == receipt(tmp_path / "here")["records"]
