"""What may not be shown: passwords in URLs, and values whose name says that they are secret.

Every pattern here only moves forward: its repetitions give nothing back, and none begins inside
what it has read. So a text costs what its length costs, whatever it is.
"""

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import lru_cache
from typing import Any

import msgspec

_MASK = "***"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# What a name is a secret for, when it is its last word: db_password, accessToken, X-Auth.
_HEADS = _words(
    "password passwords passwd passphrase passphrases passcode pwd pwds pass pin pins auth "
    "authorization authentication credential credentials cred creds token tokens secret secrets "
    "apikey apikeys privatekey secretkey contraseña contraseñas contrasena"
)
# At the end of a name that has no gaps between its words: dbpassword, aws_secret_access_key.
_ENDS = (
    *("password", "passwd", "passphrase", "passcode", "secret", "token", "credential"),
    *("passwords", "secrets", "credentials", "apikey", "privatekey", "secretkey", "accesskey"),
    *("signingkey", "encryptionkey", "masterkey", "apikeys", "authkey"),
)
_STRONG = frozenset(("password", "passwd", "passphrase", "secret", "credentials", "token"))
"""They make a secret of what follows them as well: password_hash, secret_value."""

_WEAK = frozenset(("pin", "auth", "pass", "pwd"))
_AFTER_WEAK = frozenset(("code", "header", "value", "hash", "string", "data", "phrase", "word"))
_ABOUT = _words(
    "file path url uri endpoint policy length len reset expired expires expiry expiration at in on "
    "age count limit limits used usage name names type kind field manager version changed required "
    "enabled hint min max error errors size bytes ttl lifetime seconds rate per id ids"
)
"""What tells of a secret and is none: token_type, password_length."""

_NONE = _words(
    "invalid bad missing expired unknown unexpected wrong no revoked unsupported duplicate max min "
    "num total count prompt completion is has use with without"
)
"""What a name begins with that is none either: InvalidToken, max_tokens."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\dA-Z_]+")
_MAX_NAME = 100

_URL_RUN = re.compile(r"[^\s'\"]*+")
_USER = re.compile(r"[^\s/:@'\"]*+")
_HOST = re.compile(r"[^\s/?#'\"]*+")
_PORT = re.compile(r"\d{1,5}+[/?#]")
_HOOK = re.compile(r"(?:webhook[\w-]{0,20}+|/hooks?)/|/bot(?=\d{1,20}+:)", re.IGNORECASE)
_HOOK_HOSTS = ("hooks.", "hook.", "hc-ping.com")
_WEB = ("http", "https", "ws", "wss", "ftp")

_NAME = re.compile(
    r"(?<![\w-])([^\W\d][\w-]*+)(?P<quoted>\\*+[\"'])?+[ \t]*+(?::?=+>?|:(?!:|//))"
    r"(?(quoted)\s*+|[ \t]*+)"
)
_VALUE = re.compile(
    r"(?P<scheme>(?:bearer|basic|token|negotiate|apikey)[ \t]++)?+(?:"
    r"[bBrRuUfF]?+(?:\"[^\"\\]*+(?:\\.[^\"\\]*+)*+\"|'[^'\\]*+(?:\\.[^'\\]*+)*+'"
    r"|\\++\"[^\"]*+\"|\\++'[^']*+'|\\*+[\"'][^\n]*+)"
    r"|\[[^\]\n]*+\]?+|\{[^}\n]*+\}?+|\([^)\n]*+\)?+"
    r"|[^\s,;&\"'<>)}\]]++)",
    re.IGNORECASE | re.DOTALL,
)
_WHOLE_LINE = re.compile(r"(?:digest|aws4-hmac-sha256)[ \t][^\n]*+", re.IGNORECASE)
_NO_VALUE = frozenset(("none", "null", "true", "false", "''", '""', _MASK))
_BEARER = re.compile(r"\b(Bearer|Basic)\s++[\w.~+/=-]{6,}+")
_KEY_BLOCK = "PRIVATE KEY-----"


def redact(text: str) -> str:
    """Return `text` with ``***`` for the passwords in it: URLs, ``password=``, bearer tokens."""
    if "://" in text:
        text = _without_url_secrets(text)
    if "=" in text or ":" in text:
        text = _without_named_secrets(text)
    if _KEY_BLOCK in text:
        text = _without_keys(text)
    if "Bearer" in text or "Basic" in text:
        text = _BEARER.sub(rf"\1 {_MASK}", text)
    return text


@lru_cache(4_096)
def _is_secret(name: str) -> bool:
    words = [found.lower() for found in _WORD.findall(name)]
    if not words or words[0] in _NONE:
        return False
    last = words[-1]
    if last in _HEADS or "".join(words).endswith(_ENDS):
        return True
    if last in _ABOUT:
        return False
    return not _STRONG.isdisjoint(words) or (last in _AFTER_WEAK and not _WEAK.isdisjoint(words))


def is_secret(key: str) -> bool:
    """Tell whether a key's name says that its value is a secret: ``db_password``, ``apiKey``."""
    return _is_secret(key[-_MAX_NAME:])


def _names_secret(key: str, value: Any) -> bool:
    """Tell whether `value` under `key` is a secret: a number of tokens is none."""
    counted = isinstance(value, int | float) and key.lower().endswith("tokens")
    return not counted and is_secret(key)


