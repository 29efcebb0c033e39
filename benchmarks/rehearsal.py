"""How long it takes to rehearse a month of 1,000 schedules, at both paces.

    .venv/bin/python -m benchmarks.rehearsal [--schedules 1000] [--days 30]

No database: the scene is made here. 70 of 100 schedules are due once a day, 25 each hour, 5 each
quarter of an hour, of 100 jobs that take from a second to two minutes in the loop, in 16 threads
and in 16 processes. `--full`: half as many places, and runs of ten minutes, so that queues grow.
"""

import argparse
import random
import time
from datetime import UTC, datetime, timedelta

from sereno.engine.rehearsal import Scene, rehearse
from sereno.model.ledger import Entry, ScheduleVersion
from sereno.model.policies import Policies
from sereno.model.rehearsal import MeasuredDurations, Places, RehearsedJob

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def scene(schedules: int, *, full: bool) -> Scene:
    """Return what is played; the same each time."""
    chance = random.Random(17)
    slow = (5, 60, 600) if full else (5, 60, 120)
    jobs = {
        f"plugin.job{n}": RehearsedJob(
            policies=Policies().changed(
                {
                    "executor": chance.choice(["async", "thread", "process"]),
                    "overlap": chance.choice(["skip", "queue", "allow"]),
                }
            ),
            durations=MeasuredDurations(
                usual=timedelta(seconds=chance.choice([1, 5, 30, 60])),
                slow=timedelta(seconds=chance.choice(slow)),
                runs=200,
            ),
        )
        for n in range(100)
    }
    places = Places(threads=8, processes=8) if full else Places(threads=16, processes=16)
    entries = [_entry(n, chance) for n in range(schedules)]
    return Scene(since=NOW, entries=entries, jobs=jobs, places=places)


def _entry(n: int, chance: random.Random) -> Entry:
    share = chance.random()
    trigger = "every 15m"
    if share < 0.7:
        trigger = f"cron {chance.randrange(60)} {chance.randrange(24)} * * * Europe/Madrid"
    elif share < 0.95:
        trigger = f"cron {chance.randrange(60)} * * * * Europe/Madrid"
    version = ScheduleVersion(
        version=1, valid_from=NOW - timedelta(days=1), state="active", trigger=trigger
    )
    return Entry(
        schedule_id=n + 1,
        name=f"plugin.job{n % 100}@{n}",
        job=f"plugin.job{n % 100}",
        versions=(version,),
        settled_to=NOW,
        next_slot=None,
        wake_at=NOW,
        version=1,
    )


def main() -> None:
    """Play it, and print what it took."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--schedules", type=int, default=1_000)
    asked.add_argument("--days", type=float, default=30)
    asked.add_argument("--full", action="store_true")
    given = asked.parse_args()
    played = scene(given.schedules, full=given.full)
    began, worked = time.perf_counter(), time.process_time()
    found = rehearse(played, NOW + timedelta(days=given.days), most=10_000_000)
    took, processor = time.perf_counter() - began, time.process_time() - worked
    print(f"{given.schedules:,} schedules, {given.days:g} days: {found.usual.slots:,} slots")
    print(f"{took:.1f} s, of these {processor:.1f} s of a processor")
    print(f"{processor / max(1, 2 * found.usual.slots) * 1e6:.0f} µs of it for a slot at one pace")
    for course in (found.usual, found.slow):
        print(f"{course.pace}: {dict(course.troubles)}")


if __name__ == "__main__":
    main()
