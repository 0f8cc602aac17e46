"""The program that runs on a host: `python -m mapreduce.cluster.agent`.

It keeps a connection to the coordinator and a slot for each core, and does as it is told. It
decides nothing about a task, writes to no disk and needs no numpy (its slots do).
"""
