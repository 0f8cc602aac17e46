"""What is done to hosts, many at once: enrol, doctor, deploy, start and stop agents, tidy.

`operations` is what commands and fab call; each answers with a table of host and outcome.
"""
