"""Tables between markers in pages of docs/; the prose is left alone."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
ENGINES = PAGE.with_name("engines.md")
CLUSTER = PAGE.with_name("cluster.md")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a Markdown table; all columns but the first are flush right."""
    rule = ["---"] + ["---:"] * (len(head) - 1)
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, rule, *rows))


def machine() -> str:
    """Say when and on what the figures were taken, and how busy it was."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    return (
        f"Measured {time.strftime('%Y-%m-%d')} on {cores} cores of {model}, Python"
        f" {platform.python_version()}; load average {load:.1f} when it began."
    )


def write(section: str, text: str, path: Path = PAGE) -> None:
    """Replace what stands between the section's markers.

    Raises
    ------
    ValueError
        Where the page has no such markers.
    """
    begin, end = f"<!-- {section}:begin -->\n", f"<!-- {section}:end -->"
    page = path.read_text(encoding="utf-8")
    head, found, rest = page.partition(begin)
    _, closed, tail = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"{path.name} has no markers {begin.strip()} and {end}")
    path.write_text(f"{head}{begin}\n{text.strip()}\n\n{end}{tail}", encoding="utf-8")
