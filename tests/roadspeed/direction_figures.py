"""The figures of docs/direction.md: `python -m tests.roadspeed.direction_figures`.

What the direction fields of real drives mean, how often each source of direction agrees with the
movement and with the truth that the demo town knows, and what it costs a fix.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mapreduce.output import say
from roadspeed import roads
from roadspeed.measures.bearings import turn
from roadspeed.measures.direction import BACKWARD, FORWARD, UNKNOWN, directions, held
from roadspeed.measures.headings import headings
from roadspeed.measures.traversals import traversals
from roadspeed.osm.match_folder import folder_of
from roadspeed.osm.osm_roads import LINKS_A_WAY
from tests.curitiba import CURITIBA
from tests.roadspeed.osm_files import write_extract
from tests.roadspeed.test_matching import fixes_of, matcher
from tests.roadspeed.towns import default_town

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from roadspeed.measures.courses import Courses
    from roadspeed.town import Town

TOWN_TRIPS: Final = range(1, 101)
MATCHED_TRIPS: Final = range(1, 21)
NOISES_M: Final = (0.1, 5.0, 10.0, 20.0)
SAID: Final = {"F": FORWARD, "T": BACKWARD}
SPEEDS_KMH: Final = ((0.0, 1.0), (1.0, 5.0), (5.0, 15.0), (15.0, 400.0))
WALK_KMH: Final = 5.0


@dataclass
class Fixes:
    """Fixes on a link with a position: arrays of length n."""

    trip: Any
    link: Any
    lat: Any
    lon: Any
    angle: Any
    speed: Any
    time_us: Any
    permitted: Any
    said: Any

    @classmethod
    def of(cls, trips: Iterable[list[dict[str, Any]]], field: str) -> Fixes:
        """Take them from documents; `field` of a match says the direction driven."""
        rows = [
            (
                number,
                int(match["linkID"]),
                fix["lat"],
                fix["long"],
                np.nan if fix["angle"] is None else fix["angle"],
                np.nan if fix["absVelocity"] is None else fix["absVelocity"],
                datetime.fromisoformat(fix["datetime"]).timestamp() * 1e6,
                str(match["dirTravel"]),
                SAID.get(match[field], UNKNOWN),
            )
            for number, trip in enumerate(trips)
            for fix in trip
            if (match := fix["dbResponse"]) and match["linkID"].isdigit() and fix["lat"] is not None
        ]
        return cls(*map(np.array, zip(*rows, strict=True)))


def share(part: Any) -> str:
    """Write the share of what is true."""
    return f"{np.mean(part):.2%}" if len(part) else "none"


def fields_mean(fixes: Fixes, courses: Courses) -> None:
    """Say what the fields of real drives mean."""
    moved = headings(fixes.trip, fixes.lat, fixes.lon)
    by_movement = directions(courses, fixes.link, moved, fixes.lat, fixes.lon)
    say(f"{len(fixes.link):,} fixes; dirTravel: {dict(Counter(fixes.permitted.tolist()))}")
    both = np.isfinite(moved) & np.isfinite(fixes.angle)
    apart = turn(fixes.angle[both], moved[both])
    say(f"angle within 15° of the movement: {share(apart < 15e6)}, 60°: {share(apart < 60e6)}")
    known = (fixes.said != UNKNOWN) & (by_movement != UNKNOWN)
    agree = fixes.said[known] == by_movement[known]
    say(f"matchDirection: F or T at {share(fixes.said != UNKNOWN)} of fixes, of these from"
        f" {fixes.speed[fixes.said != UNKNOWN].min():.1f} km/h;"
        f" F forward, T backward by the movement: {share(agree)} of {known.sum():,}")  # fmt: skip
    opposite = (by_movement[known] == BACKWARD).sum()
    say(f"of these the movement is backward at {opposite:,}, where dirTravel says B as everywhere")
    for low, high in SPEEDS_KMH:
        some = (fixes.speed >= low) & (fixes.speed < high)
        by_angle = directions(courses, fixes.link, fixes.angle, fixes.lat, fixes.lon)
        stayed = held(by_movement, fixes.trip, fixes.link)
        both = some & (by_angle != UNKNOWN) & (stayed != UNKNOWN)
        say(f"{low:g} to {high:g} km/h: {some.sum():,} fixes; unknown by angle"
            f" {share(by_angle[some] == UNKNOWN)}, by movement"
            f" {share(by_movement[some] == UNKNOWN)}; by angle as the movement of the stay:"
            f" {share(by_angle[both] == stayed[both])}")  # fmt: skip


def means(fixes: Fixes, courses: Courses) -> None:
    """Say what a stay's direction does to the means."""
    moved = headings(fixes.trip, fixes.lat, fixes.lon)
    alone = directions(courses, fixes.link, moved, fixes.lat, fixes.lon)
    for name, found in (("alone", alone), ("held", held(alone, fixes.trip, fixes.link))):
        told = "; ".join(
            f"{word} {share(found == cell)}, mean {np.nanmean(fixes.speed[found == cell]):.1f} km/h"
            for word, cell in (("forward", 1), ("backward", 2), ("unknown", 0))
        )
        say(f"{name}: {told}")


