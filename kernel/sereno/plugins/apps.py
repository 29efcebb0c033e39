"""Checks the apps that a plugin brings: paths that are some, and that nobody else has."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from sereno.model.app import App
from sereno.model.errors import PluginError
from sereno.model.text import visible_line

MOST_APPS = 100

_MOUNT = re.compile(r"(/[A-Za-z0-9][A-Za-z0-9._~-]{0,63}){1,8}")
_OURS = ("/healthz",)
_MOST_TITLE = 100


class DeclaredApp(msgspec.Struct, frozen=True):
    """An app under its mount: the path that it is reached by."""

    mount: str
    plugin: str
    app: App


def checked_apps(
    plugin: str, answer: Any, taken: Mapping[str, DeclaredApp]
) -> dict[str, DeclaredApp]:
    """Return what `plugin` declares by mount; raise PluginError with what is wrong with it."""
    if not isinstance(answer, Mapping):
        raise PluginError(f"sereno_register_apps returned {answer!r:.200}, no mapping of mounts")
    if len(answer) > MOST_APPS:
        raise PluginError(f"it brings {len(answer)} apps, {MOST_APPS} are the most")
    found: dict[str, DeclaredApp] = {}
    for mount, app in answer.items():
        if not isinstance(mount, str) or not _MOUNT.fullmatch(mount):
            raise PluginError(
                f"the mount {mount!r:.100} of an app is no path: it begins with '/', as '/console' "
                "or '/api/v1', and holds letters, digits, '-', '_', '.' and '~'"
            )
        if mount in _OURS:
            raise PluginError(f"the mount '{mount}' of an app is the kernel's; choose another")
        if other := taken.get(mount):
            raise PluginError(
                f"plugins '{other.plugin}' and '{plugin}' both bring an app at '{mount}'; "
                f"'{other.plugin}' keeps it"
            )
        _check(mount, app)
        found[mount] = DeclaredApp(mount, plugin, app)
    return found


def _check(mount: str, app: object) -> None:
    if not isinstance(app, App):
        raise PluginError(f"the app '{mount}' is {app!r:.100}; make it by App(title, factory)")
    title: object = app.title
    if (
        not isinstance(title, str)
        or not 0 < len(title) <= _MOST_TITLE
        or visible_line(title) != title
    ):
        raise PluginError(
            f"the app '{mount}': its title is {title!r:.150}, it takes 1 to {_MOST_TITLE} "
            "characters that can be seen"
        )
    if not callable(app.factory):
        raise PluginError(f"the app '{mount}': its factory {app.factory!r:.100} cannot be called")
    if app.check is not None and not callable(app.check):
        raise PluginError(f"the app '{mount}': its check {app.check!r:.100} cannot be called")
