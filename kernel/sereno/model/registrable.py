"""Decides whether what is declared can be kept: texts that PostgreSQL takes, JSON that both sides
read, instants with a zone. What is at fault is told when it is declared, and fails its plugin."""

import re
from datetime import datetime, timedelta
from typing import Any

import msgspec

from sereno.model.errors import DeclarationError

_REFUSED = re.compile("[\x00\ud800-\udfff]")
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_MAX_JSON_BYTES = 1_000_000


def check_text(subject: str, what: str, text: object, limit: int) -> None:
    """Raise DeclarationError unless `text` is one that can be kept, of at most `limit`
    characters."""
    if not isinstance(text, str):
        raise DeclarationError(f"{subject}: {what} is {text!r:.100}, it must be a text")
    if len(text) > limit:
        raise DeclarationError(
            f"{subject}: {what} has {len(text)} characters, the limit is {limit}; shorten it"
        )
    if found := _REFUSED.search(text):
        raise DeclarationError(
            f"{subject}: {what} holds {found[0]!r} at character {found.start() + 1}, which "
            "PostgreSQL cannot keep; leave it out"
        )


def check_json(subject: str, what: str, value: Any) -> None:
    """Raise DeclarationError unless `value` is JSON that the database keeps and gives back."""
    try:
        encoded = msgspec.json.encode(value)
        msgspec.json.decode(encoded)
    except Exception as error:  # what the value's own code raises, too
        raise DeclarationError(
            f"{subject}: {what} cannot be kept as JSON: {error!s:.300}"
        ) from error
    if len(encoded) > _MAX_JSON_BYTES:
        raise DeclarationError(
            f"{subject}: {what} takes {len(encoded)} bytes as JSON, the limit is {_MAX_JSON_BYTES}"
        )
    if b"\\u0000" in encoded and _NUL.search(encoded):
        raise DeclarationError(
            f"{subject}: {what} holds U+0000, which PostgreSQL cannot keep; leave it out"
        )


def check_instant(subject: str, what: str, instant: object) -> None:
    """Raise DeclarationError unless `instant` is None, or a time with a zone."""
    if instant is None:
        return
    if not isinstance(instant, datetime) or instant.utcoffset() is None:
        raise DeclarationError(
            f"{subject}: {what} is {instant!r:.100}, it must be a datetime with a time zone"
        )


def check_span(subject: str, what: str, span: object) -> None:
    """Raise DeclarationError unless `span` is None, or a duration longer than nothing."""
    if span is None:
        return
    if not isinstance(span, timedelta) or span <= timedelta(0):
        raise DeclarationError(
            f"{subject}: {what} is {span!r:.100}, it must be a timedelta longer than nothing"
        )
