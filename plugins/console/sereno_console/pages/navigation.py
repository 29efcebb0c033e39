"""The sections of the console, in the order in which every page lists them, and other apps."""

from collections.abc import Mapping
from typing import Any

import msgspec

from sereno_console.security.origin import EXTENSION
from sereno_console.security.permissions import Action


def _(text: str) -> str:
    """Mark `text` as one that is translated where it is shown."""
    return text


class Section(msgspec.Struct, frozen=True):
    """A section: its first page's path below the mount, and the key after ``g`` that opens it.

    `group`: the heading that it begins, for those behind it, too; empty: it begins none.
    """

    path: tuple[str, ...]
    title: str
    key: str
    needs: Action = "read"
    group: str = ""


class OtherApp(msgspec.Struct, frozen=True):
    """An app of another plugin that the same process serves. `address`: of its first page."""

    title: str
    address: str


SECTIONS: tuple[Section, ...] = (
    Section((), _("Overview"), "o"),
    Section(("jobs",), _("Jobs"), "j"),
    Section(("schedules",), _("Schedules"), "s"),
    Section(("runs",), _("Runs"), "r"),
    Section(("logs",), _("Logs"), "l"),
    Section(("load",), _("Load"), "d", group=_("Time")),
    Section(("cluster",), _("Cluster"), "c", group=_("System")),
    Section(("plugins",), _("Plugins"), "p"),
    Section(("changes",), _("Changes"), "a"),
    Section(("proof",), _("Proof"), "v", needs="verify"),
    Section(("people",), _("Access"), "u", needs="access"),
)


def other_apps(scope: Mapping[str, Any]) -> list[OtherApp]:
    """Return the apps of other plugins beside the console, by title; none where it is mounted in an
    application of somebody else."""
    told = (scope.get("extensions") or {}).get(EXTENSION) or {}
    return [
        OtherApp(title=app["title"], address=app["address"])
        for app in told.get("apps", ())
        if app["plugin"] != "console" and app["served"]
    ]
