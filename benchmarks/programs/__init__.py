"""One program for each engine, written as its own users would write it.

Each is started in a fresh process as `python -m benchmarks.programs.NAME FOLDER OUT THREADS`. It
makes count and mean of speed by link of all trips in FOLDER, by the rule of 2019: a fix counts
where link id and speed are both present, and an id that is not an integer is dropped.
"""
