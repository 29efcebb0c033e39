"""A replica whose wall clock is wrong, or jumps while it leads, fires as the others do."""

import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ..servers.waiting import wait_until
from .asking import value
from .chaos.replicas import faketime
from .process import KEPT, Process, process

JOBS = "tests.faults.jobs"
HOUR = 3600
SLOTS = "SELECT count(*) FROM sereno.slot WHERE slot > %s"
ASTRAY = """
    SELECT count(*) FROM sereno.slot s LEFT JOIN sereno.run r ON r.id = s.run_id
     WHERE s.verdict <> 'ran' OR abs(extract(epoch FROM r.started_at - s.slot)) > 60
        OR abs(extract(epoch FROM s.decided_at - s.slot)) > 60
"""
GAPS = """
    SELECT count(*) FROM (SELECT slot - lag(slot) OVER (ORDER BY slot) AS step FROM sereno.slot) s
     WHERE step <> interval '1 s'
"""

pytestmark = [pytest.mark.fault, pytest.mark.timeout(240)]


class Misdated:
    """The wall clock of one replica. `environment`: what makes the replica believe it."""

    def __init__(self, place: Path) -> None:
        library = faketime()
        if library is None:
            pytest.fail("libfaketime is not installed: tools/test-tools.sh faketime", pytrace=False)
        self._file = place / "clock"
        self.environment = {
            "LD_PRELOAD": library,
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_CACHE_DURATION": "1",
            "SERENO_LOG__LEVEL": "debug",
        }

    def set(self, seconds: int) -> None:
        """Put the clock so far ahead, at any moment."""
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{seconds:+d}\n")
        fresh.rename(self._file)

    @staticmethod
    def shows(replica: Process) -> float:
        """Return how far ahead the clock is by which the replica stamped its last line."""
        line = replica.lines("run succeeded")[-1]
        return (datetime.fromisoformat(line["time"]) - datetime.now(UTC)).total_seconds()


def fires(dsn: str, slots: int = 3) -> None:
    """Wait until so many slots more are settled than now."""
    now = value(dsn, "SELECT clock_timestamp()")
    wait_until(lambda: value(dsn, SLOTS, now) >= slots, "slots to be settled")


def test_a_clock_that_is_wrong_or_jumps_moves_no_slot(database: str, tmp_path: Path) -> None:
    clock = Misdated(tmp_path)
    clock.set(HOUR)
    with process(database, tmp_path, JOBS, **KEPT, **clock.environment) as wrong:
        wrong.said("leading")
        fires(database)
        assert clock.shows(wrong) > HOUR - 60
        with process(database, tmp_path, JOBS, **KEPT) as right:
            right.said("ready")
            for ahead in (-HOUR, 24 * HOUR, 45):
                clock.set(ahead)
                wait_until(lambda: abs(clock.shows(wrong) - ahead) < 30, "the clock to jump")  # noqa: B023
                fires(database)
            assert not wrong.lines("no longer leading")
            wrong.signal(signal.SIGTERM)
            assert wrong.end() == 0
            right.said("leading")
            fires(database)
    assert value(database, ASTRAY) == 0
    assert value(database, GAPS) == 0
    ahead = value(database, "SELECT max(slot) - clock_timestamp() FROM sereno.slot")
    assert ahead < timedelta(seconds=1)
