"""All slots killed together: no sound object is convicted, and each that kills is found."""

from __future__ import annotations

import pytest

from tests.simulation.bursts import burst

SEEDS_A_TEST = 20
ONCE_WRONG = (89, 204, 466, 543, 786)  # of drafts of the rule


@pytest.mark.parametrize("first", range(0, 3 * SEEDS_A_TEST, SEEDS_A_TEST))
def test_a_burst_convicts_no_innocent_and_hides_no_object_that_kills(first: int) -> None:
    for seed in [*range(first, first + SEEDS_A_TEST), *(ONCE_WRONG if not first else ())]:
        world = burst(seed)
        try:
            world.run()
            world.assert_done()
        except Exception as error:  # noqa: BLE001 - with its seed
            again = f"python -m tests.simulation.bursts {seed} 1"
            pytest.fail(f"seed {seed}: {error!r}; again: {again}")


def test_bursts_do_kill() -> None:
    worlds = [burst(seed) for seed in range(5)]
    for world in worlds:
        world.run()
    assert sum(a.killed for w in worlds for a in w.agents.values()) > 50
