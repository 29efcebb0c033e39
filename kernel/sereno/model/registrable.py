"""Decides whether what is declared can be kept: texts that PostgreSQL takes, JSON that both sides
read, instants with a zone. What is at fault is told when it is declared, and fails its plugin."""

import re
from datetime import datetime, timedelta
from typing import Any

from sereno.model.bounds import checked_json
from sereno.model.errors import DeclarationError, SerenoError

_REFUSED = re.compile("[\x00\ud800-\udfff]")


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
        checked_json(value, f"{subject}: {what}")
    except SerenoError as error:
        raise DeclarationError(str(error)) from error
    except Exception as error:  # what the value's own code raises, too
        raise DeclarationError(
            f"{subject}: {what} cannot be kept as JSON: {error!s:.300}"
        ) from error


def check_instant(subject: str, what: str, instant: object) -> None:
    """Raise DeclarationError unless `instant` is None, or a time with a zone."""
    if instant is None:
        return
    if not isinstance(instant, datetime) or instant.utcoffset() is None:
        raise DeclarationError(
            f"{subject}: {what} is {instant!r:.100}, it must be a datetime with a time zone"
        )


def check_spread(subject: str, spread: object) -> None:
    """Raise DeclarationError unless `spread` is None, or a duration of jitter: not of nothing."""
    if spread is not None and not (isinstance(spread, timedelta) and spread):
        raise DeclarationError(
            f"{subject}: jitter is {spread!r:.100}, it must be a timedelta longer than nothing"
        )


def checked_flag(value: object, what: str, subject: str) -> bool:
    """Return `value`, which is true or false; raises DeclarationError."""
    if not isinstance(value, bool):
        raise DeclarationError(f"{subject}: {what} is {value!r:.100}, it must be True or False")
    return value
