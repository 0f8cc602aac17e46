"""Why hosts failed, in few lines: hosts with the same reason are named together."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from mapreduce.safe_text import printable

ANY: Final = "\0"  # stands for a host's name; `printable` lets none through
_PLACE = re.compile(  # a host's own, where our reasons have it: another's is never meant
    r"(?:(?<=^)|(?<=is pinned for ))(?:\[[^\]\s]+\]:\d+|\d+\.\d+\.\d+\.\d+\b)", re.ASCII
)


def by_reason(reasons: Mapping[str, str]) -> str:
    """Give a line for each reason, after the names of all the hosts that have it.

    Reasons that differ by the host's own name and address alone are one, with one line to type.
    """
    hosts: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for host, reason in reasons.items():
        shown = printable(reason)
        hosts[_of_any(host, shown)][host] = shown
    lines = []
    for common, own in hosts.items():
        names = list(own)
        said = common.replace(ANY, ",".join(names)) if len(own) > 1 else own[names[0]]
        lines.append(f"\n  {', '.join(names)}: {said}")
    return "".join(lines)


def _of_any(host: str, reason: str) -> str:
    """Give a reason as it would stand for any host."""
    common = re.sub(rf"(?<=--only ){re.escape(host)}(?![\w.-])", ANY, reason)
    return _PLACE.sub("it", common)
