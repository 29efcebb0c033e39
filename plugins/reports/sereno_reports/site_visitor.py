"""Decides who may read reports over HTTP: whom the app that keeps the door knows, or, without one,
who comes from this machine itself."""

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

import msgspec

EXTENSION = "sereno.apps"
_FORWARDED = {b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-real-ip", b"via"}

CLOSED = (
    "reports are shown to who comes from this machine itself, and to those whom an app that knows "
    "people lets in: install sereno-console"
)


class SiteClosedError(Exception):
    """Nobody can come in; its text is a sentence."""


class Visitor(msgspec.Struct, frozen=True):
    """Who asks. `known`: by the app at the door; None: somebody at this machine, who may all."""

    known: Any = None

    def may_read(self, report: str) -> bool:
        """Tell whether they may read the reports of that name: who may read their job may."""
        return self.known is None or bool(self.known.can("read", f"reports.{report}"))


async def visitor_of(scope: Mapping[str, Any]) -> Visitor | None:
    """Return who asks, None for somebody who is not known; raises SiteClosedError, SerenoError."""
    told = (scope.get("extensions") or {}).get(EXTENSION) or {}
    if (asked := told.get("visitor")) is not None:
        known = await asked(scope)
        return None if known is None else Visitor(known)
    if not _is_local(scope, told):
        raise SiteClosedError(CLOSED)
    return Visitor()


def _is_local(scope: Mapping[str, Any], told: Mapping[str, Any]) -> bool:
    """Tell whether it is from this machine, by no proxy, of apps that are served for it alone."""
    headers = dict(scope["headers"])
    host = headers.get(b"host", b"").decode("latin-1")
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
    asks = (scope.get("client") or ("", 0))[0]
    places = (told.get("host", ""), told.get("peer", ""), asks, name.strip("[]"))
    return all(map(_is_loopback, places)) and _FORWARDED.isdisjoint(headers)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
