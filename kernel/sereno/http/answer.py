"""What a page answers: JSON that a person can read, kept by no cache, and a sentence where it
cannot."""

from typing import Any

import msgspec


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
    text = msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"
    return Answer(status=status, body=text, headers=headers)


def sentence(status: int, reason: str) -> Answer:
    """Answer why a request cannot be served."""
    return json({"error": reason}, status)
