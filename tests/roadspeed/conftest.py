"""What tests of roads share."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.services.postgis import Postgis

EMPTY = """
DO $$ DECLARE name text; BEGIN
  FOR name IN SELECT tablename FROM pg_tables
               WHERE schemaname = 'public' AND tablename <> 'spatial_ref_sys' LOOP
    EXECUTE format('DROP TABLE public.%I CASCADE', name);
  END LOOP; END $$;
DROP SCHEMA IF EXISTS gis CASCADE; DELETE FROM spatial_ref_sys WHERE srid = 990001;
"""


@pytest.fixture
def cursor(postgis: Postgis) -> Iterator[Any]:
    """A cursor on a database without roads."""
    with contextlib.closing(postgis.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SET client_min_messages = warning")
        yield cursor
        cursor.execute(EMPTY)
