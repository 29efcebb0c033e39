"""Decides what of a listing, and of any answer, somebody may see: jobs of their patterns alone.

`visible` is asked once for all that an operation of the API answers with, and for all that a page
is written from; who may read everything costs nothing.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from sereno import (
    BlackoutView,
    BulkView,
    CalendarView,
    ChangeView,
    ClusterView,
    ComingLoad,
    DriftView,
    DueMinute,
    JobView,
    Page,
    PluginView,
    Rehearsal,
    RehearsedCourse,
    RunChain,
    RunDetail,
    TermView,
)
from sereno_console.security.identity import ForbiddenError, Identity
from sereno_console.security.permissions import EVERYTHING, Action


def narrowed(
    user: Identity, job: str | None, schedule: str | None = None, action: Action = "read"
) -> str | None:
    """Return the job, or pattern of jobs, that a filter is to have, so that `user` sees what they
    may: what was asked for, or the one pattern that is theirs.

    Raises ForbiddenError where it is neither.
    """
    wanted = job if job is not None or schedule is None else job_of(schedule)
    if user.can(action, EVERYTHING if wanted is None else wanted):
        return job
    patterns = user.access.patterns(action)
    if wanted is None and len(patterns) == 1:
        return patterns[0]
    if wanted is None and patterns:
        raise ForbiddenError(f"name a job: '{user.name}' may {action} {', '.join(patterns)}")
    raise ForbiddenError(f"'{user.name}' may not {action} for '{wanted or EVERYTHING}'")


def job_of(schedule: str) -> str:
    """Return the job of a schedule's name."""
    return schedule.partition("@")[0]


def job_of_bulk(bulk: BulkView) -> str:
    """Return the job, or pattern of jobs, that a bulk is of."""
    job, schedule = bulk.filter.get("job"), bulk.filter.get("schedule")
    if isinstance(job, str):
        return job
    return job_of(schedule) if isinstance(schedule, str) else EVERYTHING


def visible(user: Identity, value: Any) -> Any:
    """Return what of `value` somebody may see; None where it is of a job that they may not read.

    Lists lose what is of other jobs, and values the names of others.
    """
    return value if user.can("read", EVERYTHING) else _seen(user, value)


def readable_by(user: Identity | None, sentence: str) -> str:
    """Return what went wrong without the names that it suggests of jobs that are not theirs."""
    if user is None or user.can("read", EVERYTHING):
        return sentence
    return _SUGGESTED.sub(lambda m: m[0] if user.can("read", job_of(m[1])) else "", sentence)


def _seen(user: Identity, value: Any) -> Any:
    if isinstance(value, list | tuple):
        # A pair, as of a run and its differences, goes as a whole with what is of the job in it.
        found = [_seen(user, one) for one in value]
        kept = [
            new for old, new in zip(value, found, strict=True) if new is not None or old is None
        ]
        if isinstance(value, tuple) and len(kept) < len(value) and _is_pair(value):
            return None
        return type(value)(kept) if type(value) in (list, tuple) else value
    if not isinstance(value, msgspec.Struct):
        return value
    rule = _RULES.get(type(value))
    if rule is not None:
        return rule(user, value)
    job = getattr(value, "job", None)
    if isinstance(job, str) and not user.can("read", job):
        return None
    return value


def _is_pair(value: tuple[Any, ...]) -> bool:
    return len({type(one) for one in value}) > 1


def _names(user: Identity, names: Iterable[str]) -> list[str]:
    return [name for name in names if user.can("read", job_of(name))]


def _of_blackout(user: Identity, found: BlackoutView) -> BlackoutView | None:
    jobs = None if found.jobs is None else _names(user, found.jobs)
    if found.plugin is not None:
        return msgspec.structs.replace(found, jobs=jobs) if jobs else None
    everybody = found.pattern == EVERYTHING
    return found if everybody or user.can("read", job_of(found.pattern)) else None


def _of_bulk(user: Identity, found: BulkView) -> BulkView | None:
    return found if user.can("read", job_of_bulk(found)) else None


