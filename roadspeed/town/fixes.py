"""A drive as the logger wrote it down: the trip document, with a receiver's errors.

Positions wander by some metres and are matched back to the road; about one fix in a hundred
finds no road, now and then a speed is missing, and very rarely an id is no integer, so that
whoever counts has something to count. Numbers are rounded here, once. Plain dictionaries and
lists come out; nothing is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from roadspeed.town.landscape import to_wgs84

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from roadspeed.town.drives import Drive
    from roadspeed.town.errands import Errand
    from roadspeed.town.network import Network

COUNTRY, COUNTY, TOWN = "Doggerland", "County of Dogger Bank", "Doggerhaven"
NOT_IDS = ("unknown", "-", "71840265.5", "")  # what stands in place of an id, very rarely
_UNMATCHED = 0.0011  # chance that a stretch without a match begins at a fix
_NO_SPEED = 0.0008
_NO_ID = 0.00004
_STRAIGHT_M = 5000.0  # a larger radius is a straight road
_WANDER = np.exp(-np.arange(40) / 11.0)


class LinkWords:
    """What a fix says of its link, prepared once for all links of a net."""

    def __init__(self, net: Network) -> None:
        from roadspeed.town.network import FUNCTIONAL_CLASS  # noqa: PLC0415 - a cycle otherwise

        self.link_id = [str(i) for i in net.link_id.tolist()]
        self.address = [f"{name}, {TOWN}" for name in net.name]
        self.highway = net.highway
        self.functional_class = [str(FUNCTIONAL_CLASS[h]) for h in net.highway]
        self.limit = [float(v) for v in net.limit_kmh.tolist()]
        self.urban = net.urban.tolist()
        self.guessed = [h in {"residential", "service"} for h in net.highway]


def document(
    drive: Drive, errand: Errand, words: LinkWords, rng: np.random.Generator
) -> dict[str, list[dict[str, Any]]]:
    """Write a drive down as a trip document of the 2019 shape: `{"data": [fix, …]}`."""
    n = min(len(drive.s_m), int(errand.wanted_s))
    s, v = drive.s_m[:n], drive.v_ms[:n]
    index = np.clip(np.searchsorted(drive.way_s, s, side="right") - 1, 0, len(drive.way_s) - 2)
    step = drive.way[index + 1] - drive.way[index]
    heading = np.arctan2(step[:, 0], step[:, 1])
    sideways, lengthways = _wander(n, rng) * 2.6, _wander(n, rng) * 1.7
    matched_s = np.clip(s + lengthways, 0.0, drive.way_s[-1])
    matched = _at(drive, matched_s)
    beside = np.column_stack((np.cos(heading), -np.sin(heading)))
    fix = matched + beside * sideways[:, None]
    on = np.clip(np.searchsorted(drive.way_s, matched_s, side="right") - 1, 0, len(drive.way_s) - 2)
    link = drive.way_link[on].tolist()
    bend = np.interp(s, drive.way_s, drive.curvature)
    bend[np.abs(bend) < 1.0 / _STRAIGHT_M] = 0.0
    measured = np.where(v > 0.0, np.maximum(v + rng.normal(0.0, 0.12, n), 0.0), 0.0)
    speeds = np.round(measured * 3.6, 4).tolist()
    for k in np.flatnonzero(rng.random(n) < _NO_SPEED).tolist():
        speeds[k] = None
    responses = _responses(
        link, words, matched=matched, sideways=sideways, heading=heading,
        forward=drive.way_forward[on],
    )  # fmt: skip
    _spoil(responses, rng)
    radii = np.round(1.0 / np.where(bend == 0.0, 1.0, bend), 3)
    degrees = np.round(np.degrees(heading) % 360.0, 1) % 360.0
    where = np.round(to_wgs84(fix), 7)
    corner = np.where(np.abs(bend) < 1 / 250.0, 0, np.where(bend > 0, 1, 2))
    gone = np.concatenate(([0.0], np.diff(s)))
    return {
        "data": [
            {
                "absVelocity": speed, "angle": angle, "cornerType": _CORNERS[turn],
                "datetime": time, "dbResponse": response, "dist": dist, "lat": lat, "long": lon,
                "radAccel": side, "radii": radius if radius != 1.0 else None,
                "spdLim": words.limit[k], "tangAccel": gain, "timeSecs": second,
            }
            for speed, angle, turn, time, response, dist, lat, lon, side, radius, k, gain, second
            in zip(speeds, degrees.tolist(), corner.tolist(), _times(errand.start, n), responses,
                   np.round(gone, 3).tolist(), where[:, 1].tolist(), where[:, 0].tolist(),
                   np.round(v * v * bend, 6).tolist(), radii.tolist(), link,
                   np.round(np.gradient(v), 6).tolist(), np.arange(n, dtype=np.float64).tolist(),
                   strict=True)
        ]
    }  # fmt: skip


_CORNERS = ("straight", "left", "right")


def _at(drive: Drive, s: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.column_stack([np.interp(s, drive.way_s, drive.way[:, axis]) for axis in (0, 1)])


def _wander(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Noise of unit variance that remembers itself for some ten seconds, (n,)."""
    noise = rng.normal(0.0, 1.0, n + len(_WANDER) - 1)
    return np.convolve(noise, _WANDER, mode="valid") / float(np.sqrt((_WANDER**2).sum()))


def _times(start: np.datetime64, n: int) -> list[str]:
    texts = np.datetime_as_string(start + np.arange(n).astype("timedelta64[s]"), timezone="UTC")
    return texts.tolist()  # type: ignore[no-any-return] # numpy's tolist is untyped


def _responses(
    link: list[int], words: LinkWords, *, matched: NDArray[np.float64],
    sideways: NDArray[np.float64], heading: NDArray[np.float64], forward: NDArray[np.bool_],
) -> list[dict[str, Any] | None]:  # fmt: skip
    where = np.round(to_wgs84(matched), 7)
    return [
        {
            "address": words.address[k], "country": COUNTRY, "county": COUNTY,
            "dirTravel": "F" if ahead else "T", "distFromPoint": off,
            "functionalClass": words.functional_class[k],
            "heuristicSpeedLimit": words.guessed[k], "linkID": words.link_id[k],
            "matchDirection": direction, "matchLatitude": lat, "matchLongitude": lon,
            "roadType": words.highway[k], "speedLimit": words.limit[k], "urban": words.urban[k],
        }
        for k, ahead, off, direction, lat, lon in zip(
            link, forward.tolist(), np.round(np.abs(sideways), 2).tolist(),
            (np.round(np.degrees(heading) % 360.0, 1) % 360.0).tolist(),
            where[:, 1].tolist(), where[:, 0].tolist(), strict=True)
    ]  # fmt: skip


def _spoil(responses: list[dict[str, Any] | None], rng: np.random.Generator) -> None:
    """Lose the match of some stretches, and very rarely an id."""
    n = len(responses)
    for start in np.flatnonzero(rng.random(n) < _UNMATCHED).tolist():
        for k in range(start, min(n, start + 1 + int(rng.integers(1, 18)))):
            responses[k] = None
    for k in np.flatnonzero(rng.random(n) < _NO_ID).tolist():
        response = responses[k]
        word = NOT_IDS[int(rng.integers(len(NOT_IDS)))]
        if response is not None:
            response["linkID"] = word
