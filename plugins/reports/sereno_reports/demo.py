"""What this plugin brings to the demonstration: the report of the day so far, again and again."""

from datetime import UTC, datetime, timedelta

from sereno import Demo, every, within

_FIRST = timedelta(seconds=25)
"""By then the database stands and the first calls have been moved, as they are every ten seconds:
a report before would say that there are none."""


def demo(now: datetime) -> Demo:
    """Return quick settings for a demonstration that begins at `now`."""
    begin = now.replace(microsecond=0) + _FIRST
    schedule = within(every("15s"), start=begin).text
    return Demo(settings={"schedule": schedule, "include_today": True, "calls_required": False})


DEMO = demo(datetime.now(UTC))  # noqa: TID251 - before there is a database to ask
