"""Fixtures that every test may ask for: real services, started once a session and only if asked."""

pytest_plugins = [
    "tests.services.seaweed",
    "tests.services.postgis",
    "tests.services.dask_cluster",
    "tests.services.spark_cluster",
]
