"""`postgresql://host/db?table=&id=&geom=`: what is libpq's, what is ours. Pure.

Rule: a secret never stands in an argument (lists of processes and shell histories show it), so
an address with a password is refused, without repeating it, and the message says where libpq
looks for one. All that is not ours goes to libpq untouched, settings and service files included.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from mapreduce.errors import UsageError

if TYPE_CHECKING:
    from roadspeed.roads.rows.answer import Named

OURS = {
    "table": "table",
    "id": "id_column",
    "geom": "geometry_column",
    "class": "class_column",
    "crs": "crs",
}
SECRETS = {"password", "sslpassword"}
REMEDY = (
    "leave it out, and set it in the environment (PGPASSWORD), into ~/.pgpass "
    "(host:port:database:user:password, mode 0600) or into a service "
    "(postgresql:///?service=NAME)"
)


@dataclass(frozen=True, slots=True)
class Address:
    """A database, and what to join in it."""

    dsn: str
    """What libpq is given: no secret in it, nothing of ours in it."""
    named: Named


def address_of(url: str, named: Named) -> Address:
    """Take an address apart.

    Parameters
    ----------
    url
        `postgresql://…`, with or without `?table=&id=&geom=&class=&crs=`.
    named
        What options name; it goes before what the address names.

    Raises
    ------
    UsageError
        A password in the address; an empty or doubled parameter.
    """
    parts = urlsplit(url)
    if ":" in parts.netloc.rpartition("@")[0]:
        raise UsageError(f"the URL of the roads' database contains a password: {REMEDY}")
    theirs: list[tuple[str, str]] = []
    ours: dict[str, str] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name.lower() in SECRETS:
            raise UsageError(f"the URL of the roads' database contains a {name}: {REMEDY}")
        if name not in OURS:
            theirs.append((name, value))
        elif not value or OURS[name] in ours:
            raise UsageError(f"expected one value for {name}= in the address, got {parts.query!r}")
        else:
            ours[OURS[name]] = value
    # By hand: urlunsplit forgets the // of an address without a host, which libpq wants.
    query = f"?{urlencode(theirs, quote_via=quote)}" if theirs else ""
    dsn = f"{parts.scheme}://{parts.netloc}{parts.path}{query}"
    fields: dict[str, Any] = {name: getattr(named, name) or one for name, one in ours.items()}
    return Address(dsn=dsn, named=replace(named, **fields))
