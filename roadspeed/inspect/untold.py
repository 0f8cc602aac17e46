"""What a finished run could not tell at all, and the option that would help."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from roadspeed.speeds import Speeds

LOOK: Final = "see `roadspeed inspect SOURCE`"


def untold(receipt: Mapping[str, Any], job: Speeds) -> list[str]:
    """Say which tables of measures are empty, and why: a line each."""
    return [*_times(receipt, job), *_directions(receipt, job), *_limits(receipt, job),
            *_withheld(receipt)]  # fmt: skip


def _times(receipt: Mapping[str, Any], job: Speeds) -> Iterator[str]:
    kept, said = receipt["records"]["kept"], receipt["groupings"]
    empty = [one for one in job.measures.groupings if one.times and not said[one.name]["fixes"]]
    if not empty or not kept:
        return
    names = ", ".join(one.name for one in empty)
    why = f"not one of {kept:,} fixes has a time that can be read at {job.time!r}"
    if all("period" in one.parts for one in empty):
        why += ", or not one is in a period"
    yield f"by {names}: {why}: set --time PATH, and --time-epoch for numbers; {LOOK}"


def _directions(receipt: Mapping[str, Any], job: Speeds) -> Iterator[str]:
    for name, said in receipt["groupings"].items():
        if said["fixes"] and said.get("unknown_direction") == said["fixes"]:
            where = f" at {job.direction!r}" if job.direction else ""
            yield (
                f"by {name}: the direction of not one of {said['fixes']:,} fixes is known, by"
                f" {job.direction_from}{where}: see docs/direction.md; {LOOK}"
            )


def _limits(receipt: Mapping[str, Any], job: Speeds) -> Iterator[str]:
    if job.speed_limit and receipt["limited_fixes"] == 0:
        yield f"limits: not one fix has a number above 0 at {job.speed_limit!r} (--speed-limit)"


def _withheld(receipt: Mapping[str, Any]) -> Iterator[str]:
    for name, said in receipt["groupings"].items():
        if said["withheld"] and not said["cells"]:
            few = receipt["publishing"]["min_trips"]
            yield (
                f"by {name}: all {said['withheld']:,} cells are withheld: fewer than {few} trips,"
                " or they would reveal such"
            )
