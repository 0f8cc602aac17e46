"""From fixes to cells, and from cells to numbers: pure; `holidays` alone reads a file, of dates.

A cell is an int64 in which a fix or a stay on a link is counted, such as its hour; -1 is none.
Whoever measures imports the module; nothing loads here.
"""
