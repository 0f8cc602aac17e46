"""The engine over SSH: hosts, releases, what is said between them, and who does what.

`messages`, `wire` and `schedule` (with the nouns it is made of) are pure: bytes or events in,
events or commands out, the time passed in. They import nothing that reads a clock, a socket or
chance, so a seeded simulation can run thousands of disasters a minute. The shells around them do
what they are told.
"""
