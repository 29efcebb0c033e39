"""What a node remembers of the attempts that have begun on it."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from sereno.engine.recent_attempts import RecentAttempts

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(seconds: int) -> datetime:
    return NOON + timedelta(seconds=seconds)


def begun(attempts: int) -> RecentAttempts:
    """Return a memory of at least three, with so many attempts, ten seconds apart."""
    found = RecentAttempts(kept=6)
    for n in range(attempts):
        found.add(UUID(int=n), at(10 * n))
    return found


def test_what_has_begun_is_known() -> None:
    found = begun(3)
    assert [found.never(UUID(int=n), at(10 * n)) for n in range(3)] == [False] * 3


def test_what_has_not_is_certain_while_nothing_is_forgotten() -> None:
    assert begun(3).never(UUID(int=99), at(-1000))


def test_what_was_claimed_when_more_has_begun_than_is_remembered_is_not_certain() -> None:
    found = begun(7)  # the first three had begun before thirty seconds, and are forgotten
    assert [found.never(UUID(int=n), at(10 * n)) for n in range(3, 7)] == [False] * 4
    assert not found.never(UUID(int=1), at(10))
    assert not found.never(UUID(int=99), at(31))
    assert found.never(UUID(int=99), at(32))
