"""One bad object and what must become of it: set aside for a reason, or read but for some records.

Records that are kept are all the same one, link 1 at speed 1: so what a folder of cases must give
is known without reading any of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from mapreduce.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.jobs.forms import Sums

LIMITS: Final = Limits(object_cap_bytes=8 << 20, line_cap_bytes=1 << 20)
SWELLING_BYTES: Final = 96 << 20  # of a worker, beside what it takes for good objects


Content: TypeAlias = "bytes | Callable[[], bytes]"
Cases: TypeAlias = "Mapping[str, Case]"


@dataclass(frozen=True, slots=True)
class Case:
    """An object and its account.

    Attributes
    ----------
    content
        What it holds, or what makes that: bombs take a second.
    reason
        Why it, or the member `within` it, is set aside; empty where it is not.
    told
        Words that must be said of that.
    ok
        How many objects are read: an archive holds some.
    """

    content: Content
    reason: str = ""
    told: str = ""
    within: str = ""
    ok: int = 0
    kept: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        """Its bytes."""
        return self.content if isinstance(self.content, bytes) else self.content()


def refused(
    content: Content, reason: str, told: str = "", *, within: str = "", ok: int = 0, kept: int = 0
) -> Case:
    """Give an object that is set aside; of an archive `ok` members are not."""
    return Case(content, reason, told, within, ok, kept)


def taken(content: Content, kept: int = 0, *, ok: int = 1, **dropped: int) -> Case:
    """Give an object that is read, with the records that are kept and dropped of it."""
    return Case(content, "", "", "", ok, kept, dropped)


@dataclass(frozen=True, slots=True)
class Form:
    """A format: its job, good objects, cases, and how an object of n plain records is written."""

    job: Callable[[], Sums]
    good: Mapping[str, bytes]
    plain: Callable[[int], bytes]
    cases: Cases
