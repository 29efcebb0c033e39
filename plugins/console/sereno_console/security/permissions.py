"""Decides what somebody may do: actions, each for the jobs of a pattern; roles are sets of them."""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Literal, get_args

import msgspec

from sereno import ParamsError, suggestion

Action = Literal[
    "read",
    "run",
    "cancel",
    "retry",
    "bulk",
    "pause",
    "schedule",
    "stack",
    "verify",
    "reveal",
    "access",
]
"""What can be allowed. `bulk` comes with `cancel` or `retry`, as the bulk does; `reveal`: see the
secrets that params and results hold; `access`: see the trail of log-ins, users and tokens."""

ACTIONS: tuple[str, ...] = get_args(Action)

ROLES: dict[str, frozenset[str]] = {
    "viewer": frozenset({"read"}),
    "operator": frozenset({"read", "run", "cancel", "retry", "bulk", "pause", "stack", "verify"}),
    "admin": frozenset(ACTIONS),
}

EVERYTHING = "*"
_MOST = 100
_LONGEST = 200


class Grant(msgspec.Struct, frozen=True):
    """Actions that are allowed for jobs whose name is `pattern`, with ``*`` and ``?``."""

    actions: frozenset[str]
    pattern: str

    def covers(self, wanted: str) -> bool:
        """Tell whether every job that `wanted`, a name or a pattern, stands for is covered."""
        if self.pattern in (EVERYTHING, wanted):
            return True
        if not _is_pattern(wanted):
            return fnmatchcase(wanted, self.pattern)
        stem = self.pattern.removesuffix("*")
        return stem != self.pattern and not _is_pattern(stem) and wanted.startswith(stem)


class Access(msgspec.Struct, frozen=True):
    """All that somebody may do."""

    grants: tuple[Grant, ...] = ()

    @classmethod
    def of(cls, scopes: Iterable[str]) -> "Access":
        """Read scopes: ``viewer``, ``operator:shop.*``, ``pause:etl.sync``; raises ParamsError."""
        found = tuple(scopes)
        if len(found) > _MOST:
            raise ParamsError(f"{len(found)} scopes are given, {_MOST} are the most")
        return cls(tuple(_grant(scope) for scope in found))

    def allows(self, action: Action, job: str | None = None) -> bool:
        """Tell whether `action` is allowed. `job`: a name or pattern; None: for any job at all."""
        return any(
            action in grant.actions and (job is None or grant.covers(job)) for grant in self.grants
        )

    def patterns(self, action: Action) -> list[str]:
        """Return for which jobs `action` is allowed."""
        return sorted({grant.pattern for grant in self.grants if action in grant.actions})


def _grant(scope: object) -> Grant:
    if not isinstance(scope, str) or len(scope) > _LONGEST:
        raise ParamsError(f"scope {scope!r:.60} is none: a text as 'viewer' or 'pause:shop.*'")
    name, colon, pattern = scope.partition(":")
    if name not in ROLES and name not in ACTIONS:
        hint = suggestion(name, [*ROLES, *ACTIONS], f"; it takes {', '.join([*ROLES, *ACTIONS])}")
        raise ParamsError(f"scope '{scope}': there is no role or action '{name}'{hint}")
    if colon and not pattern:
        raise ParamsError(f"scope '{scope}': the pattern of jobs after ':' is empty")
    actions = ROLES[name] if name in ROLES else frozenset({name})
    return Grant(actions, pattern or EVERYTHING)


def _is_pattern(text: str) -> bool:
    return not frozenset("*?[").isdisjoint(text)
