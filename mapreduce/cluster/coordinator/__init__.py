"""The coordinator of a run over SSH: sockets, threads and clocks around the schedule.

`loop` turns what happens into events for the schedule, and the schedule's commands into messages.
It decides nothing about who runs what; it knows nothing about how a host is reached.
"""
