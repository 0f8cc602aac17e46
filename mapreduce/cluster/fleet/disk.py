"""What ours takes on hosts' disks, and making room there: for `cluster df` and `cluster clean`.

What a running agent uses stays, whoever asks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mapreduce.cluster.fleet.parallel import Display, HostDone, HostOutcomes, on_each
from mapreduce.cluster.inventory.inventory import Host, Inventory
from mapreduce.cluster.ssh.ssh import Remote

LOOK_S: Final = 120.0  # counting small files takes its time on a card
HOST_S: Final = 180.0


@dataclass(frozen=True, slots=True)
class Kind:
    """What one kind of things takes: how many, their bytes, how many a running agent uses."""

    count: int
    size_bytes: int
    in_use: int


@dataclass(frozen=True, slots=True)
class Use:
    """What ours takes on a host.

    Attributes
    ----------
    kinds
        `releases`, `environments`, `overlays`, `inputs`, `runs`, `incoming`: those there are.
    removed, freed_bytes
        What was removed just now, by its place under ROOT, and the bytes that gave.
    """

    root: str
    kinds: Mapping[str, Kind]
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

    `everything`: all that no running agent uses, the current release too; the next run brings it
    anew.
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
        kinds = {
            name: Kind(k["count"], k["bytes"], k["in_use"]) for name, k in told["kinds"].items()
        }
        removed = tuple(told["removed"])
        use = Use(told["root"], kinds, told["disk_free_bytes"], removed, told["freed_bytes"])
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
