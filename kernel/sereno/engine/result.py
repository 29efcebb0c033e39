"""What becomes of the values that a job returns or keeps: JSON, of bounded size."""

from typing import Any

import msgspec

from sereno.model import fault
from sereno.model.bounds import MAX_LEVELS, holds_nul, is_deep
from sereno.model.secret import secret_fields

MAX_RESULT_BYTES = 1_000_000
_DEEP = "which no reader could be sure to hold"


class Encoded(msgspec.Struct, frozen=True):
    """A result as it is kept: its JSON text, a note when it was not kept, an error when it is no
    JSON."""

    text: bytes | None = None
    note: str | None = None
    error: str | None = None


_NOTHING = Encoded(text=b"null")
"""What most jobs return, made once."""

NOT_KEPT = Encoded()
"""What becomes of the result of a job with ``keep_result=False``."""


def encode_checkpoint(value: Any) -> bytes:
    """Return `value` as JSON text; raises ValueError or TypeError when it cannot be kept."""
    text = msgspec.json.encode(value)
    if len(text) > MAX_RESULT_BYTES:
        raise ValueError(f"a checkpoint of {len(text)} bytes: the limit is {MAX_RESULT_BYTES}")
    if is_deep(text, MAX_LEVELS):
        raise ValueError(f"a checkpoint of more than {MAX_LEVELS} levels, {_DEEP}")
    if holds_nul(text):
        raise ValueError("a checkpoint holds U+0000, which PostgreSQL cannot keep")
    return text


def encode_result(value: Any) -> Encoded:
    """Return `value` as JSON text, or why it is not kept."""
    if value is None:
        return _NOTHING
    if isinstance(value, Encoded):
        return value
    try:
        text = msgspec.json.encode(_without_secrets(value))
    except Exception as error:  # what the value's own code raises, too
        return Encoded(error=f"its result is not JSON: {fault.message(error, 1_000)}")
    if len(text) > MAX_RESULT_BYTES:
        return Encoded(
            note=f"its result of {len(text)} bytes was not kept: the limit is {MAX_RESULT_BYTES}"
        )
    if is_deep(text, MAX_LEVELS):
        return Encoded(
            note=f"its result was not kept: it is more than {MAX_LEVELS} levels deep, {_DEEP}"
        )
    if holds_nul(text):
        return Encoded(
            note="its result was not kept: it holds U+0000, which PostgreSQL cannot keep"
        )
    return Encoded(text=text)


def _without_secrets(value: Any) -> Any:
    """Return a result without what its Struct declares secret: a result is kept, and passed on."""
    kind: Any = type(value)
    secrets = secret_fields(kind)
    if not secrets:
        return value
    found = msgspec.to_builtins(value)
    return {name: None if name in secrets else item for name, item in found.items()}
