"""Decides whom a proxy in front names, and whether it is one that is believed."""

from ipaddress import ip_address, ip_network

from starlette.requests import Request

from sereno_console.security.identity import ForbiddenError, Identity
from sereno_console.security.origin import RequestOrigin
from sereno_console.security.permissions import Access
from sereno_console.settings import ProxySettings

_LONGEST = 200


class Proxies:
    """The proxies that name who asks, where there are any."""

    def __init__(self, settings: ProxySettings) -> None:
        self._settings = settings
        self._networks = [ip_network(a, strict=False) for a in settings.addresses]

    @property
    def named(self) -> bool:
        """Tell whether a proxy names its users at all."""
        return bool(self._settings.user_header)

    def identify(self, request: Request, origin: RequestOrigin) -> Identity | None:
        """Return whom the proxy names; what anybody else sends in its headers counts for nothing.

        Raises ForbiddenError for a header that is there twice, as one that the proxy let through.
        """
        if not self.named or not self._is_proxy(origin.peer):
            return None
        name = self._header(request, self._settings.user_header)
        if not name:
            return None
        groups = self._header(request, self._settings.groups_header)
        scopes = [
            scope
            for of in (name, *(group.strip() for group in groups.split(",")))
            for scope in self._settings.access.get(of, ())
        ]
        access = Access.of(scopes or self._settings.default)
        return Identity(name=name, access=access, via="proxy", address=origin.address)

    def _is_proxy(self, peer: str) -> bool:
        try:
            address = ip_address(peer)
        except ValueError:
            return False
        return any(address in network for network in self._networks)

    def _header(self, request: Request, name: str) -> str:
        found = request.headers.getlist(name) if name else []
        if len(found) > 1:
            raise ForbiddenError(f"'{name}' is there {len(found)} times: the proxy lets it through")
        text = found[0].encode("latin-1").decode("utf-8", "replace") if found else ""
        return "".join(c for c in text if c.isprintable())[:_LONGEST].strip()
