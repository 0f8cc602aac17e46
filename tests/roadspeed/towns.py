"""The default town, made once for all tests that ask."""

from __future__ import annotations

from functools import cache

from roadspeed.town import Town


@cache
def default_town() -> Town:
    """The town of seed 7."""
    return Town.generate()
