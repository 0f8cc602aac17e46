"""Who runs what, when: a state machine. Events and the time come in, commands come out.

Pure: no clock, socket, file or chance, so a shelf of any size is simulated in a test. `scheduler`
is the one door; `rules` has every figure it keeps to; `invariants` says what must always hold.
"""
