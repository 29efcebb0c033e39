"""ETags of schedules: the number of a version, and which one a change is meant for."""

import re

from sereno import ParamsError, ScheduleView
from sereno_console.web.request import ConsoleRequest

_TAG = re.compile(r'"(\d{1,18})"')


def tag_of(schedule: ScheduleView) -> str:
    """Return the tag of a schedule as it is."""
    return f'"{schedule.definition.version}"'


def expected(request: ConsoleRequest) -> int | None:
    """Return the version that If-Match names, None for any; raises ParamsError."""
    text = request.headers.get("if-match")
    if text is None or text.strip() == "*":
        return None
    found = _TAG.fullmatch(text.strip())
    if found is None:
        raise ParamsError(f"If-Match {text[:60]}: it must be one ETag of a schedule, or *")
    return int(found[1])
