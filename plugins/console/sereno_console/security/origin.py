"""Decides where a request comes from: from this machine, through a proxy, from elsewhere."""

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

import msgspec

EXTENSION = "sereno.apps"
"""What a replica's process of apps adds to a request: where it listens, and who is connected."""

_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")


class RequestOrigin(msgspec.Struct, frozen=True):
    """`address`: who asks, as proxies that are believed have it; `peer`: who is connected.

    `listens`: the address on which apps are served, None where the console is mounted elsewhere.
    """

    address: str
    peer: str
    listens: str | None

    @classmethod
    def of(cls, scope: Mapping[str, Any]) -> "RequestOrigin":
        """Read it from a request."""
        address = (scope.get("client") or ("", 0))[0]
        told = (scope.get("extensions") or {}).get(EXTENSION) or {}
        return cls(address, told.get("peer", address), told.get("host"))

    def is_local(self, headers: Mapping[str, str]) -> bool:
        """Tell whether it is from this machine, of apps that are served for this machine alone: by
        no proxy, and by a name that only this machine has."""
        if self.listens is None or not is_loopback(self.listens):
            return False
        if not is_loopback(self.address) or not is_loopback(self.peer):
            return False
        host = headers.get("host", "").rpartition(":")[0] or headers.get("host", "")
        return is_loopback(host.strip("[]")) and not any(name in headers for name in _FORWARDED)


def is_loopback(host: str) -> bool:
    """Tell whether an address, or a name, is this machine's own alone."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
