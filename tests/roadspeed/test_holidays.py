"""Holidays: a file of dates."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

import mapreduce as mr
from roadspeed.measures.holidays import read_holidays

if TYPE_CHECKING:
    from pathlib import Path


def test_dates_are_read_and_comments_are_not(tmp_path: Path) -> None:
    path = tmp_path / "holidays.txt"
    path.write_bytes(
        b"\xef\xbb\xbf# Northern Ireland\r\n2019-12-25  # Christmas\r\n\r\n2020-02-29\n"
    )
    epoch = date(1970, 1, 1).toordinal()
    days = {date(2019, 12, 25).toordinal() - epoch, date(2020, 2, 29).toordinal() - epoch}
    assert read_holidays(path) == days


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "hold no date"),
        (b"# none\n\n", "hold no date"),
        (
            b"2019-12-25\n25.12.2019\n",
            "line 2: expected a date such as 2019-12-25, got '25.12.2019'",
        ),
        (b"20191225\n", "line 1: expected a date"),
        (b"2019-02-29\n", "line 1: 2019-02-29 is no date"),
        (b"2019-12-25 2019-12-26\n", "line 1: expected a date"),
        (b"\xff\xfe2", "no text in UTF-8"),
    ],
)
def test_what_is_no_file_of_dates_is_refused(content: bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / "holidays.txt"
    path.write_bytes(content)
    with pytest.raises(mr.UsageError) as caught:
        read_holidays(path)
    assert told in str(caught.value)


def test_a_file_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(mr.UsageError, match="cannot be read: No such file"):
        read_holidays(tmp_path / "none")
