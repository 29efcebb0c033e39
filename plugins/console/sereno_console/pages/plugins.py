"""Plugins: what each has brought, as the process of apps has loaded it and the database knows."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from starlette.responses import Response

from sereno import PluginView
from sereno_console.pages.environment import page
from sereno_console.pages.navigation import other_apps
from sereno_console.pages.routes import PAGES
from sereno_console.security.origin import EXTENSION
from sereno_console.web.request import ConsoleRequest


class ShownPlugin(msgspec.Struct, frozen=True, kw_only=True):
    """A plugin. `state`: here; empty where this process knows nothing of it. `jobs`: those that
    are declared; `gone`: those that it has declared once; `apps`: its mounts."""

    name: str
    state: str = ""
    version: str = ""
    package: str = ""
    reason: str = ""
    jobs: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    apps: tuple[str, ...] = ()


@PAGES.on("GET", "/plugins", needs="read")
async def plugins(request: ConsoleRequest) -> Response:
    """List the plugins."""
    told = (request.scope.get("extensions") or {}).get(EXTENSION) or {}
    found = shown(await request.sereno.plugins(), told.get("plugins", ()))
    seen = [
        msgspec.structs.replace(
            one,
            jobs=tuple(job for job in one.jobs if request.user.can("read", job)),
            gone=tuple(job for job in one.gone if request.user.can("read", job)),
        )
        for one in found
    ]
    return await page(
        request,
        "plugins.html",
        active=("plugins",),
        plugins=seen,
        failed=[one for one in seen if one.state == "failed"],
        apps=other_apps(request.scope),
    )


def shown(kept: Sequence[PluginView], loaded: Sequence[Mapping[str, Any]]) -> list[ShownPlugin]:
    """Return all plugins that the database or this process knows of: the failed first, by name."""
    here = {fact["name"]: fact for fact in loaded}
    of = {plugin.name: plugin for plugin in kept}
    found = [
        ShownPlugin(
            name=name,
            state=here.get(name, {}).get("state", ""),
            version=here.get(name, {}).get("version") or "",
            package=here.get(name, {}).get("package") or "",
            reason=here.get(name, {}).get("reason") or "",
            jobs=of[name].jobs if name in of else (),
            gone=of[name].gone if name in of else (),
            apps=tuple(here.get(name, {}).get("apps", ())),
        )
        for name in {*here, *of}
    ]
    return sorted(found, key=lambda one: (one.state != "failed", one.name))
