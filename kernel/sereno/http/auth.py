"""Lets in who shows the token: as a bearer, or, to read in a browser, by a cookie from a form.

The cookie holds a digest of the token, so that it is worth nothing elsewhere and ends when the
token is changed; it goes with no request that another site's page causes, and reads alone.
"""

import hashlib
import hmac
from hmac import compare_digest
from urllib.parse import unquote_to_bytes

from sereno.http.answer import Answer, sentence
from sereno.http.request import Page, Request
from sereno.model.resource import resource_path

OPEN = frozenset({"/health/liveness", "/health/readiness"})
"""Paths without a token: orchestrators ask them, and they tell nothing of jobs."""

COOKIE = "sereno"

_LOGIN = "/login"
_MOST = 4096
_READS = ("GET", "HEAD")
_FORM = resource_path(__package__, "login.html").read_text("utf-8")


def guarded(app: Page, token: str) -> Page:
    """Return `app` for those who send ``Authorization: Bearer <token>``, and 401 for others.

    A browser that asks for the front page gets a form for the token instead.
    """
    wanted = token.encode()
    sealed = hmac.new(wanted, b"sereno pages", hashlib.sha256).hexdigest()

    async def guard(request: Request) -> Answer:
        path = request.path.rstrip("/")
        if path in OPEN or _shows(request, wanted):
            return await app(request)
        if request.method in _READS and _has_cookie(request, sealed):
            return await app(request)
        if path == _LOGIN and request.method == "POST":
            right = compare_digest(await _sent(request), wanted)
            return _welcome(request, sealed) if right else _form()
        if path in ("", _LOGIN) and "text/html" in request.header("accept"):
            return _form()
        answer = sentence(
            401, "this page wants 'Authorization: Bearer <token>', with the token of http.token"
        )
        answer.headers["WWW-Authenticate"] = 'Bearer realm="sereno"'
        return answer

    return guard


def _shows(request: Request, wanted: bytes) -> bool:
    scheme, _, token = request.header("authorization").partition(" ")
    return scheme.lower() == "bearer" and compare_digest(token.strip().encode("latin-1"), wanted)


def _has_cookie(request: Request, sealed: str) -> bool:
    wanted = f"{COOKIE}={sealed}".encode()
    sent = request.header("cookie").encode("latin-1").replace(b",", b";").split(b";")
    return any(compare_digest(one.strip(), wanted) for one in sent)


async def _sent(request: Request) -> bytes:
    """Return the token that the form has sent."""
    for field in (await request.body(_MOST)).split(b"&"):
        name, _, value = field.partition(b"=")
        if name == b"token":
            return unquote_to_bytes(value.replace(b"+", b" "))
    return b""


def _form() -> Answer:
    return Answer(status=401, body=_FORM.encode(), media_type="text/html; charset=utf-8")


def _welcome(request: Request, sealed: str) -> Answer:
    """Send the browser on to the front page, with the cookie."""
    secure = "; Secure" if request.header("x-forwarded-proto").lower() == "https" else ""
    cookie = f"{COOKIE}={sealed}; Path=/; HttpOnly; SameSite=Strict{secure}"
    return Answer(status=303, headers={"Location": "./", "Set-Cookie": cookie})
