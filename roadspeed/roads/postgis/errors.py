"""What a database's refusal means for whoever typed the command. Speaks no SQL.

Rule: psycopg2's exceptions end here. A mistake of the user's is a `UsageError` that says what to
type, grant or create; a server that fails is a `RoadsError`. libpq's own words are kept, since
they are what people search for; no secret can be in them, as addresses hold none.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import psycopg2
from psycopg2 import errors as pg

from mapreduce.errors import MapReduceError, UsageError
from roadspeed.roads.postgis.url import REMEDY
from roadspeed.roads.rows.answer import RoadsError

if TYPE_CHECKING:
    from collections.abc import Iterator

GOING_AWAY = (
    pg.AdminShutdown,
    pg.CrashShutdown,
    pg.CannotConnectNow,
    pg.IdleInTransactionSessionTimeout,
)


class ConnectionLost(Exception):  # noqa: N818 - it names what happened; it never leaves this room
    """The server ended the conversation half-way: worth one more try."""


@contextlib.contextmanager
def connecting(dsn: str) -> Iterator[None]:
    """Turn a failure to connect into what to do about it."""
    try:
        yield
    except psycopg2.OperationalError as error:
        said = _words(error)
        if "password" in said or "authentication" in said:
            raise UsageError(
                f"{dsn}: the database rejects the login ({said}). If it needs a password, do not"
                f" put it into the URL: {REMEDY}"
            ) from error
        if "does not exist" in said:
            raise UsageError(f"{dsn}: expected a database and role that exist ({said})") from error
        raise RoadsError(
            f"{dsn}: cannot reach the roads' database ({said}). Is it running, and are host and"
            " port reachable from here (test it with psql)?"
        ) from error
    except psycopg2.Error as error:  # libpq does not understand the address
        raise UsageError(
            f"{dsn}: expected postgresql://[user@]host[:port]/db?table=&id=&geom= ({_words(error)})"
        ) from error


@contextlib.contextmanager
def reading(connection: Any, dsn: str, table: str) -> Iterator[None]:
    """Turn a failure to read into `ConnectionLost`, or into what to do about it."""
    try:
        yield
    except MapReduceError:
        raise
    except pg.InsufficientPrivilege as error:
        raise UsageError(
            f"{dsn}: not allowed to read the roads ({_words(error)}). Their owner can allow it: "
            f"GRANT USAGE ON its SCHEMA, and GRANT SELECT ON {table} TO {connection.info.user}"
        ) from error
    except pg.QueryCanceled as error:
        raise RoadsError(
            f"{dsn}: reading {table} was cancelled ({_words(error)}). Is there an index on its"
            " id column? To allow more time: PGOPTIONS='-c statement_timeout=1h'"
        ) from error
    except psycopg2.Error as error:
        if connection.closed or isinstance(error, GOING_AWAY):
            raise ConnectionLost(_words(error)) from error
        raise RoadsError(f"{dsn}: reading {table} failed ({_words(error)})") from error


def _words(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
