"""Answers: JSON, problems as RFC 9457 has them, and where to go instead."""

from http import HTTPStatus
from typing import Any

import msgspec
from starlette.responses import Response

from sereno import (
    ConfigurationError,
    ConflictError,
    DeclarationError,
    NotFoundError,
    ParamsError,
    SerenoError,
    StoreError,
    StoreUnavailableError,
    TriggerError,
    WaitTimeoutError,
)
from sereno_console.security.identity import ForbiddenError

RETRY_AFTER = 5
"""Seconds after which a database that is away is worth another try."""


class Problem(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What went wrong, as RFC 9457 has it. `detail`: a sentence."""

    title: str
    status: int
    detail: str
    type: str = "about:blank"
    instance: str | None = None
    current: Any = None
    wanted: Any = None


class ProblemError(Exception):
    """A problem that a handler answers with."""

    def __init__(self, status: int, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.headers: dict[str, str] = more.pop("headers", {})
        title = HTTPStatus(status).phrase
        self.problem = Problem(title=title, status=status, detail=detail, **more)


def json(value: Any, status: int = 200, **headers: str) -> Response:
    """Answer with `value` as JSON; whole numbers are exact, of whatever size."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    body = msgspec.json.encode(value)
    return Response(body, status, named, media_type="application/json")


def problem(error: ProblemError) -> Response:
    """Answer with a problem."""
    body = msgspec.json.encode(error.problem)
    kind = "application/problem+json"
    return Response(body, error.problem.status, error.headers, media_type=kind)


def problem_of(error: Exception) -> ProblemError | None:
    """Return the problem that `error` is, None where it is a fault of ours."""
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, ForbiddenError):
        return ProblemError(403, f"{error}; ask who administers the console")
    if isinstance(error, StoreUnavailableError):
        again = {"retry-after": str(RETRY_AFTER)}
        return ProblemError(503, f"the database is away or busy: {error}", headers=again)
    for kind, status in _STATUS:
        if isinstance(error, kind):
            return ProblemError(status, str(error))
    return None


_STATUS: tuple[tuple[type[SerenoError], int], ...] = (
    (NotFoundError, 404),
    (ConflictError, 409),
    (WaitTimeoutError, 504),
    (ParamsError, 400),
    (TriggerError, 400),
    (DeclarationError, 400),
    (ConfigurationError, 400),
    (StoreError, 503),
)


def seen_other(address: str, **headers: str) -> Response:
    """Send a browser to `address`, as after a change."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Response(None, 303, {"location": address, **named})
