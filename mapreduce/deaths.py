"""Whether an object kills the processes that read it, or whether they die whatever they read.

A process that died while it was at an object is a strike against that object. How much a strike
weighs depends on how other processes fared about that time, and afterwards on the same host: where
others died too, the host or the kernel kills, and it weighs nothing. Where there is no other work,
an object that was read well before is read again for comparison: a control. An object is guilty
when it died alone twice, on two hosts where there are two, and when chance would do all of it less
than once in a million. Engines share this rule. It knows no clock, process or engine: the time is
passed in.
"""

from __future__ import annotations

import enum
import math
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


@dataclass(frozen=True, slots=True)
class Doubt:
    """The figures of the rule.

    Attributes
    ----------
    chance
        An object is guilty where chance would do it more seldom than this.
    least, least_here
        The smallest chance that one strike is taken for, however well others fared: where there are
        other hosts, and where there is this one alone, which takes a strike more.
    alone
        Strikes with nothing else in the process.
    near_s
        Deaths of others within so many seconds of a strike speak against the hosts.
    settle_s
        Nothing is judged sooner after a strike: others that died with it may still be on their way.
    control, control_s
        A strike is seen in the light of others once they have lived so many times as long as it
        took, or so many seconds, one of them afterwards on its host.
    spread_s
        Where no others are to be had: the first and the last strike are so far apart.
    most, most_s
        Strikes alone, and seconds from the first to the last, after which the run stops (resumable)
        where they prove nothing.
    longest_pause_s
        Before an object is tried again; the first pause is `settle_s`, each next one twice as long.
    """

    chance: float = 1e-6
    least: float = 1e-3
    least_here: float = 1e-2
    alone: int = 2
    near_s: float = 5.0
    settle_s: float = 1.0
    control: float = 20.0
    control_s: float = 30.0
    spread_s: float = 30.0
    most: int = 12
    most_s: float = 600.0
    longest_pause_s: float = 15.0

    def hopeless(self, strikes: Sequence[Strike]) -> bool:
        """Whether so many strikes prove nothing, and more would not either."""
        alone = [s.at for s in strikes if s.alone]
        return len(alone) >= self.most and alone[-1] - alone[0] >= self.most_s

    def pause_s(self, strikes: int) -> float:
        """How long to wait after so many strikes before the next try, in seconds."""
        return min(self.settle_s * 2.0 ** max(0, strikes - 1), self.longest_pause_s)


class Guilt(enum.Enum):
    """What is known of an object by now."""

    OPEN = "not enough: try it again"
    LIKELY = "enough, if other processes live"
    SURE = "it kills the processes that read it"


FROM_OUTSIDE: Final = (None, 1, 2, 9, 15)  # signals that others send: HUP, INT, KILL, TERM
SHORTEST_S: Final = 0.05  # an object that kills sooner is taken to have run so long


@dataclass(frozen=True, slots=True)
class _End:
    where: str
    at: float
    at_any: frozenset[int]  # of a death: it was at one of these objects; else nothing
    ran_s: float


@dataclass(slots=True)
class _Span:
    """Time that is covered by attempts, whose ends come in order; and how many they are."""

    count: int = 0
    seconds: float = 0.0
    until: float = -math.inf

    def add(self, end: _End) -> None:
        self.count += 1
        self.seconds += max(0.0, end.at - max(end.at - end.ran_s, self.until))
        self.until = max(self.until, end.at)


@dataclass(slots=True, eq=False)
class Strike:
    """A process that died at an object, and how others fared.

    Attributes
    ----------
    where
        The host.
    ran_s
        For how long it had been at its attempt.
    alone
        Whether the attempt had no other object, and its host nothing else to do.
    beside, beside_here
        Other objects at which processes died about then, or next on this host; on this host alone.
    lived, lived_here
        The time in which others that ended well had run; on this host alone. What runs side by side
        counts once: what kills one of them may kill all.
    followed
        Whether others have ended on this host since, in whatever way, for long enough.
    """

    where: str
    at: float
    ordinal: int
    ran_s: float
    alone: bool
    wanted_s: float  # for how long others must have lived; 0 where nobody else can have killed it
    beside: set[frozenset[int]] = field(default_factory=set)
    beside_here: set[frozenset[int]] = field(default_factory=set)
    lived: _Span = field(default_factory=_Span)
    lived_here: _Span = field(default_factory=_Span)
    followed: bool = False

    @property
    def seen(self) -> bool:
        """Whether there is enough to compare it with."""
        enough = self.lived.seconds >= self.wanted_s or bool(self.beside_here)
        return not self.wanted_s or (self.followed and enough)


def is_killed(signal: int | None, exit_code: int | None) -> bool:
    """Whether others may have ended a process that ended so; None where that is not known."""
    return exit_code is None and signal in FROM_OUTSIDE


