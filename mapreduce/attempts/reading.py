"""One object, or a piece of one, on its way through an attempt. It reads nothing itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from mapreduce.formats.parsed import Parsed
    from mapreduce.objects.body import Body
    from mapreduce.plan import Piece


@dataclass(slots=True)
class Reading:
    """A piece whose blocks come as they are asked for.

    `again` gives them anew, where they are streamed; `unchecked` is known once they have begun.
    """

    piece: Piece
    blocks: Generator[Parsed]
    again: Callable[[], Generator[Parsed]] | None = None
    body: Body | None = None
    unchecked: bool = False

    def take(self, body: Body) -> None:
        """Note the body that the blocks are read from."""
        self.body = body
        self.unchecked |= body.unchecked
