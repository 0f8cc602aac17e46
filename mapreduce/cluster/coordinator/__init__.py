"""The coordinator of a run over SSH: sockets, threads and clocks around the schedule.

`loop` turns what happens into events for the schedule, and the schedule's commands into messages.
"""
