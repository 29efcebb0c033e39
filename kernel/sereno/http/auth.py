"""Lets in who shows the bearer token; a probe needs none."""

from hmac import compare_digest

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from sereno.http.answer import sentence

OPEN = frozenset({"/health/liveness", "/health/readiness"})
"""Paths without a token: orchestrators ask them, and they tell nothing of jobs."""


class BearerAuth:
    """Answers 401 to requests that lack ``Authorization: Bearer <token>``."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what may be seen."""
        if scope["type"] != "http" or scope["path"] in OPEN or self._shown(scope):
            await self._app(scope, receive, send)
            return
        answer = sentence(
            401, "this page wants 'Authorization: Bearer <token>', with the token of http.token"
        )
        answer.headers["WWW-Authenticate"] = 'Bearer realm="sereno"'
        await answer(scope, receive, send)

    def _shown(self, scope: Scope) -> bool:
        scheme, _, token = Headers(scope=scope).get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and compare_digest(token.strip().encode(), self._token)
