"""Which column is meant.

Rule: what the user named is taken as it is spelled, or refused with the names there are; what
they did not name is guessed only when one guess is plainly the best. A name that two columns have
names neither. Nothing here reads a file.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from mapreduce.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

ID_NAMES = (
    ("linkid", "idlink"),
    ("edgeid", "segmentid", "osmwayid", "wayid", "osmid", "roadid", "id"),
)
GEOMETRY_NAMES = (
    ("geometry", "geom", "thegeom", "wkbgeometry", "wkt", "wkb", "geometrywkt", "shape", "geog"),
)
CLASS_NAMES = (
    "highway",
    "functionalclass",
    "funcclass",
    "fclass",
    "frc",
    "roadclass",
    "roadtype",
    "class",
)


def choose_id(
    names: Sequence[str], named: str | None, where: str, unguessed: Collection[str] = ()
) -> str:
    """Return the column of link ids; `UsageError` if it is missing or several could be meant.

    Those of `unguessed` are taken only if they are named.
    """
    guesses = (
        ID_NAMES
        if not unguessed
        else tuple(
            tuple(guess for guess in tier if guess not in map(_plain, unguessed))
            for tier in ID_NAMES
        )
    )
    return _choose(names, named, guesses, "of link ids", "--roads-id", where)


def choose_geometry(names: Sequence[str], named: str | None, where: str) -> str:
    """Return the column of geometries; `UsageError` if missing or several could be meant."""
    return _choose(names, named, GEOMETRY_NAMES, "of geometries", "--roads-geometry", where)


def is_usual_geometry(name: str) -> bool:
    """Say whether columns of geometries are often called so."""
    return _plain(name) in GEOMETRY_NAMES[0]


def choose_class(names: Sequence[str], named: str | None, where: str) -> str | None:
    """Return the column of road classes, or None: maps can do without."""
    if named is not None:
        return _named(names, named, "of road classes", "--roads-class", where)
    plain = {_plain(name): name for name in reversed(names) if names.count(name) == 1}
    return next((plain[name] for name in CLASS_NAMES if name in plain), None)


def _choose(
    names: Sequence[str],
    named: str | None,
    tiers: Sequence[Sequence[str]],
    what: str,
    option: str,
    where: str,
) -> str:
    if named is not None:
        return _named(names, named, what, option, where)
    for tier in tiers:
        found = [name for name in names if _plain(name) in tier]
        if len(set(found)) == 1:
            return _only(found[0], names, what, where)
        if found:
            raise UsageError(
                f"{where}: more than one column could be the one {what}: {', '.join(found)}. "
                f"Name it: {option} {found[0]}"
            )
    raise UsageError(
        f"{where}: expected a column {what}, but none has a usual name. "
        f"Its columns are: {listed(names)}. Name one: {option} COLUMN"
    )


def _named(names: Sequence[str], named: str, what: str, option: str, where: str) -> str:
    if named in names:
        return _only(named, names, what, where)
    lower = {name.lower(): name for name in names}
    near = [lower[n] for n in difflib.get_close_matches(named.lower(), lower, n=1)]
    hint = f". Did you mean {option} {near[0]}?" if near else f". Name one: {option} COLUMN"
    raise UsageError(
        f"{where}: expected the column {what} as you named it, {named!r}, and found no such "
        f"column. Its columns are: {listed(names)}{hint}"
    )


def _only(name: str, names: Sequence[str], what: str, where: str) -> str:
    if names.count(name) > 1:
        raise UsageError(
            f"{where}: expected one column {what}, and {names.count(name)} columns are called "
            f"{name!r}: rename all but one"
        )
    return name


def listed(names: Sequence[str], most: int = 40) -> str:
    """Join names for a message, not endlessly."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) or "none") + more


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")
