"""What is to be done about a fragment that ends the processes, or the hosts, it runs on.

A slot's death is a strike: two on an undivided task, one on a part of it, and it is halved. The
loss of a whole worker may be anybody's fault: it brushes all that ran there, and what was brushed
twice runs alone on a worker from then on, where such a loss speaks against it: the more, the less
it was to be expected in so short a time, as workers are lost in this run. An object is convicted
only when it stood alone, on a worker that ran nothing else. Pure judgement: values in, a verdict
out. A store's or job's fault never comes here.
"""

from __future__ import annotations

import enum
import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mapreduce.cluster.rules import Rules
    from mapreduce.cluster.tasks import Attempt, Fragment

SHORTEST_S: Final = 1e-3


class Verdict(enum.Enum):
    """What is to be done with a fragment that is not done."""

    AGAIN = "run it again"
    HALVE = "run its halves"
    CONVICT = "quarantine its only object"


def crashed(attempt: Attempt, how: str, *, counts: bool) -> None:
    """Book the death of the attempt's process.

    `counts` is false where the worker has never done anything right and others have: then an
    object standing alone is not judged by it.
    """
    fragment = attempt.fragment
    fragment.avoid.add(attempt.worker)
    single = fragment.stop - fragment.start == 1
    if single and not counts:
        return
    troubles = fragment.troubles
    troubles.strikes += 1
    troubles.strikes_alone += attempt.alone
    troubles.how = how
    fragment.alone = fragment.alone or single


def worker_lost(attempt: Attempt, how: str, rules: Rules, *, ran_s: float, losses_s: float) -> None:
    """Book the loss of the worker that ran the attempt.

    If workers are lost at random once in `losses_s` seconds, one that runs for `ran_s` is lost by
    then with a probability of 1 - exp(-ran_s / losses_s). The negative logarithm of that is how
    much the loss speaks against the fragment; independent losses add up.
    """
    fragment, troubles = attempt.fragment, attempt.fragment.troubles
    fragment.avoid.add(attempt.worker)
    troubles.how = how
    if attempt.alone:
        troubles.losses_alone += 1
        chance = -math.expm1(-max(ran_s, SHORTEST_S) / losses_s)
        troubles.evidence -= math.log(chance)
    else:
        troubles.brushes += 1
        fragment.alone = fragment.alone or troubles.brushes >= rules.brushes


def verdict(fragment: Fragment, rules: Rules) -> Verdict:
    """Judge a fragment no attempt at which is live."""
    troubles = fragment.troubles
    if fragment.stop - fragment.start > 1:
        enough = rules.strikes if fragment.whole else 1
        guilty = troubles.strikes >= enough or troubles.losses_alone > 0
        return Verdict.HALVE if guilty else Verdict.AGAIN
    by_strikes = troubles.strikes >= rules.strikes and troubles.strikes_alone > 0
    sure = troubles.evidence >= -math.log(rules.doubt)
    guilty = by_strikes or (troubles.losses_alone >= rules.losses_alone and sure)
    return Verdict.CONVICT if guilty else Verdict.AGAIN
