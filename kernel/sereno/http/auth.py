"""Lets in who shows the bearer token; a probe needs none."""

from hmac import compare_digest

from sereno.http.answer import Answer, sentence
from sereno.http.request import Page, Request

OPEN = frozenset({"/health/liveness", "/health/readiness"})
"""Paths without a token: orchestrators ask them, and they tell nothing of jobs."""


def guarded(app: Page, token: str) -> Page:
    """Return `app` for those who send ``Authorization: Bearer <token>``, and 401 for others."""
    wanted = token.encode()

    async def guard(request: Request) -> Answer:
        if request.path.rstrip("/") in OPEN or _shows(request, wanted):
            return await app(request)
        answer = sentence(
            401, "this page wants 'Authorization: Bearer <token>', with the token of http.token"
        )
        answer.headers["WWW-Authenticate"] = 'Bearer realm="sereno"'
        return answer

    return guard


def _shows(request: Request, wanted: bytes) -> bool:
    scheme, _, token = request.header("authorization").partition(" ")
    return scheme.lower() == "bearer" and compare_digest(token.strip().encode("latin-1"), wanted)
