"""Reads ``SERENO_*`` variables: ``SERENO_HTTP__PORT`` sets ``port`` in ``[http]``.

A secret need not stand in the environment, which child processes have and ``/proc`` shows:
``SERENO_DATABASE_URL_FILE`` names a file that holds it, and so does a file ``SERENO_DATABASE_URL``
in systemd's ``$CREDENTIALS_DIRECTORY``.
"""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sereno.model.errors import ConfigurationError
from sereno.settings.place import Key, SettingPlace, SettingPlaces

PREFIX = "SERENO_"
_FILE = "_FILE"
_CREDENTIALS = "CREDENTIALS_DIRECTORY"
_MOST_BYTES = 65_536
# SERENO_CONFIG names the file; the tests have their own.
_OTHERS = re.compile(r"SERENO_(CONFIG$|TEST_)")
# Kubernetes and old Docker links set these for every service whose name begins with "sereno".
_LINK = re.compile(r"_SERVICE_(HOST|PORT(_\w+)?)$|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$")
_LINK_PORT = re.compile(r"(tcp|udp|sctp)://")


def read_environment(environ: Mapping[str, str]) -> tuple[dict[str, Any], SettingPlaces]:
    """Return the tables that `environ` sets, each value still a text, and each key's variable.

    An empty variable counts as not set, as compose files leave it.
    """
    tables: dict[str, Any] = {}
    places: dict[Key, SettingPlace] = {}
    variables = {n: v for n, v in environ.items() if n.startswith(PREFIX) and v != ""}
    found = {name: (value, name) for name, value in _credentials(environ)}
    for name, value in variables.items():
        if _foreign(name, value):
            continue
        if name.endswith(_FILE):
            whole = name.removesuffix(_FILE)
            if whole in variables:
                raise ConfigurationError(f"{name} and {whole} are both set: leave one of them out")
            found[whole] = _content(Path(value), name), name
        else:
            found[name] = value, name
    for name, (value, place) in sorted(found.items()):
        key = split_key(name.removeprefix(PREFIX).lower().split("__"))
        put(tables, key, value, place)
        places[key] = SettingPlace("environment", place)
    return tables, SettingPlaces(places)


def _credentials(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield what systemd's LoadCredential= brought, by the names of variables."""
    directory = environ.get(_CREDENTIALS, "")
    if not directory:
        return
    try:
        names = sorted(os.listdir(directory))
    except OSError as error:
        raise ConfigurationError(
            f"{_CREDENTIALS}: {directory} cannot be read: {error.strerror}"
        ) from error
    for name in names:
        if name.startswith(PREFIX) and not _OTHERS.match(name):
            yield name, _content(Path(directory, name), f"credential {name}")


def _content(path: Path, place: str) -> str:
    """Return the text of a file without the line's end; no part of it is in any sentence."""
    try:
        with path.open("rb") as file:
            found = file.read(_MOST_BYTES + 1)
        text = found.decode("utf-8").rstrip("\r\n")
    except OSError as error:
        raise ConfigurationError(f"{place}: {path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, ValueError):
        raise ConfigurationError(f"{place}: {path} holds no text in UTF-8") from None
    if not text or len(found) > _MOST_BYTES or "\0" in text:
        raise ConfigurationError(
            f"{place}: {path} must hold one value, of 1 to {_MOST_BYTES} bytes without U+0000"
        )
    return text


def read_flags(flags: Mapping[str, Any]) -> tuple[dict[str, Any], SettingPlaces]:
    """Return the tables that `flags` set; None stands for a flag that was not given."""
    tables: dict[str, Any] = {}
    places: dict[Key, SettingPlace] = {}
    for name, value in flags.items():
        if value is None:
            continue
        key = split_key(name.split("."))
        places[key] = SettingPlace("flag", SettingPlace("flag", "").spelled(key))
        put(tables, key, value, places[key].text)
    return tables, SettingPlaces(places)


def split_key(parts: list[str]) -> Key:
    """Return `parts` as a key; a job's name, which has dots of its own, is put together again."""
    if parts[0] == "jobs" and len(parts) > 3:
        return ("jobs", ".".join(parts[1:-1]), parts[-1])
    return tuple(parts)


def put(tables: dict[Any, Any], key: Key, value: Any, place: str) -> None:
    """Set `key` in the nested `tables`."""
    *outer, last = key
    for part in outer:
        tables = tables.setdefault(part, {})
        if not isinstance(tables, dict):
            raise ConfigurationError(f"{place}: '{part}' is set to a value and to a table at once")
    if isinstance(tables.get(last), dict):
        raise ConfigurationError(f"{place}: '{last}' is set to a value and to a table at once")
    tables[last] = value


def _foreign(name: str, value: str) -> bool:
    if _OTHERS.match(name):
        return True
    if "__" in name:
        return False
    return bool(_LINK.search(name)) or (name.endswith("_PORT") and bool(_LINK_PORT.match(value)))
