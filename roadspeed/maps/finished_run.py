"""The folder of a finished run, as pictures read it: only files that are as the run wrote them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pyarrow.parquet as pq

from mapreduce.errors import UsageError
from mapreduce.runs import receipt_file
from mapreduce.runs.receipt_file import RECEIPT
from mapreduce.runs.report import file_digest
from roadspeed.outputs.parquet import read_parquet

if TYPE_CHECKING:
    from pathlib import Path

    from mapreduce.runs.receipt_file import Receipt
    from roadspeed.outputs.link_table import LinkTable

TABLE: Final = "speeds.parquet"
BY: Final = "speeds-by-"
PARQUET: Final = ".parquet"


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """A folder and what its receipt says."""

    folder: Path
    receipt: Receipt

    @property
    def groupings(self) -> tuple[str, ...]:
        """What its speeds were told apart by, as `--by` names it: `hour`, `direction-hour`."""
        names = [n for n in self.receipt.files if n.startswith(BY) and n.endswith(PARQUET)]
        return tuple(sorted(n.removeprefix(BY).removesuffix(PARQUET) for n in names))

    def has(self, name: str) -> bool:
        """Whether the run wrote a file of this name."""
        return name in self.receipt.files

    def checked(self, name: str) -> Path:
        """Return the path of a file of the run.

        Raises
        ------
        UsageError
            Where it is not what the run wrote.
        """
        path = self.folder / name
        if not path.is_file() or file_digest(path) != self.receipt.files[name].sha256:
            raise UsageError(f"{path} was changed after the run wrote it; see `mapreduce verify`")
        return path

    def parts(self, grouping: str) -> list[str]:
        """Return the columns that tell cells of a grouping apart."""
        names: list[str] = pq.read_schema(self.checked(f"{BY}{grouping}{PARQUET}")).names
        return names[names.index("link") + 1 : names.index("fixes")]

    def link_table(self) -> LinkTable:
        """Read the table of links with their geometry.

        Raises
        ------
        UsageError
            Where the run is of another job, the table was changed or has no geometry.
        """
        if not self.has(TABLE):
            raise UsageError(
                f"{self.folder} belongs to another job: no {TABLE} is among the files of its run"
            )
        table = read_parquet(self.checked(TABLE))
        if table.geometry is None:
            raise UsageError(f"{self.folder}: a map needs roads, but this run had no --roads")
        return table

    def refuse(self, path: Path) -> None:
        """Raise UsageError if a file that the receipt lists would be replaced by a picture."""
        taken = {(self.folder / name).resolve() for name in (RECEIPT, *self.receipt.files)}
        if path.resolve() in taken:
            raise UsageError(f"{path} is listed in the receipt of the run; choose another --out")


def finished_run(folder: Path) -> FinishedRun:
    """Read the receipt of a folder.

    Raises
    ------
    UsageError
        Where there is none.
    MapReduceError
        Where it is not as it was written.
    """
    if not (folder / RECEIPT).is_file():
        raise UsageError(f"no {folder / RECEIPT}: expected the folder (--out) of a finished run")
    receipt, _ = receipt_file.read(folder / RECEIPT)
    return FinishedRun(folder, receipt)
