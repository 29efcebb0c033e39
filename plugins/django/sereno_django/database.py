"""Turns an entry of DATABASES into the URL that Sereno opens, and such a URL into an entry."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode

from sereno import ConfigurationError, check_database_url

_ENGINES = ("postgresql", "postgis", "psqlextra")
_OURS = frozenset(
    (
        *("pool", "isolation_level", "server_side_binding", "assume_role", "client_encoding"),
        *("cursor_factory", "connect_timeout", "options", "application_name", "row_factory"),
        *("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "context"),
        *("prepare_threshold", "tcp_user_timeout", "sslcompression", "gssencmode"),
        *("fallback_application_name", "client_encoding", "channel_binding"),
    )
)
"""What is of Django's or psycopg's own sessions: the kernel's say these for themselves."""
_OF_URL = frozenset(
    (
        *("sslmode", "sslcert", "sslkey", "sslrootcert", "sslcrl", "sslpassword", "passfile"),
        *("ssl_min_protocol_version", "ssl_max_protocol_version", "target_session_attrs"),
        *("service", "servicefile", "krbsrvname", "gsslib", "sslnegotiation", "hostaddr"),
    )
)


def database_url(alias: str, entry: Mapping[str, Any]) -> str:
    """Return the URL of `entry`, whose name in DATABASES is `alias`.

    A name, user or password may hold any character. HOST may be empty or a directory (a socket), or
    several by commas. Raises ConfigurationError, without any part of the entry that is secret.
    """
    subject = f"DATABASES['{alias}']"
    engine = str(entry.get("ENGINE", ""))
    if not engine.endswith(_ENGINES):
        raise ConfigurationError(
            f"{subject}: its ENGINE is {engine!r:.60}, Sereno works in PostgreSQL alone; name "
            "another alias as SERENO['DATABASE']"
        )
    options = dict(entry.get("OPTIONS") or {})
    query = {name: str(value) for name, value in options.items() if name in _OF_URL}
    if unknown := sorted(set(options) - _OURS - _OF_URL):
        raise ConfigurationError(
            f"{subject}: OPTIONS has '{unknown[0]}', which Sereno does not know how to hand on; "
            "name the database as SERENO['DATABASE_URL']"
        )
    host, port = str(entry.get("HOST") or ""), str(entry.get("PORT") or "")
    login = quote(str(entry.get("USER") or ""), safe="")
    if password := str(entry.get("PASSWORD") or ""):
        login += f":{quote(password, safe='')}"
    name = quote(str(entry.get("NAME") or ""), safe="")
    if not name and "service" not in query:
        raise ConfigurationError(f"{subject}: it has no NAME, and no service in its OPTIONS")
    if host.startswith("/"):
        query |= {"host": host, **({"port": port} if port else {})}
        place = ""
    elif host:
        place = _hosts(host, port)
    else:
        place = ""
        if port and "service" not in query:
            query["port"] = port
    authority = f"{login}{'@' if login else ''}{place}"
    path = f"/{name}" if name else ""  # an empty path would name a database without a name
    return f"postgresql://{authority}{path}" + (f"?{urlencode(query)}" if query else "")


def database_entry(url: str, **more: Any) -> dict[str, Any]:
    """Return the entry of DATABASES for `url`, with what is in `more`, as ``CONN_MAX_AGE=60``.

    `url`: as for Sereno, ``postgresql://user:password@host/name``; what its query says besides
    ``host`` and ``port`` goes into OPTIONS. Raises ConfigurationError, without any part of it.
    """
    try:
        kind, _, rest = check_database_url(url).partition("://")
    except ValueError as error:
        raise ConfigurationError(f"the database's URL: {error}") from error
    if kind not in ("postgresql", "postgres"):
        raise ConfigurationError("the database's URL must begin with 'postgresql://'")
    place, _, asked = rest.partition("?")
    authority, _, name = place.partition("/")
    login, _, hosts = authority.rpartition("@")
    user, _, password = login.partition(":")
    pairs = [_pair(one) for one in hosts.split(",")] if hosts else []
    query = dict(parse_qsl(asked, keep_blank_values=True))
    host = query.pop("host", ",".join(one for one, _ in pairs))
    port = query.pop("port", ",".join(its for _, its in pairs))
    entry: dict[str, Any] = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(name),
        "USER": unquote(user),
        "PASSWORD": unquote(password),
        "HOST": host,
        "PORT": port if port.strip(",") else "",
        **more,
    }
    if query:
        entry["OPTIONS"] = {**query, **entry.get("OPTIONS", {})}
    return entry


def _pair(place: str) -> tuple[str, str]:
    """Return the host of ``host:port`` or ``[::1]:port``, and its port."""
    bracketed, closed, rest = place.rpartition("]")
    host, _, port = rest.partition(":")
    return (bracketed.removeprefix("["), port) if closed else (unquote(host), port)


def _hosts(host: str, port: str) -> str:
    """Return the hosts with their ports: one port may stand for all of several hosts."""
    hosts, ports = host.split(","), port.split(",")
    if len(ports) == 1:
        ports *= len(hosts)
    pairs = zip(hosts, ports, strict=False)
    return ",".join(_bracketed(one) + (f":{its}" if its else "") for one, its in pairs)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else quote(host, safe="")
