"""Decides which app a request is for: the longest mount that its path begins with.

``/``         a page that lists the apps
``/healthz``  200 while this process answers, and which apps it serves
"""

import os
from collections.abc import Collection, Mapping, Sequence
from html import escape
from string import Template
from typing import Any

from sereno.apps.mounted import Mounted
from sereno.apps.words import answer, send_whole
from sereno.http.hosts import ANY, is_ours
from sereno.model.resource import resource_path

_PAGE = Template(resource_path(__package__, "apps.html").read_text("utf-8"))
_HEALTH = "/healthz"

EXTENSION = "sereno.apps"
"""What the scope of a request is extended by."""


class AppDirectory:
    """The ASGI application in front of all apps.

    `prefix`: what a proxy has them below, which may have been taken from a path or not. `hosts`:
    names that requests may be addressed to beside this machine's own (sereno.http.hosts says why).
    `plugins`: what this process has loaded of each, for apps that show it.

    Each app is told of its surroundings in the extension ``sereno.apps`` of a request's scope:
    `apps` and `plugins`, and of the app that keeps the door `visitor`, a coroutine of a scope that
    says who asks, and `door`, where people come to it.
    """

    def __init__(
        self,
        apps: Sequence[Mounted],
        prefix: str,
        hosts: Collection[str],
        plugins: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self._plugins = plugins
        self._apps = sorted(apps, key=lambda app: len(app.mount), reverse=True)
        self._prefix = prefix
        self._known = {h.lower().rstrip(".") for h in hosts} | {os.uname().nodename.lower()}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer, or have the app do so."""
        path, raw = self._path(scope)
        if path == _HEALTH:
            await self._health(scope, send)
        elif not self._is_meant(scope):
            sentence = (
                "this server does not answer to that name: add it to apps.hosts "
                "(SERENO_APPS__HOSTS), or ask for its address"
            )
            await answer(scope, send, 421, {"error": sentence})
        elif path in ("", "/"):
            await send_whole(scope, send, 200, self._page(), "text/html; charset=utf-8")
        else:
            await self._pass_on(path, raw, scope, receive, send)

    def _path(self, scope: Any) -> tuple[str, bytes]:
        """Return a request's path, decoded and as it came, without the prefix."""
        path, raw = scope["path"], scope.get("raw_path") or scope["path"].encode()
        if self._prefix and (path == self._prefix or path.startswith(f"{self._prefix}/")):
            return path[len(self._prefix) :], raw[len(self._prefix) :]
        return path, raw

    async def _pass_on(self, path: str, raw: bytes, scope: Any, receive: Any, send: Any) -> None:
        for app in self._apps:
            if path == app.mount:
                where = f"{self._prefix}{app.mount}/"
                if query := scope.get("query_string"):
                    where += f"?{query.decode('latin-1')}"
                await answer(scope, send, 307, {"see": where}, location=where)
                return
            if path.startswith(f"{app.mount}/"):
                scope = {
                    **scope,
                    "path": self._prefix + path,
                    "raw_path": self._prefix.encode() + raw,
                    "root_path": self._prefix + app.mount,
                    "extensions": self._informed(scope.get("extensions") or {}),
                }
                await app(scope, receive, send)
                return
        mounts = " ".join(sorted(app.mount for app in self._apps))
        await answer(scope, send, 404, {"error": f"there is no app at {path}; there are {mounts}"})

    def _informed(self, extensions: Mapping[str, Any]) -> Mapping[str, Any]:
        found: dict[str, Any] = {
            **extensions.get(EXTENSION, {}),
            "plugins": self._plugins,
            "apps": [
                {
                    "title": app.title,
                    "plugin": app.plugin,
                    "address": f"{self._prefix}{app.mount}/",
                    "served": app.fault is None,
                }
                for app in sorted(self._apps, key=lambda app: app.title)
            ],
        }
        for app in self._apps:
            if (visitor := app.visitor) is not None:
                found |= {"visitor": visitor, "door": f"{self._prefix}{app.mount}/"}
        return {**extensions, EXTENSION: found}

    def _is_meant(self, scope: Any) -> bool:
        if ANY in self._known:
            return True
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        return all(is_ours(host, self._known) for host in hosts)

    async def _health(self, scope: Any, send: Any) -> None:
        apps = {
            app.mount: {"plugin": app.plugin, "state": "failed" if app.fault else "ok"}
            for app in reversed(self._apps)
        }
        await answer(scope, send, 200, {"status": "ok", "apps": apps})

    def _page(self) -> bytes:
        rows = [
            f'<li><a href="{self._prefix}{app.mount}/">{escape(app.title)}</a> '
            f"<span>{escape(app.plugin)}{' is not served: the log says why' if app.fault else ''}"
            "</span></li>"
            for app in sorted(self._apps, key=lambda app: app.title)
        ]
        return _PAGE.substitute(rows="\n".join(rows)).encode()
