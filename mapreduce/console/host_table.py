"""The hosts of a run as a person sees them: a table under the bars, or lines when one changes.

What hosts say is shown as text and never interpreted. It asks nothing and decides nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from mapreduce.safe_text import in_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.table import Table

    from mapreduce.cluster.coordinator.status import HostStatus, Status

MOST_ROWS: Final = 20  # of a table that has to fit on a screen
WORST_FIRST: Final = ("failed", "refused", "gone", "silent", "set aside", "leaving")
HOT_C: Final = 80.0


def table(status: Status) -> Table:
    """Make the table: hosts in trouble first, then as they are named."""
    from rich.table import Table  # noqa: PLC0415 - a pipe never needs it
    from rich.text import Text  # noqa: PLC0415 - as above

    shown = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("host", "state", "slots", "tasks", "MB/s", "°C", "note"):
        justify: Literal["left", "right"] = "left" if name in {"host", "state", "note"} else "right"
        shown.add_column(name, justify=justify, overflow="fold")  # a long path in a reason is whole
    hosts = sorted(status.hosts, key=_rank)
    for host in hosts[:MOST_ROWS]:
        style = "red" if host.state in WORST_FIRST[:3] else ""
        shown.add_row(
            Text(in_line(host.host)),
            Text(in_line(host.state), style),
            f"{host.busy}/{host.slots}" if host.slots else "",
            f"{host.done:,}",
            f"{host.bytes_per_s / 1e6:,.1f}" if host.state == "works" else "",
            Text(_degrees(host), "red" if (host.temperature_c or 0) >= HOT_C else ""),
            Text(note(host), "dim"),
        )
    if len(hosts) > MOST_ROWS:
        shown.add_row(f"and {len(hosts) - MOST_ROWS} more")
    return shown


def note(host: HostStatus) -> str:
    """Say in a few words what is to be known of a host beside its figures."""
    first = in_line(host.note.partition("\n")[0])
    return f"throttled; {first}".rstrip("; ") if host.throttled else first


class HostChanges:
    """Says which hosts have changed since it was last asked."""

    def __init__(self) -> None:
        self._told: dict[str, str] = {}

    def of(self, status: Status) -> Iterator[str]:
        """Give a line for each host whose state is another; work and idleness are one."""
        for host in status.hosts:
            state = "works" if host.state in {"idle", "joined"} else host.state
            if self._told.get(host.host) != state:
                self._told[host.host] = state
                why = note(host)
                yield f"host {host.host}: {state}{f' ({why})' if why else ''}"


def _degrees(host: HostStatus) -> str:
    return "" if host.temperature_c is None else f"{host.temperature_c:.0f}"


def _rank(host: HostStatus) -> int:
    return WORST_FIRST.index(host.state) if host.state in WORST_FIRST else len(WORST_FIRST)
