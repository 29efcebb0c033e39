"""Who comes into a console that is mounted in the project: Django's users, by their session."""

from importlib import import_module
from typing import Any, NamedTuple

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import get_user
from django.db import OperationalError, close_old_connections
from django.http import HttpRequest

from sereno import StoreUnavailableError

_SCOPES = {
    "view_taskrun": ("viewer",),
    "change_taskrun": ("run", "cancel", "retry", "bulk"),
    "change_periodictask": ("schedule", "pause"),
    "reveal_taskrun": ("reveal",),
}
"""By the permission of a model of the admin's: what it allows in the console."""


class Known(NamedTuple):
    """Somebody of the staff."""

    username: str
    scopes: tuple[str, ...]


class People:
    """Tells `sereno_console.app(..., resolver=)` who asks and what they may.

    Staff alone come in. A superuser may do everything, others what their permissions on tasks and
    periodic tasks say; whoever says it otherwise overrides `resolve_access`, which gets a `Known`.
    """

    async def resolve_user(self, request: Any) -> Known | None:
        """Return who has the session; raises StoreUnavailableError while its database is away."""
        key = request.cookies.get(settings.SESSION_COOKIE_NAME)
        return None if not key else await sync_to_async(_known)(key)

    def resolve_access(self, user: Known) -> list[str]:
        """Return the scopes."""
        return list(user.scopes)


def _known(key: str) -> Known | None:
    """Ask Django, on a connection that ends or is kept as those of requests are."""
    try:
        return _asked(key)
    except OperationalError:  # a connection that was kept may be cut by now
        try:
            return _asked(key)
        except OperationalError as error:
            raise StoreUnavailableError(f"Django's database: {error}") from error


def _asked(key: str) -> Known | None:
    close_old_connections()
    try:
        asked = HttpRequest()
        asked.session = import_module(settings.SESSION_ENGINE).SessionStore(key)
        user: Any = get_user(asked)
        if not (user.is_authenticated and user.is_active and user.is_staff):
            return None
        return Known(user.get_username(), _scopes(user))
    finally:
        close_old_connections()


def _scopes(user: Any) -> tuple[str, ...]:
    if user.is_superuser:
        return ("admin",)
    held = [name for name in _SCOPES if user.has_perm(f"sereno.{name}")]
    return tuple(scope for name in held for scope in _SCOPES[name])
