"""How an answer is written: JSON that a person can read, kept by no cache."""

from typing import Any

import msgspec
from starlette.responses import Response

HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def json(value: Any, status_code: int = 200) -> Response:
    """Answer with `value` as indented JSON."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"
    return Response(text, status_code, HEADERS, "application/json")


def sentence(status_code: int, reason: str) -> Response:
    """Answer why a request cannot be served."""
    return json({"error": reason}, status_code)
