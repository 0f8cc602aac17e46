"""Measurements of this project beside its peers: `python -m benchmarks --help`.

Each subcommand prints a table in Markdown and, with `--write`, puts it between its markers in
docs/benchmarks.md; the prose around the tables is written by hand.
"""
