"""Decides which calendar day a log file belongs to.

The later of the day in its name and the day of its last change: a file that is still written to, or
that was restored yesterday, is young whatever its name says, and one that was copied without its
times is as old as its name says at the most.
"""

import re
from datetime import date, datetime, tzinfo

_DATE = re.compile(
    r"(?<!\d)(20\d\d)([-_.]?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])"
    r"(?=(?:\d{4}|\d{6})?(?:\D|$))"  # a time of day may follow
)


def day_of(name: str, modified: datetime, zone: tzinfo) -> date:
    """Return the last day in the file's name (2026-01-31, 20260131) or, if later, of `modified`."""
    changed = modified.astimezone(zone).date()
    for year, _, month, day in reversed(_DATE.findall(name)):
        try:
            return max(changed, date(int(year), int(month), int(day)))
        except ValueError:  # as 2026-02-30
            continue
    return changed
