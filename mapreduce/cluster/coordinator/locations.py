"""Where each host reads an object: at a node of the store, in a folder it sees, or from here.

A store's nodes share the reading, object by object; a host that has a node of its own asks that
first. A folder that every host sees is read there by its path; what else is on this machine is
asked of the coordinator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from mapreduce.attempts.prefetch import entry_of
from mapreduce.errors import MapReduceError
from mapreduce.objects import Location, Spread
from mapreduce.objects.file_body import FileBody
from mapreduce.objects.members import archive_of, located_at
from mapreduce.plan import Piece

OTHERS: Final = 2  # nodes beside the first that a URL is signed for


class Locations:
    """Where pieces are read; `here` says where a piece is for this machine.

    `origins` are, for each worker, how the URLs begin at which it reads what is on this machine;
    `spread` is the store, if it can be reached at several `nodes`, `nearest` the one that a worker
    asks first, if it has one, and `shared` are folders that every host sees at the same paths.
    """

    def __init__(
        self,
        locate: Callable[[Piece], Location],
        origins: Mapping[str, str],
        *,
        spread: Spread | None = None,
        nearest: Mapping[str, str] | None = None,
        shared: Sequence[str] = (),
    ) -> None:
        self.here = locate
        self._origins = origins
        self._spread = spread
        self._nodes = () if spread is None else spread.endpoints
        self._nearest = dict(nearest or {}) if spread is not None else {}
        urls = (*self._nodes, *self._nearest.values())
        self.nodes = frozenset(url.partition("://")[2].rstrip("/") for url in urls)
        self._shared = tuple(folder.rstrip("/") + "/" for folder in shared)

    def there(self, worker: str, attempt: int, piece: Piece) -> Location:
        """Give where a worker reads a piece; raises what the store's own `locate` does."""
        order = self._order(worker, piece.ordinal)
        if self._spread is not None and order:
            return located_at(self._spread, entry_of(piece), order)
        found = self.here(piece)
        if found.url is not None or self._is_shared(found):
            return found.afar()
        return Location(url=f"{self._origins[worker]}{attempt}/{piece.ordinal}")

    def unseen(self, worker: str, piece: Piece, how: str) -> str | None:
        """Say so where a worker's host does not see a piece that this machine sees, and `how`."""
        found = self.here(piece)
        if found.path is None or not self._is_shared(found):
            return None
        try:
            FileBody(found.path, archive_of(entry_of(piece)), 0, 0).close()
        except MapReduceError:
            return None  # so it is, for all
        folder = next(f for f in self._shared if found.path.startswith(f))
        return (
            f"{worker} does not see {folder} as this machine does ({how}): is it mounted there?"
            " Type `mapreduce cluster doctor`, or remove it from shared in hosts.toml"
        )

    def _is_shared(self, location: Location) -> bool:
        return location.path is not None and location.path.startswith(self._shared)

    def _order(self, worker: str, ordinal: int) -> tuple[str, ...]:
        """Give the nodes to ask, in order: each is first, and each second, for as many objects."""
        nodes, own = self._nodes, self._nearest.get(worker)
        if own is None and len(nodes) <= 1:
            return ()  # as the store itself would
        turn, first = divmod(ordinal, max(1, len(nodes)))
        rest = nodes[first:] + nodes[:first]
        if own is not None:
            return (own, *(n for n in rest if n != own))[: 1 + OTHERS]
        others = rest[1:]
        turn %= len(others)
        return (rest[0], *others[turn:], *others[:turn])[: 1 + OTHERS]
