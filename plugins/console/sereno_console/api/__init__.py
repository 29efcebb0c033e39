"""REST under ``/api/v1``: a thin layer over the client."""

from sereno_console.api import (
    backfills,
    bulks,
    calendars,
    cluster,
    description,
    events,
    jobs,
    people,
    rehearsal,
    runs,
    schedules,
    standing,
)
from sereno_console.api.routes import API

MODULES = (
    *(backfills, bulks, calendars, cluster, description, events, jobs, people, rehearsal, runs),
    schedules,
    standing,
)
"""Whose operations are in `API`: each adds its own as it is imported."""

__all__ = ["API", "MODULES"]
