"""From fixes to cells, and from cells to numbers: hours, days, directions, stays on a link.

Pure: it opens no file but a side input, starts no process, and prints nothing. `roadspeed.speeds`
folds with it, and `outputs` writes what it gives.
"""
