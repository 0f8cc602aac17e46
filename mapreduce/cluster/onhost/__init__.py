"""Scripts that a host runs before anything of ours is installed there.

Each is sent as text over SSH to `python -I -c`, with the parts of it that it shares with others:
standard library only, readable by Python 3.7 (so that an old one is named and not merely broken).
It takes one JSON argument, reads payload and secrets from standard input, and answers with one
line of JSON. Nothing of it is loaded from the host.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Final

PARTS: Final = {
    "facts": ("ground", "content"),
    "unpack": ("ground", "content", "space"),
    "agents": ("ground", "content", "space", "log"),
    "session": ("ground", "content", "space", "log", "facts", "agents"),
}
"""What each script needs, in an order in which each may import those before it."""

LOADER: Final = """\
import sys, types
house = types.ModuleType({house!r})
sys.modules[{house!r}] = house
*parts, own = {parts!r}
for name, text in parts:
    part = types.ModuleType({house!r} + "." + name)
    sys.modules[part.__name__] = part
    exec(compile(text, name, "exec"), part.__dict__)
    setattr(house, name, part)
exec(compile(own[1], own[0], "exec"))
"""


def script(name: str) -> str:
    """Give the text of one of these scripts: `facts`, `unpack`, `agents`, `session`."""
    parts = [(part, _text(part)) for part in (*PARTS[name], name)]
    return LOADER.format(house=__name__, parts=parts)


@cache
def _text(name: str) -> str:
    return files(__name__).joinpath(f"{name}.py").read_text(encoding="utf-8")
