"""What a page answers: JSON that a person can read, kept by no cache, and a sentence where it
cannot."""

from typing import Any

import msgspec

from sereno.model.text import shortened, visible_json
from sereno.settings import redact

_MAX_REASON = 2_000


class Answer(msgspec.Struct, kw_only=True):
    """A whole answer. `headers`: those that come beside the ones that every answer has."""

    status: int = 200
    body: bytes = b""
    media_type: str = "application/json"
    headers: dict[str, str] = {}


class RefusedError(Exception):
    """A request that cannot be served. `code`: the status of the answer."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def json(value: Any, status: int = 200, **headers: str) -> Answer:
    """Answer with `value` as indented JSON."""
    text = visible_json(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
    return Answer(status=status, body=f"{text}\n".encode(), headers=headers)


def sentence(status: int, reason: str) -> Answer:
    """Answer why a request cannot be served."""
    return json({"error": redact(shortened(reason, _MAX_REASON))}, status)
