"""Reads ``SERENO_*`` variables: ``SERENO_HTTP__PORT`` sets ``port`` in ``[http]``."""

import re
from collections.abc import Mapping
from typing import Any

from sereno.model.errors import ConfigurationError
from sereno.settings.place import Key, SettingPlace, SettingPlaces

PREFIX = "SERENO_"
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
    for name, value in sorted(environ.items()):
        if not name.startswith(PREFIX) or value == "" or _foreign(name, value):
            continue
        key = split_key(name.removeprefix(PREFIX).lower().split("__"))
        put(tables, key, value, name)
        places[key] = SettingPlace("environment", name)
    return tables, SettingPlaces(places)


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