class Deaths:
    """How the attempts of a run end, as far back as it matters, and the strikes that are open."""

    def __init__(self, doubt: Doubt | None = None) -> None:
        self.doubt = doubt or Doubt()
        self._ends: deque[_End] = deque()
        self._open: list[Strike] = []
        self._guilty: set[int] = set()
        self._controls = 0

    def lived(self, where: str, now: float, ran_s: float) -> None:
        """Take in that an attempt ended well."""
        self._ended(_End(where, now, frozenset(), ran_s))

    def died(
        self,
        where: str,
        now: float,
        ordinal: int,
        ran_s: float,
        *,
        alone: bool = False,
        killed: bool = True,
    ) -> Strike:
        """Take in that a process died at an object; give the strike that it is.

        `killed` is whether the kernel or somebody else may have ended it: not so where it crashed,
        left by itself, or found its own limit of memory.
        Of objects that are tried alone because processes died at them it is no wonder: their deaths
        speak against no host, and so for no other object.
        """
        if not alone:
            self._ended(_End(where, now, frozenset((ordinal,)), ran_s))
        ran_s = max(ran_s, SHORTEST_S)
        wanted_s = min(self.doubt.control * ran_s, self.doubt.control_s) if killed else 0.0
        strike = Strike(where, now, ordinal, ran_s, alone, wanted_s)
        for end in self._ends:
            if now - end.at <= self.doubt.near_s:
                self._weigh(strike, end)
        self._open.append(strike)
        return strike

    def died_among(self, where: str, now: float, ordinals: Iterable[int], ran_s: float) -> None:
        """Take in that a process died, it is not known at which of these objects."""
        self._ended(_End(where, now, frozenset(ordinals), ran_s))

    def control_died(self, where: str, now: float, ran_s: float) -> None:
        """Take in that a process died at an object that had been read well before."""
        self._controls += 1
        self._ended(_End(where, now, frozenset((-self._controls,)), ran_s))

    def unseen(self) -> Iterator[str]:
        """Give the hosts at which something is to be read for comparison with a strike."""
        long_s = self.doubt.spread_s  # two such strikes are far apart by themselves
        return (s.where for s in self._open if s.alone and s.ran_s < long_s and not s.seen)

    def convict(self, ordinal: int) -> None:
        """Take in that an object is guilty: its deaths speak against no host any more."""
        self._guilty.add(ordinal)

    def judge(self, strikes: Sequence[Strike], now: float, *, hosts: int) -> Guilt:
        """Judge an object by the strikes against it; `hosts` is how many could run it."""
        doubt, alone = self.doubt, [s for s in strikes if s.alone]
        if len(alone) < doubt.alone:
            return Guilt.OPEN
        least = doubt.least if hosts > 1 else doubt.least_here
        if hosts > 1 and len({s.where for s in alone}) < doubt.alone:
            return Guilt.OPEN
        weight = -sum(math.log(max(self._chance(s), least)) for s in strikes)
        if weight < -math.log(doubt.chance) - 1e-9:
            return Guilt.OPEN
        since_s = now - strikes[-1].at
        spread = alone[-1].at - alone[0].at >= doubt.spread_s
        if since_s >= doubt.settle_s and (spread or all(s.seen for s in alone)):
            return Guilt.SURE
        return Guilt.LIKELY if since_s < doubt.spread_s else Guilt.OPEN

    def _chance(self, strike: Strike) -> float:
        """Estimate how likely any process was to die then, or there, in so long a time."""
        return max(
            self._share(strike, strike.beside, strike.lived),
            self._share(strike, strike.beside_here, strike.lived_here),
        )

    def _share(self, strike: Strike, beside: set[frozenset[int]], lived: _Span) -> float:
        dead = sum(self._guilty.isdisjoint(at_any) for at_any in beside)
        return dead / (dead + min(lived.count, lived.seconds / strike.ran_s)) if dead else 0.0

    def _ended(self, end: _End) -> None:
        self._ends.append(end)
        near_s = self.doubt.near_s
        while end.at - self._ends[0].at > near_s:
            self._ends.popleft()
        for strike in self._open:
            if strike.ordinal in end.at_any:
                continue
            soon = end.at - end.ran_s - strike.at <= near_s + strike.wanted_s
            here = end.where == strike.where and soon
            if end.at - strike.at <= near_s or (here and not strike.seen):
                self._weigh(strike, end)
            strike.followed = strike.followed or here
        until_s = 2 * self.doubt.spread_s
        self._open = [s for s in self._open if end.at - s.at <= (near_s if s.seen else until_s)]

    def _weigh(self, strike: Strike, end: _End) -> None:
        here = end.where == strike.where
        if not end.at_any:
            strike.lived.add(end)
            if here:
                strike.lived_here.add(end)
        elif strike.ordinal not in end.at_any:
            strike.beside.add(end.at_any)
            strike.beside_here |= {end.at_any} if here else set()
