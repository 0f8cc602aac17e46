"""The files of a run's groupings, of free flow and of limits, and what the receipt says of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from roadspeed.measures.groupings import LINK, Grouping
from roadspeed.measures.small_cells import published
from roadspeed.outputs.cell_tables import DOCS, CellTable, write_cells

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from roadspeed.outputs.link_table import Told

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
    """

    groupings: Sequence[Grouping]
    tables: Tables
    kept: int
    periods: Sequence[str] = ()
    min_trips: int = 1

    def write(
        self, folder: Path, unit: str, told: Told, sample: str | None
    ) -> tuple[list[Path], dict[str, Any]]:
        """Write all files; give them, and what the receipt says by grouping."""
        shown = published(self.groupings, self.tables, self.min_trips)
        said: dict[str, Any] = {}
        tables: list[CellTable] = []
        for one in self.groupings:
            columns, mask = self.tables[one.table], shown[one.table]
            about = {"sample": sample, "grouping": one.name, "min_trips": self.min_trips}
            tables.append(CellTable(PREFIX + one.name, _some(columns, mask), about=about))
            fixes = int(columns["fixes"].sum())
            said[one.name] = {
                "cells": int(mask.sum()),
                "withheld": int((~mask).sum()),
                "fixes": fixes,
                "without_cell": self.kept - fixes,
            }
        for name, table in STEMS.items():
            if table in self.tables:
                columns = self.tables[table]
                mask = columns["trips"] >= self.min_trips
                about = {"sample": sample, "grouping": LINK, "min_trips": self.min_trips}
                tables.append(CellTable(name, _some(columns, mask), DOCS[name], about))
        names = {
            "direction": DIRECTIONS,
            "period": self.periods,
            "level": [one.name for one in self.groupings],
        }
        files = [path for one in tables for path in write_cells(folder, one, unit, told, names)]
        return files, said


def _some(columns: Mapping[str, Any], mask: Any) -> dict[str, Any]:
    return {name: np.asarray(column)[mask] for name, column in columns.items()}
