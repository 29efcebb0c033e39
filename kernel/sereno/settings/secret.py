"""What may not be shown: passwords in URLs, and values whose key says that they are secret."""

import re
from collections.abc import Mapping
from typing import Any

_MASK = "***"
# A port before a path (http://host:8080/a@b) is no password; anything else between ':' and the last
# '@' is, even with slashes that should have been escaped: better too much hidden than too little.
_URL = re.compile(r"([a-z][a-z0-9+.\-]*://[^\s/:@'\"]*:)(?!\d{1,5}[/?#])[^\s'\"]*@", re.IGNORECASE)
_PAIR = re.compile(
    r"""((?:pass(?:word|wd|phrase)|secret|token|api_?key)["']?\s*(?:=>?|:(?=\s*["']))\s*)"""
    r"""("[^"]*"|'[^']*'|[^\s,;&"')}\]]+)""",
    re.IGNORECASE,
)
_BEARER = re.compile(r"\b(Bearer|Basic)\s+[\w.~+/=-]{6,}")
_KEY = re.compile(r"pass(word|wd|phrase)?$|secret|token|api_?key|private_?key", re.IGNORECASE)


def redact(text: str) -> str:
    """Return `text` with ``***`` for the passwords in it: URLs, ``password=``, bearer tokens."""
    if "@" in text:
        text = _URL.sub(rf"\1{_MASK}@", text)
    text = _PAIR.sub(rf"\1{_MASK}", text)
    return _BEARER.sub(rf"\1 {_MASK}", text)


def is_secret(key: str) -> bool:
    """Tell whether a key's name says that its value is a secret."""
    return _KEY.search(key) is not None


def hidden(key: str, value: Any, depth: int = 20) -> Any:
    """Return `value` as it may be shown under `key`, tables and lists included, `depth` of them."""
    if isinstance(value, Mapping | list | tuple) and depth == 0:
        return "…"
    if isinstance(value, Mapping):
        return {k: hidden(str(k), v, depth - 1) for k, v in value.items()}
    if isinstance(value, list | tuple):
        kind = tuple if isinstance(value, tuple) else list
        return kind(hidden(key, item, depth - 1) for item in value)
    if is_secret(key) and value not in (None, "", False, True):
        return _MASK
    return redact(value) if isinstance(value, str) else value
