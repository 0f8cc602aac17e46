"""The files of a run's groupings, of free flow and of limits, and what the receipt says of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from roadspeed.measures.groupings import DIRECTION, LINK, Grouping
from roadspeed.measures.segments import UNKNOWN
from roadspeed.measures.small_cells import published
from roadspeed.outputs.cell_tables import DOCS, CellTable, write_cells
from roadspeed.outputs.wide_tables import has_wide, write_wide

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from roadspeed.outputs.link_table import LinkTable

    Tables = Mapping[str, Mapping[str, Any]]

DIRECTIONS: Final = ("unknown", "forward", "backward")  # by cell
PREFIX: Final = "speeds-by-"
STEMS: Final = {"free-flow": "free_flow", "limits": "limits"}  # file -> table, a row a link


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
        unit, told, sample = links.unit, links.told, links.sample
        names = self._names()
        files: list[Path] = []
        shown = published(self.groupings, self.tables, self.min_trips)
        said: dict[str, Any] = {}
        tables: list[CellTable] = []
        for one in self.groupings:
            columns, mask = self.tables[one.table], shown[one.table]
            about = {"sample": sample, "grouping": one.name, "min_trips": self.min_trips}
            seen = _some(columns, mask)
            tables.append(CellTable(PREFIX + one.name, seen, about=about))
            files += self._written(folder, one, seen, links)
            fixes = int(columns["fixes"].sum())
            said[one.name] = {
                "cells": int(mask.sum()),
                "withheld": int((~mask).sum()),
                "fixes": fixes,
                "without_cell": self.kept - fixes,
            }
            if DIRECTION in one.parts:
                unknown = columns["fixes"][columns[DIRECTION] == UNKNOWN]
                said[one.name]["unknown_direction"] = int(unknown.sum())
        for name, stem in STEMS.items():
            if stem in self.tables:
                columns = self.tables[stem]
                mask = columns["trips"] >= self.min_trips
                about = {"sample": sample, "grouping": LINK, "min_trips": self.min_trips}
                tables.append(CellTable(name, _some(columns, mask), DOCS[name], about))
        for table in tables:
            files += write_cells(folder, table, unit, told, names)
        return files, said

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
            "direction": DIRECTIONS,
            "period": self.periods,
            "level": [one.name for one in self.groupings],
        }


def _some(columns: Mapping[str, Any], mask: Any) -> dict[str, Any]:
    return {name: np.asarray(column)[mask] for name, column in columns.items()}
