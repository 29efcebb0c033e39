"""A job that puts itself off: until when, and how often and how long at the most."""

import re
from datetime import UTC, datetime, timedelta

from sereno.model.duration import format_duration, parse_duration
from sereno.model.errors import FinalError, RunError, TriggerError
from sereno.model.lazy import lazy

MOST_SNOOZES = 1_000
"""Attempts of one run that may put it off: each is kept until the run is pruned."""

LONGEST_SNOOZED = timedelta(days=30)
"""How long a run may be put off in all, from the beginning of its first attempt that was."""

_MAX_REASON = 500
_SECONDS = re.compile(r"\d{1,20}", re.ASCII)
_FAR = 10 * 366 * 86_400
"""Seconds that are past every limit, and that a timedelta holds."""


class Snooze(RunError):  # noqa: N818 - what a job does, and no fault of its
    """Raised by a job that puts itself off; this uses up none of its attempts.

    `until`: for how long ("10m", seconds, a timedelta), or an instant with its time zone. `reason`:
    kept with the attempt.
    """

    def __init__(self, until: str | float | timedelta | datetime, reason: str = "") -> None:
        self.delay: timedelta | None = None
        self.until: datetime | None = None
        if isinstance(until, datetime):
            if until.utcoffset() is None:
                raise TriggerError(f"snooze until {until}: it has no time zone; add one")
            self.until = until
        elif isinstance(until, bool) or not isinstance(until, str | int | float | timedelta):
            raise TriggerError(
                f"snooze is {until!r:.80}, it must be a duration, as '10m', or an instant"
            )
        else:
            self.delay = parse_duration(until)
        self.reason = str(reason)[:_MAX_REASON]
        super().__init__(self.reason or f"put off: {until}")

    @classmethod
    def retry_after(
        cls, header: str | None, default: str | float | timedelta = "30s", reason: str = ""
    ) -> "Snooze":
        """Return one for as long as ``Retry-After`` of an answer says, by seconds or by a date.

        `default`: where it says nothing that can be read.
        """
        text = (header or "").strip()
        if _SECONDS.fullmatch(text):
            return cls(timedelta(seconds=min(int(text), _FAR)), reason)
        try:  # loaded by who is told a date
            at: datetime = lazy("email.utils").parsedate_to_datetime(text)
        except (TypeError, ValueError, IndexError, OverflowError):
            return cls(default, reason)
        return cls(at if at.tzinfo is not None else at.replace(tzinfo=UTC), reason)

    def ends_at(self, now: datetime, before: int, since: datetime) -> datetime:
        """Return when the run is to begin again: an instant that has passed is now.

        `before`: how often it was put off before, `since`: when the first of those attempts began.
        Raises FinalError when that is too often or too long.
        """
        limit = since + LONGEST_SNOOZED
        if before >= MOST_SNOOZES:
            raise FinalError(
                f"it put itself off {before} times, since {since:%Y-%m-%d %H:%M:%S} UTC; the limit"
                f" is {MOST_SNOOZES} times a run: let a schedule look again instead"
            )
        if self.until is not None:
            asked = max(self.until, now)
        else:
            delay = self.delay or timedelta(0)
            asked = now + delay if delay <= LONGEST_SNOOZED else limit + delay.resolution
        if asked > limit:
            raise FinalError(
                f"it would put itself off for over {format_duration(LONGEST_SNOOZED)} since its"
                f" attempt of {since:%Y-%m-%d %H:%M:%S} UTC, which is the limit of a run: let it"
                " enqueue another for then instead"
            )
        return asked
