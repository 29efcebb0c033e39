"""What a handler is given: who asks, the client, and what stands in the address and the body."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

from starlette.requests import Request

from sereno import Client, ParamsError
from sereno_console.security.identity import Identity
from sereno_console.security.log_in import Sessions
from sereno_console.web.hub import Hub

MOST_BYTES = 1_048_576
"""The longest body that is read."""

_MOST_FIELDS = 1_000


class ConsoleRequest(Request):
    """A request to the console. `arguments`: what stands in its path, by name.

    `sereno`: the client; `user`: who asks, checked already for what the route needs; `sessions`:
    what logs people in, None where another application knows them; `hub`: what is new; `links`:
    addresses of runs elsewhere, by name.
    """

    arguments: Mapping[str, str]
    sereno: Client
    sessions: Sessions | None = None
    hub: Hub
    links: Mapping[str, str] = {}
    _identity: Identity | None = None

    @property
    def user(self) -> Identity:
        """Return who asks; on a route that is open to all there may be nobody."""
        if self._identity is None:
            raise LookupError("nobody is known to ask: the route is open")
        return self._identity

    @property
    def known(self) -> Identity | None:
        """Return who asks, None where nobody is known."""
        return self._identity

    def known_as(self, identity: Identity | None) -> None:
        """Note who asks."""
        self._identity = identity

    def link(self, *path: object, **query: object) -> str:
        """Return the address of a page below the mount: ``link("jobs", name)``; ``/`` in a part is
        escaped."""
        base: str = self.scope.get("root_path", "").rstrip("/")
        return base + address(*path, **query)

    @property
    def asked_path(self) -> str:
        """Return the path as it was asked for, escaped."""
        raw = self.scope.get("raw_path")
        return (
            quote(self.scope["path"]) if raw is None else raw.partition(b"?")[0].decode("latin-1")
        )

    async def body(self) -> bytes:
        """Return the whole body; raises ParamsError for one that is too long."""
        if not hasattr(self, "_body"):
            parts: list[bytes] = []
            size = 0
            async for part in self.stream():
                size += len(part)
                if size > MOST_BYTES:
                    raise ParamsError(f"the body is longer than {MOST_BYTES:,} bytes")
                parts.append(part)
            self._body = b"".join(parts)
        return self._body

    async def fields(self) -> dict[str, str]:
        """Return the fields of a form, as a browser sends one without files; the last of a name."""
        try:
            text = (await self.body()).decode()
            return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS))
        except ValueError as error:
            raise ParamsError(f"the form cannot be read: {error}") from None


def address(*path: object, **query: object) -> str:
    """Return a path and query from their parts, escaped; what is None in the query is left out."""
    found = "".join(f"/{_quoted(str(part))}" for part in path) or "/"
    asked = [(name, value) for name, value in query.items() if value is not None]
    if not asked:
        return found
    pairs = [f"{_quoted(name)}={_quoted(str(value))}" for name, value in asked]
    return f"{found}?{'&'.join(pairs)}"


@lru_cache(4_096)
def _quoted(text: str) -> str:
    return quote(text, safe="")


def segments(scope: Mapping[str, Any]) -> list[str]:
    """Return the parts of a request's path below the mount, each decoded by itself: a name may hold
    a ``/``."""
    path, root = scope["path"], scope.get("root_path", "").rstrip("/")
    raw = scope.get("raw_path")
    below = bool(root) and (path == root or path.startswith(f"{root}/"))
    skipped = root.count("/") if below else 0
    if raw is None:
        return path.lstrip("/").split("/")[skipped:] or [""]
    parts = raw.partition(b"?")[0].decode("latin-1").lstrip("/").split("/")
    return [unquote(part, errors="replace") for part in parts[skipped:]] or [""]
