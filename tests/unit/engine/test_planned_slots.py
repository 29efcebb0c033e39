"""A rehearsal says of each slot what the planner says, though it asks for a part of them alone."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sereno.engine.agenda import LOOKAHEAD
from sereno.engine.planner import plan
from sereno.engine.rehearsal import Scene, planned_slots
from sereno.engine.rehearsal.planned_slots import PlannedSlots
from sereno.model.calendar import Blackout
from sereno.model.ledger import Entry, ScheduleVersion
from sereno.model.policies import Policies
from sereno.model.rehearsal import RehearsedJob

NOW = datetime(2026, 3, 28, 20, 0, tzinfo=UTC)  # the clock changes within a few hours in Madrid
SETTLED = settings(derandomize=True, deadline=None, database=None, max_examples=200)
TRIGGERS = [
    "every 15m",
    "every 20ms",
    "cron 0 * * * * Europe/Madrid",
    "cron 30 2 * * * Europe/Madrid",
    "cron */10 1-3 * * * Europe/Madrid",
    "any_of (every 1h) (cron 0 * * * *) (every 7m)",
    "jitter (every 15m) 15m",
]
POLICIES = st.fixed_dictionaries(
    {},
    optional={
        "overlap": st.sampled_from(["skip", "queue", "allow", "cancel_previous"]),
        "catch_up": st.sampled_from(["last", "none", "all"]),
        "max_catch_up": st.integers(1, 3),
        "grace": st.sampled_from(["0.001s", "1m", "5m", "2900000d"]),
        "start_by": st.sampled_from(["30s", "1h", "2900000d"]),
        "concurrency_key": st.sampled_from(["all", "site {site}", "{lacks}"]),
        "priority": st.integers(0, 5),
    },
)
HOURS = st.one_of(st.none(), st.integers(-1, 12).map(lambda n: NOW + timedelta(hours=n)))


def entry(trigger: str, **told: Any) -> Entry:
    version = ScheduleVersion(
        version=1,
        valid_from=NOW - timedelta(days=1),
        state="active",
        trigger=trigger,
        params={"site": 7},
        **told,
    )
    return Entry(
        schedule_id=1,
        name="a",
        job="a",
        versions=(version,),
        settled_to=NOW,
        next_slot=None,
        wake_at=NOW,
        version=1,
    )


def scene(one: Entry, policies: Policies, blackouts: list[Blackout]) -> Scene:
    jobs = {"a": RehearsedJob(policies=policies)}
    return Scene(since=NOW, entries=[one], jobs=jobs, blackouts=blackouts)


@SETTLED
@given(
    st.sampled_from(TRIGGERS),
    POLICIES,
    HOURS,
    HOURS,
    st.booleans(),
    st.lists(
        st.tuples(st.booleans(), st.sampled_from([0.0, 0.0, 0.0, 0.02, 1.0, 90.0, 4_000.0])),
        min_size=20,
        max_size=60,
    ),
)
def test_it_says_what_the_planner_says(
    trigger: str,
    told: dict[str, Any],
    starts: datetime | None,
    ends: datetime | None,
    dark: bool,
    looks: list[tuple[bool, float]],
) -> None:
    policies = Policies().changed(told)
    blackout = Blackout(
        id=1,
        pattern="*",
        starts_at=NOW + timedelta(hours=3),
        ends_at=NOW + timedelta(hours=4),
        reason="moving",
    )
    blackouts = [blackout] if dark else []
    following: Entry | None = entry(trigger, starts_at=starts, ends_at=ends)
    plans = PlannedSlots(scene(following, policies, blackouts))
    for occupied, late in looks:
        if following is None:
            return
        now = following.wake_at - LOOKAHEAD + timedelta(seconds=late)
        until = now + LOOKAHEAD
        expected = plan(
            following, policies, now, until, occupied=occupied, blackouts=tuple(blackouts)
        )
        found = plans.plan(following, now, occupied)
        assert found is not None
        assert found[0] == expected
        following = found[1]
    assert not plans.unread


def test_it_is_not_asked_again_while_nothing_is_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def counted(*given: Any, **more: Any) -> Any:
        asked.append(given)
        return plan(*given, **more)

    monkeypatch.setattr(planned_slots, "plan", counted)
    following: Entry | None = entry("every 15m")
    plans = PlannedSlots(scene(following, Policies(), []))
    for _ in range(100):
        assert following is not None
        found = plans.plan(following, following.wake_at - LOOKAHEAD, False)
        assert found is not None
        following = found[1]
    assert len(asked) == 2  # what is due as it begins, and the first slot
