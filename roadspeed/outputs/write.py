"""The output folder: every file of a run that the reduced table gives.

Each file is whole or absent, and one that fails leaves the others be. Account and receipt are not
written here: they come last, from who ran the job. Heavy libraries load when a file needs them,
so that `roadspeed --help` does not wait for them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os

    from roadspeed.outputs.link_table import LinkTable


def write_outputs(
    out_dir: str | os.PathLike[str],
    table: LinkTable,
) -> dict[str, Path]:
    """Write all files, making the folder where it is missing.

    Parameters
    ----------
    out_dir
        The folder. Files of the same names in it are replaced, one by one.
    table
        Speeds by link. Without geometry, or without GDAL, there is no `speeds.gpkg`, and one of an
        earlier run is removed, since it would tell of other trips.

    Returns
    -------
    dict of str to Path
        Name of each file written -> where it is.
    """
    # Imported here: GDAL and Arrow take a second to load, and `--help` should not.
    from roadspeed.outputs.parquet import write_parquet  # noqa: PLC0415 - see above
    from roadspeed.outputs.speeds_csv import write_csv  # noqa: PLC0415 - see above

    folder = Path(out_dir)
    folder.mkdir(parents=True, exist_ok=True)
    beside = write_csv(folder / "speeds.csv", table)
    names = ["speeds.csv", beside.name, "speeds.parquet"]
    write_parquet(folder / "speeds.parquet", table)
    if table.geometry is None or not has_gdal():
        (folder / "speeds.gpkg").unlink(missing_ok=True)
    else:
        from roadspeed.outputs.geopackage import write_geopackage  # noqa: PLC0415 - see above

        write_geopackage(folder / "speeds.gpkg", table)
        names.append("speeds.gpkg")
    return {name: folder / name for name in names}


def has_gdal() -> bool:
    """Whether GeoPackages can be written here."""
    try:
        import pyogrio  # noqa: F401, PLC0415 - see above
    except ImportError:
        return False
    return True
