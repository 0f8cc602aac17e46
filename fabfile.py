"""Tasks for the hosts of hosts.toml: `fab --list` lists them; `mapreduce cluster` does the same."""

from mapreduce.cluster.fab import *  # noqa: F403 - every task; those of your own go below
