"""What is said of a look at some trips: the fields, what may hinder a run, the command to type."""

from __future__ import annotations

import operator
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mapreduce.formats.field_path import is_nameable, path_of
from mapreduce.safe_text import in_line
from roadspeed.inspect.inspect import MARK, UNNAMED, Where
from roadspeed.inspect.leaves import likely, odd_ids, shown, text_speed
from roadspeed.inspect.traces import time_of, trace_of, unit_of, value_at
from roadspeed.trip import DEFAULT_SPEED_UNIT, GPX_PATHS, PATHS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roadspeed.inspect.inspect import Findings, RecordPlace
    from roadspeed.inspect.leaves import Keys
    from roadspeed.inspect.traces import Trace

MOST_NAMED: Final = 3
NESTED: Final = frozenset(("json", "json-documents", "json-columns"))
NO_OBJECTS: Final = (
    "The list contains no JSON objects: a run needs one object per fix, such as"
    ' {"linkID": 401, "speed": 30}. Write the columns as records (in pandas: orient=\'records\').'
)


def told(found: Findings, source: str, reached: Sequence[str] = ()) -> str:
    """Give the findings for people, with the command to type next.

    `reached` are the options with which the source was reached, as they are typed.
    """
    place = found.place
    paths = {keys: shown(keys) for keys in place.leaves}
    width = max(map(len, paths.values()), default=4)
    lines = [_covered(found), ""]
    for keys, leaf in place.leaves.items():
        if not leaf.filled and any(k[: len(keys)] == keys != k for k in place.leaves):
            continue  # a parent that is null now and then; its members tell it
        missing = place.records - leaf.filled
        share = 100 * missing / max(1, place.records)
        unnamed = "" if all(map(is_nameable, keys)) else "  (a path cannot name this key)"
        example = in_line(leaf.example.replace(MARK, ""))
        lines.append(
            f"  {paths[keys]:<{width}}  {share:5.1f} % null  {leaf.looks:<28} {example}{unnamed}"
        )
    if place.not_records:
        lines.append(f"  no JSON objects: {place.not_records:,} of these records")
    lines += [f"  {in_line(fault)}" for fault in found.faults]
    lines += [f"  {in_line(key)}: lines of a map, like roads; not a trip" for key in found.roads]
    others = {where: p for where, p in found.places.items() if p is not place}
    lines += [f"  also {p.records:,} records{_placed(where)}" for where, p in others.items()]
    typed = " ".join([shlex.quote(source), *reached])
    lines += ["", *_advice(found, typed)]
    return "\n".join(lines)


def _covered(found: Findings) -> str:
    read = found.objects - found.unreadable
    objects = f"{read:,} of {found.objects:,}" if found.unreadable else f"{found.objects:,}"
    records = f"{objects} objects, {found.place.records:,} records"
    return records + (_placed(found.at) if found.at is not None else "")


def _placed(where: Where) -> str:
    """Say where records are: in JSON by the path of their list, else by the format."""
    if where.format in NESTED:
        path = in_line(where.path.replace(UNNAMED, ""))
        return f" at '{path}'" + (" a line" if where.format == "json-documents" else "")
    return f" of {where.format}"


