"""Options that are meant for one start of a command, and not for its repetition."""

from __future__ import annotations

from typing import Final

ANEW: Final = "--anew"
DETACH: Final = "--detach"
RETRY: Final = "--retry"
ONCE: Final = frozenset((ANEW, DETACH))
