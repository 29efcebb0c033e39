"""What people see: addresses, templates and static files."""

from sereno_console.pages import (
    assets,
    bulk,
    changes,
    changes_export,
    cluster,
    jobs,
    ledger,
    load,
    log_in,
    logs,
    overview,
    people,
    plugins,
    rehearsal,
    runs,
    schedule_edit,
    schedules,
    search,
    stack,
)
from sereno_console.pages.routes import PAGES

MODULES = (
    *(assets, log_in, overview, jobs, ledger, schedules, schedule_edit, load, rehearsal, runs),
    *(stack, bulk, logs, cluster, plugins, changes, changes_export, people, search),
)
"""Whose addresses are in `PAGES`: each adds its own as it is imported."""

__all__ = ["MODULES", "PAGES"]
