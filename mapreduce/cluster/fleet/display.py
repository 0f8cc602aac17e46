"""What an operator sees of an operation: a live table of hosts, or plain lines when piped.

On a terminal every host has a row from the beginning, with what it is at; elsewhere a line is
written when a host has ended. All of it on standard output: it is the command's result.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any, Final, Self

from mapreduce.cluster.fleet.parallel import HostOutcome
from mapreduce.output import say
from mapreduce.safe_text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.live import Live
    from rich.table import Table

    from mapreduce.cluster.inventory.inventory import Host

REFRESH_PER_S: Final = 8


class Screen:
    """A board for people; use it in a `with`."""

    def __init__(self, title: str, hosts: Sequence[Host]) -> None:
        self._title = title
        self._rows: dict[str, str | HostOutcome[Any]] = {h.name: "waits" for h in hosts}
        self._width = max(len(h.name) for h in hosts)
        self._lock = threading.Lock()
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if sys.stdout is not None and sys.stdout.isatty():
            from rich.console import Console  # noqa: PLC0415 - a pipe never needs it
            from rich.live import Live  # noqa: PLC0415 - as above

            self._live = Live(
                get_renderable=self._table,
                console=Console(),
                refresh_per_second=REFRESH_PER_S,
            )
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, host: str, state: str) -> None:
        """Tell what a host is at."""
        with self._lock:
            if not isinstance(self._rows[host], HostOutcome):
                self._rows[host] = state

    def done(self, outcome: HostOutcome[Any]) -> None:
        """Tell how it ended on a host."""
        with self._lock:
            self._rows[outcome.host] = outcome
        if self._live is None:
            mark = ("look  " if outcome.doubtful else "ok    ") if outcome.ok else "failed"
            name = outcome.host.ljust(self._width)
            say(f"{name}  {mark}  {outcome.seconds:5.1f} s  {outcome.state}")

    def _table(self) -> Table:
        from rich.table import Table  # noqa: PLC0415 - a pipe never needs it
        from rich.text import Text  # noqa: PLC0415 - as above

        table = Table(title=self._title, title_justify="left", show_header=False, box=None)
        with self._lock:
            rows = list(self._rows.items())
        for name, row in rows:
            if isinstance(row, HostOutcome):
                style = ("yellow" if row.doubtful else "green") if row.ok else "red"
                # Text, not markup: what a host says is shown, never interpreted.
                table.add_row(name, Text(printable(row.state), style), f"{row.seconds:.1f} s")
            else:
                table.add_row(name, Text(printable(row), "dim"), "")
        return table


class Quiet:
    """A board that nobody looks at."""

    def show(self, host: str, state: str) -> None:
        """Show nothing."""

    def done(self, outcome: HostOutcome[Any]) -> None:
        """Show nothing."""
