"""Valhalla, by its Python package: making tiles of an extract, and matching. Nothing else loads it.

Tiles are one tar file, which Valhalla reads where it lies. Matching is Meili's (a hidden Markov
model; Newson and Krumm, 2009).
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mapreduce.errors import JobError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

BUILDER: Final = "valhalla_build_tiles"
TILE: Final = ".gph"
LIMIT: Final = 1_000_000_000  # of points and metres of a trace: those are the job's to bound
LAST_LINES: Final = 5
NOT_MATCHED: Final = ("No suitable edges near location", "failed to find path", "No path could be")
LEAST_APART_M: Final = 10.0
INSTALL: Final = (
    "install it: pip install 'roadspeed[match]' (wheels exist for x86-64 from Python 3.11 and for"
    " ARM 64 from Python 3.12; for hosts add --with 'pyvalhalla>=3.5')"
)
_WANTED: Final = (
    "shape", "edge.way_id", "edge.id", "edge.begin_shape_index", "edge.end_shape_index",
    "edge.length", "matched.type", "matched.edge_index", "matched.point",
)  # fmt: skip


def check_installed() -> None:
    """Load Valhalla.

    Raises
    ------
    UsageError
        It is not installed.
    """
    try:
        _load()
    except ImportError as error:
        raise UsageError(
            f"matching needs Valhalla, and it cannot be loaded ({error}); {INSTALL}"
        ) from None


def _load() -> Any:
    return importlib.import_module("valhalla")


def version() -> str:
    """Give Valhalla's version: tiles are of one."""
    return str(_load().__version__)


def build_tiles(extract: Path, tiles: Path) -> None:
    """Make the tiles of an OpenStreetMap extract, as one tar file.

    Raises
    ------
    UsageError
        Valhalla is not installed, has no tool to make tiles, or cannot make any of this extract.
    """
    check_installed()
    builder = Path(_load().__file__).parent / "bin" / BUILDER
    if not builder.is_file():
        raise UsageError(f"Valhalla {version()} has no {BUILDER}; a newer one has; {INSTALL}")
    with tempfile.TemporaryDirectory(dir=tiles.parent.absolute(), prefix=".tiles-") as place:
        folder = Path(place) / "tiles"
        folder.mkdir()
        config = _config(tile_dir=str(folder))
        config["mjolnir"]["concurrency"] = 1  # so the same extract gives the same tiles
        for unused in ("admin", "timezone", "landmarks", "traffic_extract"):
            config["mjolnir"].pop(unused, None)
        (Path(place) / "config.json").write_text(json.dumps(config))
        made = subprocess.run(
            [builder, "-c", Path(place) / "config.json", extract.resolve()],
            cwd=place,  # it leaves notes where it stands
            capture_output=True,
            text=True,
            check=False,
        )
        found = sorted(folder.rglob(f"*{TILE}"))
        if made.returncode or not found:
            said = "\n".join((made.stdout + made.stderr).strip().splitlines()[-LAST_LINES:])
            raise UsageError(
                f"{extract}: Valhalla could not make tiles of it: {said or 'no roads'}"
            )
        _pack(folder, found, tiles)


def _pack(folder: Path, found: Sequence[Path], tiles: Path) -> None:
    """Pack tiles; equal tiles give equal bytes."""
    with tarfile.open(tiles, "w", format=tarfile.USTAR_FORMAT) as packed:
        for path in found:
            about = tarfile.TarInfo(path.relative_to(folder).as_posix())
            about.size = path.stat().st_size
            with path.open("rb") as file:
                packed.addfile(about, file)


def _config(**options: Any) -> dict[str, Any]:
    made: dict[str, Any] = importlib.import_module("valhalla.config").get_config(
        **{"tile_extract": "", "tile_dir": "", "verbose": False, **options}
    )
    for name in ("max_shape", "max_distance"):
        made["service_limits"]["trace"][name] = LIMIT
    return made


class Meili:
    """Matches traces to the roads of a file of tiles.

    Parameters
    ----------
    tiles
        The tar file.
    accuracy_m
        How far off positions usually are: one standard deviation.
    radius_m
        How far from a position a road is looked for.

    Raises
    ------
    JobError
        There are no tiles in the file, or Valhalla is not installed here.
    """

    def __init__(self, tiles: Path, accuracy_m: float, radius_m: float) -> None:
        try:
            valhalla = _load()
            self._decode = importlib.import_module("valhalla.utils.decode_polyline").decode_polyline
        except ImportError as error:  # an old one has no such module
            raise JobError(
                f"matching needs Valhalla, and {sys.executable} cannot load it ({error}); {INSTALL}"
            ) from None
        _check_tiles(tiles)
        self.radius_m = radius_m
        config = _config(tile_extract=str(tiles))
        config["service_limits"]["trace"] |= {
            "max_gps_accuracy": accuracy_m,
            "max_search_radius": radius_m,
        }
        config["meili"]["default"]["max_search_radius"] = radius_m
        self._actor = valhalla.Actor(config)
        self._asked = {
            "costing": "auto",
            "shape_match": "map_snap",
            "trace_options": {
                "gps_accuracy": accuracy_m,
                "search_radius": radius_m,
                # Positions nearer to each other say more of their errors than of the way.
                "interpolation_distance": max(LEAST_APART_M, 2 * accuracy_m),
            },
            "filters": {"attributes": _WANTED, "action": "include"},
        }

    def match(self, points: list[dict[str, float]]) -> dict[str, Any] | None:
        """Match points (`lat`, `lon`, `time` in seconds); None where they are on no road."""
        try:
            answer: dict[str, Any] = self._actor.trace_attributes({**self._asked, "shape": points})
        except RuntimeError as error:
            if any(known in str(error) for known in NOT_MATCHED):
                return None
            raise JobError(f"Valhalla {version()} cannot match: {error}") from None
        return answer

    def line(self, shape: str) -> list[tuple[float, float]]:
        """Decode an answer's shape: longitudes and latitudes."""
        line: list[tuple[float, float]] = self._decode(shape)
        return line


def _check_tiles(tiles: Path) -> None:
    """Refuse what Valhalla would take for an empty world."""
    try:
        with tarfile.open(tiles, "r:") as packed:
            first = packed.next()
    except (OSError, tarfile.TarError) as error:
        raise JobError(f"{tiles}: expected the tiles of `roadspeed roads tiles`: {error}") from None
    if first is None or not first.name.endswith(TILE):
        raise JobError(f"{tiles}: expected the tiles of `roadspeed roads tiles`, got no tile in it")
