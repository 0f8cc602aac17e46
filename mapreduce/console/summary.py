"""The last line of a run: what it covered, how long each phase took, what bounded it."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mapreduce.formats.parsed import NOT_A_RECORD
from mapreduce.safe_text import in_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MOSTLY = 0.7
HARDLY = 0.5  # of what all slots could have done
MOST_HOSTS = 3
MANY = 0.1  # of the records: so many dropped for one reason are worth a line


def summary(receipt: Mapping[str, Any], helps: Mapping[str, str] = MappingProxyType({})) -> str:
    """Give the closing lines for people; `helps` tells by reason what helps against it."""
    objects, records, times = receipt["objects"], receipt["records"], receipt["times_s"]
    set_aside = [f"{objects[n]:,} {n}" for n in ("quarantined", "ignored") if objects[n]]
    dropped = [f"{count:,} {reason}" for reason, count in records["dropped"].items()]
    refused = [f"{n:,} keys rejected in {t}" for t, n in records.get("refused_keys", {}).items()]
    covered = (
        f"{objects['ok']:,} of {objects['listed']:,} objects{_aside(set_aside)},"
        f" {records['kept']:,} of {records['read']:,} records{_aside(dropped + refused)}"
    )
    lines = [covered, *_geometry(receipt.get("geometry")), f"{receipt['digest']}"]
    spent = ", ".join(f"{name} {s:.1f}" for name, s in times.items() if name != "total" and s)
    resumed = receipt.get("resumed") or receipt.get("retried")
    mapped_bytes = objects["bytes"] if resumed is None else resumed["bytes_since"]
    added = receipt.get("added")
    if added:
        mapped_bytes = 0
        lines.append(f"the sums of {len(added)} runs: {', '.join(one['run'] for one in added)}")
    rate = mapped_bytes / 1e6 / max(times["map"], 1e-3)
    by = bounded_by(receipt)
    lines.append(
        f"{times['total']:.1f} s ({spent})"
        + (f"; mapped at {rate:,.0f} MB/s" if mapped_bytes else "")
        + (f", bounded by {by}" if by else "")
    )
    lines += _hosts(receipt["work"].get("hosts", ()))
    lines += [*_many(records, helps), *_nan(records.get("nan"), receipt)]
    return "\n".join(lines)


def _hosts(shares: Sequence[Mapping[str, Any]]) -> list[str]:
    """Name the hosts with which something was wrong; the receipt has all of them."""
    wrong = []
    for share in shares:
        told = [f"lost {share['lost']} times"] if share["lost"] else []
        told += [f"suspended {share['set_aside']} times"] if share["set_aside"] else []
        told += ["throttled"] if share["throttled"] else []
        told += ["took no part"] if share["why"] and not share["tasks"] else []
        why = in_line(share["why"].partition("\n")[0])
        if told:
            wrong.append(f"host {share['host']}: {', '.join(told)}{f' ({why})' if why else ''}")
    most = wrong[:MOST_HOSTS]
    return most + ([f"and {len(wrong) - len(most)} more hosts"] if wrong[MOST_HOSTS:] else [])


def _many(records: Mapping[str, Any], helps: Mapping[str, str]) -> list[str]:
    """Say what helps where a large part of the records was dropped for one reason."""
    lines = []
    dropped = dict(records["dropped"])
    if "nan" in records:
        dropped[NOT_A_RECORD] -= records["nan"]["records"]  # they have lines of their own
    for reason, count in dropped.items():
        if count and count >= MANY * records["read"]:
            help_ = f"{helps[reason]}; " if reason in helps else ""
            share = f"{100 * count / records['read']:.0f} %"
            lines.append(f"{share} of the records are {reason}: {help_}dropped.csv has examples")
    return lines


def _nan(nan: Mapping[str, Any] | None, receipt: Mapping[str, Any]) -> list[str]:
    """Say which records were dropped for NaN alone, and what would take them."""
    lines = []
    if nan is not None:
        first = nan["first"]
        where = f"first {first['value']}, record {first['row']:,} of {in_line(first['key'])}"
        if unused := nan["unused"]:
            lines.append(
                f"{unused:,} records hold NaN or Infinity in a field that is not used ({where}):"
                " --allow-nan accepts them"
            )
        if wanted := nan["records"] - unused:
            said = "also" if unused else f"({where})"
            lines.append(
                f"{wanted:,} records hold NaN or Infinity {said} and would also be dropped with"
                " --allow-nan, because of a field that is used"
            )
    if count := receipt["objects"].get("nan", 0):
        lines.append(
            f"{count:,} objects were quarantined for NaN or Infinity outside their records:"
            " --allow-nan accepts them"
        )
    return lines


def _geometry(geometry: Mapping[str, int] | None) -> list[str]:
    """Say how many rows found a place on the ground, where one was asked for."""
    if geometry is None or "folded" not in geometry:
        return []
    told = ("missing", "merged", "unreadable")
    notes = [f"{geometry[name]:,} {name}" for name in told if geometry[name]]
    return [f"{geometry['joined']:,} of {geometry['links']:,} links have a geometry{_aside(notes)}"]


def bounded_by(receipt: Mapping[str, Any]) -> str | None:
    """Say what the run's mapping waited for most; None where the receipt does not tell.

    It does not where the engine does not know its slots (Dask, Spark), nor for a run that was gone
    on with, whose work was partly done before.
    """
    times, work = receipt["times_s"], receipt["work"]
    if "slots" not in work:
        return None
    busy_s = work["worked_s"] + work["waited_s"]
    total_s = work["slots"] * times["map"]  # what all slots could have done in that time
    if busy_s < HARDLY * total_s:
        if times["list"] > MOSTLY * times["map"]:
            return "listing the source"
        starting = total_s - work["slots_s"] > work["slots_s"] - busy_s
        return (
            "starting the workers (small run)" if starting else "the number of slots (little work)"
        )
    if work["waited_s"] > MOSTLY * busy_s:
        return "reading the objects"
    if work["worked_s"] > MOSTLY * busy_s:
        return "decoding the objects (CPU)"
    return "both reading and decoding"


def _aside(notes: list[str]) -> str:
    return f" ({', '.join(notes)})" if notes else ""