def _of_cluster(user: Identity, found: ClusterView) -> ClusterView:
    placement = _seen(user, found.placement)
    return msgspec.structs.replace(
        found,
        overstaying=_seen(user, found.overstaying),
        blackouts=_seen(user, found.blackouts),
        placement=placement,
        waiting=tuple(waits.sentence for waits in placement),
    )


def _of_calendar(user: Identity, found: CalendarView) -> CalendarView:
    return msgspec.structs.replace(found, schedules=tuple(_names(user, found.schedules)))


def _of_plugin(user: Identity, found: PluginView) -> PluginView | None:
    jobs, gone = _names(user, found.jobs), _names(user, found.gone)
    if not jobs and not gone:
        return None
    return msgspec.structs.replace(found, jobs=tuple(jobs), gone=tuple(gone))


def _of_job(user: Identity, found: JobView) -> JobView | None:
    if not user.can("read", found.name):
        return None
    return msgspec.structs.replace(found, after=_names(user, found.after))


def _of_run(user: Identity, found: RunDetail) -> RunDetail | None:
    if not user.can("read", found.job):
        return None
    if not isinstance(found.upstream, Mapping):
        return found
    upstream = {job: told for job, told in found.upstream.items() if user.can("read", job)}
    return msgspec.structs.replace(found, upstream=upstream)


def _of_chain(user: Identity, found: RunChain) -> RunChain:
    runs, fan_outs = _seen(user, found.runs), _seen(user, found.fan_outs)
    seen = {run.id for run in runs}
    return msgspec.structs.replace(
        found,
        runs=runs,
        fan_outs=fan_outs,
        links=tuple(link for link in found.links if seen.issuperset(link)),
        repeated=tuple(run for run in found.repeated if run in seen),
        whole=found.whole and len(runs) == len(found.runs),
    )


def _of_term(user: Identity, found: TermView) -> TermView:
    """Return a term; why it ended may name a job."""
    return msgspec.structs.replace(found, reason=None)


def _of_change(user: Identity, found: ChangeView) -> ChangeView | None:
    return found if user.can("read", job_of(found.subject)) else None


def _of_drift(user: Identity, found: DriftView) -> DriftView | None:
    return found if user.can("read", job_of(found.schedule)) else None


def _of_page(user: Identity, found: Page[Any]) -> Page[Any]:
    return msgspec.structs.replace(found, items=_seen(user, tuple(found.items)))


def _of_load(user: Identity, found: ComingLoad) -> ComingLoad:
    return msgspec.structs.replace(found, minutes=_seen(user, found.minutes))


def _of_minute(user: Identity, found: DueMinute) -> DueMinute:
    jobs = tuple((job, count) for job, count in found.jobs if user.can("read", job))
    return msgspec.structs.replace(found, jobs=jobs)


def _of_rehearsal(user: Identity, found: Rehearsal) -> Rehearsal:
    unread = {name: told for name, told in found.unread.items() if user.can("read", job_of(name))}
    return msgspec.structs.replace(
        found,
        usual=_of_course(user, found.usual),
        slow=_of_course(user, found.slow),
        unmeasured=tuple(_names(user, found.unmeasured)),
        unread=unread,
    )


def _of_course(user: Identity, found: RehearsedCourse) -> RehearsedCourse:
    """Return what concerns jobs that may be read; a key may be of others."""
    return msgspec.structs.replace(
        found,
        findings=_seen(user, tuple(found.findings)),
        events=_seen(user, tuple(found.events)),
    )


_SUGGESTED = re.compile(r",? did you mean '([^']*)'\?")
Rule = Callable[[Identity, Any], Any]

_RULES: dict[type, Rule] = {
    BlackoutView: _of_blackout,
    BulkView: _of_bulk,
    CalendarView: _of_calendar,
    ChangeView: _of_change,
    ClusterView: _of_cluster,
    ComingLoad: _of_load,
    DriftView: _of_drift,
    DueMinute: _of_minute,
    JobView: _of_job,
    Page: _of_page,
    PluginView: _of_plugin,
    Rehearsal: _of_rehearsal,
    RunChain: _of_chain,
    RunDetail: _of_run,
    TermView: _of_term,
}