def hidden(key: str, value: Any, depth: int = 20) -> Any:
    """Return `value` as it may be shown under `key`: tables, lists and Structs included, `depth`
    of them, and all that stands under a key that is secret."""
    return _hidden(_names_secret(key, value), value, depth)


def _hidden(secret: bool, value: Any, depth: int) -> Any:
    """Go through `value` without recursion: it may be deeper than calls may be."""
    found: list[Any] = [None]
    waiting: list[tuple[Any, Any, bool, Any, int]] = [(found, 0, secret, value, depth)]
    while waiting:
        into, place, secret, value, depth = waiting.pop()
        parts = _parts(value) if depth else value
        if isinstance(parts, str):
            into[place] = _MASK if secret and parts else redact(parts)
        elif parts is None or isinstance(parts, bool):
            into[place] = parts
        elif isinstance(parts, Mapping | list | tuple | set | frozenset):
            if depth == 0:
                into[place] = "…"
            elif isinstance(parts, Mapping):
                into[place] = inside = dict.fromkeys(parts)
                waiting += [
                    (inside, k, secret or _names_secret(str(k), v), v, depth - 1)
                    for k, v in parts.items()
                ]
            else:
                into[place] = items = [None] * len(parts)
                waiting += [(items, n, secret, item, depth - 1) for n, item in enumerate(parts)]
        else:
            into[place] = _MASK if secret else parts
    return found[0]


def _parts(value: Any) -> Any:
    """Return the fields of a Struct or dataclass by their names, anything else as it is."""
    if isinstance(value, msgspec.Struct):
        return {name: getattr(value, name, None) for name in value.__struct_fields__}
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name, None) for f in fields(value)}
    return value


def _end(run: re.Pattern[str], text: str, at: int) -> int:
    """Return where the characters of a kind end that begin at `at`, if any do."""
    found = run.match(text, at)
    return at if found is None else found.end()


def _without_url_secrets(text: str) -> str:
    kept, done, at = [], 0, text.find("://")
    while at >= 0:
        end = _end(_URL_RUN, text, at)
        for first, last in _in_url(text, at, end):
            kept += [text[done:first], _MASK]
            done = last
        at = text.find("://", end)
    return "".join([*kept, text[done:]]) if kept else text


def _in_url(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """Return where secrets stand in text[start:end], which holds no gap: a URL, or several."""
    found = []
    sign, at = text.rfind("@", start, end), start
    while at >= 0 and sign > at:
        user = _end(_USER, text, at + 3)
        web = text[max(0, at - 5) : at].lower().endswith(_WEB)
        if user < end and text[user] == ":" and sign > user:
            # A port before a path (http://host:8080/a@b) is no password; anything else before the
            # last '@' is, even with slashes that should have been escaped: better too much hidden.
            if not (web and _PORT.match(text, user + 1)):
                found.append((user + 1, sign))
                break
        elif web and user < end and text[user] == "@" and user > at + 3:
            found.append((at + 3, user))  # https://<token>@host
            break
        at = text.find("://", user, end)
    first = found[0][1] + 1 if found else start + 3
    if (hook := _of_hook(text, start, first, end)) is not None:
        found.append(hook)
    return found


def _of_hook(text: str, start: int, first: int, end: int) -> tuple[int, int] | None:
    """Return where the path stands that alone lets somebody post to a chat or a monitor."""
    last = first + len(text[first:end].rstrip(").,;:!?]}>"))
    at = first
    while start >= 0:
        ended = _end(_HOST, text, at)
        name = text[at:ended].lower()
        if "webhook" in name or name.startswith(_HOOK_HOSTS):
            return (ended + 1, last) if ended + 1 < last else None
        start = text.find("://", ended, end)
        at = start + 3
    named = _HOOK.search(text, first, end)
    return (named.end(), last) if named is not None and named.end() < last else None


def _without_named_secrets(text: str) -> str:
    kept, done, at = [], 0, 0
    while (name := _NAME.search(text, at)) is not None:
        at = name.end()
        if not is_secret(name[1]):
            continue
        value = _WHOLE_LINE.match(text, at) or _VALUE.match(text, at)
        if value is None:
            continue
        first = value.end("scheme") if value.re is _VALUE and value["scheme"] else at
        at = value.end()
        told = text[first:at].lower()
        if told in _NO_VALUE or (name[1].lower().endswith("tokens") and told.isdigit()):
            continue
        kept += [text[done:first], _MASK]
        done = at
    return "".join([*kept, text[done:]]) if kept else text


def _without_keys(text: str) -> str:
    """Return `text` without what stands between the lines of a PEM file that hold a key."""
    kept, done = [], 0
    while (begin := text.find(_KEY_BLOCK, done)) >= 0:
        begin += len(_KEY_BLOCK)
        end = text.find("-----END", begin)
        kept += [text[done:begin], _MASK]
        if end < 0:
            return "".join(kept)
        after = text.find(_KEY_BLOCK, end)
        done = len(text) if after < 0 else after + len(_KEY_BLOCK)
        kept.append(text[end:done])
    return "".join([*kept, text[done:]]) if kept else text
