"""Starting this interpreter once more, to find the modules that this process finds.

Nothing is looked for in the folder one happens to stand in, unless this process looks there.
"""

from __future__ import annotations

import os
import sys


def command(module: str, *arguments: str) -> list[str]:
    """Give the command line that runs a module."""
    return [sys.executable, "-P", "-m", module, *arguments]


def import_path() -> tuple[str, ...]:
    """Give where this process looks for modules, by whole paths."""
    return tuple(dict.fromkeys(os.path.abspath(place) for place in sys.path))  # noqa: PTH100 - of text


def environment() -> dict[str, str]:
    """Give our environment, with the places that modules are found in."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(import_path())}