def against_truth(fixes: Fixes, courses: Courses) -> None:
    """Say how often directions are those that the town's drives took."""
    moved = headings(fixes.trip, fixes.lat, fixes.lon)
    slow = fixes.speed < WALK_KMH
    for name, heading in (("angle", fixes.angle), ("movement", moved)):
        heading_of_fast = np.where(slow, np.nan, heading)
        near = directions(courses, fixes.link, heading_of_fast, fixes.lat, fixes.lon)
        whole = directions(courses, fixes.link, heading_of_fast)
        for kind, found in (
            ("nearest segment", near),
            ("whole link", whole),
            ("nearest, held", held(near, fixes.trip, fixes.link)),
        ):
            told = []
            for word, some in (("5 km/h and more", ~slow), ("below", slow)):
                wrong = (found != fixes.said) & (found != UNKNOWN)
                told.append(
                    f"{word}: unknown {share(found[some] == 0)}, wrong {share(wrong[some])}"
                )
            say(f"{name}, {kind}: {'; '.join(told)}")


def by_matching(town: Town) -> None:
    """Say how often matched routes went the way that the town's drives took."""
    with tempfile.TemporaryDirectory() as place:
        write_extract(Path(place, "town.osm.pbf"), town.roads()["features"])
        folder = folder_of(Path(place, "town.osm.pbf"))
        for noise_m in NOISES_M:
            matching = matcher(folder, max(noise_m, 5.0), 5.0)
            all_, right, unknown = 0, 0, 0
            for number in MATCHED_TRIPS:
                fixes = [
                    fix
                    for fix in town.trip(number)["data"]
                    if (match := fix["dbResponse"]) and match["linkID"].isdigit()
                ]
                lat, lon, way = fixes_of(fixes, noise_m, number, at="true")
                found = matching.match(lat, lon, np.arange(len(lat)) * 1_000_000)
                true = np.array([SAID[fix["dbResponse"]["dirTravel"]] for fix in fixes])
                fast = np.array([(fix["absVelocity"] or 0.0) >= WALK_KMH for fix in fixes])
                some = (found.link // LINKS_A_WAY == way) & fast
                right += int(np.count_nonzero(some & (found.direction == true)))
                unknown += int(np.count_nonzero(some & (found.direction == UNKNOWN)))
                all_ += int(np.count_nonzero(some))
            wrong = all_ - right - unknown
            say(f"matching, {noise_m:g} m: {all_:,} fixes on the right way from 5 km/h; unknown"
                f" {unknown / all_:.2%}, wrong {wrong / all_:.2%}")  # fmt: skip


def cost(fixes: Fixes, courses: Courses) -> None:
    """Say what it costs a fix, in one process: by trips, as objects are, and many at once."""
    bounds = np.flatnonzero(np.diff(fixes.trip, prepend=-1, append=-1))
    parts = [slice(a, b) for a, b in pairwise(bounds)]
    speed_um = np.nan_to_num(fixes.speed * 1e6).astype(np.int64)
    time_us = fixes.time_us.astype(np.int64)

    def each(some: slice) -> Any:
        columns = fixes.link, fixes.angle, fixes.lat, fixes.lon
        return directions(courses, *(column[some] for column in columns))

    work: dict[str, Callable[[], Any]] = {
        "directions, a trip at once": lambda: [each(part) for part in parts],
        "directions, all at once": lambda: each(slice(None)),
        "directions without positions": lambda: directions(courses, fixes.link, fixes.angle),
        "headings": lambda: headings(fixes.trip, fixes.lat, fixes.lon),
        "traversals": lambda: traversals(
            fixes.trip, fixes.link, speed_um, time_us, 60_000_000, 1_000_000
        ),
    }
    for name, do in work.items():
        do()
        took = []
        for _ in range(5):
            began_s = time.process_time()
            do()
            took.append(time.process_time() - began_s)
        say(f"{name}: {min(took) / len(fixes.link) * 1e9:,.0f} ns a fix")


def main() -> None:
    """Say them all."""
    drives = [
        json.loads(path.read_bytes())["data"]
        for path in sorted((CURITIBA / "trips").glob("*.json"))
    ]
    real = Fixes.of(drives, "matchDirection")
    courses = roads.courses(str(CURITIBA / "roads.geojson"))
    say("Curitiba")
    fields_mean(real, courses)
    means(real, courses)
    cost(real, courses)
    town = default_town()
    with tempfile.TemporaryDirectory() as place:
        town.write_roads(Path(place, "roads.geojson"))
        courses = roads.courses(str(Path(place, "roads.geojson")))
    made = Fixes.of((town.trip(number)["data"] for number in TOWN_TRIPS), "dirTravel")
    say(f"Demo town, {len(made.link):,} fixes")
    against_truth(made, courses)
    cost(made, courses)
    by_matching(town)


if __name__ == "__main__":
    main()
