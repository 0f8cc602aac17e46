"""The program that runs on a host: `python -m mapreduce.cluster.agent`.

It keeps a connection to the coordinator and a slot for each core, and does as it is told.
"""
