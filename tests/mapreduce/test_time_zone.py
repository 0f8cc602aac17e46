"""Time zones: each zone of tzdata against the standard library, at random times and at changes."""

from __future__ import annotations

import pickle
import random
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mapreduce as mr
from mapreduce.formats.times import SECOND_US
from mapreduce.time_zone import STEP

if TYPE_CHECKING:
    from pathlib import Path

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NAIVE = datetime(1970, 1, 1)  # noqa: DTZ001 - a wall clock
US = timedelta(microseconds=1)
END_US = (datetime(2100, 1, 1, tzinfo=UTC) - EPOCH) // US
NAMES = (mr.zone_file("UTC").parents[1] / "zones").read_text().split()
WELL_KNOWN = ["Europe/London", "Asia/Kolkata", "Australia/Lord_Howe", "Africa/Casablanca"]
ODD = [*WELL_KNOWN, "Europe/Dublin", "Pacific/Apia", "Africa/Monrovia", "Asia/Kathmandu"]


@cache
def both(name: str) -> tuple[mr.TimeZone, ZoneInfo]:
    path = mr.zone_file(name)
    with path.open("rb") as file:
        return mr.TimeZone(path), ZoneInfo.from_file(file)


def offset_of(theirs: ZoneInfo, utc_us: int) -> int:
    found = theirs.fromutc((EPOCH + utc_us * US).replace(tzinfo=theirs)).utcoffset()
    assert found is not None
    return found // US


def utc_of(theirs: ZoneInfo, local_us: int) -> int:
    local = (NAIVE + local_us * US).replace(tzinfo=theirs, fold=0)
    return (local.astimezone(UTC) - EPOCH) // US


@pytest.mark.parametrize("name", NAMES)
def test_each_zone_is_as_the_standard_library_has_it(name: str) -> None:
    ours, theirs = both(name)
    seeded = random.Random(name)
    changes = ours._table().in_utc.tolist()
    near = [at + d for at in changes for d in (-SECOND_US, -1, 0, 1, SECOND_US)]
    times = [*near, *(seeded.randrange(END_US) for _ in range(200)), 0, END_US - 1]
    utc = np.array([t for t in times if 0 <= t < END_US], np.int64)
    offsets = [offset_of(theirs, t) for t in utc.tolist()]
    assert ours.offsets(utc).tolist() == offsets
    assert (ours.local(utc) - utc).tolist() == offsets
    some = [-7200, -3601, -3600, -1800, -1, 0, 1, 1799, 1800, 3599, 3600, 7200]
    wall = {
        t + d * SECOND_US for t in ours.local(np.array(changes, np.int64)).tolist() for d in some
    }
    walls = np.array([*sorted(wall), *utc.tolist()], np.int64)
    walls = walls[(walls > 86_400 * SECOND_US) & (walls < END_US - 86_400 * SECOND_US)]
    assert ours.utc(walls).tolist() == [utc_of(theirs, t) for t in walls.tolist()]


