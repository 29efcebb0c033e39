"""What PostgreSQL refuses to keep: U+0000, and halves of surrogate pairs."""

import re

_HALF = re.compile("[\ud800-\udfff]")
_NUL_IN_JSON = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def storable(text: str) -> str:
    """Return `text` with what PostgreSQL refuses written out, as ``\\0`` and ``\\ud800``."""
    return _HALF.sub(lambda half: f"\\u{ord(half[0]):04x}", text.replace("\x00", "\\0"))


def holds_nul(json: bytes) -> bool:
    """Tell whether this JSON text holds U+0000, which jsonb cannot."""
    return b"\\u0000" in json and _NUL_IN_JSON.search(json) is not None
