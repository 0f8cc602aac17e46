"""What is to be done about a fragment that ends the processes, or the hosts, it runs on.

A process that dies tells at which object. A fragment whose processes died twice at the same one is
parted there; where they don't tell, it is halved. The object alone is judged by `mapreduce.deaths`.
The loss of a whole worker may be anybody's fault: it brushes all that ran there, and what was
brushed twice runs alone on a worker from then on, where such a loss speaks against it: the more,
the less it was to be expected in so short a time, as workers are lost in this run. One worker alone
can show nothing, nor can a loss at the same time as others'. Pure judgement: values in, a verdict
out. A store's or job's fault never comes here.
"""

from __future__ import annotations

import enum
import math
from collections import Counter
from collections.abc import Mapping
from typing import Final

from mapreduce.cluster.schedule.rules import Rules
from mapreduce.cluster.schedule.tasks import Attempt, Fragment
from mapreduce.deaths import Deaths, Guilt

SHORTEST_S: Final = 1e-3
HOSTS: Final = 2  # that must have been lost with an object before it is to blame


class Verdict(enum.Enum):
    """What is to be done with a fragment that is not done."""

    AGAIN = "run it again"
    LATER = "run it again after a pause, or judge it then"
    PART = "run its worst object, and what lies before and behind it, by themselves"
    HALVE = "run its halves"
    CONVICT = "quarantine its only object"
    DOUBT = "stop: the cause cannot be determined"


def worker_lost(
    attempt: Attempt, how: str, rules: Rules, *, ran_s: float, losses_s: float, by_itself: bool
) -> None:
    """Book the loss of the worker that ran the attempt.

    If workers are lost at random once in `losses_s` seconds, one that runs for `ran_s` is lost by
    then with a probability of 1 - exp(-ran_s / losses_s). The negative logarithm of that is how
    much the loss speaks against the fragment; independent losses add up. `by_itself` is false where
    other workers were lost at that time.
    """
    fragment, troubles = attempt.fragment, attempt.fragment.troubles
    fragment.avoid.add(attempt.worker)
    troubles.how = how
    if attempt.alone:
        troubles.losses_alone += 1
        if by_itself:
            troubles.lost_hosts.add(attempt.worker)
            chance = -math.expm1(-max(ran_s, SHORTEST_S) / losses_s)
            troubles.evidence -= math.log(chance)
    else:
        troubles.brushes += 1
        fragment.alone = fragment.alone or troubles.brushes >= rules.brushes


def verdict(
    fragment: Fragment, rules: Rules, deaths: Deaths, now: float, hosts: Mapping[str, bool]
) -> Verdict:
    """Judge a fragment no attempt at which is live.

    `hosts` are the workers that are there, and whether each may get work now.
    """
    if fragment.stop - fragment.start > 1:
        return _of_many(fragment, rules)
    troubles, doubt = fragment.troubles, deaths.doubt
    sure = troubles.evidence >= -math.log(rules.doubt) and len(troubles.lost_hosts) >= HOSTS
    if troubles.losses_alone >= rules.losses_alone and sure:
        return Verdict.CONVICT
    alone = sum(s.alone for s in troubles.strikes)
    if not alone:
        return Verdict.AGAIN
    guilt = deaths.judge(troubles.strikes, now, hosts=len(hosts))
    if guilt is not Guilt.OPEN:
        return Verdict.CONVICT if guilt is Guilt.SURE else Verdict.LATER
    if doubt.hopeless(troubles.strikes):
        return Verdict.DOUBT
    elsewhere = hosts.keys() - {s.where for s in troubles.strikes if s.alone}
    # Those that could tell may be set aside for a while.
    waits = bool(elsewhere) and alone >= doubt.alone and not any(hosts[n] for n in elsewhere)
    waits = waits or now - troubles.strikes[-1].at < doubt.pause_s(alone)
    return Verdict.LATER if waits else Verdict.AGAIN


def worst(fragment: Fragment) -> tuple[int, int]:
    """Give the object at which most processes died, and how many; there is one."""
    return Counter(s.ordinal for s in fragment.troubles.strikes).most_common(1)[0]


def _of_many(fragment: Fragment, rules: Rules) -> Verdict:
    troubles = fragment.troubles
    if troubles.strikes and worst(fragment)[1] >= rules.strikes:
        return Verdict.PART
    enough = rules.strikes if fragment.whole else 1
    wandering = len(troubles.strikes) >= 2 * rules.strikes  # each time at another object
    guilty = troubles.unnamed >= enough or wandering or troubles.losses_alone > 0
    return Verdict.HALVE if guilty else Verdict.AGAIN
