"""The trip document's words: paths lead to fields that exist, units turn into one another."""

from __future__ import annotations

import dataclasses

import pytest

from mapreduce.errors import UsageError
from roadspeed.trip import FIX_FIELDS, MATCH_FIELDS, SPEED_UNITS, TripPaths, speed_in


def test_every_path_names_a_field_of_the_document() -> None:
    fields = set(FIX_FIELDS) | {f"dbResponse.{name}" for name in MATCH_FIELDS}
    paths = dataclasses.asdict(TripPaths())
    assert paths.pop("data") == "data"
    assert set(paths.values()) <= fields


def test_units_of_speed_turn_into_one_another() -> None:
    assert speed_in("km/h", "m/s") * 36 == pytest.approx(10)
    assert speed_in("mph", "km/h") == pytest.approx(1.609344)
    assert all(speed_in(unit, unit) == 1.0 for unit in SPEED_UNITS)


def test_an_unknown_unit_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="furlong"):
        speed_in("furlong", "m/s")
