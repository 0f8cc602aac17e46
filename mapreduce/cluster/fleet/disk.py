"""What ours takes on hosts' disks, and making room there: for `cluster df` and `cluster clean`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from mapreduce.cluster.fleet.parallel import Display, HostDone, HostOutcomes, on_each
from mapreduce.cluster.inventory.inventory import Host, Inventory
from mapreduce.cluster.ssh.ssh import Remote

LOOK_S: Final = 120.0  # counting small files takes its time on a card
HOST_S: Final = 180.0


class Kind(msgspec.Struct, frozen=True):
    """What one kind of things takes: how many, their bytes, how many a running agent uses."""

    count: int
    size_bytes: int = msgspec.field(name="bytes")
    in_use: int = msgspec.field()


class Use(msgspec.Struct, frozen=True):
    """What ours takes on a host, and what was removed just now, by its place under ROOT.

    `kinds` are those there are of `releases`, `environments`, `overlays`, `inputs`, `runs` and
    `incoming`.
    """

    root: str
    kinds: dict[str, Kind]
    disk_free_bytes: int
    removed: tuple[str, ...] = ()
    freed_bytes: int = 0

    @property
    def size_bytes(self) -> int:
        """All of it."""
        return sum(kind.size_bytes for kind in self.kinds.values())


def disk_use(inventory: Inventory, hosts: Sequence[Host], board: Display) -> HostOutcomes[Use]:
    """Tell what ours takes on each host."""
    return _asked(inventory, hosts, board, {})


def clean(
    inventory: Inventory, hosts: Sequence[Host], board: Display, *, everything: bool = False
) -> HostOutcomes[Use]:
    """Remove what is old on each host: what each start of an agent removes there anyway.

    With `everything`, all that no running agent uses, the current release too.
    """
    return _asked(inventory, hosts, board, {"clean": True, "all": everything})


def _asked(
    inventory: Inventory, hosts: Sequence[Host], board: Display, more: Mapping[str, bool]
) -> HostOutcomes[Use]:
    def look(host: Host, tell: Callable[[str], None]) -> HostDone[Use]:
        tell("connects")
        with Remote(host, inventory) as remote:
            tell("makes room" if more else "counts")
            asked = {"act": "space", "host": host.name, **more}
            told = remote.ask("agents", asked, timeout_s=LOOK_S)
        use = msgspec.convert(told, Use)
        return HostDone(_said(use, cleaned=bool(more)), use)

    return on_each(hosts, look, board, timeout_s=HOST_S)


def _said(use: Use, *, cleaned: bool) -> str:
    size = f"{use.size_bytes / 1e6:,.1f} MB"
    free = f"{use.disk_free_bytes / 1e9:,.1f} GB free"
    if cleaned:
        gone = f"{len(use.removed)} removed, {use.freed_bytes / 1e6:,.1f} MB freed"
        return f"{gone}; {size} stay, {free}"
    parts = (f"{k.count} {name} {k.size_bytes / 1e6:,.1f} MB" for name, k in use.kinds.items())
    return f"{size}: {', '.join(parts)}; {free}" if use.kinds else f"nothing installed; {free}"
