"""One split to one partial, in a process of its own: a slot.

`attempt` reads and maps; `prefetch` reads ahead for it; `slot` is the process, `slot_process` the
same process as whoever started it sees it. Every engine comes here; nothing here knows an engine.
"""
