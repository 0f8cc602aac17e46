"""Rows laid out as a table of plain text, for a command that says it."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

WIDTH: Final = 100


def text_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay rows out below their header, each column flush right; nothing in them is markup."""
    table = Table(box=None, pad_edge=False)
    for name in header:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    page = Console(file=io.StringIO(), width=WIDTH, color_system=None, markup=False, emoji=False)
    with page.capture() as laid_out:
        page.print(table)
    return "\n".join(line.rstrip() for line in laid_out.get().rstrip("\n").split("\n"))
