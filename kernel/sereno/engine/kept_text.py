"""What may be kept of a text: not too much, no secret, and nothing that PostgreSQL refuses."""

import re

from sereno.model.text import cut
from sereno.settings import redact

_HALF = re.compile("[\ud800-\udfff]")


def kept(text: str, limit: int) -> str:
    """Return `text` as it may be kept: cut before anything else is done to it, then without what
    is secret in it, then storable."""
    return storable(redact(cut(text, limit)))


def storable(text: str) -> str:
    """Return `text` with what PostgreSQL refuses written out, as ``\\0`` and ``\\ud800``: U+0000,
    and halves of surrogate pairs."""
    return _HALF.sub(lambda half: f"\\u{ord(half[0]):04x}", text.replace("\x00", "\\0"))
