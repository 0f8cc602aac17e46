"""What is said of a look at some trips: the fields, what may hinder a run, the command to type."""

from __future__ import annotations

import operator
import shlex
from typing import TYPE_CHECKING, Final

from mapreduce.formats.field_path import is_nameable, path_of
from mapreduce.safe_text import in_line
from roadspeed.inspect.inspect import MARK, Where
from roadspeed.inspect.leaves import float_ids, likely, odd_ids, shown, text_speed
from roadspeed.trip import PATHS

if TYPE_CHECKING:
    from roadspeed.inspect.inspect import Findings, RecordPlace
    from roadspeed.inspect.leaves import Keys

MOST_NAMED: Final = 3
NO_OBJECTS: Final = (
    "The list contains no JSON objects: a run needs one object per fix, such as"
    ' {"linkID": 401, "speed": 30}. Write the columns as records (in pandas: orient=\'records\').'
)


def told(found: Findings, source: str) -> str:
    """Give the findings for people, with the command to type next."""
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
    lines += ["", *_advice(found, source)]
    return "\n".join(lines)


def _covered(found: Findings) -> str:
    read = found.objects - found.unreadable
    objects = f"{read:,} of {found.objects:,}" if found.unreadable else f"{found.objects:,}"
    records = f"{objects} objects, {found.place.records:,} records"
    return records + (_placed(found.at) if found.at is not None else "")


def _placed(where: Where) -> str:
    """Say where records are: in JSON by the path of their list, else by the format."""
    if where.format in {"json", "json-documents"}:
        return f" at '{shown(where.keys)}'" + (" a line" if where.format != "json" else "")
    return f" of {where.format}"


def _advice(found: Findings, source: str) -> list[str]:
    place = found.place
    if not place.records:
        alone = "These are roads: use the trips as SOURCE, and this file with --roads."
        return [
            alone if found.roads else "There is no record from which to guess link id and speed."
        ]
    if place.not_records == place.records:
        return [NO_OBJECTS]
    links, speeds = likely("link", place.leaves), likely("speed", place.leaves)
    said = [] if links else [_no_link(place)]
    said += [] if speeds else [_no_speed(place)]
    if links and speeds:
        said.append(
            f"Likely: link id at {shown(links[0])}, speed at {shown(speeds[0])} "
            f"(up to {place.leaves[speeds[0]].high:.5g}; add --unit if it is not km/h)."
        )
    if not (links and speeds):
        said += [
            f"At {shown(keys)} these records contain lists of objects, which paths cannot reach:"
            " if those are the fixes, write them as one list."
            for keys, leaf in place.leaves.items()
            if leaf.inner
        ]
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
    return [*said, f"  {_command(found, source, links, speeds)}"]


def _no_link(place: RecordPlace) -> str:
    if (floats := float_ids(place.leaves)) is not None:
        return (
            f"{shown(floats)} holds ids as floats, such as {place.leaves[floats].example}, as"
            " pandas writes a column with nulls: a run needs integers or text of digits. Write"
            " them "
            "as integers (in pandas: astype('Int64')) and name them with --link."
        )
    if (odd := odd_ids(place.leaves)) is not None:
        return (
            f"{shown(odd)} is named like a link id, but holds {in_line(place.leaves[odd].odd)}:"
            " a run needs integers, or text of digits with an optional minus."
        )
    return "No field looks like a link id: set it with --link PATH."


def _no_speed(place: RecordPlace) -> str:
    if (keys := text_speed(place.leaves)) is not None:
        return (
            f"{shown(keys)} holds speeds as text, such as {in_line(place.leaves[keys].example)}:"
            " a run needs numbers. Write them without quotes, and with a decimal point."
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


def _command(found: Findings, source: str, links: list[Keys], speeds: list[Keys]) -> str:
    at = found.at or Where()
    nested = at.format in {"json", "json-documents"}
    named = path_of if at.format != "csv" else operator.itemgetter(0)  # a column as it stands
    options = [
        f"--{name} {shlex.quote(value)}"
        for name, value, default in (
            ("format", at.format, "json"),
            ("delimiter", "tab" if at.delimiter == "\t" else at.delimiter, ","),
            ("decimal", at.decimal, "."),
            ("records-at", path_of(at.keys) if nested else PATHS.data, PATHS.data),
            ("link", named(links[0]) if links else "PATH", PATHS.link),
            ("speed", named(speeds[0]) if speeds else "PATH", PATHS.speed),
        )
        if value != default
    ]
    options += [f"--exclude {shlex.quote(key)}" for key in found.roads]
    if found.place.not_finite or found.not_finite_beside:
        options.append("--allow-nan")
    return " ".join(["roadspeed run", shlex.quote(source), *options, "--out OUT --roads ROADS"])
