"""`mapreduce cluster …`: the hosts of hosts.toml, from the first key to the last log.

One command a file: its options alone, what it does is in `mapreduce.cluster.fleet.operations`.
`mapreduce.cluster.fab` makes tasks of the same commands.
"""
