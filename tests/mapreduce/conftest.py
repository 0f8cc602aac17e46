"""How hypothesis works here: a busy machine is no failure, and a failure can be had again."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("here", deadline=None, print_blob=True)
settings.load_profile("here")
