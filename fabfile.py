"""Tasks for the hosts of hosts.toml: `fab --list` lists them; `mapreduce cluster` does the same."""

from mapreduce.cluster.fab import (
    clean,
    demo,
    deploy,
    df,
    doctor,
    enrol,
    logs,
    remove,
    restart,
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
    "restart",
    "run",
    "status",
    "stop",
]
