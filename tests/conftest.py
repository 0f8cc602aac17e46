"""What holds for every test: real services, started once a session and only if asked; hypothesis.

A busy machine is no failure: neither a deadline for one example nor slow drawing of examples is,
and a failure can be had again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    import pytest

pytest_plugins = [
    "tests.services.seaweed",
    "tests.services.postgis",
    "tests.services.dask_cluster",
    "tests.services.spark_cluster",
]

settings.register_profile(
    "here", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("here")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put groups first: started last, one would leave a worker alone with it at the end."""
    items.sort(key=lambda item: item.get_closest_marker("xdist_group") is None)
