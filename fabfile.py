"""Tasks for the hosts of hosts.toml: `fab --list` tells them; `mapreduce cluster` is the same."""

from mapreduce.cluster.fab import deploy, doctor, enrol, logs, remove, status, stop

__all__ = ["deploy", "doctor", "enrol", "logs", "remove", "status", "stop"]