def test_no_zone_changed_twice_within_what_is_asked_for_at_once() -> None:
    between = [np.diff(both(name)[0]._table().in_utc).min(initial=END_US) for name in NAMES]
    assert min(between) > 2 * (STEP // US)


@given(st.sampled_from(ODD), st.lists(st.integers(0, END_US - 1), max_size=30))
def test_a_batch_is_read_as_its_times_are_one_by_one(name: str, times: list[int]) -> None:
    ours, theirs = both(name)
    utc = np.array(times, np.int64)
    assert ours.offsets(utc).tolist() == [offset_of(theirs, t) for t in times]
    assert ours.local(utc).shape == ours.utc(utc).shape == utc.shape


@given(st.sampled_from(ODD), st.integers(0, END_US - 10**13), st.integers(0, 10**13))
def test_local_times_lead_back_but_for_the_second_of_two(name: str, start: int, more: int) -> None:
    ours, _ = both(name)
    utc = np.array([start, start + more // 2, start + more], np.int64)
    back = ours.utc(ours.local(utc))
    assert (ours.local(back) == ours.local(utc)).all()
    assert (back <= utc).all()


def moment(text: str) -> int:
    return (datetime.fromisoformat(text) - NAIVE) // US


@pytest.mark.parametrize(
    ("name", "local", "utc"),
    [
        ("Europe/London", "2019-03-31T00:59:59", "2019-03-31T00:59:59"),
        ("Europe/London", "2019-03-31T01:30:00", "2019-03-31T01:30:00"),  # never shown
        ("Europe/London", "2019-03-31T02:00:00", "2019-03-31T01:00:00"),
        ("Europe/London", "2019-10-27T01:30:00", "2019-10-27T00:30:00"),  # the first of two
        ("Europe/London", "2019-10-27T02:00:00", "2019-10-27T02:00:00"),
        ("Europe/London", "1971-01-01T00:00:00", "1970-12-31T23:00:00"),  # summer all year then
        ("Australia/Lord_Howe", "2019-04-07T01:45:00", "2019-04-06T14:45:00"),  # half an hour
        ("Asia/Kathmandu", "2020-02-29T00:00:00", "2020-02-28T18:15:00"),
        ("America/St_Johns", "2019-07-01T00:00:00", "2019-07-01T02:30:00"),
        ("Pacific/Apia", "2011-12-30T12:00:00", "2011-12-30T22:00:00"),  # a day left out
        ("Europe/London", "2090-07-01T12:00:00", "2090-07-01T11:00:00"),
        ("Africa/Monrovia", "1971-06-01T00:00:00", "1971-06-01T00:44:30"),
    ],
)
def test_gaps_folds_and_odd_offsets(name: str, local: str, utc: str) -> None:
    ours, _ = both(name)
    assert ours.utc(np.array([moment(local)], np.int64)).tolist() == [moment(utc)]


def test_before_1970_and_after_2100_it_is_the_offset_of_the_end() -> None:
    ours, _ = both("Europe/London")
    far = np.array([moment("1900-07-01T00:00:00"), moment("2150-07-01T00:00:00")], np.int64)
    assert (ours.offsets(far) // SECOND_US).tolist() == [3600, 0]


def test_a_zone_is_its_content(tmp_path: Path) -> None:
    source = mr.zone_file("Europe/London")
    copy = tmp_path / "some name"
    copy.write_bytes(source.read_bytes())
    one, other = mr.TimeZone(source), mr.TimeZone(copy)
    assert one == other
    assert len({one, other, mr.TimeZone(mr.zone_file("Europe/Paris"))}) == 2
    assert repr(one) == repr(other)
    one.offsets(np.zeros(3, np.int64))
    copy.unlink()
    sent = pickle.loads(pickle.dumps(one))
    assert sent == one
    assert sent.offsets(np.zeros(1, np.int64)).tolist() == [3600 * SECOND_US]
    assert mr.Time("t", zone=one) == mr.Time("t", zone=sent)
    assert hash(mr.Time("t", zone=one)) == hash(mr.Time("t", zone=sent))


def test_no_array_that_was_given_is_written_into() -> None:
    ours, _ = both("Europe/London")
    times = np.array([0, 1], np.int64)
    times.flags.writeable = False
    found = ours.offsets(times)
    found += 1  # nor is ours: another call gives the same
    assert ours.offsets(times).tolist() == [3600 * SECOND_US] * 2
    assert ours.local(times).tolist() == [3600 * SECOND_US, 3600 * SECOND_US + 1]


@pytest.mark.parametrize(
    "content", [b"", b"GMT0", b"TZif", b"TZif2" + b"\0" * 50, b"x" * (2 << 20)]
)
def test_what_is_no_zone_file_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "zone"
    path.write_bytes(content)
    with pytest.raises(mr.UsageError, match="no compiled zone file"):
        mr.TimeZone(path)


def test_every_cut_and_any_odd_byte_of_a_zone_file_is_refused_or_read(tmp_path: Path) -> None:
    content = mr.zone_file("Europe/London").read_bytes()
    seeded = random.Random(5)
    bodies = [content[:length] for length in range(0, len(content), 7)]
    for _ in range(100):
        changed = bytearray(content)
        changed[seeded.randrange(len(content))] = seeded.randrange(256)
        bodies.append(bytes(changed))
    path = tmp_path / "zone"
    refused = 0
    for body in bodies:
        path.write_bytes(body)
        try:
            mr.TimeZone(path).offsets(np.zeros(1, np.int64))
        except mr.UsageError:
            refused += 1
    assert 0 < refused < len(bodies)


def test_a_file_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(mr.UsageError, match="cannot be read: No such file"):
        mr.TimeZone(tmp_path / "none")
    with pytest.raises(mr.UsageError, match="cannot be read: Is a directory"):
        mr.TimeZone(tmp_path)


@pytest.mark.parametrize(
    ("typed", "near"),
    [
        ("Europe/Lodnon", "Europe/London"),
        ("europe/london", "Europe/London"),
        ("London", "Europe/London"),
        ("new york", "America/New_York"),
        ("Kolkatta", "Asia/Kolkata"),
    ],
)
def test_near_names_are_told(typed: str, near: str) -> None:
    with pytest.raises(mr.UsageError, match=f"{typed!r}.*Did you mean .*{near}"):
        mr.zone_file(typed)


@pytest.mark.parametrize("typed", ["", "Europe", "../../etc/passwd", "/etc/localtime", "zzzz", "."])
def test_what_is_no_zone_is_refused(typed: str) -> None:
    with pytest.raises(mr.UsageError, match="no time zone is called"):
        mr.zone_file(typed)


def test_zones_are_those_of_the_package_and_it_may_be_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert mr.zone_file("Europe/London").parts[-4:] == ("tzdata", "zoneinfo", "Europe", "London")
    monkeypatch.setattr("mapreduce.time_zone.find_spec", lambda _: None)
    with pytest.raises(mr.UsageError, match=r"need the package tzdata.*pip install"):
        mr.zone_file("Europe/London")
