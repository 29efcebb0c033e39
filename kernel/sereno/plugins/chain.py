"""Checks chains of jobs (``after=``): each upstream must exist, and none may lead back."""

from collections.abc import Mapping

from sereno.model.job import Job
from sereno.model.suggestion import suggestion
from sereno.plugins.handed_on import handed_on_faults


def chain_faults(jobs: Mapping[str, Job]) -> dict[str, str]:
    """Return a sentence for each job whose chain cannot work."""
    return {**handed_on_faults(jobs), **_unknown(jobs), **_cycles(jobs)}


def _unknown(jobs: Mapping[str, Job]) -> dict[str, str]:
    faults = {}
    for name, job in jobs.items():
        for upstream in job.after:
            if upstream not in jobs:
                hint = suggestion(upstream, [n for n in jobs if n != name], "")
                faults[name] = (
                    f"job '{name}' comes after '{upstream}', which no loaded plugin declares{hint}"
                )
    return faults


def _cycles(jobs: Mapping[str, Job]) -> dict[str, str]:
    faults: dict[str, str] = {}
    for name in jobs:
        path = _way_back(name, jobs)
        if path:
            faults[name] = f"job '{name}' comes after itself: {' → '.join(path)}"
    return faults


def _way_back(name: str, jobs: Mapping[str, Job]) -> list[str]:
    """Return the upstream jobs that lead from `name` to itself, [] when none do."""
    came_from: dict[str, str] = {}
    waiting = [name]
    while waiting:
        current = waiting.pop()
        for upstream in jobs[current].after:
            if upstream == name:
                return _walked(name, current, came_from)
            if upstream in jobs and upstream not in came_from:
                came_from[upstream] = current
                waiting.append(upstream)
    return []


def _walked(name: str, last: str, came_from: Mapping[str, str]) -> list[str]:
    """Return the jobs in the order in which they would run, `name` at both ends."""
    path = [name]
    while last != name:
        path.append(last)
        last = came_from[last]
    return [*path, name]
