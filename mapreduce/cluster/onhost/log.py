"""Reads the logs of agents on a host: their last lines, and what is added to them."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable
from typing import Any

TAIL_BYTES = 1 << 16
POLL_S = 0.25


def follow(asked: dict[str, Any], runs: Callable[[], list[tuple[str, str]]]) -> None:
    """Write the last lines of the logs; with `follow`, what is added, until our input ends."""
    places = {}
    while True:
        for _, folder in runs():
            path = os.path.join(folder, "agent.log")
            try:
                size = os.path.getsize(path)
            except OSError:
                continue
            if os.path.islink(path):
                continue
            if path not in places:
                body = tail(path, TAIL_BYTES)
                sys.stdout.buffer.write(b"".join(body.splitlines(True)[-asked["lines"] :]))
                places[path] = size
            elif size > places[path]:
                with open(path, "rb") as log:
                    log.seek(places[path])
                    body = log.read(TAIL_BYTES)
                places[path] += len(body)
                sys.stdout.buffer.write(body)
        sys.stdout.buffer.flush()
        if not asked["follow"] or select.select([sys.stdin], [], [], POLL_S)[0]:
            return


def tail(path: str, most: int) -> bytes:
    """Read the last bytes of a file."""
    with open(path, "rb") as log:
        log.seek(max(0, os.path.getsize(path) - most))
        return log.read(most)
