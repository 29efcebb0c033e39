"""Decides whether a database's URL says what it seems to: a password's own ``/`` ends the host
before it has begun. No part of the URL stands in the sentence, for it may be the password's."""

import re
from urllib.parse import parse_qsl, unquote

_ENCODED = {"/": "%2F", "#": "%23", "?": "%3F", "@": "%40", ":": "%3A", "[": "%5B", "]": "%5D"}
_REMEDY = (
    "write each of these in its user or password as %-code: "
    + ", ".join(f"{char} as {code}" for char, code in _ENCODED.items())
    + ", % as %25"
)
_BAD_CODE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PORT = re.compile(r"[0-9]{1,5}")
_MAX_PORT = 65_535
_REFUSED = re.compile(r"[\x00-\x20\x7f]")


def check_database_url(url: str) -> str:
    """Return `url`; raises ValueError, a sentence without any part of it, where it cannot be what
    its writer meant. What is no URL is left to who reads it."""
    if "://" not in url:
        return url
    if _REFUSED.search(url):
        raise ValueError("it holds a space or another character that cannot be seen; " + _REMEDY)
    _, _, rest = url.partition("://")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    beyond = rest[len(authority) :]
    if "@" in beyond.partition("?")[0] or "#" in rest or _cut_in_login(authority, beyond):
        raise ValueError(f"its user or password holds a '/', '?' or '#' as it is; {_REMEDY}")
    login, at, hosts = authority.rpartition("@")
    if "@" in login:
        raise ValueError(f"it holds more than one '@' before its path; {_REMEDY}")
    if at and login.partition(":")[2].count(":"):
        raise ValueError(f"its user or password holds a ':' as it is; {_REMEDY}")
    if _BAD_CODE.search(login):
        raise ValueError(f"its user or password holds a '%' that begins no code; {_REMEDY}")
    if "\x00" in unquote(rest):
        raise ValueError("it holds U+0000, which no name or password may")
    for host in hosts.split(",") if hosts else ():
        _check_host(host)
    _check_query(beyond)
    return url


def _cut_in_login(authority: str, beyond: str) -> bool:
    """Tell whether a password was cut off: what is no port stands where one would, and an '@' comes
    later."""
    if "@" in authority or "@" not in beyond:
        return False
    last = authority.rpartition(":")[2] if ":" in authority and "]" not in authority else ""
    return bool(last) and not _PORT.fullmatch(last)


def _check_host(host: str) -> None:
    """Look at one of the hosts before the path; one without a name is that of the query, or a
    socket's."""
    if host.startswith("["):
        name, bracket, port = host[1:].partition("]")
        if not bracket or ":" not in name or (port and not port.startswith(":")):
            raise ValueError("its IPv6 address must stand whole in brackets, as [::1]:5432")
        port = port[1:]
        given = ":" in host.rpartition("]")[2]
    else:
        name, colon, port = host.partition(":")
        given = bool(colon)
        if ":" in port:
            raise ValueError(
                f"an IPv6 address stands in brackets, as [::1]:5432; or else {_REMEDY}"
            )
    if given and not _is_port(port):
        raise ValueError(f"its port must be a number from 1 to {_MAX_PORT}; or else {_REMEDY}")


def _check_query(beyond: str) -> None:
    _, _, query = beyond.partition("?")
    for name, value in parse_qsl(query, keep_blank_values=True):
        ports = value.split(",") if name == "port" else ()
        if any(port and not _is_port(port) for port in ports):
            raise ValueError(f"port in its query must be a number from 1 to {_MAX_PORT}")


def _is_port(text: str) -> bool:
    return _PORT.fullmatch(text) is not None and 1 <= int(text) <= _MAX_PORT
