"""Lays a project's settings under the environment: SERENO and DATABASES as SERENO_* variables.

The environment is what reaches all that Sereno starts: the replica that ``sereno run`` becomes,
processes of apps and of jobs. What stands there already wins.
"""

import json
from collections.abc import Mapping, MutableMapping
from typing import Any

from sereno import ConfigurationError
from sereno_django.database import database_url

_OWN = {"DATABASE", "LEADER_DATABASE", "DATABASE_URL"}
_BY_NAME = ("jobs", "schedules")
"""Tables whose keys are names, and whose entries are values as a whole."""


def tables(project: Mapping[str, Any], databases: Mapping[str, Any], zone: str) -> dict[str, Any]:
    """Return the settings that SERENO (`project`), DATABASES and TIME_ZONE stand for, as tables.

    Raises ConfigurationError.
    """
    found = _lower(project)
    own = {name: project.get(name) for name in _OWN}
    for name in _OWN:
        found.pop(name.lower(), None)
    alias = own["DATABASE"] or "default"
    found["database_url"] = own["DATABASE_URL"] or _url(alias, databases, "DATABASE")
    if leader := own["LEADER_DATABASE"]:
        found["leader_database_url"] = _url(leader, databases, "LEADER_DATABASE")
    found.setdefault("timezone", zone)
    return found


def variables(
    project: Mapping[str, Any], databases: Mapping[str, Any], zone: str
) -> dict[str, str]:
    """Return the SERENO_* variables of these settings."""
    found: dict[str, str] = {}
    _flatten(found, ["SERENO"], tables(project, databases, zone))
    return found


def _lower(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return `table` with its keys as the settings file has them."""
    return {
        str(name).lower(): _lower(value) if isinstance(value, Mapping) else value
        for name, value in table.items()
    }


def lay_under(environ: MutableMapping[str, str], found: Mapping[str, str]) -> None:
    """Set each variable that `environ` has not."""
    for name, value in found.items():
        if not environ.get(name):
            environ[name] = value


def _url(alias: str, databases: Mapping[str, Any], key: str) -> str:
    if alias not in databases:
        raise ConfigurationError(
            f"SERENO['{key}'] is '{alias}', and DATABASES has {', '.join(sorted(databases))}"
        )
    return database_url(alias, databases[alias])


def _flatten(found: dict[str, str], path: list[str], value: Any) -> None:
    """Set the variable of each leaf of `value`; tables by name hold their leaves as JSON."""
    named = len(path) > 1 and path[1] in _BY_NAME
    if isinstance(value, Mapping) and value and (len(path) < 4 if named else True):
        for key, inner in value.items():
            _flatten(found, [*path, str(key).lower()], inner)
        return
    name = f"{path[0]}_{'__'.join(path[1:]).upper()}"
    if isinstance(value, bool):
        found[name] = "true" if value else "false"
    elif value is None:
        return
    elif isinstance(value, Mapping | list | tuple):
        found[name] = json.dumps(value)
    else:
        found[name] = str(value)
