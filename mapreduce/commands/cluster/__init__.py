"""`mapreduce cluster …`: commands for the hosts of hosts.toml, one per file.

A file contains only the options of its command; `mapreduce.cluster.fleet.operations` does the work.
`mapreduce.cluster.fab` builds tasks from the same commands.
"""
