"""Whatever stops the leader, no slot and no run is lost or doubled, and no two nodes lead at once.

The short form of ``make chaos``; docs/failover.md shows what the long one measured.
"""

import random

import pytest

from .chaos.program import torment
from .chaos.report import table

LEASE = 3.0


@pytest.mark.fault
@pytest.mark.timeout(240)
def test_whatever_stops_the_leader_nothing_is_lost_or_doubled(tmp_path: object) -> None:
    seed = random.SystemRandom().randrange(1_000_000)
    asked = "--faults 7 --promotions 1 --freeze 5 --cut 2"
    print(f"python -m tests.faults.chaos --seed {seed} {asked}")
    verdict = torment(seed=seed, count=7, promotions=1, lease=LEASE, freeze=LEASE + 2, cut=2)
    print(table(verdict.rows))
    assert not verdict.wrong
    assert all(not t.faults or t.failover is not None for row in verdict.rows for t in row.trials)
