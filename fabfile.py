"""Tasks for the hosts of hosts.toml: `fab --list` tells them; `mapreduce cluster` is the same."""

from mapreduce.cluster.fab import (
    clean,
    demo,
    deploy,
    df,
    doctor,
    enrol,
    logs,
    remove,
    run,
    status,
    stop,
)

__all__ = [
    "clean",
    "demo",
    "deploy",
    "df",
    "doctor",
    "enrol",
    "logs",
    "remove",
    "run",
    "status",
    "stop",
]
