"""Headers of every answer: what a browser may do with it, and where."""

from collections.abc import Sequence
from typing import Any


class Headers:
    """Adds them. `frame_ancestors`: origins that may show a page in a frame; none: nobody may."""

    def __init__(self, frame_ancestors: Sequence[str] = ()) -> None:
        around = " ".join(frame_ancestors) or "'none'"
        policy = (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
            "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
            f"frame-ancestors {around}"
        )
        listed = {
            "content-security-policy": policy,
            "x-content-type-options": "nosniff",
            "referrer-policy": "same-origin",
            "cross-origin-opener-policy": "same-origin",
            "cross-origin-resource-policy": "same-origin",
            "permissions-policy": "camera=(), geolocation=(), microphone=()",
        }
        if not frame_ancestors:
            listed["x-frame-options"] = "DENY"
        self._headers = [(n.encode(), v.encode("latin-1")) for n, v in listed.items()]

    def added(self, scope: Any, send: Any) -> Any:
        """Return `send` with the headers in each answer; nothing is kept unless a page says so."""

        async def sent(message: Any) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", ()))
                names = {name.lower() for name, _ in given}
                more = [pair for pair in self._headers if pair[0] not in names]
                if b"cache-control" not in names:
                    more.append((b"cache-control", b"no-store"))
                message = {**message, "headers": [*given, *more]}
            await send(message)

        return sent
