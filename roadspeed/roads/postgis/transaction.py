"""A read-only transaction in a PostgreSQL server, in a thread of its own, begun anew if dropped.

Rule: one transaction sees one state of the roads and writes nothing. libpq waits deaf, so it
waits in a thread: an interrupt is heard, and cancels. A server that drops the line is asked once
more from the start. What to ask is not this file's business.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import time
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg2

from roadspeed.roads.postgis.errors import ConnectionLost, connecting, reading
from roadspeed.roads.rows.answer import RoadsError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

CONNECT = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "application_name": "roadspeed",
}
RETRY_PAUSE_S = 0.5


def asked(dsn: str, table: str, ask: Callable[[Any], T]) -> T:
    """Ask the server by a cursor; if it drops the line half-way, once more.

    `table` is what messages call that which is read.
    """
    try:
        return _in_thread(dsn, table, ask)
    except ConnectionLost:
        time.sleep(RETRY_PAUSE_S)
    try:
        return _in_thread(dsn, table, ask)
    except ConnectionLost as again:
        raise RoadsError(
            f"{dsn}: the server closed the connection twice while roads were read ({again})."
            " Check its log, then type the same command again"
        ) from again


def _in_thread(dsn: str, table: str, ask: Callable[[Any], T]) -> T:
    opened: list[Any] = []

    def work() -> T:
        with connecting(dsn):
            theirs = psycopg2.extensions.parse_dsn(dsn)
            settings = {name: value for name, value in CONNECT.items() if name not in theirs}
            connection = psycopg2.connect(dsn, client_encoding="UTF8", **settings)
        opened.append(connection)
        with contextlib.closing(connection):
            if connection.info.parameter_status("server_encoding") == "SQL_ASCII":
                connection.set_client_encoding("LATIN1")  # bytes as they are, whatever they are
            connection.autocommit = True  # BEGIN rides along with the first question
            with connection.cursor() as cursor, reading(connection, dsn, table):
                return ask(cursor)

    with concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="roads") as pool:
        future = pool.submit(work)
        try:
            return future.result()
        except KeyboardInterrupt:
            for connection in opened:
                connection.cancel()
            raise
