"""Lays file, environment and flags over one another and reads the settings out of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from sereno.model.errors import ConfigurationError
from sereno.model.lazy import lazy
from sereno.model.zone import use_zone
from sereno.settings.environment import read_environment, read_flags
from sereno.settings.place import Key, SettingPlaces
from sereno.settings.table import Reader
from sereno.settings.values import Settings, leaves

S = TypeVar("S", bound=msgspec.Struct)

_MOVED = "notify"
"""The table that is a plugin's by now, and is read where it was."""

FILES = (Path("conf/sereno.toml"), Path("sereno.toml"), Path("/etc/sereno/sereno.toml"))
"""Where the file is looked for when neither ``--config`` nor ``SERENO_CONFIG`` names one."""


def load_settings(
    *,
    file: Path | None,
    environ: Mapping[str, str],
    flags: Mapping[str, Any],
    defaults: Mapping[str, Any] | None = None,
) -> Settings:
    """Return the settings: `defaults` < file < `environ` < `flags`.

    Their `timezone` is from then on that of triggers which name none.

    `file`: None looks in ``SERENO_CONFIG`` and then in `FILES`; none is fine. `flags`: dotted key
    to value ("http.port"), None for a flag that was not given. `defaults`: tables, as ``sereno
    demo`` lays them under everything. Raises ConfigurationError with a sentence a line for every
    fault.
    """
    tables: dict[str, Any] = {}
    origin = SettingPlaces()
    found = find_file(file, environ)
    layers: list[tuple[Mapping[str, Any], SettingPlaces]] = [(defaults or {}, SettingPlaces())]
    if found:  # what reads a file is loaded where there is one
        layers.append(lazy("sereno.settings.document").read_document(found))
    layers += [read_environment(environ), read_flags(flags)]
    for layer, places in layers:
        tables = _merged(tables, _with_plugin_names(_moved(layer)))
        origin = SettingPlaces({_plugin_key(k): p for k, p in places.places.items()}).over(origin)
    reader = Reader(origin, everything=leaves())
    settings = reader.struct(tables, Settings, ())
    if settings is None:
        raise ConfigurationError("\n".join(reader.problems))
    use_zone(settings.timezone)
    return msgspec.structs.replace(settings, origin=origin)


def find_file(file: Path | None, environ: Mapping[str, str]) -> Path | None:
    """Return the settings file to read, None when there is none."""
    if file is not None:
        return file
    if named := environ.get("SERENO_CONFIG"):
        return Path(named)
    try:
        return next((path for path in FILES if path.is_file()), None)
    except OSError as error:
        raise ConfigurationError(f"{error.filename}: cannot be read: {error.strerror}") from error


def plugin_settings(settings: Settings, name: str, wanted: type[S]) -> S:
    """Return ``[plugins.<name>]`` as `wanted`, its defaults filled in.

    Raises ConfigurationError with a sentence a line for every fault.
    """
    key = plugin_key(name)
    reader = Reader(settings.origin)
    found = reader.struct(settings.plugins.get(key, {}), wanted, ("plugins", key))
    if found is None:
        raise ConfigurationError("\n".join(reader.problems))
    return found


def plugin_key(name: str) -> str:
    """Return the name of a plugin's table: a variable cannot hold the dash of ``etl-ivr``."""
    return name.replace("-", "_").lower()


def _moved(tables: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return `tables` with ``[notify]`` below ``[plugins.notify]``, whose table it was once."""
    old, plugins = tables.get(_MOVED), tables.get("plugins", {})
    if not isinstance(old, Mapping) or not isinstance(plugins, Mapping):
        return tables
    left = {name: table for name, table in tables.items() if name != _MOVED}
    if not old:
        return left
    return {**left, "plugins": {**plugins, _MOVED: _merged(old, plugins.get(_MOVED, {}))}}


def _plugin_key(key: Key) -> Key:
    if key[:1] == (_MOVED,):
        return ("plugins", *key)
    if key[:1] == ("plugins",) and len(key) > 1:
        return ("plugins", plugin_key(str(key[1])), *key[2:])
    return key


def _with_plugin_names(tables: Mapping[str, Any]) -> Mapping[str, Any]:
    plugins = tables.get("plugins")
    if not isinstance(plugins, Mapping):
        return tables
    return {**tables, "plugins": {plugin_key(name): table for name, table in plugins.items()}}


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        both = isinstance(under, Mapping) and isinstance(value, Mapping)
        merged[key] = _merged(under, value) if both else value  # type: ignore[arg-type]
    return merged
