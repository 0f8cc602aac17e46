"""How many cores this process may use."""

from __future__ import annotations

import os


def default_workers() -> int:
    """As many slots as cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
