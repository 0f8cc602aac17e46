"""Integer tables by key, and how they are added up: the exact part that every engine shares.

A table is declared (`table`), filled by one attempt (`partial`), merged with others (`merge`,
`accumulator`), compared with what went in (`conservation`) and written to bytes (`encoding`).
Pure: no files, no clock, no processes. Any room may use it; it uses `errors` alone.
"""
