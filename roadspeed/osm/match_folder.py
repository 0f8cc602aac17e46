"""What matching needs of an extract, in one folder: made once, and known by what it was made of.

`tiles.tar` is Valhalla's graph, `links.npz` the links of its edges, `roads.parquet` the roads to
join, and `about.json`, written last, says of what extract and by which Valhalla.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mapreduce.errors import UsageError
from mapreduce.json_file import write_json
from roadspeed.osm import valhalla
from roadspeed.osm.extract import read_ways
from roadspeed.osm.links import write_links
from roadspeed.osm.osm_roads import links_of
from roadspeed.osm.roads_file import write_roads

if TYPE_CHECKING:
    from collections.abc import Callable

FORMAT: Final = 1
ABOUT: Final = "about.json"
ENDING: Final = ".match"


@dataclass(frozen=True, slots=True)
class MatchFolder:
    """The files of a folder."""

    folder: Path

    @property
    def tiles(self) -> Path:
        """Valhalla's graph."""
        return self.folder / "tiles.tar"

    @property
    def links(self) -> Path:
        """The links of its edges."""
        return self.folder / "links.npz"

    @property
    def roads(self) -> Path:
        """The roads by link id."""
        return self.folder / "roads.parquet"

    def about(self) -> dict[str, Any]:
        """Say of what it was made; nothing where it is not whole."""
        try:
            about: dict[str, Any] = json.loads((self.folder / ABOUT).read_bytes())
        except (OSError, ValueError):
            return {}
        whole = about.get("format") == FORMAT
        there = all(path.is_file() for path in (self.tiles, self.links, self.roads))
        return about if whole and there else {}


def folder_of(given: str | Path, tell: Callable[[str], None] = lambda _: None) -> MatchFolder:
    """Give the folder that matching uses: the one given, or that of the extract given.

    That of `city.osm.pbf` is `city.match`, beside it; it is made where it is not there, or was made
    of another extract or by another Valhalla.

    Raises
    ------
    UsageError
        There is no such folder or extract, it is not whole, or it cannot be made.
    """
    path = Path(given)
    if path.is_dir():
        if not named(path).about():
            raise UsageError(f"{path}: expected a folder that `roadspeed roads tiles` made")
        return named(path)
    if not path.is_file():
        raise UsageError(f"no file {path}: --osm takes an OpenStreetMap extract or a folder of"
                         " `roadspeed roads tiles`")  # fmt: skip
    made = named(path)
    valhalla.check_installed()
    if made.about() != _made_of(path):
        tell(f"Making {made.folder} of {path.name}: once for this extract.")
        make(path, made.folder, tell)
    return made


def named(given: str | Path) -> MatchFolder:
    """Give the folder that `folder_of` gives, whether it is there or not."""
    path = Path(given)
    if path.is_dir():
        return MatchFolder(path)
    name = path.name.removesuffix(".pbf").removesuffix(".bz2").removesuffix(".osm")
    return MatchFolder(path.with_name(name + ENDING))


def make(extract: Path, folder: Path, tell: Callable[[str], None] = lambda _: None) -> MatchFolder:
    """Make all files of an extract.

    Raises
    ------
    UsageError
        It cannot be read, or Valhalla is not installed.
    """
    valhalla.check_installed()
    ways = read_ways(extract)
    roads = links_of(ways)
    made = MatchFolder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ABOUT).unlink(missing_ok=True)
    write_roads(made.roads, roads)
    write_links(made.links, roads)
    tell(f"{len(roads):,} links of {len(ways.way):,} ways; Valhalla is making its graph.")
    valhalla.build_tiles(extract, made.tiles)
    write_json(folder / ABOUT, _made_of(extract))
    return made


def _made_of(extract: Path) -> dict[str, Any]:
    with extract.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"format": FORMAT, "extract_sha256": digest, "valhalla": valhalla.version()}
