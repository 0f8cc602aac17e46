"""The last line of a run: what it covered, how long each phase took, what bounded it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

MOSTLY = 0.7
HARDLY = 0.5


def summary(receipt: Mapping[str, Any]) -> str:
    """Give the closing lines for people."""
    objects, records, times = receipt["objects"], receipt["records"], receipt["times_s"]
    set_aside = [f"{objects[n]:,} {n}" for n in ("quarantined", "ignored") if objects[n]]
    dropped = [f"{count:,} {reason}" for reason, count in records["dropped"].items()]
    refused = [f"{n:,} keys refused in {t}" for t, n in records.get("refused_keys", {}).items()]
    covered = (
        f"{objects['ok']:,} of {objects['listed']:,} objects{_aside(set_aside)},"
        f" {records['kept']:,} of {records['read']:,} records{_aside(dropped + refused)}"
    )
    lines = [covered, *_geometry(receipt.get("geometry")), f"{receipt['digest']}"]
    spent = ", ".join(f"{name} {s:.1f}" for name, s in times.items() if name != "total" and s)
    rate = objects["bytes"] / 1e6 / max(times["map"], 1e-3)
    lines.append(
        f"{times['total']:.1f} s ({spent}); mapped at {rate:,.0f} MB/s, bounded by"
        f" {bounded_by(receipt)}"
    )
    return "\n".join(lines)


def _geometry(geometry: Mapping[str, int] | None) -> list[str]:
    """Say how many rows found a place on the ground, where one was asked for."""
    if geometry is None or "folded" not in geometry:
        return []
    told = ("missing", "merged", "unreadable")
    notes = [f"{geometry[name]:,} {name}" for name in told if geometry[name]]
    return [f"{geometry['joined']:,} of {geometry['links']:,} links have a geometry{_aside(notes)}"]


def bounded_by(receipt: Mapping[str, Any]) -> str:
    """Say what the run's mapping waited for most."""
    times, work = receipt["times_s"], receipt["work"]
    busy = work["worked_s"] + work["waited_s"]
    if busy < HARDLY * times["map"]:  # together they did less than half of what one could
        listing = times["list"] > MOSTLY * times["map"]
        return "listing the source" if listing else "starting the workers (a small run)"
    if work["waited_s"] > MOSTLY * busy:
        return "reading the objects"
    if work["worked_s"] > MOSTLY * busy:
        return "decoding them (processor)"
    return "reading and decoding alike"


def _aside(notes: list[str]) -> str:
    return f" ({', '.join(notes)})" if notes else ""
