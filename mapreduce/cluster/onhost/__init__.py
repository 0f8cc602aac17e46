"""Scripts that a host runs before anything of ours is installed there.

Each is one file, sent as text over SSH to `python -I -c`, standard library only, readable by
Python 3.7 (so that an old one is named and not merely broken); it takes one JSON argument, reads
payload and secrets from standard input, and answers with one line of JSON. None imports another,
or anything of this package.
"""

from __future__ import annotations

from importlib.resources import files


def script(name: str) -> str:
    """Give the text of one of these scripts: `facts`, `unpack`, `agents`."""
    return files(__name__).joinpath(f"{name}.py").read_text(encoding="utf-8")
