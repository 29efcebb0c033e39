"""What the kernel finds: settings, jobs, commands and the demonstration of `reports`."""

from collections.abc import Iterable, Mapping
from functools import partial
from importlib.util import find_spec
from typing import Any

from sereno import App, Demo, Job, Migrations, hookimpl, lazy
from sereno_reports.deliver import deliver
from sereno_reports.folders import check_names, found
from sereno_reports.report_job import job_of
from sereno_reports.settings import Settings


@hookimpl
def sereno_register_settings() -> type[Settings]:
    """Name the Struct that ``[plugins.reports]`` must fit."""
    return Settings


@hookimpl
def sereno_register_jobs(settings: Settings) -> Iterable[Job]:
    """Return a job for each declared report, and one that delivers where there is anywhere to."""
    if not settings.enabled:
        return []
    folders = found(settings.reports_dirs)
    check_names(settings, folders)
    jobs = [job_of(folder, settings) for folder in folders.values()]
    goes_out = settings.deliver_dir or settings.routed or any(settings.recipients.values())
    declared = any(one.declared.recipients for one in folders.values() if one.declared)
    return [*jobs, deliver] if goes_out or declared else jobs


@hookimpl
def sereno_register_migrations(settings: Settings) -> Migrations | None:
    """Return the tables of reports; in a database of its own the plugin makes them itself."""
    if settings.database_url is not None:
        return None
    return Migrations(schema="sereno_reports", package="sereno_reports")


@hookimpl
def sereno_register_apps(settings: Settings) -> Mapping[str, App]:
    """Return the app in which people read the reports, where there is what serves apps."""
    if not settings.enabled or find_spec("uvicorn") is None:
        return {}
    return {"/reports": App("Reports", partial(_site, settings))}


@hookimpl
def sereno_register_commands() -> list[Any]:
    """Return ``sereno reports``."""
    return [lazy("sereno_reports.commands").reports]  # loaded by the command line alone


@hookimpl
def sereno_register_demo() -> Demo:
    """Return quick settings: a report of the day so far, every few seconds."""
    demo: Demo = lazy("sereno_reports.demo").DEMO  # loaded by `sereno demo` alone
    return demo


def _site(settings: Settings, client: Any) -> Any:
    """Make the app, in the process that serves apps: only there is it loaded."""
    return lazy("sereno_reports.site").ReportSite(client, settings)
