"""Fixtures that every test may ask for: real services, started once a session and only if asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

pytest_plugins = [
    "tests.services.seaweed",
    "tests.services.postgis",
    "tests.services.dask_cluster",
    "tests.services.spark_cluster",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put groups first: started last, one would leave a worker alone with it at the end."""
    items.sort(key=lambda item: item.get_closest_marker("xdist_group") is None)
