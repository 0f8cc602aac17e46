"""Holidays: a file of dates, one a line (`2019-12-25`), with comments after `#`."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, Final

import mapreduce as mr

if TYPE_CHECKING:
    from pathlib import Path

_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_EPOCH: Final = date(1970, 1, 1).toordinal()


def read_holidays(path: Path) -> frozenset[int]:
    """Read a file of dates; give them as days since 1970-01-01.

    Raises
    ------
    UsageError
        It cannot be read, a line is no date, or there is none.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise mr.UsageError(f"the holidays {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise mr.UsageError(f"the holidays {path} are no text in UTF-8") from None
    found = set()
    for number, line in enumerate(text.splitlines(), 1):
        if word := line.partition("#")[0].strip():
            found.add(_day(word, f"{path}, line {number}"))
    if not found:
        raise mr.UsageError(f"the holidays {path} hold no date: expected one a line, as 2019-12-25")
    return frozenset(found)


def _day(word: str, where: str) -> int:
    try:
        if _DATE.fullmatch(word):
            return date.fromisoformat(word).toordinal() - _EPOCH
    except ValueError as error:
        raise mr.UsageError(f"{where}: {word} is no date: {error}") from None
    raise mr.UsageError(f"{where}: expected a date such as 2019-12-25, got {word!r}")
