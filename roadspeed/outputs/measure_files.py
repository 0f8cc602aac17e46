"""The files of a run's groupings, of free flow and of limits, and what the receipt says of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from roadspeed.measures.groupings import DIRECTION, LINK, Grouping
from roadspeed.measures.segments import NAMES, UNKNOWN
from roadspeed.measures.small_cells import published
from roadspeed.outputs.cell_tables import DOCS, CellTable, write_cells
from roadspeed.outputs.wide_tables import has_wide, write_wide

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from roadspeed.outputs.link_table import LinkTable

    Tables = Mapping[str, Mapping[str, Any]]

PREFIX: Final = "speeds-by-"
SUMS_OF_PEAK: Final = ("peak_fixes", "peak_mean")
INDEX: Final = "travel_time_index"
INDEX_DIGITS: Final = 2
STEMS: Final = {"free-flow": "free_flow", "limits": "limits"}  # file -> table, a row a link


def names(groupings: Sequence[Grouping], layers: Sequence[Grouping]) -> list[str]:
    """Give the names of all files that a run with these groupings may write."""
    stems = [*(PREFIX + one.name for one in groupings), *STEMS]
    found = [f"{stem}{ending}" for stem in stems for ending in (".parquet", ".csv")]
    found += [f"{PREFIX}{one.name}-wide.csv" for one in groupings if has_wide(one)]
    return found + [f"{PREFIX}{one.name}.gpkg" for one in layers]


@dataclass(frozen=True, slots=True)
class MeasureTables:
    """What a run gave beside its links.

    Parameters
    ----------
    groupings
        Those that have tables.
    tables
        Table name -> column name -> array.
    kept
        How many fixes the run kept.
    periods
        The names of the cells of `period`.
    min_trips
        Cells and links with fewer are withheld.
    layers
        The groupings that are written as GeoPackages too.
    """

    groupings: Sequence[Grouping]
    tables: Tables
    kept: int
    periods: Sequence[str] = ()
    min_trips: int = 1
    layers: Sequence[Grouping] = ()

    def write(self, folder: Path, links: LinkTable) -> tuple[list[Path], dict[str, Any]]:
        """Write all files; give them, and what the receipt says by grouping."""
        shown = published(self.groupings, self.tables, self.min_trips)
        files: list[Path] = []
        tables = self._by_link(links)
        for one in self.groupings:
            seen = _some(self.tables[one.table], shown[one.table])
            tables.append(CellTable(PREFIX + one.name, seen, about=self._about(one.name, links)))
            files += self._written(folder, one, seen, links)
        for table in tables:
            files += write_cells(folder, table, links.unit, links.told, self._names())
        return files, {one.name: self._said(one, shown[one.table]) for one in self.groupings}

    def _said(self, grouping: Grouping, shown: Any) -> dict[str, int]:
        """Count what is written of a grouping, and what is not."""
        columns = self.tables[grouping.table]
        fixes = int(columns["fixes"].sum())
        said = {
            "cells": int(shown.sum()),
            "withheld": int((~shown).sum()),
            "fixes": fixes,
            "without_cell": self.kept - fixes,
        }
        if DIRECTION in grouping.parts:
            unknown = columns["fixes"][columns[DIRECTION] == UNKNOWN]
            said["unknown_direction"] = int(unknown.sum())
        return said

    def _by_link(self, links: LinkTable) -> list[CellTable]:
        """Give the tables of a row a link, without what would tell of single cells."""
        found = []
        for name, stem in STEMS.items():
            if stem in self.tables:
                columns = self.tables[stem]
                seen = _some(columns, columns["trips"] >= self.min_trips)
                if self.min_trips > 1:
                    seen = _blurred(seen)
                found.append(CellTable(name, seen, DOCS[name], self._about(LINK, links)))
        return found

    def _about(self, grouping: str, links: LinkTable) -> dict[str, Any]:
        return {"sample": links.sample, "grouping": grouping, "min_trips": self.min_trips}

    def _written(
        self, folder: Path, grouping: Grouping, columns: Mapping[str, Any], links: LinkTable
    ) -> list[Path]:
        """Write what a grouping is written as besides."""
        stem, files = PREFIX + grouping.name, []
        if has_wide(grouping):
            files.append(folder / f"{stem}-wide.csv")
            write_wide(files[-1], grouping, columns, self._names())
        if grouping in self.layers:
            from roadspeed.outputs.cell_layer import CellLayer  # noqa: PLC0415 - it loads GDAL

            files.append(folder / f"{stem}.gpkg")
            CellLayer(grouping, columns, links, self._names()).write(files[-1])
        return files

    def _names(self) -> dict[str, Sequence[str]]:
        """Give the names that numbers in columns stand for."""
        return {
            "direction": NAMES,
            "period": self.periods,
            "level": [one.name for one in self.groupings],
        }


def _some(columns: Mapping[str, Any], mask: Any) -> dict[str, Any]:
    return {name: np.asarray(column)[mask] for name, column in columns.items()}


def _blurred(columns: dict[str, Any]) -> dict[str, Any]:
    """Leave out the sums of peak hours, of which published cells leave over a withheld one."""
    kept = {name: column for name, column in columns.items() if name not in SUMS_OF_PEAK}
    if INDEX in kept:
        kept[INDEX] = np.round(kept[INDEX], INDEX_DIGITS)  # of it the sum would follow
    return kept
