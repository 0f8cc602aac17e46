"""What tests of roads share."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.services.postgis import Postgis

EMPTY = """
DO $$ DECLARE name text; kind text; BEGIN
  FOR name, kind IN
    SELECT c.relname, CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW'
                      ELSE 'TABLE' END
      FROM pg_class c
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')
       AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e') LOOP
    EXECUTE format('DROP %s IF EXISTS public.%I CASCADE', kind, name);
  END LOOP; END $$;
DROP DOMAIN IF EXISTS link, way CASCADE;
DROP SCHEMA IF EXISTS gis CASCADE; DELETE FROM spatial_ref_sys WHERE srid = 990001;
"""


@pytest.fixture
def cursor(postgis: Postgis) -> Iterator[Any]:
    """A cursor on a database without roads."""
    with contextlib.closing(postgis.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SET client_min_messages = warning")
        yield cursor
        cursor.execute(EMPTY)
