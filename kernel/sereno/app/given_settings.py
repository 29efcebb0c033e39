"""The settings of an application's node, in the forms in which it may give them."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from sereno.settings import Settings, load_settings

GivenSettings = Settings | Mapping[str, Any] | str | os.PathLike[str] | None

_DEFAULTS = {"http": {"enabled": False}, "apps": {"enabled": False}}
"""Of many workers of one application each would want the port."""


def given_settings(given: GivenSettings) -> Settings:
    """Return the settings of a file, of tables, or those that ``sereno run`` would find; the
    environment counts over each. Raises ConfigurationError."""
    if isinstance(given, Settings):
        return given
    if isinstance(given, Mapping):
        environ = {**os.environ, "SERENO_CONFIG": os.devnull}
        tables = msgspec.to_builtins(given)
        return load_settings(
            file=None, environ=environ, flags={}, defaults=_over(_DEFAULTS, tables)
        )
    file = None if given is None else Path(given)
    return load_settings(file=file, environ=os.environ, flags={}, defaults=_DEFAULTS)


def _over(defaults: Mapping[str, Any], tables: Mapping[str, Any]) -> dict[str, Any]:
    laid = {
        name: {**table, **tables[name]}
        for name, table in defaults.items()
        if isinstance(tables.get(name, {}), Mapping) and name in tables
    }
    return {**defaults, **tables, **laid}
