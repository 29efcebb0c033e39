"""Finds the page that a request asks for, and says which there are where there is none."""

import re
from collections.abc import Sequence

from sereno.http.answer import Answer, json, sentence
from sereno.http.request import Page, Request

_NAME = re.compile(r"{(\w+)(:int)?}")


class Route:
    """A page and its path: ``{name}`` stands for a part without a slash, ``{name:int}`` for a
    number."""

    def __init__(self, path: str, page: Page, *methods: str) -> None:
        self.page = page
        self.methods = methods or ("GET", "HEAD")
        self.shown = _NAME.sub(r"{\1}", path)
        self.pattern = re.compile(_NAME.sub(_part, path))


def _part(name: re.Match[str]) -> str:
    return f"(?P<{name[1]}>{'[0-9]{1,99}' if name[2] else '[^/]+'})"


class Site:
    """All pages by their paths. A slash at the end of a path changes nothing."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = routes

    async def answer(self, request: Request) -> Answer:
        """Return the page's answer; 404 where there is none, 405 where it has no such method."""
        path = request.path.rstrip("/") or "/"
        for route in self._routes:
            found = route.pattern.fullmatch(path)
            if found is None:
                continue
            if request.method not in route.methods:
                known = ", ".join(route.methods)
                reason = f"{route.shown} knows no {request.method}, only {known}"
                return json({"error": reason}, 405, Allow=known)
            request.found = found.groupdict()
            return await route.page(request)
        pages = " ".join(route.shown for route in self._routes)
        return sentence(404, f"there is no page {request.path}; the pages are {pages}")
