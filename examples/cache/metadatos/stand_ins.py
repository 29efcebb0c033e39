"""Stand-ins of the catalogue that metadata come from, and of who is told what to look at."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote

from sereno.testing import HttpAnswer, HttpRequest, http_service


class World:
    """`throttled`: how many calls are answered with 429. `calls`, `told`: what came of it."""

    def __init__(self) -> None:
        self.throttled, self.calls, self.told = 0, 0, []

    def answer(self, asked: HttpRequest) -> HttpAnswer:
        """Answer as the catalogue, or take a message."""
        if asked.path == "/told":
            self.told.append(asked.json)
            return HttpAnswer(204)
        self.calls += 1
        if self.throttled:
            self.throttled -= 1
            return HttpAnswer(429, {"error": "slow down"}, {"Retry-After": "1"})
        name = unquote(asked.path.removeprefix("/metadata/"))
        if name.startswith("missing"):
            return HttpAnswer(404, {"error": f"there is no '{name}'"})
        described = {"name": name, "fields": ["id", "título"], "text": name * 100}
        return HttpAnswer(200, json.dumps(described).encode(), {"Content-Type": "application/json"})


@contextmanager
def outside(world: World) -> Iterator[dict[str, str]]:
    """Serve `world`; give the variables of the environment that lead the service to it."""
    with http_service(world.answer) as at:
        yield {
            "CATALOGUE_URL": at,
            "SERENO_PLUGINS__NOTIFY__WEBHOOKS__GUARD__URL": f"{at}/told",
        }
