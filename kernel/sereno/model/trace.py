"""Reads the context of a trace that a run carries: W3C traceparents, the first its parent."""

import re

_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-[!-~]*)?"
)
_MAX = 512


def is_traceparent(text: str) -> bool:
    """Tell whether `text` is a traceparent as W3C's Trace Context wants it, of any version."""
    if len(text) > _MAX or not _TRACEPARENT.fullmatch(text):
        return False
    return len(text) == 55 or not text.startswith("00")


def traceparents(context: str | None) -> list[str]:
    """Return what is well-formed of a run's context: its parent, then what it is linked with.

    Anything else is left out, as the standard wants it: whoever calls us may pass on what a
    stranger sent, and a broken header may cost nobody a run.
    """
    return [part for part in (context or "")[:16_384].split() if is_traceparent(part)]