def _advice(found: Findings, typed: str) -> list[str]:
    place = found.place
    if not place.records:
        alone = "These are roads: use the trips as SOURCE, and this file with --roads."
        return [
            alone if found.roads else "There is no record from which to guess link id and speed."
        ]
    if place.not_records == place.records:
        return [NO_OBJECTS]
    seen = _Seen.of(found)
    links, speeds = seen.links, seen.speeds
    said = []
    if not links:
        said.append(_no_link(place, seen))
    if not speeds:
        said.append(_no_speed(place, seen))
    if links and speeds:
        unit = (
            f"{seen.unit}, by distance over time" if seen.unit else "add --unit if it is not km/h"
        )
        said.append(
            f"Likely: link id at {shown(links[0])}, speed at {shown(speeds[0])} "
            f"(up to {place.leaves[speeds[0]].high:.5g}; {unit})."
        )
    if links and seen.time is not None:
        said.append(_times(found, *seen.time))
    if seen.trip:
        said.append(f"An object holds several trips: --trip {seen.trip} counts them by their id.")
    said += [
        f"{shown(keys)} is an object in some records: a run drops these."
        for keys in (*links[:1], *speeds[:1])
        if any(k[: len(keys)] == keys != k for k in place.leaves)
    ]
    said += [*_others("link id", "--link", links), *_others("speed", "--speed", speeds)]
    if speeds and (below := place.leaves[speeds[0]].negative):
        low = place.leaves[speeds[0]].low
        said.append(
            f"{below:,} values of {shown(speeds[0])} are negative (from {low:.5g}): a run drops"
            " such fixes as speed_out_of_range."
        )
    said += _of_not_finite(found, [*links[:1], *speeds[:1]])
    return [*said, f"  {_command(found, typed, seen)}"]


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the likely place of records holds of what a run needs.

    `time` is where times are, and their epoch; `unit` is the unit of speed, "" where nothing tells;
    `trip` what `--trip` would be, "" where an object holds one trip.
    """

    links: list[Keys]
    speeds: list[Keys]
    trace: Trace | None
    time: tuple[Keys, str] | None
    unit: str
    trip: str

    @classmethod
    def of(cls, found: Findings) -> _Seen:
        place, head = found.place, found.at.head if found.at is not None else ""
        links, speeds = likely("link", place.leaves), likely("speed", place.leaves)
        trips = [keys for keys in likely("trip", place.leaves) if keys not in links]
        several = trips and any(
            len({str(value_at(r, trips[0])) for r in s}) > 1 for s in place.samples
        )
        trip = trips[0] if several else None
        trace = trace_of(place.leaves)
        unit = unit_of(place.samples, trace, speeds[0], trip) if trace and speeds else None
        named = f"/{head}" if head else (shown(trip) if trip else "")
        return cls(links, speeds, trace, time_of(place.leaves), unit or "", named)


def _times(found: Findings, keys: Keys, epoch: str) -> str:
    """Say with which options there are speeds by hour."""
    at = found.at or Where()
    usual = (GPX_PATHS if at.format == "gpx" else PATHS).time
    path = keys[0] if at.format == "csv" else path_of(keys)
    options = ["--by hour", "--timezone ZONE"]
    options += [f"--time {shlex.quote(path)}"] if path != usual else []
    options += [f"--time-epoch {epoch}"] if epoch else []
    return f"Times at {shown(keys)}: {' '.join(options)} also gives speeds by hour of the day."


def _no_link(place: RecordPlace, seen: _Seen) -> str:
    if seen.trace is not None:
        return (
            "No field looks like a link id, but there are positions and times: --osm matches them"
            " to the roads of an OpenStreetMap extract."
        )
    if (odd := odd_ids(place.leaves)) is not None:
        return (
            f"{shown(odd)} is named like a link id, but holds {in_line(place.leaves[odd].odd)}:"
            " a run needs integers, or text of at most 64 bytes."
        )
    return "No field looks like a link id: set it with --link PATH."


def _no_speed(place: RecordPlace, seen: _Seen) -> str:
    if (keys := text_speed(place.leaves)) is not None:
        return (
            f"{shown(keys)} holds speeds as text, such as {in_line(place.leaves[keys].example)}:"
            " a run needs numbers. Write them without quotes, and with a decimal point."
        )
    if seen.trace is not None:
        return (
            "No field looks like a speed, but there are positions and times: --speed-from"
            " positions computes speeds from them."
        )
    return "No field looks like a speed: set it with --speed PATH."


def _others(what: str, option: str, paths: list[Keys]) -> list[str]:
    """Name the fields that may be meant instead of the likeliest."""
    if len(paths) < 2:  # noqa: PLR2004 - the likeliest and another
        return []
    named = ", ".join(shown(keys) for keys in paths[1 : 1 + MOST_NAMED])
    more = f" and {len(paths) - 1 - MOST_NAMED} more" if len(paths) - 1 > MOST_NAMED else ""
    return [f"Other candidates for {what}: {named}{more}. Choose with {option}."]


def _of_not_finite(found: Findings, used: list[Keys]) -> list[str]:
    """Say what NaN and Infinity cost, and what helps."""
    place, said = found.place, []
    where = ", ".join(shown(k) for k, leaf in place.leaves.items() if leaf.words)
    if place.not_finite:
        said.append(
            f"{place.not_finite:,} of these records hold NaN or Infinity, which is no JSON"
            f"{f' ({where})' if where else ''}: a run drops them unless --allow-nan is given."
        )
    if found.not_finite_beside:
        said.append(
            "Without --allow-nan, objects with NaN or Infinity outside their records are"
            " quarantined."
        )
    held = {keys: sum(place.leaves[keys].words.values()) for keys in used}
    said += [
        f"{count:,} hold it at {shown(keys)}, which is used: they are dropped in any case."
        for keys, count in held.items()
        if count
    ]
    return said


def _command(found: Findings, typed: str, seen: _Seen) -> str:
    at, leaves = found.at or Where(), found.place.leaves
    named = path_of if at.format != "csv" else operator.itemgetter(0)  # a column as it stands
    links, speeds, trace = seen.links, seen.speeds, seen.trace
    matched = not links and trace is not None
    stepped = not speeds and trace is not None
    places = trace if matched or stepped else None
    usual = GPX_PATHS if at.format == "gpx" else PATHS
    link_type = leaves[links[0]].link_type if links else "int"
    wanted = [
        ("format", at.format, "json"),
        ("delimiter", "tab" if at.delimiter == "\t" else at.delimiter, ","),
        ("decimal", at.decimal, "."),
        ("records-at", at.path if at.format in NESTED else PATHS.data, PATHS.data),
        ("link", named(links[0]) if links else "PATH", "PATH" if matched else PATHS.link),
        ("link-type", link_type, "int"),
        ("speed", named(speeds[0]) if speeds else "PATH", "PATH" if stepped else PATHS.speed),
        ("unit", seen.unit or DEFAULT_SPEED_UNIT, DEFAULT_SPEED_UNIT),
        ("trip", seen.trip, ""),
        ("osm", "EXTRACT" if matched else "", ""),
        ("speed-from", "positions" if stepped else "field", "field"),
        ("latitude", named(places.latitude) if places else usual.latitude, usual.latitude),
        ("longitude", named(places.longitude) if places else usual.longitude, usual.longitude),
        ("time", named(places.time) if places else usual.time, usual.time),
        ("time-epoch", places.epoch if places else "", ""),
    ]
    used = [*speeds[:1], *((places.latitude, places.longitude) if places else ())]
    options = [
        f"--{name} {shlex.quote(value)}" for name, value, default in wanted if value != default
    ]
    if any(leaves[keys].is_json_text for keys in used):
        options.append("--text-numbers")
    options += [f"--exclude {shlex.quote(key)}" for key in found.roads]
    if found.place.not_finite or found.not_finite_beside:
        options.append("--allow-nan")
    end = "--out OUT" if matched else "--out OUT --roads ROADS"
    return " ".join(["roadspeed run", typed, *options, end])
