"""Decides who hears of what, and when: a pure rule over ``[plugins.notify.routes]``."""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from fnmatch import fnmatchcase
from typing import get_args

import msgspec

from sereno import NotificationKind, Severity, suggestion
from sereno_notify.quiet_hours import QuietHours, parse_quiet
from sereno_notify.settings import NotifyRoute

_RANK = {severity: rank for rank, severity in enumerate(get_args(Severity))}


class _Rule(msgspec.Struct, frozen=True):
    chosen: NotifyRoute
    to: frozenset[str]
    quiet: QuietHours | None

    def takes(
        self, kind: NotificationKind, severity: Severity, job: str | None, resolved: bool
    ) -> bool:
        chosen = self.chosen
        return (
            _RANK[severity] >= _RANK[chosen.severity]
            and (not chosen.kinds or kind in chosen.kinds)
            and (chosen.resolved or not resolved)
            and any(p == "*" if job is None else fnmatchcase(job, p) for p in chosen.jobs)
        )


class Routes:
    """The routes that are set, by name, to those of the notifiers that this node has."""

    def __init__(self, routes: Mapping[str, NotifyRoute], notifiers: Collection[str]) -> None:
        # What a job says on purpose is heard where nobody has said who is to hear of what.
        said = NotifyRoute(severity="info", kinds=("message",))
        chosen = routes or {"default": NotifyRoute(), "messages": said}
        self._routes = [
            _Rule(
                route,
                frozenset(route.to or notifiers).intersection(notifiers),
                None if route.quiet is None else parse_quiet(route.quiet),
            )
            for route in chosen.values()
        ]

    def when(
        self,
        kind: NotificationKind,
        severity: Severity,
        job: str | None,
        now: datetime,
        *,
        resolved: bool = False,
    ) -> Mapping[str, datetime | None]:
        """Return who is to hear of it: each notifier with the end of its quiet hours, None for now.

        What is critical does not wait. Where several routes lead to one notifier, the soonest
        counts.
        """
        found: dict[str, datetime | None] = {}
        for route in self._routes:
            if not route.takes(kind, severity, job, resolved):
                continue
            quiet = None if severity == "critical" else route.quiet
            until = None if quiet is None else quiet.over(now)
            for name in route.to:
                found[name] = _sooner(found[name], until) if name in found else until
        return found

    def any(self, kind: NotificationKind, severity: Severity, job: str | None) -> bool:
        """Tell whether anybody would hear of it."""
        return any(r.to and r.takes(kind, severity, job, False) for r in self._routes)


def _sooner(one: datetime | None, other: datetime | None) -> datetime | None:
    return None if one is None or other is None else min(one, other)


def unknown_notifiers(routes: Mapping[str, NotifyRoute], known: Collection[str]) -> Iterator[str]:
    """Yield a sentence for each notifier that a route names and no plugin brings."""
    listed = ", ".join(known) or "none: webhooks and emails of [plugins.notify] are some"
    for name, route in routes.items():
        for notifier in route.to:
            if notifier not in known:
                hint = suggestion(notifier, known, f"; known are {listed}")
                yield f"route '{name}': there is no notifier '{notifier}'{hint}"
